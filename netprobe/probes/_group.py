"""What all collectives share: two or three phases for each size, never mixed in one figure.

Throughput: back to back, one clock read an iteration; a sample is the slowest rank of that iteration, and compares with
nccl-tests. Pipelined: the same undivided, where a stamp after each iteration takes part in what is timed. Arrival: a
barrier before each call, and both ends of the call on synchronised clocks; it names the rank that comes late, which the
duration cannot (all ranks wait for the late one, whose own time is short).
"""

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from netprobe.contracts import Assignment, Bench, Collective, Stamps
from netprobe.model.collective import SHAPES
from netprobe.model.finding import Gap
from netprobe.model.plan import DTYPE_BYTES, Stage
from netprobe.model.series import MOVING_METRICS, Fault, Metric, Phase, Series
from netprobe.probes._collective_data import GroupCall, as_collective, compare, fill, usable_size
from netprobe.probes._recording import WARMUP_SHARE, Measured, Timings, durations_of, joined, pipelined, record, spend

ALONE = Gap(
    topic="collectives",
    reason="one rank has nobody to exchange data with",
    remedy="two ranks or more",
    undermines=True,
)
ALIGNED_SHARE = 4  # of the throughput phase's iterations: lateness is a median, which needs fewer samples
FEWEST_ALIGNED, MOST_ALIGNED = 10, 1000

Align = Callable[[Bench, Stage, GroupCall, Collective, int], list[Series]]
"""The second phase: what each rank tells of aligned iterations, and how many timed ones there were before."""


def measure_group(bench: Bench, stage: Stage, assignment: Assignment) -> tuple[Series | Gap, ...]:
    """Run every size, in and out of place; all ranks call. Rank 0 returns OPERATION, each rank its ARRIVAL and EXIT."""
    return measure_aligned(bench, stage, assignment, _arrivals)


def measure_aligned(bench: Bench, stage: Stage, assignment: Assignment, align: Align) -> tuple[Series | Gap, ...]:
    """Do as ``measure_group``, with a second phase of one's own."""
    shape = SHAPES[stage.probe]
    if bench.transport.size == 1:
        return (ALONE,)
    refusal = bench.transport.supports(stage.dtype, stage.op if shape.reduces else None)
    if refusal is not None:
        return (
            (Gap(topic=f"{stage.probe} {stage.dtype}", reason=refusal, undermines=True),)
            if bench.transport.rank == 0
            else ()
        )
    results: list[Series | Gap] = []
    for size_bytes in _sizes(stage, bench.transport.size):
        for in_place in stage.in_place if shape.has_in_place else (False,):
            results.extend(_measure(bench, stage, _call(bench, stage, assignment, size_bytes, in_place), align))
    return tuple(results)


def _sizes(stage: Stage, ranks: int) -> tuple[int, ...]:
    """Return distinct usable sizes; what is too small to share becomes one element for each rank."""
    shape = SHAPES[stage.probe]
    if stage.probe == "barrier":
        return (0,)
    smallest = DTYPE_BYTES[stage.dtype] * (ranks if shape.chunked else 1)
    usable = (max(usable_size(shape, size, stage.dtype, ranks), smallest) for size in stage.sizes_bytes)
    return tuple(dict.fromkeys(usable))


def _call(bench: Bench, stage: Stage, assignment: Assignment, size_bytes: int, in_place: bool) -> GroupCall:
    shape = SHAPES[stage.probe]
    return GroupCall(
        shape=shape,
        size_bytes=size_bytes,
        dtype=stage.dtype,
        op=stage.op if shape.reduces else None,
        root=stage.root,
        in_place=in_place,
        rank=bench.transport.rank,
        ranks=bench.transport.size,
        seed=bench.seed + 1_000_003 * assignment.round_index + size_bytes,
        send=bench.memory("send", max(size_bytes, 8)),
        receive=bench.memory("receive", max(size_bytes, 8)),
    )


def _measure(bench: Bench, stage: Stage, call: GroupCall, align: Align) -> list[Series]:
    operation = as_collective(call)
    faults = check_data(bench, stage, call, operation)
    fill(call, stage.check_iterations)
    warmup = _warm_up(bench, stage, operation)
    slowest = _time(bench, stage, operation, warmup)
    iterations = len(slowest.elapsed_ns)
    undivided = _pipelined(bench, stage, call, operation, iterations)
    if stage.check_iterations and _keeps_its_input(call):
        faults += _compare(bench, stage, call, stage.check_iterations)
    gathered = bench.control.gather(faults)
    series = align(bench, stage, call, operation, iterations)
    if gathered is not None:
        every_fault = tuple(fault for each in gathered for fault in each)
        measured = measured_of(stage, call, Metric.OPERATION)
        checked = _checked_iterations(stage, call)
        series += [
            record(measured, warmup.elapsed_ns, phase=Phase.WARMUP),
            record(
                measured,
                slowest.elapsed_ns,
                faults=every_fault,
                checked_iterations=checked,
                began_ns=bench.to_reference_ns(slowest.began_ns),
            ),
            *undivided,
        ]
    return series


def check_data(bench: Bench, stage: Stage, call: GroupCall, operation: Collective) -> tuple[Fault, ...]:
    """Return what arrives wrong at this rank, over the stage's iterations with a fresh pattern each; all ranks call."""
    faults: tuple[Fault, ...] = ()
    for iteration in range(stage.check_iterations):
        fill(call, iteration)
        bench.transport.collective(operation, iterations=1)
        faults += _compare(bench, stage, call, iteration)
    return faults


def _compare(bench: Bench, stage: Stage, call: GroupCall, iteration: int) -> tuple[Fault, ...]:
    mismatch = compare(call, iteration)
    if mismatch is None:
        return ()
    return (
        Fault(
            rank=bench.transport.rank,
            peer=None,
            probe=stage.probe,
            size_bytes=call.size_bytes,
            iteration=iteration,
            first_offset_bytes=mismatch.first_offset_bytes,
            wrong_bytes=mismatch.wrong_bytes,
            xor_mask=mismatch.xor_mask,
            bit_counts=mismatch.bit_counts,
        ),
    )


def run_together(bench: Bench, operation: Collective, iterations: int) -> Timings:
    """Return the slowest rank of each iteration, the same on all ranks, and when this rank began it; all ranks call."""
    bench.control.barrier()
    stamps = bench.transport.collective(operation, iterations=iterations)
    return Timings(elapsed_ns=bench.control.maximum(durations_of(stamps)), began_ns=stamps[:-1])


def _warm_up(bench: Bench, stage: Stage, operation: Collective) -> Timings:
    first = run_together(bench, operation, max(stage.warmup_iterations, 1))
    if stage.iterations is not None:
        return first
    return joined((first, _spend(bench, operation, stage.series_budget_ns // WARMUP_SHARE, first)))


def _time(bench: Bench, stage: Stage, operation: Collective, warmup: Timings) -> Timings:
    if stage.iterations is not None:
        return run_together(bench, operation, stage.iterations)
    return _spend(bench, operation, stage.series_budget_ns, warmup)


def _spend(bench: Bench, operation: Collective, budget_ns: int, seen: Timings) -> Timings:
    # All ranks see the same durations, and so decide the same.
    return spend(budget_ns, seen.elapsed_ns, lambda count: run_together(bench, operation, count), lambda count: count)


def _pipelined(bench: Bench, stage: Stage, call: GroupCall, operation: Collective, timed: int) -> tuple[Series, ...]:
    """Return runs with nothing between iterations, by the slowest rank of each; all ranks call, and get the same."""
    if bench.undivided is None:
        return ()
    whole = replace(bench, transport=bench.undivided)
    return pipelined(
        measured_of(stage, call, Metric.OPERATION),
        lambda count: run_together(whole, operation, count).elapsed_ns,
        timed,
    )


def aligned_iterations(timed_iterations: int) -> int:
    """Return how many aligned iterations follow so many timed ones."""
    return max(FEWEST_ALIGNED, min(MOST_ALIGNED, timed_iterations // ALIGNED_SHARE))


def lateness(bench: Bench, stage: Stage, call: GroupCall, entries: Stamps, exits: Stamps) -> list[Series]:
    """Return how late this rank entered and left each aligned iteration, against the first rank; all ranks call."""
    series = []
    for metric, stamps in ((Metric.ARRIVAL, entries), (Metric.EXIT, exits)):
        common = np.rint(bench.to_reference_ns(stamps)).astype(np.int64)
        late_ns = common - bench.control.minimum(common)
        series.append(record(replace(measured_of(stage, call, metric), src=bench.transport.rank), late_ns))
    return series


def _arrivals(bench: Bench, stage: Stage, call: GroupCall, operation: Collective, iterations: int) -> list[Series]:
    aligned = bench.transport.aligned_collective(operation, iterations=aligned_iterations(iterations))
    return lateness(bench, stage, call, *aligned)


def measured_of(stage: Stage, call: GroupCall, metric: Metric) -> Measured:
    """Return what a series of this call is about."""
    return Measured(
        stage=stage,
        metric=metric,
        size_bytes=call.size_bytes,
        bytes_per_iteration=call.size_bytes if metric in MOVING_METRICS else 0,
        op=call.op,
        root=call.root if call.shape.rooted else None,
        in_place=call.in_place,
    )


def _checked_iterations(stage: Stage, call: GroupCall) -> int:
    if not stage.check_iterations or call.shape.id == "barrier":
        return 0
    return stage.check_iterations + _keeps_its_input(call)


def _keeps_its_input(call: GroupCall) -> bool:
    """Return whether the data can be compared after many iterations.

    In place, a reduction overwrites its input, and a second all-to-all sends everything back where it came from.
    """
    return not (call.in_place and (call.shape.reduces or call.shape.id == "alltoall"))
