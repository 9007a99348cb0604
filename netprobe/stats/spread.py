"""How far apart values usually lie, told so that a few wild ones do not matter."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

SIGMAS_PER_MAD: Final = 1.4826  # of a normal distribution: 1 / (the 75th percentile of the standard one)


def robust_scale(values: NDArray[np.float64], center: float | None = None) -> float:
    """Return the median distance from ``center`` (the median if None), scaled to sigmas; NaN without values.

    0 means that more than half of the values agree to the digit: callers need a floor beside it.
    """
    if values.size == 0:
        return float("nan")
    middle = float(np.median(values)) if center is None else center
    return SIGMAS_PER_MAD * float(np.median(np.abs(values - middle)))


def outlier_distance(values: NDArray[np.float64], *, mads: float, floor: float) -> float:
    """Return how far from the median a value must lie to be one of its own: so many scaled MADs, at least ``floor``.

    A tight fleet has a MAD of nearly 0, where the MAD alone would call everything an outlier; the floor alone would
    in a fleet that varies.
    """
    scale = robust_scale(values)
    return floor if np.isnan(scale) else max(floor, mads * scale)
