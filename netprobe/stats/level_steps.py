"""In which night did a level change? The best division of a series into levels, and no more of them than it shows.

Exact optimal partitioning (Jackson et al. 2005, https://doi.org/10.1109/LSP.2001.838216) with squared distances, for
many series at once: a step of the recursion is one array operation over all of them. PELT prunes the same recursion;
for the few hundred nights of a history that saves nothing. Why not ruptures: it brings SciPy (35 MB), and one series at
a time takes a hundred times as long.

Before, wild nights are drawn to within three sigmas of the median of their five neighbours: one bad night is a bad
night, and no level.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from netprobe.stats.trends import middle, spread

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

SHORTEST: Final = 5
"""Nights of a level: fewer may be a bad week of one cable, and are told night by night."""
PENALTY: Final = 4.0  # times sigma^2 log n for each level more; BIC takes 2 to 3, and a fleet has thousands of series
SMALLEST_SIGMA: Final = 0.002  # log units; what is steadier than 0.2 % has no steps that anybody wants to hear of
WILD_SIGMAS: Final = 3.0
REACH: Final = 2


def steps(values: FloatArray, *, shortest: int = SHORTEST) -> list[list[int]]:
    """Return for each column the nights in which a new level begins, ascending; shape of values (nights, series)."""
    nights, series = values.shape
    if nights < 2 * shortest or not series:
        return [[] for _ in range(series)]
    sigma = np.maximum(np.nan_to_num(spread(values)), SMALLEST_SIGMA)
    calm = _calmed(values, sigma) / sigma
    candidates = np.flatnonzero(_may_have_steps(calm, nights))
    found: list[list[int]] = [[] for _ in range(series)]
    if len(candidates):
        before = _best_before(calm[:, candidates], shortest, PENALTY * np.log(nights))
        for place, column in enumerate(candidates.tolist()):
            found[column] = _traced(before[:, place])
    return found


def _calmed(values: FloatArray, sigma: FloatArray) -> FloatArray:
    """Return values with wild nights drawn towards the median of their neighbours."""
    padded = np.full((len(values) + 2 * REACH, values.shape[1]), np.nan)
    padded[REACH:-REACH] = values
    windows = np.stack([padded[shift : shift + len(values)] for shift in range(2 * REACH + 1)])
    around = middle(windows.reshape(2 * REACH + 1, -1)).reshape(values.shape)
    calm: FloatArray = np.clip(values, around - WILD_SIGMAS * sigma, around + WILD_SIGMAS * sigma)
    return calm


def _may_have_steps(calm: FloatArray, nights: int) -> NDArray[np.bool_]:
    """Return which columns one step could explain at all, by the largest standardised CUSUM; most have none."""
    known = np.isfinite(calm)
    count, total = known.cumsum(axis=0), np.nan_to_num(calm).cumsum(axis=0)
    all_count, all_total = count[-1], total[-1]
    weight = count * (all_count - count) / np.maximum(all_count, 1)
    gap = total / np.maximum(count, 1) - (all_total - total) / np.maximum(all_count - count, 1)
    # A level between two others shows less than a step does: three quarters of it are enough to look closer.
    is_possible: NDArray[np.bool_] = (weight * gap**2).max(axis=0) > 0.75 * PENALTY * np.log(nights)
    return is_possible


def _best_before(calm: FloatArray, shortest: int, penalty: float) -> IntArray:
    """Return for each end of a series where its last level begins best, shape (nights + 1, series)."""
    nights, series = calm.shape
    known = np.isfinite(calm)
    filled = np.nan_to_num(calm)
    zero = np.zeros((1, series))
    count = np.concatenate([zero, known.cumsum(axis=0)])
    total = np.concatenate([zero, filled.cumsum(axis=0)])
    square = np.concatenate([zero, (filled**2).cumsum(axis=0)])
    cost = np.full((nights + 1, series), np.inf)
    cost[0] = -penalty
    before = np.zeros((nights + 1, series), dtype=np.int64)
    for end in range(shortest, nights + 1):
        held = count[end] - count[: end - shortest + 1]
        sums = total[end] - total[: end - shortest + 1]
        within = square[end] - square[: end - shortest + 1] - sums**2 / np.maximum(held, 1)
        candidate = cost[: end - shortest + 1] + np.maximum(within, 0.0) + penalty
        candidate[1:][held[1:] < shortest] = np.inf  # a level of nights without a figure is none; the first is what is
        before[end] = candidate.argmin(axis=0)
        cost[end] = np.take_along_axis(candidate, before[end][None, :], axis=0)[0]
    return before


def _traced(before: IntArray) -> list[int]:
    starts: list[int] = []
    at = len(before) - 1
    while at > 0:
        at = int(before[at])
        if at > 0:
            starts.append(at)
    return starts[::-1]
