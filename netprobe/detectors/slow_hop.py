"""A hop inside a collective that is slow while all work at once: what pairs that are tested alone cannot show.

Does not handle: a hop that is slow only now and then; its median is normal.
"""

import shlex
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from netprobe.contracts import Detector
from netprobe.detectors._words import MOST_FACTS, is_common, listed, percent, rate, size_title, table_title, times
from netprobe.locate.hops import FEWEST_HOPS, Alone, HopFit, alone, fit_hops
from netprobe.locate.placement import Placement, placement_of
from netprobe.model.collective import TRACED_RING
from netprobe.model.evidence import Evidence, FloatArray, HopTable
from netprobe.model.finding import Confidence, Fact, Finding, Gap, Severity
from netprobe.model.limits import Limits
from netprobe.units import format_duration, format_size

ID: Final = "slow-hop"
SURE_WITH_HOPS: Final = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class _SlowHop:
    """One hop at one size."""

    table: HopTable
    src: int
    dst: int
    taken_ns: float
    expected_ns: float
    hops: int
    """That it was compared with, and itself."""

    @property
    def excess_ratio(self) -> float:
        return self.taken_ns / max(self.expected_ns, 1.0)


def detect(evidence: Evidence, limits: Limits) -> Iterator[Finding | Gap]:
    """Name hops that take longer than the others of their ring."""
    if not evidence.hops and not any(stage.probe == TRACED_RING for stage in evidence.plan.stages):
        return  # nobody asked
    if not evidence.hops or len(evidence.clocks) != len(evidence.ranks):
        reason = (
            "the ranks' clocks were not compared, so what was sent cannot be compared with what came"
            if evidence.hops
            else "no traced ring was measured, so nobody knows of hops within a collective"
        )
        yield Gap(topic=ID, reason=reason, remedy="a complete run of netprobe run traced_ring")
        return
    bounds_ns = np.array([np.nan if clock is None else clock.error_bound_ns for clock in evidence.clocks])
    placement = placement_of(evidence.ranks)
    crowded = sorted(set(evidence.crowded_hosts))
    if crowded:
        yield Gap(
            topic=ID,
            reason=f"on {listed(crowded)} ranks wait for a CPU, so hops there tell of the scheduler",
            remedy="fewer ranks per host, or more CPUs for them",
        )
    fits = [fit for table in evidence.hops for fit in _fits(table, bounds_ns, placement, crowded, limits)]
    if not fits and not crowded:
        yield Gap(
            topic=ID,
            reason=f"no ring had {FEWEST_HOPS} hops of one kind, within hosts or between them, to compare",
            remedy="netprobe run traced_ring, on three hosts or more",
        )
    yield from _answers(fits, evidence, placement, limits)


def _fits(
    table: HopTable, bounds_ns: FloatArray, placement: Placement, crowded: list[str], limits: Limits
) -> list[HopFit]:
    """Return the fits of hops whose clocks are known, and whose hosts have a CPU for each rank."""
    src_host, dst_host = placement.host_of[table.src], placement.host_of[table.dst]
    busy = np.array([host in crowded for host in placement.hosts], dtype=bool)
    fit_to_tell = np.isfinite(bounds_ns[table.src] + bounds_ns[table.dst]) & ~busy[src_host] & ~busy[dst_host]
    kept = replace(
        table,
        src=table.src[fit_to_tell],
        dst=table.dst[fit_to_tell],
        bytes_per_iteration=table.bytes_per_iteration[fit_to_tell],
        p50_ns=table.p50_ns[fit_to_tell],
    )
    return fit_hops(kept, (src_host == dst_host)[fit_to_tell], bounds_ns, limits)


def _answers(fits: list[HopFit], evidence: Evidence, placement: Placement, limits: Limits) -> Iterator[Finding | Gap]:
    by_ends: dict[tuple[int, int], list[_SlowHop]] = {}
    for fit in fits:
        if is_common(int(fit.slow.sum()), len(fit.rows)) or (fit.long.any() and not (fit.slow | fit.unsure).any()):
            yield _shared(fit)
            continue
        for hop in _slow_hops(fit):
            by_ends.setdefault((hop.src, hop.dst), []).append(hop)
    for (src, dst), hops in by_ends.items():
        yield _finding(hops, alone(evidence.pairs, src, dst, placement), placement, limits)
    unsure = dict.fromkeys(
        _name(int(fit.table.src[row]), int(fit.table.dst[row]), placement)
        for fit in fits
        for row in fit.rows[fit.unsure].tolist()
    )
    if unsure:
        yield Gap(
            topic=ID,
            reason=f"{listed(unsure)} may hold the ring up, but by less than the clocks can be compared",
            remedy="a larger size: netprobe run traced_ring -b 256M -e 256M",
        )


def _slow_hops(fit: HopFit) -> Iterator[_SlowHop]:
    for place in np.flatnonzero(fit.slow).tolist():
        row = int(fit.rows[place])
        yield _SlowHop(
            table=fit.table,
            src=int(fit.table.src[row]),
            dst=int(fit.table.dst[row]),
            taken_ns=float(fit.table.p50_ns[row]),
            expected_ns=float(fit.expected_ns[place]),
            hops=len(fit.rows),
        )


def _shared(fit: HopFit) -> Gap:
    return Gap(
        topic=ID,
        reason=f"{int(fit.long.sum())} of {len(fit.rows)} hops take longer than the middle one ({_title(fit.table)}), "
        "too many for any to stand out",
        remedy="an order of hosts that leaves fewer switches and rails between neighbours",
    )


def _finding(hops: list[_SlowHop], alone_: Alone | None, placement: Placement, limits: Limits) -> Finding:
    worst = max(hops, key=lambda hop: hop.excess_ratio)
    name = _name(worst.src, worst.dst, placement)
    hosts = dict.fromkeys((placement.host(worst.src), placement.host(worst.dst)))
    is_within = len(hosts) == 1
    verdict, excluded, next_action = _compared(worst, alone_, placement, limits)
    facts = [_fact(hop) for hop in hops]
    if alone_ is not None:
        facts.append(_fact_alone(alone_))
    return Finding(
        detector=ID,
        severity=Severity.DEGRADES,
        confidence=Confidence.HIGH if worst.hops >= SURE_WITH_HOPS else Confidence.MEDIUM,
        subjects=(name,),
        hosts=tuple(hosts) if is_within else (),
        summary=f"{name}: inside an all-reduce what it carries takes {times(worst.excess_ratio)} as long as over other "
        f"hops{_share(worst)} ({_title(worst.table)}); {verdict}",
        facts=tuple(facts[:MOST_FACTS]),
        excluded=("ranks that merely wait (only time is counted in which both ends were ready)", *excluded),
        next_action=next_action,
        retest=_retest(worst, tuple(hosts)),
    )


def _compared(
    hop: _SlowHop, alone_: Alone | None, placement: Placement, limits: Limits
) -> tuple[str, tuple[str, ...], str]:
    """Return what the pair alone says of the hop, what that excludes, and what to do."""
    src, dst = placement.host(hop.src), placement.host(hop.dst)
    if alone_ is None:
        return "the pair was not measured alone", (), "measure the pair alone, to tell its path from what it shares"
    if alone_.taken_ns <= alone_.typical_ns * (1.0 + limits.pair_loss_ratio):
        return (
            "alone the pair is as fast as others, so it is slow only while all work at once",
            ("the path between the two at rest (bandwidth of the pair alone is normal)",),
            f"look at what the hop shares with others: uplinks that flows of other hops hash to, {src} and {dst} "
            "sending while they receive (netprobe run bidirectional), their CPUs",
        )
    return (
        "alone the pair is slow as well",
        ("load (the pair is slow alone as well)",),
        f"look at the path from {src} to {dst}: its links and ports, as for slow-pair and asymmetry",
    )


def _fact(hop: _SlowHop) -> Fact:
    return Fact(
        metric=f"{_title(hop.table)}, what the hop held up in an iteration, median",
        observed=format_duration(hop.taken_ns),
        expected=format_duration(hop.expected_ns),
        basis=f"upper quartile of the other {hop.hops - 1} hops",
    )


def _fact_alone(alone_: Alone) -> Fact:
    return Fact(
        metric=f"{table_title(alone_.table)}, the pair alone",
        observed=rate(alone_.table, alone_.taken_ns),
        expected=rate(alone_.table, alone_.typical_ns),
        basis="median of all pairs",
    )


def _share(hop: _SlowHop) -> str:
    if np.isnan(hop.table.operation_p50_ns):
        return ""
    return f", {percent((hop.taken_ns - hop.expected_ns) / max(hop.table.operation_p50_ns, 1.0))} of the operation"


def _name(src: int, dst: int, placement: Placement) -> str:
    if placement.host(src) == placement.host(dst):
        return f"{placement.name(src)} -> {placement.name(dst)}"
    return f"{placement.host(src)} -> {placement.host(dst)}"


def _retest(hop: _SlowHop, hosts: tuple[str, ...]) -> str | None:
    """Return the command that measures the pair alone; None within a host."""
    if len(hosts) == 1:
        return None
    size = format_size(min(hop.table.size_bytes, 8 << 20))
    return shlex.join(
        ["netprobe", "run", "bandwidth", "--hosts", ",".join(hosts), "-b", size, "-e", size, "--all-pairs"]
    )


def _title(table: HopTable) -> str:
    return f"{TRACED_RING} {size_title(table.size_bytes)}"


DETECTOR = Detector(
    id=ID,
    title="a hop inside a collective that holds the whole ring up",
    cause="""All ranks of a ring move at the pace of its slowest hop. A hop is slow in a collective and not alone where
    it shares something with others that work at the same time: flows of several hops that hash to one uplink, a port
    or a PCIe link that cannot send and receive at once, a CPU that moves the messages of both. It is slow alone as well
    where the path itself is: a link at a lower rate, a cable, drops.""",
    evidence="""In a ring all-reduce of netprobe's own every message is timed: when its sender handed it over, when
    its receiver had nothing to do but to wait for it, and when it came, on clocks that were compared. Only the time
    after the later of the first two is the hop's; a rank that waits for one further back waits before its sender has
    anything. A hop is named when that time, over an iteration, exceeds what three quarters of the other hops of its
    kind (within hosts, between them) take by hop_excess_ratio, by outlier_mads robust deviations, and by
    hop_share_ratio of the whole operation, after the error bounds of the clocks are taken off for each message. What
    the pair did alone stands beside it. Hosts with more ranks than CPUs are not judged.""",
    remedy="""Run the retest, which measures the pair alone. If it is fast, find what it shares: place the ranks in
    another order and see whether the slow hop stays with the link or with the host; read discards and marks of the
    uplinks while the ring runs. If it is slow, it is a matter of the path: see slow-pair.""",
    limits=("hop_excess_ratio", "hop_share_ratio", "outlier_mads", "pair_loss_ratio"),
    detect=detect,
)
