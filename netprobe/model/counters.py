"""What a rank's system counted while something ran."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

IDLE_BEFORE: Final = "idle-before"
IDLE_AFTER: Final = "idle-after"
IDLE: Final = (IDLE_BEFORE, IDLE_AFTER)
"""In the place of a stage: two seconds without load, before the first probe and after the last one."""
BETWEEN_READINGS: Final = "between-readings"
"""In the place of a stage: whatever ran between two readings that somebody else took."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CounterWindow:
    """The growth of counters from just before a rank's part of a round to just after it, or of a whole stage.

    A counter that the system does not have, or that could not be read at both ends, is absent, never 0. Counters of a
    host (its TCP stack, its interfaces, its NICs) are in the window of its first rank alone, those of a process in
    every rank's.
    """

    stage: str
    round_index: int | None
    """None for a whole stage, and for idle times."""
    rank: int
    elapsed_ns: int
    """How long the probe took, of a round; of a stage or an idle time, until the second reading."""
    grown: Mapping[str, int]
    """By ``source/name`` as the kernel names it: ``tcp/RetransSegs``, ``eth0/rx_dropped``, ``process/run_delay_ns``."""
    at_least: tuple[str, ...] = ()
    """Counters that are at their largest value and stay there: they grew by this or more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DatagramCounts:
    """What one end of a pair counted of the unreliable datagrams of one size in a round: kept with its counters."""

    peer: int
    size_bytes: int
    sent: int
    received: int
    """As many more as the other end has sent are lost."""
    late: int
    """Of those received."""
    stamped: int
    """Of those received, by the NIC's own clock."""
