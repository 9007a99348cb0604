"""Changes to what hosts tell of themselves: one for each part of an inventory."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from netprobe.model.inventory import HostInventory, Neighbour
from netprobe.sim.condition import Condition
from netprobe.sim.fabric import Fabric, device
from netprobe.sim.places import Place
from netprobe.sim.settings import inventories_of, netdev, pci_address


def port(fabric: Fabric, condition: Condition, at: Place, **changes: Any) -> None:  # noqa: ANN401 - of any field
    """Change the RDMA ports of a place."""
    _each(fabric, condition, at, "rdma_ports", lambda rail, each: each.device == device(rail), changes)


def net(fabric: Fabric, condition: Condition, at: Place, **changes: Any) -> None:  # noqa: ANN401 - of any field
    """Change the interfaces of a place."""
    _each(fabric, condition, at, "net_devices", lambda rail, each: each.name == netdev(rail), changes)


def pci(fabric: Fabric, condition: Condition, at: Place, **changes: Any) -> None:  # noqa: ANN401 - of any field
    """Change the PCI devices of a place."""
    _each(fabric, condition, at, "pci_devices", lambda rail, each: each.address == pci_address(rail), changes)


def qos(fabric: Fabric, condition: Condition, at: Place, **changes: Any) -> None:  # noqa: ANN401 - of any field
    """Change which traffic is lossless."""
    _each(
        fabric, condition, at, "net_devices", _is_net, {}, lambda each: replace(each, qos=replace(each.qos, **changes))
    )


def ecn(fabric: Fabric, condition: Condition, at: Place, **changes: Any) -> None:  # noqa: ANN401 - of any field
    """Change congestion control."""
    _each(
        fabric, condition, at, "net_devices", _is_net, {}, lambda each: replace(each, ecn=replace(each.ecn, **changes))
    )


def gid_kind(fabric: Fabric, condition: Condition, at: Place, kind: str) -> None:
    """Change what addresses of a place are of."""

    def changed(each: Any) -> Any:  # noqa: ANN401 - an RdmaPort
        return replace(each, gids=tuple(replace(gid, kind=kind) for gid in each.gids))

    _each(fabric, condition, at, "rdma_ports", _is_port, {}, changed)


def with_gid_of_next_host(fabric: Fabric, condition: Condition, at: Place) -> None:
    """Give a NIC the address of the same NIC of the next host."""
    inventories = condition.inventories or inventories_of(fabric)
    other = inventories[(int(fabric.host[at.number]) + 1) % len(fabric.hosts)]
    theirs = next(each for each in other.rdma_ports if each.device == device(int(fabric.rail[at.number])))
    port(fabric, condition, at, gids=theirs.gids)


def system(fabric: Fabric, condition: Condition, at: Place, **changes: Any) -> None:  # noqa: ANN401 - of any field
    """Change the operating system of the hosts of a place."""
    hosts = set(at.hosts)
    condition.inventories = tuple(
        replace(each, system=replace(each.system, **changes)) if each.host in hosts and each.system else each
        for each in condition.inventories or inventories_of(fabric)
    )


def without_nics(fabric: Fabric, condition: Condition, at: Place) -> None:
    """Take NICs out of what hosts tell."""
    gone = {(fabric.hosts[fabric.host[nic]], int(fabric.rail[nic])) for nic in at.nics.tolist()}
    condition.inventories = tuple(
        _without(each, [rail for host, rail in gone if host == each.host])
        for each in condition.inventories or inventories_of(fabric)
    )


def rewired(fabric: Fabric, condition: Condition, nics: tuple[int, ...]) -> None:
    """Let NICs tell the leaf that they are connected to now."""
    for nic in nics:
        place = Place(name="", nics=np.array([nic]), hosts=(fabric.hosts[fabric.host[nic]],), number=nic)
        told = Neighbour(system=fabric.leaves[fabric.leaf[nic]], port=fabric.leaf_port(nic).partition(" ")[2])
        net(fabric, condition, place, neighbour=told)


def _without(inventory: HostInventory, rails: list[int]) -> HostInventory:
    devices, names, addresses = ({of(rail) for rail in rails} for of in (device, netdev, pci_address))
    return replace(
        inventory,
        rdma_ports=tuple(each for each in inventory.rdma_ports if each.device not in devices),
        net_devices=tuple(each for each in inventory.net_devices if each.name not in names),
        pci_devices=tuple(each for each in inventory.pci_devices if each.address not in addresses),
    )


def _is_net(rail: int, each: Any) -> bool:  # noqa: ANN401 - a NetDevice
    return bool(each.name == netdev(rail))


def _is_port(rail: int, each: Any) -> bool:  # noqa: ANN401 - an RdmaPort
    return bool(each.device == device(rail))


def _each(  # noqa: PLR0913 - where, which, how
    fabric: Fabric,
    condition: Condition,
    at: Place,
    part: str,
    is_meant: Callable[[int, Any], bool],
    changes: dict[str, Any],
    change: Callable[[Any], Any] | None = None,
) -> None:
    rails: dict[str, list[int]] = {}
    for nic in at.nics.tolist():
        rails.setdefault(fabric.hosts[fabric.host[nic]], []).append(int(fabric.rail[nic]))
    alter = change or (lambda each: replace(each, **changes))

    def changed(inventory: HostInventory, own: list[int]) -> HostInventory:
        parts: Any = {
            part: tuple(
                alter(each) if any(is_meant(rail, each) for rail in own) else each for each in getattr(inventory, part)
            )
        }
        return replace(inventory, **parts)

    condition.inventories = tuple(
        changed(each, rails[each.host]) if each.host in rails else each
        for each in condition.inventories or inventories_of(fabric)
    )
