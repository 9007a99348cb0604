"""Middles of many groups at once: rows are put in order of their group once, and asked as often as one likes."""

from dataclasses import dataclass
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

from netprobe.stats.distinct import by_owner

IntArray = NDArray[np.int64]
FloatArray = NDArray[np.float64]

ROOM_RATIO: Final = 2
"""Of the rows: a table of all groups, filled up to the largest, that is larger is slower than one sort of all rows."""
FEW_MIDDLES: Final = 4
"""Of groups of unlike size; for more, sorting them is as quick as finding their middles."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Grouped:
    """Rows in order of the group that each belongs to; groups are numbered from 0."""

    order: IntArray
    """Rows of group 0, then of group 1; shape (rows,)."""
    first: IntArray
    """Where in ``order`` those of each group begin, shape (groups,)."""
    counts: IntArray
    """How many each group has, shape (groups,)."""

    @classmethod
    def by(cls, group: IntArray, groups: int) -> Self:
        """Return the rows of these groups, all of which are below ``groups``."""
        counts = np.bincount(group, minlength=groups)
        return cls(order=by_owner(group, owners=groups), first=np.cumsum(counts) - counts, counts=counts)

    def rows_of(self, group: int) -> IntArray:
        """Return the rows of one group, in their order."""
        first = int(self.first[group])
        return self.order[first : first + int(self.counts[group])]

    def medians(self, values: FloatArray) -> FloatArray:
        """Return the median of each group's values, shape (groups,); NaN where it has none."""
        low, high = self.middles(values)
        medians: FloatArray = (low + high) / 2
        return medians

    def middles(self, values: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return the two middle values of each group, the same one where it has an odd count; NaN without any."""
        low, high = np.full(len(self.counts), np.nan), np.full(len(self.counts), np.nan)
        there = np.flatnonzero(self.counts)
        if len(there):
            counts = self.counts[there]
            is_even = len(there) * int(counts.max()) <= ROOM_RATIO * len(self.order)
            found = self._by_table if is_even else self._by_sorting
            low[there], high[there] = found(values, there, (counts - 1) // 2, counts // 2)
        return low, high

    def _by_table(
        self, values: FloatArray, there: IntArray, at_low: IntArray, at_high: IntArray
    ) -> tuple[FloatArray, FloatArray]:
        counts, most = self.counts[there], int(self.counts.max())
        if (counts == most).all():
            table = values[self.order].reshape(len(there), most)
        else:
            table = np.full((len(there), most), np.inf)
            table[np.arange(most) < counts[:, None]] = values[self.order]
        wanted = np.unique(np.concatenate([at_low, at_high]))
        if len(wanted) <= FEW_MIDDLES:
            table.partition(wanted, axis=1)
        else:
            table.sort(axis=1)
        line = np.arange(len(there))
        return table[line, at_low], table[line, at_high]

    def _by_sorting(
        self, values: FloatArray, there: IntArray, at_low: IntArray, at_high: IntArray
    ) -> tuple[FloatArray, FloatArray]:
        by_value = np.argsort(values[self.order])
        group = np.repeat(np.arange(len(self.counts)), self.counts)[by_value]
        ordered = values[self.order][by_value][by_owner(group, owners=len(self.counts))]
        return ordered[self.first[there] + at_low], ordered[self.first[there] + at_high]
