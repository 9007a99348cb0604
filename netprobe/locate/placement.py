"""Where ranks live, as arrays to index with."""

from collections.abc import Iterable
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from netprobe.locate.remembered import remembered
from netprobe.model.endpoint import Rank, ranks_by_host
from netprobe.model.evidence import PairTable
from netprobe.stats.distinct import sorted_distinct

IntArray = NDArray[np.int64]
HostPair = tuple[str, str]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Placement:
    """Hosts by number, and the host and place of every rank, shape (ranks,)."""

    hosts: tuple[str, ...]
    host_of: IntArray
    place_of: IntArray
    """The rank's index among the ranks of its host: the same place means the same rail on hosts built alike."""
    leaves: tuple[str, ...] = ()
    """Leaf switches that were told; none where nobody knows any."""
    leaf_of: IntArray = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    """The leaf of every rank, -1 where it is not known, shape (ranks,); empty without leaves."""
    are_leaves_inferred: bool = False
    """Whether latencies told the leaves (locate.latency_classes), and nobody who knows."""

    def name(self, rank: int) -> str:
        """Return ``host:rank``."""
        return f"{self.hosts[self.host_of[rank]]}:{rank}"

    def host(self, rank: int) -> str:
        """Return the name of a rank's host."""
        return self.hosts[int(self.host_of[rank])]

    def ranks_on(self, host: str) -> tuple[int, ...]:
        """Return the ranks of a host, in order."""
        return tuple(np.flatnonzero(self.host_of == self.hosts.index(host)).tolist())


@remembered(4)  # every detector asks
def placement_of(ranks: tuple[Rank, ...]) -> Placement:
    """Return where ranks live; hosts are numbered in order of first appearance."""
    hosts = tuple(ranks_by_host(ranks))
    number = {host: index for index, host in enumerate(hosts)}
    leaves = tuple(dict.fromkeys(rank.leaf for rank in ranks if rank.leaf is not None))
    leaf_number = {leaf: index for index, leaf in enumerate(leaves)}
    leaf_of = [-1 if rank.leaf is None else leaf_number[rank.leaf] for rank in ranks] if leaves else []
    return Placement(
        hosts=hosts,
        host_of=np.array([number[rank.host] for rank in ranks], dtype=np.int64),
        place_of=np.array([rank.local_index for rank in ranks], dtype=np.int64),
        leaves=leaves,
        leaf_of=np.array(leaf_of, dtype=np.int64),
    )


def leaf_of_hosts(placement: Placement) -> IntArray:
    """Return the leaf of each host; -1 where it is not known, or its ranks are on several: any NIC may be used then."""
    hosts = len(placement.hosts)
    if not len(placement.leaf_of):
        return np.full(hosts, -1, dtype=np.int64)
    low, high = np.full(hosts, len(placement.leaves), dtype=np.int64), np.full(hosts, -1, dtype=np.int64)
    np.minimum.at(low, placement.host_of, placement.leaf_of)
    np.maximum.at(high, placement.host_of, placement.leaf_of)
    return np.where(low == high, high, -1)


def leaf_names(placement: Placement) -> dict[str, str]:
    """Return the leaves of each host's ranks, by place, as one name; hosts of which one is not known are absent.

    Hosts of the same name have the same leaf on every rail.
    """
    leaf_of: dict[int, dict[int, int]] = {}
    for host, place, leaf in zip(
        placement.host_of.tolist(), placement.place_of.tolist(), placement.leaf_of.tolist(), strict=False
    ):
        leaf_of.setdefault(host, {})[place] = leaf
    return {
        placement.hosts[host]: " ".join(placement.leaves[own[place]] for place in sorted(own))
        for host, own in leaf_of.items()
        if min(own.values()) >= 0
    }


def host_pairs(
    tables: Iterable[PairTable], placement: Placement, *, among: AbstractSet[str] | None = None
) -> frozenset[HostPair]:
    """Return the pairs of hosts, names in order, whose ranks were measured with each other.

    ``among``: only those with an end there, as a fleet has half a million of them and a fault few.
    """
    hosts = len(placement.hosts)
    chosen = np.array([among is None or host in among for host in placement.hosts], dtype=bool)
    codes = [np.zeros(0, dtype=np.int64)]
    for table in tables:
        src, dst = placement.host_of[table.src], placement.host_of[table.dst]
        wanted = chosen[src] | chosen[dst]
        low, high = np.minimum(src[wanted], dst[wanted]), np.maximum(src[wanted], dst[wanted])
        codes.append(sorted_distinct(low * hosts + high, below=hosts * hosts))
    ends = sorted_distinct(np.concatenate(codes), below=hosts * hosts)
    names = placement.hosts
    return frozenset(
        (names[a], names[b]) if names[a] <= names[b] else (names[b], names[a])
        for a, b in zip((ends // max(hosts, 1)).tolist(), (ends % max(hosts, 1)).tolist(), strict=True)
    )
