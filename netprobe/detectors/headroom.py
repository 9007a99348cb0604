"""Packets lost under an incast of our making although senders were paused: lossless in name alone.

Does not handle: which switch on a longer way it is; and rounds one by one, for pauses are counted over stages.
"""

from collections.abc import Iterator
from typing import Final

import numpy as np

from netprobe.contracts import Detector
from netprobe.detectors._ports import BoolArray, FloatArray, Ports, check_again, count_fact, fine_percent, grown_facts
from netprobe.detectors._rdma import are_accounted_for, bad_receivers, rdma_case
from netprobe.detectors._rdma_losses import most_on_links
from netprobe.detectors._signatures import DAMAGE, LOSS_SEEN_BY_SENDER, PAUSE_RECEIVED, PAUSE_SENT
from netprobe.locate.placement import placement_of
from netprobe.model.evidence import Evidence
from netprobe.model.finding import Confidence, Fact, Finding, Gap, Severity
from netprobe.model.limits import Limits
from netprobe.model.meaning import Meaning
from netprobe.model.ports import Span

ID = "headroom"
MARKS: Final = (Meaning.ECN_MARKED, Meaning.CNP_SENT, Meaning.CNP_HANDLED)
SENT: Final = (Meaning.RDMA_SENT_PACKETS, Meaning.WIRE_SENT_PACKETS)
TIMES_WORSE: Final = 10.0  # than without load on purpose: what a bad link loses at any load is no matter of headroom


def detect(evidence: Evidence, limits: Limits) -> Iterator[Finding | Gap]:
    """Name ports that lose while they are paused, in stages that load on purpose; say when nothing was exercised."""
    ports = Ports(evidence=evidence, limits=limits)
    if Span.PROVOKED not in ports.table.spans or not ports.carries_roce.any():
        return
    paused = ports.carries_roce & _paused(ports)
    lost = _lost(ports, Span.PROVOKED)
    ratio = _ratio(lost, ports.grown(*SENT, span=Span.PROVOKED))
    bad = paused & (lost >= limits.loss_floor_segments) & (ratio >= limits.rdma_loss_ratio)
    bad &= ~(ports.grown(*DAMAGE, span=Span.PROVOKED) > 0) & (ratio >= TIMES_WORSE * _ratio_elsewhere(ports))
    # What was only waited for in vain may have come: then its acknowledgement was lost, on the way back.
    bad &= ~(ports.grown(Meaning.SEQUENCE_NAK, span=Span.PROVOKED) < limits.loss_floor_segments)
    if bad.any():
        case = rdma_case(evidence, limits, placement_of(evidence.ranks))
        if are_accounted_for(case, float(lost.sum()), bad_receivers(case), Span.PROVOKED):
            bad[:] = False
        bad &= ratio > most_on_links(case, evidence)
    for port in np.flatnonzero(bad).tolist():
        yield _finding(ports, port, float(lost[port]), float(ratio[port]))
    if not paused.any() and not _any_mark(ports):
        yield _not_exercised(ports)


def _paused(ports: Ports) -> BoolArray:
    """Return the ports that were told to stop on a priority that is to be lossless; on any where that is not known."""
    told = np.fmax.reduce([ports.table.by_priority(each, Span.PROVOKED) for each in PAUSE_RECEIVED])
    is_told = np.isfinite(told).any(axis=1) & bool(ports.lossless)
    expected = np.nansum(told[:, list(ports.lossless)], axis=1) > 0
    paused: BoolArray = np.where(is_told, expected, ports.grown(*PAUSE_RECEIVED, span=Span.PROVOKED) > 0)
    return paused


def _any_mark(ports: Ports) -> bool:
    return bool((ports.grown(*MARKS, span=Span.PROVOKED)[ports.carries_roce] > 0).any())


def _lost(ports: Ports, span: Span) -> FloatArray:
    """Return what senders know to be lost, shape (ports,); 0 where nobody counts it."""
    lost: FloatArray = np.nansum(np.stack([ports.table.grown(each, span) for each in LOSS_SEEN_BY_SENDER]), axis=0)
    return lost


def _ratio(lost: FloatArray, sent: FloatArray) -> FloatArray:
    unknown = np.where(lost > 0, np.inf, 0.0)
    ratio: FloatArray = np.where(np.isfinite(sent), lost / np.maximum(sent, 1.0), unknown)
    return ratio


def _ratio_elsewhere(ports: Ports) -> FloatArray:
    """Return the share that is lost in all other stages."""
    lost = np.maximum(_lost(ports, Span.LOAD) - _lost(ports, Span.PROVOKED), 0.0)
    sent = ports.grown(*SENT) - ports.grown(*SENT, span=Span.PROVOKED)
    return _ratio(lost, np.where(sent > 0, sent, np.nan)) * np.isfinite(sent)


def _finding(ports: Ports, port: int, lost: float, ratio: float) -> Finding:
    return Finding(
        detector=ID,
        severity=Severity.DEGRADES,
        confidence=Confidence.HIGH if np.isfinite(ratio) else Confidence.MEDIUM,
        subjects=(ports.subject(port),),
        hosts=(),
        summary=f"loses {lost:,.0f} packets of RDMA in loads of many to one although it is told to stop: too little "
        f"headroom on the way, or {ports.host(port)} does not heed pauses",
        facts=(
            Fact(
                metric=f"{ports.subject(port)} packets lost ({Span.PROVOKED})",
                observed=f"{lost:,.0f}" + (f", {fine_percent(min(ratio, 1.0))}" if np.isfinite(ratio) else ""),
                expected=f"below {fine_percent(ports.limits.rdma_loss_ratio)}",
                basis="limit rdma_loss_ratio; NAKs and timeouts",
            ),
            *grown_facts(ports, port, PAUSE_RECEIVED, span=Span.PROVOKED),
            *(
                (count_fact(ports, port, Meaning.CNP_HANDLED, expected="–", span=Span.PROVOKED),)
                if ports.table.grown(Meaning.CNP_HANDLED, Span.PROVOKED)[port] > 0
                else ()
            ),
        ),
        excluded=(
            "a hop without flow control (it is told to stop)",
            "damage (nothing arrived damaged)",
            "loss at any load (other stages do not lose as much)",
        ),
        next_action=f"compare headroom, buffers and cable length set for {ports.leaf_port(port)} and the port of the "
        "hot receiver with those of ports of that rate, and look at drops by priority group",
        retest=check_again([ports.host(port)], ports, extra=4),
    )


def _not_exercised(ports: Ports) -> Gap:
    counted = np.isfinite(ports.grown(*PAUSE_RECEIVED, *PAUSE_SENT, *MARKS, span=Span.PROVOKED))[ports.carries_roce]
    if not counted.any():
        return Gap(
            topic=ID,
            reason="losslessness was not judged: nobody counts pauses or marks of the ports that carried the incast",
            remedy="the counters of the switch ports",
        )
    wanted = f" on priority {', '.join(map(str, ports.lossless))}" if ports.lossless else ""
    return Gap(
        topic=ID,
        reason=f"losslessness was not exercised: many sent to one, and no port was told to stop{wanted}, nor marked",
        remedy="netprobe run incast with more hosts; or MPI went over another network than RDMA",
    )


DETECTOR = Detector(
    id=ID,
    title="packets lost under an incast although senders are paused",
    cause="""What is on the way when a pause is sent has to fit into a buffer that is kept for it. Where that headroom
    is too small for the cable, the rate and the MTU, or the sender stops too late, it is dropped: the fabric pauses
    and loses all the same.""",
    evidence="""In the stages that load the fabric on purpose (incast, victim, loaded latency and the like) a sender is
    told to stop, on a priority that is to be lossless where hosts tell which, and loses loss_floor_segments and
    rdma_loss_ratio, ten times the share that it loses in all other stages, with nothing damaged. The same losses
    without a pause are pfc-missing's. Where nothing was paused or marked in these stages, losslessness was not
    exercised, and that is said.""",
    remedy="""Headroom (xoff to xon, and what is reserved behind it) of the switch ports that are named, by cable length
    and rate; `show priority-group`, `mlnx_qos -i DEVICE`. `netprobe explain pfc-missing`.""",
    limits=("rdma_loss_ratio", "loss_floor_segments"),
    detect=detect,
)
