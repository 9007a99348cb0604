"""Where ranks live, as arrays to index with."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from netprobe.model.endpoint import Rank, ranks_by_host

IntArray = NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Placement:
    """Hosts by number, and the host and place of every rank, shape (ranks,)."""

    hosts: tuple[str, ...]
    host_of: IntArray
    place_of: IntArray
    """The rank's index among the ranks of its host: the same place means the same rail on hosts built alike."""

    def name(self, rank: int) -> str:
        """Return ``host:rank``."""
        return f"{self.hosts[self.host_of[rank]]}:{rank}"

    def host(self, rank: int) -> str:
        """Return the name of a rank's host."""
        return self.hosts[int(self.host_of[rank])]

    def ranks_on(self, host: str) -> tuple[int, ...]:
        """Return the ranks of a host, in order."""
        return tuple(np.flatnonzero(self.host_of == self.hosts.index(host)).tolist())


def placement_of(ranks: tuple[Rank, ...]) -> Placement:
    """Return where ranks live; hosts are numbered in order of first appearance."""
    hosts = tuple(ranks_by_host(ranks))
    number = {host: index for index, host in enumerate(hosts)}
    return Placement(
        hosts=hosts,
        host_of=np.array([number[rank.host] for rank in ranks], dtype=np.int64),
        place_of=np.array([rank.local_index for rank in ranks], dtype=np.int64),
    )
