"""On which leaf switch is a host? As the user told it; else as Slurm does, where it knows the topology."""

from collections.abc import Mapping, Sequence
from typing import Final

from netprobe.plan.task import Leaf

ADDRESS: Final = "SLURM_TOPOLOGY_ADDR"
"""Switches from the top down to the leaf, then the host, joined by dots: ``spine.leaf1.node17``."""
PATTERN: Final = "SLURM_TOPOLOGY_ADDR_PATTERN"
"""What each part of the address is: ``switch.switch.node``."""


def leaf_of(host: str, leaves: Sequence[Leaf], environ: Mapping[str, str]) -> str | None:
    """Return the leaf switch of this host; what the user told is not mixed with what Slurm calls its switches."""
    return leaf_among(host, leaves) if leaves else leaf_by_slurm(host, environ)


def leaf_among(host: str, leaves: Sequence[Leaf]) -> str | None:
    """Return the switch of a host, by its name or by the first part of it where only one switch has such a host."""
    from ClusterShell.NodeSet import RESOLVER_NOGROUP, NodeSet

    switch_of = {name: leaf.switch for leaf in leaves for name in NodeSet(leaf.hosts, resolver=RESOLVER_NOGROUP)}
    if host in switch_of:
        return switch_of[host]
    like = {switch for name, switch in switch_of.items() if _short(name) == _short(host)}
    return like.pop() if len(like) == 1 else None


def leaf_by_slurm(host: str, environ: Mapping[str, str]) -> str | None:
    """Return the last switch on the way to this host; None without a topology plugin.

    Also None for another host's address, which a launcher may have brought along, and where names hold dots: it cannot
    be told then where one of them ends.
    """
    parts, kinds = environ.get(ADDRESS, "").split("."), environ.get(PATTERN, "").split(".")
    if len(parts) != len(kinds) or _short(parts[-1]) != _short(host):
        return None
    switches = [part for part, kind in zip(parts, kinds, strict=True) if kind == "switch" and part]
    return switches[-1] if switches else None


def _short(host: str) -> str:
    return host.partition(".")[0].lower()
