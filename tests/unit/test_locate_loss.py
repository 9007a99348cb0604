"""Which hosts explain lossy directions; and which rounds a host's counters belong to."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from netprobe.locate.loss import LossRows, blame_loss, is_lossy, loss_rows, without_timeouts
from netprobe.locate.placement import placement_of
from netprobe.locate.timers import timer_of
from netprobe.model.endpoint import Rank
from netprobe.model.evidence import NO_COUNTERS, CounterTable, PairTable
from netprobe.model.plan import Pairing, Path, Scope
from netprobe.model.series import Metric
from netprobe.plan.pairing import drawn_matchings

SENT = 1e6


def rows_of(pairs, lost):
    """Return rows of these directed pairs; ``lost(src, dst)`` segments of a million."""
    src, dst = np.array(pairs, dtype=np.int64).T
    gone = np.array([lost(a, b) for a, b in pairs], dtype=float)
    nothing = np.zeros(len(pairs))
    return LossRows(
        src=src,
        dst=dst,
        sent=np.full(len(pairs), SENT),
        retransmitted=gone,
        lost=gone,
        timeouts=nothing,
        out_of_order=nothing,
        rounds=np.ones(len(pairs), dtype=np.int64),
        stalled_rounds=np.zeros(len(pairs), dtype=np.int64),
        needed=nothing,
    )


def blamed(rows):
    blame = blame_loss(rows, is_lossy(rows, smallest_ratio=1e-4, fewest=3))
    paths = [(int(rows.src[row]), int(rows.dst[row])) for row in blame.paths]
    return {(each.host, each.sends) for each in blame.hosts}, paths


def screened(hosts, seed, matchings=3):
    """Return the directed pairs of a screening: each host meets so many partners, both ways."""
    drawn = drawn_matchings(hosts, Pairing.SCREENING, matchings, seed)
    return sorted({pair for matching in drawn for a, b in matching for pair in ((a, b), (b, a))})


@given(hosts=st.integers(8, 40).map(lambda half: 2 * half), seed=st.integers(0, 10_000), sends=st.booleans())
def test_a_screening_names_the_one_host_that_loses_and_nobody_else(hosts, seed, sends):
    rows = rows_of(screened(hosts, seed), lambda a, b: 1000 if (a if sends else b) == 5 else 0)

    assert blamed(rows) == ({(5, sends)}, [])


@given(seed=st.integers(0, 10_000), data=st.data())
def test_nobody_is_blamed_who_loses_nothing_however_the_bad_hosts_lie(seed, data):
    bad = {(host, data.draw(st.booleans())) for host in data.draw(st.sets(st.integers(0, 29), max_size=6))}
    rows = rows_of(screened(30, seed), lambda a, b: 1000 if (a, True) in bad or (b, False) in bad else 0)

    hosts, paths = blamed(rows)

    assert hosts <= bad
    # What is not explained by a host that was named still belongs to a bad one.
    assert all((a, True) in bad or (b, False) in bad for a, b in paths)


def test_a_whole_fleet_of_all_pairs_is_explained_by_its_bad_hosts():
    pairs = [(a, b) for a in range(200) for b in range(200) if a != b]
    bad = {(7, True), (8, True), (90, False), (150, True), (150, False)}

    rows = rows_of(pairs, lambda a, b: 500 if (a, True) in bad or (b, False) in bad else 0)

    assert blamed(rows) == (bad, [])


def test_a_host_that_loses_with_half_of_its_partners_is_not_named():
    pairs = [(0, b) for b in range(1, 5)] + [(a, b) for a in range(1, 5) for b in range(1, 5) if a != b]

    hosts, paths = blamed(rows_of(pairs, lambda a, b: 1000 if a == 0 and b < 3 else 0))

    assert (hosts, paths) == (set(), [(0, 1), (0, 2)])


def table(src, dst, round_index, **changes):
    count = len(src)
    fields = {
        "stage": "bandwidth",
        "probe": "bandwidth",
        "metric": Metric.WINDOW,
        "scope": Scope.BETWEEN_HOSTS,
        "size_bytes": 1 << 20,
        "bytes_per_iteration": 16 << 20,
        "window": 16,
        "directed": True,
        "samples": np.ones(count, dtype=np.int64),
        **changes,
    }
    names = ("min_ns", "p50_ns", "p99_ns", "p999_ns", "max_ns", "total_ns")
    fields = {name: np.full(count, 1e6) for name in names} | fields
    return PairTable(src=np.array(src), dst=np.array(dst), round_index=np.array(round_index), **fields)


def waited(ms, *ends, **changes):
    """Return a table of series whose slowest iteration took so long."""
    return table(*ends, max_ns=np.full(len(ends[0]), ms * 1e6), **changes)


def windows(*rows, stage="bandwidth"):
    """Return counter windows from (round, rank, retransmitted, sent)."""
    values = np.array(rows, dtype=float)
    return CounterTable(
        stage=(stage,) * len(rows),
        round_index=values[:, 0].astype(np.int64),
        rank=values[:, 1].astype(np.int64),
        elapsed_ns=np.full(len(rows), 1e9),
        grown={"tcp/RetransSegs": values[:, 2], "tcp/TCPOrigDataSent": values[:, 3]},
    )


def placed(*hosts):
    return placement_of(
        tuple(
            Rank(rank=number, host=host, local_index=hosts[:number].count(host), cpus=(0,), pid=1)
            for number, host in enumerate(hosts)
        )
    )


def as_dict(rows, name):
    values = getattr(rows, name)
    return {(int(a), int(b)): values[at] for at, (a, b) in enumerate(zip(rows.src, rows.dst, strict=True))}


def test_what_a_host_sent_again_belongs_to_its_partner_of_that_round():
    counters = windows((0, 0, 5, 1000), (0, 1, 1, 900), (1, 0, 0, 1000), (1, 2, 2, 900))

    rows = loss_rows(counters, (table([0, 0], [1, 2], [0, 1]),), placed("a", "b", "c"))

    assert as_dict(rows, "lost") == {(0, 1): 5, (1, 0): 1, (0, 2): 0, (2, 0): 2}
    assert as_dict(rows, "sent") == {(0, 1): 1000, (1, 0): 900, (0, 2): 1000, (2, 0): 900}


def test_ranks_of_one_host_share_its_counters_and_are_counted_once():
    counters = windows((0, 0, 5, 1000), (0, 1, np.nan, np.nan), (0, 2, 0, 1000), (0, 3, np.nan, np.nan))

    rows = loss_rows(counters, (table([0, 1], [2, 3], [0, 0]),), placed("a", "a", "b", "b"))

    assert as_dict(rows, "lost") == {(0, 1): 5, (1, 0): 0}


def test_a_round_with_two_partners_belongs_to_neither():
    counters = windows((0, 0, 5, 1000), (0, 2, 0, 1000), (0, 3, 0, 1000))

    rows = loss_rows(counters, (table([0, 1], [2, 3], [0, 0]),), placed("a", "a", "b", "c"))

    assert as_dict(rows, "lost")[0, 1] == 0
    assert np.isnan(as_dict(rows, "sent")[0, 1])


def test_without_counters_nothing_is_known_rather_than_clean():
    rows = loss_rows(NO_COUNTERS, (table([0], [1], [0]),), placed("a", "b"))

    assert np.isnan(rows.sent).all()
    assert not rows.is_counted.any()


def test_fewer_segments_than_the_messages_need_are_another_transports():
    counters = windows((0, 0, 0, 300), (0, 1, 0, 300))
    pings = {"metric": Metric.ROUND_TRIP, "directed": False, "bytes_per_iteration": 16}

    slow = loss_rows(counters, (table([0], [1], [0], samples=np.array([600]), **pings),), placed("a", "b"))
    fast = loss_rows(counters, (table([0], [1], [0], samples=np.array([700]), **pings),), placed("a", "b"))

    assert slow.is_counted.all()
    assert not fast.is_counted.any()


@pytest.mark.parametrize(
    ("stall_ms", "timer"),
    [(66, None), (68, "RoCE"), (120, None), (201, "TCP"), (410, "TCP"), (1080, "RoCE"), (4300, "RoCE"), (9000, None)],
)
def test_stalls_are_known_by_the_timers_that_make_them(stall_ms, timer):
    found = timer_of(stall_ms * 1e6)

    assert (found or "").partition(" ")[0] == (timer or "")


def test_what_was_sent_again_into_the_void_is_no_loss_between_hosts_that_are_well():
    rows = rows_of([(0, 1), (1, 0)], lambda a, b: 40)
    rows = replace(rows, timeouts=np.array([40.0, 3.0]))

    assert without_timeouts(rows).lost.tolist() == [0.0, 37.0]


def with_timeouts(counters, timeouts):
    return replace(counters, grown={**counters.grown, "tcp/TCPTimeouts": np.array(timeouts, dtype=float)})


@pytest.mark.parametrize(("timeouts", "lost"), [((4, 0), 0), ((3, 1), 4)])
def test_timeouts_in_one_round_of_several_are_of_connections_that_are_gone(timeouts, lost):
    counters = with_timeouts(windows((0, 0, timeouts[0], 9000), (1, 0, timeouts[1], 9000)), timeouts)

    rows = loss_rows(counters, (waited(201, [0, 0], [1, 1], [0, 1]),), placed("a", "b"))

    assert as_dict(rows, "lost")[0, 1] == lost


@pytest.mark.parametrize(("slowest_ms", "lost"), [(199, 0), (201, 4)])
def test_timeouts_in_the_only_round_are_lost_packets_where_an_iteration_waited_for_them(slowest_ms, lost):
    counters = with_timeouts(windows((0, 0, 4, 9000)), (4,))

    rows = loss_rows(counters, (waited(slowest_ms, [0], [1], [0]),), placed("a", "b"))

    assert as_dict(rows, "lost")[0, 1] == lost


@pytest.mark.parametrize(("ahead", "lost"), [(0, 0), (1, 4)])
def test_timeouts_are_lost_packets_where_something_arrived_ahead_of_them(ahead, lost):
    counters = with_timeouts(windows((0, 0, 4, 9000), (0, 1, 0, 9000)), (4, 0))
    counters = replace(counters, grown={**counters.grown, "tcp/TCPOFOQueue": np.array([0.0, ahead])})

    rows = loss_rows(counters, (table([0], [1], [0]),), placed("a", "b"))

    assert as_dict(rows, "lost")[0, 1] == lost


def test_rounds_over_rdma_tell_tcp_nothing_but_of_their_control():
    counters = windows((0, 0, 5, 1000), (0, 1, 1, 900), (1, 0, 0, 1000), (1, 2, 2, 900))
    over_mpi = table([0], [1], [0])
    over_rdma = replace(table([0], [2], [1]), path=Path.VERBS)

    rows = loss_rows(counters, (over_mpi, over_rdma), placed("a", "b", "c"))

    assert as_dict(rows, "lost") == {(0, 1): 5, (1, 0): 1}


@pytest.mark.parametrize(("stall_ms", "timer"), [(68, "RoCE"), (201, None), (410, None), (1080, "RoCE")])
def test_what_goes_over_rdma_is_not_stopped_by_a_timer_of_tcp(stall_ms, timer):
    found = timer_of(stall_ms * 1e6, Path.VERBS)

    assert (found or "").partition(" ")[0] == (timer or "")
