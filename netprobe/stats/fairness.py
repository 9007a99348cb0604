"""How evenly senders share a receiver: Jain's index.

R. Jain, D. Chiu, W. Hawe: "A Quantitative Measure of Fairness and Discrimination for Resource Allocation in Shared
Computer Systems" (DEC TR-301, 1984).
"""

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


def jain_index(rates: FloatArray, group: IntArray, groups: int) -> FloatArray:
    """Return (sum x)^2 / (n sum x^2) of the rates of each group, shape (groups,): 1 when all are equal, 1/n for one.

    ``group`` is the number of the group of each rate; NaN for a group without rates, or in which nothing moves.
    """
    count = np.bincount(group, minlength=groups)
    total = np.bincount(group, rates, groups)
    squares = np.bincount(group, rates * rates, groups)
    with np.errstate(invalid="ignore", divide="ignore"):
        index: FloatArray = np.where(squares > 0, total * total / (count * squares), np.nan)
    return index
