"""Links that go down and come back, or retrain, while a run lasts."""

from collections.abc import Iterator
from typing import Final

import numpy as np

from netprobe.contracts import Detector
from netprobe.detectors._ports import FloatArray, Ports, check_again, count_fact, not_counted, uncounted
from netprobe.model.evidence import Evidence
from netprobe.model.finding import Confidence, Fact, Finding, Gap, Severity
from netprobe.model.limits import Limits
from netprobe.model.meaning import Meaning
from netprobe.model.ports import Span

ID = "link-flap"
CHANGES_A_FLAP: Final = 2.0  # the carrier goes, and comes back
CARRIER: Final = "/carrier_changes"


def detect(evidence: Evidence, limits: Limits) -> Iterator[Finding | Gap]:
    """Name links that went down, and warn of those that retrained."""
    ports = Ports(evidence=evidence, limits=limits)
    table = ports.table
    carrier = _carrier_changes(evidence)
    told = [carrier.get((host, netdev or ""), np.nan) for host, netdev in zip(table.host, table.netdev, strict=True)]
    flaps = np.fmax(_over_all_spans(ports, Meaning.LINK_DOWN), [_flaps(changes) for changes in told])
    retrained = _over_all_spans(ports, Meaning.LINK_RECOVERED)
    down = flaps >= limits.link_down_floor
    for port in np.flatnonzero(down).tolist():
        yield _down(ports, port, float(flaps[port]), told[port])
    for port in np.flatnonzero((retrained >= limits.link_down_floor) & ~down).tolist():
        yield _retrained(ports, port, float(retrained[port]))
    yield from _interfaces(ports, carrier)
    missing = uncounted(ports, (Meaning.LINK_DOWN,)) & np.isnan(flaps)
    if (gap := not_counted(ports, ID, "how often links go down", missing)) is not None:
        yield gap


def _over_all_spans(ports: Ports, meaning: Meaning) -> FloatArray:
    """Return what was counted before, under and after load; NaN where it never was."""
    spans = np.stack([ports.table.grown(meaning, span) for span in Span])
    total: FloatArray = np.where(np.isfinite(spans).any(axis=0), np.nansum(spans, axis=0), np.nan)
    return total


def _carrier_changes(evidence: Evidence) -> dict[tuple[str, str], float]:
    """Return how often each host's interfaces gained or lost their carrier while rounds ran."""
    host = [rank.host for rank in evidence.ranks]
    changes: dict[tuple[str, str], float] = {}
    for name, grown in evidence.counters.grown.items():
        if not name.endswith(CARRIER):
            continue
        known = np.isfinite(grown)
        for rank, value in zip(evidence.counters.rank[known].tolist(), grown[known].tolist(), strict=True):
            key = (host[rank], name.removesuffix(CARRIER))
            changes[key] = changes.get(key, 0.0) + value
    return changes


def _flaps(changes: float) -> float:
    """Return how often a carrier was away; one that went and did not come back was, too."""
    return float(np.ceil(changes / CHANGES_A_FLAP))


def _carrier_fact(subject: str, changes: float) -> Fact:
    is_odd = changes % CHANGES_A_FLAP == 1
    basis = "the kernel" + ("; an odd number: the link is down now, or was before" if is_odd else "")
    return Fact(metric=f"{subject} carrier changes", observed=f"{changes:,.0f}", expected="0", basis=basis)


def _interfaces(ports: Ports, carrier: dict[tuple[str, str], float]) -> Iterator[Finding]:
    """Name interfaces that no NIC's counters tell of; only those with hardware below, for virtual ones come and go."""
    known = set(zip(ports.table.host, ports.table.netdev, strict=True))
    for (host, name), changes in sorted(carrier.items()):
        inventory = ports.evidence.inventories.get(host)
        device = None if inventory is None else inventory.net_device(name)
        flaps = _flaps(changes)
        if (host, name) in known or device is None or device.pci is None or flaps < ports.limits.link_down_floor:
            continue
        subject = f"{host} {name}"
        yield _finding(ports, subject, host, flaps, (_carrier_fact(subject, changes),), at_least=False)


def _down(ports: Ports, port: int, flaps: float, changes: float) -> Finding:
    counted = [
        (span, counts) for span, counts in ports.table.spans.items() if counts.grown.get(Meaning.LINK_DOWN) is not None
    ]
    facts = tuple(
        count_fact(ports, port, Meaning.LINK_DOWN, span=span)
        for span, counts in counted
        if counts.grown[Meaning.LINK_DOWN][port] > 0
    )
    at_least = any(
        bool(counts.at_least[Meaning.LINK_DOWN][port]) for _, counts in counted if Meaning.LINK_DOWN in counts.at_least
    )
    if changes > 0:
        facts = (*facts, _carrier_fact(ports.subject(port), changes))
    return _finding(ports, ports.subject(port), ports.host(port), flaps, facts, at_least=at_least)


def _finding(
    ports: Ports, subject: str, host: str, flaps: float, facts: tuple[Fact, ...], *, at_least: bool
) -> Finding:
    return Finding(
        detector=ID,
        severity=Severity.BLOCKS,
        confidence=Confidence.HIGH,
        subjects=(subject,),
        hosts=(host,),
        summary=f"its link went down {'at least ' if at_least else ''}{flaps:,.0f} "
        f"{'time' if flaps == 1 else 'times'} during the run",
        facts=facts,
        excluded=("its past (only what was counted during the run is told)",),
        next_action="look in the kernel's log (dmesg) of the host and in that of the switch at who lost the carrier "
        "first; replace cable or optic, and do not trust the link because it came back",
        retest=check_again([host], ports),
    )


def _retrained(ports: Ports, port: int, times: float) -> Finding:
    return Finding(
        detector=ID,
        severity=Severity.WARNS,
        confidence=Confidence.HIGH,
        subjects=(ports.subject(port),),
        hosts=(),
        summary=f"its link retrained {times:,.0f} {'time' if times == 1 else 'times'} during the run",
        facts=tuple(
            count_fact(ports, port, Meaning.LINK_RECOVERED, span=span)
            for span in ports.table.spans
            if ports.table.grown(Meaning.LINK_RECOVERED, span)[port] > 0
        ),
        excluded=("a link that was lost (it never went down)",),
        next_action="compare its errors and optical power with other ports' (ethtool -S, ethtool -m); reseat it",
        retest=check_again([ports.host(port)], ports),
    )


DETECTOR = Detector(
    id=ID,
    title="a link that goes down, or retrains, during the run",
    cause="""A cable or optic that is not seated or fails, an optic that gets too hot under load, a port or its firmware
    that resets, a power supply. The link is back after seconds, and everything waits for so long, or gives up.""",
    evidence="""The port's own count of losing the link, and the kernel's count of changes of the carrier (two for each
    time; one alone is a link that did not come back), during load and the idle times around it; never what was counted
    before. From link_down_floor on it blocks. Retraining without losing the link is a warning. Counters that stand at
    their largest value tell "at least". The carrier of interfaces without hardware below (bridges, containers) is not
    looked at.""",
    remedy="""Read both ends' logs: both lose the carrier at once when the cable or optic is to blame, all ports of a
    switch when it is the switch, the logical state alone when it is driver or subnet manager. Replace, and keep the
    host out until a run of some length is clean; a link that recovered has not been repaired.""",
    limits=("link_down_floor",),
    detect=detect,
)
