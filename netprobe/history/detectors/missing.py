"""A host or NIC that was there night after night and is not any more: told since when, and never counted as 0.

Does not handle: hosts that came once or twice; they are visitors.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from netprobe.contracts import HistoryDetector
from netprobe.history.wording import acknowledge, nights_fact
from netprobe.model.finding import Confidence, Fact, Finding, Gap, Severity
from netprobe.model.history import FLEET, History
from netprobe.model.limits import Limits

BoolArray = NDArray[np.bool_]

ID = "missing"
FEWEST = 3
"""Nights that make a regular."""
REGULAR_RATIO = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Absence:
    """Somebody who is not there any more."""

    subject: str
    host: str
    since: int
    is_host: bool


def detect(history: History, limits: Limits) -> Iterator[Finding | Gap]:
    """Name hosts that are gone, and NICs of hosts that are there."""
    if history.last is None:
        yield Gap(topic=ID, reason="no night was measured to its end", undermines=True)
        return
    for absence in absences(history, limits):
        if not history.is_acknowledged(ID, absence.subject, absence.since):
            yield _finding(history, absence)


def absences(history: History, limits: Limits) -> list[Absence]:
    """Return who is absent in the last complete night, hosts first."""
    last = history.last
    if last is None:
        return []
    complete = np.array([night.is_complete for night in history.nights], dtype=bool)
    # A host may have met others in a night that was cut short, but its absence there proves nothing.
    present = history.fingerprints[: last + 1] >= 0
    gone = [
        Absence(subject=host, host=host, since=since, is_host=True)
        for column, host in enumerate(history.hosts)
        if (since := _gone_since(present[:, column], complete[: last + 1], limits)) is not None
    ]
    hosts = {each.host for each in gone}
    return [*gone, *(each for each in _nics(history, complete, last, limits) if each.host not in hosts)]


def _gone_since(present: BoolArray, complete: BoolArray, limits: Limits) -> int | None:
    """Return the first complete night without a regular; None while it is there, or where it never was one."""
    nights = np.flatnonzero(complete)
    there = present[nights]
    if there[-1] or not there.any():
        return None
    seen = int(np.flatnonzero(there)[-1])
    window = there[max(seen + 1 - int(limits.own_nights), 0) : seen + 1]
    if window.sum() < FEWEST or window.mean() < REGULAR_RATIO:
        return None
    return int(nights[seen + 1])


def _nics(history: History, complete: BoolArray, last: int, limits: Limits) -> Iterator[Absence]:
    """Yield NICs without any figure in the last night, though most others have figures of the same."""
    measured: dict[str, BoolArray] = {}
    host_of: dict[str, str] = {}
    for trend in history.trends:
        known = np.isfinite(trend.values[: last + 1])
        if trend.subjects == (FLEET,) or known[last].mean() < REGULAR_RATIO or not trend.unit.is_rate:
            continue
        for column, (subject, host) in enumerate(zip(trend.subjects, trend.hosts, strict=True)):
            if host is None or subject == host:
                continue
            host_of[subject] = host
            measured[subject] = measured.get(subject, False) | known[:, column]
    for subject, there in sorted(measured.items()):
        since = _gone_since(there, complete[: last + 1], limits)
        if since is not None:
            yield Absence(subject=subject, host=host_of[subject], since=since, is_host=False)


def _finding(history: History, absence: Absence) -> Finding:
    last = history.last or 0
    nights = [n for n in range(absence.since, last + 1) if history.nights[n].is_complete]
    seen = [each for each in history.seen if each.subject == absence.subject or each.host == absence.host]
    told = [each for each in seen if any(night >= absence.since - 1 for night in each.nights)]
    what = "took no part" if absence.is_host else "was not measured, though its host was"
    return Finding(
        detector=ID,
        severity=Severity.DEGRADES,
        confidence=Confidence.HIGH,
        subjects=(absence.subject,),
        hosts=(absence.host,),
        summary=f"{what} since {history.nights[absence.since].label} ({len(nights)} nights)"
        if len(nights) > 1
        else f"{what} on {history.nights[absence.since].label}",
        facts=(
            nights_fact(history, nights, "nights without it", "it was there in most nights before"),
            *(
                Fact(metric=f"reported {each.detector}", observed=each.summary, expected="–", basis="reports of nights")
                for each in told[:4]
            ),
        ),
        next_action=f"whether it is meant to be away; {acknowledge(ID, absence.subject)} then closes this; "
        "else why it was left out or went",
        retest=None,
    )


DETECTOR = HistoryDetector(
    id=ID,
    title="a host or NIC that was there night after night and is gone",
    cause="""The host is down, in repair, or out of the hostfile; a NIC fell off the bus or was not used any more.""",
    evidence="""A host that took part in at least half of own_nights nights, and in three, takes no part in the last
    complete night; or a NIC of a host that does has no figure of what most others were measured by. The finding tells
    since when. Nights that were cut short prove nothing and do not count. An absent host has no figures: it is missing,
    and not slow.""",
    remedy="""Bring it back, or acknowledge that it is away: `netprobe history ack missing HOST`. It stays told until
    then, for a host that nobody misses is a host that nobody tests.""",
    limits=("own_nights",),
    detect=detect,
)
