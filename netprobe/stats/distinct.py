"""Distinct numbers of long columns: by a table of all that there could be where that is small, else by sorting."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

IntArray = NDArray[np.int64]

ROOM_RATIO: Final = 8  # of the keys; a table that is larger is slower to fill than keys are to sort


def sorted_distinct(keys: IntArray, *, below: int | None = None) -> IntArray:
    """Return the distinct keys, ascending; numpy.unique hashes large integers, which takes five times as long.

    ``below``: they are from 0 to less than this, where that is known; a table of bits then mostly does without sorting.
    """
    if below is not None and _has_room(keys, below):
        return np.flatnonzero(_marked(keys, below))
    ordered = np.sort(keys)
    is_first = np.ones(len(ordered), dtype=bool)
    is_first[1:] = ordered[1:] != ordered[:-1]
    return ordered[is_first]


def count_distinct(keys: IntArray, *, below: int) -> int:
    """Return how many distinct keys there are; ``keys`` are from 0 to less than ``below``, shape (n,)."""
    if _has_room(keys, below):
        return int(np.count_nonzero(_marked(keys, below)))
    return len(sorted_distinct(keys))


def has_repeats(keys: IntArray, *, below: int) -> bool:
    """Return whether any key is there twice; ``keys`` are from 0 to less than ``below``, shape (n,)."""
    return count_distinct(keys, below=below) < len(keys)


def distinct(keys: IntArray, *, below: int) -> tuple[IntArray, IntArray]:
    """Return the distinct keys, ascending, and for each key its place among them.

    The same as numpy.unique with return_inverse; ``keys`` are from 0 to less than ``below``, shape (n,).
    """
    if not _has_room(keys, below):
        found, place = np.unique(keys, return_inverse=True)
        return found, place.reshape(-1)
    is_there = _marked(keys, below)
    places = np.cumsum(is_there, dtype=np.int64) - 1
    return np.flatnonzero(is_there), places[keys]


def by_owner(owner: IntArray, *, owners: int) -> IntArray:
    """Return the order in which rows are those of owner 0, then of owner 1; rows of one owner as they were."""
    # A stable sort of 16-bit numbers is a radix sort, ten times as fast as one of 64-bit numbers.
    order = np.argsort(owner.astype(np.uint16), kind="stable")
    if owners <= 1 << 16:
        return order
    if owners > 1 << 32:
        return np.argsort(owner, kind="stable")
    high = (owner >> 16).astype(np.uint16)[order]
    return order[np.argsort(high, kind="stable")]


def _has_room(keys: IntArray, below: int) -> bool:
    return below <= ROOM_RATIO * max(len(keys), 1)


def _marked(keys: IntArray, below: int) -> NDArray[np.bool_]:
    is_there = np.zeros(below, dtype=bool)
    is_there[keys] = True
    return is_there
