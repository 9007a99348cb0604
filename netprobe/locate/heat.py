"""Maps of pairs as square grids: folded by host, leaf or whatever has room, the worst pair of a cell standing for it.

A fold keeps the worst, since the one pair that is slow is what a map is looked at for; a cell that nobody measured is
NaN. How bad a cell is goes from 0 (as good as is typical) to 1, the same for every figure, so that one scale of colours
serves them all.
"""

from collections import Counter
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from netprobe.model.exhibits import UNKNOWN_LEAF, Figure, PairMap, Places

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

WORST_RATIO: Final = 0.5
"""Of the typical speed: a pair that is as slow or slower is as bad as a map shows."""
FEWEST_LOST: Final = 1e-7
MOST_LOST: Final = 1e-2
"""Shares of packets between which badness grows with the logarithm; at 400G the second halves the rate."""
LEAST_BADNESS_OF_LOSS: Final = 0.15
"""Any loss at all must be told from none."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Axis:
    """The groups that rows and columns stand for; a rank is in one of them or in none."""

    names: tuple[str, ...]
    group_of: IntArray
    """By rank; -1: in none."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Grid:
    """A map on an axis: row i, column j is from i to j. Arrays have shape (groups, groups)."""

    names: tuple[str, ...]
    value: FloatArray
    """NaN: not measured."""
    badness: FloatArray
    """0 to 1; NaN: not measured."""


def by_rank(places: Places) -> Axis:
    """Return every rank for itself, called by its NIC where it has one."""
    names = tuple(
        f"{places.hosts[host]} {nic}" if nic is not None else f"{places.hosts[host]}:{rank}"
        for rank, (host, nic) in enumerate(zip(places.host_of.tolist(), places.nics, strict=True))
    )
    count = Counter(names)
    told = tuple(f"{name} (rank {rank})" if count[name] > 1 else name for rank, name in enumerate(names))
    return Axis(names=told, group_of=np.arange(len(names)))


def by_host(places: Places) -> Axis:
    """Return the hosts."""
    return Axis(names=places.hosts, group_of=places.host_of)


def by_leaf(places: Places) -> Axis:
    """Return the leaves; ranks of which nobody knows the leaf are in none."""
    leaf_of = places.leaf_of if places.leaves else np.full(len(places.nics), UNKNOWN_LEAF, dtype=np.int64)
    return Axis(names=places.leaves, group_of=leaf_of)


def in_order_of_leaves(places: Places) -> IntArray:
    """Return the ranks leaf after leaf, those of one leaf as they were; unknown leaves last. Shape (ranks,)."""
    leaf_of = by_leaf(places).group_of
    order: IntArray = np.argsort(np.where(leaf_of == UNKNOWN_LEAF, len(places.leaves), leaf_of), kind="stable")
    return order


def binned(axis: Axis, most: int) -> Axis:
    """Return an axis with at most ``most`` groups: neighbours together, named from the first to the last."""
    count = len(axis.names)
    if count <= most:
        return axis
    size = -(-count // most)
    starts = range(0, count, size)
    names = tuple(
        axis.names[start] if last == start else f"{axis.names[start]} … {axis.names[last]}"
        for start in starts
        for last in [min(start + size, count) - 1]
    )
    return Axis(names=names, group_of=np.where(axis.group_of < 0, -1, axis.group_of // size))


def grid_of(pair_map: PairMap, axis: Axis) -> Grid:
    """Return a map folded onto an axis; of loss all packets of a cell together, of speed the worst pair."""
    src, dst = axis.group_of[pair_map.src], axis.group_of[pair_map.dst]
    known = (src >= 0) & (dst >= 0)
    src, dst, value = src[known], dst[known], pair_map.value[known]
    weight = np.ones(len(value)) if pair_map.weight is None else pair_map.weight[known]
    if not pair_map.directed:
        src, dst = np.concatenate([src, dst]), np.concatenate([dst, src])
        value, weight = np.tile(value, 2), np.tile(weight, 2)
    folded = _folded(pair_map.figure, src * len(axis.names) + dst, value, weight, len(axis.names) ** 2)
    folded = folded.reshape(len(axis.names), len(axis.names))
    return Grid(names=axis.names, value=folded, badness=badness_of(pair_map.figure, folded, pair_map.typical))


def _folded(figure: Figure, cell: IntArray, value: FloatArray, weight: FloatArray, cells: int) -> FloatArray:
    folded: FloatArray = np.full(cells, np.nan)
    if figure is Figure.LOSS:
        sent = np.bincount(cell, weight, cells)
        lost = np.bincount(cell, weight * value, cells)
        folded[sent > 0] = lost[sent > 0] / sent[sent > 0]
    elif figure is Figure.BANDWIDTH:
        np.fmin.at(folded, cell, value)
    else:
        np.fmax.at(folded, cell, value)
    return folded


def badness_of(figure: Figure, value: FloatArray, typical: float | None) -> FloatArray:
    """Return 0 for what is typical or better, up to 1; NaN where nothing was measured. Any shape."""
    if figure is Figure.LOSS:
        span = np.log(MOST_LOST / FEWEST_LOST)
        share = np.log(np.maximum(value, FEWEST_LOST) / FEWEST_LOST) / span
        graded = LEAST_BADNESS_OF_LOSS + (1 - LEAST_BADNESS_OF_LOSS) * np.minimum(share, 1.0)
        of_loss: FloatArray = np.where(value > 0, graded, np.where(np.isnan(value), np.nan, 0.0))
        return of_loss
    graded = (1 - speed_of(figure, value, typical)) / (1 - WORST_RATIO)
    of_speed: FloatArray = np.clip(graded, 0.0, 1.0)
    return of_speed


def speed_of(figure: Figure, value: FloatArray, typical: float | None) -> FloatArray:
    """Return the speed against what is typical, 1 being as fast; NaN where nothing was measured. Not for loss."""
    if typical is None or typical <= 0:
        return np.where(np.isnan(value), np.nan, 1.0)
    with np.errstate(divide="ignore"):
        speed: FloatArray = value / typical if figure is Figure.BANDWIDTH else typical / value
    return speed


def worst_pairs(pair_map: PairMap, most: int) -> IntArray:
    """Return the places of the worst pairs in a map, the worst first; of loss only pairs that lost. Shape (k,)."""
    order = np.argsort(pair_map.value, kind="stable")
    if pair_map.figure is not Figure.BANDWIDTH:
        order = order[::-1]
    if pair_map.figure is Figure.LOSS:
        order = order[pair_map.value[order] > 0]
    worst: IntArray = order[:most]
    return worst
