"""Flows that a hot receiver slows though they do not go there: head-of-line blocking.

Does not handle: uplinks that the incast alone fills, where there is one; oversubscribed tells of those.
"""

from collections.abc import Iterator
from typing import Final

import numpy as np

from netprobe.contracts import Detector
from netprobe.detectors._loaded import FABRIC, FEWEST, crowded_gap, is_quiet, not_measured
from netprobe.detectors._words import MOST_FACTS, listed, percent
from netprobe.locate.loads import Victims, victims
from netprobe.locate.placement import Placement, placement_of
from netprobe.model.evidence import Evidence, LoadFlows
from netprobe.model.finding import Confidence, Fact, Finding, Gap, Severity
from netprobe.model.limits import Limits
from netprobe.model.plan import VICTIM
from netprobe.units import format_gbps

ID = "head-of-line"
FEWEST_HOSTS: Final = 5
RETEST: Final = "netprobe run victim -b 1M -e 1M"


def detect(evidence: Evidence, limits: Limits) -> Iterator[Finding | Gap]:
    """Name the leaf of hot receivers that slow others; never the flow that is slowed."""
    placement = placement_of(evidence.ranks)
    tables = [table for table in evidence.flows_together if table.probe == VICTIM]
    if not tables:
        yield from not_measured(ID, VICTIM, FEWEST_HOSTS, evidence)
        return
    yield from crowded_gap(ID, evidence)
    for table in tables:
        yield from _answers(table, evidence, placement, limits)


def _answers(table: LoadFlows, evidence: Evidence, placement: Placement, limits: Limits) -> Iterator[Finding | Gap]:
    told = victims(table, placement.place_of)
    is_hot = told.hot >= 0
    judged = is_hot & is_quiet(evidence, placement, told.src, told.dst, np.maximum(told.hot, 0))
    drifted = judged & (told.drift_ratio > limits.pair_loss_ratio)
    slowed = judged & ~drifted & (told.loss_ratio > limits.victim_loss_ratio)
    by_place: dict[str, list[int]] = {}
    for row in np.flatnonzero(slowed).tolist():
        by_place.setdefault(_place(told, row, placement), []).append(row)
    for place, rows in by_place.items():
        of_place = [row for row in np.flatnonzero(judged & ~drifted).tolist() if _place(told, row, placement) == place]
        yield _finding(told, place, rows, len(of_place), placement, limits)
    if drifted.any():
        yield _drift(told, np.flatnonzero(drifted).tolist(), placement, limits)
    if not judged.any() and not evidence.crowded_hosts:
        yield Gap(
            topic=ID,
            reason="no flow was measured with and without a hot receiver beside it",
            remedy="a longer --budget of netprobe check, or netprobe run victim on five hosts or more",
        )


def _place(told: Victims, row: int, placement: Placement) -> str:
    """Return the leaf of the hot receiver, where it is known."""
    leaf = int(placement.leaf_of[told.hot[row]]) if len(placement.leaf_of) else -1
    return f"leaf {placement.leaves[leaf]}" if leaf >= 0 else FABRIC


def _finding(told: Victims, place: str, rows: list[int], judged: int, placement: Placement, limits: Limits) -> Finding:
    worst = sorted(rows, key=lambda row: -told.loss_ratio[row])
    row = worst[0]
    return Finding(
        detector=ID,
        severity=Severity.DEGRADES,
        confidence=Confidence.HIGH if len(rows) > FEWEST else Confidence.MEDIUM,
        subjects=(place,),
        hosts=(),
        summary=f"a hot receiver slows flows that do not go to it: {len(rows)} of {judged} lose up to "
        f"{percent(float(told.loss_ratio[row]))} while {placement.host(int(told.hot[row]))} is hot",
        facts=tuple(_fact(told, each, placement, limits) for each in worst[:MOST_FACTS]),
        excluded=(
            "the hosts of the slowed flows (they have no part in the incast)",
            "drift (the rates before and after agree)",
        ),
        next_action="look at pauses of the ports between leaves while the retest runs: PFC that holds a whole uplink "
        "makes others wait; ECN that marks earlier, or a queue of its own, avoids it",
        retest=RETEST,
    )


def _fact(told: Victims, row: int, placement: Placement, limits: Limits) -> Fact:
    return Fact(
        metric=f"{placement.name(int(told.src[row]))} to {placement.name(int(told.dst[row]))} while "
        f"{int(told.fan_in[row])} flows are hot",
        observed=format_gbps(float(told.loaded_gbps[row])),
        expected=f"{format_gbps(float(told.alone_gbps[row]))} before, {format_gbps(float(told.again_gbps[row]))} after",
        basis=f"limit victim_loss_ratio, {percent(limits.victim_loss_ratio)}",
    )


def _drift(told: Victims, rows: list[int], placement: Placement, limits: Limits) -> Gap:
    pairs = [f"{placement.name(int(told.src[row]))} to {placement.name(int(told.dst[row]))}" for row in rows]
    return Gap(
        topic=ID,
        reason=f"rates before and after the hot receiver differ by more than {percent(limits.pair_loss_ratio)} "
        f"({listed(pairs)}): something else changed meanwhile",
        remedy="the same again, with nothing else on the fabric",
    )


DETECTOR = Detector(
    id=ID,
    title="flows that a hot receiver slows though they do not go there",
    cause="""A receiver that many send to fills its leaf's buffer. With flow control the leaf then pauses the links that
    feed it, and everything on these links waits, whatever its destination: congestion spreads backwards through the
    fabric. Without separate queues one packet for the hot port holds up all behind it.""",
    evidence="""A flow that shares a switch with an incast, but no host, is measured alone, beside the incast, and alone
    again. It loses more than victim_loss_ratio of the mean of before and after, which agree within pair_loss_ratio;
    else nothing is said. The leaf of the hot receiver is named, and not the flow that is slowed, nor the receiver.""",
    remedy="""Let congestion control act before flow control does: ECN thresholds below those of PFC, DCQCN on all
    NICs. Spread flows over uplinks (adaptive routing), keep to one traffic class for what may be paused.""",
    limits=("victim_loss_ratio", "pair_loss_ratio"),
    detect=detect,
)
