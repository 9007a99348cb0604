"""The edges to the operating system, and the counters that are read over them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from netprobe.model.gpu import GpuCondition, GpuCount, GpuLevels, GpuSurvey
from netprobe.model.inventory import QosSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkSettings:
    """The part of model.inventory.NetDevice that ethtool tells."""

    speed_gbps: float | None = None
    autonegotiates: bool | None = None
    fec: str | None = None
    pause_receives: bool | None = None
    pause_sends: bool | None = None
    ring_receive: int | None = None
    ring_receive_most: int | None = None
    ring_send: int | None = None
    ring_send_most: int | None = None


class Netlink(Protocol):
    """What the kernel tells of interfaces over sockets. What it does not tell is empty or None; nothing raises."""

    def statistics(self, netdev: str) -> Mapping[str, int]:
        """Return the driver's own counters (``ethtool -S``), as it names them."""
        ...

    def link(self, netdev: str) -> LinkSettings:
        """Return how an interface is set (``ethtool``, ``-a``, ``-g``, ``--show-fec``)."""
        ...

    def qos(self, netdev: str) -> QosSettings | None:
        """Return its classes and which of them are lossless (``dcb``); None where the driver has none to tell."""
        ...


class GpuSystem(Protocol):
    """What the driver tells of this host's GPUs, by PCI address. What it does not tell is None or absent; none raises.

    Several threads may call at once.
    """

    def survey(self) -> GpuSurvey:
        """Return which GPUs there are, and of which nothing can be read."""
        ...

    def levels(self, pci: str) -> GpuLevels:
        """Return what a GPU shows now: a few calls, each of which takes some 10 µs."""
        ...

    def condition(self, pci: str) -> GpuCondition:
        """Return the state of its links and of its memory: a call for each link."""
        ...

    def counters(self, pci: str) -> Mapping[GpuCount, int]:
        """Return what it has counted since the driver was loaded."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class System:
    """The edges to the operating system, to be replaced in tests."""

    root: Path
    """Of its files; ``/``."""
    netlink: Netlink
    excluded: frozenset[str] = frozenset()
    """RDMA devices and interfaces that are not to be read: some answer with errors in the kernel's log."""
    addresses: Callable[[], Mapping[str, tuple[str, ...]]] = dict
    """Return the addresses of interfaces, with the length of their prefix."""
    neighbours: Callable[[], str | None] = lambda: None
    """Return what the LLDP daemon knows of the other ends of cables, as JSON; None where there is none to ask."""
    gpus: GpuSystem | None = None
    """None where NVIDIA's driver is not loaded."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Counters of a system, read on every rank around every round, or around every stage."""

    id: str
    title: str
    is_per_host: bool
    """True when all processes of a host read the same: then its first rank alone does."""
    read: Callable[[System], Mapping[str, int]]
    """Return counters by ``source/name``; what is not there is absent. Never raises."""
    in_rounds: bool = True
    """Whether it is read around rounds; else around stages and idle times alone."""
    in_stages: bool = False
    """Whether it is read around stages and idle times."""
    in_seconds: bool = False
    """Whether it is read once in each second of bursts, behind its steps."""
    probes: frozenset[str] | None = None
    """Around whose rounds it is read, where it costs too much to be read around all; None: around all."""
    settling_ns: Callable[[System], int] = lambda _system: 0
    """How long after the last packet its values are up to date: drivers keep what they asked the NIC for a while."""
