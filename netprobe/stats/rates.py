"""Rates out of sizes and times, and the logarithms in which losses add up.

``log speed`` is the natural logarithm of a rate: a loss of 10 % is -0.105 whatever the rate, and the losses of a
sender, a receiver and a path add.
"""

import math

import numpy as np
from numpy.typing import NDArray

from netprobe.model.collective import SHAPES
from netprobe.units import gbps, gigabytes_per_s

FloatArray = NDArray[np.float64]


def log_speed(elapsed_ns: FloatArray) -> FloatArray:
    """Return minus the logarithm of times: rates up to a constant, as log speeds. Below 1 ns no clock can tell."""
    return -np.log(np.maximum(elapsed_ns, 1.0))


def loss_as_log(loss_ratio: float) -> float:
    """Return the distance on the log scale of a loss, as in 0.05 for a rate 5 % below; infinite from 1 on."""
    return -math.log1p(-loss_ratio) if loss_ratio < 1.0 else math.inf


def loss_ratio(log_distance: float) -> float:
    """Return the share that is lost at a log speed so far from the expected one; negative for a gain."""
    return -math.expm1(log_distance)


def excess_as_log(excess_ratio: float) -> float:
    """Return the distance on the log scale of an excess of time, as in 0.3 for 30 % longer."""
    return math.log1p(excess_ratio)


def window_gbps(size_bytes: int, elapsed_ns: float) -> float | None:
    """Return Gb/s; None where nothing was sent or no time passed."""
    return gbps(size_bytes, elapsed_ns) if size_bytes and elapsed_ns > 0 else None


def algbw_gigabytes_per_s(probe: str, size_bytes: int, elapsed_ns: float, ranks: int) -> float | None:
    """Return size over time in GB/s as nccl-tests does; None for a barrier or a lone rank, where it means nothing."""
    if probe == "barrier" or ranks < 2 or elapsed_ns <= 0:
        return None
    return gigabytes_per_s(size_bytes, elapsed_ns)


def busbw_gigabytes_per_s(probe: str, size_bytes: int, elapsed_ns: float, ranks: int) -> float | None:
    """Return algbw times the factor of the collective (model.collective): what a link carries; None as for algbw."""
    algbw = algbw_gigabytes_per_s(probe, size_bytes, elapsed_ns, ranks)
    return None if algbw is None else algbw * SHAPES[probe].busbw_factor(ranks)
