"""Receivers that many senders bring less than few do, or that serve their senders unevenly.

Does not handle: which of the buffers on the way it is; counters of the switch tell.
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
    names_of,
    not_measured,
)
from netprobe.detectors._words import MOST_FACTS, listed, percent
from netprobe.locate.loads import FanIns, fan_ins
from netprobe.locate.placement import Placement, placement_of
from netprobe.model.evidence import Evidence, LoadFlows
from netprobe.model.finding import Confidence, Fact, Finding, Gap, Severity
from netprobe.model.limits import Limits
from netprobe.model.plan import INCAST
from netprobe.units import format_duration, format_gbps

ID = "incast"
FEWEST_HOSTS: Final = 3
FEWEST_FAIR: Final = 4  # senders; of two or three one that is late makes an index of its own
RETEST: Final = "netprobe run incast -b 1M -e 1M"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Case:
    """The fan-ins of one table, which of them can be judged, and of what they fall short."""

    told: FanIns
    judged: BoolArray
    collapsed: BoolArray
    unfair: BoolArray


def detect(evidence: Evidence, limits: Limits) -> Iterator[Finding | Gap]:
    """Name receivers whose goodput collapses, or the fabric; warn where senders get uneven shares."""
    placement = placement_of(evidence.ranks)
    tables = [table for table in evidence.flows_together if table.probe == INCAST]
    if not tables:
        yield from not_measured(ID, INCAST, FEWEST_HOSTS, evidence)
        return
    yield from crowded_gap(ID, evidence)
    for table in tables:
        case = _case(table, evidence, placement, limits)
        yield from _collapses(case, placement, limits)
        yield from _unfair(case, placement, limits)
        yield from _untold(case, evidence)


def _case(table: LoadFlows, evidence: Evidence, placement: Placement, limits: Limits) -> _Case:
    told = fan_ins(table)
    many = told.fan_in >= FEWEST
    quiet = is_quiet(evidence, placement, told.dst, told.slowest)
    judged = many & quiet & np.isfinite(told.best_gbps)
    with np.errstate(invalid="ignore"):
        collapsed = judged & (told.kept_ratio < limits.incast_goodput_ratio)
        unfair = many & quiet & (told.fan_in >= FEWEST_FAIR) & (told.jain < limits.incast_fairness_ratio)
    return _Case(told=told, judged=judged, collapsed=collapsed, unfair=unfair)


def _collapses(case: _Case, placement: Placement, limits: Limits) -> Iterator[Finding]:
    told = case.told
    bad = names_of(told.dst[case.collapsed].tolist(), placement)
    judged = names_of(told.dst[case.judged].tolist(), placement)
    if not bad:
        return
    if len(judged) >= FEWEST and len(bad) > MOST * len(judged):
        yield _collapse(case, case.collapsed, FABRIC, f"at {len(bad)} of {len(judged)} receivers", placement, limits)
        return
    left = case.collapsed.copy()
    for leaf, (seen, of) in hot_leaves([(told.dst[case.judged], case.collapsed[case.judged])], placement).items():
        on_leaf = placement.leaf_of[told.dst] == leaf
        if len(names_of(told.dst[left & on_leaf].tolist(), placement)) >= FEWEST:
            name, who = f"leaf {placement.leaves[leaf]}", f"in {seen} of {of} rounds into the leaf, and not elsewhere"
            yield _collapse(case, left & on_leaf, name, who, placement, limits)
            left &= ~on_leaf
    for host in names_of(told.dst[left].tolist(), placement):
        of_host = np.array([placement.host(rank) == host for rank in told.dst.tolist()], dtype=bool)
        others = (
            f"{len(judged) - len(bad)} other receivers keep theirs" if len(judged) > len(bad) else "nobody else was"
        )
        yield _collapse(case, case.collapsed & of_host, host, others, placement, limits)


def _collapse(case: _Case, bad: BoolArray, subject: str, who: str, placement: Placement, limits: Limits) -> Finding:
    told = case.told
    at = np.flatnonzero(bad)
    worst = at[np.argsort(told.kept_ratio[at], kind="stable")].tolist()
    row, least = worst[0], int(told.fan_in[at].min())
    return Finding(
        detector=ID,
        severity=Severity.DEGRADES,
        confidence=Confidence.MEDIUM if len(at) > 1 or subject == FABRIC else Confidence.LOW,
        subjects=(subject,),
        hosts=(),
        summary=f"goodput collapses when {least} or more send to one: {int(told.fan_in[row])} senders bring "
        f"{format_gbps(float(told.goodput_gbps[row]))} where fewer bring "
        f"{format_gbps(float(told.best_gbps[row]))} ({who})",
        facts=tuple(_fact(told, each, placement, limits) for each in worst[:MOST_FACTS]),
        excluded=("the receiver's rate (fewer senders reach it)",),
        next_action="look at drops and pauses of the switch port in front of the receiver, and of the NICs at both "
        "ends, while the retest runs; on a lossless fabric at pfc-missing and ecn-inactive",
        retest=RETEST,
    )


def _fact(told: FanIns, row: int, placement: Placement, limits: Limits) -> Fact:
    return Fact(
        metric=f"{int(told.fan_in[row])} senders to {placement.name(int(told.dst[row]))}",
        observed=f"{format_gbps(float(told.goodput_gbps[row]))}, {percent(float(told.kept_ratio[row]))}; longest "
        f"window {format_duration(float(told.max_ns[row]))}",
        expected=f"{percent(limits.incast_goodput_ratio)} of {format_gbps(float(told.best_gbps[row]))}",
        basis="limit incast_goodput_ratio, of the most that fewer bring it",
    )


def _unfair(case: _Case, placement: Placement, limits: Limits) -> Iterator[Finding]:
    told = case.told
    at = np.flatnonzero(case.unfair)
    if not len(at):
        return
    worst = at[np.argsort(told.jain[at], kind="stable")].tolist()
    row = worst[0]
    receivers = names_of((int(told.dst[each]) for each in worst), placement)
    yield Finding(
        detector=ID,
        severity=Severity.WARNS,
        confidence=Confidence.MEDIUM if len(receivers) > 1 else Confidence.LOW,
        subjects=tuple(receivers) if len(receivers) <= FEWEST else (FABRIC,),
        hosts=(),
        summary=f"{int(told.fan_in[row])} senders to {placement.host(int(told.dst[row]))} get uneven shares: Jain's "
        f"index {told.jain[row]:.2f}, and {placement.host(int(told.slowest[row]))} "
        f"{format_gbps(float(told.slowest_gbps[row]))} of {format_gbps(float(told.goodput_gbps[row]))} in all",
        facts=tuple(
            Fact(
                metric=f"fairness of {int(told.fan_in[each])} senders to {placement.name(int(told.dst[each]))}",
                observed=f"{told.jain[each]:.2f}, least {placement.name(int(told.slowest[each]))}",
                expected=f"{limits.incast_fairness_ratio:g} or more",
                basis="limit incast_fairness_ratio; Jain's index, 1 is even",
            )
            for each in worst[:MOST_FACTS]
        ),
        excluded=(),
        next_action="compare where the favoured senders are: those on the receiver's own leaf often are ahead of those "
        f"that share uplinks; and whether congestion control is on at {listed(receivers)} and its senders",
        retest=RETEST,
    )


def _untold(case: _Case, evidence: Evidence) -> Iterator[Gap]:
    if not case.judged.any() and not evidence.crowded_hosts:
        yield Gap(
            topic=ID,
            reason="no receiver was measured with one sender and with several, so nothing is known of many to one",
            remedy="a longer --budget of netprobe check, or netprobe run incast",
        )


DETECTOR = Detector(
    id=ID,
    title="receivers that many senders bring less than few do",
    cause="""Several senders fill the queue in front of one receiver. Without flow control it drops, and timers of all
    senders run out at once; with flow control that is too late, or congestion control that overshoots, the port stands
    idle in between. Or some senders are always served first.""",
    evidence="""Goodput of 2, 4, 8, 16 senders into one receiver below incast_goodput_ratio of the most that fewer
    of them bring it in the same stage; when more than half of the receivers show it, it is the fabric's. Jain's index
    of the senders' rates, of four or more, below incast_fairness_ratio is a warning. The receiver is where it shows,
    and not to blame: it stays among the healthy hosts. Hosts whose ranks wait for a CPU are left out.""",
    remedy="""Switch: PFC and its headroom, the buffer that one port may take, ECN thresholds. Hosts: DCQCN on, the
    same traffic class on all. `netprobe explain pfc-missing`, `netprobe explain ecn-inactive`.""",
    limits=("incast_goodput_ratio", "incast_fairness_ratio"),
    detect=detect,
)
