"""Whom a second pass measures again, with whom, and in which rounds."""

from dataclasses import replace

import pytest
from judge_samples import series

from netprobe.model.counters import CounterWindow
from netprobe.model.endpoint import Rank
from netprobe.model.plan import Path, Plan, Scope, Stage
from netprobe.model.rdma import Operation, RdmaOptions
from netprobe.model.series import Metric
from netprobe.plan.flows import PORTS, can_vary_ports
from netprobe.plan.pairing import Pairing, both_ways, rounds_between
from netprobe.plan.second_pass import second_pass
from netprobe.plan.suspicion import Suspicion
from netprobe.sim.screening import Screening, SlowHost, screening_run
from netprobe.store.series_table import series_of

BANDWIDTH = Stage(
    id="bandwidth-between-hosts", probe="bandwidth", scope=Scope.BETWEEN_HOSTS, sizes_bytes=(8, 1 << 20), window=16
)
LATENCY = Stage(id="latency-between-hosts", probe="latency", scope=Scope.BETWEEN_HOSTS, sizes_bytes=(8,), window=1)
NORMAL_NS = 300_000
ROUND_TRIP_NS = 40_000


def plan_of(*stages, seed=3):
    return Plan(profile="test", seed=seed, stages=stages or (BANDWIDTH, LATENCY))


def ranks_of(hosts, each=1):
    return tuple(
        Rank(rank=host * each + place, host=f"h{host}", local_index=place, cpus=(place,), pid=1)
        for host in range(hosts)
        for place in range(each)
    )


def screened(hosts=8, *, each=1, matchings=3, times=lambda _src, _dst, _round: 1.0, late=lambda _src, _dst: 1.0):
    """Return the series of a screening in which pairs take so many times as long as normal."""
    by_host = [list(range(host * each, (host + 1) * each)) for host in range(hosts)]
    rounds = rounds_between(by_host, Pairing.SCREENING, matchings, 3)
    measured = []
    for index, drawn in enumerate(both_ways(rounds)):
        for src, dst in drawn.pairs:
            elapsed_ns = round(NORMAL_NS * times(src, dst, index))
            measured.append(series(src, dst, [elapsed_ns] * 20, stage=BANDWIDTH.id, round_index=index))
    for index, drawn in enumerate(rounds):
        for src, dst in drawn.pairs:
            samples = [round(ROUND_TRIP_NS * late(src, dst))] * 20
            traits = {"probe": "latency", "metric": Metric.ROUND_TRIP, "size_bytes": 8, "bytes_per_iteration": 16}
            measured.append(series(src, dst, samples, stage=LATENCY.id, round_index=index, window=1, **traits))
    return measured


def slow_sender(*senders, by=0.9):
    return lambda src, _dst, _round: 1 / by if src in senders else 1.0


def partners_in(stage, host):
    return {other for pairs in stage.rounds for a, b in pairs if host in (a, b) for other in (a, b) if other != host}


def met_by(host, measured):
    return {other for row in measured if host in (row.src, row.dst) for other in (row.src, row.dst)} - {host}


def test_a_fleet_without_suspects_is_not_measured_again():
    assert second_pass(plan_of(), ranks_of(8), screened()) == ()


@pytest.mark.parametrize(("by", "stages"), [(0.97, 1), (0.98, 0)])
def test_half_of_what_a_detector_needs_makes_a_suspect(by, stages):
    assert len(second_pass(plan_of(), ranks_of(8), screened(times=slow_sender(2, by=by)))) == stages


def test_a_suspect_meets_two_new_partners_in_both_directions():
    measured = screened(times=slow_sender(2))

    (stage,) = second_pass(plan_of(), ranks_of(8), measured)

    assert stage.id == "second-pass-bandwidth"
    assert (stage.sizes_bytes, stage.window, stage.series_budget_ns) == (
        BANDWIDTH.sizes_bytes,
        BANDWIDTH.window,
        BANDWIDTH.series_budget_ns,
    )
    assert len(partners_in(stage, 2)) == 2
    assert not partners_in(stage, 2) & met_by(2, measured)
    directed = {pair for pairs in stage.rounds for pair in pairs}
    assert directed == {(b, a) for a, b in directed}


def test_a_suspect_in_latency_is_measured_again_in_latency():
    late = screened(late=lambda src, dst: 1.5 if 2 in (src, dst) else 1.0)

    (stage,) = second_pass(plan_of(), ranks_of(8), late)

    assert stage.id == "second-pass-latency"
    assert [len(pairs) for pairs in stage.rounds] == [1, 1]


def test_no_host_has_two_partners_at_once_and_none_is_a_suspect():
    stages = second_pass(plan_of(), ranks_of(16), screened(16, times=slow_sender(2, 9, 12)))

    for pairs in stages[0].rounds:
        busy = [rank for pair in pairs for rank in pair]
        assert len(busy) == len(set(busy))
    assert all(len(partners_in(stages[0], suspect)) == 2 for suspect in (2, 9, 12))
    assert not (partners_in(stages[0], 2) | partners_in(stages[0], 9)) & {2, 9, 12}


def test_all_ranks_of_a_suspect_meet_those_of_the_same_place():
    measured = screened(8, each=2, times=lambda src, _dst, _round: 1.2 if src in (4, 5) else 1.0)

    (stage,) = second_pass(plan_of(), ranks_of(8, each=2), measured)

    assert all({a % 2 for a, _ in pairs} == {0, 1} and all(a % 2 == b % 2 for a, b in pairs) for pairs in stage.rounds)


def test_partners_sit_on_two_leaves_where_leaves_are_known():
    measured = screened(12, times=slow_sender(2))
    ranks = tuple(replace(rank, leaf="far" if rank.rank == 7 else "near") for rank in ranks_of(12))

    (stage,) = second_pass(plan_of(), ranks, measured)

    assert 7 in partners_in(stage, 2)


def test_a_partner_whose_leaf_is_known_is_preferred_and_one_on_the_same_leaf_is_better_than_none():
    measured = screened(12, times=slow_sender(2))
    known = {5: "near", 7: "far"}

    def partners(leaf_of):
        ranks = tuple(replace(rank, leaf=leaf_of(rank.rank)) for rank in ranks_of(12))
        (stage,) = second_pass(plan_of(), ranks, measured)
        return partners_in(stage, 2)

    assert partners(known.get) == {5, 7}
    assert len(partners(lambda _: "the only one")) == 2


def test_a_pair_with_a_suspect_is_held_against_the_suspect_alone():
    suspicion = Suspicion(hosts={2: -1.0}, pairs={(2, 3): -0.1, (4, 5): -0.1})

    assert suspicion.touched() == {2, 4, 5}


def test_a_pair_whose_ends_look_good_is_repeated_itself():
    clean = screened()
    src, dst = clean[0].src, clean[0].dst
    measured = screened(times=lambda a, b, _round: 2.0 if {a, b} == {src, dst} else 1.0)

    (stage,) = second_pass(plan_of(), ranks_of(8), measured)

    assert sorted(stage.rounds) == sorted([((src, dst),), ((dst, src),)])


def test_a_host_that_loses_packets_is_a_suspect_however_fast_it_is():
    def windows(lost):
        return [
            CounterWindow(
                stage=BANDWIDTH.id,
                round_index=index,
                rank=rank,
                elapsed_ns=1,
                grown={"tcp/RetransSegs": lost if rank == 2 else 0, "tcp/TCPOrigDataSent": 20_000},
            )
            for index in range(6)
            for rank in range(8)
        ]

    (stage,) = second_pass(plan_of(), ranks_of(8), screened(), windows(20))

    assert len(partners_in(stage, 2)) == 2
    assert second_pass(plan_of(), ranks_of(8), screened(), windows(0)) == ()


def test_below_four_hosts_nobody_can_say_who_is_good():
    times = slow_sender(1, by=0.5)

    assert second_pass(plan_of(), ranks_of(3), screened(3, times=times)) == ()
    assert second_pass(plan_of(), ranks_of(4), screened(4, times=times)) != ()
    assert second_pass(plan_of(), ranks_of(4), screened(4, times=times), absent=frozenset({"h3"})) == ()


def test_an_absent_host_is_no_partner():
    measured = screened(times=slow_sender(2))
    unmet = {0, 1, 3, 4, 5, 6, 7} - met_by(2, measured)
    gone = min(unmet)

    (stage,) = second_pass(plan_of(), ranks_of(8), measured, absent=frozenset({f"h{gone}"}))

    assert gone not in partners_in(stage, 2)
    assert len(partners_in(stage, 2)) == 2


def test_the_worst_few_are_measured_and_not_half_a_fleet():
    stages = second_pass(plan_of(), ranks_of(32), screened(32, times=slow_sender(1, 5, 9, 13, 17, 21, by=0.8)))

    suspects = {1, 5, 9, 13, 17, 21} & {rank for pairs in stages[0].rounds for pair in pairs for rank in pair}
    assert len(suspects) == 4


def test_a_plan_without_the_probe_measures_nothing_again():
    assert second_pass(plan_of(LATENCY), ranks_of(8), screened(times=slow_sender(2))) == ()


def test_the_same_run_gives_the_same_second_pass():
    run = screening_run(Screening(hosts=16, iterations=20, slow_hosts=(SlowHost(host=3, sends_ratio=0.6),)))
    measured = series_of(run.series)

    first, second = (second_pass(run.header.plan, run.header.ranks, measured) for _ in range(2))

    assert first == second
    assert first != ()


RDMA = replace(
    BANDWIDTH, id="rdma-bandwidth-between-hosts", path=Path.VERBS, rdma=RdmaOptions(operation=Operation.WRITE)
)


def over_rdma(measured):
    return [replace(row, stage=RDMA.id) for row in measured if row.stage == BANDWIDTH.id]


def test_a_suspect_over_rdma_is_measured_again_over_rdma_with_the_same_options():
    measured = [*screened(), *over_rdma(screened(times=slow_sender(2)))]

    (stage,) = second_pass(plan_of(BANDWIDTH, RDMA), ranks_of(8), measured)

    assert (stage.id, stage.path, stage.rdma) == ("second-pass-rdma-bandwidth", Path.VERBS, RDMA.rdma)
    assert len(partners_in(stage, 2)) == 2


def test_a_suspect_over_mpi_is_measured_again_over_mpi_and_is_nobodys_partner_over_rdma():
    measured = [*screened(times=slow_sender(2)), *over_rdma(screened(times=slow_sender(5)))]

    first, second = second_pass(plan_of(BANDWIDTH, RDMA), ranks_of(8), measured)

    assert (first.id, second.id) == ("second-pass-bandwidth", "second-pass-rdma-bandwidth")
    assert partners_in(first, 2)
    assert partners_in(second, 5)
    assert 5 not in partners_in(first, 2)
    assert 2 not in partners_in(second, 5)


def test_hosts_that_are_ten_times_faster_over_rdma_are_no_suspects_over_mpi():
    fast = [replace(row, stage=RDMA.id) for row in screened(times=lambda _src, _dst, _round: 0.1)]

    assert second_pass(plan_of(BANDWIDTH, RDMA), ranks_of(8), [*screened(), *fast]) == ()


def test_hosts_without_rdma_are_no_partners_over_rdma():
    able = [row for row in over_rdma(screened(times=slow_sender(2))) if max(row.src, row.dst) < 6]

    (stage,) = second_pass(plan_of(BANDWIDTH, RDMA), ranks_of(8), [*screened(), *able])

    assert partners_in(stage, 2) <= set(range(6))


def slow_path():
    """Return a screening over RDMA in which one pair is slow, and its ends are not; and that pair."""
    clean = screened()
    ends = {clean[0].src, clean[0].dst}
    return over_rdma(screened(times=lambda a, b, _round: 2.0 if {a, b} == ends else 1.0)), ends


def test_a_slow_path_over_roce_is_measured_with_several_source_ports_each_of_them_twice():
    measured, ends = slow_path()

    again, *flows = second_pass(plan_of(RDMA), ranks_of(8), measured, varies_ports=True)

    assert again.id == "second-pass-rdma-bandwidth"
    assert [stage.id for stage in flows] == [f"flows-rdma-bandwidth-{port}" for port in PORTS]
    for stage, port in zip(flows, PORTS, strict=True):
        assert stage.rdma == replace(RDMA.rdma, source_port=port)
        assert stage.sizes_bytes == (max(RDMA.sizes_bytes),)
        assert stage.rounds == again.rounds * 2
        assert {rank for pairs in stage.rounds for pair in pairs for rank in pair} == ends


def test_ports_are_varied_on_roce_alone_and_not_where_somebody_chose_one():
    measured, _ = slow_path()
    chosen = replace(RDMA, rdma=replace(RDMA.rdma, source_port=50_000))

    assert len(second_pass(plan_of(RDMA), ranks_of(8), measured)) == 1
    assert len(second_pass(plan_of(chosen), ranks_of(8), measured, varies_ports=True)) == 1
    assert not can_vary_ports([])
    assert not can_vary_ports(["Ethernet", "InfiniBand"])
    assert not can_vary_ports(["Ethernet", None])
    assert can_vary_ports(["Ethernet", "Ethernet"])


def test_a_slow_host_and_a_slow_path_over_mpi_have_no_ports_to_vary():
    suspect = over_rdma(screened(times=slow_sender(2)))
    clean = screened()
    path = screened(times=lambda a, b, _round: 2.0 if {a, b} == {clean[0].src, clean[0].dst} else 1.0)

    assert [stage.id for stage in second_pass(plan_of(RDMA), ranks_of(8), suspect, varies_ports=True)] == [
        "second-pass-rdma-bandwidth"
    ]
    assert [stage.id for stage in second_pass(plan_of(), ranks_of(8), path, varies_ports=True)] == [
        "second-pass-bandwidth"
    ]
