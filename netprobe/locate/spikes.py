"""Spikes of latency in time: at the same moments on most pairs, or at a beat.

A moment is a stretch of the reference clock in which several pairs of hosts have a spike. How many there are by chance
is seen in surrogates: the same spikes, with those of each series moved along it by a share that no two have in common
(multiples of the golden ratio). They keep every series' rate, its length and its neighbours, and lose what is shared.

Does not handle: spikes in which ranks sent nothing, and runs that did not tell when their slowest iterations began.
"""

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from netprobe.locate.placement import Placement
from netprobe.model.evidence import SpikeTable
from netprobe.model.limits import Limits
from netprobe.stats.distinct import distinct
from netprobe.stats.periods import Period, Window, period_of
from netprobe.units import NS_PER_MS, NS_PER_US

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]

MOMENT_NS: Final = float(NS_PER_MS)  # a pause of flow control or a stop of a virtual machine lasts about as long
SURROGATES: Final = 20
GOLDEN: Final = (math.sqrt(5.0) - 1.0) / 2.0
MOST_MOMENTS: Final = 64  # of which the pairs that were measured at the time are counted; the fullest
FEWEST_PAIRS: Final = 2
FEWEST_MOMENTS: Final = 3  # a single one of few pairs is no chance, and no trait of a fabric either
MANY_PAIRS: Final = 8
SHARED_SHARE: Final = 0.5  # of the pairs that are measured at a moment
MOST_WINDOWS: Final = 24  # series of which a beat is sought; more only lower a chance that is nothing already
SHORTEST_BEAT_NS: Final = 200.0 * NS_PER_US
ITERATIONS_IN_BEAT: Final = 8.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Moments:
    """Times at which most of the pairs that were measured had a spike together."""

    count: int
    spiking: int
    """Pairs of hosts in the fullest of them, of those that were measured then."""
    measured: int
    longest_ns: float
    beat: Period | None
    chance: float
    """At most, of as many and as full ones by chance."""


def far_beyond(spikes: SpikeTable, limits: Limits) -> BoolArray:
    """Return which spikes are as far from their median as a long tail has to be, shape (n,)."""
    median_ns = spikes.p50_ns[spikes.series]
    is_far: BoolArray = (spikes.elapsed_ns > limits.jitter_tail_ratio * median_ns) & (
        spikes.elapsed_ns - median_ns > limits.jitter_floor_ns
    )
    return is_far


def shared_moments(
    spikes: SpikeTable, placement: Placement, limits: Limits, *, clock_error_ns: float = 0.0
) -> Moments | None:
    """Return the moments that most pairs between hosts share; None where chance makes as many."""
    src, dst = placement.host_of[spikes.src], placement.host_of[spikes.dst]
    hosts = len(placement.hosts)
    pair = np.minimum(src, dst) * hosts + np.maximum(src, dst)
    chosen = far_beyond(spikes, limits) & (src != dst)[spikes.series]
    if not chosen.any():
        return None
    width_ns = max(MOMENT_NS, 2 * clock_error_ns)
    own = spikes.series[chosen]
    bins, together = _together(spikes.at_ns[chosen], pair[own], width_ns)
    by_chance = [_together(at_ns, pair[own], width_ns)[1] for at_ns in _surrogates(spikes, chosen)]
    seen = np.concatenate(by_chance)
    mean_others = max(float((seen - 1).mean()), 1.0 / len(seen))
    full = np.flatnonzero(together >= FEWEST_PAIRS)
    full = full[np.argsort(-together[full], kind="stable")][:MOST_MOMENTS]
    active = [_measured_at((bins[at] + 0.5) * width_ns, spikes, src, dst, pair) for at in full.tolist()]
    kept = [
        (at, count)
        for at, (count, is_one_host) in zip(full.tolist(), active, strict=True)
        if together[at] > SHARED_SHARE * count and not is_one_host
    ]
    if not kept or (len(kept) < FEWEST_MOMENTS and together[kept[0][0]] < MANY_PAIRS):
        return None
    chance = _chance(np.array([together[at] for at, _ in kept]), mean_others, len(bins))
    if chance > limits.jitter_chance:
        return None
    fullest, measured = kept[0]
    is_in = np.isin(np.floor(spikes.at_ns / width_ns).astype(np.int64), bins[[at for at, _ in kept]]) & chosen
    return Moments(
        count=len(kept),
        spiking=int(together[fullest]),
        measured=measured,
        longest_ns=float(spikes.elapsed_ns[is_in].max()),
        beat=beat_of(spikes, is_in, limits),
        chance=chance,
    )


def beat_of(spikes: SpikeTable, chosen: BoolArray, limits: Limits) -> Period | None:
    """Return the beat of some spikes, shape (n,); None where chance makes one as clear."""
    series, count = np.unique(spikes.series[chosen], return_counts=True)
    most = series[np.argsort(-count, kind="stable")][:MOST_WINDOWS]
    windows = [
        Window(
            at_ns=np.sort(spikes.at_ns[chosen & (spikes.series == each)]),
            start_ns=float(spikes.started_ns[each]),
            end_ns=float(spikes.ended_ns[each]),
        )
        for each in most.tolist()
    ]
    if not windows:
        return None
    shortest_ns = max(SHORTEST_BEAT_NS, ITERATIONS_IN_BEAT * float(np.median(spikes.p50_ns[most])))
    found = period_of(windows, shortest_ns=shortest_ns)
    return found if found is not None and found.chance <= limits.jitter_chance else None


def _together(at_ns: FloatArray, pair: IntArray, width_ns: float) -> tuple[IntArray, IntArray]:
    """Return the stretches with spikes, by number, and how many pairs of hosts spike in each."""
    stretch = np.floor(at_ns / width_ns).astype(np.int64)
    below = int(pair.max()) + 1
    keys, _ = distinct(stretch * below + pair, below=(int(stretch.max()) + 1) * below)
    bins, counts = np.unique(keys // below, return_counts=True)
    return bins, counts


def _surrogates(spikes: SpikeTable, chosen: BoolArray) -> "list[FloatArray]":
    """Return the times of spikes, each series' moved along it and round its end, by another share each time."""
    own = spikes.series[chosen]
    start, span = spikes.started_ns[own], np.maximum(spikes.ended_ns - spikes.started_ns, 1.0)[own]
    place = (spikes.at_ns[chosen] - start) / span
    share = (own + 1) * GOLDEN
    return [start + np.mod(place + (turn + 1) * share, 1.0) * span for turn in range(SURROGATES)]


def _measured_at(at_ns: float, spikes: SpikeTable, src: IntArray, dst: IntArray, pair: IntArray) -> tuple[int, bool]:
    """Return how many pairs of hosts were measured at a time, and whether one host was in all of them."""
    active = (spikes.started_ns <= at_ns) & (at_ns <= spikes.ended_ns) & (src != dst)
    pairs = np.unique(pair[active])
    ends = np.unique(np.stack([src[active], dst[active]], axis=1), axis=0)
    is_one_host = len(pairs) > 0 and int(np.bincount(np.unique(np.sort(ends, axis=1), axis=0).ravel()).max()) == len(
        pairs
    )
    return len(pairs), is_one_host


def _chance(together: IntArray, mean_others: float, stretches: int) -> float:
    """Return how often chance makes as many stretches as full as the emptiest here, or one as full as the fullest."""
    one = stretches * poisson_tail(int(together.max()) - 1, mean_others)
    many = poisson_tail(len(together), stretches * poisson_tail(int(together.min()) - 1, mean_others))
    return min(2 * min(one, many), 1.0)


def poisson_tail(least: int, mean: float) -> float:
    """Return how often a Poisson count of this mean is at least so large."""
    if least <= 0:
        return 1.0
    if mean <= 0:
        return 0.0
    # Summed from its largest term on; what is left out beyond 200 terms is nothing.
    logs = np.array(
        [k * math.log(mean) - mean - math.lgamma(k + 1.0) for k in range(least, least + 200 + int(4 * mean))]
    )
    return float(min(math.exp(float(np.logaddexp.reduce(logs))), 1.0))
