"""RDMA that rides where nothing protects it, and pauses on a priority that carries no RDMA, or on all."""

from collections.abc import Iterator, Sequence
from typing import Final

import numpy as np

from netprobe.contracts import Detector
from netprobe.detectors._ports import (
    BoolArray,
    FloatArray,
    Ports,
    any_of,
    check_again,
    fine_percent,
    priorities,
    priorities_untold,
)
from netprobe.detectors._signatures import LOSS_SEEN_BY_SENDER
from netprobe.detectors._words import is_common, listed
from netprobe.model.evidence import Evidence
from netprobe.model.finding import Confidence, Fact, Finding, Gap, Severity
from netprobe.model.limits import Limits
from netprobe.model.meaning import Meaning

ID = "pfc-wrong-priority"
SHARED: Final = "many ports"
IDLE_SHARE: Final = 0.01  # of a port's bytes: a priority with less carries no RDMA
LEAST_BYTES: Final = 1e7  # of a port under load: name resolution, LLDP and logins move less, and one probe moves more


def detect(evidence: Evidence, limits: Limits) -> Iterator[Finding | Gap]:
    """Name ports that send RDMA outside the lossless priorities, and pauses that protect nothing."""
    ports = Ports(evidence=evidence, limits=limits)
    outside = ports.share_outside(Meaning.WIRE_SENT_BYTES)
    astray = ports.carries_roce & _moves_rdma(ports) & (outside >= limits.misplaced_ratio)
    at = np.flatnonzero(astray).tolist()
    if is_common(len(at), int(ports.carries_roce.sum())):
        yield _shared(ports, at, outside)
    else:
        for port in at:
            yield _astray(ports, port, float(outside[port]))
    for meaning in (Meaning.PAUSE_SENT, Meaning.PAUSE_RECEIVED):
        yield from _idle_priorities(ports, meaning)
    for port in np.flatnonzero(_pauses_all(ports)).tolist():
        yield _global(ports, port)
    if (gap := priorities_untold(ports, ID, Meaning.WIRE_SENT_BYTES)) is not None:
        yield gap


def _moves_rdma(ports: Ports) -> BoolArray:
    """Return which busy ports sent more with RDMA than can be told from the rest; where that is not counted, all."""
    rdma = ports.grown(Meaning.RDMA_SENT_BYTES)
    wire = np.nansum(ports.table.by_priority(Meaning.WIRE_SENT_BYTES), axis=1)
    moves: BoolArray = (wire >= LEAST_BYTES) & (np.isnan(rdma) | (rdma > 0.5 * wire))
    return moves


def _severity(ports: Ports, at: Sequence[int]) -> Severity:
    """Return what it costs: as long as nothing is lost it only waits to happen."""
    lost = np.nansum(np.stack([ports.table.grown(each) for each in LOSS_SEEN_BY_SENDER]), axis=0)
    return Severity.DEGRADES if lost[list(at)].sum() >= ports.limits.loss_floor_segments else Severity.WARNS


def _lossless(ports: Ports) -> str:
    return f"lossless priority {', '.join(map(str, ports.lossless))}"


def _astray(ports: Ports, port: int, outside: float) -> Finding:
    severity = _severity(ports, [port])
    sent = ports.table.by_priority(Meaning.WIRE_SENT_BYTES)[port]
    return Finding(
        detector=ID,
        severity=severity,
        confidence=Confidence.HIGH,
        subjects=(ports.subject(port),),
        hosts=(ports.host(port),) if severity is not Severity.WARNS else (),
        summary=f"sends {fine_percent(outside)} of its bytes outside the {_lossless(ports)}, mostly in priority "
        f"{int(np.nanargmax(sent))}",
        facts=(_outside_fact(ports, ports.subject(port), outside), *_loss_facts(ports, port)),
        excluded=("other traffic (most of the bytes are RDMA's, or not told apart)",),
        next_action=_next_action(ports, port),
        retest=check_again([ports.host(port)], ports),
    )


def _outside_fact(ports: Ports, who: str, outside: float) -> Fact:
    return Fact(
        metric=f"{who}, bytes sent outside the {_lossless(ports)}",
        observed=fine_percent(outside),
        expected=f"below {fine_percent(ports.limits.misplaced_ratio)}",
        basis="limit misplaced_ratio; bytes by priority under load, PFC as most hosts have it set",
    )


def _loss_facts(ports: Ports, port: int) -> Iterator[Fact]:
    for meaning in LOSS_SEEN_BY_SENDER:
        if (value := ports.table.grown(meaning)[port]) > 0:
            yield Fact(
                metric=f"{ports.subject(port)} {meaning}", observed=f"{value:,.0f}", expected="0", basis="the NIC"
            )


def _next_action(ports: Ports, port: int) -> str:
    device = ports.interface(port)
    return (
        f"on {ports.host(port)} compare trust and the map of DSCP to priorities (dcb app show dev {device}, mlnx_qos "
        f"-i {device}) and the library's traffic class (UCX_IB_TRAFFIC_CLASS, NCCL_IB_TC) with a good host"
    )


def _shared(ports: Ports, at: Sequence[int], outside: FloatArray) -> Finding:
    middle = float(np.median(outside[list(at)]))
    return Finding(
        detector=ID,
        severity=_severity(ports, at),
        confidence=Confidence.HIGH,
        subjects=(SHARED,),
        hosts=(),
        summary=f"{len(at)} of {int(ports.carries_roce.sum())} ports send outside the {_lossless(ports)}, "
        f"{fine_percent(middle)} of their bytes in the middle ({listed(any_of(ports, at))}): no traffic class is set",
        facts=(_outside_fact(ports, "the median of these ports", middle),),
        excluded=("a single host (many do it)",),
        next_action="set the traffic class of the library (UCX_IB_TRAFFIC_CLASS, NCCL_IB_TC) to the DSCP of the "
        "lossless class; the job that follows needs the same",
        retest="netprobe check",
    )


def _idle_priorities(ports: Ports, meaning: Meaning) -> Iterator[Finding]:
    """Yield pauses on priorities in which a port carries next to nothing that way, while most rides in one without."""
    sent = meaning is Meaning.PAUSE_SENT
    carried = ports.table.by_priority(Meaning.WIRE_RECEIVED_BYTES if sent else Meaning.WIRE_SENT_BYTES)
    share = carried / np.maximum(np.nansum(carried, axis=1), 1.0)[:, np.newaxis]
    frames = ports.table.by_priority(meaning)
    busiest = np.argmax(np.nan_to_num(carried), axis=1)[:, np.newaxis]
    is_busy = np.take_along_axis(carried, busiest, axis=1) >= LEAST_BYTES
    is_unpaused = ~(np.take_along_axis(frames, busiest, axis=1) > 0)
    idle = np.where((frames > 0) & (share < IDLE_SHARE) & is_busy & is_unpaused, frames, 0.0)
    for port in np.flatnonzero(idle.any(axis=1) & ports.carries_roce).tolist():
        yield _idle_priority(ports, port, idle[port], carried[port], sent=sent)


def _idle_priority(ports: Ports, port: int, idle: FloatArray, carried: FloatArray, *, sent: bool) -> Finding:
    paused = ", ".join(map(str, priorities(idle)))
    busiest = int(np.nanargmax(carried))
    what = "asks for pauses" if sent else "is told to stop"
    return Finding(
        detector=ID,
        severity=Severity.WARNS,
        confidence=Confidence.HIGH,
        subjects=(ports.subject(port),) if sent else (ports.leaf_port(port),),
        hosts=(),
        summary=f"{'' if sent else f'{ports.subject(port)} '}{what} in priority {paused}, where it carries nothing; "
        f"its bytes ride in priority {busiest}, unprotected",
        facts=(
            Fact(
                metric=f"{ports.subject(port)}, pauses {'sent' if sent else 'received'} in priority {paused}",
                observed=f"{idle.sum():,.0f}",
                expected=f"in priority {busiest}",
                basis="pauses and bytes by priority, in the same time",
            ),
        ),
        excluded=("congestion of RDMA (it is another priority)",),
        next_action=f"align PFC of {ports.subject(port)} and {ports.leaf_port(port)} with the priority of RDMA",
        retest=check_again([ports.host(port)], ports),
    )


def _pauses_all(ports: Ports) -> BoolArray:
    """Return the ports that have global pause on, no PFC, and pauses."""
    frames = ports.grown(Meaning.PAUSE_RECEIVED, Meaning.PAUSE_SENT) > 0
    by_priority = np.nansum(ports.table.by_priority(Meaning.PAUSE_RECEIVED), axis=1)
    by_priority = by_priority + np.nansum(ports.table.by_priority(Meaning.PAUSE_SENT), axis=1)
    devices = [ports.device(port) for port in range(len(frames))]
    is_global = [bool(each and (each.pause_receives or each.pause_sends)) for each in devices]
    has_pfc = [bool(each and each.qos and any(each.qos.pfc_enabled or ())) for each in devices]
    found: BoolArray = (
        frames & (by_priority == 0) & np.array(is_global, dtype=np.bool_) & ~np.array(has_pfc, dtype=np.bool_)
    ) & ports.carries_roce
    return found


def _global(ports: Ports, port: int) -> Finding:
    frames = ports.grown(Meaning.PAUSE_RECEIVED, Meaning.PAUSE_SENT)[port]
    return Finding(
        detector=ID,
        severity=Severity.WARNS,
        confidence=Confidence.HIGH,
        subjects=(ports.subject(port),),
        hosts=(),
        summary="stops all traffic instead of one priority: global pause is on, and PFC is off",
        facts=(
            Fact(
                metric=f"{ports.subject(port)}, global pauses",
                observed=f"{frames:,.0f}",
                expected="0; PFC instead",
                basis="counters of the NIC; ethtool -a",
            ),
        ),
        excluded=("PFC (it is off, and counts nothing)",),
        next_action=f"ethtool -A {ports.interface(port)} rx off tx off, then PFC as on others",
        retest=check_again([ports.host(port)], ports),
    )


DETECTOR = Detector(
    id=ID,
    title="RDMA without flow control, or pauses in another priority",
    cause="""Which queue a packet rides in is decided by its DSCP, by what host and switches trust, and by their maps;
    any of them can differ after a reboot (settings of `mlnx_qos` are lost) or a change. Then RDMA rides unprotected
    in priority 0: nothing is wrong until a queue fills. Or PFC is on for a priority that carries nothing, or the port
    stops everything (global pause).""",
    evidence="""Bytes by priority under load, against the priorities for which most hosts have PFC on: named from
    misplaced_ratio outside of them. This needs no congestion. As long as fewer than loss_floor_segments packets are
    lost it is a warning. Pauses in a priority in which the port carries nothing, and global pauses where PFC is off,
    are warnings as well. A port that carried next to nothing is left alone: an idle rail is told to stop too when its
    leaf is congested.""",
    remedy="""One way: DSCP from the library (UCX_IB_TRAFFIC_CLASS or NCCL_IB_TC is DSCP * 4), trust DSCP on hosts and
    switches, the same map and the same PFC mask on both ends of every link. `netprobe config` compares the hosts.""",
    limits=("misplaced_ratio", "loss_floor_segments"),
    detect=detect,
)
