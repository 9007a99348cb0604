"""What detectors ask of inventories: RDMA ports with what is below them, what most hosts have, and who did not tell."""

import shlex
from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from netprobe.detectors._words import MOST_FACTS, listed
from netprobe.locate.fleet import FEWEST, MAJORITY
from netprobe.model.evidence import Evidence
from netprobe.model.finding import Confidence, Fact, Finding, Gap, Severity
from netprobe.model.inventory import HostInventory, NetDevice, PciDevice, RdmaPort

K = TypeVar("K", bound=Hashable)
T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class HostPort:
    """An RDMA port and the host that has it."""

    inventory: HostInventory
    port: RdmaPort

    @property
    def host(self) -> str:
        """The name of the host."""
        return self.inventory.host

    @property
    def net(self) -> NetDevice | None:
        """The interface that carries it."""
        return self.inventory.net_device(self.port.netdev)

    @property
    def pci(self) -> PciDevice | None:
        """The device on the bus."""
        return self.inventory.pci_device(self.port.pci)

    @property
    def subject(self) -> str:
        """What reports call it."""
        return f"{self.host} {self.port.name}"

    @property
    def interface(self) -> str:
        """The name of its interface, to be put into a command; a placeholder where it is not known."""
        return "DEVICE" if self.port.netdev is None else shlex.quote(self.port.netdev)

    @property
    def quoted_device(self) -> str:
        """The name of its RDMA device, to be put into a command."""
        return shlex.quote(self.port.device)


@dataclass(frozen=True, slots=True, kw_only=True)
class Usual(Generic[K]):
    """What most of those that are compared have."""

    value: K
    count: int


def host_ports(evidence: Evidence) -> tuple[HostPort, ...]:
    """Return the RDMA ports of all hosts, by host."""
    return tuple(
        HostPort(inventory=inventory, port=port)
        for inventory in evidence.inventories.values()
        for port in inventory.rdma_ports
    )


def active_ports(evidence: Evidence) -> tuple[HostPort, ...]:
    """Return those that carry traffic, as far as is known."""
    return tuple(each for each in host_ports(evidence) if each.port.may_be_active)


def roce_ports(evidence: Evidence) -> tuple[HostPort, ...]:
    """Return those that carry traffic over Ethernet."""
    return tuple(each for each in active_ports(evidence) if each.port.is_roce)


def port_of(inventory: HostInventory, part: str) -> HostPort | None:
    """Return the port of a host that goes by this name, or whose interface does."""
    port = next((each for each in inventory.rdma_ports if part in (each.name, each.netdev)), None)
    return None if port is None else HostPort(inventory=inventory, port=port)


def alike(items: Iterable[T], key: Callable[[T], K]) -> dict[K, list[T]]:
    """Return items that may be compared with each other, in their order."""
    groups: dict[K, list[T]] = {}
    for item in items:
        groups.setdefault(key(item), []).append(item)
    return groups


def usual(values: Iterable[K]) -> Usual[K] | None:
    """Return what more than half of three or more have; None: nobody knows what is right."""
    counted = Counter(values)
    total = counted.total()
    if total < FEWEST:
        return None
    value, count = counted.most_common(1)[0]
    return Usual(value=value, count=count) if count > MAJORITY * total else None


def undecided(
    detector: str, what: str, told: Sequence[tuple[str, str, str]], severity: Severity, next_action: str
) -> Iterator[Finding]:
    """Yield that hosts differ where no value is that of most, and blame none; nothing where all tell the same.

    ``told``: (host, subject, value). Values of one host may differ, as long as they do on all hosts alike.
    """
    by_host = alike(told, lambda each: each[0])
    if len({tuple(sorted(value for *_, value in own)) for own in by_host.values()}) < 2:
        return
    sides = {value: [subject for _, subject, _ in own] for value, own in alike(told, lambda each: each[2]).items()}
    yield Finding(
        detector=detector,
        severity=severity,
        confidence=Confidence.MEDIUM,
        subjects=tuple(subject for own in sides.values() for subject in own),
        hosts=(),
        summary=f"{what} differs, and no value is that of most: "
        + "; ".join(f"{value} on {listed(own)}" for value, own in sides.items()),
        facts=tuple(
            Fact(metric=f"{what} of {listed(own)}", observed=value, expected="one value", basis="the other hosts")
            for value, own in sides.items()
        )[:MOST_FACTS],
        next_action=next_action,
        retest=config_again(by_host),
    )


def alone_gap(topic: str, evidence: Evidence, name_of: Callable[[HostPort], str | None]) -> Iterator[Gap]:
    """Yield which ports go by a name that no other host has; nothing where there is no other host.

    The text is the same for every detector that compares by this name, so that reports say it once.
    """
    ports = host_ports(evidence)
    owners = {name: set(distinct(own)) for name, own in alike(ports, name_of).items() if name is not None}
    alone = [f"{next(iter(own))} {name}" for name, own in owners.items() if len(own) == 1]
    if alone and len(distinct(ports)) > 1:
        yield Gap(
            topic=topic,
            reason=f"{listed(alone)}: no other host has a port or interface of this name, so it was compared with "
            "nobody",
            remedy="names that are the same on all hosts (udev rules, systemd.link)",
        )


def fleet_gaps(topic: str, evidence: Evidence) -> Iterator[Gap]:
    """Yield why hosts cannot be compared; nothing where no host has an RDMA port.

    The text is the same for every detector that lacks the same, so that reports say it once.
    """
    if not host_ports(evidence):
        return
    untold = sorted({rank.host for rank in evidence.ranks} - set(evidence.inventories))
    if untold:
        yield Gap(
            topic=topic,
            reason=f"what {_hosts(len(untold))} made of is not known ({listed(untold)})",
            remedy="netprobe inventory on them",
        )
    if len(evidence.inventories) < FEWEST:
        yield Gap(
            topic=topic,
            reason=f"the settings of fewer than {FEWEST} hosts are known: "
            "of two that differ nobody knows which is right",
            remedy=f"netprobe config --hosts with {FEWEST} hosts or more that are built alike",
        )


def unread_gap(topic: str, what: str, ports: Iterable[HostPort], remedy: str) -> Iterator[Gap]:
    """Yield one gap for all ports of which something could not be read; nothing where there are none."""
    subjects = [each.subject for each in ports]
    if subjects:
        are = "RDMA port" if len(subjects) == 1 else "RDMA ports"
        yield Gap(
            topic=topic,
            reason=f"{what} could not be read on {len(subjects)} {are} ({listed(subjects)})",
            remedy=remedy,
        )


def distinct(ports: Iterable[HostPort]) -> tuple[str, ...]:
    """Return the hosts of ports, each once."""
    return tuple(dict.fromkeys(each.host for each in ports))


def config_again(hosts: Iterable[str]) -> str:
    """Return the command that reads the settings of hosts again."""
    return shlex.join(["netprobe", "config", "--hosts", ",".join(dict.fromkeys(hosts))])


def _hosts(count: int) -> str:
    return "1 host is" if count == 1 else f"{count} hosts are"
