"""What measuring itself costs on this rank, measured before anything else is."""

from typing import Final

import numpy as np

from netprobe import _native
from netprobe.model.endpoint import Calibration

ITERATIONS: Final = 20_000  # some 0.5 ms; the median does not move with more


def calibrate() -> Calibration:
    """Measure the cost of a clock read and of an iteration of the timed loop that does nothing."""
    stamps = np.zeros(ITERATIONS + 1, dtype=np.int64)
    _native.empty_series(stamps)
    return Calibration(
        clock_read_ns=_native.clock_series(ITERATIONS),
        empty_iteration_ns=float(np.mean(np.diff(stamps))),
    )
