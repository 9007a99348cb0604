"""Pairs that cannot go on over RDMA, by the leaves of their NICs: a filter between switches is one fault, and not many.

Does not handle: leaves behind which fewer than three NICs were tried, since two bad cables at one switch are no
surprise; and a fabric most of whose leaves do not reach each other, of which no leaf can be told from the others.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from netprobe.detectors._rdma_case import FailureCase
from netprobe.detectors._wiring import wired_placement
from netprobe.locate.culprits import HostPair, blame_witnessed
from netprobe.locate.placement import Placement
from netprobe.model.plan import Path, Scope
from netprobe.model.rdma import PairFailure

IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]

FEWEST_MEMBERS: Final = 3
MOST_CUT_RATIO: Final = 0.5  # of the pairs of leaves: beyond it, it is what all of them share
WELL_INSIDE_RATIO: Final = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class CutLeaves:
    """A leaf whose NICs reach none behind others, or two leaves whose NICs do not reach each other."""

    names: tuple[str, ...]
    hosts: tuple[str, ...]
    """Behind the leaf, where it is one."""
    failures: tuple[PairFailure, ...]
    failed: int
    """Pairs of NICs that these are of."""
    pairs: frozenset[HostPair]
    """Hosts that these are between."""
    tried: int
    """Pairs of NICs."""
    witnesses: tuple[str, ...]
    """Leaves that it does not reach and that reach each other."""

    @property
    def subject(self) -> str:
        """``leaf leaf1`` or ``leaf leaf1 <-> leaf leaf2``."""
        return " <-> ".join(f"leaf {name}" for name in self.names)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Pairs:
    """Pairs of NICs that were tried, each once; the leaves of both ends, the smaller number first."""

    leaf_of: IntArray
    """Of every NIC."""
    src: IntArray
    dst: IntArray
    low: IntArray
    high: IntArray
    has_failed: BoolArray


def cut_leaves(case: FailureCase, without: Collection[str]) -> tuple[CutLeaves, ...]:
    """Return the leaves that are cut off: every pair of NICs across failed, and others reach each other.

    ``without`` are hosts that fail by themselves.
    """
    placement = wired_placement(case.evidence)
    if len(placement.leaves) < 2 or not case.by_pair:
        return ()
    pairs = _tried(case, placement, without)
    crossing = {(low, high) for low, high in zip(pairs.low.tolist(), pairs.high.tolist(), strict=True) if low != high}
    bad = {cell for cell in crossing if _is_cut(pairs, cell)}
    name = placement.leaves
    blame = blame_witnessed(*([(name[low], name[high]) for low, high in cells] for cells in (bad, crossing)))
    found = [_one(case, placement, pairs, leaf, witnesses) for leaf, witnesses in blame.hosts.items()]
    is_common = len(blame.pairs) > max(1, MOST_CUT_RATIO * len(crossing))
    left = () if is_common else blame.pairs
    inside = (pair for pair in left if all(_is_well_inside(pairs, name.index(leaf)) for leaf in pair))
    return (*found, *(_two(case, placement, pairs, pair) for pair in inside))


def _tried(case: FailureCase, placement: Placement, without: Collection[str]) -> _Pairs:
    """Return the pairs of NICs whose leaves are known; one that failed in any stage has failed."""
    count = len(placement.host_of)
    tables = [each for each in case.evidence.pairs if each.path is Path.VERBS and each.scope is Scope.BETWEEN_HOSTS]
    counted = case.evidence.datagrams
    failed = _keys([each.src for each in case.failures], [each.dst for each in case.failures], count)
    keys = np.unique(
        np.concatenate([failed, _keys(counted.src, counted.dst, count), *(_keys(t.src, t.dst, count) for t in tables)])
    )
    src, dst = keys // count, keys % count
    near, far = placement.leaf_of[src], placement.leaf_of[dst]
    hosts = [placement.hosts.index(host) for host in _present(case) - set(without)]
    known = (near >= 0) & (far >= 0) & np.isin(placement.host_of[src], hosts) & np.isin(placement.host_of[dst], hosts)
    return _Pairs(
        leaf_of=placement.leaf_of,
        src=src[known],
        dst=dst[known],
        low=np.minimum(near, far)[known],
        high=np.maximum(near, far)[known],
        has_failed=np.isin(keys, failed)[known],
    )


def _present(case: FailureCase) -> set[str]:
    """Return the hosts that are not gone."""
    return {host for pair in case.measured for host in pair}


def _keys(src: Iterable[int] | IntArray, dst: Iterable[int] | IntArray, count: int) -> IntArray:
    one, other = (np.asarray(ends, dtype=np.int64) for ends in (src, dst))
    keys: IntArray = np.minimum(one, other) * count + np.maximum(one, other)
    return keys


def _is_cut(pairs: _Pairs, cell: tuple[int, int]) -> bool:
    """Return whether no pair of NICs across goes on, with several on either side."""
    own = (pairs.low == cell[0]) & (pairs.high == cell[1])
    leaf = pairs.leaf_of[np.unique(np.concatenate([pairs.src[own], pairs.dst[own]]))]
    return bool(pairs.has_failed[own].all()) and all(np.sum(leaf == side) >= FEWEST_MEMBERS for side in cell)


def _is_well_inside(pairs: _Pairs, leaf: int) -> bool:
    own = (pairs.low == leaf) & (pairs.high == leaf)
    return bool(own.any()) and float(pairs.has_failed[own].mean()) < WELL_INSIDE_RATIO


def _one(case: FailureCase, placement: Placement, pairs: _Pairs, leaf: str, witnesses: tuple[str, ...]) -> CutLeaves:
    number = placement.leaves.index(leaf)
    own = (pairs.low == number) ^ (pairs.high == number)
    members = np.unique(placement.host_of[placement.leaf_of == number]).tolist()
    return _cut(case, pairs, own, (leaf,), tuple(placement.hosts[each] for each in members), witnesses)


def _two(case: FailureCase, placement: Placement, pairs: _Pairs, names: HostPair) -> CutLeaves:
    low, high = sorted(placement.leaves.index(name) for name in names)
    return _cut(case, pairs, (pairs.low == low) & (pairs.high == high), names, (), ())


def _cut(
    case: FailureCase,
    pairs: _Pairs,
    own: BoolArray,
    names: tuple[str, ...],
    hosts: tuple[str, ...],
    witnesses: tuple[str, ...],
) -> CutLeaves:
    failed = own & pairs.has_failed
    ends = set(zip(pairs.src[failed].tolist(), pairs.dst[failed].tolist(), strict=True))
    failures = tuple(each for each in case.failures if (min(each.src, each.dst), max(each.src, each.dst)) in ends)
    host = case.placement.host
    between = frozenset((min(a, b), max(a, b)) for a, b in ((host(src), host(dst)) for src, dst in ends))
    return CutLeaves(
        names=names,
        hosts=hosts,
        failures=failures,
        failed=len(ends),
        pairs=between,
        tried=int(own.sum()),
        witnesses=witnesses,
    )
