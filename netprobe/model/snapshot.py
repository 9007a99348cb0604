"""One host's evidence, to be handed to somebody who has no access to it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from netprobe.model.inventory import HostInventory

SNAPSHOT_FORMAT: Final = 1
"""Raised when an older netprobe could misread a snapshot."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """All counters of NICs at one moment, as the kernel told them."""

    at_ns: int
    """Of a clock that never goes back; its zero means nothing."""
    values: Mapping[str, int]
    """By ``rdma/DEVICE/PORT/NAME`` or ``ethtool/NETDEV/NAME``; what could not be read is absent."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """What a host is made of, and what its NICs counted, twice."""

    format: int
    netprobe: str
    taken: str
    """UTC, ISO 8601."""
    inventory: HostInventory
    readings: tuple[Reading, ...]
    """In order of time."""
    is_scrubbed: bool = False
    """Whether addresses and identities were replaced."""
