"""Who took part: ranks and the hosts they ran on, and how well their clocks agree."""

from dataclasses import dataclass
from operator import attrgetter


@dataclass(frozen=True, slots=True, kw_only=True)
class Clock:
    """A rank's clock against rank 0's: ``reference = local + offset + drift * (local - at)``."""

    offset_ns: int
    drift_ratio: float
    at_ns: int
    error_bound_ns: float
    """Half of the smallest round trip seen: the offset cannot be known better."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Interface:
    """An interface that is up, with its IPv4 address."""

    name: str
    address: str
    network: str
    mtu_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Rank:
    """One process of the job."""

    rank: int
    host: str
    local_index: int
    """Its place among the ranks of the same host, from 0."""
    cpus: tuple[int, ...]
    """The CPUs it may run on."""
    pid: int
    interfaces: tuple[Interface, ...] = ()
    """Of the host, told by its first rank alone."""
    leaf: str | None = None
    """The leaf switch that its host is connected to; None where nobody tells."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """What measuring itself costs on rank 0, to be printed beside small figures."""

    clock_read_ns: float
    empty_iteration_ns: float
    """One iteration of the timed loop with no operation in it."""


def ranks_by_host(ranks: tuple[Rank, ...]) -> dict[str, list[int]]:
    """Return the rank numbers of each host, hosts in order of first appearance, ranks by local index."""
    hosts: dict[str, list[int]] = {}
    for rank in sorted(ranks, key=attrgetter("rank")):
        hosts.setdefault(rank.host, []).append(rank.rank)
    return hosts
