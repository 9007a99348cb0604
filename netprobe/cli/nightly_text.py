"""The mail of a night: plain text in 78 columns, what is new first. Names may be hostile."""

import shlex
import textwrap
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from netprobe.history.since import Looked, News, written
from netprobe.model.finding import Finding
from netprobe.model.limits import Limits
from netprobe.model.nightly import Known, Source, Standing
from netprobe.model.report import Report
from netprobe.model.run import RunStatus
from netprobe.model.verdict import Verdict
from netprobe.reporters._wording import counted, fold, short_name, visible

WIDTH: Final = 78
MOST_TOLD: Final = 20
INDENT: Final = "  "
DEEPER: Final = " " * 14
LABEL: Final = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Night:
    """Everything that the mail is about."""

    report: Report
    looked: Looked | None
    """None where the history cannot be read; ``troubles`` say why."""
    news: News
    limits: Limits
    run: Path
    folder: Path
    error: str | None = None
    """Why the run did not complete."""
    files: tuple[tuple[str, Path], ...] = ()
    """What lies there to be read, by name."""
    troubles: tuple[str, ...] = ()


def summary(night: Night) -> str:
    """Return the text; its first line says what matters, and would do as a subject."""
    sections = (_head(night), _undermining(night.report), _opened(night), _known_before(night), _places(night))
    lines = [line for section in sections for line in section]
    return "\n".join(line.rstrip() for line in lines) + "\n"


def _head(night: Night) -> Iterator[str]:
    report, before = night.report, night.news.before
    yield f"netprobe nightly: {_verdicts(night.news)}"
    yield ""
    hosts = counted(len(report.hosts), "host")
    yield from _row("night", f"{report.started}, {hosts}, profile {visible(report.profile)}")
    if report.run_status is not RunStatus.COMPLETE:
        ended = ": ".join(dict.fromkeys((report.run_status.value, night.error or report.run_status.value)))
        yield from _row("", f"the run did not complete, {visible(ended)}; what was open stays open")
    if before is None:
        yield from _row("before", "nothing was told yet: everything is new")
    else:
        yield from _row("before", f"{before.started}, {_of(before)}")
    yield from _row("history", _history(night))
    for trouble in night.troubles:
        yield from _row("trouble", visible(trouble))
    yield ""


def _verdicts(news: News) -> str:
    before, now = news.before, news.now
    parts = [_change(None if before is None else before.verdict, now.verdict)]
    if now.history is not None and now.history is not Verdict.HEALTHY:
        parts.append(f"history {_change(None if before is None else before.history, now.history)}")
    if now.status is not RunStatus.COMPLETE:
        parts.append(f"run {now.status.value}")
    counts = ((len(news.opened), "opened"), (len(news.worse), "worse"), (len(news.closed), "closed"))
    return "; ".join((*parts, *(f"{count} {what}" for count, what in counts if count)))


def _change(before: Verdict | None, now: Verdict) -> str:
    return now.value if before in (None, now) else f"{now.value}, was {before.value}"


def _of(standing: Standing) -> str:
    ended = "" if standing.status is RunStatus.COMPLETE else f", {standing.status.value}"
    return f"{standing.verdict.value}{ended}"


def _history(night: Night) -> str:
    looked, verdict = night.looked, night.news.now.history
    if looked is None or verdict is None:
        return "could not be read: nothing is said of levels, drift and who is missing"
    nights = counted(len(looked.history.nights), "night")
    if not looked.is_young(night.limits):
        return f"{nights}, {verdict.value}"
    told = nights if verdict is Verdict.HEALTHY else f"{nights}, {verdict.value}"
    return f"{told}; levels of hosts and NICs are judged from {night.limits.fewest_nights + 1:g} complete ones on"


def _undermining(report: Report) -> Iterator[str]:
    """Tell why there is no verdict, where there is none."""
    if report.verdict is Verdict.INCONCLUSIVE:
        reasons = dict.fromkeys((each.reason, each.remedy) for each in report.gaps if each.undermines)
        yield from _section("no verdict, since", (_reason(*each) for each in reasons))


def _reason(reason: str, remedy: str) -> list[str]:
    lines = _wrapped(visible(reason), 2 * INDENT, 2 * INDENT)
    return lines + (_wrapped(f"try: {visible(remedy)}", 2 * INDENT, 2 * INDENT + " " * 5) if remedy else [])


def _opened(night: Night) -> Iterator[str]:
    told = [*_new(night.report.findings, Source.RUN, night.news.opened)]
    if night.looked is not None:
        told += _new(night.looked.report.findings, Source.HISTORY, night.news.opened)
    yield from _section("opened", (_finding(finding, subjects) for finding, subjects in told))


def _new(
    findings: Iterable[Finding], source: Source, opened: Sequence[Known]
) -> Iterator[tuple[Finding, tuple[str, ...]]]:
    """Yield the findings that are new about some of their subjects, and those."""
    keys = {each.key for each in opened}
    for finding in findings:
        subjects = tuple(
            each for each in finding.subjects or ("",) if (source, finding.detector, written(each)) in keys
        )
        if subjects:
            yield finding, subjects


def _finding(finding: Finding, subjects: tuple[str, ...]) -> list[str]:
    lines = _wrapped(f"{finding.severity.value:<8}  {_who(finding.detector, subjects)}", 2 * INDENT, DEEPER)
    lines += _wrapped(visible(finding.summary), DEEPER, DEEPER)
    if finding.next_action:
        lines += _wrapped(f"next: {visible(finding.next_action)}", DEEPER, DEEPER + " " * 6)
    return lines


def _known_before(night: Night) -> Iterator[str]:
    news = night.news
    yield from _section("worse", _names(news.worse, with_severity=True))
    yield from _section("closed", _names(news.closed, with_severity=False))
    yield from _section("not seen, since its host was not tested or the run has no verdict", _names(news.unseen))
    yield from _section("still open", _names(news.unchanged))


def _names(known: Iterable[Known], *, with_severity: bool = True) -> Iterator[list[str]]:
    """Yield findings with all their subjects in a line."""
    grouped: dict[tuple[str, ...], list[str]] = {}
    for each in known:
        key = (each.severity.value if with_severity else "", each.detector)
        grouped.setdefault(key, []).append(each.subject)
    for (severity, detector), subjects in grouped.items():
        lead = f"{severity:<8}  " if severity else ""
        yield _wrapped(f"{lead}{_who(detector, tuple(dict.fromkeys(subjects)))}", 2 * INDENT, DEEPER)


def _who(detector: str, subjects: tuple[str, ...]) -> str:
    return f"{short_name(detector)}  {fold(each for each in subjects if each)}".rstrip()


def _section(title: str, entries: Iterable[list[str]]) -> Iterator[str]:
    """Yield a heading and its entries; nothing where there are none."""
    told = list(entries)
    if not told:
        return
    yield from _wrapped(title, INDENT, INDENT)
    for entry in told[:MOST_TOLD]:
        yield from entry
    if len(told) > MOST_TOLD:
        yield f"{2 * INDENT}… and {len(told) - MOST_TOLD} more"
    yield ""


def _places(night: Night) -> Iterator[str]:
    healthy = len(night.report.healthy_hosts)
    yield from _row("healthy", f"{healthy} of {counted(len(night.report.hosts), 'host')}")
    # Never broken: a path is there to be copied.
    yield f"{INDENT}{'report':<{LABEL}}netprobe report {shlex.quote(visible(str(night.run)))}"
    yield f"{INDENT}{'open':<{LABEL}}netprobe history --runs {shlex.quote(visible(str(night.folder)))}"
    for name, file in night.files:
        yield f"{INDENT}{name:<{LABEL}}{visible(str(file))}"


def _row(label: str, text: str) -> list[str]:
    return _wrapped(text, f"{INDENT}{label:<{LABEL}}", INDENT + " " * LABEL)


def _wrapped(text: str, first: str, later: str) -> list[str]:
    return textwrap.wrap(
        text, WIDTH, initial_indent=first, subsequent_indent=later, break_on_hyphens=False
    ) or [first]  # fmt: skip
