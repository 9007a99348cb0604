"""What two kinds of traffic take from each other: rates alone, together, and alone again."""

import numpy as np

from netprobe.model.evidence import FloatArray


def lost_ratio(rates: FloatArray) -> FloatArray:
    """Return the share of its rate that each loses together, against the slower of before and after.

    ``rates`` has shape (..., 3): before, together, after. Against the slower, what drifts is never blamed on the other:
    a rate that falls by itself is lowest afterwards. NaN where one is not known.
    """
    ratio: FloatArray = 1 - rates[..., 1] / np.minimum(rates[..., 0], rates[..., 2])
    return ratio


def most_lost_ratio(rates: FloatArray) -> FloatArray:
    """Return the same against the faster of before and after: what is lost if drift has no part in it."""
    ratio: FloatArray = 1 - rates[..., 1] / np.maximum(rates[..., 0], rates[..., 2])
    return ratio
