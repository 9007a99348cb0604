"""Where a round trip spends its time, from the stamps of both NICs (R-Pingmesh, SIGCOMM 2024).

The initiator's NIC stamps when the ping has left (2) and when its echo has come (5), the other's when the ping has come
(3) and when the echo has left (4). No two clocks are compared: each span is of one clock.

    wire        (5 - 2) - (4 - 3)      both NICs, cables and switches, there and back
    responding  4 - 3                  the other host, from its NIC to its NIC
    probing     round trip - (5 - 2)   this host: posting, polling, and being kept waiting
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from netprobe.contracts import Stamps
from netprobe.transports._verbs_engine import Counted, NicClock

NS_PER_KHZ: Final = 1e6  # ns of a tick, times kHz
UNSEEN: Final = -1


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Spans:
    """In ns, of the pings that have all stamps and were answered in time; shape (n,)."""

    wire_ns: Stamps
    responding_ns: Stamps
    probing_ns: Stamps


def spans_of(pings: Counted, own: NicClock, echoes: Counted, theirs: NicClock) -> Spans:
    """Return the spans of a series, by the clocks of the initiator and of the other end."""
    count = min(len(pings.round_trips_ns), len(echoes.came_ticks))
    round_trips_ns = pings.round_trips_ns[:count]
    ticks = (pings.left_ticks, pings.came_ticks, echoes.came_ticks, echoes.left_ticks)
    is_known = np.all([each[:count] != UNSEEN for each in ticks], axis=0) & (round_trips_ns > 0)
    away_ns = _elapsed_ns(pings.left_ticks[:count], pings.came_ticks[:count], own)
    responding_ns = _elapsed_ns(echoes.came_ticks[:count], echoes.left_ticks[:count], theirs)
    wire_ns, probing_ns = away_ns - responding_ns, round_trips_ns - away_ns
    # A stamp of another completion, or a clock that was set: no span of time is negative.
    is_sound = is_known & (wire_ns > 0) & (probing_ns > 0)
    return Spans(
        wire_ns=_whole(wire_ns[is_sound]),
        responding_ns=_whole(responding_ns[is_sound]),
        probing_ns=_whole(probing_ns[is_sound]),
    )


def _elapsed_ns(begin: Stamps, end: Stamps, clock: NicClock) -> NDArray[np.float64]:
    """Return what passed on a clock that may have wrapped in between."""
    ticks = (end.view(np.uint64) - begin.view(np.uint64)) & np.uint64(clock.mask)
    elapsed_ns: NDArray[np.float64] = ticks.astype(np.float64) * (NS_PER_KHZ / clock.khz)
    return elapsed_ns


def _whole(values: NDArray[np.float64]) -> Stamps:
    return np.rint(values).astype(np.int64)
