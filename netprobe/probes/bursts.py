"""Steps like those of training, for seconds to hours: all ranks compute, then reduce together, again and again.

A round is a second of steps in one native call. After it ranks agree on the slowest rank of each step, and rank 0 tells
what the second was like (model.bursts.StepBin); each dozenth of the stage, ranks tell the distribution of their
lateness, and rank 0 that of the steps. What is kept from round to round is bounded by that.

The computation is so much arithmetic, and not so much time: a core that is slow, hot or shared comes late, as in a job.
"""

import time
from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from netprobe import _native
from netprobe.contracts import Assignment, Bench, BurstSteps, Collective, Probe, ProbeResult, StepPace
from netprobe.model.bursts import BURSTS, BurstOptions, StepBin
from netprobe.model.collective import SHAPES
from netprobe.model.finding import Gap
from netprobe.model.plan import Path, Scope, Stage
from netprobe.model.series import Fault, Metric, Phase, Series
from netprobe.probes._collective_data import GroupCall, as_collective, fill
from netprobe.probes._group import ALONE, check_data, measured_of
from netprobe.probes._recording import Measured, appended, durations_of, record
from netprobe.stats.spread import median_of_others
from netprobe.stats.steps import WHOLE, part_of, round_ns
from netprobe.units import NS_PER_MS, NS_PER_S

CALIBRATION_WORK: Final = 1 << 20  # some ms: long enough for a core to leave its idle state
CALIBRATIONS: Final = 7  # the quickest of these; whatever disturbs one only makes it longer
LIMIT_PERIODS: Final = 10  # after so many a computation gives up
LEAD_NS: Final = 2 * NS_PER_MS  # from the last rank's readiness to the first step
MOST_STEPS: Final = 20_000  # of a round: steps of 100 µs do not make a second's stamps larger than this
ON_GPU: Final = Gap(
    topic=BURSTS,
    reason="steps compute on the CPU, and their messages lie in the host's memory alone",
    remedy="--memory host",
    undermines=True,
)


@dataclass(slots=True)
class _Soak:
    """What is known from the rounds before; the series are of the part that goes on."""

    call: GroupCall
    operation: Collective
    work: int
    began_ns: int
    """When the first round would have begun, had this launch had all of them; by rank 0's clock."""
    interval_ns: float
    """From step to step, in the round before."""
    faults: tuple[Fault, ...]
    """Of all ranks, on rank 0, that are not told yet."""
    checked_iterations: int
    all_steps: Series | None = None
    """From the first step of this launch on."""
    exposed: Series | None = None
    """What communication cost beyond computing in each, likewise."""
    steps: Series | None = None
    arrivals: Series | None = None
    told: list[Series] = field(default_factory=list)
    """What is to go with the next round."""


def run_round(bench: Bench, stage: Stage, assignment: Assignment) -> tuple[ProbeResult, ...]:
    """Run one second of steps; all ranks call. Rank 0 returns its bin, and at the end of a part STEP; all ARRIVAL."""
    if bench.transport.size == 1 or stage.needs_gpu:
        bench.kept.is_over = True
        return (ALONE if bench.transport.size == 1 else ON_GPU,) if bench.transport.rank == 0 else ()
    options = _options(stage)
    if bench.kept.value is None:
        bench.kept.value = _begun(bench, stage, options, assignment.round_index)
    soak = bench.kept.value
    assert isinstance(soak, _Soak)
    count = max(1, min(MOST_STEPS, round(round_ns(options) / max(soak.interval_ns, 1.0))))
    pace = _pace(bench, options, soak.work)
    steps = bench.transport.bursts(soak.operation, pace, steps=count)
    slowest_ns = bench.control.maximum(steps.ended - steps.began)
    exposed_ns = bench.control.minimum(steps.ended - steps.computed)
    own_ns = np.array([steps.ended[-1] - steps.began[0]])
    elapsed_ns = int(bench.control.maximum(own_ns)[0])
    soak.interval_ns = elapsed_ns / count if options.is_free_running else max(elapsed_ns / count, options.period_ns)
    late_ns, slowest = _take_lateness(bench, measured_of(stage, soak.call, Metric.ARRIVAL), steps, pace, slowest_ns)
    soak.arrivals = late_ns if soak.arrivals is None else appended(soak.arrivals, late_ns)
    if bench.transport.rank == 0:
        timed = record(measured_of(stage, soak.call, Metric.STEP), slowest_ns)
        soak.steps = timed if soak.steps is None else appended(soak.steps, timed)
        soak.all_steps = timed if soak.all_steps is None else appended(soak.all_steps, timed)
        exposed = record(measured_of(stage, soak.call, Metric.EXPOSED), exposed_ns)
        soak.exposed = exposed if soak.exposed is None else appended(soak.exposed, exposed)
    told = _bin(stage, assignment.round_index, steps, slowest_ns, elapsed_ns, slowest)
    bench.kept.is_over = _is_over(bench, options, soak)
    return (*_end_of_part(stage, soak, assignment.round_index, is_last=bench.kept.is_over), *told)


def _options(stage: Stage) -> BurstOptions:
    if stage.bursts is None:
        raise AssertionError(f"stage {stage.id} does not say how its steps follow each other")
    return stage.bursts


def _begun(bench: Bench, stage: Stage, options: BurstOptions, round_index: int) -> _Soak:
    """Check the data, warm up, and agree on the work of a step; all ranks call."""
    call = GroupCall(
        shape=SHAPES["allreduce"], size_bytes=stage.sizes_bytes[0], dtype=stage.dtype, op=stage.op, root=0,
        in_place=False, rank=bench.transport.rank, ranks=bench.transport.size, seed=bench.seed + stage.sizes_bytes[0],
        send=bench.memory("send", stage.sizes_bytes[0]), receive=bench.memory("receive", stage.sizes_bytes[0]),
    )  # fmt: skip
    operation = as_collective(call)
    gathered = bench.control.gather(check_data(bench, stage, call, operation)) or ()
    fill(call, stage.check_iterations)
    bench.control.barrier()
    warmup_ns = bench.control.maximum(
        durations_of(bench.transport.collective(operation, iterations=max(stage.warmup_iterations, 1)))
    )
    computed_ns = min(_native.compute(CALIBRATION_WORK, NS_PER_S) for _ in range(CALIBRATIONS))
    ns_per_work = float(np.median(bench.control.allgather(computed_ns))) / CALIBRATION_WORK
    compute_ns = options.compute_ratio * options.period_ns
    reduce_ns = float(np.median(warmup_ns))
    expected_ns = max(compute_ns, reduce_ns) if options.overlaps else compute_ns + reduce_ns
    soak = _Soak(
        call=call,
        operation=operation,
        work=round(compute_ns / ns_per_work),
        began_ns=time.monotonic_ns() - round_index * round_ns(options),
        interval_ns=expected_ns if options.is_free_running else max(expected_ns, options.period_ns),
        faults=tuple(fault for each in gathered for fault in each),
        checked_iterations=stage.check_iterations,
    )
    if bench.transport.rank == 0:
        soak.told.append(record(measured_of(stage, call, Metric.STEP), warmup_ns, phase=Phase.WARMUP))
    return soak


def _pace(bench: Bench, options: BurstOptions, work: int) -> StepPace:
    """Return when this rank's steps begin: on all ranks at the same time, by rank 0's clock; all ranks call."""
    own_ns = time.monotonic_ns()
    common_ns = round(float(bench.to_reference_ns(np.array([own_ns]))[0]))
    ready_ns = int(bench.control.maximum(np.array([common_ns]))[0])
    return StepPace(
        start_ns=own_ns + ready_ns - common_ns + LEAD_NS,
        period_ns=0 if options.is_free_running else options.period_ns,
        work=work,
        work_limit_ns=LIMIT_PERIODS * options.period_ns,
        buckets=options.buckets,
        overlaps=options.overlaps,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Slowest:
    """Of the slowest step of a round, who was late, and who had no CPU."""

    late_rank: int
    late_ns: int
    held_rank: int
    held_ns: int


def _take_lateness(
    bench: Bench, measured: Measured, steps: BurstSteps, pace: StepPace, slowest_ns: NDArray[np.int64]
) -> tuple[Series, _Slowest | None]:
    """Return how late this rank came to each step, and on rank 0 what the slowest step was about; all ranks call."""
    # Who computes beside the all-reduce enters it at once: late is whose computation ends late.
    computed = np.rint(bench.to_reference_ns(steps.computed)).astype(np.int64)
    late_ns = computed - bench.control.minimum(computed)
    at = int(np.argmax(slowest_ns))
    own_ns = int(steps.computed[at] - ready_at(steps, pace, at))
    rows = bench.control.gather((int(late_ns[at]), own_ns, int(steps.off_cpu_ns[at])))
    slowest = None if rows is None else slowest_of(np.array(rows, dtype=np.int64))
    return record(replace(measured, src=bench.transport.rank), late_ns), slowest


def ready_at(steps: BurstSteps, pace: StepPace, step: int) -> int:
    """Return when a rank could have begun a step: when that was due, or when the all-reduce before let go of it.

    A computation that is not done by then is the rank's own doing.
    """
    due_ns = pace.start_ns + step * pace.period_ns
    return due_ns if step == 0 else max(int(steps.left[step - 1]), due_ns if pace.period_ns else 0)


def slowest_of(rows: NDArray[np.int64]) -> _Slowest:
    """Return who stands out in one step; ``rows`` are of ranks, shape (ranks, 3), in ns.

    (when it entered the all-reduce, after the first rank; how long it took for that, from when it could have begun;
    time off its CPU). Who was let go late by the step before is a victim: only what a rank took itself counts as late.
    """
    late, own, off_cpu = beyond_others(rows).T
    self_made = np.minimum(late, own)
    late_rank, held_rank = int(np.argmax(self_made)), int(np.argmax(off_cpu))
    return _Slowest(
        late_rank=late_rank,
        late_ns=max(int(self_made[late_rank]), 0),
        held_rank=held_rank,
        held_ns=max(int(off_cpu[held_rank]), 0),
    )


def beyond_others(rows: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return by how much each rank's values exceed the (upper) median of the other ranks', shape as ``rows``."""
    columns = rows.T.astype(np.float64)
    return np.stack([values - median_of_others(values) for values in columns], axis=1)


def _bin(
    stage: Stage,
    round_index: int,
    steps: BurstSteps,
    slowest_ns: NDArray[np.int64],
    elapsed_ns: int,
    slowest: _Slowest | None,
) -> tuple[StepBin, ...]:
    if slowest is None:
        return ()
    to_utc_ns = time.time_ns() - time.monotonic_ns()
    at = int(np.argmax(slowest_ns))
    return (
        StepBin(
            stage=stage.id,
            round_index=round_index,
            rounds=1,
            began_ns=int(steps.began[0]) + to_utc_ns,
            elapsed_ns=elapsed_ns,
            steps=len(slowest_ns),
            total_ns=int(slowest_ns.sum()),
            max_ns=int(slowest_ns[at]),
            slowest_round=round_index,
            slowest_began_ns=int(steps.began[at]) + to_utc_ns,
            late_rank=slowest.late_rank,
            late_ns=slowest.late_ns,
            held_rank=slowest.held_rank,
            held_ns=slowest.held_ns,
        ),
    )


def _is_over(bench: Bench, options: BurstOptions, soak: _Soak) -> bool:
    """Return whether the time is spent, as rank 0's clock has it; all ranks call, and get the same."""
    return bench.control.broadcast(time.monotonic_ns() - soak.began_ns >= options.length_ns)


def _end_of_part(stage: Stage, soak: _Soak, round_index: int, *, is_last: bool) -> tuple[Series, ...]:
    """Return what is to be told now: all of a part when it has ended, else only what waited."""
    options = _options(stage)
    part, is_end = part_of(options, round_index)
    told = [replace(each, round_index=part) for each in soak.told]
    soak.told.clear()
    if is_end or is_last:
        told += [replace(each, round_index=part) for each in (soak.arrivals, _checked(soak)) if each is not None]
        if soak.all_steps is not None:
            told.append(replace(soak.all_steps, round_index=WHOLE + part, bytes_per_iteration=0))
        if soak.exposed is not None:
            told.append(replace(soak.exposed, round_index=WHOLE + part))
        soak.arrivals = soak.steps = None
    return tuple(told)


def _checked(soak: _Soak) -> Series | None:
    """Return the steps of the part, with what the check of the data told before the first."""
    if soak.steps is None:
        return None
    told = replace(soak.steps, faults=soak.faults, checked_iterations=soak.checked_iterations)
    soak.faults, soak.checked_iterations = (), 0
    return told


PROBE = Probe(
    id=BURSTS,
    title="compute and all-reduce in steps as training does, for as long as asked",
    is_group=True,
    both_directions=False,
    scopes=(Scope.WORLD,),
    run=run_round,
    paths=(Path.MPI,),
)
