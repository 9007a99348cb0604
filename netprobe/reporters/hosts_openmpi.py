"""The healthy hosts as a hostfile of Open MPI, with as many slots as the run had ranks there."""

from netprobe.contracts import RenderOptions, Reporter
from netprobe.model.report import Report
from netprobe.reporters._host_lists import hostfile


def render(report: Report, _options: RenderOptions) -> str:
    """Return the hostfile; comments alone where no host is healthy."""
    return hostfile(report, "{host} slots={slots}")


REPORTER = Reporter(
    id="hosts-openmpi", title="healthy hosts with their ranks, for mpirun --hostfile (Open MPI)", render=render
)
