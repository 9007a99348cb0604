"""A ring all-reduce of messages between neighbours: the collective that training waits for, with every hop timed.

Beside what other collectives tell (netprobe.probes._group), each rank tells what the hop from the rank before it held
up in each aligned iteration (netprobe.stats.hops). Its sender's stamps come to it by the ring itself, afterwards.
"""

from dataclasses import replace
from typing import Final

import numpy as np

from netprobe.buffers.rings import RingCut
from netprobe.contracts import Assignment, Bench, Collective, Probe
from netprobe.model.collective import SHAPES
from netprobe.model.finding import Gap
from netprobe.model.plan import Path, Scope, Stage
from netprobe.model.series import Metric, Series
from netprobe.probes._collective_data import GroupCall
from netprobe.probes._group import aligned_iterations, lateness, measure_aligned, measured_of
from netprobe.probes._recording import record
from netprobe.stats.hops import FloatArray, hop_ns

MOST_STAMPS: Final = 1 << 19  # of each of three kinds on every rank: 4 MiB, and iterations enough for 8,000 ranks
REDUCED_DTYPES: Final = ("float32", "float16", "bfloat16", "int32", "uint8")
REDUCED_OPS: Final = ("sum", "max", "min")
"""What kernels/host/accumulate.c reduces."""


def measure_ring(bench: Bench, stage: Stage, assignment: Assignment) -> tuple[Series | Gap, ...]:
    """Run every size; all ranks call. Rank 0 returns OPERATION, each rank ARRIVAL, EXIT, and TRANSFER of one hop."""
    refusal = _refusal(stage)
    if refusal is not None:
        return (refusal,) if bench.transport.rank == 0 else ()
    return measure_aligned(bench, stage, assignment, _trace)


def _refusal(stage: Stage) -> Gap | None:
    if stage.needs_gpu:
        reason, remedy = "a traced ring is reduced by the CPU, in the host's memory alone", "--memory host"
    elif stage.dtype not in REDUCED_DTYPES or stage.op not in REDUCED_OPS:
        reason = f"a traced ring reduces no {stage.dtype} by {stage.op}"
        remedy = f"--datatype {', '.join(REDUCED_DTYPES)} with --op {', '.join(REDUCED_OPS)}"
    else:
        return None
    return Gap(topic=stage.probe, reason=reason, remedy=remedy, undermines=True)


def _trace(bench: Bench, stage: Stage, call: GroupCall, operation: Collective, iterations: int) -> list[Series]:
    cut = RingCut(count=call.count, ranks=call.ranks, dtype=call.dtype)
    traced = max(min(aligned_iterations(iterations), MOST_STAMPS // cut.messages), 1)
    trace = bench.transport.traced_ring(operation, iterations=traced)
    sent = _from_the_rank_before(bench, bench.to_reference_ns(trace.sent))
    held_ns = hop_ns(sent, bench.to_reference_ns(trace.ready), bench.to_reference_ns(trace.done)).sum(axis=1)
    hop = replace(
        measured_of(stage, call, Metric.TRANSFER),
        src=(call.rank - 1) % call.ranks,
        dst=call.rank,
        bytes_per_iteration=cut.hop_bytes(call.rank),
        window=cut.messages,
    )
    return [*lateness(bench, stage, call, trace.entries, trace.exits), record(hop, np.rint(held_ns).astype(np.int64))]


def _from_the_rank_before(bench: Bench, values: FloatArray) -> FloatArray:
    """Return the array that the rank before has in this place: one untimed step of the ring; all ranks call."""
    given, got = np.ascontiguousarray(values), np.empty_like(values)
    step = Collective(
        shape=SHAPES["sendrecv"],
        send_address=given.ctypes.data,
        receive_address=got.ctypes.data,
        send_count=given.size,
        receive_count=got.size,
        dtype="float64",
        op=None,
        root=0,
        in_place=False,
    )
    bench.transport.collective(step, iterations=1)
    return got


PROBE = Probe(
    id="traced_ring",
    title="reduce a buffer over all ranks in a ring, every hop of it timed",
    is_group=True,
    both_directions=False,
    scopes=(Scope.WORLD,),
    run=measure_ring,
    paths=(Path.MPI,),
)
