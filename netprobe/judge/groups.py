"""A switch is one fault and not thirty-two: findings of most ports of one leaf become one finding of the leaf."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from netprobe.judge.naming import LEAF
from netprobe.model.evidence import Evidence
from netprobe.model.finding import Confidence, Fact, Finding, Severity

GROUPED: Final = ("link-flap", "physical-errors", "packet-loss", "pfc-missing")
"""Detectors that name a port for what may be its switch's."""
MOST_RATIO: Final = 0.7  # of the leaf's ports; a switch that fails rarely spares more
FEWEST_PORTS: Final = 3  # two bad cables at one switch are no surprise
OTHERS_RATIO: Final = 0.5  # of the leaf's own share; if others have it as often, it is not this leaf
MOST_FACTS: Final = 8
SEVERITIES: Final = tuple(Severity)
CONFIDENCES: Final = tuple(Confidence)


def leaves(evidence: Evidence) -> dict[str, str]:
    """Return the switch behind each port, by its subject: its neighbour, or that of its host; absent if none tells."""
    ports, found = evidence.ports, {}
    of_ranks = host_leaves(evidence)
    for port, (host, netdev) in enumerate(zip(ports.host, ports.netdev, strict=True)):
        inventory = evidence.inventories.get(host)
        device = None if inventory is None else inventory.net_device(netdev)
        if device is not None and device.neighbour is not None:
            found[ports.subject(port)] = device.neighbour.system
        elif host in of_ranks:
            found[ports.subject(port)] = of_ranks[host]
    return found


def host_leaves(evidence: Evidence) -> dict[str, str]:
    """Return the switch behind each host, as its ranks tell; hosts that are on none or on several are absent."""
    told: dict[str, set[str | None]] = {}
    for rank in evidence.ranks:
        told.setdefault(rank.host, set()).add(rank.leaf)
    return {host: leaf for host, (leaf, *others) in told.items() if leaf is not None and not others}


def grouped(findings: Sequence[Finding], leaf_of: Mapping[str, str]) -> tuple[Finding, ...]:
    """Return the findings, those of most ports of a leaf as one; ``leaf_of`` are all ports that were looked at."""
    sizes = Counter(leaf_of.values())
    left = list(findings)
    for detector in GROUPED:
        own = [each for each in left if each.detector == detector and _leaf(each, leaf_of) is not None]
        by_leaf: dict[str, list[Finding]] = {}
        for each in own:
            by_leaf.setdefault(str(_leaf(each, leaf_of)), []).append(each)
        for leaf, members in by_leaf.items():
            if _is_of_leaf(leaf, by_leaf, sizes):
                gone = set(map(id, members))
                left = [each for each in left if id(each) not in gone] + [_finding(leaf, members, sizes[leaf])]
    return tuple(left)


def _leaf(finding: Finding, leaf_of: Mapping[str, str]) -> str | None:
    return leaf_of.get(finding.subjects[0]) if len(finding.subjects) == 1 else None


def _is_of_leaf(leaf: str, by_leaf: Mapping[str, Sequence[Finding]], sizes: Mapping[str, int]) -> bool:
    """Return whether most ports of a leaf have it, and those of the other leaves have not."""
    here = len(by_leaf[leaf]) / sizes[leaf]
    there = sum(len(each) for name, each in by_leaf.items() if name != leaf)
    others = sum(sizes.values()) - sizes[leaf]
    is_alone = others > 0 and there / others <= OTHERS_RATIO * here
    return len(by_leaf[leaf]) >= FEWEST_PORTS and here >= MOST_RATIO and is_alone


def _finding(leaf: str, members: Sequence[Finding], ports: int) -> Finding:
    first = members[0]
    return Finding(
        detector=first.detector,
        severity=min((each.severity for each in members), key=SEVERITIES.index),
        confidence=min((each.confidence for each in members), key=CONFIDENCES.index),
        subjects=(f"{LEAF}{leaf}",),
        hosts=_each_once(host for each in members for host in each.hosts),
        summary=f"{len(members)} of its {ports} ports show the same, one fault and not {len(members)}: "
        f"{first.subjects[0]} {first.summary}",
        facts=tuple(_facts(members))[:MOST_FACTS],
        excluded=(*first.excluded, "the cables and NICs of single hosts (ports of other switches do not show it)"),
        next_action=f"look at {leaf} itself: line card, power, temperature, its configuration and last change",
        retest=first.retest,
    )


def _facts(members: Sequence[Finding]) -> Iterable[Fact]:
    return (each.facts[0] for each in members if each.facts)


def _each_once(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(names))
