"""A NIC whose cable ends in another leaf switch than the topology says; two of them that are each other's are a swap.

Does not handle: cables within the right leaf, whose ports nobody can tell apart by latency.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np

from netprobe.contracts import Detector
from netprobe.detectors._wiring import contradicts, switches_told
from netprobe.detectors._words import listed, on_hosts, table_title
from netprobe.locate.latency_classes import Misplaced, boundary_ns, latency_rails, quickest, wiring
from netprobe.locate.placement import Placement, placement_of
from netprobe.model.evidence import Evidence, PairTable
from netprobe.model.finding import Confidence, Fact, Finding, Gap, Severity
from netprobe.model.limits import Limits
from netprobe.units import format_duration

ID: Final = "rail-miswired"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Case:
    """What one rail's latencies say of one NIC, or of two that are swapped."""

    table: PairTable
    nics: tuple[Misplaced, ...]
    near_ns: float
    far_ns: float


def detect(evidence: Evidence, _limits: Limits) -> Iterator[Finding | Gap]:
    """Name NICs that are near another leaf than their own; not one is tolerated."""
    placement = placement_of(evidence.ranks)
    if len(placement.leaves) < 2:
        return  # nobody says how it should be
    neighbours = switches_told(evidence)
    told: set[int] = set()
    for answer in _by_latency(evidence, placement):
        if isinstance(answer, Gap):
            yield answer
            continue
        told |= {each.nic for each in answer.nics}
        yield _finding(answer, placement, neighbours)
    for rank, switch in sorted(neighbours.items()):
        if rank not in told and placement.leaf_of[rank] >= 0 and contradicts(rank, switch, placement):
            yield _by_neighbour(rank, switch, placement)


def _by_latency(evidence: Evidence, placement: Placement) -> Iterator[_Case | Gap]:
    rails = latency_rails(evidence.pairs, placement)
    if not rails:
        yield Gap(topic=ID, reason="no latency between hosts was measured, so nobody knows who is near whom",
                  remedy="netprobe check, or netprobe run latency")  # fmt: skip
    for table, rows in rails:
        latency_ns = quickest(table)[rows]
        limit_ns = boundary_ns(latency_ns)
        if limit_ns is None:
            yield Gap(
                topic=ID,
                reason=f"latencies ({table_title(table)}) show no class of near pairs and none of far ones, so they do "
                "not tell whether NICs are on the leaves that they should be on",
                remedy="netprobe run latency --transport verbs on a quiet fabric; LLDP on hosts tells as well",
            )
            continue
        near = latency_ns < limit_ns
        found = wiring(table.src[rows], table.dst[rows], near, placement.leaf_of)
        classes = float(np.median(latency_ns[near])), float(np.median(latency_ns[~near]))
        for nics in _swapped(found.misplaced):
            yield _Case(table=table, nics=nics, near_ns=classes[0], far_ns=classes[1])
        own = found.unjudged[np.isin(found.unjudged, np.concatenate([table.src[rows], table.dst[rows]]))]
        if len(own):
            yield Gap(
                topic=ID,
                reason=f"{len(own)} NICs met fewer than two others of their own leaf, so their cables were not judged: "
                f"{listed(placement.name(rank) for rank in own.tolist())}",
                remedy="netprobe run latency --all-pairs",
            )


def _swapped(misplaced: tuple[Misplaced, ...]) -> Iterator[tuple[Misplaced, ...]]:
    """Yield NICs that have exchanged leaves together, and others alone; where several could, nobody says who."""
    for each in misplaced:
        partners = [other for other in misplaced if other.declared == each.found and other.found == each.declared]
        back = [other for other in misplaced if other.declared == each.declared and other.found == each.found]
        if len(partners) != 1 or len(back) != 1:
            yield (each,)
        elif each.nic < partners[0].nic:
            yield each, partners[0]


def _finding(case: _Case, placement: Placement, neighbours: dict[int, str]) -> Finding:
    names = tuple(placement.name(each.nic) for each in case.nics)
    told = [neighbours.get(each.nic) for each in case.nics]
    confirmed = all(
        switch is not None and contradicts(each.nic, switch, placement)
        for each, switch in zip(case.nics, told, strict=True)
    )
    denied = any(switch == placement.leaves[each.declared] for each, switch in zip(case.nics, told, strict=True))
    return Finding(
        detector=ID,
        severity=Severity.DEGRADES,
        confidence=_confidence(case, confirmed=confirmed, denied=denied),
        subjects=names,
        hosts=(),
        summary=_summary(case, placement),
        facts=tuple(_facts(case, placement, neighbours)),
        excluded=_excluded(case, confirmed=confirmed),
        next_action="read which switch port each cable is in (LLDP on the switch), and put it where the topology has "
        "it, or correct the topology",
        retest=on_hosts("netprobe run latency --all-pairs", _hosts(case, placement)),
    )


def _excluded(case: _Case, *, confirmed: bool) -> tuple[str, ...]:
    is_near = all(each.found is not None for each in case.nics)
    return (
        *(("a slow host (it is near to NICs of another leaf)",) if is_near else ()),
        *(
            ("a topology file that is older than the cables' labels (LLDP names the other leaf too)",)
            if confirmed
            else ()
        ),
    )


def _confidence(case: _Case, *, confirmed: bool, denied: bool) -> Confidence:
    if denied or any(each.found is None for each in case.nics):
        return Confidence.LOW
    return Confidence.HIGH if confirmed or len(case.nics) == 2 else Confidence.MEDIUM


def _hosts(case: _Case, placement: Placement) -> tuple[str, ...]:
    own = [placement.host(each.nic) for each in case.nics]
    leaves = {leaf for each in case.nics for leaf in (each.declared, each.found) if leaf is not None}
    for leaf in sorted(leaves):
        others = np.flatnonzero(placement.leaf_of == leaf).tolist()
        own += [placement.host(rank) for rank in others if placement.host(rank) not in own][:2]
    return tuple(dict.fromkeys(own))


def _summary(case: _Case, placement: Placement) -> str:
    first = case.nics[0]
    declared = placement.leaves[first.declared]
    if len(case.nics) == 2:
        other = placement.leaves[case.nics[1].declared]
        return f"swapped: they should be on {declared} and {other}, and each is near the NICs of the other's leaf"
    where = "near no leaf" if first.found is None else f"near {first.near} of {placement.leaves[first.found]}"
    return f"should be on {declared}, and is far from {first.far} of {first.met} NICs there and {where}"


def _facts(case: _Case, placement: Placement, neighbours: dict[int, str]) -> Iterator[Fact]:
    for each in case.nics:
        name, declared = placement.name(each.nic), placement.leaves[each.declared]
        yield Fact(
            metric=f"{name}, far from NICs of {declared} ({table_title(case.table)})",
            observed=f"{each.far} of {each.met}",
            expected="0",
            basis=f"near pairs take {format_duration(case.near_ns)}, far ones {format_duration(case.far_ns)}",
        )
        if each.nic in neighbours:
            yield Fact(metric=f"{name}, switch at its cable", observed=neighbours[each.nic], expected=declared,
                       basis="LLDP; the topology")  # fmt: skip


def _by_neighbour(rank: int, switch: str, placement: Placement) -> Finding:
    declared = placement.leaves[int(placement.leaf_of[rank])]
    return Finding(
        detector=ID,
        severity=Severity.DEGRADES,
        confidence=Confidence.MEDIUM,
        subjects=(placement.name(rank),),
        hosts=(),
        summary=f"should be on {declared}, and LLDP says that its cable is in {switch}; latencies do not tell",
        facts=(Fact(metric="switch at its cable", observed=switch, expected=declared, basis="LLDP; the topology"),),
        next_action="put the cable where the topology has it, or correct the topology",
    )


DETECTOR = Detector(
    id=ID,
    title="a NIC whose cable ends in another leaf switch than it should",
    cause="""Cables that were swapped when they were plugged in, or after a repair; a topology file that is older than
    the cabling. One pair at a time is as fast as any; with all rails loaded, traffic that should stay within a leaf
    crosses its uplinks.""",
    evidence="""The quickest round trips of the smallest message fall into a near and a far class, with a gap of 5 % at
    least between them. A NIC is named when at least 70 % of the NICs of its own leaf that it met, two or more, are far;
    two that are near each other's leaf are swapped. Not one is tolerated. LLDP confirms it where hosts hear their
    switches, and where latencies do not tell, names it alone. Leaves come from --topology or Slurm. Without clear
    classes it is a gap.""",
    remedy="""`lldpctl` on the host, or the neighbours table of both leaves: which port is the cable in? Swap it back,
    and run the retest; or correct the file that --topology reads.""",
    limits=(),
    detect=detect,
)
