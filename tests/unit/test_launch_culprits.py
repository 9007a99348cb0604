"""From a roll call to who is taken out: each fate beside the like of it that takes out nobody."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netprobe.launch.culprits import Conclusion, Halt, conclude
from netprobe.launch.lost import lost_rank
from netprobe.launch.rollcall import RollCall, path_targets
from netprobe.model.endpoint import Interface, Rank
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


def late(number):
    return HostStanding(host=f"h{number + 1}", report=None, error="no answer for 5 s", is_late=True)


def test_a_late_host_is_not_named_and_explains_nothing():
    stopped = answering(1, states=(RankState.STOPPED, RankState.STOPPED))

    assert benched(call(4, late(2))) == []
    assert benched(call(4, late(2), stopped)) == [("h2", Fate.STOPPED)]


def test_a_host_on_which_the_launcher_started_nothing_is_named_while_nobody_has_met():
    (only,) = concluded(call(4, empty(2)), halt(ranks=())).benched

    assert (only.host, only.fate) == ("h3", Fate.UNUSABLE)
    assert only.detail == "the launcher started no process there, though it did on 3 others"


@pytest.mark.parametrize("without", [2, 3, 4])
def test_where_no_more_than_half_of_the_hosts_have_a_process_nobody_is_named_for_having_none(without):
    assert benched(call(4, *(empty(number) for number in range(without))), halt(ranks=())) == []


def test_a_launch_that_ended_before_anybody_met_has_processes_nowhere():
    assert benched(call(4, empty(2)), halt(ranks=(), is_over=True)) == []


HYDRA = ("=   BAD TERMINATION OF ONE OF YOUR APPLICATION PROCESSES", "=   PID 29 RUNNING AT h3", "=   EXIT CODE: 9")
HYDRA_RANK = ("=   RANK 2 PID 29 RUNNING AT h3", "=   KILLED BY SIGNAL: 9 (Killed)")
OPEN_MPI = ("prterun noticed that process rank 2 with PID 12 on node h3 exited on signal 9 (Killed).",)
RULE = 74 * "-"
OPEN_MPI_WRAPPED = (
    RULE,
    "prterun noticed that process rank 2 with PID 12 on node h3 exited on",
    "signal 9 (Killed).",
    RULE,
)
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
        (OPEN_MPI_WRAPPED, 2, "killed by signal 9 (Killed)"),
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


WITNESS = ("  Local host: h1", "  Local PID:  138", "  Peer host:  h3")


@pytest.mark.parametrize(
    ("victim", "dead"),
    [("[h4:00138] Delaying for 1 seconds before aborting", "h3"), ("[h3:00000] *** An error occurred in Socket", None)],
)
def test_a_rank_that_complained_before_it_ended_is_not_the_one_that_its_peers_lost_first(victim, dead):
    lost = lost_rank((victim, *WITNESS))

    assert (lost and lost.host) == dead


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


def all_but(*silent):
    """Everything passes but between these pairs."""
    return lambda src, dst: {src, dst} not in [set(pair) for pair in silent]


@pytest.mark.parametrize(
    ("lost", "detail"),
    [
        ({"small": all_but(("h2", "h3"))}, "nothing passes between it and h2"),
        ({"full": all_but(("h2", "h3"))}, "packets of a whole MTU vanish between it and h2"),
        ({"full": lambda src, dst: (src, dst) != ("h3", "h2")}, "packets of a whole MTU vanish between it and h2"),
    ],
)
def test_when_all_wait_for_one_silent_path_the_later_of_its_ends_is_set_aside(lost, detail):
    in_a_collective = [answering(number, place=position(number)) for number in range(4)]

    (only,) = concluded(call(4, *in_a_collective, paths=paths(4, **lost))).benched

    assert (only.host, only.fate) == ("h3", Fate.ASIDE)
    assert only.detail.startswith(detail)


def test_ends_of_several_silent_paths_are_set_aside_together_and_no_more_than_half():
    lost = paths(6, small=all_but(("h1", "h4"), ("h2", "h5")))

    assert benched(call(6, paths=lost), count=6) == [("h4", Fate.ASIDE), ("h5", Fate.ASIDE)]


def test_an_end_that_two_silent_paths_on_two_networks_share_goes_alone():
    lost = [
        *paths(4, small=all_but(("h1", "h2"))),
        *paths(4, small=all_but(("h2", "h3")), network="10.2.0.0/24"),
    ]

    assert benched(call(paths=lost)) == [("h2", Fate.ASIDE)]


def measuring_together(first, second):
    return [answering(first, place=position(first, peer=second)), answering(second, place=position(second, peer=first))]


@pytest.mark.parametrize(
    ("lost", "conclusion"), [([], []), (paths(4, small=all_but(("h2", "h3"))), [("h3", Fate.ASIDE)])]
)
def test_a_pair_that_is_avoided_already_is_no_news(lost, conclusion):
    asked = call(4, *measuring_together(1, 2), paths=lost)

    found = conclude(asked, halt(), {host: host for host in hosts(4)}, avoided=(("h3", "h2"),))

    assert ([(each.host, each.fate) for each in found.benched], found.avoided) == (conclusion, ())


def test_a_partner_that_was_taken_out_does_not_speak_against_those_who_were_stuck_with_it():
    names = {host: host for host in hosts(5) if host != "h1"}
    everyone = call(5, *measuring_together(1, 2))
    asked = RollCall(hosts=tuple(each for each in everyone.hosts if each.host in names))

    found = conclude(asked, halt(5), names, avoided=(("h1", "h2"), ("h1", "h3")))

    assert (found.benched, found.avoided) == ((), (("h2", "h3"),))


PAIRS = [(first, second) for first in range(5) for second in range(first)]


@given(
    silent=st.sets(st.sampled_from(PAIRS)),
    large=st.sets(st.sampled_from(PAIRS)),
    stuck=st.lists(st.sampled_from(PAIRS), max_size=12),
)
def test_whatever_is_silent_no_halt_comes_to_the_same_conclusion_twice(silent, large, stuck):
    left, avoided = set(hosts(5)), ()
    for first, second in [*stuck, *[(0, 0)] * 12]:
        in_place = measuring_together(first, second) if first != second else []
        asked = call(5, *in_place, paths=paths(5, small=all_but(*named(silent)), full=all_but(*named(large))))
        asked = RollCall(
            hosts=tuple(each for each in asked.hosts if each.host in left),
            paths=tuple(path for path in asked.paths if {path.src, path.dst} <= left),
        )
        found = conclude(asked, halt(5), {host: host for host in left}, avoided)
        if found.fabric or found == Conclusion():
            break
        out = {each.host for each in found.benched}
        assert out <= left
        assert out or set(found.avoided) - set(avoided)
        left, avoided = left - out, (*avoided, *found.avoided)
    assert left


def named(pairs):
    return [(f"h{first + 1}", f"h{second + 1}") for first, second in pairs]


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


def of_one_leaf(size):
    """Something passes between hosts of one leaf alone, so many under each."""
    return lambda src, dst: (int(src[1:]) - 1) // size == (int(dst[1:]) - 1) // size


def test_large_packets_that_vanish_between_most_hosts_are_the_fabrics_and_no_hosts():
    found = concluded(call(8, paths=paths(8, full=lambda src, dst: {src, dst} == {"h1", "h2"})), count=8)

    assert found == Conclusion(
        fabric=f"packets of 9000 bytes vanish on 54 of 56 paths of {NETWORK}, small ones pass"
    )  # fmt: skip


@pytest.mark.parametrize("count", [3, 4, 5, 9])
def test_large_packets_that_pass_nowhere_take_out_nobody(count):
    found = concluded(call(count, paths=paths(count, full=lambda src, dst: False)), count=count)

    assert (found.fabric is not None, found.benched) == (True, ())


def test_four_leaves_without_their_spine_are_the_fabrics_and_no_hosts():
    found = concluded(call(8, paths=paths(8, small=of_one_leaf(2))), count=8)

    assert found == Conclusion(fabric=f"48 of 56 paths of {NETWORK} give no answer")


@pytest.mark.parametrize(("away", "is_fabric"), [(4, False), (5, True)])
def test_half_of_the_hosts_may_be_cut_off_and_no_more(away, is_fabric):
    found = concluded(call(8, paths=paths(8, full=cut_singly(hosts(8)[-away:]))), count=8)

    assert (found.fabric is not None, len(found.benched)) == (is_fabric, 0 if is_fabric else away)


def cut_singly(away):
    return lambda src, dst: src not in away and dst not in away


def test_a_network_that_fails_most_hosts_does_not_hide_one_that_fails_a_single_host():
    both = [*paths(8, small=of_one_leaf(2)), *paths(8, small=cut("h3"), network="10.2.0.0/24")]

    assert benched(call(8, paths=both), count=8) == [("h3", Fate.CUT_OFF)]


def test_a_frozen_process_outranks_a_network_that_fails_most_hosts():
    turning = [active(number, 5, 5 if number == 6 else 9) for number in range(8)]

    assert benched(call(8, *turning, paths=paths(8, small=of_one_leaf(2))), count=8) == [("h7", Fate.IDLE)]


def test_a_way_back_that_nobody_tried_says_nothing():
    firewall = [path for path in paths(4, small=only_to("h2")) if path.src != "h2"]

    assert concluded(call(paths=firewall)) == Conclusion()


def asked_of(asked, answers):
    """The call with the paths that its hosts would try, answered as told."""
    tried = [
        PathAnswer(
            src=each.src,
            dst=each.dst,
            interface="eth1",
            network=each.network,
            mtu_bytes=9000,
            small=answers(each.src, each.dst),
            full=None,
        )
        for targets in path_targets(asked).values()
        for each in targets
    ]
    return replace(asked, paths=tuple(tried))


def with_interfaces(standing, *networks):
    number = standing.host[1:]
    interfaces = tuple(
        Interface(name="eth1", address=f"10.{network}.0.{number}", network=f"10.{network}.0.0/24", mtu_bytes=9000)
        for network in networks
    )
    return replace(standing, report=replace(standing.report, interfaces=interfaces))


def frozen_at(frozen, count, networks_of):
    standings = [active(number, 5, 5 if number + 1 == frozen else 9) for number in range(count)]
    return RollCall(hosts=tuple(with_interfaces(each, *networks_of(int(each.host[1:]))) for each in standings))


def test_a_firewall_on_one_of_many_hosts_does_not_hide_the_one_that_is_frozen():
    asked = asked_of(frozen_at(20, 32, lambda _: (1,)), lambda _, dst: dst != "h9")

    assert benched(asked, halt(32), count=32) == [("h20", Fate.IDLE)]


def test_a_network_that_some_hosts_are_not_on_does_not_hide_the_one_that_is_frozen():
    asked = asked_of(
        frozen_at(5, 8, lambda number: (1, 9) if number <= 6 else (1,)),
        lambda src, dst: True,
    )

    assert {path.network for path in asked.paths if "h8" in (path.src, path.dst)} == {"10.1.0.0/24"}
    assert benched(asked, halt(8), count=8) == [("h5", Fate.IDLE)]


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
