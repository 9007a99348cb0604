"""Everything that is known of this host, put together."""

import socket
import sys
from collections.abc import Callable, Sequence
from typing import Final, TypeVar

from netprobe.contracts import System
from netprobe.errors import FormatError
from netprobe.inventory.lldp import parse, with_neighbours
from netprobe.inventory.net_devices import net_devices
from netprobe.inventory.pci import pci_devices
from netprobe.inventory.rdma_ports import rdma_ports
from netprobe.inventory.settings import system_settings
from netprobe.model.finding import Gap
from netprobe.model.inventory import HostInventory, Neighbour
from netprobe.store.encoding import json_line
from netprobe.system.here import this_system

TOPIC: Final = "inventory"

T = TypeVar("T")


def host_inventory(system: System, host: str) -> HostInventory:
    """Return what a host is made of; what could not be read is among its gaps. Never raises."""
    gaps: list[Gap] = []
    ports = _told("RDMA devices", lambda: rdma_ports(system), gaps) or ()
    carriers = frozenset(port.netdev for port in ports if port.netdev)
    interfaces = _told("interfaces", lambda: net_devices(system, carriers), gaps) or ()
    addresses = (*(port.pci for port in ports), *(interface.pci for interface in interfaces))
    nics = frozenset(address for address in addresses if address is not None)
    devices = _told("PCI devices", lambda: pci_devices(system, nics), gaps) or ()
    neighbours = _told("neighbours", lambda: _neighbours(system), gaps) or {}
    settings = _told("settings", lambda: system_settings(system, devices), gaps)
    inventory = HostInventory(
        host=host,
        rdma_ports=ports,
        net_devices=interfaces,
        pci_devices=devices,
        system=settings,
        gaps=tuple(gaps),
    )
    return with_neighbours(inventory, neighbours)


def _neighbours(system: System) -> dict[str, Neighbour]:
    text = system.neighbours()
    return {} if text is None else parse(text, "lldp")


def _told(what: str, read: Callable[[], T], gaps: list[Gap]) -> T | None:
    """Return what a reader tells; when it cannot, note why."""
    try:
        return read()
    except (OSError, ValueError, FormatError) as error:
        gaps.append(Gap(topic=TOPIC, reason=f"{what} could not be read: {_where_and_why(error)}"))
        return None


def _where_and_why(error: Exception) -> str:
    if isinstance(error, OSError) and error.filename is not None:
        return f"{error.filename}: {error.strerror}"
    return f"{error}"


def main(excluded: Sequence[str] = ()) -> None:
    """Print this host's inventory as one line of JSON."""
    inventory = host_inventory(this_system(excluded=excluded), socket.gethostname())
    sys.stdout.buffer.write(json_line(inventory) + b"\n")
