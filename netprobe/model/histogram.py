"""Every iteration's time, kept as a log-linear histogram: mergeable, and within 0.4 % of the true value.

Bins 0..255 hold the value itself; above, each octave is split into 128 equal bins, so a bin is at most 1/128 of its
lower edge wide and its middle is off by at most half of that.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

OCTAVE_BITS: Final = 7  # 2^7 bins an octave: the coarsest power of two that keeps the error of a bin's edge under 1 %
OCTAVE_BINS: Final = 1 << OCTAVE_BITS


@dataclass(frozen=True, slots=True, kw_only=True)
class Histogram:
    """Counts of non-negative integer samples; ``bins`` ascend, and each has a count of at least one."""

    bins: tuple[int, ...]
    counts: tuple[int, ...]

    @property
    def total(self) -> int:
        """The number of samples."""
        return sum(self.counts)


def bin_of(values: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the bin of each non-negative value."""
    exponent = np.frexp(values.astype(np.float64))[1].astype(np.int64) - 1
    shift: NDArray[np.int64] = np.maximum(exponent - OCTAVE_BITS, 0)
    return shift * OCTAVE_BINS + (values >> shift)


def edges_of(bins: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return each bin's smallest value and its width, in the unit of the samples."""
    shift = np.maximum(bins // OCTAVE_BINS - 1, 0)
    return (bins - shift * OCTAVE_BINS) << shift, np.int64(1) << shift


def middle_of(bins: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return each bin's middle value; exact for the bins that hold one value."""
    lowest, width = edges_of(bins)
    return lowest + (width - 1) / 2


def histogram_of(values: NDArray[np.int64]) -> Histogram:
    """Count samples; negative ones raise ValueError, since elapsed time never is."""
    if values.size and int(values.min()) < 0:
        raise ValueError("a histogram takes no negative samples")
    bins, counts = np.unique(bin_of(values), return_counts=True)
    return Histogram(bins=tuple(bins.tolist()), counts=tuple(counts.tolist()))


def merge(first: Histogram, second: Histogram) -> Histogram:
    """Return the histogram of both sets of samples; associative and commutative."""
    counts = dict(zip(first.bins, first.counts, strict=True))
    for index, count in zip(second.bins, second.counts, strict=True):
        counts[index] = counts.get(index, 0) + count
    bins = tuple(sorted(counts))
    return Histogram(bins=bins, counts=tuple(counts[index] for index in bins))
