"""What a night tells that nobody was told before: verdicts that changed, findings that opened, got worse or closed.

Pure. A finding closes only in a night that could have seen it: a run that was cut short, has no verdict, or did not
reach the host, closes nothing.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Final

from netprobe.history.detectors.recurring import ID as RECURRING
from netprobe.history.judge import verdict_of
from netprobe.judge.order import SEVERITIES
from netprobe.model.finding import Finding
from netprobe.model.history import History
from netprobe.model.limits import Limits
from netprobe.model.nightly import Known, Source, Standing
from netprobe.model.report import Report
from netprobe.model.run import RunStatus
from netprobe.model.verdict import Verdict

WORST_FIRST: Final = (Verdict.FAULTY, Verdict.INCONCLUSIVE, Verdict.DEGRADED, Verdict.HEALTHY)
"""As in a verdict itself: a fault that is sure outranks what is not known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Looked:
    """A history that was judged."""

    history: History
    report: Report

    def is_young(self, limits: Limits) -> bool:
        """Whether there are too few nights for levels: that is no news, and no reason to wake anybody."""
        return sum(night.is_complete for night in self.history.nights) <= limits.fewest_nights


@dataclass(frozen=True, slots=True, kw_only=True)
class News:
    """One night against what was told before."""

    before: Standing | None
    now: Standing
    """With the findings of before that tonight could not have seen."""
    opened: tuple[Known, ...]
    worse: tuple[Known, ...]
    """As they are now."""
    closed: tuple[Known, ...]
    """As they were."""
    unseen: tuple[Known, ...]
    """Neither seen nor closed."""
    unchanged: tuple[Known, ...]
    """Seen again."""

    @property
    def is_news(self) -> bool:
        """Whether there is anything to tell."""
        before, now = self.before, self.now
        if before is None or now.status is not RunStatus.COMPLETE:
            return True
        verdicts_differ = (before.verdict, before.history) != (now.verdict, now.history)
        return verdicts_differ or bool(self.opened or self.worse or self.closed)


def standing_of(report: Report, looked: Looked | None, limits: Limits) -> Standing:
    """Return what stands after a night; ``looked`` is None where its history cannot be read."""
    hosts = frozenset(report.hosts)
    known = [*_known(report.findings, Source.RUN, hosts)]
    if looked is not None:
        known += _known(looked.report.findings, Source.HISTORY, hosts)
    return Standing(
        run=report.run_id,
        started=report.started,
        status=report.run_status,
        verdict=report.verdict,
        history=None if looked is None else history_verdict(looked, limits),
        known=tuple({each.key: each for each in reversed(known)}.values())[::-1],
    )


def history_verdict(looked: Looked, limits: Limits) -> Verdict:
    """Return the verdict on a history: while it is young, of what is open alone."""
    gaps = () if looked.is_young(limits) else looked.report.gaps
    return verdict_of(looked.report.findings, gaps)


def news_of(before: Standing | None, now: Standing, tested: Iterable[str]) -> News:
    """Return what is new; ``tested`` are the hosts that took part tonight.

    That the history repeats what tonight's run says by itself is no news.
    """
    earlier = {} if before is None else {each.key: each for each in before.known}
    later = {each.key: each for each in now.known}
    took_part = frozenset(tested)
    gone = [each for key, each in earlier.items() if key not in later]
    unseen = tuple(each for each in gone if not _could_be_seen(each, now, took_part))
    own = {each.subject for each in now.known if each.source is Source.RUN}
    told = [each for each in now.known if not (each.detector == RECURRING and each.subject in own)]
    opened = tuple(each for each in told if each.key not in earlier)
    worse = tuple(each for each in told if each.key in earlier and _is_worse(each, earlier[each.key]))
    return News(
        before=before,
        now=replace(now, known=(*now.known, *unseen)),
        opened=opened,
        worse=worse,
        closed=tuple(each for each in gone if each not in unseen),
        unseen=unseen,
        unchanged=tuple(each for each in told if each not in opened and each not in worse),
    )


def worst_of(verdicts: Iterable[Verdict]) -> Verdict:
    """Return the worst verdict of some, at least one."""
    return min(verdicts, key=WORST_FIRST.index)


def _could_be_seen(known: Known, now: Standing, tested: frozenset[str]) -> bool:
    if known.source is Source.HISTORY:
        return now.history is not None
    if now.status is not RunStatus.COMPLETE or now.verdict is Verdict.INCONCLUSIVE:
        return False
    return known.host is None or known.host in tested


def _is_worse(now: Known, before: Known) -> bool:
    return SEVERITIES.index(now.severity) < SEVERITIES.index(before.severity)


def _known(findings: Iterable[Finding], source: Source, hosts: frozenset[str]) -> Iterator[Known]:
    for finding in findings:
        for subject in finding.subjects or ("",):
            yield Known(
                source=source,
                detector=finding.detector,
                severity=finding.severity,
                subject=written(subject),
                host=_host_of(subject, hosts | set(finding.hosts)),
            )


def written(subject: str) -> str:
    """Return a name as it is read back from a file: names of hosts may hold bytes that are no UTF-8."""
    return subject.encode("utf-8", "replace").decode("utf-8")


def _host_of(subject: str, hosts: frozenset[str]) -> str | None:
    """Return the host of ``node17``, ``node17 mlx5_3`` or ``node17:4``."""
    candidates = (subject, subject.partition(" ")[0], subject.rpartition(":")[0])
    return next((written(each) for each in candidates if each in hosts), None)
