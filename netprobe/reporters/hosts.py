"""The healthy hosts as a hostfile that every MPI reads: one name a line."""

from netprobe.contracts import RenderOptions, Reporter
from netprobe.model.report import Report
from netprobe.reporters._host_lists import hostfile


def render(report: Report, _options: RenderOptions) -> str:
    """Return the hostfile; comments alone where no host is healthy."""
    return hostfile(report, "{host}")


REPORTER = Reporter(
    id="hosts", title="healthy hosts, one a line, for any MPI", render=render, suffixes=(".hosts", ".hostfile")
)
