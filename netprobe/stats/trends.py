"""Many series of nights at once: what they have in common, and which of them moves slowly by itself.

Arrays have shape (nights, series); NaN is "not measured". Sorting puts NaN last, which is how medians leave them out.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from netprobe.stats.spread import MAD_UNCERTAINTY, SIGMAS_PER_MAD

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

POLISHES: Final = 3  # median polish settles in two sweeps unless half of the series come and go
FEWEST_SERIES: Final = 3
"""Of two, either is half of what they have in common."""


def middle(values: FloatArray) -> FloatArray:
    """Return the median of what is known in each column, shape (series,); NaN where nothing is."""
    rows, columns = values.shape
    if not rows:
        return np.full(columns, np.nan)
    known = np.isfinite(values).sum(axis=0)
    if (known == rows).all():
        # numpy.median of few rows takes twice as long as what it calls.
        above = rows // 2
        below = above - 1 + rows % 2
        parts = np.partition(values, (below, above), axis=0)
        whole: FloatArray = (parts[below] + parts[above]) / 2
        return whole
    ordered = np.sort(np.where(np.isfinite(values), values, np.nan), axis=0)
    column = np.arange(columns)
    low, high = np.maximum(known - 1, 0) // 2, np.minimum(known // 2, rows - 1)
    found: FloatArray = np.where(known > 0, (ordered[low, column] + ordered[high, column]) / 2, np.nan)
    return found


def fleet_shift(values: FloatArray) -> FloatArray:
    """Return how far the median series was from its own level in each night, shape (nights,).

    By median polish (Tukey 1977): a night in which all move, as after an upgrade, is told apart from one that moves,
    also where series come and go. 0 where fewer than three were measured: a shift would be their own.
    """
    shift = np.zeros(len(values))
    enough = np.isfinite(values).sum(axis=1) >= FEWEST_SERIES
    for _ in range(POLISHES):
        level = middle(values - shift[:, None])
        told = middle((values - level).T)
        shift = np.where(enough & np.isfinite(told), told, 0.0)
    usual = float(np.median(shift[enough])) if enough.any() else 0.0
    return np.where(enough, shift - usual, 0.0)


def spread(values: FloatArray) -> FloatArray:
    """Return sigma of each column from one night to the next, so that levels and slow changes do not count; NaN: none.

    By the MAD of differences of neighbouring nights; a normal series has differences sqrt(2) times as wide. It is told
    at the upper end of what so few nights leave open (stats.spread), as thousands of series are looked at.
    """
    changes = np.abs(np.diff(values, axis=0))
    uncertain = 1.0 + MAD_UNCERTAINTY / np.sqrt(np.maximum(np.isfinite(changes).sum(axis=0), 1))
    sigma: FloatArray = SIGMAS_PER_MAD * middle(changes) / np.sqrt(2.0) * uncertain
    return sigma


def monotony(values: FloatArray) -> FloatArray:
    """Return Mann and Kendall's z of each column, shape (series,): below 0 it falls; NaN with fewer than three nights.

    Var S = n (n - 1) (2n + 5) / 18, with n the nights that are known (Kendall 1975); ties are rare in rates, and make
    |z| smaller, not larger.
    """
    rising = np.zeros(values.shape[1])
    for lag in range(1, len(values)):
        rising += np.nansum(np.sign(values[lag:] - values[:-lag]), axis=0)
    count = np.isfinite(values).sum(axis=0).astype(np.float64)
    sigma = np.sqrt(count * (count - 1) * (2 * count + 5) / 18)
    return np.where(count >= 3, (rising - np.sign(rising)) / np.maximum(sigma, 1.0), np.nan)


def slope(values: FloatArray) -> float:
    """Return Theil and Sen's slope of one series by night: the median of all pairs' slopes; NaN with fewer than two."""
    night = np.flatnonzero(np.isfinite(values))
    if len(night) < 2:
        return np.nan
    first, second = np.triu_indices(len(night), k=1)
    known = values[night]
    return float(np.median((known[second] - known[first]) / (night[second] - night[first])))
