"""Which quanta of fixed work were interrupted: those that took longer than the median by more than a core varies.

The share of the time that detours take is the noise of a host, as fixed-work benchmarks (FWQ, selfish detour) call it.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

DETOUR_FLOOR_NS: Final = 1_000  # a timer interrupt takes 1 µs and more; a clock read and a miss of a cache below that
DETOUR_RATIO: Final = 0.2  # of the median: clocks of cores go up and down by less from one quantum to the next


def detours_in(elapsed_ns: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return which of the quanta, by index, were interrupted."""
    if not len(elapsed_ns):
        return np.zeros(0, dtype=np.int64)
    median_ns = float(np.median(elapsed_ns))
    return np.flatnonzero(elapsed_ns > median_ns + max(DETOUR_FLOOR_NS, DETOUR_RATIO * median_ns))


BEAT_SPREAD: Final = 0.05  # of the median gap, between the quartiles: chance has 1.6
FEWEST_GAPS: Final = 16
"""With half of so many gaps within so little of each other by chance once in 10^7 times (docs/jitter.md)."""


def beats(
    p25_ns: NDArray[np.float64], p50_ns: NDArray[np.float64], p75_ns: NDArray[np.float64], count: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Return the beat of detours, from the quartiles of the gaps between them; NaN where they keep none."""
    keeps_time = (count >= FEWEST_GAPS) & (p75_ns - p25_ns <= BEAT_SPREAD * p50_ns)
    beat_ns: NDArray[np.float64] = np.where(keeps_time, p50_ns, np.nan)
    return beat_ns
