"""A run whose ranks are launched twice, on threads: the second launch does what the first has left, without a host."""

import threading
from collections import Counter
from datetime import UTC, datetime

import pytest

from netprobe.model.endpoint import Calibration
from netprobe.model.plan import Pairing, Plan, Scope, Stage
from netprobe.model.record import RanksDone, RanksReady, RoundFinished, RoundStarted, StageFinished
from netprobe.model.run import Launch, RunStatus
from netprobe.plan.task import Roster, Task, decode, encode
from netprobe.session.worker import Session
from netprobe.store.reader import read_run
from netprobe.store.writer import RunWriter
from netprobe.transports.loopback import LoopbackControl, LoopbackTransport, LoopbackWorld

FEW = {"iterations": 4, "warmup_iterations": 1, "window": 2}
PLAN = Plan(
    profile="test",
    seed=3,
    stages=(
        Stage(
            id="pairs",
            probe="latency",
            scope=Scope.BETWEEN_HOSTS,
            sizes_bytes=(64,),
            pairing=Pairing.ALL_PAIRS,
            **FEW,
        ),
        Stage(id="all", probe="broadcast", scope=Scope.WORLD, sizes_bytes=(64,), root=1, **FEW),
    ),
    transport="loopback",
)
HOSTS = ("n0", "n1", "n2", "n3")
ROSTER: Roster = tuple((host, (number,)) for number, host in enumerate(HOSTS))
LEFT = ("n0", "n2", "n3")


class Kept:
    def __init__(self):
        self.records = []

    def emit(self, record):
        self.records.append(record)

    def of(self, kind):
        return [record for record in self.records if isinstance(record, kind)]


def launched(task, hosts, sink):
    """Run a task with a thread for each host, as a launch does; the task goes the way it goes to real ranks."""
    world, errors = LoopbackWorld(len(hosts)), []

    def rank_main(rank):
        session = Session(
            transport=LoopbackTransport(world, rank),
            control=LoopbackControl(world, rank),
            sink=sink if rank == 0 else None,
            calibration=Calibration(clock_read_ns=25.0, empty_iteration_ns=30.0),
            environment=(),
            host=hosts[rank],
        )
        try:
            session.run(decode(encode(task)))
        except BaseException as error:
            errors.append(error)
            world.fail()

    threads = [threading.Thread(target=rank_main, args=(rank,)) for rank in range(len(hosts))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    return sink


def series_of(sink):
    return [series for record in sink.of(RoundFinished) for series in record.series]


def resumed(hosts=LEFT, **changes):
    fields = {"plan": PLAN, "roster": ROSTER, "first_stage": 0, "first_round": 1}
    return launched(Task(**{**fields, **changes}), hosts, Kept())


def test_a_resumed_run_begins_where_the_task_says_and_goes_on_to_the_end():
    sink = resumed()

    started = [(each.stage, each.round_index) for each in sink.of(RoundStarted)]
    rounds = sink.of(RoundStarted)[0].rounds
    assert started == [*(("pairs", index) for index in range(1, rounds)), ("all", 0)]
    assert rounds > 2
    assert [each.outcome.stage for each in sink.of(StageFinished)] == ["pairs", "all"]


def test_ranks_of_a_resumed_run_keep_their_numbers_in_all_that_they_tell():
    sink = resumed()

    assert [(rank.rank, rank.host) for rank in sink.of(RanksReady)[0].ranks] == [(0, "n0"), (2, "n2"), (3, "n3")]
    pairs = {(each.src, each.dst) for each in series_of(sink) if each.stage == "pairs"}
    assert {number for pair in pairs for number in pair} == {0, 2, 3}
    assert {window.rank for record in sink.of(RoundFinished) for window in record.counters} == {0, 2, 3}
    assert sink.of(RanksDone)[0].ranks == (0, 2, 3)
    assert {each.outcome.ranks for each in sink.of(StageFinished)} == {(0, 2, 3)}


def test_a_missing_root_is_replaced():
    assert {each.root for each in series_of(resumed()) if each.stage == "all"} == {0}
    assert {each.root for each in series_of(resumed(hosts=HOSTS)) if each.stage == "all"} == {1}


def test_the_rounds_of_both_launches_are_those_of_one_plan():
    whole = launched(Task(plan=PLAN), HOSTS, Kept())
    again = resumed(hosts=HOSTS, first_round=0, plan=whole.of(RanksReady)[0].plan)

    def by_round(sink):
        return {(each.round_index, each.src, each.dst) for each in series_of(sink) if each.stage == "pairs"}

    assert by_round(whole) == by_round(again)
    without = {row for row in by_round(whole) if 1 not in row[1:] and row[0] >= 1}
    assert by_round(resumed(plan=whole.of(RanksReady)[0].plan)) == without


def test_a_pair_that_is_avoided_is_not_measured_again():
    pairs = {frozenset((each.src, each.dst)) for each in series_of(resumed(first_round=0, avoided=(("n2", "n3"),)))}

    assert frozenset((2, 3)) not in pairs
    assert frozenset((0, 2)) in pairs


def test_a_run_directory_holds_both_launches(tmp_path):
    launch = Launch(method="loopback", argv=(), mpi="")
    writer = RunWriter.create(tmp_path, PLAN, launch, started=datetime(2026, 1, 1, tzinfo=UTC), run_id="test")
    first = launched(Task(plan=PLAN), HOSTS, Kept())
    cut = next(index for index, each in enumerate(first.records) if isinstance(each, RoundFinished)) + 1
    for record in first.records[:cut]:
        writer.emit(record)
    launched(Task(plan=first.of(RanksReady)[0].plan, roster=ROSTER, first_round=1), LEFT, writer)
    writer.close(RunStatus.COMPLETE)

    run = read_run(writer.directory)

    assert [rank.host for rank in run.header.ranks] == list(HOSTS)
    assert [each.stage for each in run.header.outcomes] == ["pairs", "all"]
    timed = run.series.filter((run.series["stage"] == "pairs") & (run.series["phase"] == "timed"))
    assert max(Counter(zip(timed["src"], timed["dst"], timed["round_index"], strict=True)).values()) == 1
    assert {1, 2, 3} & set(timed.filter(timed["round_index"] == 0)["dst"])
    assert 1 not in {*timed.filter(timed["round_index"] > 0)["src"], *timed.filter(timed["round_index"] > 0)["dst"]}


@pytest.mark.parametrize("stage", [1, 2])
def test_stages_before_the_first_are_not_run_again(stage):
    sink = resumed(first_stage=stage, first_round=0)

    assert [each.outcome.stage for each in sink.of(StageFinished)] == ["all"][stage - 1 :]
    assert len(sink.of(RanksDone)) == 1
