"""What nights reported stays open after it is gone: a link that flapped yesterday will flap in a job.

Does not handle: whether somebody mended it; that is what acknowledging is for.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from netprobe.contracts import HistoryDetector
from netprobe.history.detectors.missing import absences
from netprobe.history.detectors.regression import RATES, losses_by_subject
from netprobe.history.levels import levels_of
from netprobe.history.wording import acknowledge, nights_fact, retest
from netprobe.judge.order import SEVERITIES
from netprobe.model.finding import Confidence, Finding, Gap, Severity
from netprobe.model.history import FLEET, History, Seen
from netprobe.model.limits import Limits

ID = "recurring"


@dataclass(frozen=True, slots=True, kw_only=True)
class Open:
    """A finding that is not closed."""

    seen: Seen
    nights: tuple[int, ...]
    """In which it was seen, of those that still count."""


def detect(history: History, limits: Limits) -> Iterator[Finding | Gap]:
    """Tell findings of earlier nights, and of the last one, that nobody closed."""
    gone = {each.host for each in absences(history, limits) if each.is_host}
    levels = [each for each in levels_of(history, limits) if each.trend.subjects != (FLEET,)]
    slower = {losses[0].host for losses in losses_by_subject(levels).values()}
    for each in open_findings(history, limits):
        host = each.seen.host
        is_told = host in gone or each.seen.subject in gone or (host in slower and each.seen.detector in RATES)
        if not is_told:
            yield _finding(history, each, limits)


def open_findings(history: History, limits: Limits) -> Iterator[Open]:
    """Yield what was seen in the last sticky nights and not acknowledged since."""
    newest = len(history.nights) - 1
    for seen in history.seen:
        counted = tuple(night for night in seen.nights if newest - night <= limits.sticky_nights)
        if counted and not _is_closed(history, seen.detector, seen.subject, counted[-1]):
            yield Open(seen=seen, nights=counted)


def _is_closed(history: History, detector: str, subject: str, night: int) -> bool:
    return any(history.is_acknowledged(name, subject, night) for name in (detector, ID))


def _finding(history: History, told: Open, limits: Limits) -> Finding:
    seen, newest = told.seen, len(history.nights) - 1
    is_here = told.nights[-1] == newest
    return Finding(
        detector=ID,
        severity=_severity(told, limits, is_here=is_here),
        confidence=Confidence.HIGH,
        subjects=(seen.subject,),
        hosts=(seen.host,) if seen.host is not None and is_here else (),
        summary=f"{seen.detector}, {_when(history, told, newest)}: {seen.summary}",
        facts=(nights_fact(history, told.nights, f"nights with {seen.detector}", "the reports of these nights"),),
        next_action=f"netprobe explain {seen.detector}; {acknowledge(seen.detector, seen.subject)} once it is mended",
        retest=None if seen.host is None else retest(seen.host, [h for h in history.hosts if h != seen.host][:2]),
    )


def _severity(told: Open, limits: Limits, *, is_here: bool) -> Severity:
    """Return its own severity while it is there; gone, it degrades at most, and a single night warns."""
    if is_here:
        return told.seen.severity
    highest = Severity.DEGRADES if len(told.nights) >= limits.recurring_nights else Severity.WARNS
    return max(told.seen.severity, highest, key=SEVERITIES.index)


def _when(history: History, told: Open, newest: int) -> str:
    count = f"{len(told.nights)} of the last {newest - told.nights[0] + 1} nights"
    last = history.nights[told.nights[-1]].label
    if told.nights[-1] == newest:
        return "new in the last night" if len(told.nights) == 1 else f"in {count}, also in the last"
    return f"on {last} and not since" if len(told.nights) == 1 else f"in {count}, last on {last}"


DETECTOR = HistoryDetector(
    id=ID,
    title="a finding of earlier nights that nobody has closed",
    cause="""Faults come and go: a link flaps, an optic loses packets while it is warm, a host is noisy while its backup
    runs. That it was not there last night is no repair.""",
    evidence="""Findings in the reports of all nights, by detector and subject. One is open for sticky_nights nights
    after it was last seen, or until it is acknowledged. Seen in the last night it is as severe as it was there; gone,
    it warns, and it degrades where it was seen in recurring_nights of the nights that count. What a host that is
    missing, or slower than itself, was reported for is told with that.""",
    remedy="""Treat it as if it were there: explain its detector, mend what it names, and then `netprobe history ack
    DETECTOR SUBJECT`. When it is seen again, it is open again.""",
    limits=("sticky_nights", "recurring_nights"),
    detect=detect,
)
