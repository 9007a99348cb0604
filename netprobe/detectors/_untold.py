"""What nobody tells of the settings of a port, so that a rule or a comparison cannot be made: gaps, never silence."""

from collections.abc import Iterator, Sequence
from typing import Final

from netprobe.detectors._fleet import HostPort, alike, port_of, unread_gap
from netprobe.detectors._roce_rules import lacks_of, tells_pfc
from netprobe.detectors._settings import CONFIG_DRIFT, DECIDING, QOS, command_for
from netprobe.detectors._words import listed
from netprobe.locate.fleet import Difference
from netprobe.model.finding import Gap
from netprobe.model.inventory import HostInventory

ID: Final = CONFIG_DRIFT
ECN: Final = "ECN "
"""How the topics of congestion control begin (locate.fleet)."""
ENVIRONMENT: Final = "environment"
"""What is not set there is told: it is not set."""


def untold_gaps(
    found: Sequence[Difference], hosts: Sequence[HostInventory], ports: Sequence[HostPort]
) -> Iterator[Gap]:
    """Yield what most hosts tell and some do not, whose classes nobody tells, and which rules lack what they look at.

    ``ports``: those of RoCE.
    """
    silent = [(each, names) for each in found for names in _silent(each, hosts)]
    yield from _decisive([(each, names) for each, names in silent if each.name.topic in DECIDING], hosts)
    others = [(each.name, names) for each, names in silent if each.name.topic not in DECIDING]
    for (part, names), group in alike(others, lambda each: (each[0].part, each[1])).items():
        yield Gap(
            topic=ID,
            reason=f"{listed([name.topic for name, _ in group])} of {part} could not be read on {listed(names)}, where "
            "most others tell it",
            remedy="netprobe inventory on them, as root; the driver and its version as on the others",
        )
    named = {(host, each.name.part) for each, names in silent if each.name.topic in QOS for host in names}
    settable = [each for each in ports if not each.port.is_software]
    unread = [each for each in settable if not tells_pfc(each)]
    yield from unread_gap(
        ID,
        "PFC, trust and the DSCP map (DCB)",
        [each for each in unread if (each.host, each.port.netdev) not in named],
        "mlnx_qos -i DEVICE, or dcb pfc show dev DEVICE",
    )
    classed = {(host, each.name.part) for each, names in silent if each.name.topic == "traffic class" for host in names}
    unclassed = [each for each in settable if tells_pfc(each) and _tells_no_class(each)]
    yield from unread_gap(
        ID,
        "the traffic class of RDMA",
        [each for each in unclassed if (each.host, each.port.name) not in classed],
        "cat /sys/class/infiniband/DEVICE/tc/1/traffic_class; not all drivers have it",
    )
    marked = {(host, each.name.part) for each, names in silent if each.name.topic.startswith(ECN) for host in names}
    unmarked = [each for each in settable if each.net is not None and tells_pfc(each) and each.net.ecn is None]
    yield from unread_gap(
        ID,
        "congestion control (ECN and the priority of its notifications)",
        [each for each in unmarked if (each.host, each.port.netdev) not in marked],
        "/sys/class/net/DEVICE/ecn with NVIDIA's driver, else the vendor's tool; not all drivers have it",
    )
    told = {
        (host, each.name.part)
        for each in found
        if each.usual is not None and each.name.topic in QOS
        for _, names in each.others
        for host in names
    }
    yield from _lacking_gaps([each for each in ports if (each.host, each.port.netdev) not in told])


def _tells_no_class(port: HostPort) -> bool:
    return port.port.traffic_class is None and not port.port.forces_no_class and port.port.default_tos is None


def _decisive(silent: Sequence[tuple[Difference, tuple[str, ...]]], hosts: Sequence[HostInventory]) -> Iterator[Gap]:
    """Yield what decides whether RDMA is lossless: a setting that was lost may read like one that is unknown."""
    by_name = {each.host: each for each in hosts}
    for each, names in silent:
        topic, usual = each.name.topic, each.usual or ""
        port = port_of(by_name[names[0]], each.name.part)
        yield Gap(
            topic=ID,
            reason=f"{topic} of {each.name.part} on {listed(names)} is not set, or not told, where {each.agreeing} "
            f"others have {usual}",
            remedy=f"compare {topic} with the others" if port is None else command_for(topic, usual, port),
            undermines=True,
        )


def _silent(difference: Difference, hosts: Sequence[HostInventory]) -> Iterator[tuple[str, ...]]:
    """Yield the hosts that do not tell what most others tell, though they have the part."""
    if difference.usual is None or difference.name.part == ENVIRONMENT:
        return
    having = {each.host for each in hosts if _has_part(each, difference.name.part)}
    for value, names in difference.others:
        silent = tuple(host for host in names if host in having)
        if value is None and silent:
            yield silent


def _has_part(inventory: HostInventory, part: str) -> bool:
    if part == "system":
        return inventory.system is not None
    return inventory.net_device(part) is not None or port_of(inventory, part) is not None


def _lacking_gaps(ports: Sequence[HostPort]) -> Iterator[Gap]:
    """Yield which ports may well be wrong, and nobody can tell: nothing is fine until somebody does."""
    lacking = [(port, lack) for port in ports for lack in lacks_of(port)]
    for lack, pairs in alike(lacking, lambda each: each[1]).items():
        yield Gap(
            topic=ID,
            reason=f"{listed([port.subject for port, _ in pairs])}: {lack.reason}",
            remedy=lack.remedy,
            undermines=True,
        )
