"""A line of JSON for the run, for each finding, and for what could not be told or tested: for logs and jq.

Each line stands for itself: it has the run's id, time and verdict. The first is the run, so that a file without
findings still says that there was one.
"""

from collections.abc import Iterator
from typing import Any, Final

import msgspec

from netprobe.contracts import RenderOptions, Reporter
from netprobe.locate.fitness import fitness_of
from netprobe.model.finding import Finding, Gap
from netprobe.model.report import Report
from netprobe.store.encoding import json_line

LINES_FORMAT: Final = 1
"""Raised when a field changes its meaning or disappears; new fields do not raise it."""


def render(report: Report, _options: RenderOptions) -> str:
    """Return all lines."""
    return "".join(f"{json_line(line).decode('utf-8')}\n" for line in _lines(report))


def _lines(report: Report) -> Iterator[dict[str, Any]]:
    yield _line(report, "run", _run(report))
    for finding in report.findings:
        yield _line(report, "finding", finding)
    for gap in report.gaps:
        yield _line(report, "gap", gap)
    for gap in report.not_tested:
        yield _line(report, "not_tested", gap)


def _line(report: Report, kind: str, told: Finding | Gap | dict[str, Any]) -> dict[str, Any]:
    about: dict[str, Any] = {
        "format": LINES_FORMAT,
        "kind": kind,
        "run_id": report.run_id,
        "started": report.started,
        "verdict": report.verdict.value,
    }
    about.update(msgspec.to_builtins(told))
    return about


def _run(report: Report) -> dict[str, Any]:
    fitness = fitness_of(report)
    return {
        "exit_code": report.exit_code,
        "profile": report.profile,
        "status": report.run_status.value,
        "elapsed_ns": report.elapsed_ns,
        "coverage_ratio": report.coverage.ratio,
        "ranks": report.ranks,
        "healthy": fitness.healthy,
        "with_findings": fitness.with_findings,
        "victims": fitness.victims,
        "degraded": fitness.degraded,
        "blocked": fitness.blocked,
        "untold": fitness.untold,
    }


REPORTER = Reporter(
    id="jsonl", title="run, findings and gaps, one JSON object a line", render=render, suffixes=(".jsonl", ".ndjson")
)
