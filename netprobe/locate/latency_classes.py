"""Which NICs are near each other, by the quickest round trips: leaves that nobody told, and cables in wrong ones.

Two NICs of one leaf are a switch apart, others three and more, 0.5-2 µs longer: on a quiet fabric the latencies of
small messages fall into two classes with nothing between. NICs joined by near pairs are a leaf, unless far pairs
contradict. Against a topology that is told: a NIC whose own leaf's NICs are far, and those of another leaf near, has
its cable there; two such NICs of each other's leaves are a swap. Both ask for two partners and 70 % of them.

Does not handle: hosts that wait for CPUs, or TCP, where the stack's own microseconds hide a hop: then there are no
clear classes, which is told; three classes and more (a spine, a core): those beyond the widest gap are all far.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from netprobe.locate.paths import is_latency
from netprobe.locate.placement import Placement
from netprobe.model.evidence import PairTable
from netprobe.model.plan import Scope

IntArray = NDArray[np.int64]
FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]

CLEAR_RATIO: Final = 0.05
"""Of the latency: the least gap between classes; a hop is 10 % and more of what small messages take over RDMA."""
SMALLEST_SHARE: Final = 0.02
"""Of all pairs, on either side of the gap: fewer are outliers. Of 32 leaves, 3 % of random pairs are near."""
FEWEST_ROWS: Final = 3
FEWEST_PARTNERS: Final = 2
MOST_RATIO: Final = 0.7
FEWEST_MEMBERS: Final = 3
POINTS: Final = 401
"""Quantiles between which the gap is looked for: single rows in between do not close it."""
MOST_CONTRADICTED: Final = 0.1
"""Of the pairs within a leaf that is inferred: far ones."""
KNOWN_RATIO: Final = 0.8
"""Of all NICs have to be in some leaf before an inference is used."""


def boundary_ns(latency_ns: FloatArray) -> float | None:
    """Return what parts near from far pairs; None where latencies show no two classes."""
    if len(latency_ns) < 2 * FEWEST_ROWS:
        return None
    points = np.log(np.sort(np.maximum(latency_ns, 1.0)))
    if len(points) > POINTS:
        points = np.quantile(points, np.linspace(0.0, 1.0, POINTS))
    fewest = max(FEWEST_ROWS, int(np.ceil(SMALLEST_SHARE * len(points))))
    gaps = np.diff(points)
    inner = slice(fewest - 1, len(gaps) - fewest + 1)
    if not gaps[inner].size:
        return None
    at = int(np.argmax(gaps[inner])) + fewest - 1
    return None if gaps[at] < np.log1p(CLEAR_RATIO) else float(np.exp((points[at] + points[at + 1]) / 2))


@dataclass(frozen=True, slots=True, kw_only=True)
class Misplaced:
    """A NIC that is far from the leaf where it should be."""

    nic: int
    declared: int
    found: int | None
    """The leaf whose NICs are near; None where there is none, or too few were met."""
    far: int
    """NICs of the declared leaf that are far."""
    met: int
    near: int
    """NICs of the leaf where it was found that are near."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wiring:
    """What latencies say of a topology that was told."""

    misplaced: tuple[Misplaced, ...]
    unjudged: IntArray
    """NICs of leaves of three and more that met too few others of their own leaf."""


def wiring(src: IntArray, dst: IntArray, near: BoolArray, leaf_of: IntArray) -> Wiring:
    """Return the NICs in the wrong leaf; rows of shape (n,) are pairs, either way, that are near or far."""
    ends, others = np.concatenate([src, dst]), np.concatenate([dst, src])
    pairs, first = np.unique(ends * len(leaf_of) + others, return_index=True)
    ends, others, is_near = pairs // len(leaf_of), pairs % len(leaf_of), np.concatenate([near, near])[first]
    leaves = int(leaf_of.max(initial=-1)) + 1
    known = (leaf_of[ends] >= 0) & (leaf_of[others] >= 0)
    cell = ends[known] * leaves + leaf_of[others[known]]
    met = np.bincount(cell, minlength=len(leaf_of) * leaves).reshape(len(leaf_of), leaves)
    near_met = np.bincount(cell, is_near[known], len(leaf_of) * leaves).reshape(len(leaf_of), leaves)
    is_on_leaf = leaf_of >= 0
    own = np.where(is_on_leaf, leaf_of, 0)
    nics = np.arange(len(leaf_of))
    own_met, own_near = met[nics, own], near_met[nics, own]
    is_judged = is_on_leaf & (own_met >= FEWEST_PARTNERS)
    is_far = is_judged & (own_met - own_near >= MOST_RATIO * own_met)
    fits = (met >= FEWEST_PARTNERS) & (near_met >= MOST_RATIO * met)
    sizes = np.bincount(leaf_of[is_on_leaf], minlength=max(leaves, 1))
    found = []
    for nic in np.flatnonzero(is_far).tolist():
        near_leaves = np.flatnonzero(fits[nic]).tolist()
        leaf = near_leaves[0] if len(near_leaves) == 1 else None
        found.append(
            Misplaced(
                nic=nic,
                declared=int(leaf_of[nic]),
                found=leaf,
                far=int(own_met[nic] - own_near[nic]),
                met=int(own_met[nic]),
                near=0 if leaf is None else int(near_met[nic, leaf]),
            )
        )
    unjudged = np.flatnonzero(is_on_leaf & ~is_judged & (sizes[own] >= FEWEST_MEMBERS))
    return Wiring(misplaced=tuple(found), unjudged=unjudged)


def leaves_by_latency(src: IntArray, dst: IntArray, near: BoolArray, count: int) -> IntArray:
    """Return the leaf of each of ``count`` NICs, -1 where it cannot be told; all -1 where the pairs contradict it."""
    label = _joined(src[near], dst[near], count)
    sizes = np.bincount(label, minlength=count)
    far_inside = ~near & (label[src] == label[dst])
    contradicted = np.bincount(label[src[far_inside]], minlength=count)
    inside = contradicted + np.bincount(label[src[near]], minlength=count)
    is_leaf = (sizes >= FEWEST_MEMBERS) & (contradicted <= MOST_CONTRADICTED * inside)
    kept = np.flatnonzero(is_leaf)
    number = np.full(count, -1, dtype=np.int64)
    number[kept] = np.arange(len(kept))
    leaf_of: IntArray = number[label]
    return leaf_of if len(kept) >= 2 else np.full(count, -1, dtype=np.int64)


def _joined(src: IntArray, dst: IntArray, count: int) -> IntArray:
    """Return the lowest number that each one is joined with, by rows of any length of chain."""
    label = np.arange(count)
    while True:
        lowest = label.copy()
        np.minimum.at(lowest, src, label[dst])
        np.minimum.at(lowest, dst, label[src])
        lowest = lowest[lowest]
        if (lowest == label).all():
            return label
        label = lowest


def quickest(table: PairTable) -> FloatArray:
    """Return half of the quickest round trip of each row; of the median where nobody noted the quickest."""
    quick: FloatArray = np.where(np.isfinite(table.min_ns), table.min_ns, table.p50_ns) / 2
    return quick


def latency_rails(pairs: Sequence[PairTable], placement: Placement) -> list[tuple[PairTable, IntArray]]:
    """Return, for each place, the smallest latencies between hosts of ranks there, and their rows; RDMA before MPI."""
    tables = [table for table in pairs if is_latency(table) and table.scope is Scope.BETWEEN_HOSTS and len(table.src)]
    if not tables:
        return []
    table = min(tables, key=lambda each: (each.path.prefix == "", each.size_bytes))
    src, dst = placement.place_of[table.src], placement.place_of[table.dst]
    return [(table, np.flatnonzero((src == place) & (dst == place))) for place in np.unique(src[src == dst]).tolist()]


def placement_by_latency(pairs: Sequence[PairTable], placement: Placement) -> Placement:
    """Return the placement with leaves that latencies show, named after their first host; as it was without any."""
    names: list[str] = []
    leaf_of = np.full(len(placement.host_of), -1, dtype=np.int64)
    rails = latency_rails(pairs, placement)
    for table, rows in rails:
        latency_ns = quickest(table)[rows]
        limit_ns = boundary_ns(latency_ns)
        if limit_ns is None:
            continue
        own = leaves_by_latency(table.src[rows], table.dst[rows], latency_ns < limit_ns, len(leaf_of))
        for leaf in range(int(own.max(initial=-1)) + 1):
            first = int(np.flatnonzero(own == leaf)[0])
            leaf_of[own == leaf] = len(names)
            names.append(f"of {placement.host(first) if len(rails) == 1 else placement.name(first)}")
    if len(names) < 2 or np.mean(leaf_of >= 0) < KNOWN_RATIO:
        return placement
    return replace(placement, leaves=tuple(names), leaf_of=leaf_of, are_leaves_inferred=True)
