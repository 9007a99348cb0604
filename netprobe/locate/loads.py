"""What flows that are under way together show: fan-ins of receivers, victims beside them, and everything at once."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from netprobe.model.evidence import FloatArray, IntArray, LoadFlows, PairTable
from netprobe.model.plan import LOAD_PHASES, LOADED_PHASE, Path, Scope
from netprobe.stats.fairness import jain_index
from netprobe.stats.rates import window_gbps

BoolArray = NDArray[np.bool_]


def pair_gbps(pairs: tuple[PairTable, ...], scope: Scope) -> float | None:
    """Return what a typical pair carries one way over MPI while both ends send and receive; None where not measured.

    Half of what goes both ways at the largest size, as in the probes in which all hosts do so; where that was not
    measured, what goes one way.
    """
    both = _typical_gbps(pairs, scope, "bidirectional")
    return one_way_gbps(pairs, scope) if both is None else both / 2


def one_way_gbps(pairs: tuple[PairTable, ...], scope: Scope) -> float | None:
    """Return what a typical pair carries over MPI while nothing comes back; None where that was not measured."""
    return _typical_gbps(pairs, scope, "bandwidth")


def _typical_gbps(pairs: tuple[PairTable, ...], scope: Scope, probe: str) -> float | None:
    own = [each for each in pairs if each.probe == probe and each.scope is scope and each.path is Path.MPI]
    table = max((each for each in own if each.is_of_host), key=lambda each: each.size_bytes, default=None)
    if table is None or not len(table.src):
        return None
    return window_gbps(table.bytes_per_iteration, float(np.median(table.p50_ns)))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FanIns:
    """One row for each receiving rank and round; arrays have shape (n,)."""

    dst: IntArray
    fan_in: IntArray
    goodput_gbps: FloatArray
    """Of all senders together."""
    best_gbps: FloatArray
    """The most that fewer senders brought this receiver in the same stage: one alone, who may not fill its port, or
    several; NaN where fewer were not measured."""
    jain: FloatArray
    slowest: IntArray
    """The sender with the lowest rate."""
    slowest_gbps: FloatArray
    max_ns: FloatArray
    """The longest window of any sender."""

    @property
    def kept_ratio(self) -> FloatArray:
        """Return the share that all together keep of what fewer brought."""
        ratio: FloatArray = self.goodput_gbps / self.best_gbps
        return ratio


def fan_ins(flows: LoadFlows) -> FanIns:
    """Return the fan-ins of a table of incast, in order of rounds and receivers."""
    ranks = int(max(flows.src.max(initial=0), flows.dst.max(initial=0))) + 1
    keys, group = np.unique(flows.round_index * ranks + flows.dst, return_inverse=True)
    count = np.bincount(group, minlength=len(keys))
    goodput = np.bincount(group, flows.gbps, len(keys))
    order = np.lexsort((flows.gbps, group))
    first = np.searchsorted(group[order], np.arange(len(keys)))
    slowest = order[first]
    longest = np.full(len(keys), -np.inf)
    np.maximum.at(longest, group, flows.max_ns)
    dst = keys % ranks
    return FanIns(
        dst=dst,
        fan_in=count,
        goodput_gbps=goodput.astype(np.float64),
        best_gbps=_best_of_fewer(dst, count, goodput.astype(np.float64)),
        jain=jain_index(flows.gbps, group, len(keys)),
        slowest=flows.src[slowest],
        slowest_gbps=flows.gbps[slowest],
        max_ns=longest,
    )


def _best_of_fewer(dst: IntArray, fan_in: IntArray, goodput_gbps: FloatArray) -> FloatArray:
    """Return the highest goodput of each row's receiver with fewer senders; NaN where there is none."""
    order = np.lexsort((fan_in, dst))
    best = np.full(len(dst), np.nan)
    for at, before in zip(order[1:].tolist(), order[:-1].tolist(), strict=True):
        if dst[at] == dst[before]:
            so_far = np.fmax(best[before], goodput_gbps[before])
            best[at] = best[before] if fan_in[at] == fan_in[before] else so_far
    return best


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Victims:
    """Flows that were measured with and without a hot receiver; arrays have shape (n,)."""

    src: IntArray
    dst: IntArray
    hot: IntArray
    """The hot receiver's rank, at the same place on its host as ``dst``, so on the same rail; -1 where none is hot."""
    fan_in: IntArray
    """Flows into it."""
    alone_gbps: FloatArray
    loaded_gbps: FloatArray
    again_gbps: FloatArray

    @property
    def loss_ratio(self) -> FloatArray:
        """Return the share of its rate that each loses beside the incast, against the mean of before and after."""
        ratio: FloatArray = 1 - 2 * self.loaded_gbps / np.maximum(self.alone_gbps + self.again_gbps, 1e-9)
        return ratio

    @property
    def drift_ratio(self) -> FloatArray:
        """Return how far before and after are apart, as a share of the larger."""
        larger = np.maximum(np.maximum(self.alone_gbps, self.again_gbps), 1e-9)
        ratio: FloatArray = np.abs(self.alone_gbps - self.again_gbps) / larger
        return ratio


def victims(flows: LoadFlows, place_of: IntArray) -> Victims:
    """Return the victims of a table: flows that are there in all three rounds of a turn.

    ``place_of`` is each rank's place on its host.
    """
    ranks = int(max(flows.src.max(initial=0), flows.dst.max(initial=0))) + 1
    phase = flows.round_index % LOAD_PHASES
    keys = (flows.round_index // LOAD_PHASES * ranks + flows.src) * ranks + flows.dst
    by_phase = [
        dict(zip(keys[phase == each].tolist(), flows.gbps[phase == each].tolist(), strict=True))
        for each in range(LOAD_PHASES)
    ]
    found = [key for key in by_phase[LOADED_PHASE] if key in by_phase[0] and key in by_phase[2]]
    at = np.array(found, dtype=np.int64)
    hot = [_hot(flows, key, ranks, place_of) for key in found]
    rates = [np.array([each[key] for key in found], dtype=np.float64) for each in by_phase]
    return Victims(
        src=at // ranks % ranks,
        dst=at % ranks,
        hot=np.array([rank for rank, _ in hot], dtype=np.int64),
        fan_in=np.array([count for _, count in hot], dtype=np.int64),
        alone_gbps=rates[0],
        loaded_gbps=rates[LOADED_PHASE],
        again_gbps=rates[2],
    )


def _hot(flows: LoadFlows, key: int, ranks: int, place_of: IntArray) -> tuple[int, int]:
    """Return the hot rank beside a victim, and how many flows go into it; (-1, 0) where there is none."""
    turn, dst = key // (ranks * ranks), key % ranks
    own = flows.round_index == turn * LOAD_PHASES + LOADED_PHASE
    into, count = np.unique(flows.dst[own], return_counts=True)
    at = np.flatnonzero((count > 1) & (place_of[into] == place_of[dst]))
    return (int(into[at[0]]), int(count[at[0]])) if len(at) else (-1, 0)
