"""Ports that are told to stop: somebody else's congestion. Who is stopped is never to blame."""

from collections.abc import Iterator, Sequence
from typing import Final

import numpy as np

from netprobe.contracts import Detector
from netprobe.detectors._pause import (
    received_untold,
    sent_share,
    sent_uncounted,
    storms,
    unprovoked_share,
)
from netprobe.detectors._ports import BoolArray, FloatArray, Ports, any_of, fine_percent, share_fact
from netprobe.detectors._signatures import shows
from netprobe.detectors._words import MOST_FACTS, listed
from netprobe.model.evidence import Evidence
from netprobe.model.finding import Confidence, Finding, Gap, Severity
from netprobe.model.limits import Limits
from netprobe.model.meaning import Meaning
from netprobe.model.ports import Span

ID = "pause-victim"
FABRIC: Final = "fabric"
IDLE: Final = (Span.IDLE_BEFORE, Span.IDLE_AFTER, Span.QUIET)


def detect(evidence: Evidence, limits: Limits) -> Iterator[Finding | Gap]:
    """Tell who stops whom; one finding for all who are stopped."""
    ports = Ports(evidence=evidence, limits=limits)
    share = unprovoked_share(ports)
    stops_others = sent_share(ports) >= limits.pause_share_ratio
    stopped = shows("F32", ports.table) & ports.carries_roce & ~stops_others & (share >= limits.pause_share_ratio)
    if stopped.any():
        yield _finding(ports, stopped, share, _sources(ports, stops_others))
    yield from received_untold(ports, ID)


def _sources(ports: Ports, stops_others: BoolArray) -> list[int]:
    """Return who stops them: those who ask for it while they are idle, or else under load."""
    storm = np.flatnonzero(np.any([storms(ports, span) for span in IDLE], axis=0)).tolist()
    return storm or np.flatnonzero(stops_others & ports.carries_roce).tolist()


def _finding(ports: Ports, stopped: BoolArray, share: FloatArray, sources: Sequence[int]) -> Finding:
    at = np.flatnonzero(stopped)
    worst = at[np.argsort(-share[at], kind="stable")].tolist()
    names = tuple(ports.subject(port) for port in sources)
    one = worst[0]
    silent = ports.carries_roce & sent_uncounted(ports)
    is_certain = len(sources) == 1 and not silent.any() and _is_timed(ports, sources[0])
    return Finding(
        detector=ID,
        severity=Severity.WARNS,
        confidence=Confidence.HIGH if is_certain else Confidence.MEDIUM,
        subjects=names or (ports.leaf_port(one) if len(worst) == 1 else FABRIC,),
        hosts=(),
        summary=f"{len(worst)} {'port is' if len(worst) == 1 else 'ports are'} told to stop up to "
        f"{fine_percent(float(share[one]))} of the time under load ({listed(any_of(ports, worst))}); "
        + _by_whom(names, len(worst), _silence(ports, silent)),
        facts=tuple(
            share_fact(
                f"{ports.subject(port)} is told to stop",
                float(share[port]),
                limit=ports.limits.pause_share_ratio,
                basis="limit pause_share_ratio, of the time under load",
                is_timed=bool(ports.is_timed(Meaning.PAUSE_RECEIVED_TIME)[port]),
            )
            for port in worst[:MOST_FACTS]
        ),
        excluded=("those who are stopped (they are not known to stop anybody)",),
        next_action=_next_action(names, ports, worst),
        retest=None,
    )


def _is_timed(ports: Ports, source: int) -> bool:
    return any(bool(ports.is_timed(Meaning.PAUSE_SENT_TIME, span)[source]) for span in (Span.LOAD, *IDLE))


def _silence(ports: Ports, silent: BoolArray) -> str | None:
    """Tell how many ports may stop others unseen; None where all are seen."""
    if not silent.any():
        return None
    return f"{int(silent.sum())} of {int(ports.carries_roce.sum())} RDMA ports do not count the pauses that they send"


def _by_whom(names: Sequence[str], victims: int, silence: str | None) -> str:
    if len(names) == 1:
        return f"{names[0]} is the only one {'who stops' if silence is None else 'known to stop'} others"
    if names:
        return f"{len(names)} ports stop others"
    if silence is not None:
        return f"by whom cannot be told: {silence}"
    if victims == 1:
        return "no host stops others, so it is the switch port in front of it, or what lies behind that"
    return "no host stops others, so the fabric itself is congested"


def _next_action(names: Sequence[str], ports: Ports, worst: Sequence[int]) -> str:
    if names:
        return f"look at {listed(names)} first; whoever is stopped is healthy when that is gone"
    if len(worst) == 1:
        return f"read pauses, queues and errors of {ports.leaf_port(worst[0])}, then of the uplinks behind it"
    return "read on the switches who sends pauses, then queues and drops: incast, a slow uplink, paths that collide"


DETECTOR = Detector(
    id=ID,
    title="ports that are stopped by somebody else's congestion",
    cause="""A switch whose queue is full stops who sends into it, whether they send to the slow receiver or to
    another one behind the same queue. Who is stopped is slow and healthy.""",
    evidence="""The time for which a port was told to stop, from pause_share_ratio of the time under load on, at ports
    that ask nobody to stop. It warns, and leaves nobody out. Who stops them is whoever asks for pauses at idle
    (pause_idle_ratio, and not in use: foreign_traffic_ratio), or else under load; if nobody does, the fabric, or the
    switch port in front of the only one. Where NICs do not count what they send, that is said instead.""",
    remedy="""Find the source (pause-source, pause-storm) and repair that; measure again without it. If there is none,
    read the switches: pauses they send and receive by port, queues, uplinks that are down.""",
    limits=("pause_share_ratio", "pause_idle_ratio", "foreign_traffic_ratio"),
    detect=detect,
)
