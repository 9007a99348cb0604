"""What flows that are under way together show: fan-ins of receivers, victims beside them, and everything at once."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from netprobe.model.evidence import FloatArray, IntArray, LoadFlows
from netprobe.model.plan import LOAD_PHASES, LOADED_PHASE
from netprobe.stats.fairness import jain_index

BoolArray = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FanIns:
    """One row for each receiving rank and round; arrays have shape (n,)."""

    dst: IntArray
    fan_in: IntArray
    goodput_gbps: FloatArray
    """Of all senders together."""
    one_gbps: FloatArray
    """What one sender alone brought this receiver in the same stage; NaN where that was not measured."""
    jain: FloatArray
    slowest: IntArray
    """The sender with the lowest rate."""
    slowest_gbps: FloatArray
    max_ns: FloatArray
    """The longest window of any sender."""

    @property
    def kept_ratio(self) -> FloatArray:
        """Return the share of one sender's rate that all together keep."""
        ratio: FloatArray = self.goodput_gbps / self.one_gbps
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
    one = np.full(ranks, np.nan)
    one[dst[count == 1]] = goodput[count == 1]
    return FanIns(
        dst=dst,
        fan_in=count,
        goodput_gbps=goodput.astype(np.float64),
        one_gbps=one[dst],
        jain=jain_index(flows.gbps, group, len(keys)),
        slowest=flows.src[slowest],
        slowest_gbps=flows.gbps[slowest],
        max_ns=longest,
    )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Victims:
    """Flows that were measured with and without a hot receiver; arrays have shape (n,)."""

    src: IntArray
    dst: IntArray
    hot: IntArray
    """The hot receiver's rank, of the same round and nearest in number to ``dst``: the same rail where there are."""
    fan_in: IntArray
    """Flows into all hot ranks of the round."""
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


def victims(flows: LoadFlows) -> Victims:
    """Return the victims of a table: flows that are there in all three rounds of a turn."""
    ranks = int(max(flows.src.max(initial=0), flows.dst.max(initial=0))) + 1
    phase = flows.round_index % LOAD_PHASES
    keys = (flows.round_index // LOAD_PHASES * ranks + flows.src) * ranks + flows.dst
    by_phase = [
        dict(zip(keys[phase == each].tolist(), flows.gbps[phase == each].tolist(), strict=True))
        for each in range(LOAD_PHASES)
    ]
    found = [key for key in by_phase[LOADED_PHASE] if key in by_phase[0] and key in by_phase[2]]
    at = np.array(found, dtype=np.int64)
    hot = [_hot(flows, key, ranks) for key in found]
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


def _hot(flows: LoadFlows, key: int, ranks: int) -> tuple[int, int]:
    """Return the hot rank beside a victim, and how many flows go into all hot ranks; (-1, 0) where there are none."""
    turn, dst = key // (ranks * ranks), key % ranks
    own = flows.round_index == turn * LOAD_PHASES + LOADED_PHASE
    into, count = np.unique(flows.dst[own], return_counts=True)
    is_hot = count > 1
    if not is_hot.any():
        return -1, 0
    hot = into[is_hot]
    return int(hot[np.argmin(np.abs(hot - dst))]), int(count[is_hot].sum())
