"""Latency that suffers from load of other hosts: congestion that is not kept to who causes it.

Does not handle: load that the measured hosts make themselves, and queues that bandwidth alone would show.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np

from netprobe.contracts import Detector
from netprobe.detectors._loaded import (
    FABRIC,
    FEWEST,
    MOST,
    BoolArray,
    crowded_gap,
    hot_leaves,
    is_quiet,
    not_measured,
)
from netprobe.detectors._words import COMMON_COUNT, MOST_FACTS, listed, on_hosts, size_title, times
from netprobe.locate.placement import Placement, placement_of
from netprobe.model.evidence import Evidence, LoadedTable
from netprobe.model.finding import Confidence, Fact, Finding, Gap, Severity
from netprobe.model.limits import Limits
from netprobe.model.plan import LOADED_LATENCY
from netprobe.units import format_duration

ID = "congestion"
FEWEST_HOSTS: Final = 4
P99: Final = 1
NAMES: Final = ("p50", "p99", "p99.9", "max")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Judged:
    """The rows of a table that can be judged, and what is wrong with them."""

    table: LoadedTable
    rows: BoolArray
    bad: BoolArray
    drifted: BoolArray


def detect(evidence: Evidence, limits: Limits) -> Iterator[Finding | Gap]:
    """Name where round trips take much longer beside load: the fabric, a leaf, or single pairs. Never a host."""
    placement = placement_of(evidence.ranks)
    if not evidence.loaded:
        yield from not_measured(ID, LOADED_LATENCY, FEWEST_HOSTS, evidence)
        return
    yield from crowded_gap(ID, evidence)
    for table in evidence.loaded:
        judged = _judged(table, evidence, placement, limits)
        yield from _answers(judged, placement, limits)
        yield from _untold(judged, evidence, placement, limits)


def _judged(table: LoadedTable, evidence: Evidence, placement: Placement, limits: Limits) -> _Judged:
    known = np.isfinite(table.factor[:, P99]) & is_quiet(evidence, placement, table.src, table.dst)
    before, after = table.alone_ns[:, P99], table.again_ns[:, P99]
    with np.errstate(invalid="ignore"):
        drifted = known & (np.maximum(before, after) > limits.load_drift_ratio * np.minimum(before, after))
        added_ns = table.loaded_ns[:, P99] - table.idle_ns[:, P99]
        bad = (table.factor[:, P99] > limits.congestion_ratio) & (added_ns > limits.congestion_floor_ns)
    rows = known & ~drifted
    return _Judged(table=table, rows=rows, bad=bad & rows, drifted=drifted)


def _answers(judged: _Judged, placement: Placement, limits: Limits) -> Iterator[Finding]:
    bad, count = judged.bad, int(judged.rows.sum())
    if not bad.any():
        return
    if count > FEWEST and bad.sum() > MOST * count:
        yield _finding(judged, bad, (FABRIC,), f"{int(bad.sum())} of {count} pairs", placement, limits)
        return
    table, rows = judged.table, judged.rows
    of_rows = [(ends[rows], bad[rows]) for ends in (table.src, table.dst)]
    left = bad.copy()
    for leaf, (seen, of) in hot_leaves(of_rows, placement).items():
        touches = np.any([placement.leaf_of[ends] == leaf for ends in (table.src, table.dst)], axis=0)
        name = f"leaf {placement.leaves[leaf]}"
        yield _finding(judged, bad & touches, (name,), f"{seen} of {of} pairs of the leaf", placement, limits)
        left &= ~touches
    if left.sum() > COMMON_COUNT:
        yield _finding(judged, left, ("many pairs",), f"{int(left.sum())} of {count} pairs", placement, limits)
        return
    for row in np.flatnonzero(left).tolist():
        ends = sorted((placement.host(int(table.src[row])), placement.host(int(table.dst[row]))))
        own = np.zeros(len(bad), dtype=bool)
        own[row] = True
        yield _finding(judged, own, (" <-> ".join(ends),), "this pair", placement, limits)


def _finding(
    judged: _Judged, bad: BoolArray, subjects: tuple[str, ...], who: str, placement: Placement, limits: Limits
) -> Finding:
    table = judged.table
    at = np.flatnonzero(bad)
    worst = at[np.argsort(-table.factor[at, P99], kind="stable")].tolist()
    row, is_pair = worst[0], " <-> " in subjects[0]
    beside = listed(sorted({table.background[each] for each in worst}))
    hosts = sorted({placement.host(int(end)) for each in worst[:2] for end in (table.src[each], table.dst[each])})
    return Finding(
        detector=ID,
        severity=Severity.WARNS if is_pair else Severity.DEGRADES,
        confidence=Confidence.LOW if is_pair else Confidence.HIGH if len(at) > FEWEST else Confidence.MEDIUM,
        subjects=subjects,
        hosts=(),
        summary=f"latency suffers from load of other hosts ({who}, beside {beside}): p99 "
        f"{_half(table.loaded_ns[row, P99])} is {times(float(table.factor[row, P99]))} that alone",
        facts=tuple(_fact(table, each, placement, limits) for each in worst[:MOST_FACTS]),
        excluded=(
            "the hosts of the pairs (alone they are fast, before and after)",
            "drift (before and after agree)",
        ),
        next_action="compare ECN thresholds, PFC and the balance of equal links on the switches between them, and look "
        "at their queues and drops while the retest runs",
        retest=on_hosts("netprobe run loaded_latency -b 8 -e 8", hosts) if is_pair else "netprobe run loaded_latency",
    )


def _fact(table: LoadedTable, row: int, placement: Placement, limits: Limits) -> Fact:
    ends = f"{placement.name(int(table.src[row]))} to {placement.name(int(table.dst[row]))}"
    told = ", ".join(
        f"{name} {table.factor[row, index]:.1f}"
        for index, name in enumerate(NAMES)
        if np.isfinite(table.factor[row, index])
    )
    return Fact(
        metric=f"{size_title(table.size_bytes)}, {ends}, factor beside {table.background[row]}",
        observed=f"{told} (p99 {_half(table.idle_ns[row, P99])} alone, {_half(table.loaded_ns[row, P99])} beside load)",
        expected=f"p99 below {limits.congestion_ratio:g}",
        basis="limit congestion_ratio; loaded over the mean of before and after, as in GPCNeT",
    )


def _half(round_trip_ns: float) -> str:
    return format_duration(float(round_trip_ns) / 2)


def _untold(judged: _Judged, evidence: Evidence, placement: Placement, limits: Limits) -> Iterator[Gap]:
    table = judged.table
    if judged.drifted.any():
        pairs = [
            f"{placement.name(int(table.src[row]))} to {placement.name(int(table.dst[row]))}"
            for row in np.flatnonzero(judged.drifted).tolist()
        ]
        yield Gap(
            topic=ID,
            reason=f"alone before and after load differ by more than {limits.load_drift_ratio:g} times "
            f"({listed(pairs)}): something else changed meanwhile, and nothing is said of what load does to them",
            remedy="the same again, with nothing else on the fabric",
        )
    if not judged.rows.any() and not judged.drifted.any() and not evidence.crowded_hosts:
        yield Gap(
            topic=ID,
            reason="no pair had the 100 round trips alone, beside load and alone again that a 99th percentile needs",
            remedy="a longer --budget of netprobe check, or --series of netprobe run",
        )


DETECTOR = Detector(
    id=ID,
    title="latency that suffers from load of other hosts",
    cause="""Queues that flows of others fill stand in the way: congestion control is off, or its thresholds are too
    high, pauses spread over links that carry others, or equal links are unevenly used. Small messages then wait
    behind large ones that have nothing to do with them.""",
    evidence="""The 99th percentile of a pair's round trips beside all-to-all, incast or streams of other hosts exceeds
    that alone (the mean of before and after) by congestion_ratio, and by congestion_floor_ns: the congestion impact
    factor of GPCNeT. Where before and after differ by load_drift_ratio nothing is said. When more than half of the
    pairs show it, it is the fabric's; when it is 70 % of those of a leaf and few others, the leaf's; the rest are
    pairs. Hosts are never blamed: what they do alone is what they can do. Hosts whose ranks wait for a CPU are left
    out.""",
    remedy="""On the switches: ECN thresholds (Kmin, Kmax), PFC headroom, load balancing of equal links; on NICs: DCQCN
    or what else controls congestion. `netprobe explain ecn-inactive`, `netprobe explain head-of-line`.""",
    limits=("congestion_ratio", "congestion_floor_ns", "load_drift_ratio"),
    detect=detect,
)
