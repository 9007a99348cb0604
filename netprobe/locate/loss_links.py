"""Which links there are that could lose, and which paths cross them: the candidates of locate.tomography."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import numpy as np
from numpy.typing import NDArray

IntArray = NDArray[np.int64]
FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]


class Part(StrEnum):
    """Kinds of candidates."""

    TX = "tx"
    RX = "rx"
    UP = "up"
    DOWN = "down"
    JOINT = "joint"
    PATH = "path"


PARTS: Final = tuple(Part)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LossPaths:
    """Directed pairs of NICs of one rail; arrays have shape (rows,). The same pair may come again, by another way."""

    src: IntArray
    dst: IntArray
    sent: FloatArray
    lost: FloatArray


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Links:
    """Candidates, and which rows cross them; entries have shape (entries,), candidates (links,)."""

    row: IntArray
    link: IntArray
    share: FloatArray
    """How likely the row crosses it: 1, or 1/u."""
    part: IntArray
    """Of each candidate, an index of ``PARTS``."""
    first: IntArray
    """The NIC, the leaf, or the source of a pair or path."""
    second: IntArray
    """The other leaf or NIC; -1 where there is none."""
    is_one_of: BoolArray
    """Whether one link of a bundle is meant, rather than all of it."""

    @property
    def count(self) -> int:
        """How many candidates there are."""
        return len(self.part)


def links_of(paths: LossPaths, leaf_of: IntArray, uplinks: IntArray) -> Links:
    """Return the candidates of these paths.

    ``leaf_of`` numbers the leaf of each NIC (-1: not known), ``uplinks`` counts those of each leaf (0: not known; then
    one of two and all are tried, as a bundle has two links at least).
    """
    near, far = leaf_of[paths.src], leaf_of[paths.dst]
    crosses = (near >= 0) & (far >= 0) & (near != far)
    everywhere = np.ones(len(paths.src), dtype=bool)
    lossy = paths.lost > 0
    none = np.full(len(paths.src), -1, dtype=np.int64)
    of_near, of_far = (_ways(side, uplinks) for side in (near, far))
    narrow = np.maximum(of_near, of_far)
    wanted = [
        (Part.TX, everywhere, paths.src, none, None),
        (Part.RX, everywhere, paths.dst, none, None),
        *((part, crosses, side, none, ways) for part, side, of in ((Part.UP, near, of_near), (Part.DOWN, far, of_far))
          for ways in (None, of)),
        (Part.JOINT, crosses, near, far, narrow),
        (Part.JOINT, crosses, near, far, None),
        (Part.PATH, lossy, paths.src, paths.dst, None),
    ]  # fmt: skip
    return _assembled([each for each in wanted if each[1].any()])


def _ways(side: IntArray, uplinks: IntArray) -> FloatArray:
    known = np.append(uplinks, 0)[side]
    ways: FloatArray = np.where(known > 0, known, 2).astype(np.float64)
    return ways


Wanted = tuple[Part, BoolArray, IntArray, IntArray, FloatArray | None]


def _assembled(wanted: list[Wanted]) -> Links:
    rows, links, shares, parts, firsts, seconds, kinds = [], [], [], [], [], [], []
    base = 0
    for part, which, first, second, ways in wanted:
        at = np.flatnonzero(which)
        width = int(second[at].max()) + 2
        keys, number = _numbered(first[at] * width + second[at] + 1)
        rows.append(at)
        links.append(base + number)
        shares.append(np.ones(len(at)) if ways is None else 1.0 / ways[at])
        parts.append(np.full(len(keys), PARTS.index(part), dtype=np.int64))
        firsts.append(keys // width)
        seconds.append(keys % width - 1)
        kinds.append(np.full(len(keys), ways is not None))
        base += len(keys)
    if not wanted:
        empty = np.zeros(0, dtype=np.int64)
        return Links(row=empty, link=empty, share=empty.astype(np.float64), part=empty, first=empty, second=empty,
                     is_one_of=empty.astype(bool))  # fmt: skip
    return Links(
        row=np.concatenate(rows),
        link=np.concatenate(links),
        share=np.concatenate(shares),
        part=np.concatenate(parts),
        first=np.concatenate(firsts),
        second=np.concatenate(seconds),
        is_one_of=np.concatenate(kinds),
    )


def _numbered(keys: IntArray) -> tuple[IntArray, IntArray]:
    """Return the distinct keys, ascending, and the place of each key among them; by counting, where there is room."""
    most = int(keys.max(initial=0)) + 1
    if most > 64 * len(keys) + (1 << 20):
        distinct, number = np.unique(keys, return_inverse=True)
        return distinct, number.reshape(-1).astype(np.int64)
    is_there = np.zeros(most, dtype=bool)
    is_there[keys] = True
    place = np.cumsum(is_there) - 1
    return np.flatnonzero(is_there), place[keys].astype(np.int64)
