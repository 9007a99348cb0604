"""What a rank's system counted while one round ran."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class CounterWindow:
    """The growth of counters from just before a rank's part of a round to just after it.

    A counter that the system does not have, or that could not be read at both ends, is absent, never 0. Counters of a
    host (its TCP stack, its interfaces) are in the window of its first rank alone, those of a process in every rank's.
    """

    stage: str
    round_index: int
    rank: int
    elapsed_ns: int
    grown: Mapping[str, int]
    """By ``source/name`` as the kernel names it: ``tcp/RetransSegs``, ``eth0/rx_dropped``, ``process/run_delay_ns``."""
