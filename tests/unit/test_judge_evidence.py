from dataclasses import replace

import numpy as np
import pytest
from judge_samples import all_pairs, collective, run_of, series

from netprobe.judge.evidence import evidence_of
from netprobe.model.counters import CounterWindow
from netprobe.model.finding import Gap
from netprobe.model.plan import Path, Plan, Scope, Stage
from netprobe.model.rdma import Breakdown, FailurePhase, Operation, PairFailure, RdmaOptions
from netprobe.model.run import RunStatus, StageOutcome
from netprobe.model.series import Fault, Metric, Phase

FAULT = Fault(
    rank=1,
    peer=0,
    probe="bandwidth",
    size_bytes=1 << 20,
    iteration=0,
    first_offset_bytes=7,
    wrong_bytes=3,
    xor_mask=1 << 63,
)


def test_a_table_holds_one_probe_scope_and_size():
    rows = [*all_pairs(), *all_pairs(size_bytes=8), *all_pairs(probe="latency", metric=Metric.ROUND_TRIP, window=1)]

    tables = evidence_of(run_of(rows, hosts=("n0", "n0", "n1", "n1"))).pairs

    assert [(table.probe, table.scope, table.size_bytes, len(table.src), table.directed) for table in tables] == [
        ("bandwidth", Scope.WITHIN_HOST, 1 << 20, 4, True),
        ("bandwidth", Scope.BETWEEN_HOSTS, 1 << 20, 8, True),
        ("bandwidth", Scope.WITHIN_HOST, 8, 4, True),
        ("bandwidth", Scope.BETWEEN_HOSTS, 8, 8, True),
        ("latency", Scope.WITHIN_HOST, 1 << 20, 4, False),
        ("latency", Scope.BETWEEN_HOSTS, 1 << 20, 8, False),
    ]


def test_warm_up_is_not_judged_but_its_bytes_have_crossed_the_fabric():
    rows = [series(0, 1, [500]), series(0, 1, [9_000_000], phase=Phase.WARMUP)]

    evidence = evidence_of(run_of(rows))

    assert evidence.pairs[0].max_ns.tolist() == [500.0]
    assert evidence.coverage.bytes_moved == 2 * (16 << 20)


def test_stages_without_a_round_had_nothing_to_measure():
    outcomes = tuple(
        StageOutcome(stage=stage, rounds=rounds, planned_pairs=(), elapsed_ns=1)
        for stage, rounds in (("a", 1), ("b", 0))
    )

    assert evidence_of(run_of([], outcomes=outcomes)).coverage.stages_empty == 1


def test_percentiles_that_a_sample_cannot_support_are_not_known():
    table = evidence_of(run_of([series(0, 1, [500] * 99), series(1, 0, range(1, 1001))])).pairs[0]

    assert np.isnan(table.p99_ns).tolist() == [True, False]
    assert np.isnan(table.p999_ns).tolist() == [True, False]
    assert table.p50_ns == pytest.approx([500, 500], rel=0.005)
    assert table.samples.tolist() == [99, 1000]


def test_a_collective_is_the_mean_and_the_percentiles_of_its_slowest_rank():
    rows = [collective(Metric.OPERATION, 0, [100] * 99 + [10_100], checked_iterations=0)]

    (result,) = evidence_of(run_of(rows, stages=("allreduce",))).groups

    assert (result.mean_ns, result.p50_ns, result.max_ns) == (200.0, 100.0, 10_100.0)
    assert result.p99_ns == 100.0
    assert result.wrong_bytes is None


def test_wrong_bytes_of_a_checked_collective_are_counted():
    rows = [
        collective(Metric.OPERATION, 0, [100], faults=(FAULT, FAULT)),
        collective(Metric.OPERATION, 0, [1], size_bytes=8),
    ]

    evidence = evidence_of(run_of(rows, stages=("allreduce",)))

    assert [result.wrong_bytes for result in evidence.groups] == [6, 0]
    assert evidence.faults == (FAULT, FAULT)
    assert evidence.fault_paths == (Path.MPI, Path.MPI)


def test_arrivals_meet_the_operation_of_their_own_variant():
    rows = []
    for in_place, late in ((False, 40), (True, 90)):
        rows += [collective(Metric.ARRIVAL, rank, [late * rank], in_place=in_place) for rank in range(3)]
        rows += [collective(Metric.EXIT, rank, [rank], in_place=in_place) for rank in range(3)]
        rows.append(collective(Metric.OPERATION, 0, [1000 + late], in_place=in_place))

    first, second = evidence_of(run_of(rows, hosts=("a", "b", "c"), stages=("allreduce",))).arrivals

    assert first.rank.tolist() == [0, 1, 2]
    assert first.arrival_p50_ns.tolist() == [0, 40, 80]
    assert first.exit_p50_ns.tolist() == [0, 1, 2]
    assert (first.operation_p50_ns, second.operation_p50_ns) == pytest.approx((1040, 1090), rel=0.005)


def test_an_arrival_without_its_operation_has_no_scale():
    rows = [collective(Metric.ARRIVAL, rank, [rank]) for rank in range(2)]

    (table,) = evidence_of(run_of(rows, stages=("allreduce",))).arrivals

    assert np.isnan(table.operation_p50_ns)
    assert np.isnan(table.exit_p50_ns).all()


def test_all_that_was_planned_and_measured_is_full_coverage():
    coverage = evidence_of(run_of(all_pairs())).coverage

    assert (coverage.pairs_planned, coverage.pairs_measured, coverage.ratio) == (12, 12, 1.0)
    assert coverage.untested_ranks == ()
    assert coverage.checked_iterations == 24


def test_a_pair_that_lacks_a_size_of_its_stage_was_not_measured():
    rows = [*all_pairs(), *all_pairs(size_bytes=8)[:-1]]

    coverage = evidence_of(run_of(rows)).coverage

    assert (coverage.pairs_planned, coverage.pairs_measured) == (12, 11)


def test_a_pair_missing_from_one_stage_is_missing_though_another_stage_has_it():
    first, second = all_pairs(), all_pairs(stage="again")
    planned = {id: tuple((row.src, row.dst) for row in first) for id in ("bandwidth", "again")}

    coverage = evidence_of(run_of([*first, *second[1:]], stages=("bandwidth", "again"), planned=planned)).coverage

    assert (coverage.pairs_planned, coverage.pairs_measured) == (24, 23)


def test_ranks_without_any_result_are_listed():
    run = run_of([series(0, 1, [5])], planned={"bandwidth": ((0, 1), (2, 3))})

    coverage = evidence_of(run).coverage

    assert coverage.untested_ranks == (2, 3)
    assert coverage.ratio == 0.5


def test_a_collective_has_tested_every_rank():
    rows = [collective(Metric.OPERATION, 0, [100])]

    assert evidence_of(run_of(rows, stages=("allreduce",))).coverage.untested_ranks == ()


def test_an_unfinished_stage_lowers_the_coverage():
    run = run_of(all_pairs(), stages=("bandwidth", "latency"), outcomes=(_outcome("bandwidth", all_pairs()),))

    assert evidence_of(run).coverage.ratio == 0.5


def test_what_the_ranks_could_not_measure_is_handed_on():
    gap = Gap(topic="allreduce bfloat16", reason="this library does not carry it")
    outcome = StageOutcome(stage="bandwidth", rounds=1, planned_pairs=(), elapsed_ns=1, gaps=(gap,))

    assert evidence_of(run_of([], outcomes=(outcome,))).gaps == (gap,)


@pytest.mark.parametrize(
    ("status", "error", "says"),
    [
        (RunStatus.COMPLETE, None, None),
        (RunStatus.RUNNING, None, "the program ended before the run did"),
        (RunStatus.INTERRUPTED, None, "interrupted"),
        (RunStatus.FAILED, "rank 3 died", "rank 3 died"),
        (RunStatus.COMPLETE, "rank 3 died", "rank 3 died"),
    ],
)
def test_a_run_that_ended_early_says_why(status, error, says):
    run_error = evidence_of(run_of(all_pairs(), status=status, error=error)).run_error

    assert (run_error is None) if says is None else (says in run_error)


def test_a_run_that_died_before_its_ranks_met_is_empty_evidence():
    evidence = evidence_of(run_of([], hosts=(), outcomes=(), status=RunStatus.RUNNING))

    assert evidence.pairs == evidence.groups == evidence.arrivals == evidence.faults == ()
    assert evidence.coverage.ratio == 0.0


def test_rows_without_samples_were_not_measured():
    row = series(0, 1, [5])
    run = run_of([row])
    empty = run.series.with_columns(
        histogram_bins=run.series["histogram_bins"].list.head(0),
        histogram_counts=run.series["histogram_counts"].list.head(0),
    )

    evidence = evidence_of(replace(run, series=empty))

    assert evidence.pairs == ()
    assert evidence.coverage.pairs_measured == 0


def _outcome(stage, rows):
    planned = tuple((row.src, row.dst) for row in rows)
    return StageOutcome(stage=stage, rounds=1, planned_pairs=planned, elapsed_ns=1)


def waiting(rank, waited_ns, elapsed_ns=100_000_000):
    return CounterWindow(
        stage="bandwidth", round_index=0, rank=rank, elapsed_ns=elapsed_ns, grown={"process/run_delay_ns": waited_ns}
    )


def test_the_time_that_ranks_wait_for_a_cpu_is_told_by_host():
    windows = [waiting(0, 30_000_000), waiting(1, 10_000_000), waiting(2, 0)]

    evidence = evidence_of(run_of(all_pairs(), hosts=("a", "a", "b", "c"), windows=windows))

    assert evidence.waiting_ratio == {"a": 0.2, "b": 0.0}
    assert evidence.crowded_hosts == ("a",)


@pytest.mark.parametrize(("waited_ns", "elapsed_ns"), [(200_000, 1_000), (110_060_538, 17_730_507)])
def test_a_host_that_sat_the_rounds_out_is_not_said_to_wait(waited_ns, elapsed_ns):
    windows = [waiting(0, 30_000_000), waiting(1, 10_000_000), waiting(2, waited_ns, elapsed_ns)]

    evidence = evidence_of(run_of(all_pairs(), hosts=("a", "a", "b", "c"), windows=windows))

    assert evidence.waiting_ratio == {"a": 0.2}


def test_without_the_schedulers_counters_nobody_is_said_to_wait():
    assert evidence_of(run_of(all_pairs())).waiting_ratio == {}


def stage_of(id, path=Path.MPI):
    rdma = RdmaOptions(operation=Operation.WRITE) if path is Path.VERBS else None
    return Stage(id=id, probe="bandwidth", scope=Scope.BETWEEN_HOSTS, sizes_bytes=(1 << 20,), path=path, rdma=rdma)


BOTH_PATHS = Plan(
    profile="test",
    seed=0,
    stages=(
        stage_of("bandwidth"),
        stage_of("rdma-bandwidth", Path.VERBS),
        stage_of("second-pass-bandwidth"),
        stage_of("second-pass-rdma-bandwidth", Path.VERBS),
    ),
)


def test_wrong_bytes_are_told_with_what_carried_them():
    rows = [series(0, 1, [100], stage=stage.id, faults=(FAULT,)) for stage in BOTH_PATHS.stages[:2]]
    stages = tuple(stage.id for stage in BOTH_PATHS.stages)

    evidence = evidence_of(run_of(rows, stages=stages, plan=BOTH_PATHS))

    assert (evidence.faults, evidence.fault_paths) == ((FAULT, FAULT), (Path.MPI, Path.VERBS))


def test_rows_of_a_second_pass_join_the_stage_of_their_own_path():
    rows = [row for stage in BOTH_PATHS.stages for row in all_pairs(stage=stage.id)]
    stages = tuple(stage.id for stage in BOTH_PATHS.stages)

    tables = evidence_of(run_of(rows, stages=stages, plan=BOTH_PATHS)).pairs

    assert [(table.stage, table.path, table.operation, len(table.src)) for table in tables] == [
        ("bandwidth", Path.MPI, None, 24),
        ("rdma-bandwidth", Path.VERBS, Operation.WRITE, 24),
    ]


def test_counters_of_a_second_pass_join_the_stage_of_their_own_path():
    windows = [
        CounterWindow(stage=stage.id, round_index=0, rank=0, elapsed_ns=1, grown={"tcp/RetransSegs": 1})
        for stage in BOTH_PATHS.stages
    ]

    counters = evidence_of(run_of(all_pairs(), plan=BOTH_PATHS, windows=windows)).counters

    assert counters.stage == ("bandwidth", "rdma-bandwidth", "bandwidth", "rdma-bandwidth")


def test_a_pair_that_failed_is_an_answer_and_not_missing():
    rows = all_pairs()
    cause = Breakdown(rank=0, phase=FailurePhase.SET_UP, call="ibv_modify_qp to RTR")
    failure = PairFailure(stage="bandwidth", probe="bandwidth", round_index=0, src=0, dst=1, size_bytes=8, cause=cause)
    planned = tuple((row.src, row.dst) for row in rows)
    outcome = StageOutcome(stage="bandwidth", rounds=1, planned_pairs=planned, elapsed_ns=1, failures=(failure,))

    evidence = evidence_of(run_of(rows[1:], outcomes=(outcome,)))

    coverage = evidence.coverage
    assert (coverage.pairs_planned, coverage.pairs_measured, coverage.pairs_failed, coverage.ratio) == (12, 11, 1, 1.0)
    assert evidence.failures == (failure,)
