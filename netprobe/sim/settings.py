"""How hosts of a simulated fabric are set: inventories as a well-kept cluster of 400G mlx5 NICs has them."""

from collections.abc import Sequence
from typing import Final

from netprobe.model.inventory import (
    PRIORITIES,
    EcnSettings,
    Gid,
    HostInventory,
    Neighbour,
    NetDevice,
    PciDevice,
    QosSettings,
    RdmaPort,
    SystemSettings,
)
from netprobe.model.rdma import RdmaEndpoint
from netprobe.sim.condition import LOSSLESS
from netprobe.sim.fabric import Fabric, device

DSCP: Final = 26
GID_INDEX: Final = 3
MTU_BYTES: Final = 9000
UNLIMITED: Final = (1 << 63) - 1
ON_BUS: Final = 0x10


def netdev(rail: int) -> str:
    """Return the interface of a rail."""
    return f"eth{rail}"


def inventories_of(fabric: Fabric) -> tuple[HostInventory, ...]:
    """Return what every host tells, all alike."""
    return tuple(_inventory(fabric, number) for number in range(len(fabric.hosts)))


def endpoints_of(fabric: Fabric, inventories: Sequence[HostInventory]) -> tuple[RdmaEndpoint, ...]:
    """Return the port and address that each rank uses, as its host tells of them; ranks without a NIC are absent."""
    ports = {(each.host, port.device): port for each in inventories for port in each.rdma_ports}
    found = (ports.get((fabric.hosts[fabric.host[nic]], device(int(fabric.rail[nic])))) for nic in range(fabric.nics))
    return tuple(_endpoint(rank, port) for rank, port in enumerate(found) if port is not None)


def _endpoint(rank: int, port: RdmaPort) -> RdmaEndpoint:
    gid = port.gids[0]
    return RdmaEndpoint(
        rank=rank, device=port.device, port=port.port, link_layer=port.link_layer, gid_index=gid.index,
        gid=gid.address, gid_kind=gid.kind, netdev=port.netdev, rate_gbps=port.rate_gbps,
    )  # fmt: skip


def _inventory(fabric: Fabric, host: int) -> HostInventory:
    nics = range(host * fabric.rails, (host + 1) * fabric.rails)
    return HostInventory(
        host=fabric.hosts[host],
        rdma_ports=tuple(_port(fabric, nic) for nic in nics),
        net_devices=tuple(_net_device(fabric, nic) for nic in nics),
        pci_devices=tuple(_pci(int(fabric.rail[nic])) for nic in nics),
        system=SystemSettings(
            kernel="6.8.0", memlock_bytes=UNLIMITED, governor="performance", deepest_idle_state="C1", iommu="identity",
            gpu_direct=None,
        ),
    )  # fmt: skip


def pci_address(rail: int) -> str:
    """Return where a rail's NIC is on the bus."""
    return f"0000:{ON_BUS + 0x10 * rail:02x}:00.0"


def _pci(rail: int) -> PciDevice:
    return PciDevice(
        address=pci_address(rail), kind="nic", vendor="15b3", device="1021", numa_node=int(rail >= 4),
        speed_gtps=32.0, speed_most_gtps=32.0, width=16, width_most=16, max_read_request_bytes=4096,
        is_access_control_known=True,
    )  # fmt: skip


def _port(fabric: Fabric, nic: int) -> RdmaPort:
    host, rail = int(fabric.host[nic]), int(fabric.rail[nic])
    gid = Gid(index=GID_INDEX, address=_gid(_address(host, rail)), kind="RoCE v2", netdev=netdev(rail))
    return RdmaPort(
        device=device(rail), port=1, link_layer="Ethernet", state="ACTIVE", physical_state="LinkUp",
        rate_gbps=fabric.line_gbps, driver="mlx5_core", netdev=netdev(rail), pci=pci_address(rail),
        firmware="28.40.1000", board="MT_0000000838", model="MT4129", node_guid=f"a088:c203:{host:04x}:{rail:04x}",
        gids=(gid,), traffic_class=DSCP << 2,
    )  # fmt: skip


def _net_device(fabric: Fabric, nic: int) -> NetDevice:
    host, rail = int(fabric.host[nic]), int(fabric.rail[nic])
    everywhere = (True,) * PRIORITIES
    return NetDevice(
        name=netdev(rail), state="up", mtu_bytes=MTU_BYTES, speed_gbps=fabric.line_gbps, driver="mlx5_core",
        pci=pci_address(rail), addresses=(f"{_address(host, rail)}/16",), arp_ignore=1, fec="RS",
        qos=QosSettings(
            pfc_enabled=tuple(priority == LOSSLESS for priority in range(PRIORITIES)),
            trust="dscp",
            dscp_to_priority=((DSCP, LOSSLESS),),
        ),
        ecn=EcnSettings(notification_point=everywhere, reaction_point=everywhere, cnp_dscp=48),
        neighbour=Neighbour(system=fabric.leaves[fabric.leaf[nic]], port=fabric.leaf_port(nic).partition(" ")[2]),
    )  # fmt: skip


def _address(host: int, rail: int) -> str:
    """Return an address; each rail has a subnet of its own."""
    return f"10.{rail + 1}.{host // 250}.{host % 250 + 1}"


def _gid(address: str) -> str:
    first, second, third, fourth = (int(part) for part in address.split("."))
    return f"0000:0000:0000:0000:0000:ffff:{first:02x}{second:02x}:{third:02x}{fourth:02x}"
