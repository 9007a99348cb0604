"""Percentiles of many histograms at once, by nearest rank: always a value that was measured, to within its bin.

A percentile is given only where the sample supports it: the p-th needs about one sample beyond it, so p99 needs 100
and p99.9 needs 1,000; with fewer it would be the maximum under another name.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from netprobe.model.histogram import middle_of

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

SMALLEST_SAMPLE: Final = {0.5: 1, 0.99: 100, 0.999: 1000}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FlatHistograms:
    """Histograms of n rows, end to end: ``bins`` and ``counts`` have one element for each bin of each row."""

    bins: IntArray
    counts: IntArray
    lengths: IntArray
    """Bins of each row, shape (n,)."""
    min_ns: FloatArray
    max_ns: FloatArray
    """The exact extremes of each row, shape (n,): no percentile lies outside of them."""


def samples_of(flat: FlatHistograms) -> IntArray:
    """Return how many samples each row holds, shape (n,)."""
    cumulated, first, last = _spans(flat)
    samples: IntArray = cumulated[last] - cumulated[first]
    return samples


def quantile_ns(flat: FlatHistograms, share: float) -> FloatArray:
    """Return each row's quantile in ns, shape (n,); NaN where the row has too few samples for it."""
    cumulated, first, last = _spans(flat)
    samples = cumulated[last] - cumulated[first]
    # 0.99 * 700 is a hair above 693 in floating point; without the slack the rank would be one too high.
    wanted = cumulated[first] + np.maximum(np.ceil(share * samples - 1e-6), 1.0)
    # cumulated[k + 1] counts up to and including bin k: the first bin that reaches the wanted rank holds the quantile.
    found = np.searchsorted(cumulated[1:], wanted, side="left")
    is_supported = samples >= SMALLEST_SAMPLE.get(share, 1.0 / (1.0 - share))
    values = np.full(len(samples), np.nan)
    values[is_supported] = middle_of(flat.bins[found[is_supported]])
    within: FloatArray = np.clip(values, flat.min_ns, flat.max_ns)
    return within


def _spans(flat: FlatHistograms) -> tuple[IntArray, IntArray, IntArray]:
    """Return the cumulated counts (one longer than ``counts``), and where in them each row begins and ends."""
    cumulated = np.concatenate([np.zeros(1, dtype=np.int64), np.cumsum(flat.counts, dtype=np.int64)])
    last = np.cumsum(flat.lengths, dtype=np.int64)
    return cumulated, last - flat.lengths, last
