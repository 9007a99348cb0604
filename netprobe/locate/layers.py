"""The same pairs over raw verbs, MPI and NCCL, in memory of hosts and of GPUs: what each layer keeps of the one below.

A layer is held against the fastest one below it on the same memory, pair by pair, so that who was drawn with whom makes
no difference. Large messages alone tell of bandwidth: what a message costs a CPU is hidden behind the wire there, and
so are windows and queue pairs, which layers do not have in common.
"""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from netprobe.locate.paths import is_latency
from netprobe.locate.remembered import remembered
from netprobe.model.evidence import PairTable
from netprobe.model.plan import Memory, Path, Scope
from netprobe.units import gbps

IntArray = NDArray[np.int64]
FloatArray = NDArray[np.float64]

Memories = tuple[Memory, Memory]
"""What is sent from, and what is received into."""
Kind = tuple[Path, Memory, Memory]

PROBES: Final = ("bandwidth", "latency")
HOST: Final[Memories] = (Memory.HOST, Memory.HOST)
LOWEST_FIRST: Final = (Path.VERBS, Path.MPI, Path.NCCL)
BELOW: Final = {Path.VERBS: (), Path.MPI: (Path.VERBS,), Path.NCCL: (Path.VERBS, Path.MPI)}
SMALL_BYTES: Final = 64 << 10
"""Up to here messages cost more than they carry, and sizes that differ are not compared."""
MOST_APART: Final = 8
"""Of sizes that count as the same where no size was measured by both."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Layer:
    """One path on one kind of memory at each end; ``speed`` is indexed like the pairs of its table."""

    path: Path
    memories: Memories
    size_bytes: int
    """Its own: where it was not measured at the table's size, the nearest."""
    speed: FloatArray
    """Gb/s, or 1 over half a round trip in ns; NaN for pairs that it was not measured with."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Comparison:
    """A layer against another one."""

    upper: Layer
    lower: Layer
    ratio: FloatArray
    """Of the speeds, by pair; NaN for pairs that either was not measured with."""

    @property
    def pairs(self) -> int:
        """How many were measured with both."""
        return int(np.isfinite(self.ratio).sum())

    @property
    def typical_ratio(self) -> float:
        """The median over pairs; there has to be one."""
        return float(np.nanmedian(self.ratio))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LayerTable:
    """All layers of one probe between hosts, at one size or near it; pairs are rank numbers, shape (pairs,)."""

    probe: str
    is_latency: bool
    size_bytes: int
    src: IntArray
    dst: IntArray
    layers: tuple[Layer, ...]
    """The lowest first, host memory first."""
    left_out: tuple[Kind, ...] = ()
    """What was measured at sizes alone that cannot be compared with this one."""

    def layer(self, path: Path, memories: Memories) -> Layer | None:
        """Return one of its layers."""
        return next((each for each in self.layers if (each.path, each.memories) == (path, memories)), None)

    def below(self, layer: Layer) -> tuple[Layer, ...]:
        """Return the layers that a layer builds upon, on the same memory, whichever pairs they were measured with."""
        own = (each for each in self.layers if each.memories == layer.memories)
        return tuple(each for each in own if each.path in BELOW[layer.path])

    def against_below(self, layer: Layer) -> Comparison | None:
        """Return a layer against the fastest below it on the same memory; None where no pair has both."""
        able = [each for lower in self.below(layer) if (each := compared(layer, lower)).pairs]
        return min(able, key=lambda each: each.typical_ratio, default=None)

    def against(self, layer: Layer) -> Comparison | None:
        """Return a layer against what is below it; the lowest of GPU memory, against the same path on host memory."""
        found = self.against_below(layer)
        if found is not None or layer.memories == HOST:
            return found
        host = self.layer(layer.path, HOST)
        return None if host is None or not (of_host := compared(layer, host)).pairs else of_host


def compared(upper: Layer, lower: Layer) -> Comparison:
    """Return one layer against another of the same table."""
    return Comparison(upper=upper, lower=lower, ratio=upper.speed / lower.speed)


@remembered(2)  # two detectors and the report ask
def layer_tables(pairs: Iterable[PairTable]) -> tuple[LayerTable, ...]:
    """Return the layers of bandwidth at a large size, and of latency at a small one; probes with any."""
    between = [
        table
        for table in pairs
        if table.scope is Scope.BETWEEN_HOSTS and len(table.src) and table.size_bytes and table.bytes_per_iteration
    ]
    return tuple(_table(probe, own) for probe in PROBES if (own := [each for each in between if each.probe == probe]))


def medians_by(keys: IntArray, values: FloatArray) -> tuple[IntArray, FloatArray]:
    """Return the distinct keys, ascending, and the median of the values of each; shape (keys,) both."""
    ascending = np.sort(keys)
    if not (ascending[1:] == ascending[:-1]).any():
        order = np.argsort(keys)
        return keys[order], values[order]
    order = np.lexsort((values, keys))
    distinct, first, counts = np.unique(keys[order], return_index=True, return_counts=True)
    ordered = values[order]
    return distinct, (ordered[first + (counts - 1) // 2] + ordered[first + counts // 2]) / 2


def _table(probe: str, tables: list[PairTable]) -> LayerTable:
    by_kind: dict[Kind, list[PairTable]] = {}
    for table in tables:
        by_kind.setdefault((table.path, table.send_memory, table.receive_memory), []).append(table)
    of_round_trips = is_latency(tables[0])
    size_bytes = _shared_size([{each.size_bytes for each in own} for own in by_kind.values()], of_round_trips)
    base = 1 + max(int(max(table.src.max(), table.dst.max())) for table in tables)
    found = {kind: _nearest(own, size_bytes) for kind, own in by_kind.items()}
    measured = {kind: _speeds(own, base) for kind, own in found.items() if own}
    told = [own for own, _ in measured.values()]
    keys = told[0] if len(told) == 1 else np.unique(np.concatenate(told))
    return LayerTable(
        probe=probe,
        is_latency=of_round_trips,
        size_bytes=size_bytes,
        src=keys // base,
        dst=keys % base,
        layers=tuple(
            Layer(
                path=kind[0],
                memories=kind[1:],
                size_bytes=found[kind][0].size_bytes,
                speed=_on(keys, *measured[kind]),
            )
            for kind in sorted(measured, key=_standing)
        ),
        left_out=tuple(sorted(by_kind.keys() - measured.keys(), key=_standing)),
    )  # fmt: skip


def _shared_size(sizes: list[set[int]], of_round_trips: bool) -> int:
    """Return the size that most layers have: of those the largest, or the smallest for round trips."""
    every = set().union(*sizes)
    if of_round_trips:
        return min(every, key=lambda size: (-sum(size in own for own in sizes), size))
    large = {size for size in every if size > SMALL_BYTES} or every
    return max(large, key=lambda size: (sum(size in own for own in sizes), size))


def _nearest(tables: list[PairTable], size_bytes: int) -> list[PairTable]:
    """Return the tables of this size, or of the one nearest to it that may be compared with it; else none."""
    able = {each.size_bytes for each in tables if each.size_bytes == size_bytes or _is_alike(each, size_bytes)}
    nearest = min(able, key=lambda size: (abs(math.log(size / size_bytes)), -size), default=None)
    return [each for each in tables if each.size_bytes == nearest]


def _is_alike(table: PairTable, size_bytes: int) -> bool:
    smaller, larger = sorted((table.size_bytes, size_bytes))
    return not is_latency(table) and smaller > SMALL_BYTES and larger <= MOST_APART * smaller


def _speeds(tables: list[PairTable], base: int) -> tuple[IntArray, FloatArray]:
    """Return pairs as ``src * base + dst``, each once, and their speeds."""
    rows = list(_rows(tables, base))
    return medians_by(np.concatenate([keys for keys, _ in rows]), np.concatenate([speed for _, speed in rows]))


def _rows(tables: list[PairTable], base: int) -> Iterator[tuple[IntArray, FloatArray]]:
    for table in tables:
        p50_ns = np.maximum(table.p50_ns, 1.0)
        speed = 2.0 / p50_ns if is_latency(table) else gbps(table.bytes_per_iteration, 1.0) / p50_ns
        # What is not directed says the same of both ways, whoever led.
        src = table.src if table.directed else np.minimum(table.src, table.dst)
        dst = table.dst if table.directed else np.maximum(table.src, table.dst)
        yield src * base + dst, speed


def _on(keys: IntArray, own: IntArray, speed: FloatArray) -> FloatArray:
    """Return speeds by the pairs of a table."""
    if own is keys:
        return speed
    placed = np.full(len(keys), np.nan)
    placed[np.searchsorted(keys, own)] = speed
    return placed


def _standing(kind: Kind) -> tuple[int, int, tuple[int, ...]]:
    path, *memories = kind
    places = tuple(tuple(Memory).index(each) for each in memories)
    return LOWEST_FIRST.index(path), sum(place > 0 for place in places), places
