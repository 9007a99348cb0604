"""A whole session on MPI ranks: every probe, type and operator, its data compared, at whatever rank count there is."""

import pytest

from netprobe.model.collective import SHAPES
from netprobe.model.endpoint import Calibration
from netprobe.model.finding import Gap
from netprobe.model.plan import DTYPES, OPS, Plan, Scope, Stage
from netprobe.model.record import RanksDone, RanksReady, RoundFinished, StageFinished
from netprobe.model.series import Metric, Phase
from netprobe.plan.task import Task
from netprobe.session.worker import Session

COST = Calibration(clock_read_ns=20.0, empty_iteration_ns=25.0)
FEW = {"iterations": 6, "warmup_iterations": 1}


class Records:
    def __init__(self):
        self.all = []

    def emit(self, record):
        self.all.append(record)

    def of(self, kind):
        return [each for each in self.all if isinstance(each, kind)]

    def series(self, stage=None):
        rounds = [each for each in self.of(RoundFinished) if stage in (None, each.stage)]
        return [series for each in rounds for series in each.series]

    def gaps(self):
        return [gap for each in self.of(RoundFinished) for gap in each.gaps] + [
            gap for each in self.of(StageFinished) for gap in each.outcome.gaps
        ]


def run_stages(transport, control, stages):
    records = Records()
    session = Session(
        transport=transport,
        control=control,
        sink=records if control.rank == 0 else None,
        calibration=COST,
        environment=(),
    )
    session.run(Task(plan=Plan(profile="test", seed=11, stages=tuple(stages))))
    return control.broadcast(records)


def test_pairs_carry_right_bytes_of_every_size(transport, control, together):
    sizes = (1, 7, 8, 4096, 65_537)
    stages = [
        Stage(id=probe, probe=probe, scope=Scope.WITHIN_HOST, sizes_bytes=sizes, window=4, **FEW)
        for probe in ("latency", "bandwidth", "bidirectional")
    ]

    records = run_stages(transport, control, stages)

    series = records.series()
    together(not any(each.faults for each in series))
    timed = [each for each in series if each.phase is Phase.TIMED]
    together(all(each.iterations == 6 and each.checked_iterations == 2 and each.min_ns > 0 for each in timed))
    together({each.size_bytes for each in timed} == (set(sizes) if control.size > 1 else set()))
    for done in records.of(StageFinished):
        measured = {(each.src, each.dst) for each in records.series(done.outcome.stage) if each.phase is Phase.TIMED}
        together(measured == set(done.outcome.planned_pairs), done.outcome.stage)


@pytest.mark.parametrize("probe", SHAPES)
def test_collectives_deliver_right_data_in_and_out_of_place(transport, control, together, probe):
    root = control.size - 1
    stage = Stage(
        id=probe,
        probe=probe,
        scope=Scope.WORLD,
        sizes_bytes=(1, 64, 1000, 100_000),
        dtype="float32",
        root=root,
        in_place=(False, True),
        check_iterations=2,
        **FEW,
    )

    records = run_stages(transport, control, [stage])

    series, gaps = records.series(), records.gaps()
    if control.size == 1:
        together(not series and all(gap.undermines for gap in gaps) and gaps)
        return
    together(not gaps and not any(each.faults for each in series))
    operations = [each for each in series if each.metric is Metric.OPERATION and each.phase is Phase.TIMED]
    variants = {each.in_place for each in operations}
    together(variants == ({False, True} if SHAPES[probe].has_in_place else {False}), variants)
    late = {each.src for each in series if each.metric is Metric.ARRIVAL}
    together(late == set(range(control.size)), late)


@pytest.mark.parametrize("dtype", DTYPES)
def test_reductions_are_exact_in_every_type_and_operator(transport, control, together, dtype):
    stages = [
        Stage(id=op, probe="allreduce", scope=Scope.WORLD, sizes_bytes=(24, 5000), dtype=dtype, op=op, **FEW)
        for op in OPS
    ]

    records = run_stages(transport, control, stages)

    together(not any(each.faults for each in records.series()), dtype)
    together(all(isinstance(gap, Gap) for gap in records.gaps()) and len(records.of(StageFinished)) == len(OPS))
    measured = all(records.series(op) for op in OPS)
    together(measured or control.size == 1, "a type that MPI carries was not measured")


def test_clocks_of_one_host_agree_within_their_bound(transport, control, together):
    stage = Stage(id="barrier", probe="barrier", scope=Scope.WORLD, sizes_bytes=(8,), **FEW)

    records = run_stages(transport, control, [stage])

    (done,) = records.of(RanksDone)
    (ready,) = records.of(RanksReady)
    same_host = {rank.host for rank in ready.ranks} == {ready.ranks[0].host}
    together(len(done.clocks) == control.size)
    together(not same_host or all(abs(clock.offset_ns) <= clock.error_bound_ns + 1 for clock in done.clocks))


def test_iterations_follow_the_time_budget_and_warm_up_is_kept_apart(transport, control, together):
    stages = [
        Stage(id=f"{budget}", probe="allreduce", scope=Scope.WORLD, sizes_bytes=(8,), dtype="float32",
              series_budget_ns=budget)
        for budget in (1_000_000, 50_000_000)
    ]  # fmt: skip

    records = run_stages(transport, control, stages)

    if control.size == 1:
        return
    counts = [
        next(
            each.iterations
            for each in records.series(stage.id)
            if each.metric is Metric.OPERATION and each.phase is Phase.TIMED
        )
        for stage in stages
    ]
    phases = {each.phase for each in records.series() if each.metric is Metric.OPERATION}
    together(phases == {Phase.TIMED, Phase.WARMUP})
    together(counts[1] >= counts[0], counts)
