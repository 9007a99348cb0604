"""A fabric as arrays: NICs, the leaves that they are connected to, and the spines above.

One rank for each NIC, as jobs on GPUs are laid out: rank k of a host uses its k-th NIC, which is rail k.

Does not handle: fabrics of three layers of switches, and planes of rails that never meet above the leaves.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from netprobe.errors import PlanError
from netprobe.model.topology import Leaf, Topology

IntArray = NDArray[np.int64]
FloatArray = NDArray[np.float64]

SPINES: Final = ("spine01", "spine02", "spine03", "spine04")
LINE_RATES_GBPS: Final = (100.0, 200.0, 400.0)
TEMPLATES: Final = {8: (8, 1, 4), 64: (16, 4, 8), 256: (32, 8, 16), 1024: (128, 8, 32)}
"""By NICs: hosts, NICs of each host, and hosts on each leaf of a rail."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Fabric:
    """What there is; arrays of NICs have shape (nics,) and are in order of ranks."""

    hosts: tuple[str, ...]
    host: IntArray
    rail: IntArray
    leaf: IntArray
    """That it is connected to."""
    told_leaf: IntArray
    """That it should be connected to, as the topology tells."""
    leaves: tuple[str, ...]
    spines: tuple[str, ...]
    uplinks: IntArray
    """Links from each leaf to each spine, shape (leaves, spines)."""
    line_gbps: float
    """Of every port, when it is well."""

    @property
    def nics(self) -> int:
        """How many there are."""
        return len(self.host)

    @property
    def rails(self) -> int:
        """NICs of each host."""
        return self.nics // len(self.hosts)

    @property
    def first_rank(self) -> IntArray:
        """The first rank of the host of each NIC."""
        first: IntArray = self.host * self.rails
        return first

    def name(self, nic: int) -> str:
        """Return what reports call a NIC."""
        return f"{self.hosts[self.host[nic]]} {device(int(self.rail[nic]))}"

    def leaf_port(self, nic: int) -> str:
        """Return the port of the leaf that a NIC is plugged into, as the leaf itself tells."""
        return f"{self.leaves[self.leaf[nic]]} Ethernet{int(self.host[nic]) + 1}"


def device(rail: int) -> str:
    """Return the name of the RDMA device of a rail."""
    return f"mlx5_{rail}"


def host_names(count: int) -> tuple[str, ...]:
    """Return the names of simulated hosts."""
    return tuple(f"node{number:04d}" for number in range(1, count + 1))


def default_topology(nics: int) -> Topology:
    """Return a rail-optimised fabric of leaves and spines without oversubscription; PlanError for another size.

    Leaf k of a group of hosts has NIC k of each of them, so that NICs of one rail meet within a leaf where they can.
    """
    from ClusterShell.NodeSet import RESOLVER_NOGROUP, NodeSet

    if nics not in TEMPLATES:
        raise PlanError(
            f"there is no fabric of {nics} NICs", remedy=f"{', '.join(map(str, TEMPLATES))}, or a file of a topology"
        )
    hosts, rails, on_leaf = TEMPLATES[nics]
    names = host_names(hosts)
    groups = [names[first : first + on_leaf] for first in range(0, hosts, on_leaf)]
    spines = SPINES[: min(len(SPINES), on_leaf)]
    return Topology(
        leaves=tuple(
            Leaf(
                switch=f"leaf{group * rails + rail + 1:02d}",
                hosts=str(NodeSet.fromlist(list(members), resolver=RESOLVER_NOGROUP)),
                rail=rail if rails > 1 else None,
                spines=spines,
                uplinks=on_leaf // len(spines),
            )
            for group, members in enumerate(groups)
            for rail in range(rails)
        )
    )


def fabric_of(topology: Topology, line_gbps: float = LINE_RATES_GBPS[-1]) -> Fabric:
    """Return the arrays of a topology; PlanError where a host is on two leaves of a rail, or misses one.

    Leaves of which no uplinks are told get as many as they have hosts.
    """
    if not topology.leaves:
        raise PlanError("the topology has no leaf", remedy="lines such as 'SwitchName=leaf1 Nodes=node[01-16]'")
    place = dict(_placed(topology.leaves))
    hosts = tuple(dict.fromkeys(host for host, _ in place))
    rails = _rails(topology.leaves)
    missing = next(((host, rail) for host in hosts for rail in range(rails) if (host, rail) not in place), None)
    if missing is not None:
        raise PlanError(f"{missing[0]} is on no leaf of rail {missing[1]}", remedy="one leaf for each rail of a host")
    leaf = np.array([place[host, rail] for host in hosts for rail in range(rails)], dtype=np.int64)
    spines = tuple(dict.fromkeys(spine for leaf in topology.leaves for spine in leaf.spines)) or SPINES
    return Fabric(
        hosts=hosts,
        host=np.repeat(np.arange(len(hosts)), rails),
        rail=np.tile(np.arange(rails), len(hosts)),
        leaf=leaf,
        told_leaf=leaf.copy(),
        leaves=tuple(leaf.switch for leaf in topology.leaves),
        spines=spines,
        uplinks=np.array([_uplinks(leaf, spines) for leaf in topology.leaves], dtype=np.int64),
        line_gbps=line_gbps,
    )


def _rails(leaves: Sequence[Leaf]) -> int:
    return 1 + max((leaf.rail for leaf in leaves if leaf.rail is not None), default=0)


def _placed(leaves: Sequence[Leaf]) -> Iterator[tuple[tuple[str, int], int]]:
    """Yield the leaf of each NIC by host and rail."""
    seen: dict[tuple[str, int], str] = {}
    for number, leaf in enumerate(leaves):
        for host in _hosts(leaf):
            for rail in range(_rails(leaves)) if leaf.rail is None else (leaf.rail,):
                before = seen.setdefault((host, rail), leaf.switch)
                if before != leaf.switch:
                    raise PlanError(
                        f"{host} is on {leaf.switch}, and before that it was on {before}",
                        remedy="one leaf for each NIC of a host",
                    )
                yield (host, rail), number


def _hosts(leaf: Leaf) -> tuple[str, ...]:
    from ClusterShell.NodeSet import RESOLVER_NOGROUP, NodeSet

    return tuple(NodeSet(leaf.hosts, resolver=RESOLVER_NOGROUP))


def _uplinks(leaf: Leaf, spines: Sequence[str]) -> list[int]:
    own = leaf.spines or tuple(spines)
    each = leaf.uplinks if leaf.uplinks is not None else -(-len(_hosts(leaf)) // len(own))
    return [each if spine in own else 0 for spine in spines]
