"""Pauses without a reason: sent while nothing runs, or for so long that a watchdog steps in, or never lifted."""

from collections.abc import Iterator
from typing import Final

import numpy as np

from netprobe.contracts import Detector
from netprobe.detectors._pause import (
    asks_at_idle,
    received_share,
    rises_over,
    sent_share,
    sent_uncounted,
    sent_untold,
    storms,
)
from netprobe.detectors._ports import (
    RECEIVED_BYTES,
    BoolArray,
    Ports,
    check_again,
    fine_percent,
    grown_facts,
    share_fact,
)
from netprobe.detectors._signatures import PAUSE_RECEIVED, shows
from netprobe.detectors._words import listed
from netprobe.model.evidence import Evidence
from netprobe.model.finding import Confidence, Fact, Finding, Gap, Severity
from netprobe.model.limits import Limits
from netprobe.model.meaning import Meaning
from netprobe.model.ports import Span
from netprobe.units import format_gbps

ID = "pause-storm"
FABRIC: Final = "fabric"
IDLE: Final = ((Span.IDLE_BEFORE, "F31"), (Span.IDLE_AFTER, "F31 after"), (Span.QUIET, "F31 quiet"))
WHEN: Final = {
    Span.IDLE_BEFORE: "nothing runs (before the run)",
    Span.IDLE_AFTER: "nothing runs (after the run)",
    Span.QUIET: "it moves nothing (between readings)",
}
EVENTS: Final = (Meaning.PAUSE_STORM, Meaning.PAUSE_STORM_WARNING)
FEWEST_LOCKED: Final = 2  # a deadlock is a circle


def detect(evidence: Evidence, limits: Limits) -> Iterator[Finding | Gap]:
    """Name ports that send pauses at idle or in a storm; tell of ports that are held though nobody holds them."""
    ports = Ports(evidence=evidence, limits=limits)
    at_idle = np.zeros(len(ports.table.host), dtype=np.bool_)
    for span, fault in IDLE:
        asks = shows(fault, ports.table) & storms(ports, span)
        for port in np.flatnonzero(asks & ~at_idle).tolist():
            yield _idle(ports, port, span)
        at_idle |= asks
    stormed = (ports.grown(*EVENTS) > 0) & ~at_idle
    for port in np.flatnonzero(stormed).tolist():
        yield _watchdog(ports, port)
    if not (at_idle | stormed).any():
        yield from _held(ports)
    yield from _not_seen(ports)


def _idle(ports: Ports, port: int, span: Span) -> Finding:
    share, used = float(sent_share(ports, span)[port]), float(ports.used(span)[port])
    is_timed = bool(ports.is_timed(Meaning.PAUSE_SENT_TIME, span)[port])
    is_idle = bool(np.isfinite(used) & np.isfinite(ports.grown(*RECEIVED_BYTES, span=span)[port]))
    when = WHEN[span] if is_idle else WHEN[span].replace("nothing runs", "netprobe runs nothing")
    others = rises_over(ports, PAUSE_RECEIVED, span)
    return Finding(
        detector=ID,
        severity=Severity.BLOCKS if is_timed else Severity.WARNS,
        confidence=Confidence.HIGH if is_timed and is_idle else Confidence.MEDIUM,
        subjects=(ports.subject(port),),
        hosts=(ports.host(port),) if is_timed else (),
        summary=f"asks others to stop {'' if is_timed else 'at most '}{fine_percent(share)} of the time while {when}",
        facts=(
            share_fact(
                f"{ports.subject(port)} asks others to stop ({span})",
                share,
                limit=ports.limits.pause_idle_ratio,
                basis="limit pause_idle_ratio",
                is_timed=is_timed,
            ),
            *grown_facts(ports, port, EVENTS),
            *(() if others is None else (others,)),
        ),
        excluded=(
            *((f"congestion (it moved {fine_percent(used)} of its rate)",) if is_idle else ()),
            "those who are told to stop (they are its victims)",
        ),
        next_action=("" if is_timed and is_idle else "see at the switch how long pauses last and what is sent; then ")
        + f"shut {ports.leaf_port(port)} first, then look into {ports.host(port)}: firmware of the NIC, a driver or "
        "GPU that hangs; start no job on its leaf before",
        retest=check_again([ports.host(port)], ports),
    )


def _watchdog(ports: Ports, port: int) -> Finding:
    is_error = bool(ports.grown(Meaning.PAUSE_STORM)[port] > 0)
    return Finding(
        detector=ID,
        severity=Severity.BLOCKS if is_error else Severity.WARNS,
        confidence=Confidence.HIGH,
        subjects=(ports.subject(port),),
        hosts=(ports.host(port),) if is_error else (),
        summary="its NIC asked others to stop for so long that its watchdog turned pauses off; drops follow"
        if is_error
        else "its NIC warned of asking others to stop for very long",
        facts=grown_facts(ports, port, (*EVENTS, Meaning.PORT_DISCARD)),
        excluded=("a moment of congestion (watchdogs wait for many milliseconds)",),
        next_action=f"look on {ports.host(port)} at what does not take data: a process or GPU that hangs, PCIe "
        "(lspci -vv), the driver's log; then at the firmware of the NIC",
        retest=check_again([ports.host(port)], ports),
    )


def _held(ports: Ports) -> Iterator[Finding]:
    """Tell of ports that are held while nothing runs, or without ever being let go."""
    locked = shows("F34", ports.table) & _held_at_idle(ports, Span.IDLE_AFTER) & ~ports.is_in_use(Span.IDLE_AFTER)
    is_asked = ports.carries_roce & ~sent_uncounted(ports, Span.IDLE_AFTER)
    if locked.any() and is_asked.any():
        yield _locked(ports, locked)
        return
    stuck = (ports.grown(Meaning.PAUSE_TRANSITIONS) == 0) & ports.carries_roce
    stuck &= ports.is_timed(Meaning.PAUSE_RECEIVED_TIME) & (received_share(ports) >= ports.limits.pause_block_ratio)
    for port in np.flatnonzero(stuck).tolist():
        yield _stuck(ports, port)


def _held_at_idle(ports: Ports, span: Span) -> BoolArray:
    held: BoolArray = ports.carries_roce & (received_share(ports, span) >= ports.limits.pause_idle_ratio)
    return held


def _locked(ports: Ports, locked: BoolArray) -> Finding:
    at = np.flatnonzero(locked).tolist()
    share, is_timed = (
        received_share(ports, Span.IDLE_AFTER),
        ports.is_timed(Meaning.PAUSE_RECEIVED_TIME, Span.IDLE_AFTER),
    )
    is_circle = len(at) >= FEWEST_LOCKED
    return Finding(
        detector=ID,
        severity=Severity.BLOCKS if is_timed[locked].any() else Severity.WARNS,
        confidence=Confidence.MEDIUM,
        subjects=(FABRIC if is_circle else ports.leaf_port(at[0]),),
        hosts=(),
        summary=f"{len(at)} {'ports are' if len(at) > 1 else 'port is'} told to stop after the run, though no host "
        f"that counts it asks for that ({listed(ports.subject(port) for port in at)}): "
        + ("a deadlock of flow control, or a host outside" if is_circle else "its switch port, or a host outside"),
        facts=tuple(
            share_fact(
                f"{ports.subject(port)} is told to stop ({Span.IDLE_AFTER})",
                float(share[port]),
                limit=ports.limits.pause_idle_ratio,
                basis="limit pause_idle_ratio",
                is_timed=bool(is_timed[port]),
            )
            for port in at[:4]
        ),
        excluded=("hosts of this run (none that counts it asks others to stop while idle)",),
        next_action="follow the pauses from switch to switch (show pfc counters) to the port that receives and sends "
        "none on; if they go round, reset those ports and look for a loop in the routes",
        retest="netprobe check",
    )


def _stuck(ports: Ports, port: int) -> Finding:
    return Finding(
        detector=ID,
        severity=Severity.BLOCKS,
        confidence=Confidence.MEDIUM,
        subjects=(ports.leaf_port(port),),
        hosts=(),
        summary=f"holds {ports.subject(port)} {fine_percent(float(received_share(ports)[port]))} of the time under "
        "load without ever letting it go",
        facts=(
            *grown_facts(ports, port, (Meaning.PAUSE_RECEIVED_TIME, Meaning.PAUSE_RECEIVED)),
            Fact(
                metric=f"{ports.subject(port)} {Meaning.PAUSE_TRANSITIONS}",
                observed="0",
                expected="one for each pause",
                basis="counters of the NIC",
            ),
        ),
        excluded=(f"{ports.subject(port)} (it is held)",),
        next_action="read pauses and the watchdog of that switch port (show pfcwd stats), and who sends pauses to it",
        retest=check_again([ports.host(port)], ports),
    )


def _not_seen(ports: Ports) -> Iterator[Gap]:
    spans = tuple(span for span, _ in IDLE if span in ports.table.spans)
    if not np.isfinite(ports.table.elapsed_ns(Span.QUIET))[ports.carries_roce].all():
        spans = tuple(span for span in spans if span is not Span.QUIET)
    if ports.carries_roce.any() and not spans:
        yield Gap(
            topic=ID,
            reason="counters were not read while nothing ran, and a storm under load looks like a slow receiver",
            remedy="a run to its end with this version of netprobe: it waits 2 s before and after",
        )
    yield from dict.fromkeys(
        gap for span in spans for gap in (*sent_untold(ports, ID, span), *_beside_others(ports, span))
    )


def _beside_others(ports: Ports, span: Span) -> Iterator[Gap]:
    """Yield which ports paused, or were held, in an idle time that was none for them."""
    doubtful = ports.is_in_use(span) & (asks_at_idle(ports, span) | _held_at_idle(ports, span))
    if not doubtful.any():
        return
    most_gbps = float(ports.moved_gbps(span)[doubtful].max())
    yield Gap(
        topic=ID,
        reason=f"somebody else's traffic ran in the idle time ({span}) at "
        f"{listed(ports.subject(port) for port in np.flatnonzero(doubtful).tolist())}, up to {format_gbps(most_gbps)}: "
        "pauses there may be its congestion, and a storm cannot be told",
        remedy="netprobe counters while no job, storage or copy uses these ports",
    )


DETECTOR = Detector(
    id=ID,
    title="pauses that nothing explains: a storm, or a deadlock",
    cause="""A NIC that hangs, or whose host does, goes on asking its switch to stop. The switch stops everybody who
    sends there, the next switch stops too, and within seconds the whole fabric stands still although a single port is
    bad. Or switches stop each other in a circle, and nothing ever moves again.""",
    evidence="""Before and after a run nothing is sent for two seconds: a port that asks others to stop for
    pause_idle_ratio of that time is the source, whatever else is seen; who is told to stop is its victim. A port that
    moves foreign_traffic_ratio of its rate meanwhile is not idle, and its pauses prove nothing. Where frames alone are
    counted, the most they can mean is a warning. A port whose watchdog stepped in under load is a source as well. Ports
    that are held after the run while no host asks for it point to a deadlock or a host outside; one that is held for
    pause_block_ratio of the load and is never let go, to its switch port. Between readings that somebody else took, a
    port is idle that counts what it moves, and moved next to nothing.""",
    remedy="""Shut the switch port of the source, and only then find out why. Set watchdogs on switches, and do not rely
    on them. Start no job on the leaf before two idle seconds are free of pauses: `netprobe counters` shows them.""",
    limits=("pause_idle_ratio", "pause_block_ratio", "foreign_traffic_ratio"),
    detect=detect,
)
