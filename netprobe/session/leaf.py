"""On which leaf switch is a rank? As the user told it; else as Slurm does, where it knows the topology.

Where leaves have rails, each rank of a host is on the leaf of its own NIC: that of the same place.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from netprobe.errors import PlanError
from netprobe.model.endpoint import Rank
from netprobe.model.topology import Leaf

ADDRESS: Final = "SLURM_TOPOLOGY_ADDR"
"""Switches from the top down to the leaf, then the host, joined by dots: ``spine.leaf1.node17``."""
PATTERN: Final = "SLURM_TOPOLOGY_ADDR_PATTERN"
"""What each part of the address is: ``switch.switch.node``."""

ByRail = Mapping[int | None, str]
"""A host's switches by rail; under None the one that all of its NICs are connected to."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Directory:
    """Leaves by host, made once: a site may have 10,000 hosts with eight ranks each."""

    by_name: Mapping[str, ByRail]
    by_short_name: Mapping[str, ByRail]
    """By the first part of the name; without those that hosts on different switches share."""

    def leaf_of(self, host: str, place: int) -> str | None:
        """Return the switch of a host's rank, by the host's name or by its first part; None: nobody told."""
        rails = self.by_name.get(host) or self.by_short_name.get(_short(host), {})
        return rails.get(place, rails.get(None))


def directory_of(leaves: Sequence[Leaf]) -> Directory:
    """Return the leaves by host."""
    from ClusterShell.NodeSet import RESOLVER_NOGROUP, NodeSet

    by_name: dict[str, dict[int | None, str]] = {}
    for leaf in leaves:
        for name in NodeSet(leaf.hosts, resolver=RESOLVER_NOGROUP):
            by_name.setdefault(name, {})[leaf.rail] = leaf.switch
    by_short_name: dict[str, ByRail] = {}
    for name, rails in by_name.items():
        if by_short_name.setdefault(_short(name), rails) != rails:
            by_short_name[_short(name)] = {}
    return Directory(by_name=by_name, by_short_name=by_short_name)


def placed(ranks: tuple[Rank, ...], leaves: Sequence[Leaf]) -> tuple[Rank, ...]:
    """Return the ranks on the leaves that the user told; as they are where the user told none.

    What the user told is not mixed with what Slurm calls its switches.
    """
    if not leaves:
        return ranks
    directory = directory_of(leaves)
    return tuple(replace(rank, leaf=directory.leaf_of(rank.host, rank.local_index)) for rank in ranks)


def refuse_foreign(ranks: Sequence[Rank], leaves: Sequence[Leaf]) -> None:
    """Raise PlanError where none of the ranks is on any of the leaves; pure, so that all ranks raise or none."""
    if leaves and all(rank.leaf is None for rank in ranks):
        raise PlanError(
            f"--topology names none of the hosts of this run ({_listed(rank.host for rank in ranks)}); "
            f"it has {leaves[0].hosts} on {leaves[0].switch}",
            remedy="the topology of this cluster, with the names that `hostname` prints on its hosts",
        )


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


def _listed(hosts: Iterable[str]) -> str:
    names = list(dict.fromkeys(hosts))
    return ", ".join(names[:3]) + (", …" if len(names) > 3 else "")


def _short(host: str) -> str:
    return host.partition(".")[0].lower()
