"""Congestion control that is not in force: nothing is marked, marks are not answered, or answers are not heeded.

Does not handle: control that is in force and badly tuned; it looks like a slow fabric.
"""

from collections.abc import Iterator
from typing import Final

import numpy as np

from netprobe.contracts import Detector
from netprobe.detectors._pause import received_share
from netprobe.detectors._ports import (
    BoolArray,
    Ports,
    any_of,
    check_again,
    count_fact,
    fine_percent,
    not_counted,
    share_fact,
    uncounted,
)
from netprobe.detectors._signatures import shows
from netprobe.detectors._words import listed
from netprobe.model.evidence import Evidence
from netprobe.model.finding import Confidence, Fact, Finding, Gap, Severity
from netprobe.model.inventory import EcnSettings
from netprobe.model.limits import Limits
from netprobe.model.meaning import Meaning

ID = "ecn-inactive"
FABRIC: Final = "fabric"
WHAT: Final = "packets that are marked, and notifications of congestion"
MEANINGS: Final = (Meaning.ECN_MARKED, Meaning.CNP_SENT)


def detect(evidence: Evidence, limits: Limits) -> Iterator[Finding | Gap]:
    """Tell which of the three parts of congestion control is missing, and where."""
    ports = Ports(evidence=evidence, limits=limits)
    if _is_off_by_design(ports):
        return
    told = ports.carries_roce & ~uncounted(ports, MEANINGS)
    paused = told & shows("F26", ports.table) & (received_share(ports) >= limits.pause_share_ratio)
    if paused.any() and ports.moves_nothing()[told].all():
        yield _not_exercised(ports, paused)
    elif paused.any():
        yield _unmarked(ports, paused)
    is_marked = ports.grown(Meaning.ECN_MARKED) >= limits.ecn_mark_floor
    silent = told & shows("F25 NP off", ports.table) & is_marked & ~uncounted(ports, (Meaning.CNP_SENT,))
    for port in np.flatnonzero(silent).tolist():
        yield _unanswered(ports, port)
    is_told = ports.grown(Meaning.CNP_IGNORED) >= limits.ecn_mark_floor
    heedless = ports.carries_roce & shows("F25 RP off", ports.table) & is_told
    for port in np.flatnonzero(heedless).tolist():
        yield _unheeded(ports, port)
    if (gap := not_counted(ports, ID, WHAT, uncounted(ports, MEANINGS), ports.carries_roce)) is not None:
        yield gap


def _settings(ports: Ports) -> list[EcnSettings]:
    devices = (ports.device(port) for port in np.flatnonzero(ports.carries_roce).tolist())
    return [device.ecn for device in devices if device is not None and device.ecn is not None]


def _is_off_by_design(ports: Ports) -> bool:
    """Return whether every host that tells has it off: some fleets rely on pauses alone, and know it."""
    told = _settings(ports)
    return bool(told) and all(each is False for ecn in told for each in (*ecn.notification_point, *ecn.reaction_point))


def _unmarked(ports: Ports, paused: BoolArray) -> Finding:
    at = np.flatnonzero(paused).tolist()
    share = received_share(ports)
    worst = max(at, key=lambda port: share[port])
    leaves = {ports.leaf_name(port) for port in at}
    leaf = next(iter(leaves)) if len(leaves) == 1 else None
    return Finding(
        detector=ID,
        severity=Severity.WARNS,
        confidence=Confidence.MEDIUM,
        subjects=(FABRIC if leaf is None else f"leaf {leaf}",),
        hosts=(),
        summary=f"switches do not mark: {len(at)} {'ports are' if len(at) > 1 else 'port is'} told to stop up to "
        f"{fine_percent(float(share[worst]))} of the time ({listed(any_of(ports, at))}), and nothing is marked",
        facts=(
            share_fact(
                f"{ports.subject(worst)} is told to stop",
                float(share[worst]),
                limit=ports.limits.pause_share_ratio,
                basis="limit pause_share_ratio, of the time under load",
            ),
            Fact(
                metric="packets that were marked, on all ports",
                observed="0",
                expected="more than 0 before pauses",
                basis="counters of the NICs",
            ),
        ),
        excluded=("one receiver that does not answer (none is marked)",),
        next_action="look at ECN (WRED) of their lossless queue: on, with a threshold below that of PFC",
        retest="netprobe check",
    )


def _not_exercised(ports: Ports, paused: BoolArray) -> Gap:
    where = listed(ports.subject(port) for port in np.flatnonzero(paused).tolist())
    return Gap(
        topic=ID,
        reason=f"whether switches mark was not exercised: ports were told to stop ({where}), and no packets moved that "
        "could have been marked",
        remedy="the same while a job runs, or netprobe check",
    )


def _unanswered(ports: Ports, port: int) -> Finding:
    answers = int((ports.grown(Meaning.CNP_SENT)[ports.carries_roce] > 0).sum())
    return Finding(
        detector=ID,
        severity=Severity.DEGRADES,
        confidence=Confidence.HIGH if answers else Confidence.MEDIUM,
        subjects=(ports.subject(port),),
        hosts=(ports.host(port),) if answers else (),
        summary=f"does not answer marked packets: {ports.grown(Meaning.ECN_MARKED)[port]:,.0f} arrived, and it sent no "
        "notification, so that nobody slows down towards it",
        facts=(
            count_fact(ports, port, Meaning.ECN_MARKED, expected="–"),
            count_fact(ports, port, Meaning.CNP_SENT, expected=f"more than 0, as on {answers} other ports"),
            *_setting(ports, port, "notification_point"),
        ),
        excluded=("switches that do not mark (packets are marked)",),
        next_action=f"turn the notification point on (echo 1 > /sys/class/net/{ports.interface(port)}"
        f"/ecn/roce_np/enable/PRIORITY, or mlxconfig) on {ports.host(port)}, and so that it lasts a reboot",
        retest=check_again([ports.host(port)], ports, extra=4),
    )


def _unheeded(ports: Ports, port: int) -> Finding:
    heeding = int((ports.grown(Meaning.CNP_HANDLED)[ports.carries_roce] > 0).sum())
    return Finding(
        detector=ID,
        severity=Severity.DEGRADES,
        confidence=Confidence.HIGH if heeding else Confidence.MEDIUM,
        subjects=(ports.subject(port),),
        hosts=(ports.host(port),) if heeding else (),
        summary=f"does not slow down when it is told to: ignored {ports.grown(Meaning.CNP_IGNORED)[port]:,.0f} "
        "notifications of congestion and handled none, so that it takes more than its share",
        facts=(
            count_fact(ports, port, Meaning.CNP_IGNORED),
            Fact(
                metric=f"{ports.subject(port)} {Meaning.CNP_HANDLED}",
                observed="0" if ports.grown(Meaning.CNP_HANDLED)[port] == 0 else "not counted",
                expected=f"more than 0, as on {heeding} other ports",
                basis="counters of the NIC",
            ),
            *_setting(ports, port, "reaction_point"),
        ),
        excluded=("receivers that do not answer (notifications arrive)",),
        next_action=f"turn the reaction point on (echo 1 > /sys/class/net/{ports.interface(port)}"
        f"/ecn/roce_rp/enable/PRIORITY, or mlxconfig) on {ports.host(port)}, and so that it lasts a reboot",
        retest=check_again([ports.host(port)], ports, extra=4),
    )


def _setting(ports: Ports, port: int, name: str) -> Iterator[Fact]:
    """Tell what is set, where that explains it."""
    device = ports.device(port)
    if device is None or device.ecn is None:
        return
    by_priority: tuple[bool | None, ...] = getattr(device.ecn, name)
    off = [str(index) for index, is_on in enumerate(by_priority) if is_on is False]
    if off:
        yield Fact(
            metric=f"{ports.subject(port)} {name.replace('_', ' ')}",
            observed=f"off for priority {', '.join(off)}",
            expected="on for the lossless priorities",
            basis=device.ecn.origin,
        )


DETECTOR = Detector(
    id=ID,
    title="congestion control that is not in force",
    cause="""Three parts have to work together: switches mark packets when a queue grows, receivers answer marks with
    notifications (NP), senders slow down (RP, DCQCN). If one is off, pauses alone carry the load: they stop everybody
    behind a port, not just who fills the queue; or one sender takes more than its share.""",
    evidence="""Under load, at ports that count it: pauses for pause_share_ratio of the time and not one mark
    anywhere: the switches do not mark, a warning. From ecn_mark_floor on, marks at a port that sends no notification:
    its NP is off; or notifications ignored and none handled: its RP is off. The host is to be left out only where
    other ports do what it does not. Where every host has all of it switched off, that is taken for intent.""",
    remedy="""On hosts: `/sys/class/net/DEVICE/ecn/roce_np` and `roce_rp`, `mlxconfig` (ROCE_CC_PRIO_MASK); it must
    outlive a reboot. On switches: ECN of the lossless queue, with a threshold well below that of PFC. The notifications
    need a queue of their own.""",
    limits=("pause_share_ratio", "ecn_mark_floor"),
    detect=detect,
)
