"""Ports that are down, or that came up slower than the same port of other hosts; bonds that lost a member.

Does not handle: lanes, which drivers tell by the rate alone; and ports that are down or slow everywhere.
"""

import shlex
from collections.abc import Iterator, Sequence

from netprobe.contracts import Detector
from netprobe.detectors._fleet import (
    HostPort,
    Usual,
    active_ports,
    alike,
    alone_gap,
    config_again,
    fleet_gaps,
    host_ports,
    undecided,
    usual,
)
from netprobe.detectors._words import listed
from netprobe.model.evidence import Evidence
from netprobe.model.finding import Confidence, Fact, Finding, Gap, Severity
from netprobe.model.inventory import HostInventory, NetDevice
from netprobe.model.limits import Limits

ID = "link-downgrade"
UP, DOWN = "up", "down"


def detect(evidence: Evidence, _limits: Limits) -> Iterator[Finding | Gap]:
    """Name ports that do not carry what the same port of most hosts does, and bonds with a member down."""
    for ports in alike(host_ports(evidence), lambda each: each.port.name).values():
        yield from _inactive(ports)
    for ports in alike(active_ports(evidence), lambda each: (each.port.name, each.port.model)).values():
        yield from _slow(ports)
    for inventory in evidence.inventories.values():
        yield from _bonds(inventory)
    yield from alone_gap(ID, evidence, lambda each: each.port.name)
    yield from fleet_gaps(ID, evidence)


def _inactive(ports: Sequence[HostPort]) -> Iterator[Finding]:
    told = [each for each in ports if each.port.state is not None]
    active = usual(each.port.is_active for each in told)
    if active is not None:
        yield from (_down(each, active) for each in told if active.value and not each.port.is_active)
    elif any(each.port.is_active for each in told):
        states = [(each.host, each.subject, _state(each)) for each in told]
        look = "look at cable, optic and switch port of those that are not ACTIVE, unless they are meant to be unused"
        yield from undecided(ID, f"state of {told[0].port.name}", states, Severity.DEGRADES, look)


def _down(port: HostPort, active: Usual[bool]) -> Finding:
    physical = port.port.physical_state
    return Finding(
        detector=ID,
        severity=Severity.BLOCKS,
        confidence=Confidence.HIGH,
        subjects=(port.subject,),
        hosts=(port.host,),
        summary=f"is {port.port.state}, where {active.count} others are ACTIVE",
        facts=(
            Fact(metric=f"state of {port.subject}", observed=_state(port), expected="ACTIVE", basis="most hosts"),
            *(
                (Fact(metric="physical state", observed=physical, expected="LinkUp", basis="most hosts"),)
                if physical is not None
                else ()
            ),
        ),
        next_action="look at the cable, the optic and the switch port; then whether the interface is up "
        f"(ip link show {port.interface})",
        retest=config_again([port.host]),
    )


def _state(port: HostPort) -> str:
    return port.port.state or "not known"


def _slow(ports: Sequence[HostPort]) -> Iterator[Finding]:
    told = [(port, rate_gbps) for port in ports if (rate_gbps := _rate_gbps(port)) is not None]
    rates = usual(rate_gbps for _, rate_gbps in told)
    if rates is not None:
        yield from (_slower(port, rate_gbps, rates) for port, rate_gbps in told if rate_gbps < rates.value)
        return
    shown = [(port.host, port.subject, f"{rate_gbps:g} Gb/s") for port, rate_gbps in told]
    compare = "compare cable, optic, FEC, speed and autonegotiation of both kinds (ethtool DEVICE)"
    yield from undecided(ID, f"rate of {ports[0].port.name}", shown, Severity.DEGRADES, compare)


def _rate_gbps(port: HostPort) -> float | None:
    net = port.net
    return port.port.rate_gbps or (None if net is None else net.speed_gbps)


def _slower(port: HostPort, rate_gbps: float, rates: Usual[float]) -> Finding:
    return Finding(
        detector=ID,
        severity=Severity.DEGRADES,
        confidence=Confidence.HIGH,
        subjects=(port.subject,),
        hosts=(port.host,),
        summary=f"came up at {rate_gbps:g} Gb/s, where {rates.count} others have {rates.value:g} Gb/s",
        facts=(
            Fact(
                metric=f"rate of {port.subject}",
                observed=f"{rate_gbps:g} Gb/s",
                expected=f"{rates.value:g} Gb/s",
                basis=f"most ports of this name and model ({port.port.model or 'not told'})",
            ),
        ),
        next_action="reseat cable and optic, and compare FEC, speed and autonegotiation of both ends "
        f"(ethtool {port.interface}; ethtool --show-fec {port.interface})",
        retest=config_again([port.host]),
    )


def _bonds(inventory: HostInventory) -> Iterator[Finding]:
    members = [each for each in inventory.net_devices if each.master is not None and each.pci is not None]
    for bond, own in alike(members, lambda each: each.master).items():
        down = [each.name for each in own if each.state == DOWN]
        if down and any(each.state == UP for each in own):
            yield _one_leg(inventory.host, bond or "", own, down)


def _one_leg(host: str, bond: str, members: Sequence[NetDevice], down: Sequence[str]) -> Finding:
    return Finding(
        detector=ID,
        severity=Severity.DEGRADES,
        confidence=Confidence.HIGH,
        subjects=(host,),
        hosts=(host,),
        summary=f"{bond} runs without {listed(down)}, {len(down)} of its {len(members)} members",
        facts=tuple(
            Fact(metric=f"state of {each.name}", observed=each.state or "not known", expected=UP, basis=f"in {bond}")
            for each in members
        ),
        next_action=f"look at cable, optic and switch port of {listed(down)}; then "
        f"{shlex.join(['cat', f'/proc/net/bonding/{bond}'])}",
        retest=config_again([host]),
    )


DETECTOR = Detector(
    id=ID,
    title="a port that is down or slow, or a bond that lost a member",
    cause="""A damaged cable or optic lets a port train at fewer lanes or a lower speed, or not at all; a switch port is
    shut or set to another speed or FEC mode. Or one leg of a bond is down: traffic moves on, at half of the rate.""",
    evidence="""Inventories alone: state and rate of each RDMA port against the port of the same name (for the rate:
    and model) on most hosts, three or more. The rate of a port that is not ACTIVE is never looked at, since drivers
    show that of some cable. A bond needs no other host: one member is up and another is not.
    Where hosts differ and no value is that of most, all are told, and nobody is blamed.""",
    remedy="""`ethtool DEVICE` and `ethtool --show-fec DEVICE` on both ends; reseat, clean or replace cable and optic.
    For InfiniBand `ibstat` and `iblinkinfo`. Leave the host out until the port has its rate.""",
    limits=(),
    detect=detect,
    audits=True,
)
