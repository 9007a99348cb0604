"""A rank that comes late to collectives, again and again; all others wait for it.

Lateness is judged by what is left of it after both clocks' error bounds, against the middle of the other ranks.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from netprobe.contracts import Detector
from netprobe.detectors._words import MOST_FACTS, listed, percent, size_title
from netprobe.locate.placement import Placement, placement_of
from netprobe.model.evidence import ArrivalTable, Evidence
from netprobe.model.finding import Confidence, Fact, Finding, Gap, Severity
from netprobe.model.limits import Limits
from netprobe.stats.spread import median_of_others
from netprobe.units import format_duration

ID = "straggler"
FEWEST_RANKS = 2


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Lateness:
    """How late each rank of one collective comes, shape (ranks,), indexed like ``table.rank``."""

    table: ArrivalTable
    seen_ns: NDArray[np.float64]
    """Against the median of the other ranks."""
    proven_ns: NDArray[np.float64]
    """What is left if every clock errs as far as it can in the rank's favour."""


def detect(evidence: Evidence, limits: Limits) -> Iterator[Finding | Gap]:
    """Name ranks that are late in most of the collectives."""
    bounds_ns = np.array([np.nan if clock is None else clock.error_bound_ns for clock in evidence.clocks])
    is_compared = len(bounds_ns) == len(evidence.ranks)
    tables = [_with_known_clocks(table, bounds_ns) if is_compared else table for table in evidence.arrivals]
    tables = [table for table in tables if len(table.rank) >= FEWEST_RANKS]
    if not tables:
        yield Gap(
            topic=ID,
            reason="no collective of two ranks or more was measured, so nobody could come late",
            remedy="netprobe check, or netprobe run allreduce",
        )
        return
    if not is_compared:
        yield Gap(
            topic=ID, reason="the ranks' clocks were not compared, so arrivals cannot be", remedy="a complete run"
        )
        return
    placement = placement_of(evidence.ranks)
    crowded = set(evidence.crowded_hosts)
    if crowded:
        yield Gap(
            topic=ID,
            reason=f"on {listed(sorted(crowded))} ranks wait for a CPU, so their lateness tells of the scheduler",
            remedy="fewer ranks per host, or more CPUs for them",
        )
    measured = [_lateness(table, bounds_ns) for table in tables]
    yield from _answers(measured, placement, crowded, limits)


def _answers(
    measured: list[_Lateness], placement: Placement, crowded: set[str], limits: Limits
) -> Iterator[Finding | Gap]:
    unsure: list[str] = []
    for rank in range(len(placement.host_of)):
        if placement.host(rank) in crowded:
            continue
        own = [(each, index) for each in measured for index in np.flatnonzero(each.table.rank == rank).tolist()]
        if _is_late([(each.table, each.proven_ns[index]) for each, index in own], limits):
            yield _finding(rank, own, placement)
        elif _is_late([(each.table, each.seen_ns[index]) for each, index in own], limits):
            unsure.append(placement.name(rank))
    if unsure:
        yield Gap(
            topic=ID,
            reason=f"{listed(unsure)} may come late, but by less than the clocks can be compared",
            remedy="a quieter path for the control messages, or a longer run",
        )


def _with_known_clocks(table: ArrivalTable, bounds_ns: NDArray[np.float64]) -> ArrivalTable:
    """Return the table without ranks that were lost before their clock was compared for the last time."""
    known = np.isfinite(bounds_ns[table.rank])
    return replace(
        table,
        rank=table.rank[known],
        arrival_p50_ns=table.arrival_p50_ns[known],
        arrival_p99_ns=table.arrival_p99_ns[known],
        exit_p50_ns=table.exit_p50_ns[known],
    )


def _lateness(table: ArrivalTable, bounds_ns: NDArray[np.float64]) -> _Lateness:
    own_bound_ns = bounds_ns[table.rank]
    arrival_ns = table.arrival_p50_ns
    return _Lateness(
        table=table,
        seen_ns=arrival_ns - median_of_others(arrival_ns),
        # The median is monotone: nobody's true arrival lies beyond its bound, so neither does the median of them.
        proven_ns=arrival_ns - own_bound_ns - median_of_others(arrival_ns + own_bound_ns),
    )


def _is_late(seen: list[tuple[ArrivalTable, float]], limits: Limits) -> bool:
    """Return whether a rank is late in most collectives, and in one of them by enough of its time to matter.

    Lateness is a trait of the rank, not of the size: a rank that is late here and punctual there is noise.
    """
    late = [(table, late_ns) for table, late_ns in seen if late_ns > limits.straggler_floor_ns]
    matters = any(
        np.isnan(table.operation_p50_ns) or late_ns > limits.straggler_share_ratio * table.operation_p50_ns
        for table, late_ns in late
    )
    return matters and 2 * len(late) > len(seen)


def _finding(rank: int, own: list[tuple[_Lateness, int]], placement: Placement) -> Finding:
    own = sorted(own, key=lambda each: -_share(*each))
    worst, index = own[0]
    late_ns, operation_ns = float(worst.seen_ns[index]), worst.table.operation_p50_ns
    share = "" if np.isnan(operation_ns) else f", {percent(late_ns / operation_ns)} of the operation"
    host, name = placement.host(rank), placement.name(rank)
    return Finding(
        detector=ID,
        severity=Severity.DEGRADES,
        confidence=Confidence.HIGH if len(own) > 1 else Confidence.MEDIUM,
        subjects=(name,),
        hosts=(host,),
        summary=f"enters collectives {format_duration(late_ns)} after the others{share} "
        f"({_title(worst.table)}; {len(own)} collectives measured)",
        facts=tuple(_fact(each, at) for each, at in own[:MOST_FACTS]),
        excluded=("clock error (taken off)", "chance (late in most collectives that were measured)"),
        next_action=f"look on {host} for what delays rank {rank}: its core, NUMA node, other processes, CPU frequency",
        retest=None,
    )


def _share(lateness: _Lateness, index: int) -> float:
    operation_ns = lateness.table.operation_p50_ns
    return float(lateness.seen_ns[index]) / (1.0 if np.isnan(operation_ns) else max(operation_ns, 1.0))


def _fact(lateness: _Lateness, index: int) -> Fact:
    error_ns = float(lateness.seen_ns[index] - lateness.proven_ns[index])
    return Fact(
        metric=f"{_title(lateness.table)}, median lateness",
        observed=format_duration(max(float(lateness.seen_ns[index]), 0.0)),
        expected="0 ns",
        basis=f"median of the other ranks; clock error at most {format_duration(error_ns)}",
    )


def _title(table: ArrivalTable) -> str:
    return table.probe if table.probe == "barrier" else f"{table.probe} {size_title(table.size_bytes)}"


DETECTOR = Detector(
    id=ID,
    title="a rank that comes late to collectives",
    cause="""The rank's own host holds it up before the collective begins: a core shared with another process or
    with interrupts, a lower clock frequency (power cap, heat), memory of the wrong NUMA node, a hypervisor. In a
    job the same rank delays every step. The late rank itself shows the shortest time in the collective: it waits
    for nobody.""",
    evidence="""Before each operation all ranks pass a barrier; how long after the first one each rank enters is
    taken on clocks that were compared by round trips. A rank is named when its median lateness against the other
    ranks exceeds straggler_floor_ns in most of the collectives and sizes measured, and straggler_share_ratio of the
    operation in one of them; the error bounds of all clocks are taken off first. Hosts with more ranks than CPUs
    are not judged.""",
    remedy="""On the host that is named: `top -H`, /proc/interrupts and `turbostat` for the core of that rank;
    compare its frequency and NUMA binding with a punctual rank's. Move the rank to another core: if the lateness
    stays with the core it is the host's, if it moves with the rank it is the binding's.""",
    limits=("straggler_share_ratio", "straggler_floor_ns"),
    detect=detect,
)
