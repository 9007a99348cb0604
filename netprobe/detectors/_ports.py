"""What detectors ask of ports: which carry RDMA, what is behind them, how long they stood still, what is untold."""

import math
import shlex
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np
from numpy.typing import NDArray

from netprobe.detectors._signatures import most_grown
from netprobe.detectors._words import listed, on_hosts, percent
from netprobe.model.evidence import Evidence
from netprobe.model.finding import Fact, Gap
from netprobe.model.inventory import PRIORITIES, HostInventory, NetDevice, PciDevice, RdmaPort
from netprobe.model.limits import Limits
from netprobe.model.meaning import Meaning
from netprobe.model.ports import QUIET_GBPS, PortTable, Span
from netprobe.units import NS_PER_S, format_count

IntArray = NDArray[np.int64]
FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]

PAUSE_BITS: Final = 65_535 * 512  # how long the longest pause frame stops a port (IEEE 802.3x): quanta of 512 bits
SENT_BYTES: Final = (Meaning.WIRE_SENT_BYTES, Meaning.RDMA_SENT_BYTES)
RECEIVED_BYTES: Final = (Meaning.WIRE_RECEIVED_BYTES, Meaning.RDMA_RECEIVED_BYTES)
COUNTED: Final = "counters of the NIC"


@dataclass(frozen=True, kw_only=True, eq=False)
class Ports:
    """The ports of a run with what their hosts tell of them."""

    evidence: Evidence
    limits: Limits

    @property
    def table(self) -> PortTable:
        """What was counted."""
        return self.evidence.ports

    @cached_property
    def carries_rdma(self) -> BoolArray:
        """Of each port: whether it is an RDMA port, and up as far as is known."""
        known = map(self.port, range(len(self.table.host)))
        is_up = [port is None or port.may_be_active for port in known]
        return self.table.is_rdma & np.array(is_up, dtype=np.bool_)

    @cached_property
    def carries_roce(self) -> BoolArray:
        """Of each port: whether it carries RDMA, and is not of InfiniBand, which knows neither pauses nor marks."""
        is_other = [
            port is None or port.link_layer != "InfiniBand" for port in map(self.port, range(len(self.table.host)))
        ]
        return self.carries_rdma & np.array(is_other, dtype=np.bool_)

    @cached_property
    def lossless(self) -> tuple[int, ...]:
        """The priorities that most ports have flow control for; empty where nobody tells."""
        told = [qos.pfc_enabled for device in self._devices if (qos := device.qos) is not None and qos.pfc_enabled]
        if not told:
            return ()
        share = np.mean(np.array(told, dtype=np.float64), axis=0)
        return tuple(np.flatnonzero(share > 0.5).tolist())

    @cached_property
    def leaf(self) -> IntArray:
        """The switch at the other end of each port's cable, by number; -1 where nobody tells."""
        names = [self.leaf_name(port) for port in range(len(self.table.host))]
        number = {name: index for index, name in enumerate(dict.fromkeys(name for name in names if name is not None))}
        return np.array([-1 if name is None else number[name] for name in names], dtype=np.int64)

    def leaf_name(self, port: int) -> str | None:
        """Return the switch at the other end of a port's cable."""
        device = self.device(port)
        return None if device is None or device.neighbour is None else device.neighbour.system

    def leaf_port(self, port: int) -> str:
        """Return what the port at the other end of the cable is called."""
        device = self.device(port)
        if device is None or device.neighbour is None:
            return f"the switch port of {self.table.subject(port)}"
        return f"{device.neighbour.system} {device.neighbour.port}"

    def port(self, port: int) -> RdmaPort | None:
        """Return what the host tells of an RDMA port."""
        inventory = self._inventory(port)
        ports = () if inventory is None else inventory.rdma_ports
        return next((each for each in ports if each.name == self.table.name[port]), None)

    def device(self, port: int) -> NetDevice | None:
        """Return the interface of a port."""
        inventory = self._inventory(port)
        return None if inventory is None else inventory.net_device(self.table.netdev[port])

    def pci(self, port: int) -> PciDevice | None:
        """Return the PCI device of a port."""
        inventory, known = self._inventory(port), self.port(port) or self.device(port)
        return None if inventory is None or known is None else inventory.pci_device(known.pci)

    def driver(self, port: int) -> str | None:
        """Return the name of a port's driver."""
        known = self.port(port) or self.device(port)
        return None if known is None else known.driver

    def subject(self, port: int) -> str:
        """Return what reports call a port."""
        return self.table.subject(port)

    def interface(self, port: int) -> str:
        """Return the name of a port's interface, to be put into a command; a placeholder where it is not known."""
        return shlex.quote(self.table.netdev[port] or "DEVICE")

    def host(self, port: int) -> str:
        """Return the host of a port."""
        return self.table.host[port]

    def grown(self, *meanings: Meaning, span: Span = Span.LOAD) -> FloatArray:
        """Return the largest growth among these counters, shape (ports,)."""
        return most_grown(self.table, meanings, span)

    def paused(self, time: Meaning, frames: Meaning, span: Span = Span.LOAD) -> FloatArray:
        """Return the share of a span that a pause lasted; the most that frames can mean where time is not counted."""
        told_ns = self.table.grown(time, span)
        most_ns = self.table.grown(frames, span) * PAUSE_BITS / self.rate_gbps
        share = np.where(np.isfinite(told_ns), told_ns, most_ns) / self.table.elapsed_ns(span)
        capped: FloatArray = np.minimum(share, 1.0)
        return capped

    def is_timed(self, time: Meaning, span: Span = Span.LOAD) -> BoolArray:
        """Return of which ports the time of a pause is counted, and not its frames alone."""
        timed: BoolArray = np.isfinite(self.table.grown(time, span))
        return timed

    def moved_gbps(self, span: Span) -> FloatArray:
        """Return what each port moved in a span, the busier way; NaN where it counts no bytes."""
        moved_gbps: FloatArray = 8.0 * self.grown(*SENT_BYTES, *RECEIVED_BYTES, span=span) / self.table.elapsed_ns(span)
        return moved_gbps

    def used(self, span: Span) -> FloatArray:
        """Return the share of its rate that each port moved in a span; NaN where bytes or rate are not known."""
        moved_gbps = self.moved_gbps(span)
        share: FloatArray = np.where(moved_gbps > 0, moved_gbps / self.rate_gbps, moved_gbps)
        return share

    def is_in_use(self, span: Span) -> BoolArray:
        """Return the RDMA ports that move somebody else's traffic in an idle time."""
        in_use: BoolArray = self.carries_rdma & (self.used(span) >= self.limits.foreign_traffic_ratio)
        return in_use

    def moves_nothing(self) -> BoolArray:
        """Return the ports of which it is known that they moved next to nothing, load or not."""
        is_quiet: BoolArray = self.moved_gbps(Span.LOAD) < QUIET_GBPS
        return is_quiet

    def share_outside(self, meaning: Meaning) -> FloatArray:
        """Return the share of bytes outside the lossless priorities, shape (ports,); NaN where nothing is told."""
        by_priority = self.table.by_priority(meaning)
        outside = [each for each in range(PRIORITIES) if each not in self.lossless]
        total = np.nansum(by_priority, axis=1)
        is_told = (total > 0) & bool(self.lossless)
        share: FloatArray = np.where(
            is_told, np.nansum(by_priority[:, outside], axis=1) / np.maximum(total, 1.0), np.nan
        )
        return share

    @cached_property
    def rate_gbps(self) -> FloatArray:
        """Of each port, as RDMA tells it, or else its interface; NaN where neither does."""
        rates = map(self._told_rate_gbps, range(len(self.table.host)))
        return np.array([rate or np.nan for rate in rates], dtype=np.float64)

    def _told_rate_gbps(self, port: int) -> float | None:
        known, device = self.port(port), self.device(port)
        rate_gbps = None if known is None else known.rate_gbps
        return rate_gbps or (None if device is None else device.speed_gbps)

    @property
    def _devices(self) -> Iterable[NetDevice]:
        found = (self.device(port) for port in np.flatnonzero(self.carries_rdma).tolist())
        return (device for device in found if device is not None)

    def _inventory(self, port: int) -> HostInventory | None:
        return self.evidence.inventories.get(self.table.host[port])


def not_counted(ports: Ports, topic: str, what: str, missing: BoolArray, among: BoolArray | None = None) -> Gap | None:
    """Return one gap for all ports that did not count something: their driver never does, or the counter is full.

    ``among``: which ports should, if not all that carry RDMA.

    The text is the same for every detector that lacks the same, so that reports say it once.
    """
    asked = ports.carries_rdma if among is None else among
    at = np.flatnonzero(missing & asked).tolist()
    if not at:
        return None
    drivers = sorted({driver for port in at if (driver := ports.driver(port)) is not None})
    who = f"{listed(drivers)} did not count" if drivers else "nobody counted"
    return Gap(
        topic=topic,
        reason=f"cannot be told: {who} {what} on {len(at)} of {int(asked.sum())} RDMA ports",
        remedy="the counters of the switch ports; a newer driver, or a reset of a full counter, may help",
    )


def uncounted(ports: Ports, meanings: Sequence[Meaning], span: Span = Span.LOAD) -> BoolArray:
    """Return the ports that count none of these."""
    unknown: BoolArray = np.isnan(ports.grown(*meanings, span=span))
    return unknown


def priorities_untold(ports: Ports, topic: str, meaning: Meaning) -> Gap | None:
    """Return why it cannot be told whether bytes ride in lossless priorities; None where it can."""
    if ports.carries_roce.any() and not ports.lossless:
        return Gap(
            topic=topic,
            reason="cannot be told: no priority has flow control on most hosts, or none tells",
            remedy="netprobe config shows what hosts tell of PFC; set it, or expect RDMA to lose packets under load",
        )
    is_told: BoolArray = np.isfinite(ports.table.by_priority(meaning)).max(axis=1, initial=False)
    return not_counted(ports, topic, "bytes by priority", ~is_told, ports.carries_roce)


def any_of(ports: Ports, at: Iterable[int]) -> tuple[str, ...]:
    """Return the hosts of these ports, each once."""
    return tuple(dict.fromkeys(ports.host(port) for port in at))


def count_fact(ports: Ports, port: int, meaning: Meaning, *, expected: str = "0", span: Span = Span.LOAD) -> Fact:
    """Tell what one counter of a port grew by, in which time; ``at least`` where it stands at its largest value."""
    counts = ports.table.spans[span]
    is_more = meaning in counts.at_least and bool(counts.at_least[meaning][port])
    value = float(ports.table.grown(meaning, span)[port])
    seconds = float(counts.elapsed_ns[port]) / NS_PER_S
    when = f" in {seconds:.3g} s" if math.isfinite(seconds) else ""
    return Fact(
        metric=f"{ports.subject(port)} {meaning}",
        observed=f"{'at least ' if is_more else ''}{format_count(round(value), meaning.unit)}{when} ({span})",
        expected=expected,
        basis=COUNTED,
    )


def grown_facts(ports: Ports, port: int, meanings: Iterable[Meaning], span: Span = Span.LOAD) -> tuple[Fact, ...]:
    """Tell those of these counters that grew."""
    return tuple(
        count_fact(ports, port, each, span=span) for each in meanings if ports.table.grown(each, span)[port] > 0
    )


def share_fact(metric: str, share: float, *, limit: float, basis: str, is_timed: bool = True) -> Fact:
    """Tell a share of time against its limit."""
    most = "" if is_timed else "at most "
    return Fact(
        metric=metric, observed=f"{most}{fine_percent(share)}", expected=f"below {fine_percent(limit)}", basis=basis
    )


def fine_percent(ratio: float) -> str:
    """Return a share with two digits, however small."""
    return percent(ratio) if ratio >= 0.1 else f"{100 * ratio:.2g} %"


def check_again(hosts: Sequence[str], ports: Ports, extra: int = 2) -> str:
    """Return the command that measures hosts again with some that are good."""
    others = [host for host in dict.fromkeys(rank.host for rank in ports.evidence.ranks) if host not in hosts]
    return on_hosts("netprobe check", [*hosts, *others[:extra]])


def priorities(values: FloatArray) -> tuple[int, ...]:
    """Return the priorities in which a counter grew; ``values`` has shape (8,)."""
    return tuple(index for index in range(PRIORITIES) if values[index] > 0)
