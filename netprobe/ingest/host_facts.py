"""What files tell of the hosts themselves: links, flow control, and what is at the other end of each cable."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Final

from netprobe.ingest.qos_draft import QosReport
from netprobe.ingest.recognise import ReadFile
from netprobe.ingest.told import Link
from netprobe.inventory.lldp import with_neighbours
from netprobe.model.inventory import HostInventory, Neighbour, NetDevice, RdmaPort

UNNAMED_DEVICE: Final = "nic"


def inventories_of(owned: Iterable[tuple[ReadFile, str]]) -> dict[str, HostInventory]:
    """Return what files tell of ports and interfaces, by host."""
    found: dict[str, HostInventory] = {}
    for file, owner in owned:
        for link in file.links:
            host = link.host or owner
            found[host] = _with_link(found.get(host) or HostInventory(host=host), link)
        for report in file.qos:
            host = report.host or owner
            found[host] = _with_qos(found.get(host) or HostInventory(host=host), report)
        told = {owner: dict(file.neighbours)} if file.neighbours else {}
        for host, netdev, neighbour in file.cables:
            told.setdefault(host, {})[netdev] = neighbour
        for host, neighbours in told.items():
            found[host] = _with_netdevs(found.get(host) or HostInventory(host=host), neighbours)
    return found


def _with_qos(inventory: HostInventory, report: QosReport) -> HostInventory:
    """Return an inventory with an interface, and the RDMA port above it, as a report tells."""
    netdev, device = report.netdev, report.device
    if netdev is None and device is None:
        netdev = UNNAMED_DEVICE
    devices, ports = inventory.net_devices, inventory.rdma_ports
    if netdev is not None:
        known = inventory.net_device(netdev) or _netdev(netdev)
        others = tuple(each for each in devices if each.name != netdev)
        devices = (*others, replace(known, qos=report.qos or known.qos, ecn=report.ecn or known.ecn))
    if device is not None:
        known_port = next((each for each in ports if (each.device, each.port) == (device, 1)), None)
        told = replace(
            known_port or _port(device),
            link_layer="Ethernet",  # mlnx_qos and the files of ECN are of such ports alone
            netdev=netdev or (None if known_port is None else known_port.netdev),
            traffic_class=report.traffic_class,
            default_tos=report.default_tos,
        )
        ports = (*(each for each in ports if each is not known_port), told)
    return replace(inventory, net_devices=devices, rdma_ports=ports)


def _with_link(inventory: HostInventory, link: Link) -> HostInventory:
    """Return an inventory with a port as a link tells of it."""
    known = next((each for each in inventory.rdma_ports if (each.device, each.port) == (link.device, link.port)), None)
    earlier = known or _port(link.device, link.port)
    told = replace(
        earlier,
        state=link.state or earlier.state,
        physical_state=link.physical_state or earlier.physical_state,
        netdev=link.netdev or earlier.netdev,
        link_layer=link.link_layer or earlier.link_layer,
        rate_gbps=link.rate_gbps or earlier.rate_gbps,
    )
    return replace(inventory, rdma_ports=(*(each for each in inventory.rdma_ports if each is not known), told))


def _with_netdevs(inventory: HostInventory, neighbours: Mapping[str, Neighbour]) -> HostInventory:
    """Return an inventory with the interfaces whose neighbours a file tells."""
    missing = tuple(_netdev(name) for name in neighbours if inventory.net_device(name) is None)
    return with_neighbours(replace(inventory, net_devices=(*inventory.net_devices, *missing)), neighbours)


def _netdev(name: str) -> NetDevice:
    return NetDevice(name=name, state=None, mtu_bytes=None, speed_gbps=None, driver=None, pci=None)


def _port(device: str, port: int = 1) -> RdmaPort:
    return RdmaPort(
        device=device,
        port=port,
        link_layer=None,
        state=None,
        physical_state=None,
        rate_gbps=None,
        driver=None,
        netdev=None,
        pci=None,
        firmware=None,
        board=None,
        model=None,
        node_guid=None,
    )
