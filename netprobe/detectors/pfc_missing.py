"""Hops that lose under load since flow control is not in force there: no pause comes, or it is not heeded.

Does not handle: which switch on a longer way it is; and losses in rounds of two hosts alone, where no queue fills.
"""

import math
from collections.abc import Iterator
from typing import Final

import numpy as np

from netprobe.contracts import Detector
from netprobe.detectors._pause import WHAT, received_uncounted
from netprobe.detectors._ports import (
    BoolArray,
    FloatArray,
    Ports,
    check_again,
    count_fact,
    fine_percent,
    grown_facts,
    not_counted,
    priorities,
)
from netprobe.detectors._rdma import RdmaCase, are_accounted_for, bad_receivers, lost_alone, rdma_case, sent_alone
from netprobe.detectors._signatures import LOSS_SEEN_BY_SENDER, PAUSE_RECEIVED, PAUSE_SENT, shows
from netprobe.detectors._words import listed
from netprobe.locate.placement import placement_of
from netprobe.model.evidence import Evidence
from netprobe.model.finding import Confidence, Fact, Finding, Gap, Severity
from netprobe.model.limits import Limits
from netprobe.model.meaning import Meaning

ID = "pfc-missing"
CONGESTION: Final = (*PAUSE_RECEIVED, *PAUSE_SENT, Meaning.ECN_MARKED, Meaning.CNP_SENT, Meaning.CNP_HANDLED)
LINK_FIRST: Final = "rule out a bad link first, by netprobe check or by the errors that the switch port counts; then "


def detect(evidence: Evidence, limits: Limits) -> Iterator[Finding | Gap]:
    """Name hops without flow control; say when nothing was congested enough to tell."""
    ports = Ports(evidence=evidence, limits=limits)
    case = rdma_case(evidence, limits, placement_of(evidence.ranks))
    lost = _lost_under_load(ports, case)
    loses = ports.carries_roce & (lost >= limits.loss_floor_segments)
    ratio = _ratio(ports, case, lost)
    loses &= ratio >= limits.rdma_loss_ratio
    bad = bad_receivers(case)
    if loses.any() and are_accounted_for(case, float(lost.sum()), bad):
        yield _explained(ports, bad, float(lost.sum()))
        loses[:] = False
    unpaused = loses & shows("F23", ports.table) & ~received_uncounted(ports)
    unheeded = ports.carries_roce & shows("F23 receiver", ports.table)
    dropped = _dropped_though_paused(ports)
    unheeded &= np.fmin(dropped, ports.grown(Meaning.PORT_DISCARD)) >= limits.loss_floor_segments
    for port in np.flatnonzero(unpaused).tolist():
        yield _unpaused(ports, port, float(lost[port]), float(ratio[port]))
    for port in np.flatnonzero(unheeded).tolist():
        yield _unheeded(ports, port, float(dropped[port]))
    paused = loses & shows("F28", ports.table) & ~unheeded
    hardly = paused & (ports.paused(Meaning.PAUSE_RECEIVED_TIME, Meaning.PAUSE_RECEIVED) < limits.pause_share_ratio)
    if not _has_rounds(ports) and hardly.any():
        yield _link_or_hop(ports, np.flatnonzero(hardly).tolist(), float(lost[hardly].sum()))
        paused &= ~hardly
    for port in np.flatnonzero(paused).tolist():
        yield _no_headroom(ports, port, float(lost[port]), float(ratio[port]))
    yield from _not_exercised(ports)


def _has_rounds(ports: Ports) -> bool:
    """Return whether it is known what two hosts alone lose; who only reads counters of others does not know."""
    return bool(ports.table.pairs.stage)


def _link_or_hop(ports: Ports, at: list[int], lost: float) -> Gap:
    subjects = listed(ports.subject(port) for port in at)
    return Gap(
        topic=ID,
        reason=f"{lost:,.0f} packets of RDMA were lost on the way from {subjects}, hardly ever told to stop: a bad "
        "link or a hop without flow control, which rounds of two hosts alone would tell apart",
        remedy="netprobe check, or counters of the switch ports they are plugged into",
        undermines=True,
    )


def _explained(ports: Ports, bad: BoolArray, lost: float) -> Gap:
    where = listed(ports.subject(port) for port in np.flatnonzero(bad).tolist())
    return Gap(
        topic=ID,
        reason=f"whether a hop lacks flow control cannot be told: {lost:,.0f} packets were lost under load, and as "
        f"many went missing at ports that lose or reorder without load as well ({where})",
        remedy="mend those first, then the same again",
    )


def _lost_under_load(ports: Ports, case: RdmaCase) -> FloatArray:
    """Return what each port lost on sending, without what it loses when two hosts are alone."""
    seen = np.nansum(np.stack([ports.table.grown(each) for each in LOSS_SEEN_BY_SENDER]), axis=0)
    lost: FloatArray = np.maximum(seen - lost_alone(case), 0.0)
    return lost


def _ratio(ports: Ports, case: RdmaCase, lost: FloatArray) -> FloatArray:
    """Return the share that was lost of what each port sent while others sent too, as far as that is known."""
    sent = ports.grown(Meaning.RDMA_SENT_PACKETS, Meaning.WIRE_SENT_PACKETS)
    loaded = sent - sent_alone(case)
    sent = np.where(loaded > 0, loaded, sent)
    ratio: FloatArray = np.where(np.isfinite(sent), lost / np.maximum(sent, 1.0), np.where(lost > 0, np.inf, 0.0))
    return ratio


def _unpaused(ports: Ports, port: int, lost: float, ratio: float) -> Finding:
    is_paused = ports.table.is_rdma & (ports.grown(*PAUSE_RECEIVED) > 0)
    paused = [each for each in np.flatnonzero(is_paused).tolist() if each != port]
    return Finding(
        detector=ID,
        severity=Severity.DEGRADES,
        confidence=Confidence.HIGH if len(paused) > 1 and _has_rounds(ports) else Confidence.MEDIUM,
        subjects=(ports.subject(port),),
        hosts=(ports.host(port),),
        summary=f"loses {lost:,.0f} packets of RDMA under load and is never told to stop, while others are "
        f"({listed(ports.subject(each) for each in paused)}): "
        f"{ports.leaf_port(port)} does no flow control",
        facts=(
            _lost_fact(ports, port, lost, ratio),
            _told_to_stop(ports, port, "as the others"),
            *grown_facts(ports, paused[0], PAUSE_RECEIVED[:1]),
        ),
        excluded=(
            "the optic and cable at its end (nothing damaged)",
            *(("loss at any load (rounds of two hosts do not lose as much)",) if _has_rounds(ports) else ()),
            "too little headroom (it is never told to stop)",
        ),
        next_action=f"{'' if _has_rounds(ports) else LINK_FIRST}compare PFC, trust and the map of DSCP to queues of "
        f"{ports.leaf_port(port)} with those of {ports.leaf_port(paused[0])}",
        retest=check_again([ports.host(port)], ports, extra=4),
    )


def _dropped_though_paused(ports: Ports) -> FloatArray:
    """Return how many packets each port dropped in priorities that it pauses; NaN where priorities are not told."""
    dropped = ports.table.by_priority(Meaning.PORT_DISCARD)
    is_paused = np.any([ports.table.by_priority(each) > 0 for each in PAUSE_SENT], axis=0)
    is_told = (dropped > 0).any(axis=1) & is_paused.any(axis=1)
    of_paused: FloatArray = np.where(is_told, np.nansum(np.where(is_paused, dropped, 0.0), axis=1), np.nan)
    return of_paused


def _unheeded(ports: Ports, port: int, dropped: float) -> Finding:
    """Name a port that drops what it asks to pause; ``dropped`` is NaN where priorities are not told."""
    is_told = math.isfinite(dropped)
    paused = np.fmax.reduce([ports.table.by_priority(each)[port] for each in PAUSE_SENT])
    asked = listed(str(each) for each in priorities(paused))
    count = dropped if is_told else float(ports.grown(Meaning.PORT_DISCARD)[port])
    return Finding(
        detector=ID,
        severity=Severity.DEGRADES,
        confidence=Confidence.HIGH if is_told else Confidence.MEDIUM,
        subjects=(ports.subject(port),),
        hosts=(ports.host(port),) if is_told else (),
        summary=f"drops {count:,.0f} packets that it receives although it asks for pauses"
        f"{f' in priority {asked}' if is_told else ''}: {ports.leaf_port(port)} does not heed them"
        f"{'' if is_told else ', or they are of another priority'}",
        facts=(
            count_fact(ports, port, Meaning.PORT_DISCARD),
            *grown_facts(ports, port, PAUSE_SENT),
        ),
        excluded=("a host that asks for no pauses (it does)",),
        next_action=f"look whether {ports.leaf_port(port)} has PFC on for the priority that the host pauses, and "
        "counts these pauses as received",
        retest=check_again([ports.host(port)], ports, extra=4),
    )


def _no_headroom(ports: Ports, port: int, lost: float, ratio: float) -> Finding:
    return Finding(
        detector=ID,
        severity=Severity.DEGRADES,
        confidence=Confidence.MEDIUM if _has_rounds(ports) else Confidence.LOW,
        subjects=(ports.subject(port),),
        hosts=(),
        summary=f"loses {lost:,.0f} packets of RDMA under load although it is told to stop: too little headroom on the "
        f"way, or {ports.host(port)} does not heed pauses",
        facts=(_lost_fact(ports, port, lost, ratio), *grown_facts(ports, port, PAUSE_RECEIVED)),
        excluded=("a hop without flow control (it is told to stop)", "damage (nothing arrived damaged)"),
        next_action=f"compare headroom, buffers and cable length set for {ports.leaf_port(port)} with those of ports "
        "of that rate, and look at its drops by priority group; if it has none, at PFC of the host",
        retest=check_again([ports.host(port)], ports, extra=4),
    )


def _lost_fact(ports: Ports, port: int, lost: float, ratio: float) -> Fact:
    return Fact(
        metric=f"{ports.subject(port)} packets lost under load",
        observed=f"{lost:,.0f}, {fine_percent(min(ratio, 1.0))}",
        expected=f"below {fine_percent(ports.limits.rdma_loss_ratio)}",
        basis="limit rdma_loss_ratio; NAKs and timeouts, and what was sent, less those of rounds of two hosts",
    )


def _told_to_stop(ports: Ports, port: int, expected: str) -> Fact:
    frames, time = Meaning.PAUSE_RECEIVED, Meaning.PAUSE_RECEIVED_TIME
    counted = frames if np.isfinite(ports.grown(frames)[port]) else time
    return count_fact(ports, port, counted, expected=expected)


def _not_exercised(ports: Ports) -> Iterator[Gap]:
    if (gap := not_counted(ports, ID, WHAT, received_uncounted(ports), ports.carries_roce)) is not None:
        yield gap
        return
    if ports.carries_roce.any() and not _any_rise(ports, ports.carries_roce):
        yield Gap(
            topic=ID,
            reason="flow control and congestion control were not exercised: no port was told to stop, or marked",
            remedy="netprobe check with more hosts or --profile nightly: all-to-all fills queues",
        )


def _any_rise(ports: Ports, chosen: BoolArray) -> bool:
    return bool((ports.grown(*CONGESTION)[chosen] > 0).any())


DETECTOR = Detector(
    id=ID,
    title="a hop that drops under load since flow control is not in force",
    cause="""One port of a switch lacks PFC, or has it for another priority, after a change or a replacement: as long
    as no queue fills nothing is wrong, and under load it drops while all others pause. Or it has PFC and does not
    heed what the host sends. Or pauses come too late, for the buffer that has to hold what is on the way is too
    small.""",
    evidence="""Losses under load that rounds of two hosts do not show. A sender that loses and is never told to stop,
    while others are, is behind a port without flow control; one that is told to stop and loses all the same points to
    headroom; a receiver that drops in a priority that it asks to pause, to a port that does not heed that. Losses count
    from rdma_loss_ratio and loss_floor_segments on. When nobody was told to stop and nothing marked, nothing was
    tested, and that is said. How hosts have PFC set is config-drift's.""",
    remedy="""Compare the configuration of the switch port that is named with its neighbours': PFC, trust, the map of
    DSCP to queues, the buffer profile. On hosts: `dcb pfc show dev DEVICE`, `mlnx_qos -i DEVICE`.""",
    limits=("rdma_loss_ratio", "loss_floor_segments"),
    detect=detect,
)
