"""``netprobe history``, ``history ack`` and ``history prune``: what many runs tell together."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

from netprobe.cli.history_app import Choice
from netprobe.cli.history_text import Shown, drawn
from netprobe.cli.options import Judging, duration_ns
from netprobe.cli.output import CONSOLE, PAGE, format_of, print_drawn, refuse_output, render_options, write_report
from netprobe.cli.remembering import folder_of, made_digest
from netprobe.cli.streams import tell
from netprobe.errors import PlanError
from netprobe.history.judge import judge_history, verdict_of
from netprobe.history.levels import is_judged
from netprobe.history.nights import Loaded, history_of
from netprobe.judge.limits import load_limits
from netprobe.model.history import Acknowledgement, History, Trend
from netprobe.model.limits import Limits
from netprobe.model.report import Report
from netprobe.model.verdict import ExitCode
from netprobe.registry import reporters, suggestion
from netprobe.store.acknowledged import acknowledge, read_acknowledged
from netprobe.store.history import Rows, read_rows, run_directories
from netprobe.units import NS_PER_S


def look_back(choice: Choice, judging: Judging, *, checks: bool) -> int:
    """Print the history of a folder; return 0, or with ``checks`` the exit code of its verdict."""
    refuse_output(judging)
    limits = Limits() if judging.limits is None else load_limits(judging.limits)
    shown_ns = None if choice.since is None else duration_ns("--since", choice.since)
    rows, loaded = load(folder_of(choice.runs), profile=choice.profile)
    history = loaded.history
    host = None if choice.host is None else _known_host(choice.host, history)
    report = _about(judge_history(history, limits), host)
    newest = history.nights[-1].started
    shown = Shown(
        trends=_wanted(history, choice.metric, host, every=judging.verbose),
        since=None if shown_ns is None else newest - timedelta(seconds=shown_ns / NS_PER_S),
        every=judging.verbose or host is not None,
        host=host,
    )
    make_page = partial(_page, report, history, shown, limits, rows)
    if judging.html is not None:
        write_report(judging.html, make_page())
        tell(f"page: {judging.html}")
    format = format_of(judging)
    if format == PAGE:
        print_drawn(make_page())
    elif format == CONSOLE:
        print_drawn(drawn(report, history, shown, render_options(verbose=judging.verbose)))
    else:
        print_drawn(reporters()[format].render(report, render_options(verbose=judging.verbose)))
    return report.exit_code if checks else ExitCode.HEALTHY


def _page(report: Report, history: History, shown: Shown, limits: Limits, rows: Rows) -> str:
    from netprobe.cli.history_page import page  # what draws is only imported where something is drawn

    return page(report, history, shown, limits, rows)


def load(folder: Path, *, profile: str | None = None) -> tuple[Rows, Loaded]:
    """Return the digests of a folder, and the history they make."""
    rows = read_rows(run_directories(folder), made_digest)
    return rows, history_of(rows, profile=profile, acknowledged=read_acknowledged(folder))


def _known_host(host: str, history: History) -> str:
    known = {*history.hosts, *(each for trend in history.trends for each in trend.hosts if each is not None)}
    if host not in known:
        raise PlanError(f"there is no host called {host!r} in these runs", remedy=suggestion(host, tuple(known)))
    return host


def _wanted(history: History, metric: str | None, host: str | None, *, every: bool) -> Sequence[Trend]:
    """Return the trends of a metric, by its name or a part of its title, and of a host; by default those judged."""
    trends = history.trends
    if metric is None and not every:
        trends = tuple(each for each in trends if is_judged(each))
    if metric is not None:
        trends = tuple(each for each in trends if metric == each.metric or metric.lower() in each.title.lower())
        if not trends:
            names = sorted({each.metric for each in history.trends})
            raise PlanError(f"nothing called {metric!r} was measured in these runs", remedy=", ".join(names) or "none")
    return trends if host is None else tuple(_of_host(each, host) for each in trends if host in each.hosts)


def _of_host(trend: Trend, host: str) -> Trend:
    own = [column for column, each in enumerate(trend.hosts) if each == host]
    return replace(
        trend,
        subjects=tuple(trend.subjects[column] for column in own),
        hosts=tuple(trend.hosts[column] for column in own),
        values=trend.values[:, own],
    )


def _about(report: Report, host: str | None) -> Report:
    """Return a report with the findings about a host alone, and their verdict."""
    if host is None:
        return report
    findings = tuple(
        each
        for each in report.findings
        if host in each.hosts or any(subject == host or subject.startswith(f"{host} ") for subject in each.subjects)
    )
    verdict = verdict_of(findings, report.gaps)
    return replace(report, findings=findings, verdict=verdict, exit_code=verdict.exit_code)


def acknowledge_finding(detector: str, subject: str, note: str, runs: Path | None) -> int:
    """Close a finding until it is seen again."""
    folder = folder_of(runs)
    _, loaded = load(folder)
    now = datetime.now(UTC)
    known = {
        (finding.detector, each)
        for finding in judge_history(loaded.history, Limits()).findings
        for each in finding.subjects
    }
    known |= {(each.detector, each.subject) for each in loaded.history.seen}
    if (detector, subject) not in known:
        names = tuple(sorted(f"{one} {other!r}" for one, other in known))
        near = suggestion(f"{detector} {subject!r}", names) if names else "netprobe history shows what is open"
        raise PlanError(f"there is no finding {detector} of {subject!r} to acknowledge", remedy=near[:200])
    acknowledge(folder, Acknowledgement(detector=detector, subject=subject, at=now, note=note))
    print_drawn(f"{detector} of {subject} is closed until it is seen again\n")
    return ExitCode.HEALTHY
