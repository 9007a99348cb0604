"""Packets that overtake each other: adaptive routing or spraying, with a NIC that takes a late packet for a lost one.

What is late and what is lost is decided in locate.rdma_loss.overtaken; packet-loss leaves out what is told here.
"""

from collections.abc import Iterator
from typing import Final

import numpy as np

from netprobe.contracts import Detector
from netprobe.detectors._ports import any_of, fine_percent, not_counted
from netprobe.detectors._rdma import IntArray, RdmaCase, rdma_case, reordered
from netprobe.detectors._words import MOST_FACTS, listed
from netprobe.locate.placement import placement_of
from netprobe.model.evidence import Evidence
from netprobe.model.finding import Confidence, Fact, Finding, Gap, Severity
from netprobe.model.limits import Limits

ID = "out-of-order"
FABRIC: Final = "fabric"
FEW_RATIO: Final = 0.5  # of the ports that receive: fewer than that and it is their setting, not the fabric's

OVERTAKE: Final = "overtake others and are asked for again though none is lost"
PROBABLY: Final = "probably overtake others and are asked for again; nobody counts whether any are lost"
SWITCHES_FIRST: Final = "read drops of the switch ports, for with any there it is loss; else "
COMPARE: Final = "compare these NICs' setting for out-of-order data (mlxconfig) with the others'"
SETTING: Final = (
    "let the NICs accept out-of-order data, or turn adaptive routing and spraying off for this traffic class; then "
    "measure again"
)


def detect(evidence: Evidence, limits: Limits) -> Iterator[Finding | Gap]:
    """Tell where packets overtake each other and are asked for again."""
    case = rdma_case(evidence, limits, placement_of(evidence.ranks))
    rows = case.loss.rows
    late = reordered(case)
    # A setting, or a way through the fabric, shows in more than one direction, wherever there are more than two.
    if late.sum() >= (2 if rows.is_counted.sum() > 2 else 1):
        yield _finding(case, np.flatnonzero(late))
    blind = np.zeros(len(case.ports.table.host), dtype=np.bool_)
    blind[rows.src[~case.loss.has_counters]] = True
    if (gap := not_counted(case.ports, ID, "lost packets of RDMA", blind)) is not None:
        yield gap


def _finding(case: RdmaCase, at: IntArray) -> Finding:
    rows, ports = case.loss.rows, case.ports
    senders, receivers = (sorted(set(ends[at].tolist())) for ends in (rows.src, rows.dst))
    are_of_senders = len(senders) < len(receivers)
    ends, named = (rows.src, senders) if are_of_senders else (rows.dst, receivers)
    are_few = len(named) <= FEW_RATIO * len(set(ends[rows.is_counted].tolist()))
    naks, sent = float(case.loss.naks[at].sum()), float(rows.sent[at].sum())
    conserves = bool(np.isfinite(case.loss.missing[at]).all())
    by_leaves = bool((ports.leaf[rows.src[at]] >= 0).all())
    where = "from" if are_of_senders else "at"
    who = f"{where} {listed(ports.subject(port) for port in named)}" if are_few else "nearly everywhere alike"
    return Finding(
        detector=ID,
        severity=Severity.DEGRADES,
        confidence=Confidence.HIGH if conserves else Confidence.MEDIUM if by_leaves else Confidence.LOW,
        subjects=tuple(ports.subject(port) for port in named) if are_few else (FABRIC,),
        hosts=any_of(ports, named) if are_few and conserves else (),
        summary=f"{fine_percent(naks / max(sent, 1.0))} of the packets of RDMA {OVERTAKE if conserves else PROBABLY}, "
        f"{who}: {naks:,.0f} of {sent:,.0f}",
        facts=tuple(_facts(case, at)),
        excluded=tuple(_excluded(conserves=conserves, by_leaves=by_leaves)),
        next_action=("" if conserves else SWITCHES_FIRST) + _mending(few=are_few, of_senders=are_of_senders),
        retest="netprobe check",
    )


def _mending(*, few: bool, of_senders: bool) -> str:
    if few and of_senders:
        return "look at its uplink: members of a bond or ports of its switch that differ in speed or load"
    return COMPARE if few else SETTING


def _facts(case: RdmaCase, at: IntArray) -> Iterator[Fact]:
    rows, ports = case.loss.rows, case.ports
    worst = at[np.argsort(-case.loss.naks[at], kind="stable")]
    for row in worst[: MOST_FACTS // 2].tolist():
        gone = case.loss.missing[row]
        missing = "" if np.isnan(gone) else f", {gone:,.0f} missing"
        yield Fact(
            metric=f"{ports.subject(int(rows.src[row]))} to {ports.subject(int(rows.dst[row]))}, asked for again",
            observed=f"{case.loss.naks[row]:,.0f} of {rows.sent[row]:,.0f} packets{missing}",
            expected=f"below {fine_percent(ports.limits.reorder_ratio)}",
            basis="limit reorder_ratio",
        )


def _excluded(*, conserves: bool, by_leaves: bool) -> Iterator[str]:
    yield "loss at the hosts (no sender waited in vain, no port drops or damages)"
    if conserves:
        yield "loss on the way (as many packets arrived as were sent)"
    elif by_leaves:
        yield "the hosts (within a leaf nothing overtakes)"


DETECTOR = Detector(
    id=ID,
    title="packets that overtake each other and are taken for lost",
    cause="""Switches spread the packets of one connection over several paths (adaptive routing, spraying), some paths
    are longer, and the receiving NIC is not set to put packets back in order: it asks for what it has not lost, and the
    sender goes back and sends it all again. Bandwidth between leaves falls by a fifth to four fifths at any load.""",
    evidence="""Holes at receivers and NAKs at senders, as with loss; but nobody waited for an acknowledgement in vain,
    no port drops or damages packets, and as many packets arrived as were sent. Where NICs do not count packets, the
    pattern has to be that of adaptive routing: only between leaves (LLDP), or nearly everywhere alike, which makes it
    probable and no more: a loss that the whole fabric shares looks the same. It is told from reorder_ratio on;
    packet-loss leaves these directions out.""",
    remedy="""Turn out-of-order reception on for the NICs (`mlxconfig`, the vendor's RoCE settings), or keep adaptive
    routing off for this class of traffic; then run the check again. One receiver alone has another setting than the
    others.""",
    limits=("reorder_ratio",),
    detect=detect,
)
