"""Firmware, boards, drivers and kernels that are not those of most hosts.

Does not handle: what a version does; without a measured effect it stays a warning.
"""

from collections.abc import Callable, Iterator
from typing import Final

from netprobe.contracts import Detector
from netprobe.detectors._fleet import (
    HostPort,
    Usual,
    alike,
    alone_gap,
    config_again,
    distinct,
    fleet_gaps,
    host_ports,
    undecided,
    usual,
)
from netprobe.detectors._words import MOST_FACTS
from netprobe.locate.fleet import FEWEST
from netprobe.model.evidence import Evidence
from netprobe.model.finding import Confidence, Fact, Finding, Gap, Severity
from netprobe.model.limits import Limits

ID = "firmware-mismatch"

TOPICS: Final[tuple[tuple[str, Callable[[HostPort], str | None], Callable[[HostPort], object]], ...]] = (
    ("model", lambda each: each.port.model, lambda each: each.port.name),
    ("board", lambda each: each.port.board, lambda each: (each.port.name, each.port.model)),
    # Vendors of servers ship firmware of their own for their boards.
    ("firmware", lambda each: each.port.firmware, lambda each: (each.port.model, each.port.board)),
    ("driver", lambda each: each.port.driver, lambda each: each.port.model),
)
"""What is compared, and among which ports."""

NEXT: Final = {
    "model": "compare the cards (lspci -vv); a job runs at the pace of the slower one",
    "board": "compare the boards (ibv_devinfo, mlxfwmanager --query); firmware is made for one of them",
    "firmware": "bring firmware to that of the others (mlxfwmanager or the vendor's tool); mlxfwreset or a cold start",
    "driver": "load the driver that the others have (ethtool -i DEVICE), and compare how it was installed",
    "kernel": "boot the kernel that the others have",
}


def detect(evidence: Evidence, _limits: Limits) -> Iterator[Finding | Gap]:
    """Warn of versions that are not the usual ones."""
    ports = host_ports(evidence)
    for topic, value_of, peers_of in TOPICS:
        for peers in alike(ports, peers_of).values():
            yield from _odd(topic, {each.subject: each for each in peers}, value_of)
    first = {each.host: each for each in reversed(ports)}  # a kernel is the same for all ports of a host
    yield from _odd("kernel", dict(sorted(first.items())), _kernel)
    yield from alone_gap(ID, evidence, lambda each: each.port.name)
    yield from fleet_gaps(ID, evidence)


def _kernel(port: HostPort) -> str | None:
    system = port.inventory.system
    return None if system is None else system.kernel


def _odd(topic: str, peers: dict[str, HostPort], value_of: Callable[[HostPort], str | None]) -> Iterator[Finding]:
    values = {subject: value for subject, port in peers.items() if (value := value_of(port)) is not None}
    hosts = {peers[subject].host for subject in values}
    most = usual(values.values()) if len(hosts) >= FEWEST else None  # two hosts cannot outvote each other
    if most is None:
        told = [(peers[subject].host, subject, value) for subject, value in values.items()]
        yield from undecided(ID, topic, told, Severity.WARNS, NEXT[topic])
        return
    odd = alike((subject for subject in values if values[subject] != most.value), lambda subject: values[subject])
    for value, subjects in odd.items():
        yield _finding(topic, value, most, {subject: peers[subject] for subject in subjects})


def _finding(topic: str, value: str, most: Usual[str], odd: dict[str, HostPort]) -> Finding:
    hosts = distinct(odd.values())
    return Finding(
        detector=ID,
        severity=Severity.WARNS,
        confidence=Confidence.HIGH,
        subjects=hosts,
        hosts=(),
        summary=f"{topic} {value}, where {most.count} others have {most.value}",
        facts=tuple(
            Fact(metric=f"{topic} of {subject}", observed=value, expected=most.value, basis="most ports of its kind")
            for subject in odd
        )[:MOST_FACTS],
        next_action=NEXT[topic],
        retest=config_again(hosts),
    )


DETECTOR = Detector(
    id=ID,
    title="firmware, driver or kernel that is not that of most hosts",
    cause="""A host was reinstalled, a card replaced, or an update left it out. Versions differ in their defaults, such
    as congestion control or packets out of order, and cost a few percent, or open old bugs again.""",
    evidence="""Of each RDMA port: model and board against the port of the same name, firmware against ports of the same
    model and board, the driver against those of the same model; of each host the kernel. What more than half of three
    or more have is taken for right; without that all that differ are told. Only a warning: a version explains an
    effect, and is none.""",
    remedy="""`mlxfwmanager --query`, `ethtool -i DEVICE`, `uname -r`; bring the odd hosts to the versions of the
    others, and measure again before blaming anybody.""",
    limits=(),
    detect=detect,
    audits=True,
)
