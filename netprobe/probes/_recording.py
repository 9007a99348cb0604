"""From stamps to Series: what every probe does with the times it got."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from netprobe.contracts import Stamps
from netprobe.model.histogram import histogram_of, merge
from netprobe.model.plan import Stage
from netprobe.model.series import Fault, Metric, Phase, Series, SlowSample

SLOWEST_KEPT: Final = 8  # enough to see a period or a burst; the histogram has the rest
MOST_ITERATIONS: Final = 200_000  # 1.6 MB of stamps; more samples sharpen no percentile that is reported
FEWEST_ITERATIONS: Final = 4  # below this a median says nothing
PARTS: Final = 4  # series that a budget is cut into; each costs one agreement, outside of the timed span
MOST_PARTS: Final = 24
ENOUGH: Final = 0.9  # of the budget: another series of a few iterations would add nothing
FEWEST_FOR_QUARTERS: Final = 40  # ten each: their medians are then within half of the spread
WARMUP_SHARE: Final = 10  # of the budget goes to warm-up
PIPELINED_SHARE: Final = 2  # of the timed iterations are run again undivided
MOST_PIPELINED: Final = 128  # iterations of a run: one CUDA graph; nccl-tests has 20
MOST_PIPELINED_BYTES: Final = 4 << 30  # of a run, for which a watch waits a minute
MOST_RUNS: Final = 5


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Timings:
    """Iterations of a series, both of shape (iterations,)."""

    elapsed_ns: NDArray[np.int64]
    began_ns: Stamps
    """By this rank's clock."""


def durations_of(stamps: Stamps) -> NDArray[np.int64]:
    """Return each iteration's elapsed ns, shape (iterations,)."""
    return np.diff(stamps)


def timings_of(stamps: Stamps) -> Timings:
    """Return what a series of n + 1 stamps tells of its n iterations."""
    return Timings(elapsed_ns=np.diff(stamps), began_ns=stamps[:-1])


def joined(parts: Sequence[Timings]) -> Timings:
    """Return the iterations of all parts, in order."""
    nothing = np.zeros(0, dtype=np.int64)
    return Timings(
        elapsed_ns=np.concatenate([nothing, *(each.elapsed_ns for each in parts)]),
        began_ns=np.concatenate([nothing, *(each.began_ns for each in parts)]),
    )


def spend(
    budget_ns: int,
    seen: NDArray[np.int64],
    run: Callable[[int], Timings],
    agree: Callable[[int], int],
) -> Timings:
    """Run iterations until ``budget_ns`` are spent, and return them.

    In a few series, each as long as the mean of the one before lets expect (first: of ``seen``): a count that was fixed
    in advance would miss the budget thirtyfold when those few iterations met a disturbance. ``agree`` turns the count
    that this rank wants into the one that all run; 0 ends it.
    """
    parts: list[Timings] = []
    spent_ns, done, mean_ns = 0, 0, float(seen.mean())
    while True:
        wanted = 0
        if len(parts) < MOST_PARTS and spent_ns < budget_ns * ENOUGH and done < MOST_ITERATIONS:
            span_ns = min(budget_ns - spent_ns, budget_ns / PARTS)
            wanted = min(max(int(span_ns / max(mean_ns, 1.0)), FEWEST_ITERATIONS), MOST_ITERATIONS - done)
        count = agree(wanted)
        if count == 0:
            return joined(parts)
        parts.append(run(count))
        elapsed_ns = parts[-1].elapsed_ns
        spent_ns, done, mean_ns = spent_ns + int(elapsed_ns.sum()), done + count, float(elapsed_ns.mean())


def pipelined_runs(timed: int, bytes_per_iteration: int) -> tuple[int, int]:
    """Return (runs, iterations of each) for the pipelined phase after so many timed iterations.

    (0, 0) where a run would be of one iteration alone, which is no pipeline.
    """
    iterations = max(FEWEST_ITERATIONS, timed // PIPELINED_SHARE)
    length = min(iterations, MOST_PIPELINED, MOST_PIPELINED_BYTES // max(bytes_per_iteration, 1))
    return (max(1, min(MOST_RUNS, iterations // length)), length) if length > 1 else (0, 0)


def pipelined(measured: "Measured", run: Callable[[int], NDArray[np.int64]], timed: int) -> tuple[Series, ...]:
    """Return the series of runs of a pipeline, as long as ``timed`` iterations suggest; nothing where there is none.

    ``measured`` is what one iteration is about; ``run`` runs so many and returns how long they took in all, shape (1,).
    """
    runs, length = pipelined_runs(timed, measured.bytes_per_iteration)
    if not runs:
        return ()
    of_run = replace(
        measured,
        metric=Metric.PIPELINED,
        bytes_per_iteration=length * measured.bytes_per_iteration,
        window=length,
    )
    return (record(of_run, np.concatenate([run(length) for _ in range(runs)])),)


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


def record(  # noqa: PLR0913 - all that is told of a series
    measured: Measured,
    durations: NDArray[np.int64],
    *,
    phase: Phase = Phase.TIMED,
    faults: tuple[Fault, ...] = (),
    checked_iterations: int = 0,
    began_ns: NDArray[np.float64] | None = None,
    cpu: int | None = None,
) -> Series:
    """Return the Series of these durations (ns, shape (iterations,)).

    ``began_ns`` are the times at which iterations began, as Bench.to_reference_ns gives them; None: not to be told.
    """
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
        slowest=tuple(
            SlowSample(iteration=int(i), elapsed_ns=int(durations[i]), at_ns=_time_of(began_ns, i)) for i in slowest
        ),
        faults=faults,
        checked_iterations=checked_iterations,
        started_ns=_time_of(began_ns, 0),
        quarters_ns=_quarters(durations),
        cpu=cpu,
    )


def appended(first: Series, second: Series) -> Series:
    """Return one series of the iterations of two, the second's behind the first's; all else is the first's."""
    later = (replace(each, iteration=each.iteration + first.iterations) for each in second.slowest)
    slowest = sorted((*first.slowest, *later), key=lambda each: -each.elapsed_ns)[:SLOWEST_KEPT]
    return replace(
        first,
        iterations=first.iterations + second.iterations,
        total_ns=first.total_ns + second.total_ns,
        min_ns=min(first.min_ns, second.min_ns),
        max_ns=max(first.max_ns, second.max_ns),
        histogram=merge(first.histogram, second.histogram),
        slowest=tuple(slowest),
        faults=first.faults + second.faults,
        checked_iterations=first.checked_iterations + second.checked_iterations,
        quarters_ns=(),
    )


def _time_of(began_ns: NDArray[np.float64] | None, iteration: int) -> int | None:
    # Clocks are compared to within an error: what is told as before the ranks met was then.
    return None if began_ns is None else max(round(float(began_ns[iteration])), 0)


def _quarters(durations: NDArray[np.int64]) -> tuple[int, ...]:
    """Return the medians of four quarters; nothing where a quarter is too short for one."""
    if len(durations) < FEWEST_FOR_QUARTERS:
        return ()
    return tuple(int(np.median(part)) for part in np.array_split(durations, 4))
