"""When levels changed, for better or worse, whether or not that is still a finding."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from netprobe.history.levels import Levels
from netprobe.model.history import Trend


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangePoint:
    """A new level of one subject."""

    trend: Trend
    column: int
    night: int
    """The first of the new level."""
    log_before: float
    log_now: float
    """Medians of both levels as log rates, without what the fleet did in their nights."""

    @property
    def subject(self) -> str:
        """Whose level it is."""
        return self.trend.subjects[self.column]

    @property
    def log_change(self) -> float:
        """Below 0 where it got worse."""
        return self.log_now - self.log_before


def change_points(levels: Levels) -> Iterator[ChangePoint]:
    """Yield the steps between levels that differ by enough to matter."""
    own = levels.own[: levels.last + 1]
    for column, starts in enumerate(levels.starts):
        edges = [0, *starts, len(own)]
        parts = [own[first:end, column] for first, end in pairwise(edges)]
        heights = [float(np.median(part[np.isfinite(part)])) for part in parts] if starts else []
        for night, (before, now) in zip(starts, pairwise(heights), strict=True):
            if abs(now - before) >= levels.smallest[column]:
                yield ChangePoint(trend=levels.trend, column=column, night=night, log_before=before, log_now=now)
