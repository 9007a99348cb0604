"""What all NICs of a run counted, as arrays: the form in which detectors read counters, by meaning and not by name."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Final

import numpy as np
from numpy.typing import NDArray

from netprobe.model.meaning import Meaning

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


class Span(StrEnum):
    """When something was counted."""

    LOAD = "load"
    """While probes ran, all stages together."""
    IDLE_BEFORE = "idle-before"
    IDLE_AFTER = "idle-after"
    PROVOKED = "provoked"
    """While flows loaded the fabric on purpose: a part of LOAD."""
    QUIET = "quiet"
    """Between readings that somebody took, while the port moved next to nothing: a part of LOAD."""


QUIET_GBPS: Final = 0.01
"""Next to nothing: LLDP, ARP and a login are less, and it is a thousandth of the slowest port that carries RDMA."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SpanCounts:
    """Growth of every port's counters in one span; NaN where a port's driver does not count it, or it was reset."""

    elapsed_ns: FloatArray
    """Shape (ports,); NaN where the port was not read."""
    grown: Mapping[Meaning, FloatArray]
    """Shape (ports,). What a driver counts by priority alone is here as the sum over priorities; of times, the most."""
    by_priority: Mapping[Meaning, FloatArray]
    """Shape (ports, 8)."""
    at_least: Mapping[Meaning, NDArray[np.bool_]]
    """Shape (ports,): the counter is at its largest value, so it grew by this or more."""
    unrecognised: tuple[tuple[int, str, float], ...] = ()
    """(port, name, growth) of counters that no table knows and that look like trouble; those that grew."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PairCounts:
    """Growth within single rounds, in which a host has one partner: rows of a port in a round, shape (rows,)."""

    stage: tuple[str, ...]
    round_index: IntArray
    port: IntArray
    """Index into the ports of the table."""
    peer: tuple[str, ...]
    """The host on the other side."""
    is_sender: NDArray[np.bool_]
    """Whether this host sent the data (one-way streams); True for both ends where data went both ways."""
    grown: Mapping[Meaning, FloatArray]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PortTable:
    """All ports of all hosts; a port is an RDMA port with its interface, or an interface alone."""

    host: tuple[str, ...]
    name: tuple[str, ...]
    """``mlx5_0``, ``mlx5_0/2``, ``eth0``."""
    netdev: tuple[str | None, ...]
    spans: Mapping[Span, SpanCounts]
    """Without a span that was not observed."""
    pairs: PairCounts

    @property
    def is_rdma(self) -> NDArray[np.bool_]:
        """Of each port: whether it is an RDMA port; an interface alone has its own name. Shape (ports,)."""
        return np.array([name != netdev for name, netdev in zip(self.name, self.netdev, strict=True)], dtype=np.bool_)

    def subject(self, port: int) -> str:
        """Return what reports call a port: ``node17 mlx5_3``."""
        return f"{self.host[port]} {self.name[port]}"

    def grown(self, meaning: Meaning, span: Span = Span.LOAD) -> FloatArray:
        """Return the growth of every port in a span, shape (ports,); NaN where it was not counted."""
        counts = self.spans.get(span)
        absent = np.full(len(self.host), np.nan)
        return absent if counts is None else counts.grown.get(meaning, absent)

    def by_priority(self, meaning: Meaning, span: Span = Span.LOAD) -> FloatArray:
        """Return the growth of every port by priority, shape (ports, 8); NaN where it was not counted."""
        counts = self.spans.get(span)
        absent = np.full((len(self.host), 8), np.nan)
        return absent if counts is None else counts.by_priority.get(meaning, absent)

    def elapsed_ns(self, span: Span = Span.LOAD) -> FloatArray:
        """Return how long each port was watched in a span, shape (ports,); NaN where it was not."""
        counts = self.spans.get(span)
        return np.full(len(self.host), np.nan) if counts is None else counts.elapsed_ns


@dataclass(frozen=True, slots=True, kw_only=True)
class UnreadPort:
    """An active RDMA port of a host in the run, none of whose counters was read in some stages."""

    host: str
    port: str
    stages: tuple[str, ...]
    """In the order of the plan."""
    was_read: bool
    """Whether it was read in others."""


NO_PORTS: Final = PortTable(
    host=(),
    name=(),
    netdev=(),
    spans=MappingProxyType({}),
    pairs=PairCounts(
        stage=(),
        round_index=np.zeros(0, dtype=np.int64),
        port=np.zeros(0, dtype=np.int64),
        peer=(),
        is_sender=np.zeros(0, dtype=np.bool_),
        grown=MappingProxyType({}),
    ),
)
