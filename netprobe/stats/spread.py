"""How far apart values usually lie, told so that a few wild ones do not matter."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

SIGMAS_PER_MAD: Final = 1.4826  # of a normal distribution: 1 / (the 75th percentile of the standard one)
MAD_UNCERTAINTY: Final = 1.16
SIGMAS_PER_QUARTILE: Final = 1.4826  # the quartiles of a normal distribution lie one MAD from its middle


def scale_of(distances: NDArray[np.float64]) -> float:
    """Return sigma from distances to a center, as normal values would have it; 0 without values."""
    return SIGMAS_PER_MAD * float(np.median(distances)) if distances.size else 0.0


def upper_scale(distances: NDArray[np.float64]) -> float:
    """Return ``scale_of`` at the upper end of what so few values leave open.

    The MAD of n normal values is uncertain by 1.16 / sqrt(n) of itself (its efficiency is 37 %). Among hundreds of
    small fleets some draw a MAD that is too small, and would call chance an outlier.
    """
    return scale_of(distances) * upper_share(distances.size)


def upper_share(count: int) -> float:
    """Return by what the scale of so many values is to be multiplied for the upper end of what they leave open."""
    return 1.0 + MAD_UNCERTAINTY / float(np.sqrt(max(count, 1)))


def outlier_distance(values: NDArray[np.float64], *, mads: float, floor: float) -> float:
    """Return how far from the median a value must lie to be one of its own: so many scaled MADs, at least ``floor``.

    A tight fleet has a MAD of nearly 0, where the MAD alone would call everything an outlier; the floor alone would
    in a fleet that varies.
    """
    if values.size == 0:
        return floor
    return max(floor, mads * upper_scale(np.abs(values - np.median(values))))


def median_of_others(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return, for each of two values or more, the upper median of all others.

    When half of them are as large, nobody stands out.
    """
    return _of_others(values, (len(values) - 1) // 2)


def upper_quartile_of_others(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return, for each of two values or more, what three quarters of the others do not exceed; of few, the largest."""
    return _of_others(values, -(-3 * (len(values) - 2) // 4))


def _of_others(values: NDArray[np.float64], index: int) -> NDArray[np.float64]:
    """Return, for each value, the one at ``index`` of all others in ascending order."""
    order = np.argsort(values, kind="stable")
    ordered = values[order]
    place = np.empty(len(values), dtype=np.int64)
    place[order] = np.arange(len(values))
    # Without the value at `place`, everything behind it moves up by one.
    found: NDArray[np.float64] = ordered[index + (place <= index)]
    return found
