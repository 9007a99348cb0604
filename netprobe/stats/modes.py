"""Two speeds in one series: two modes of its histogram with a valley between them, as where messages take two paths.

On a grid of logarithmic bins a long tail (log-normal, exponential, Pareto) has one mode, so that only a second peak is
told. A peak and a valley are compared as counts: their roots differ by at least so many standard errors as no chance
makes (a count's root has a standard error of a half; Anscombe 1948). A clock that ticks coarsely makes a comb of single
bins, which is none.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from netprobe.model.histogram import middle_of
from netprobe.stats.quantiles import FlatHistograms, quantile_ns

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

OCTAVE_CELLS: Final = 16  # cells of 4.4 %: narrower than what tells two paths apart, wider than a bin of a histogram
SMALLEST_SHARE: Final = 0.05  # of the samples; less is a tail
DEEPEST_VALLEY: Final = 0.25  # of the lower of two peaks; shallower, and it is one broad mode
ERRORS: Final = 7.0  # standard errors between peak and valley: 1e-12 each, and a fleet has millions of series
SMALLEST_RATIO: Final = 1.2  # of the two speeds; below, the noise of one is as wide
FEWEST_BINS: Final = 3  # of each mode; a comb has one
_SMOOTHING: Final = np.array([0.25, 0.5, 0.25])


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Modes:
    """The two modes of n rows, shape (n,); NaN where a row has one."""

    low_ns: FloatArray
    high_ns: FloatArray
    high_share: FloatArray
    """Of the samples, those beyond the valley."""


def modes_of(flat: FlatHistograms, among: NDArray[np.bool_] | None = None) -> Modes:
    """Return the two modes of each row that has two; only of those of shape (n,) that ``among`` marks, if given."""
    rows = len(flat.lengths)
    found = np.full((3, rows), np.nan)
    if rows:
        last = np.cumsum(flat.lengths)
        is_wide = quantile_ns(flat, 0.95) >= SMALLEST_RATIO * quantile_ns(flat, 0.05)
        if among is not None:
            is_wide &= among
        for row in np.flatnonzero(is_wide).tolist():
            own = slice(int(last[row] - flat.lengths[row]), int(last[row]))
            found[:, row] = _modes_of_row(middle_of(flat.bins[own]), flat.counts[own])
    return Modes(low_ns=found[0], high_ns=found[1], high_share=found[2])


def _modes_of_row(middle_ns: FloatArray, counts: IntArray) -> tuple[float, float, float]:
    none = (np.nan, np.nan, np.nan)
    cell = np.floor(np.log2(np.maximum(middle_ns, 1.0)) * OCTAVE_CELLS).astype(np.int64)
    cell -= cell[0]
    dense: FloatArray = np.bincount(cell, counts).astype(np.float64)
    smooth = np.convolve(dense, _SMOOTHING, mode="same")
    left, right = np.maximum.accumulate(smooth), np.maximum.accumulate(smooth[::-1])[::-1]
    lower = np.minimum(left, right)
    valley = int(np.argmax(np.sqrt(lower) - np.sqrt(smooth)))
    if smooth[valley] > DEEPEST_VALLEY * lower[valley]:
        return none
    if 2 * (np.sqrt(lower[valley]) - np.sqrt(smooth[valley])) < ERRORS:
        return none
    is_high = cell > valley
    share = float(counts[is_high].sum() / counts.sum())
    if not SMALLEST_SHARE <= share <= 1 - SMALLEST_SHARE:
        return none
    if min(_bins_at_peak(dense, cell, ~is_high), _bins_at_peak(dense, cell, is_high)) < FEWEST_BINS:
        return none
    low_ns, high_ns = (_median(middle_ns[side], counts[side]) for side in (~is_high, is_high))
    return (low_ns, high_ns, share) if high_ns >= SMALLEST_RATIO * low_ns else none


def _bins_at_peak(dense: FloatArray, cell: IntArray, side: NDArray[np.bool_]) -> int:
    """Return how many bins of the histogram make the highest cell of a side, with its neighbours."""
    own = np.unique(cell[side])
    peak = own[np.argmax(dense[own])]
    return int((side & (np.abs(cell - peak) <= 1)).sum())


def _median(values: FloatArray, counts: IntArray) -> float:
    cumulated = np.cumsum(counts)
    return float(values[np.searchsorted(cumulated, (cumulated[-1] + 1) // 2)])
