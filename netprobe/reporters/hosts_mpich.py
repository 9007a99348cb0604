"""The healthy hosts as a hostfile of MPICH and its kin, with as many slots as the run had ranks there."""

from netprobe.contracts import RenderOptions, Reporter
from netprobe.model.report import Report
from netprobe.reporters._host_lists import hostfile


def render(report: Report, _options: RenderOptions) -> str:
    """Return the hostfile; comments alone where no host is healthy."""
    return hostfile(report, "{host}:{slots}")


REPORTER = Reporter(id="hosts-mpich", title="healthy hosts with their ranks, for mpiexec -f (MPICH)", render=render)
