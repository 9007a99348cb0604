"""Trends as rows to be read: who stands out one by one, and all that are alike together."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from netprobe.model.history import FLEET, FloatArray, Trend, Unit
from netprobe.stats.trends import middle

MOST_OWN: int = 6
"""Rows of single subjects in a table, beside that of all others."""
ALIKE_RATIO: float = 0.05
ALIKE_TIME_RATIO: float = 0.3
ALIKE_FACTOR: float = 10.0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TrendRow:
    """One line: of one subject, or the median of several."""

    subjects: tuple[str, ...]
    values: FloatArray
    """By night; NaN where nothing was measured."""
    median: float
    last: float | None
    """Of the newest night; None where it was not measured then."""
    before: str | None
    """The night in which it was measured last, where that is not the newest."""

    @property
    def change_ratio(self) -> float | None:
        """The newest night against the median."""
        return None if self.last is None or self.median <= 0 else self.last / self.median - 1


def rows_of(
    trend: Trend, labels: Sequence[str], named: Collection[str], *, every: bool, most: int = MOST_OWN
) -> Iterator[TrendRow]:
    """Yield the rows of a trend: subjects that findings name or that moved, then the others as one.

    ``every``: each subject by itself; else ``most`` of them. The newest night is the last row of the values.
    """
    every = every or trend.subjects == (FLEET,)
    own = list(range(len(trend.subjects))) if every else sorted(standing_out(trend, named)[:most])
    for column in own:
        yield _row((trend.subjects[column],), trend.values[:, column], labels)
    rest = [column for column in range(len(trend.subjects)) if column not in set(own)]
    if rest:
        yield _row(tuple(trend.subjects[column] for column in rest), middle(trend.values[:, rest].T), labels)


def standing_out(trend: Trend, named: Collection[str]) -> list[int]:
    """Return the subjects that findings name, then those that moved, by how far; those that are gone first."""
    medians = middle(trend.values)
    last = trend.values[-1]
    with np.errstate(invalid="ignore", divide="ignore"):
        moved = last / medians
        # Against what all did: after an upgrade everybody has moved, and nobody stands out.
        usual = float(np.median(moved[np.isfinite(moved)])) if np.isfinite(moved).any() else 1.0
        moved = np.abs(np.log(moved / usual))
    weight = np.where(np.isfinite(moved), moved, np.inf)
    is_named = np.array([subject in named for subject in trend.subjects], dtype=bool)
    stands_out = is_named | (weight >= _alike_log(trend))
    return sorted(np.flatnonzero(stands_out).tolist(), key=lambda at: (not is_named[at], -weight[at]))


def _alike_log(trend: Trend) -> float:
    """Return how far apart on a log scale subjects still count as alike: shares of errors scatter by whole factors."""
    if trend.unit is Unit.RATIO:
        return float(np.log(ALIKE_FACTOR))
    return float(np.log1p(ALIKE_RATIO if trend.unit.is_rate else ALIKE_TIME_RATIO))


def _row(subjects: tuple[str, ...], values: FloatArray, labels: Sequence[str]) -> TrendRow:
    known = np.flatnonzero(np.isfinite(values))
    last = float(values[-1])
    return TrendRow(
        subjects=subjects,
        values=values,
        median=float(np.median(values[known])) if len(known) else np.nan,
        last=last if np.isfinite(last) else None,
        before=None if np.isfinite(last) or not len(known) else labels[known[-1]],
    )


def sparkline(values: FloatArray, width: int, *, reach_ratio: float = ALIKE_RATIO) -> str:
    """Return a line of bars, the newest night last; a dot for nights in which nothing was measured.

    The scale spans the row's own values, at least ``reach_ratio`` of their median either way, so that noise stays flat.
    Nights that share a bar are its median.
    """
    bars = condensed(values, width)
    known = bars[np.isfinite(bars)]
    if not len(known):
        return "·" * len(bars)
    center = float(np.median(known))
    low = min(float(known.min()), center * (1 - reach_ratio))
    high = max(float(known.max()), center * (1 + reach_ratio))
    steps = "▁▂▃▄▅▆▇█"
    span = high - low
    height = [(value - low) / span if span > 0 else 0.5 for value in bars.tolist()]
    return "".join("·" if np.isnan(at) else steps[min(int(at * len(steps)), len(steps) - 1)] for at in height)


def condensed(values: FloatArray, most: int) -> FloatArray:
    """Return the values as ``most`` of them at most: nights that share one are its median, NaN where none is known."""
    count = min(most, len(values))
    if not count:
        return np.full(0, np.nan)
    shares = np.full(count, len(values) // count)
    shares[: len(values) % count] += 1
    parts = np.full((count, int(shares[0])), np.nan)
    parts[np.arange(parts.shape[1]) < shares[:, None]] = values
    return middle(parts.T)
