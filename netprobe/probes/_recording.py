"""From stamps to Series: what every probe does with the times it got."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from netprobe.contracts import Stamps
from netprobe.model.histogram import histogram_of
from netprobe.model.plan import Stage
from netprobe.model.series import Fault, Metric, Phase, Series, SlowSample

SLOWEST_KEPT: Final = 8  # enough to see a period or a burst; the histogram has the rest
MOST_ITERATIONS: Final = 200_000  # 1.6 MB of stamps; more samples sharpen no percentile that is reported
FEWEST_ITERATIONS: Final = 4  # below this a median says nothing


def durations_of(stamps: Stamps) -> NDArray[np.int64]:
    """Return each iteration's elapsed ns, shape (iterations,)."""
    return np.diff(stamps)


def iterations_within(budget_ns: int, iteration_ns: float) -> int:
    """Return how many iterations fit the budget, within what is useful to record."""
    fitting = int(budget_ns / max(iteration_ns, 1.0))
    return max(FEWEST_ITERATIONS, min(MOST_ITERATIONS, fitting))


def typical_ns(durations: NDArray[np.int64]) -> float:
    """Return the median of the later half, when caches and connections are warm."""
    return float(np.median(durations[len(durations) // 2 :]))


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """What a series of durations is about: the fields of model.series.Series that its times do not tell."""

    stage: Stage
    metric: Metric
    round_index: int = 0
    src: int = 0
    dst: int | None = None
    size_bytes: int
    bytes_per_iteration: int = 0
    window: int = 1
    op: str | None = None
    root: int | None = None
    in_place: bool = False


def record(
    measured: Measured,
    durations: NDArray[np.int64],
    *,
    phase: Phase = Phase.TIMED,
    faults: tuple[Fault, ...] = (),
    checked_iterations: int = 0,
) -> Series:
    """Return the Series of these durations (ns, shape (iterations,))."""
    slowest = np.argsort(durations, kind="stable")[::-1][:SLOWEST_KEPT]
    return Series(
        stage=measured.stage.id,
        probe=measured.stage.probe,
        metric=measured.metric,
        phase=phase,
        round_index=measured.round_index,
        src=measured.src,
        dst=measured.dst,
        size_bytes=measured.size_bytes,
        bytes_per_iteration=measured.bytes_per_iteration,
        window=measured.window,
        dtype=measured.stage.dtype,
        op=measured.op,
        root=measured.root,
        in_place=measured.in_place,
        iterations=len(durations),
        total_ns=int(durations.sum()),
        min_ns=int(durations.min()),
        max_ns=int(durations.max()),
        histogram=histogram_of(durations),
        slowest=tuple(SlowSample(iteration=int(i), elapsed_ns=int(durations[i])) for i in slowest),
        faults=faults,
        checked_iterations=checked_iterations,
    )
