"""All-reduces beside reads from a file system: does either slow the other down?

Five rounds: reads alone, all-reduces alone, both, all-reduces alone, reads alone. What differs between the first and
the last of a kind has changed by itself. One rank of each host reads, on threads of its own.

Does not handle: which way reads take. On a file system of the host's own they take none that others share.
"""

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from netprobe.contracts import Assignment, Bench, Collective, Probe, ProbeResult
from netprobe.errors import UnavailableError
from netprobe.model.collective import SHAPES
from netprobe.model.finding import Gap
from netprobe.model.plan import Path, Scope, Stage
from netprobe.model.series import Fault, Metric, Phase, Series
from netprobe.model.storage import (
    BLOCK_BYTES,
    OWN_STORAGE,
    READS_IN,
    REDUCED_BEFORE,
    REDUCES_IN,
    STORAGE,
    StorageOptions,
)
from netprobe.probes._collective_data import GroupCall, as_collective, fill
from netprobe.probes._group import ALONE, check_data, measured_of, run_together
from netprobe.probes._recording import Measured, Timings, record, spend
from netprobe.system.storage import FileReads, Reading, own_file_system
from netprobe.units import NS_PER_S

OTHER_FILE: Final = "--storage with a file that all hosts can read"

PARALLEL: Final = "--storage with a file on the file system that jobs read from"
CACHED: Final = (
    "on {host} the file system takes no reads past the page cache (O_DIRECT): blocks were dropped from it before they "
    "were read (posix_fadvise), and what stayed was read from memory"
)
OWN: Final = "the file is on {kind}, of the host's own: unless its device is remote, reads cross no fabric"


@dataclass(slots=True)
class _Mix:
    """What is kept from round to round."""

    reads: FileReads | None
    """None on ranks that do not read."""
    call: GroupCall
    operation: Collective
    warmup: Timings
    faults: tuple[Fault, ...]
    """Of all ranks, on rank 0, that are not told yet; as ``remarks``."""
    remarks: tuple[Gap, ...]


def run_round(bench: Bench, stage: Stage, assignment: Assignment) -> Sequence[ProbeResult]:
    """Run one of the rounds; all ranks call. Rank 0 tells of all-reduces, and each host's reader of its reads."""
    if bench.transport.size == 1:
        bench.kept.is_over = True
        return (ALONE,)
    if bench.kept.value is None:
        refused = _begin(bench, stage)
        if refused:
            bench.kept.is_over = True
            return refused if bench.transport.rank == 0 else ()
    mix = bench.kept.value
    assert isinstance(mix, _Mix)
    phase = assignment.round_index
    reads = mix.reads if phase in READS_IN else None
    if reads is not None:
        reads.begin()
    bench.control.barrier()
    timed = _reduced(bench, stage, mix) if phase in REDUCES_IN else None
    if timed is None:
        time.sleep(stage.series_budget_ns / NS_PER_S)
    bench.control.barrier()
    reading = None if reads is None else reads.end()
    is_last = phase == max(READS_IN)
    if is_last and mix.reads is not None:
        mix.reads.close()
    problems = _problems(bench, reading)
    remarks, mix.remarks = mix.remarks, ()
    return (
        *remarks,
        *_told_of_reduces(bench, stage, mix, phase, timed),
        *_told_of_reads(bench, stage, phase, reading),
        *problems,
    )


def _begin(bench: Bench, stage: Stage) -> tuple[Gap, ...]:
    """Open the file, check the data and warm up; all ranks call. Return, on all, why there is nothing to measure."""
    assert stage.storage is not None
    reads, refusal = _opened(bench, stage.storage)
    refusals = [each for each in bench.control.allgather(refusal) if each is not None]
    if refusals:
        if reads is not None:
            reads.close()
        others = f" ({len(refusals)} hosts cannot)" if len(refusals) > 1 else ""
        return (Gap(topic=STORAGE, reason=f"{refusals[0]}{others}", remedy=OTHER_FILE, undermines=True),)
    call = _call(bench, stage)
    operation = as_collective(call)
    faults = bench.control.gather(check_data(bench, stage, call, operation)) or ()
    fill(call, stage.check_iterations)
    bench.kept.value = _Mix(
        reads=reads,
        call=call,
        operation=operation,
        warmup=run_together(bench, operation, max(stage.warmup_iterations, 1)),
        faults=tuple(fault for each in faults for fault in each),
        remarks=_remarks(bench, reads),
    )
    return ()


def _opened(bench: Bench, options: StorageOptions) -> tuple[FileReads | None, str | None]:
    """Return the reader, where this rank is its host's, and why it cannot read; all ranks call."""
    hosts = bench.control.allgather(os.uname().nodename)
    readers = [hosts.index(host) for host in dict.fromkeys(hosts)]
    if bench.transport.rank not in readers:
        return None, None
    share = readers.index(bench.transport.rank) / len(readers)  # hosts that read the same block share it in a cache
    try:
        return FileReads(options.path, rate_bytes_per_s=options.rate_bytes_per_s, first_share=share), None
    except UnavailableError as error:
        return None, f"{hosts[bench.transport.rank]}: {error.problem}"


def _remarks(bench: Bench, reads: FileReads | None) -> tuple[Gap, ...]:
    """Return, on rank 0, in what reads are not what they should be; all ranks call."""
    cached = None if reads is None or reads.is_direct else os.uname().nodename
    own = None if reads is None else own_file_system(reads.path)
    told = bench.control.gather((cached, own)) or []
    hosts = [host for host, _ in told if host is not None]
    kinds = [kind for _, kind in told if kind is not None]
    return (
        *(Gap(topic=STORAGE, reason=CACHED.format(host=host), remedy=PARALLEL) for host in hosts[:1]),
        *(Gap(topic=OWN_STORAGE, reason=OWN.format(kind=kind), remedy=PARALLEL) for kind in kinds[:1]),
    )


def _call(bench: Bench, stage: Stage) -> GroupCall:
    size_bytes = stage.sizes_bytes[0]
    return GroupCall(
        shape=SHAPES["allreduce"], size_bytes=size_bytes, dtype=stage.dtype, op=stage.op, root=0, in_place=False,
        rank=bench.transport.rank, ranks=bench.transport.size, seed=bench.seed + size_bytes,
        send=bench.memory("send", max(size_bytes, 8)), receive=bench.memory("receive", max(size_bytes, 8)),
    )  # fmt: skip


def _reduced(bench: Bench, stage: Stage, mix: _Mix) -> Timings:
    """Return all-reduces for as long as a round takes; all ranks see the same, and so decide the same."""
    return spend(
        stage.series_budget_ns,
        mix.warmup.elapsed_ns,
        lambda count: run_together(bench, mix.operation, count),
        lambda count: count,
    )


def _problems(bench: Bench, reading: Reading | None) -> tuple[Gap, ...]:
    """Return, on rank 0, what went wrong with reads; all ranks call."""
    own = None if reading is None or reading.problem is None else f"{os.uname().nodename}: {reading.problem}"
    told = [each for each in bench.control.gather(own) or () if each is not None]
    return tuple(Gap(topic=STORAGE, reason=each, remedy=OTHER_FILE, undermines=True) for each in dict.fromkeys(told))


def _told_of_reduces(
    bench: Bench, stage: Stage, mix: _Mix, phase: int, timed: Timings | None
) -> tuple[Series | Gap, ...]:
    if timed is None or bench.transport.rank != 0:
        return ()
    measured = replace(measured_of(stage, mix.call, Metric.REDUCED), round_index=phase)
    began_ns = bench.to_reference_ns(timed.began_ns)
    checked = stage.check_iterations if phase == REDUCED_BEFORE else 0
    faults, mix.faults = mix.faults, ()
    warmup = (record(measured, mix.warmup.elapsed_ns, phase=Phase.WARMUP),) if phase == REDUCED_BEFORE else ()
    return (
        *warmup,
        record(measured, timed.elapsed_ns, faults=faults, checked_iterations=checked, began_ns=began_ns),
    )


def _told_of_reads(bench: Bench, stage: Stage, phase: int, reading: Reading | None) -> tuple[Series | Gap, ...]:
    if reading is None or reading.problem is not None or not len(reading.durations_ns):
        return ()
    block = Measured(
        stage=stage, metric=Metric.READ, round_index=phase, src=bench.transport.rank, size_bytes=BLOCK_BYTES
    )
    whole = replace(block, metric=Metric.READS, bytes_per_iteration=reading.read_bytes)
    return (record(block, reading.durations_ns), record(whole, np.array([reading.elapsed_ns], dtype=np.int64)))


PROBE = Probe(
    id=STORAGE,
    title="all-reduces beside reads from a file system, and both alone",
    is_group=True,
    both_directions=False,
    scopes=(Scope.WORLD,),
    run=run_round,
    paths=(Path.MPI,),
)
