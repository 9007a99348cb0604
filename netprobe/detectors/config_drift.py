"""Settings that differ between hosts, and settings of RoCE that are wrong by themselves.

Does not handle: what other detectors tell of (_settings.OWNERS), what switches are set to, and hosts without RDMA.
Interfaces are compared by name: one that no other host has is a gap.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from netprobe.contracts import Detector
from netprobe.detectors._fleet import (
    HostPort,
    alike,
    alone_gap,
    config_again,
    fleet_gaps,
    port_of,
    roce_ports,
    undecided,
)
from netprobe.detectors._roce_rules import Wrong, wrongs_of
from netprobe.detectors._settings import CONFIG_DRIFT, LIBRARIES, QOS, command_for, command_on_host, owner_of
from netprobe.detectors._untold import untold_gaps
from netprobe.detectors._words import MOST_FACTS, listed
from netprobe.locate.fleet import NOT_SET, Difference, FactName, differences
from netprobe.model.evidence import Evidence
from netprobe.model.finding import Confidence, Fact, Finding, Gap, Severity
from netprobe.model.inventory import HostInventory
from netprobe.model.limits import Limits
from netprobe.units import format_size

ID = CONFIG_DRIFT
HOST_PARTS = ("system", "environment")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Place:
    """A host, or a port of it, with an odd value."""

    host: str
    port: HostPort | None

    @property
    def subject(self) -> str:
        """What reports call it."""
        return self.host if self.port is None else self.port.subject


def detect(evidence: Evidence, limits: Limits) -> Iterator[Finding | Gap]:
    """Tell of settings that differ, of those that are wrong, and of those that could not be read."""
    hosts = [each for each in evidence.inventories.values() if each.rdma_ports]
    found = [each for each in differences(hosts) if _is_ours(each.name, hosts)]
    yield from _drifts(found, hosts)
    yield from _wrong(roce_ports(evidence), found)
    told = {host for each in found if each.name.topic == "locked memory" for _, names in each.others for host in names}
    yield from _little_memory([each for each in hosts if each.host not in told], limits)
    yield from untold_gaps(found, hosts, roce_ports(evidence))
    yield from alone_gap(ID, evidence, lambda each: each.port.name)
    yield from alone_gap(ID, evidence, lambda each: each.port.netdev)
    yield from fleet_gaps(ID, evidence)


def _is_ours(name: FactName, hosts: Sequence[HostInventory]) -> bool:
    if owner_of(name.topic) != ID:
        return False
    if name.part in HOST_PARTS:
        return name.part == "system" or name.topic.startswith(LIBRARIES)
    return any(port_of(host, name.part) is not None for host in hosts)


def _drifts(found: Sequence[Difference], hosts: Sequence[HostInventory]) -> Iterator[Finding]:
    """Yield a finding for each topic and odd value, whatever the number of hosts and ports that have it."""
    by_name = {each.host: each for each in hosts}
    odd = [
        (each, value, names)
        for each in found
        if each.has_usual
        for value, names in each.others
        if _is_told(each, value)
    ]
    for group in alike(odd, lambda each: (each[0].name.topic, each[0].usual, each[1])).values():
        difference, value, _ = group[0]
        places = [
            _Place(host=host, port=port_of(by_name[host], each.name.part)) for each, _, names in group for host in names
        ]
        yield _drift(difference, value, places)
    for each in found:
        values = [(value, names) for value, names in each.others if _is_told(each, value)]
        if not each.has_usual and len(values) > 1:
            yield from _undecided(each.name, values)


def _is_told(difference: Difference, value: str | None) -> bool:
    """Return whether a value may be compared: what is not told is no other value, but a variable that is not set is."""
    if difference.name.part == "environment":
        return True
    return value is not None and (difference.usual is not None or not difference.has_usual)


def _severity(topic: str) -> Severity:
    return Severity.DEGRADES if topic in QOS else Severity.WARNS


def _shown(value: str | None) -> str:
    return NOT_SET if value is None else value


def _drift(difference: Difference, value: str | None, places: Sequence[_Place]) -> Finding:
    topic, usual = difference.name.topic, difference.usual
    severity, hosts = _severity(topic), tuple(dict.fromkeys(each.host for each in places))
    port = places[0].port
    command = command_on_host(topic, usual) if port is None else command_for(topic, usual or "", port)
    return Finding(
        detector=ID,
        severity=severity,
        confidence=Confidence.HIGH,
        subjects=tuple(each.subject for each in places),
        hosts=hosts if severity is Severity.DEGRADES else (),
        summary=f"{topic}: {_shown(value)}, where {difference.agreeing} others have {_shown(usual)}",
        facts=tuple(
            Fact(metric=f"{topic} of {each.subject}", observed=_shown(value), expected=_shown(usual),
                 basis="most hosts")
            for each in places
        )[:MOST_FACTS],
        next_action=f"{command}{_and_the_same(places)}",
        retest=config_again(hosts),
    )  # fmt: skip


def _and_the_same(places: Sequence[_Place]) -> str:
    interfaces = list(dict.fromkeys(each.port.interface for each in places if each.port is not None))
    return f"; the same for {listed(interfaces[1:])}" if len(interfaces) > 1 else ""


def _undecided(name: FactName, values: Sequence[tuple[str | None, tuple[str, ...]]]) -> Iterator[Finding]:
    part = "" if name.part in HOST_PARTS else f"{name.part} "
    told = [(host, host, _shown(value)) for value, names in values for host in names]
    decide = f"decide which {name.topic} is right, and set it on all"
    yield from undecided(ID, f"{part}{name.topic}", told, _severity(name.topic), decide)


def _wrong(ports: Sequence[HostPort], found: Sequence[Difference]) -> Iterator[Finding]:
    """Yield what is wrong whatever others have, but for what a difference has told of the port."""
    differing = _differing(found)
    odd = _differing(each for each in found if each.has_usual)
    has_ecn = any(_has_ecn(port) for port in ports)
    wrongs = [
        (port, wrong)
        for port in ports
        for wrong in wrongs_of(port, has_ecn=has_ecn)
        if not _of_port(port, differing) & {wrong.topic} and not _of_port(port, odd) & wrong.rests_on
    ]
    for pairs in alike(wrongs, lambda each: (each[1].severity, each[1].summary)).values():
        yield _as_finding(pairs[0][1], [port for port, _ in pairs], len({port.host for port in ports}))


def _differing(found: Iterable[Difference]) -> dict[tuple[str, str], set[str]]:
    """Return the topics that are told of each host's parts, because others have another value."""
    topics: dict[tuple[str, str], set[str]] = {}
    for each in found:
        for host in (host for value, names in each.others if _is_told(each, value) for host in names):
            topics.setdefault((host, each.name.part), set()).add(each.name.topic)
    return topics


def _of_port(port: HostPort, topics: Mapping[tuple[str, str], set[str]]) -> set[str]:
    parts = (port.port.name, port.port.netdev)
    return {topic for part in parts if part is not None for topic in topics.get((port.host, part), ())}


def _has_ecn(port: HostPort) -> bool:
    ecn = None if port.net is None else port.net.ecn
    return ecn is not None and any((*ecn.notification_point, *ecn.reaction_point))


def _as_finding(wrong: Wrong, ports: Sequence[HostPort], total: int) -> Finding:
    places = [_Place(host=port.host, port=port) for port in ports]
    hosts = tuple(dict.fromkeys(port.host for port in ports))
    return Finding(
        detector=ID,
        severity=wrong.severity,
        confidence=Confidence.HIGH,
        subjects=tuple(port.subject for port in ports),
        hosts=hosts if wrong.severity is Severity.DEGRADES and len(hosts) < total else (),
        summary=wrong.summary,
        facts=tuple(
            Fact(metric=f"{wrong.topic} of {port.subject}", observed=wrong.observed, expected=wrong.expected,
                 basis=wrong.basis)
            for port in ports
        )[:MOST_FACTS],
        next_action=f"{wrong.command}{_and_the_same(places)}",
        retest=config_again(hosts),
    )  # fmt: skip


def _little_memory(hosts: Sequence[HostInventory], limits: Limits) -> Iterator[Finding]:
    locked: Mapping[str, int] = {
        each.host: each.system.memlock_bytes
        for each in hosts
        if each.system is not None and each.system.memlock_bytes is not None
    }
    little = [host for host, size in locked.items() if size < limits.memlock_floor_bytes]
    if little:
        yield Finding(
            detector=ID,
            severity=Severity.WARNS,
            confidence=Confidence.MEDIUM,
            subjects=tuple(little),
            hosts=(),
            summary="processes may lock too little memory for RDMA: registrations of buffers fail",
            facts=tuple(
                Fact(metric=f"locked memory of {host}", observed=format_size(locked[host]),
                     expected=f"{format_size(int(limits.memlock_floor_bytes))} or more",
                     basis="limit memlock_floor_bytes; /proc/self/limits")
                for host in little
            )[:MOST_FACTS],
            next_action="memlock unlimited in /etc/security/limits.conf and LimitMEMLOCK=infinity of the service that "
            "starts jobs (sshd, slurmd, kubelet); ulimit -l in a job shows it",
            retest=config_again(little),
        )  # fmt: skip


DETECTOR = Detector(
    id=ID,
    title="settings that differ between hosts, or that are wrong for RoCE",
    cause="""Settings are lost at a reboot (those of mlnx_qos are), or changed on some hosts alone. A host with another
    PFC mask, trust or DSCP map puts RDMA into a class that drops, or stops traffic that is not RDMA; nothing shows
    until a queue fills.""",
    evidence="""Inventories alone, of hosts with RDMA ports: whatever is not as on most hosts, three or more, unless
    another detector tells of it. PFC mask, trust and DSCP map degrade, all else is a warning. A value that nobody
    shares with most hosts is told of all that differ. And on each RoCE port by itself: PFC and global pause off; trust
    of VLAN tags without a VLAN, or a traffic class, so that RDMA rides outside the lossless priorities; congestion
    control off in them, as long as it is on somewhere; CNPs inside them, where a pause stops them; less locked memory
    than memlock_floor_bytes. What a rule would have to know, and what one host alone does not tell, is a gap.""",
    remedy="""Each finding has the command, with the name of the interface. Settings of mlnx_qos, cma_roce_tos, sysfs
    and ethtool are lost at reboot: put them into a service or udev rule. `netprobe config` reads them again.""",
    limits=("memlock_floor_bytes",),
    detect=detect,
    audits=True,
)
