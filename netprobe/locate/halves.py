"""Two groups between which everything loses, and within which nothing does: what joins them is at fault, and no host.

A host at fault loses with its neighbours too. So hosts are put together that do well with each other; when that makes
two groups, and nearly all that was counted between them loses in a direction, the links between them do.

Does not handle: three or more groups, and fleets in which partners are too few to hold a group together.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]

NEARLY_ALL: Final = 0.8
SMALLEST: Final = 2  # a group of one is a host


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Halves:
    """What lies on either side of a bad link."""

    first: IntArray
    second: IntArray
    """Numbers of hosts or ports, ascending; the lowest of all is in the first."""
    rows: IntArray
    """The directions between them that lose."""
    both_ways: bool
    outward: bool
    """Whether, where not both ways, it is from the first to the second."""


def halves(src: IntArray, dst: IntArray, is_counted: BoolArray, lossy: BoolArray) -> Halves | None:
    """Return the two groups that lossy directions (arrays of shape (n,)) fall between; None when they do not."""
    joins = is_counted & ~_touches(src, dst, lossy)
    seen = np.unique(np.concatenate([src[is_counted], dst[is_counted]]))
    group = _groups(src[joins], dst[joins], seen)
    if not lossy.any() or len(set(group.values())) != 2:
        return None
    side = np.array([group.get(number, -1) for number in src.tolist()])
    far = np.array([group.get(number, -1) for number in dst.tolist()])
    between = is_counted & (side != far)
    first_side = group[int(seen[0])]
    out, back = between & (side == first_side), between & (side != first_side)
    bad = [bool(way.any()) and lossy[way].mean() >= NEARLY_ALL for way in (out, back)]
    members = [np.array([n for n in seen.tolist() if (group[n] == first_side) is own]) for own in (True, False)]
    if not any(bad) or min(map(len, members)) < SMALLEST:
        return None
    at = lossy & (out if not bad[1] else back if not bad[0] else between)
    return Halves(
        first=members[0], second=members[1], rows=np.flatnonzero(at), both_ways=all(bad), outward=bool(bad[0])
    )


def _touches(src: IntArray, dst: IntArray, lossy: BoolArray) -> BoolArray:
    """Return which directions lose, or have a way back that does."""
    most = int(max(src.max(initial=0), dst.max(initial=0))) + 1
    low, high = np.minimum(src, dst), np.maximum(src, dst)
    pair = low * most + high
    touched: BoolArray = np.isin(pair, pair[lossy])
    return touched


def _groups(src: IntArray, dst: IntArray, seen: IntArray) -> dict[int, int]:
    """Return which group each number is in: those joined by a chain of directions, each known by one of its own."""
    leader = {number: number for number in seen.tolist()}

    def lead(number: int) -> int:
        while leader[number] != number:
            leader[number] = leader[leader[number]]
            number = leader[number]
        return number

    for one, other in zip(src.tolist(), dst.tolist(), strict=True):
        leader[lead(one)] = lead(other)
    return {number: lead(number) for number in seen.tolist()}
