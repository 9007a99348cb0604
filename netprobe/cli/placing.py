"""Whom a topology has left out: said once, as soon as the hosts' own names are known."""

from collections.abc import Iterator

from netprobe.launch.hosts import folded
from netprobe.model.record import RanksReady


def unplaced(met: RanksReady) -> Iterator[str]:
    """Yield a line on hosts without a leaf, and one on those that have more ranks than the topology has rails."""
    found = {rank.host for rank in met.ranks if rank.leaf is not None}
    missing = {rank.host for rank in met.ranks} - found
    if missing:
        yield f"--topology says nothing of {folded(missing)}: their leaf switches are unknown"
    partly = {rank.host for rank in met.ranks if rank.leaf is None} - missing
    if partly:
        yield f"--topology has fewer rails than ranks on {folded(partly)}: leaf switches are unknown"
