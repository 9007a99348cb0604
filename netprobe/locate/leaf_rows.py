"""Rows by leaf, and what each NIC lacks in them: what locate.leaf_model fits, and what members are asked for."""

from dataclasses import dataclass
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

from netprobe.stats.distinct import sorted_distinct
from netprobe.stats.grouped import Grouped

IntArray = NDArray[np.int64]
FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]

MOST_RATIO: Final = 0.7
"""Of the members that were judged; a switch that fails rarely spares more (as in judge.groups)."""
FEWEST_MEMBERS: Final = 3
"""Two bad cables at one switch are no surprise."""
FEWEST_PARTNERS: Final = 2
"""NICs that a member has to have met to be judged: one partner may be bad itself."""
SAME_SHARE: Final = 0.5
"""Of the leaf's effect that a member has to show: less is another fault, or none."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Rows:
    """Directed pairs of one rail whose leaves are known; symmetric ones are there once each way."""

    src: IntArray
    dst: IntArray
    near: IntArray
    """The leaf of the source."""
    far: IntArray
    values: FloatArray

    def kept(self, which: BoolArray) -> "Rows":
        """Return some of the rows."""
        return Rows(
            src=self.src[which],
            dst=self.dst[which],
            near=self.near[which],
            far=self.far[which],
            values=self.values[which],
        )


def known_rows(src: IntArray, dst: IntArray, values: FloatArray, leaf_of: IntArray, *, symmetric: bool) -> Rows:
    """Return the rows of which both leaves are known."""
    known = (leaf_of[src] >= 0) & (leaf_of[dst] >= 0)
    src, dst, values = src[known], dst[known], values[known]
    if symmetric:
        src, dst = np.concatenate([src, dst]), np.concatenate([dst, src])
        values = np.concatenate([values, values])
    return Rows(src=src, dst=dst, near=leaf_of[src], far=leaf_of[dst], values=values)


def sizes_of(leaf_of: IntArray) -> IntArray:
    """Return how many NICs each leaf has."""
    return np.bincount(leaf_of[leaf_of >= 0], minlength=1).astype(np.int64)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Members:
    """What each NIC lacks in a role against what its leaf's partners suggest; shape (NICs,)."""

    lacking: FloatArray
    """The median of its rows, without its own leaf's effect; NaN where it has too few."""

    def showing(self, own: BoolArray, effect: float, smallest: float) -> tuple[IntArray, int]:
        """Return which of some NICs show an effect of a leaf, and how many could have."""
        lacking = self.lacking[own]
        shows = (lacking < -smallest) & (lacking <= SAME_SHARE * effect)
        return np.flatnonzero(own)[shows], int(np.isfinite(lacking).sum())


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Met:
    """Rows by the NIC at one of their ends, and how many others each NIC has met there."""

    rows: Grouped
    others: IntArray

    @classmethod
    def by(cls, own: IntArray, partner: IntArray, count: int) -> Self:
        """Return the rows by their ``own`` ends; both ends are below ``count``."""
        pairs = sorted_distinct(own * count + partner, below=count * count)
        return cls(rows=Grouped.by(own, count), others=np.bincount(pairs // count, minlength=count))

    def lacking(self, values: FloatArray) -> FloatArray:
        """Return the median of each NIC's rows; NaN where it has met too few others."""
        low, high = self.rows.middles(values)
        # Of an even number whichever lies nearest to 0: who met one victim of somebody else's shows nothing.
        lacking: FloatArray = np.where(self.others >= FEWEST_PARTNERS, np.clip(0.0, low, high), np.nan)
        return lacking


def is_of_leaf(showing: IntArray, judged: int) -> bool:
    """Return whether so many of those that were judged show an effect that it is their leaf's."""
    return judged >= FEWEST_MEMBERS and len(showing) >= max(FEWEST_MEMBERS, MOST_RATIO * judged)
