"""Where a fault can be: parts of a fabric by the names that reports give them."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from netprobe.sim.fabric import Fabric

IntArray = NDArray[np.int64]


class PlaceKind(StrEnum):
    """What a place is."""

    NIC = "NIC"
    HOST = "host"
    LEAF = "leaf"
    UPLINK = "uplink"
    FABRIC = "fabric"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Place:
    """One part of a fabric."""

    name: str
    nics: IntArray
    """The NICs that it concerns."""
    hosts: tuple[str, ...]
    """Whom a report may name for it."""
    number: int
    """Of the host, leaf or NIC."""
    aliases: tuple[str, ...] = ()
    """Ports of leaves that the NICs are plugged into, or the leaf itself."""
    spine: int = 0
    """The other end of an uplink."""


def places_of(kind: PlaceKind, fabric: Fabric) -> Sequence[Place]:
    """Return all places of a kind, in order."""
    every = np.arange(fabric.nics)
    match kind:
        case PlaceKind.NIC:
            return [
                Place(
                    name=fabric.name(nic),
                    nics=every[nic : nic + 1],
                    hosts=(fabric.hosts[fabric.host[nic]],),
                    number=nic,
                    aliases=(fabric.leaf_port(nic),),
                )
                for nic in range(fabric.nics)
            ]
        case PlaceKind.HOST:
            return [
                Place(
                    name=name,
                    nics=own,
                    hosts=(name,),
                    number=number,
                    aliases=tuple(fabric.leaf_port(nic) for nic in own.tolist()),
                )
                for number, name in enumerate(fabric.hosts)
                for own in (every[fabric.host == number],)
            ]
        case PlaceKind.LEAF:
            return [_leaf(fabric, number) for number in range(len(fabric.leaves))]
        case PlaceKind.UPLINK:
            return [
                _leaf(fabric, leaf, spine)
                for leaf in range(len(fabric.leaves))
                for spine in np.flatnonzero(fabric.uplinks[leaf]).tolist()
            ]
        case PlaceKind.FABRIC:
            return [Place(name="fabric", nics=every, hosts=fabric.hosts, number=0)]


def _leaf(fabric: Fabric, leaf: int, spine: int | None = None) -> Place:
    nics = np.flatnonzero(fabric.leaf == leaf)
    hosts = tuple(dict.fromkeys(fabric.hosts[host] for host in fabric.host[nics].tolist()))
    name = f"leaf {fabric.leaves[leaf]}" if spine is None else f"{fabric.leaves[leaf]} {fabric.spines[spine]}"
    aliases = (f"leaf {fabric.leaves[leaf]}", fabric.leaves[leaf])
    return Place(name=name, nics=nics, hosts=hosts, number=leaf, spine=spine or 0, aliases=aliases)
