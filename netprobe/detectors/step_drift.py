"""Bursts that change while they go on: steps that get slower, a host that comes later and later."""

from collections.abc import Iterator
from typing import Final

import numpy as np

from netprobe.contracts import Detector
from netprobe.detectors._steps import none_measured, title, was_asked
from netprobe.detectors._words import listed, percent
from netprobe.locate.placement import Placement, placement_of
from netprobe.model.evidence import Evidence, FloatArray, StepTable
from netprobe.model.finding import Confidence, Fact, Finding, Gap, Severity
from netprobe.model.limits import Limits
from netprobe.units import NS_PER_S, format_duration

ID: Final = "step-drift"
FEWEST_PARTS: Final = 6
FEWEST_STEPS: Final = 10  # of a part: its median must not be chance
SHORTEST_NS: Final = 10 * NS_PER_S  # in less nothing gets warm
STEADY_TAU: Final = 0.6  # of Kendall, over 12 parts: chance reaches it once in a hundred runs, and over 6 once in ten


def detect(evidence: Evidence, limits: Limits) -> Iterator[Finding | Gap]:
    """Name hosts that came later from part to part; where none did, say that steps got slower."""
    if not was_asked(evidence):
        return
    if not evidence.steps:
        yield none_measured(ID)
        return
    placement = placement_of(evidence.ranks)
    crowded = sorted(set(evidence.crowded_hosts))
    for table in evidence.steps:
        if crowded:
            yield Gap(
                topic=ID,
                reason=f"on {listed(crowded)} ranks wait for a CPU, so what changes there tells of the scheduler",
                remedy="fewer ranks per host, or more CPUs for them",
            )
        elif (why := _too_short(table)) is not None:
            yield Gap(topic=ID, reason=why, remedy="netprobe run bursts --soak 20m")
        else:
            yield from _answers(table, placement, limits)


def _too_short(table: StepTable) -> str | None:
    parts = int(np.count_nonzero(table.part_steps >= FEWEST_STEPS))
    elapsed_ns = sum(each.elapsed_ns for each in table.bins)
    if parts >= FEWEST_PARTS and elapsed_ns >= SHORTEST_NS:
        return None
    return f"{title(table)} lasted {format_duration(elapsed_ns)}, too short to see anything change"


def _answers(table: StepTable, placement: Placement, limits: Limits) -> Iterator[Finding]:
    step_growth_ns = growth_of(table.part_p50_ns[table.part_steps >= FEWEST_STEPS])
    own = table.arrival_p50_ns - np.nanmedian(table.arrival_p50_ns, axis=1, keepdims=True)
    late_ns = {int(rank): growth_of(own[:, at]) for at, rank in enumerate(table.rank)}
    limit_ns = max(limits.step_drift_ratio * table.p50_ns, limits.step_drift_floor_ns)
    later = {rank: ns for rank, ns in late_ns.items() if ns > limit_ns}
    for host in dict.fromkeys(placement.host(rank) for rank in later):
        yield _later(table, host, {rank: ns for rank, ns in later.items() if placement.host(rank) == host}, placement)
    if not later and step_growth_ns > limit_ns:
        yield _slower(table, step_growth_ns)


def growth_of(parts_ns: FloatArray) -> float:
    """Return how much later parts exceed earlier ones: their last quarter over the first; 0 where it is not steady."""
    known = parts_ns[np.isfinite(parts_ns)]
    if len(known) < FEWEST_PARTS or kendall_tau(known) < STEADY_TAU:
        return 0.0
    quarter = max(len(known) // 4, 1)
    return float(np.median(known[-quarter:]) - np.median(known[:quarter]))


def kendall_tau(values: FloatArray) -> float:
    """Return how steadily values rise in their order: 1 always, 0 by chance, -1 never."""
    first, second = np.triu_indices(len(values), k=1)
    return float(np.mean(np.sign(values[second] - values[first]))) if len(first) else 0.0


def _later(table: StepTable, host: str, later: dict[int, float], placement: Placement) -> Finding:
    rank = max(later, key=lambda each: later[each])
    growth = format_duration(later[rank])
    return Finding(
        detector=ID,
        severity=Severity.DEGRADES,
        confidence=Confidence.MEDIUM,
        subjects=(host,),
        hosts=(host,),
        summary=f"{placement.name(rank)} comes {growth} later to steps at the end than at the beginning, "
        f"{percent(later[rank] / table.p50_ns)} of a step ({title(table)})",
        facts=(
            Fact(
                metric=f"median lateness of {placement.name(rank)}, last quarter against the first",
                observed=f"+{growth}",
                expected="0 ns",
                basis=f"{len(table.arrival_p50_ns)} parts of {title(table)}, steadily",
            ),
        ),
        excluded=("noise (it grows from part to part)", "work (every step computes the same)"),
        next_action=f"compare clocks, temperature and throttling of the CPUs of {host} now and after a rest: "
        "turbostat, sensors, the BMC's log",
    )


def _slower(table: StepTable, growth_ns: float) -> Finding:
    return Finding(
        detector=ID,
        severity=Severity.WARNS,
        confidence=Confidence.MEDIUM,
        subjects=("fabric",),
        hosts=(),
        summary=f"steps take {format_duration(growth_ns)} longer at the end than at the beginning, "
        f"{percent(growth_ns / table.p50_ns)} of a step, and no host comes later than others ({title(table)})",
        facts=(
            Fact(
                metric="median step, last quarter against the first",
                observed=f"+{format_duration(growth_ns)}",
                expected="0 ns",
                basis=f"{len(table.part_p50_ns)} parts, steadily",
            ),
        ),
        excluded=("single hosts (none comes later)",),
        next_action="look at what all share and what builds up: heat of the room, other jobs, queues of switches",
    )


DETECTOR = Detector(
    id=ID,
    title="steps that get slower over a soak, and the host that gets later",
    cause="""What is cool and idle at first gets warm: a CPU with a blocked fan or a power cap lowers its clock, an
    optic or a NIC throttles. In a job the host computes longer from minute to minute, and all others wait for it. Steps
    that get slower with nobody late are a matter of what all share: other jobs, a fabric that fills up.""",
    evidence="""Bursts compute the same amount in every step, and tell a dozen times how late each rank came (median).
    A host is named when the lateness of a rank against the median rank grows steadily from part to part, and from the
    first quarter to the last by step_drift_ratio of the median step and step_drift_floor_ns. Where no rank does, but
    the median step grows so, the fabric is. Hosts with more ranks than CPUs are not judged.""",
    remedy="""On the host that is named: `turbostat --show Bzy_MHz,PkgTmp,PkgWatt` while the bursts run; fans, filters
    and power caps in the BMC. Let it rest, and run `netprobe run bursts --soak 20m` again: heat comes back after as
    many minutes. Where steps got slower with nobody late, repeat at another hour.""",
    limits=("step_drift_ratio", "step_drift_floor_ns"),
    detect=detect,
)
