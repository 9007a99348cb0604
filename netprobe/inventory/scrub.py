"""Replace what identifies a site in a snapshot: the same address becomes the same placeholder everywhere in it."""

import re
from collections.abc import Mapping
from dataclasses import fields, is_dataclass, replace
from typing import Any, Final

from netprobe.model.inventory import Gid, HostInventory, NetDevice, RdmaPort, SystemSettings
from netprobe.model.snapshot import Snapshot

ADDRESS: Final = re.compile(
    r"\d{1,3}(?:\.\d{1,3}){3}|(?:[0-9a-fA-F]{0,4}:){2,}[0-9a-fA-F.:]*"
    r"|\b[0-9a-fA-F]{2}(?:-[0-9a-fA-F]{2}){5,7}\b|\b[0-9a-fA-F]{4}(?:\.[0-9a-fA-F]{4}){2,3}\b"
    r"|\b(?:0x)?[0-9a-fA-F]{16}\b|\b0x[0-9a-fA-F]{12,15}\b"
)
"""IPv4, IPv6, hardware addresses and GUIDs, wherever they stand in a text."""

NAMED_AFTER_ADDRESS: Final = re.compile(r"\b([a-z]+x)([0-9a-f]{12})(?![0-9a-zA-Z])")
"""Devices that systemd and rdma-core name after their hardware address: enx0c42a1123456, rocex0c42a1123456."""
SWITCHES: Final = "SLURM_TOPOLOGY_ADDR"
"""Names of switches from the top down, then of the host, with dots between them."""

MAPPED: Final = ["0000"] * 5 + ["ffff"]
LINK_LOCAL: Final = ["fe80"]
GLOBAL: Final = ["2001", "0db8"]  # for documentation: RFC 3849


class _Placeholders:
    """Numbers what it replaces, in order of appearance."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}

    def number(self, text: str) -> int:
        """Return the number of what is replaced."""
        return self._numbers.setdefault(text.lower(), len(self._numbers) + 1)

    def of(self, kind: str, text: str) -> str:
        """Return the placeholder of a whole text."""
        return f"{kind}-{self.number(text)}"

    def within(self, text: str) -> str:
        """Return a text with a placeholder for each address in it."""
        return ADDRESS.sub(lambda match: self.of("address", match[0]), text)

    def device(self, text: str) -> str:
        """Return a text in which devices that are named after an address have a number in its place."""
        return NAMED_AFTER_ADDRESS.sub(lambda match: f"{match[1]}{self.number(match[2]):012x}", text)


def scrubbed(snapshot: Snapshot) -> Snapshot:
    """Return the snapshot without addresses, GUIDs and names of switches.

    Host and device names stay, but for an address in a device's name, which is replaced wherever the name stands.
    """
    names = _Placeholders()
    scrub = replace(snapshot, inventory=_inventory(snapshot.inventory, names), is_scrubbed=True)
    renamed: Snapshot = _renamed(scrub, names)
    return renamed


def _renamed(value: Any, names: _Placeholders) -> Any:  # noqa: ANN401 - whatever a snapshot holds
    """Return the same with other names of devices, in all texts of it."""
    if isinstance(value, str):
        return names.device(value)
    if isinstance(value, tuple):
        return tuple(_renamed(each, names) for each in value)
    if isinstance(value, Mapping):
        return {_renamed(key, names): _renamed(each, names) for key, each in value.items()}
    if is_dataclass(value) and not isinstance(value, type):
        return replace(value, **{each.name: _renamed(getattr(value, each.name), names) for each in fields(value)})
    return value


def _inventory(inventory: HostInventory, names: _Placeholders) -> HostInventory:
    return replace(
        inventory,
        rdma_ports=tuple(_port(port, names) for port in inventory.rdma_ports),
        net_devices=tuple(_net_device(device, names) for device in inventory.net_devices),
        system=None if inventory.system is None else _system(inventory.system, names),
        gaps=tuple(replace(gap, reason=names.within(gap.reason)) for gap in inventory.gaps),
    )


def _port(port: RdmaPort, names: _Placeholders) -> RdmaPort:
    guid = None if port.node_guid is None else names.of("guid", port.node_guid)
    return replace(port, node_guid=guid, gids=tuple(_gid(gid, names) for gid in port.gids))


def _gid(gid: Gid, names: _Placeholders) -> Gid:
    """Replace an address by one of the same kind: whether it is link-local is what its judges ask."""
    groups = gid.address.lower().split(":")
    kept = next((prefix for prefix in (MAPPED, LINK_LOCAL) if groups[: len(prefix)] == prefix), GLOBAL)
    number = names.number(gid.address)
    own = [f"{number >> 16:04x}", f"{number & 0xFFFF:04x}"]
    return replace(gid, address=":".join([*kept, *["0000"] * (8 - len(kept) - len(own)), *own]))


def _net_device(device: NetDevice, names: _Placeholders) -> NetDevice:
    addresses = tuple(_prefixed(address, names) for address in device.addresses)
    if device.neighbour is None:
        return replace(device, addresses=addresses)
    system, port = names.of("switch", device.neighbour.system), names.within(device.neighbour.port)
    return replace(device, addresses=addresses, neighbour=replace(device.neighbour, system=system, port=port))


def _prefixed(address: str, names: _Placeholders) -> str:
    host, slash, length = address.partition("/")
    return names.of("address", host) + slash + length


def _system(system: SystemSettings, names: _Placeholders) -> SystemSettings:
    return replace(
        system,
        environment=tuple(
            (name, _switches(value, names) if name == SWITCHES else names.within(value))
            for name, value in system.environment
        ),
    )


def _switches(path: str, names: _Placeholders) -> str:
    *switches, host = path.split(".")
    return ".".join([*(names.of("switch", each) for each in switches), host])
