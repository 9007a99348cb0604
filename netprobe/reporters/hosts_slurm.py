"""The healthy hosts as Slurm writes them, ``node[01-03]``, for --nodelist: one line and nothing else.

An empty list would let Slurm choose any node, so that no host is a word that it refuses.
"""

from typing import Final

from netprobe.contracts import RenderOptions, Reporter
from netprobe.model.report import Report
from netprobe.reporters._host_lists import healthy_hosts

NONE: Final = "(none)"


def render(report: Report, _options: RenderOptions) -> str:
    """Return the list."""
    from ClusterShell.NodeSet import RESOLVER_NOGROUP, NodeSet

    hosts = NodeSet.fromlist(list(healthy_hosts(report)), resolver=RESOLVER_NOGROUP)
    hosts.fold_axis = (-1,)  # not every Slurm reads ranges within a name
    return f"{hosts or NONE}\n"


REPORTER = Reporter(id="hosts-slurm", title="healthy hosts as a node list, for srun --nodelist", render=render)
