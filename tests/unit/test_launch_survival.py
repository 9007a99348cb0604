"""Runs in which hosts fail: launchers are small scripts that take other steps at each launch, hosts answer as told."""

import json
import os
import signal
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from store_samples import done, finished, measured, plan, ready, round_started

from netprobe.errors import LaunchError
from netprobe.launch.culprits import Halt, conclude
from netprobe.launch.job import DEADLINE_NS, Patience
from netprobe.launch.remote import TIMED_OUT, Answer
from netprobe.launch.request import Binding, Family, HostShare, Launcher, LaunchPlan
from netprobe.launch.rollcall import LATE_TIMEOUT_S, STANDING_TIMEOUT_S, Asking, RollCall
from netprobe.launch.survival import MOST_UNEXPLAINED, MOST_WAITS, MOST_WAITS_TO_START, Voyage, names_of, see_through
from netprobe.model.endpoint import Rank
from netprobe.model.record import RanksReady, RoundFinished, RoundStarted, RunHalted
from netprobe.model.run import RunStatus
from netprobe.model.standing import (
    Benched,
    Fate,
    HostReport,
    HostStanding,
    PathAnswer,
    Position,
    RankStanding,
    RankState,
    StuckPair,
)
from netprobe.plan.task import Task
from netprobe.store.encoding import json_line
from netprobe.store.wire import encode
from netprobe.units import NS_PER_MS, NS_PER_S

# Takes the steps of this launch, which is the n-th; notes what it was asked to start.
LAUNCHER = """
import json, os, sys, time
from pathlib import Path
here = Path(sys.argv[0]).parent
asked = here / "asked.jsonl"
number = len(asked.read_text().splitlines()) if asked.exists() else 0
with asked.open("a") as file:
    file.write(json.dumps([Path(sys.argv[0]).name, *sys.argv[1:]]) + "\\n")
for verb, value in json.loads((here / "steps.json").read_text())[number]:
    if verb == "out": print(value, flush=True)
    if verb == "err": print(value, file=sys.stderr, flush=True)
    if verb == "sleep": time.sleep(value)
    if verb == "exit": sys.exit(value)
"""
HANG = ("sleep", 600)
QUICK = Patience(
    meeting_ns=20 * NS_PER_S,
    round_floor_ns=500 * NS_PER_MS,
    round_factor=0,
    ending_ns=20 * NS_PER_S,
    grace_ns=5 * NS_PER_S,
    draining_ns=200 * NS_PER_MS,
)
TASK = Task(plan=plan())


class Kept:
    """A sink that keeps everything, and may do something at each record."""

    def __init__(self, then=lambda record: None):
        self.records = []
        self._then = then

    def emit(self, record):
        self.records.append(record)
        self._then(record)

    def of(self, kind):
        return [record for record in self.records if isinstance(record, kind)]

    @property
    def benched(self):
        return [(each.host, each.fate) for halted in self.of(RunHalted) for each in halted.benched]


def standing(host, *, state=RankState.RUNS, steps=(7, 7), place=None):
    place = place or Position(
        rank=None, host=host, stage="one", round_index=0, peer=None, is_measuring=True, steps=0
    )  # fmt: skip
    before, now = (RankStanding(pid=7, state=state, position=replace(place, steps=each)) for each in steps)
    return HostStanding(host=host, report=HostReport(before=(before,), ranks=(now,), moved_bytes=0))


def dead(host):
    return HostStanding(host=host, report=None, error="No route to host")


class Hosts:
    """Fake Asking: each roll call has some special answers; the last one is given again and again."""

    def __init__(self, *calls, paths=()):
        self.calls = self.asked_paths = 0
        self.ended = []
        self._answers = list(calls) or [{}]
        self._paths = tuple(paths)

    def roll_call(self, hosts, mark):
        special = self._answers[min(self.calls, len(self._answers) - 1)]
        self.calls += 1
        return RollCall(hosts=tuple(special.get(host) or standing(host) for host in hosts))

    def with_late(self, call, mark):
        return call

    def with_paths(self, call):
        self.asked_paths += 1
        return replace(call, paths=tuple(each for each in self._paths if {each.src, each.dst} <= call.started))

    def end(self, hosts, mark):
        self.ended.append((tuple(hosts), bool(mark)))


def ranks_on(*numbers):
    return tuple(Rank(rank=n, host=f"h{n + 1}", local_index=0, cpus=(0,), pid=100 + n) for n in numbers)


def met(*numbers):
    """The ranks with these numbers of the run have met, one on each host from h1."""
    return replace(ready(), ranks=ranks_on(*numbers))


def begun(round_index=0, stage="one", stage_index=0):
    return replace(round_started(stage), stage_index=stage_index, round_index=round_index)


def ended(*numbers):
    return replace(done(), ranks=numbers, clocks=(done().clocks[0],) * len(numbers))


def leg(*steps):
    """The steps of one launch: records are sent, all else is done."""
    sent, taken = 0, []
    for step in steps:
        if isinstance(step, tuple):
            taken.append(step)
        else:
            taken.append(("out", encode(step, sent)))
            sent += 1
    return taken


def on(count, path):
    shares = tuple(HostShare(host=f"h{number + 1}", ranks=1) for number in range(count))
    launcher = Launcher(path=path, family=Family.MPICH, version="")
    return LaunchPlan(
        method="hosts", launcher=launcher, worker=(), ranks=count, shares=shares, binding=Binding.NONE
    )  # fmt: skip


class Sailed:
    """What came of a voyage."""

    def __init__(self, folder, end, tasks, sink, opened):
        self.end, self.tasks, self.sink, self.opened = end, tasks, sink, opened
        self._folder = folder

    @property
    def launches(self):
        """The hosts of each launch, as the launcher was told."""
        lines = (self._folder / "asked.jsonl").read_text().splitlines()
        return [",".join(each.partition(":")[0] for each in json.loads(line)[2].split(",")) for line in lines]

    @property
    def launchers(self):
        return [json.loads(line)[0] for line in (self._folder / "asked.jsonl").read_text().splitlines()]


@pytest.fixture
def sail(tmp_path):
    """See a run of so many hosts through, with these steps at each launch."""

    def launcher(name):
        path = tmp_path / name
        path.write_text(f"#!{sys.executable}\n{LAUNCHER}")
        path.chmod(0o755)
        return path

    def run(
        count,
        *legs,
        hosts=None,
        sink=None,
        names=("mpiexec",),
        patience=QUICK,
        benched=(),
        plan_of=lambda chosen: chosen,
    ):
        (tmp_path / "steps.json").write_text(json.dumps(legs))
        tasks, opened, kept = [], [], sink or Kept()
        voyage = Voyage(
            plans=tuple(plan_of(on(count, launcher(name))) for name in names),
            task=TASK,
            worker_for=lambda task: (tasks.append(task), ("true",))[1],
            environ=os.environ,
            asking=hosts,
            patience=patience,
            benched=benched,
        )
        end = see_through(voyage, lambda chosen: (opened.append(chosen), kept)[1])
        return Sailed(tmp_path, end, tasks, kept, opened)

    return run


SECOND_ROUND_HANGS = (begun(0), measured(), begun(1), HANG)
ROSTER = (("h1", (0,)), ("h2", (1,)), ("h3", (2,)))


def test_a_run_in_which_nothing_fails_is_one_launch(sail):
    hosts = Hosts()

    sailed = sail(2, leg(met(0, 1), begun(), measured(), finished(), ended(0, 1)), hosts=hosts)

    assert (sailed.end.status, sailed.launches, sailed.tasks) == (RunStatus.COMPLETE, ["h1,h2"], [TASK])
    assert hosts.calls == 0


@pytest.mark.parametrize(("lost", "left"), [(1, (0, 2)), (0, (1, 2))])
def test_a_run_goes_on_without_a_host_that_dies_and_be_it_that_of_rank_0(sail, lost, left):
    hosts = Hosts({f"h{lost + 1}": dead(f"h{lost + 1}")})
    rest = leg(met(*left), begun(1), measured(round_index=1), finished(), ended(*left))

    sailed = sail(3, leg(met(0, 1, 2), *SECOND_ROUND_HANGS), rest, hosts=hosts)

    others = [f"h{number + 1}" for number in left]
    assert sailed.end.status is RunStatus.COMPLETE
    assert sailed.launches == ["h1,h2,h3", ",".join(others)]
    assert sailed.tasks[1] == Task(plan=plan(), roster=ROSTER, first_stage=0, first_round=1)
    assert hosts.ended == [(tuple(others), True)]
    assert len(sailed.opened) == 1
    (benched,) = sailed.sink.of(RunHalted)[0].benched
    assert (benched.host, benched.fate, benched.ranks) == (f"h{lost + 1}", Fate.UNREACHABLE, (lost,))
    assert (benched.stage, benched.round_index, benched.last_round_index) == ("one", 1, 0)
    assert benched.waited_ns >= QUICK.round_floor_ns
    kinds = [type(record) for record in sailed.sink.records]
    assert kinds.index(RunHalted) > kinds.index(RoundFinished)
    assert kinds.count(RanksReady) == kinds.count(RoundFinished) == 2


def test_two_hosts_that_die_one_after_the_other_cost_two_launches(sail):
    hosts = Hosts({"h2": dead("h2")}, {"h4": standing("h4", state=RankState.STOPPED)})

    sailed = sail(
        5,
        leg(met(0, 1, 2, 3, 4), *SECOND_ROUND_HANGS),
        leg(met(0, 2, 3, 4), begun(1), measured(round_index=1), finished(), begun(0, "two", 1), HANG),
        leg(met(0, 2, 4), begun(0, "two", 1), measured("two"), finished("two"), ended(0, 2, 4)),
        hosts=hosts,
    )

    assert sailed.end.status is RunStatus.COMPLETE
    assert sailed.launches == ["h1,h2,h3,h4,h5", "h1,h3,h4,h5", "h1,h3,h5"]
    assert [(task.first_stage, task.first_round) for task in sailed.tasks] == [(0, 0), (0, 1), (1, 0)]
    assert sailed.sink.benched == [("h2", Fate.UNREACHABLE), ("h4", Fate.STOPPED)]
    assert sailed.tasks[2].roster == sailed.tasks[1].roster


@pytest.mark.parametrize(("count", "goes_on"), [(4, True), (3, False)])
def test_a_run_goes_on_while_no_more_than_half_of_its_hosts_failed(sail, count, goes_on):
    hosts = Hosts({"h2": dead("h2"), "h3": dead("h3")})
    left = (0, 3)

    sailed = sail(
        count, leg(met(*range(count)), *SECOND_ROUND_HANGS), leg(met(*left), begun(1), ended(*left)), hosts=hosts
    )

    assert len(sailed.launches) == 1 + goes_on
    if not goes_on:
        assert sailed.end.status is RunStatus.FAILED
        assert sailed.end.error.startswith("2 of 3 hosts failed (h[2-3]); the first was h2: host unreachable after ")
        assert sailed.end.error.endswith(", No route to host")
    assert sailed.sink.benched == [("h2", Fate.UNREACHABLE), ("h3", Fate.UNREACHABLE)]


def test_hosts_that_were_taken_out_before_the_launch_count_as_failed(sail):
    early = Benched(host="h9", fate=Fate.UNUSABLE, detail="No module named 'netprobe'")

    sailed = sail(2, leg(met(0, 1), *SECOND_ROUND_HANGS), hosts=Hosts({"h2": dead("h2")}), benched=(early,))

    assert sailed.end.error.startswith("2 of 3 hosts failed (h[2,9]); the first was h9: netprobe cannot start there, ")
    assert sailed.sink.records[0] == RunHalted(benched=(early,))


def test_a_halt_that_nobody_explains_costs_its_round(sail):
    sailed = sail(
        2,
        leg(met(0, 1), begun(0), HANG),
        leg(met(0, 1), begun(1), measured(round_index=1), finished(), ended(0, 1)),
        hosts=Hosts(),
    )

    assert sailed.end.status is RunStatus.COMPLETE
    assert sailed.launches == ["h1,h2", "h1,h2"]
    assert sailed.tasks[1].first_round == 1
    (halted,) = sailed.sink.of(RunHalted)
    assert [(gap.topic, gap.undermines) for gap in halted.gaps] == [("run", True)]
    assert "the ranks hung in one, round 1 of 2" in halted.gaps[0].reason


def test_a_run_of_halts_that_nobody_explains_is_given_up(sail):
    legs = [leg(met(0, 1), begun(number), HANG) for number in range(MOST_UNEXPLAINED + 2)]

    sailed = sail(2, *legs, hosts=Hosts())

    assert (sailed.end.status, len(sailed.launches)) == (RunStatus.FAILED, MOST_UNEXPLAINED + 1)
    assert sailed.end.error.startswith("the ranks hung in one")
    assert [task.first_round for task in sailed.tasks] == list(range(MOST_UNEXPLAINED + 1))


def test_a_launch_whose_hosts_nobody_knows_by_name_is_launched_again_as_it_was(tmp_path, sail):
    unnamed = replace(on(2, tmp_path / "mpiexec"), method="slurm", shares=(), allocation_hosts=2)

    sailed = sail(
        2,
        leg(met(0, 1), begun(0), HANG),
        leg(met(0, 1), begun(1), measured(round_index=1), finished(), ended(0, 1)),
        hosts=Hosts(),
        plan_of=lambda chosen: unnamed,
    )

    assert sailed.end.status is RunStatus.COMPLETE
    assert sailed.opened[0].hosts == ()


def test_a_pair_that_is_stuck_is_avoided_and_its_hosts_stay(sail):
    def measuring(own, peer):
        return Position(
            rank=own, host=f"h{own + 1}", stage="one", round_index=1, peer=peer, is_measuring=True, steps=0
        )  # fmt: skip

    stuck = {"h2": standing("h2", place=measuring(1, 2)), "h3": standing("h3", place=measuring(2, 1))}

    sailed = sail(
        3,
        leg(met(0, 1, 2), *SECOND_ROUND_HANGS),
        leg(met(0, 1, 2), begun(1), measured(round_index=1), finished(), ended(0, 1, 2)),
        hosts=Hosts(stuck),
    )

    (halted,) = sailed.sink.of(RunHalted)
    (pair,) = halted.stuck_pairs
    assert replace(pair, waited_ns=0) == StuckPair(hosts=("h2", "h3"), stage="one", round_index=1)
    assert (halted.benched, halted.gaps) == ((), ())
    assert (sailed.tasks[1].avoided, sailed.tasks[1].first_round) == ((("h2", "h3"),), 1)
    assert sailed.end.status is RunStatus.COMPLETE


def test_a_host_that_nobody_reaches_is_told_with_the_paths_that_were_tried(sail):
    def path(src, dst):
        return PathAnswer(
            src=src, dst=dst, interface="e", network="n", mtu_bytes=9000, small="h2" not in (src, dst), full=None
        )

    tried = [path(src, dst) for src in ("h1", "h2", "h3") for dst in ("h1", "h2", "h3") if src != dst]

    sailed = sail(
        3,
        leg(met(0, 1, 2), *SECOND_ROUND_HANGS),
        leg(met(0, 2), begun(1), ended(0, 2)),
        hosts=Hosts(paths=tried),
    )

    assert sailed.sink.benched == [("h2", Fate.CUT_OFF)]
    assert sailed.sink.of(RunHalted)[0].paths == tuple(tried)


def path(src, dst, *, small=True, full=None):
    return PathAnswer(src=src, dst=dst, interface="e", network="n", mtu_bytes=9000, small=small, full=full)


def between(count, answer):
    names = [f"h{number + 1}" for number in range(count)]
    return [answer(src, dst) for src in names for dst in names if src != dst]


def test_one_silent_path_that_all_wait_for_costs_one_host_and_one_launch(sail):
    tried = between(4, lambda src, dst: path(src, dst, small={src, dst} != {"h1", "h3"}))

    sailed = sail(
        4,
        leg(met(0, 1, 2, 3), *SECOND_ROUND_HANGS),
        leg(met(0, 1, 3), begun(1), measured(round_index=1), finished(), ended(0, 1, 3)),
        hosts=Hosts(paths=tried),
    )

    assert (sailed.end.status, sailed.launches) == (RunStatus.COMPLETE, ["h1,h2,h3,h4", "h1,h2,h4"])
    assert sailed.sink.benched == [("h3", Fate.ASIDE)]
    assert (sailed.tasks[1].first_round, sailed.tasks[1].avoided) == (1, ())


def test_a_silent_path_that_ranks_cannot_meet_over_costs_one_host(sail):
    tried = between(4, lambda src, dst: path(src, dst, small={src, dst} != {"h1", "h3"}))

    sailed = sail(
        4,
        leg(HANG),
        leg(met(0, 1, 3), begun(), measured(), finished(), ended(0, 1, 3)),
        hosts=Hosts(paths=tried),
        patience=replace(QUICK, meeting_ns=3 * NS_PER_S),
    )

    assert (sailed.end.status, sailed.sink.benched) == (RunStatus.COMPLETE, [("h3", Fate.ASIDE)])


def test_a_pair_that_is_avoided_and_still_in_the_way_is_not_launched_with_for_ever(sail):
    def measuring(own, peer):
        return Position(
            rank=own, host=f"h{own + 1}", stage="one", round_index=1, peer=peer, is_measuring=True, steps=0
        )  # fmt: skip

    stuck = {"h1": standing("h1", place=measuring(0, 2)), "h3": standing("h3", place=measuring(2, 0))}
    tried = between(4, lambda src, dst: path(src, dst, full={src, dst} != {"h1", "h3"}))
    hangs_again = leg(met(0, 1, 2, 3), begun(1), HANG)

    sailed = sail(
        4,
        leg(met(0, 1, 2, 3), *SECOND_ROUND_HANGS),
        hangs_again,
        leg(met(0, 1, 3), begun(1), measured(round_index=1), finished(), ended(0, 1, 3)),
        hosts=Hosts(stuck, {}, paths=tried),
    )

    assert (sailed.end.status, len(sailed.launches)) == (RunStatus.COMPLETE, 3)
    assert [pair.hosts for halted in sailed.sink.of(RunHalted) for pair in halted.stuck_pairs] == [("h1", "h3")]
    assert sailed.sink.benched == [("h3", Fate.ASIDE)]


def test_a_fabric_that_fails_most_hosts_ends_the_run_and_takes_nobody_out(sail):
    tried = between(4, lambda src, dst: path(src, dst, full=False))

    sailed = sail(4, leg(met(0, 1, 2, 3), *SECOND_ROUND_HANGS), hosts=Hosts(paths=tried))

    assert (sailed.end.status, len(sailed.launches)) == (RunStatus.FAILED, 1)
    assert sailed.end.error == "packets of 9000 bytes vanish on 12 of 12 paths of n, small ones pass"
    (halted,) = sailed.sink.of(RunHalted)
    assert (halted.benched, halted.gaps, halted.paths) == ((), (), tuple(tried))


def bare(host):
    """A host with no process of the job."""
    return HostStanding(host=host, report=HostReport(before=(), ranks=(), moved_bytes=0))


def starting(host):
    """A host whose process has not come far enough to note where it is."""
    rank = RankStanding(pid=7, state=RankState.RUNS, position=None)
    return HostStanding(host=host, report=HostReport(before=(rank,), ranks=(rank,), moved_bytes=0))


def test_a_host_on_which_the_launcher_starts_nothing_is_named_after_a_few_deadlines(sail):
    hosts = Hosts({"h2": bare("h2")})

    sailed = sail(
        3,
        leg(HANG),
        leg(met(0, 2), begun(), measured(), finished(), ended(0, 2)),
        hosts=hosts,
        patience=replace(QUICK, meeting_ns=3 * NS_PER_S),
    )

    assert (sailed.end.status, sailed.sink.benched) == (RunStatus.COMPLETE, [("h2", Fate.UNUSABLE)])
    assert (hosts.calls, hosts.asked_paths) == (MOST_WAITS_TO_START, 0)


def test_a_launcher_that_goes_from_host_to_host_is_waited_for(sail):
    calls = [{f"h{number}": bare(f"h{number}") for number in range(first, 7)} for first in range(2, 7)]

    sailed = sail(
        6,
        leg(("sleep", 5.5), met(*range(6)), begun(), measured(), finished(), ended(*range(6))),
        hosts=Hosts(*calls, {"h6": starting("h6")}),
        patience=replace(QUICK, meeting_ns=2 * NS_PER_S),
    )

    assert (sailed.end.status, sailed.sink.benched, len(sailed.launches)) == (RunStatus.COMPLETE, [], 1)


class Clocked:
    """Answers like hosts that take their time, and sums it up: each is waited for as long as it takes, or is given."""

    def __init__(self, **hosts):
        self.elapsed_s = 0.0
        self._hosts = hosts

    def ask(self, hosts, argv, timeout_s):
        answers = {host: self._answer(host, argv, timeout_s) for host in hosts}
        self.elapsed_s += max(seconds for seconds, _ in answers.values())
        return {host: answer for host, (_, answer) in answers.items()}

    def _answer(self, host, argv, timeout_s):
        seconds, answer = self._hosts.get(host, (None, None))
        if seconds is None:
            seconds, answer = self._well(host, argv)
        return (seconds, answer) if seconds < timeout_s else (timeout_s, Answer(code=TIMED_OUT, error="no answer"))

    def _well(self, host, argv):
        if "standing" in argv[-2]:
            return 1.5, told(standing(host, steps=(7, 7)).report)
        if "pathcheck" in argv[-2]:
            return 2.0, told(())
        return 0.5, Answer(code=0)


def told(value):
    return Answer(code=0, lines=(json_line(value).decode(),))


OUT = {
    "it has no power": ((3.0, Answer(code=255, error="Connection timed out")), 0),
    "its process is stopped": ((1.5, told(standing("h2", state=RankState.STOPPED).report)), 0),
    "its process is gone": ((1.5, told(bare("h2").report)), 0),
    "it lets ssh in and does nothing": ((600.0, None), LATE_TIMEOUT_S),
}


@pytest.mark.parametrize("how", OUT)
def test_a_failed_host_costs_one_deadline_from_the_last_record_to_the_next_launch(sail, how):
    (answer, late_s) = OUT[how]
    clocked = Clocked(h2=answer)
    shipped = Patience()

    sailed = sail(
        3,
        leg(met(0, 1, 2), *SECOND_ROUND_HANGS),
        leg(met(0, 2), begun(1), measured(round_index=1), finished(), ended(0, 2)),
        hosts=Asking(ask=clocked.ask, python="python", environ={}),
    )

    assert [host for host, _ in sailed.sink.benched] == ["h2"]
    ending_ns = shipped.reprieve_ns + shipped.grace_ns + shipped.draining_ns
    cost_s = (shipped.round_floor_ns + ending_ns) / NS_PER_S + clocked.elapsed_s
    allowed_s = DEADLINE_NS / NS_PER_S if not late_s else DEADLINE_NS / NS_PER_S + STANDING_TIMEOUT_S + late_s
    assert cost_s <= allowed_s


def test_a_late_host_is_not_waited_for_where_another_is_plainly_to_blame(sail):
    clocked = Clocked(h2=(3.0, Answer(code=255, error="Connection timed out")), h3=(12.0, told(standing("h3").report)))

    sailed = sail(
        4,
        leg(met(0, 1, 2, 3), *SECOND_ROUND_HANGS),
        leg(met(0, 2, 3), begun(1), measured(round_index=1), finished(), ended(0, 2, 3)),
        hosts=Asking(ask=clocked.ask, python="python", environ={}),
    )

    assert sailed.sink.benched == [("h2", Fate.UNREACHABLE)]
    assert clocked.elapsed_s <= 2 * STANDING_TIMEOUT_S  # asked once, and swept


def test_a_busy_host_is_asked_again_and_kept(sail):
    clocked = Clocked(h2=(12.0, told(standing("h2", steps=(7, 8)).report)))

    sailed = sail(
        3,
        leg(met(0, 1, 2), begun(), ("sleep", 1.0), measured(), finished(), ended(0, 1, 2)),
        hosts=Asking(ask=clocked.ask, python="python", environ={}),
    )

    assert (sailed.end.status, sailed.sink.benched, len(sailed.launches)) == (RunStatus.COMPLETE, [], 1)
    assert clocked.elapsed_s >= STANDING_TIMEOUT_S + 12.0


def test_a_rank_that_the_launcher_lost_is_out_at_once(sail):
    killed = (("err", "=   PID 29 RUNNING AT h2"), ("err", "=   EXIT CODE: 9"), ("exit", 9))
    hosts = Hosts()

    sailed = sail(
        3,
        leg(met(0, 1, 2), begun(), measured(), begun(1), *killed),
        leg(met(0, 2), begun(1), measured(round_index=1), finished(), ended(0, 2)),
        hosts=hosts,
        patience=replace(QUICK, round_floor_ns=60 * NS_PER_S),
    )

    assert sailed.sink.benched == [("h2", Fate.GONE)]
    assert sailed.launches == ["h1,h2,h3", "h1,h3"]
    assert hosts.ended == [(("h1", "h2", "h3"), True)]


def test_ranks_that_never_meet_because_a_host_died_meet_without_it(sail):
    hosts = Hosts({"h2": dead("h2")})

    sailed = sail(
        3,
        leg(("err", "connection lost"), ("exit", 1)),
        leg(met(0, 1), begun(), measured(), finished(), ended(0, 1)),
        hosts=hosts,
    )

    assert (sailed.end.status, sailed.launches) == (RunStatus.COMPLETE, ["h1,h2,h3", "h1,h3"])
    assert sailed.tasks == [TASK, TASK]
    assert [type(record) for record in sailed.sink.records][:2] == [RunHalted, RanksReady]
    assert sailed.sink.benched == [("h2", Fate.UNREACHABLE)]


def test_ranks_that_never_meet_though_all_hosts_are_well_are_a_launch_error(sail):
    with pytest.raises(LaunchError, match="could not start the ranks"):
        sail(2, leg(("err", "not enough slots"), ("exit", 1)), hosts=Hosts())


def test_a_run_that_is_hopeless_before_it_begins_is_written_down_all_the_same(sail):
    hosts = Hosts({"h1": dead("h1"), "h2": dead("h2")})

    sailed = sail(3, leg(("exit", 1)), hosts=hosts)

    assert sailed.end.error.startswith("2 of 3 hosts failed (h[1-2])")
    assert len(sailed.opened) == 1
    assert sailed.sink.benched == [("h1", Fate.UNREACHABLE), ("h2", Fate.UNREACHABLE)]


def test_ranks_that_are_silent_from_the_start_are_looked_at_too(sail):
    hosts = Hosts({"h2": standing("h2", state=RankState.BLOCKED)})
    patience = replace(QUICK, meeting_ns=3 * NS_PER_S)

    sailed = sail(3, leg(HANG), leg(met(0, 2), ended(0, 2)), hosts=hosts, patience=patience)

    assert sailed.sink.benched == [("h2", Fate.BLOCKED)]
    assert sailed.launches == ["h1,h2,h3", "h1,h3"]


def test_an_interrupted_run_is_not_launched_again(sail):
    sink = Kept(then=lambda record: os.kill(os.getpid(), signal.SIGINT) if isinstance(record, RoundStarted) else None)
    hosts = Hosts({"h2": dead("h2")})

    sailed = sail(
        2, leg(met(0, 1), begun(), HANG), hosts=hosts, sink=sink, patience=replace(QUICK, round_floor_ns=60 * NS_PER_S)
    )

    assert (sailed.end.status, len(sailed.launches), hosts.calls) == (RunStatus.INTERRUPTED, 1, 0)


def test_without_a_way_to_ask_the_first_failure_is_the_end(sail):
    sailed = sail(2, leg(met(0, 1), *SECOND_ROUND_HANGS), hosts=None)

    assert (sailed.end.status, len(sailed.launches)) == (RunStatus.FAILED, 1)
    assert sailed.end.error.startswith("the ranks hung in one, round 2 of 2")


def test_a_job_that_gets_on_is_waited_for(sail):
    moving = {"h1": standing("h1", steps=(7, 8))}
    hosts = Hosts(moving)

    sailed = sail(2, leg(met(0, 1), begun(), ("sleep", 1.5), measured(), finished(), ended(0, 1)), hosts=hosts)

    assert (sailed.end.status, len(sailed.launches)) == (RunStatus.COMPLETE, 1)
    assert hosts.calls >= 2
    assert sailed.sink.of(RunHalted) == []


@pytest.mark.parametrize("disturbance", [{"h2": dead("h2")}, {"h2": standing("h2", state=RankState.STOPPED)}])
def test_a_job_that_moves_without_one_of_its_hosts_is_not(sail, disturbance):
    hosts = Hosts({"h1": standing("h1", steps=(7, 8)), **disturbance})

    sailed = sail(3, leg(met(0, 1, 2), begun(), HANG), leg(met(0, 2), begun(), ended(0, 2)), hosts=hosts)

    assert sailed.launches == ["h1,h2,h3", "h1,h3"]
    assert hosts.calls == 1


def test_a_job_that_moves_and_gets_nowhere_is_not_waited_for_for_ever(sail):
    hosts = Hosts({"h1": standing("h1", steps=(7, 8))})
    legs = [leg(met(0, 1), begun(number), HANG) for number in range(MOST_UNEXPLAINED + 1)]

    sailed = sail(2, *legs, hosts=hosts, patience=replace(QUICK, round_floor_ns=40 * NS_PER_MS))

    assert sailed.end.status is RunStatus.FAILED
    assert hosts.calls == MOST_WAITS * (MOST_UNEXPLAINED + 1)


def test_the_launcher_that_brought_the_ranks_together_is_used_to_the_end(sail):
    alone = leg(replace(ready(), ranks=ranks_on(0)))

    sailed = sail(
        3,
        alone,
        leg(met(0, 1, 2), *SECOND_ROUND_HANGS),
        leg(met(0, 2), begun(1), ended(0, 2)),
        hosts=Hosts({"h2": dead("h2")}),
        names=("wrong", "right"),
    )

    assert sailed.launchers == ["wrong", "right", "right"]
    assert len(sailed.end.given_up) == 1
    assert "wrong started 3 ranks" in sailed.end.given_up[0]


@pytest.mark.parametrize(
    ("called", "names"),
    [
        (("h1", "h2"), {"h1": "h1", "h2": "h2"}),
        (("h1", "h1", "h2"), {"h1": "h1", "h2": "h2"}),
        (("H2.cluster", "h1.cluster"), {"h1": "h1.cluster", "h2": "H2.cluster"}),
        (("node7", "node8"), {"h1": "node7", "h2": "node8"}),
        ((), {"h1": "h1", "h2": "h2"}),
    ],
)
def test_hosts_that_ranks_call_otherwise_are_told_apart_by_name_or_by_order(called, names):
    ranks = [replace(ranks_on(0)[0], host=host) for host in called]

    assert names_of(on(2, Path("mpiexec")), ranks) == names


def test_hosts_that_share_a_short_name_are_not_mixed_up():
    ranks = (
        Rank(rank=0, host="n1.a", local_index=0, cpus=(), pid=1),
        Rank(rank=1, host="n1.b", local_index=0, cpus=(), pid=2),
    )

    assert names_of(on(2, Path("mpiexec")).without(()), ()) == {"h1": "h1", "h2": "h2"}
    assert names_of(named("n1.a", "n1.b"), ranks) == {"n1.a": "n1.a", "n1.b": "n1.b"}
    assert names_of(named("10.0.0.1", "10.0.0.2"), ranks) == {"10.0.0.1": "n1.a", "10.0.0.2": "n1.b"}


def test_hosts_keep_the_ranks_that_a_resource_manager_dealt_them():
    plan = replace(
        named("h1"), shares=(), method="slurm", ranks=5, allocation_hosts=3, allocation_names=("h1", "h2", "h3")
    )

    left = plan.without({"h1"}, {"h1": 2, "h2": 2, "h3": 1})

    assert [(share.host, share.ranks) for share in left.shares] == [("h2", 2), ("h3", 1)]


def test_a_host_that_was_stuck_with_two_partners_is_taken_out():
    ranks = tuple(Rank(rank=n, host=f"h{n + 1}", local_index=0, cpus=(), pid=n) for n in range(4))
    names = {rank.host: rank.host for rank in ranks}
    halt = Halt(stage="s", round_index=1, last_stage=None, last_round_index=None, waited_ns=1, ranks=ranks)
    hosts = tuple(
        HostStanding(host=rank.host, report=HostReport(before=(seen,), ranks=(seen,), moved_bytes=0))
        for rank in ranks
        for seen in (stuck(rank.rank, {0: 2, 2: 0}.get(rank.rank)),)
    )

    once = conclude(RollCall(hosts=hosts), halt, names)
    twice = conclude(RollCall(hosts=hosts), halt, names, avoided=(("h2", "h3"),))

    assert (once.benched, once.avoided) == ((), (("h1", "h3"),))
    assert ([each.host for each in twice.benched], twice.avoided) == (["h3"], ())


def named(*hosts):
    return replace(on(len(hosts), Path("mpiexec")), shares=tuple(HostShare(host=host, ranks=1) for host in hosts))


def stuck(rank, peer):
    position = Position(
        rank=rank, host=f"h{rank + 1}", stage="s", round_index=1, peer=peer, is_measuring=peer is not None, steps=3
    )
    return RankStanding(pid=rank, state=RankState.RUNS, position=position)
