"""From a roll call to who is taken out: each fate beside the like of it that takes out nobody."""

from dataclasses import replace

import pytest

from netprobe.launch.culprits import Conclusion, Halt, conclude
from netprobe.launch.lost import lost_rank
from netprobe.launch.rollcall import RollCall
from netprobe.model.endpoint import Rank
from netprobe.model.standing import (
    Fate,
    HostReport,
    HostStanding,
    PathAnswer,
    Position,
    RankStanding,
    RankState,
)
from netprobe.units import NS_PER_S

NETWORK = "10.1.0.0/24"


def hosts(count):
    return [f"h{number}" for number in range(1, count + 1)]


def ranks(count):
    return tuple(Rank(rank=n, host=f"h{n + 1}", local_index=0, cpus=(0,), pid=100 + n) for n in range(count))


def halt(count=4, **changes):
    fields = {
        "stage": "latency",
        "round_index": 2,
        "last_stage": "latency",
        "last_round_index": 1,
        "waited_ns": 9 * NS_PER_S,
        "ranks": ranks(count),
    }
    return Halt(**{**fields, **changes})


def position(rank, peer=None, round_index=2, is_measuring=True, steps=7):
    return Position(
        rank=rank,
        host=f"h{rank + 1}",
        stage="latency",
        round_index=round_index,
        peer=peer,
        is_measuring=is_measuring,
        steps=steps,
    )


def answering(number, *, states=(RankState.RUNS, RankState.RUNS), place=None):
    """A host with one rank, as seen at both looks."""
    before, now = (RankStanding(pid=100 + number, state=state, position=place) for state in states)
    report = HostReport(before=(before,), ranks=(now,), moved_bytes=0)
    return HostStanding(host=f"h{number + 1}", report=report)


def silent(number, error="no answer for 5 s"):
    return HostStanding(host=f"h{number + 1}", report=None, error=error)


def call(count=4, *special, paths=()):
    """A job of so many hosts, all well but the special ones."""
    standings = {f"h{number + 1}": answering(number) for number in range(count)}
    standings |= {each.host: each for each in special}
    return RollCall(hosts=tuple(standings.values()), paths=tuple(paths))


def paths(count, *, small=lambda src, dst: True, full=lambda src, dst: True, network=NETWORK):
    return [
        PathAnswer(
            src=src,
            dst=dst,
            interface="eth1",
            network=network,
            mtu_bytes=9000,
            small=small(src, dst),
            full=full(src, dst) if small(src, dst) else False,
        )
        for src in hosts(count)
        for dst in hosts(count)
        if src != dst
    ]


def concluded(asked, job=None, count=4):
    return conclude(asked, job or halt(count), {host: host for host in hosts(count)})


def benched(*arguments, **named):
    return [(each.host, each.fate) for each in concluded(*arguments, **named).benched]


def test_hosts_that_are_all_well_are_all_kept():
    assert concluded(call()) == Conclusion()


def test_a_host_that_does_not_answer_is_taken_out_with_what_was_heard_of_it():
    (only,) = concluded(call(4, silent(2, "No route to host"))).benched

    assert (only.host, only.fate, only.detail) == ("h3", Fate.UNREACHABLE, "No route to host")


def test_whoever_is_taken_out_is_told_with_where_the_run_was_and_with_whom():
    partner = answering(1, place=position(1, peer=2))

    (only,) = concluded(call(4, silent(2), partner)).benched

    assert (only.ranks, only.peers) == ((2,), ("h2",))
    assert (only.stage, only.round_index, only.last_stage, only.last_round_index) == ("latency", 2, "latency", 1)
    assert only.waited_ns == 9 * NS_PER_S


def test_a_silent_host_explains_what_else_is_seen():
    stopped = answering(1, states=(RankState.STOPPED, RankState.STOPPED))

    assert benched(call(4, silent(2), stopped)) == [("h3", Fate.UNREACHABLE)]


@pytest.mark.parametrize(
    ("states", "fates"),
    [
        ((RankState.STOPPED, RankState.STOPPED), [("h2", Fate.STOPPED)]),
        ((RankState.RUNS, RankState.STOPPED), []),
        ((RankState.STOPPED, RankState.RUNS), []),
        ((RankState.BLOCKED, RankState.BLOCKED), [("h2", Fate.BLOCKED)]),
        ((RankState.RUNS, RankState.BLOCKED), []),
        ((RankState.GONE, RankState.GONE), [("h2", Fate.GONE)]),
        ((RankState.RUNS, RankState.GONE), []),
        ((RankState.RUNS, RankState.RUNS), []),
    ],
)
def test_a_process_counts_as_idle_when_it_is_so_at_both_looks(states, fates):
    assert benched(call(4, answering(1, states=states))) == fates


def active(number, before, now):
    """A host whose process counted so much at each look; None: its system does not tell."""
    looks = [
        RankStanding(pid=100 + number, state=RankState.RUNS, position=None, activity=each) for each in (before, now)
    ]
    return HostStanding(
        host=f"h{number + 1}", report=HostReport(before=(looks[0],), ranks=(looks[1],), moved_bytes=0)
    )  # fmt: skip


@pytest.mark.parametrize(
    ("others", "activity", "fates"),
    [
        ((5, 9), (5, 5), [("h2", Fate.IDLE)]),
        ((5, 9), (5, 6), []),
        ((5, 9), (None, None), []),
        ((5, 5), (5, 5), []),
    ],
)
def test_a_process_that_does_nothing_is_taken_out_where_the_others_turn_in_their_calls(others, activity, fates):
    asked = call(3, active(0, *others), active(1, *activity), active(2, *others))

    assert benched(asked, count=3) == fates


def test_of_two_processes_one_that_does_nothing_is_not_the_odd_one():
    assert benched(call(2, active(0, 5, 9), active(1, 5, 5)), count=2) == []


def empty(number):
    return HostStanding(host=f"h{number + 1}", report=HostReport(before=(), ranks=(), moved_bytes=0))


def test_a_host_without_its_process_is_taken_out_while_the_others_still_run():
    assert benched(call(4, empty(3))) == [("h4", Fate.GONE)]


def test_a_job_that_is_over_has_processes_nowhere_and_that_says_nothing():
    assert benched(call(4, empty(3)), halt(is_over=True)) == []
    assert benched(call(4, *(empty(number) for number in range(4)))) == []


@pytest.mark.parametrize("lost", [1, 2])
def test_a_host_that_lost_one_of_its_two_processes_is_taken_out(lost):
    two_each = (*ranks(2), *(replace(rank, rank=rank.rank + 2, local_index=1) for rank in ranks(2)))
    whole = HostReport(
        before=(),
        ranks=tuple(RankStanding(pid=pid, state=RankState.RUNS, position=None) for pid in (1, 2)),
        moved_bytes=0,
    )
    asked = RollCall(
        hosts=(
            HostStanding(host="h1", report=whole),
            HostStanding(host="h2", report=replace(whole, ranks=whole.ranks[lost:])),
        )
    )

    assert benched(asked, halt(ranks=two_each), count=2) == [("h2", Fate.GONE)]


HYDRA = ("=   BAD TERMINATION OF ONE OF YOUR APPLICATION PROCESSES", "=   PID 29 RUNNING AT h3", "=   EXIT CODE: 9")
HYDRA_RANK = ("=   RANK 2 PID 29 RUNNING AT h3", "=   KILLED BY SIGNAL: 9 (Killed)")
OPEN_MPI = ("prterun noticed that process rank 2 with PID 12 on node h3 exited on signal 9 (Killed).",)
OPEN_MPI_FAULT = (
    "mpirun noticed that process rank 2 with PID 12 on node h3 exited on signal 11 (Segmentation fault).",
)
SRUN = ("srun: error: h3: task 2: Killed",)
SRUN_FAULT = ("srun: error: h3: tasks 2-3: Segmentation fault (core dumped)",)


@pytest.mark.parametrize(
    ("lines", "rank", "how"),
    [
        (HYDRA, None, "killed by signal 9"),
        (HYDRA_RANK, 2, "killed by signal 9 (Killed)"),
        (OPEN_MPI, 2, "killed by signal 9 (Killed)"),
        (OPEN_MPI_FAULT, 2, "killed by signal 11 (Segmentation fault)"),
        (SRUN, 2, "killed by a signal (Killed)"),
        (SRUN_FAULT, 2, "killed by a signal (Segmentation fault)"),
    ],
)
def test_a_launchers_last_words_name_the_rank_that_was_lost(lines, rank, how):
    lost = lost_rank(("UCX WARN odd", *lines))

    assert (lost.rank, lost.host, lost.how) == (rank, "h3", how)
    assert benched(call(), halt(is_over=True, lines=lines)) == [("h3", Fate.GONE)]


@pytest.mark.parametrize(
    "lines",
    [
        (),
        ("=   PID 29 RUNNING AT h3", "=   EXIT CODE: 1"),
        ("=   PID 29 RUNNING AT h3", "=   EXIT CODE: 90"),
        ("=   PID 29 RUNNING AT h3",),
        ("=   EXIT CODE: 9",),
        ("srun: error: h3: task 2: Exited with exit code 1",),
    ],
)
def test_a_rank_that_ended_by_itself_or_that_nobody_names_is_not_lost(lines):
    assert lost_rank(lines) is None


@pytest.mark.parametrize("lines", [HYDRA, HYDRA_RANK, OPEN_MPI, SRUN])
def test_ranks_that_end_because_the_job_was_ended_say_nothing(lines):
    assert benched(call(), halt(lines=lines, is_over=False)) == []


def test_the_rank_that_a_launcher_names_is_that_of_its_own_launch():
    left = (*ranks(4)[:1], *ranks(4)[2:])  # h2 was taken out before, so MPI's rank 2 is the run's rank 3 on h4

    (only,) = concluded(call(), halt(ranks=left, is_over=True, lines=HYDRA_RANK)).benched

    assert (only.host, only.ranks) == ("h4", (3,))


def test_a_host_that_the_launcher_calls_otherwise_is_found_by_the_names_of_its_ranks():
    asked = RollCall(hosts=tuple(replace(each, host=f"10.0.0.{n}") for n, each in enumerate(call().hosts)))
    names = {f"10.0.0.{number}": f"h{number + 1}" for number in range(4)}

    (only,) = conclude(asked, halt(is_over=True, lines=HYDRA), names).benched

    assert (only.host, only.ranks) == ("10.0.0.2", (2,))


def test_a_host_that_nobody_knows_is_not_taken_out():
    strange = ("=   PID 29 RUNNING AT elsewhere", "=   EXIT CODE: 9")

    assert benched(call(), halt(is_over=True, lines=strange)) == []


def cut(*away):
    """Nothing passes between these hosts and the others."""
    return lambda src, dst: (src in away) == (dst in away)


def only_to(*away):
    """Nothing arrives at these hosts, what they send does."""
    return lambda src, dst: dst not in away


def test_a_host_that_no_other_reaches_is_cut_off():
    (only,) = concluded(call(paths=paths(4, small=cut("h2")))).benched

    assert (only.host, only.fate) == ("h2", Fate.CUT_OFF)
    assert only.detail == f"6 of 6 paths of {NETWORK} give no answer, though the host itself does"


def test_a_host_that_does_not_answer_such_packets_but_gets_answers_is_not_cut_off():
    assert benched(call(paths=paths(4, small=only_to("h2")))) == []


def test_the_smaller_side_of_a_cut_is_taken_out():
    assert benched(call(5, paths=paths(5, small=cut("h1", "h2"))), count=5) == [
        ("h1", Fate.CUT_OFF),
        ("h2", Fate.CUT_OFF),
    ]


@pytest.mark.parametrize("away", [("h1", "h2"), ("h3", "h4")])
def test_of_two_equal_halves_the_one_with_the_first_host_stays(away):
    assert benched(call(paths=paths(4, small=cut(*away)))) == [("h3", Fate.CUT_OFF), ("h4", Fate.CUT_OFF)]


def test_a_single_silent_pair_is_a_path_and_nobodys_fault():
    lost = paths(4, small=lambda src, dst: {src, dst} != {"h2", "h3"})

    assert benched(call(paths=lost)) == []


def test_two_silent_pairs_with_a_host_in_common_are_that_hosts():
    lost = paths(5, small=lambda src, dst: {src, dst} not in ({"h2", "h3"}, {"h2", "h4"}))

    assert benched(call(5, paths=lost), count=5) == [("h2", Fate.CUT_OFF)]


def test_of_two_hosts_that_do_not_hear_each_other_neither_is_to_blame():
    assert benched(call(2, paths=paths(2, small=cut("h2"))), count=2) == []


def test_a_network_that_answers_nobody_says_nothing():
    assert benched(call(paths=paths(4, small=lambda src, dst: False))) == []


def test_a_second_network_is_looked_at_when_the_first_is_whole():
    both = [*paths(4, network="10.0.0.0/24"), *paths(4, small=cut("h3"))]

    assert benched(call(paths=both)) == [("h3", Fate.CUT_OFF)]


@pytest.mark.parametrize("direction", [cut("h3"), only_to("h3"), lambda src, dst: src != "h3"])
def test_large_packets_that_vanish_in_one_direction_or_both_are_a_black_hole_of_one_host(direction):
    (only,) = concluded(call(paths=paths(4, full=direction))).benched

    assert (only.host, only.fate) == ("h3", Fate.BLACK_HOLE)
    assert only.detail.startswith("packets of 9000 bytes vanish on ")


def test_large_packets_that_could_not_be_sent_say_nothing():
    untried = [replace(path, full=None) for path in paths(4)]

    assert benched(call(paths=untried)) == []


def test_a_silent_path_outranks_one_that_loses_large_packets():
    lost = paths(5, small=cut("h2"), full=cut("h3"))

    assert benched(call(5, paths=lost), count=5) == [("h2", Fate.CUT_OFF)]


def test_a_partner_that_is_elsewhere_is_stuck():
    waiting = answering(1, place=position(1, peer=2))
    elsewhere = answering(2, place=position(2, round_index=1, is_measuring=False))

    (only,) = concluded(call(4, waiting, elsewhere)).benched

    assert (only.host, only.fate, only.peers) == ("h3", Fate.STUCK, ("h2",))
    assert only.detail == "process 102 does not move while h2 waits for it"


def test_a_partner_that_has_done_its_part_is_not():
    waiting = answering(1, place=position(1, peer=2))
    done = answering(2, place=position(2, round_index=2, is_measuring=False))

    assert concluded(call(4, waiting, done)) == Conclusion()


def test_a_pair_that_measures_and_does_not_move_is_avoided_and_no_host_is_named():
    first, second = answering(2, place=position(2, peer=1)), answering(1, place=position(1, peer=2))

    assert concluded(call(4, first, second)) == Conclusion(avoided=(("h2", "h3"),))


def test_ranks_of_one_host_that_wait_for_each_other_are_no_pair_of_hosts():
    first = answering(1, place=position(1, peer=2))
    second = answering(2, place=replace(position(2, peer=1), host="h2"))

    assert concluded(call(4, first, second)) == Conclusion()


def test_ranks_in_a_collective_have_no_partner_to_be_blamed_for():
    in_it = [answering(number, place=position(number)) for number in range(4)]

    assert concluded(call(4, *in_it)) == Conclusion()


def test_open_mpis_ranks_name_the_peer_that_they_lost():
    lost = lost_rank(["  Local host: h4", "  Local PID:  122", "  Peer host:  h3"])

    assert (lost.rank, lost.host, lost.how) == (None, "h3", "its peers lost the connection to it")


def test_of_ranks_that_lost_each_other_nobody_is_named():
    lines = ["  Local host: h5", "  Peer host:  h3", "  Local host: h3", "  Peer host:  h5"]

    assert lost_rank(lines) is None
