"""Between which figures a night is like the nights before it: what a reader holds a curve against.

The same nights, median and noise by which a level is judged (levels), for every night and not just for the last.
"""

from dataclasses import dataclass

import numpy as np

from netprobe.history.levels import is_judged, log_rates, usual_of
from netprobe.model.history import FloatArray, Trend
from netprobe.model.limits import Limits


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Band:
    """By night, shape (nights,); NaN where too few nights before are known."""

    low: FloatArray
    high: FloatArray


def band_of(values: FloatArray, trend: Trend, limits: Limits) -> Band | None:
    """Return the band of one series of a trend, shape (nights,); None where the trend has no level that is judged."""
    if not is_judged(trend):
        return None
    nights, own = len(values), int(limits.own_nights)
    padded = np.concatenate([np.full(own, np.nan), log_rates(values, trend)])
    before = padded[np.arange(own)[:, None] + np.arange(nights)]  # a column for each night: the nights before it
    usual = usual_of(before, trend, limits)
    sign = 1.0 if trend.unit.is_rate else -1.0
    ends = np.exp(sign * np.stack([usual.reference - usual.noise, usual.reference + usual.noise]))
    return Band(low=ends.min(axis=0), high=ends.max(axis=0))
