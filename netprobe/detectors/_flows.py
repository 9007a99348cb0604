"""What slow-pair says of pairs that were measured with several UDP source ports."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from netprobe.detectors._paths import SlowPath
from netprobe.detectors._words import MOST_FACTS, listed, percent
from netprobe.locate.flows import FlowAnswer, flow_answers
from netprobe.locate.passes import STEADY_SHARE
from netprobe.locate.placement import Placement
from netprobe.model.evidence import Evidence
from netprobe.model.finding import Confidence, Fact, Finding, Severity
from netprobe.model.limits import Limits
from netprobe.model.plan import Path
from netprobe.units import format_gbps, gbps

Ends = tuple[str, str]
"""Two hosts, in order of their names."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Flows:
    """What the ports of two hosts showed, both directions."""

    answers: tuple[FlowAnswer, ...]

    @property
    def moving(self) -> tuple[FlowAnswer, ...]:
        """Directions in which the slowness goes with the port, the worst first."""
        moving = (each for each in self.answers if each.moves)
        return tuple(sorted(moving, key=lambda each: each.best_ns / each.slow_ns))


def flows_by_hosts(evidence: Evidence, placement: Placement, limits: Limits) -> dict[Ends, Flows]:
    """Return what ports showed, by the two hosts."""
    found: dict[Ends, list[FlowAnswer]] = {}
    for answer in flow_answers(evidence.flows, limits.pair_loss_ratio):
        first, second = sorted((placement.host(answer.src), placement.host(answer.dst)))
        found.setdefault((first, second), []).append(answer)
    return {ends: Flows(answers=tuple(answers)) for ends, answers in found.items()}


def moving_ends(flows: Mapping[Ends, Flows]) -> set[Ends]:
    """Return the hosts between which some ports are slow and others are not."""
    return {ends for ends, each in flows.items() if each.moving}


def with_flows(finding: Finding, flows: Flows | None, path: SlowPath, placement: Placement) -> Finding:
    """Return a finding on a pair, led by a slow path, with what its ports add."""
    if flows is None:
        return finding
    if flows.moving:
        return replace(
            finding,
            facts=(*_facts(flows.moving, placement), *finding.facts)[:MOST_FACTS],
            excluded=(*finding.excluded, "what all packets of the pair pass (fast with other source ports)"),
            next_action=_next(flows.moving),
        )
    same = next((each for each in flows.answers if _is_of(path, each)), None)
    if same is None or -math.log(same.best_ns) > path.expected + STEADY_SHARE * (path.observed - path.expected):
        return finding
    ways = f"slow with each of {len(same.fine_ports)} source ports"
    return replace(
        finding,
        excluded=(*finding.excluded, f"one of several equal links ({ways})"),
        next_action="follow what all packets of this pair pass and no others do: routes, rate limits, access lists",
    )


def _is_of(path: SlowPath, answer: FlowAnswer) -> bool:
    same_bytes = path.table.path is Path.VERBS and path.table.bytes_per_iteration == answer.bytes_per_iteration
    return same_bytes and (path.src, path.dst) == (answer.src, answer.dst)


def finding_of_flows(ends: Ends, flows: Flows, detector: str, placement: Placement) -> Finding:
    """Return the finding on a pair that is slow with some of its ports alone."""
    worst = flows.moving[0]
    pair = f"{ends[0]} <-> {ends[1]}"
    lost = 1 - worst.best_ns / worst.slow_ns
    return Finding(
        detector=detector,
        severity=Severity.DEGRADES,
        confidence=Confidence.HIGH,
        subjects=(pair,),
        hosts=(),
        summary=f"{pair}: {percent(lost)} slower with {_ports(worst.slow_ports)} than with "
        f"{_ports(worst.fine_ports)}, each time: one of several equal links is slow or collides",
        facts=_facts(flows.moving, placement)[:MOST_FACTS],
        excluded=(f"{ends[0]} and {ends[1]} themselves, and what all of their packets pass (other ports are fast)",),
        next_action=_next(flows.moving),
        retest=f"netprobe run bandwidth --hosts {','.join(ends)} --transport verbs --source-port {worst.slow_ports[0]}",
    )


def _next(moving: Iterable[FlowAnswer]) -> str:
    ports = sorted({port for answer in moving for port in answer.slow_ports})
    return (
        f"trace where packets with {_ports(ports)} go (hash of the switches, or sFlow): read errors and load of that "
        "uplink; if it is clean, flows collide there: more queue pairs, or adaptive routing"
    )


def _facts(moving: Iterable[FlowAnswer], placement: Placement) -> tuple[Fact, ...]:
    return tuple(
        Fact(
            metric=f"{placement.name(each.src)} -> {placement.name(each.dst)} with {_ports(each.slow_ports)}",
            observed=_rate(each, each.slow_ns),
            expected=_rate(each, each.best_ns),
            basis=f"the same pair with {_ports(each.fine_ports)}",
        )
        for each in moving
    )


def _rate(answer: FlowAnswer, sample_ns: float) -> str:
    return format_gbps(gbps(answer.bytes_per_iteration, max(sample_ns, 1.0)))


def _ports(ports: Iterable[int]) -> str:
    names = [str(port) for port in ports]
    return f"source {'port' if len(names) == 1 else 'ports'} {listed(names)}"
