"""How far is each rank's clock from rank 0's? Offset from the quickest of many exchanges, drift from two of them.

An exchange gives (sent, served, returned): the serving clock was read somewhere between the other two, so the offset is
known to within half of the round trip, and the quickest round trip bounds it best (Cristian 1989). A drift is the slope
of the line through two such offsets, once enough time lies between them for their errors not to dominate it.

Does not handle: clocks that jump. CLOCK_MONOTONIC does not.
"""

import time
from dataclasses import replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from netprobe.contracts import Control, Stamps, Transport
from netprobe.model.endpoint import Clock
from netprobe.units import NS_PER_S

PINGS: Final = 64  # the minimum settles within some tens of exchanges; each costs one round trip
DRIFT_SPAN_NS: Final = NS_PER_S  # oscillators differ by some 10 ppm: 10 µs a second, above the error of an exchange

REFERENCE: Final = Clock(offset_ns=0, drift_ratio=0.0, at_ns=0, error_bound_ns=0.0)


def clock_from(pings: Stamps) -> Clock:
    """Return the clock that (sent, served, returned) triples, shape (n, 3), tell of; without drift."""
    sent, served, returned = pings[np.argmin(pings[:, 2] - pings[:, 0])].tolist()
    middle = sent + (returned - sent) // 2
    return Clock(offset_ns=served - middle, drift_ratio=0.0, at_ns=middle, error_bound_ns=(returned - sent) / 2)


def with_drift(earlier: Clock, later: Clock) -> Clock:
    """Return the later clock, with the slope between the two where they lie far enough apart."""
    span_ns = later.at_ns - earlier.at_ns
    if span_ns < DRIFT_SPAN_NS:
        return later
    return replace(later, drift_ratio=(later.offset_ns - earlier.offset_ns) / span_ns)


def compare_clocks(transport: Transport, control: Control) -> Clock:
    """Return this rank's clock against rank 0's; all ranks call. Rank 0 serves the others one by one."""
    clock = REFERENCE
    for rank in range(1, control.size):
        if transport.rank == 0:
            transport.clock_pings(serves=True, peer=rank, count=PINGS)
        elif transport.rank == rank:
            clock = clock_from(transport.clock_pings(serves=False, peer=0, count=PINGS))
    return clock


def to_reference(stamps: Stamps, clock: Clock, epoch_ns: int) -> NDArray[np.float64]:
    """Return local stamps as ns since ``epoch_ns`` of rank 0's clock.

    The subtraction is done in integers: an uptime in ns leaves a float64 no digits for the ns.
    """
    since_epoch = stamps + (clock.offset_ns - epoch_ns)
    return since_epoch + clock.drift_ratio * (stamps - clock.at_ns)


class Clocks:
    """The clock of this rank against rank 0's, compared again before every collective; the only state of a session."""

    def __init__(self, transport: Transport, control: Control) -> None:
        self._transport = transport
        self._control = control
        self._epoch_ns = control.broadcast(time.monotonic_ns())
        self._first = compare_clocks(transport, control)
        self.latest = self._first

    def compare(self) -> None:
        """Compare again; all ranks call. The drift is taken from the first comparison on, the longest span there is."""
        self.latest = with_drift(self._first, compare_clocks(self._transport, self._control))

    def to_reference_ns(self, stamps: Stamps) -> NDArray[np.float64]:
        """Return local stamps as ns of rank 0's clock, since the session began."""
        return to_reference(stamps, self.latest, self._epoch_ns)
