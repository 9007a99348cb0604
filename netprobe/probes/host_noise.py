"""What a host takes away from ranks that only compute: quanta of fixed work, and a beat of sleeps.

All ranks work at once, each on the CPU it has, and send nothing: what is late here is late without any fabric. One
that takes longer than the median by more than a core's clock varies is a detour: an interrupt, another process, the
hypervisor, the firmware. How late a sleeping rank wakes is the same for who waits without polling.

Does not handle: caches and memory, which quanta leave alone; and what happens only under load.
"""

from collections.abc import Iterator, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from netprobe import _native
from netprobe.contracts import Assignment, Bench, CpuMeter, Probe, ProbeResult
from netprobe.model.plan import HOST_NOISE, Path, Scope, Stage
from netprobe.model.series import Metric, Series
from netprobe.probes._recording import MOST_ITERATIONS, Measured, record
from netprobe.stats.detours import detours_in
from netprobe.units import NS_PER_MS, NS_PER_US

QUANTUM_NS: Final = 5 * NS_PER_US  # five times the shortest detour that is told, which a timer interrupt takes
SLEEP_NS: Final = 200 * NS_PER_US  # beyond the 50 µs by which Linux may delay a timer to join others
WORK_SHARE: Final = 0.8  # of the time; sleeps are fewer, and a median of them needs no more
FIRST_STEPS: Final = 200  # some 0.3 µs
CALIBRATING_NS: Final = NS_PER_MS
CALIBRATING_QUANTA: Final = 1000
MOST_STEPS: Final = 1 << 24


def measure_noise(bench: Bench, stage: Stage, assignment: Assignment) -> Sequence[ProbeResult]:
    """Work, then sleep; all ranks call, and each tells of itself."""
    meter = _native if bench.meter is None else bench.meter
    # Of the fastest core: then all do the same, and how long it takes compares cores.
    steps = int(bench.control.maximum(np.array([_calibrated(meter)], dtype=np.int64))[0])
    quanta = stage.iterations or MOST_ITERATIONS
    stamps, late_ns = np.zeros(quanta + 1, dtype=np.int64), np.zeros(quanta, dtype=np.int64)
    work_ns = round(stage.series_budget_ns * WORK_SHARE)
    bench.control.barrier()
    written, first, last, _ = meter.quanta(steps, work_ns, stamps)
    woken, *_ = meter.wakes(SLEEP_NS, stage.series_budget_ns - work_ns, late_ns)
    return (
        *_worked(bench, stage, assignment, stamps[:written], first if first == last >= 0 else None),
        *([record(_measured(bench, stage, assignment, Metric.WAKE_LATE), late_ns[:woken])] if woken else []),
    )


def _calibrated(meter: CpuMeter) -> int:
    """Return the steps that take a quantum on this core when nobody interrupts it."""
    stamps = np.zeros(CALIBRATING_QUANTA + 1, dtype=np.int64)
    written, *_ = meter.quanta(FIRST_STEPS, CALIBRATING_NS, stamps)
    quickest_ns = max(int(np.diff(stamps[:written]).min()), 1)
    return min(max(FIRST_STEPS * QUANTUM_NS // quickest_ns, 1), MOST_STEPS)


def _worked(
    bench: Bench, stage: Stage, assignment: Assignment, stamps: NDArray[np.int64], cpu: int | None
) -> Iterator[Series]:
    """Yield what quanta took, and how long detours were and how far apart; of these only where there are any."""
    elapsed_ns, began_ns = np.diff(stamps), bench.to_reference_ns(stamps[:-1])
    yield record(_measured(bench, stage, assignment, Metric.QUANTUM), elapsed_ns, began_ns=began_ns, cpu=cpu)
    at = detours_in(elapsed_ns)
    if not len(at):
        return
    beyond_ns = elapsed_ns[at] - int(np.median(elapsed_ns))
    yield record(_measured(bench, stage, assignment, Metric.DETOUR), beyond_ns, began_ns=began_ns[at], cpu=cpu)
    if len(at) > 1:
        gaps_ns = np.diff(stamps[:-1][at])
        yield record(_measured(bench, stage, assignment, Metric.DETOUR_GAP), gaps_ns, cpu=cpu)


def _measured(bench: Bench, stage: Stage, assignment: Assignment, metric: Metric) -> Measured:
    return Measured(
        stage=stage, metric=metric, round_index=assignment.round_index, src=bench.transport.rank, size_bytes=0
    )


PROBE = Probe(
    id=HOST_NOISE,
    title="ranks that only compute, and what interrupts them",
    is_group=True,
    both_directions=False,
    scopes=(Scope.WORLD,),
    run=measure_noise,
    paths=(Path.MPI,),
)
