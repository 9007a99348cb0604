"""report.json as it lies in the run directory: a line for each field, ``format`` first."""

from netprobe.contracts import RenderOptions, Reporter
from netprobe.model.report import Report
from netprobe.store.encoding import json_document


def render(report: Report, _options: RenderOptions) -> str:
    """Return the report as JSON; reports/schema/report-1.json describes it."""
    return json_document(report).decode("utf-8")


REPORTER = Reporter(
    id="json", title="the report for programs, with a published schema", render=render, suffixes=(".json",)
)
