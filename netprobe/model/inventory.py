"""What a host is made of, as far as the fabric is concerned: ports, interfaces, PCI, settings. None: not known."""

from dataclasses import dataclass
from typing import Final

from netprobe.model.finding import Gap

INVENTORY_FORMAT: Final = 1
"""Raised when an older netprobe could misread inventory.json."""
PRIORITIES: Final = 8
"""Classes of traffic that Ethernet flow control tells apart (IEEE 802.1Qbb)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Gid:
    """One entry of a port's table of addresses."""

    index: int
    address: str
    """As the kernel writes it: eight groups of four hexadecimal digits."""
    kind: str | None
    """``RoCE v2``, ``IB/RoCE v1``."""
    netdev: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class RdmaPort:
    """A port of an RDMA device."""

    device: str
    port: int
    link_layer: str | None
    """``Ethernet`` or ``InfiniBand``."""
    state: str | None
    """``ACTIVE``, ``DOWN``, …"""
    physical_state: str | None
    rate_gbps: float | None
    driver: str | None
    """Of the PCI device; bnxt_re's is bnxt_en."""
    netdev: str | None
    """The interface that carries a RoCE port."""
    pci: str | None
    """The address of the PCI device, as in ``0000:17:00.0``."""
    firmware: str | None
    board: str | None
    model: str | None
    """``hca_type``."""
    node_guid: str | None
    gids: tuple[Gid, ...] = ()
    traffic_class: int | None = None
    """What the kernel forces on all queue pairs (OFED alone)."""
    forces_no_class: bool = False
    """The kernel could force a traffic class, and none is set; False as well where it cannot, or nobody knows."""
    default_tos: int | None = None
    """Type of service of queue pairs made by rdma_cm."""
    lid: int | None = None
    subnet_manager_lid: int | None = None

    @property
    def name(self) -> str:
        """``mlx5_0``, with the port's number where it is not the first: ``mlx5_0/2``."""
        return self.device if self.port == 1 else f"{self.device}/{self.port}"

    @property
    def is_roce(self) -> bool:
        """Whether it runs over Ethernet."""
        return self.link_layer == "Ethernet"

    @property
    def is_active(self) -> bool:
        """Whether it carries traffic."""
        return self.state == "ACTIVE"

    @property
    def may_be_active(self) -> bool:
        """Whether nothing says that it carries no traffic: reports of settings do not tell the state."""
        return self.state is None or self.is_active

    @property
    def is_software(self) -> bool:
        """Whether the kernel shows it without a place on the PCI bus (soft RoCE); of a paste neither is known."""
        return self.pci is None and self.node_guid is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class QosSettings:
    """Which traffic goes into which class of an interface, and which classes are lossless."""

    pfc_enabled: tuple[bool, ...] | None
    """By priority, shape (8,)."""
    trust: str | None
    """``dscp`` or ``pcp``: what the class is taken from."""
    dscp_to_priority: tuple[tuple[int, int], ...] = ()
    """(DSCP, priority), only those that are set, ascending."""
    priority_to_class: tuple[int, ...] | None = None
    class_bandwidth_percent: tuple[int, ...] | None = None
    class_algorithm: tuple[str, ...] | None = None
    """``strict``, ``ets``, …"""
    priority_to_buffer: tuple[int, ...] | None = None
    buffer_bytes: tuple[int, ...] | None = None
    origin: str = "dcb netlink"
    """Where it was read: a file's name when it was handed over."""

    def priority_of(self, dscp: int) -> int | None:
        """Return the priority of packets with this DSCP; None where it is not taken from the DSCP, or not known."""
        if self.trust != "dscp":
            return None
        return dict(self.dscp_to_priority).get(dscp, dscp >> 3)  # what Linux drivers map without an entry


@dataclass(frozen=True, slots=True, kw_only=True)
class EcnSettings:
    """Congestion control of RoCE on an interface, by priority."""

    notification_point: tuple[bool | None, ...]
    """Whether marked packets are answered with CNPs, shape (8,); on mlx5 any of them turns all on."""
    reaction_point: tuple[bool | None, ...]
    """Whether CNPs slow the sender down, shape (8,)."""
    cnp_dscp: int | None = None
    cnp_priority: int | None = None
    origin: str = "sysfs"


@dataclass(frozen=True, slots=True, kw_only=True)
class Neighbour:
    """What is at the other end of a cable, as it says itself (LLDP), or as a file of the site says."""

    system: str
    port: str
    origin: str = "lldp"


@dataclass(frozen=True, slots=True, kw_only=True)
class NetDevice:
    """A network interface with a device below it, or one that has an address."""

    name: str
    state: str | None
    """``up``, ``down``, …"""
    mtu_bytes: int | None
    speed_gbps: float | None
    driver: str | None
    pci: str | None
    addresses: tuple[str, ...] = ()
    """With the length of their prefix."""
    is_default_route: bool = False
    arp_ignore: int | None = None
    """Which ARP requests it answers (sysctl, of all interfaces or its own, the larger): 0 those for any address of the
    host, 1 and more those for its own."""
    master: str | None = None
    """The bond or bridge it belongs to."""
    autonegotiates: bool | None = None
    fec: str | None = None
    """The mode in use: ``RS``, ``BaseR``, ``LLRS``, ``Off``."""
    pause_receives: bool | None = None
    """Global pause; apart from PFC."""
    pause_sends: bool | None = None
    ring_receive: int | None = None
    ring_receive_most: int | None = None
    ring_send: int | None = None
    ring_send_most: int | None = None
    qos: QosSettings | None = None
    ecn: EcnSettings | None = None
    neighbour: Neighbour | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PciDevice:
    """A NIC or a GPU on the PCI bus, with the bridges above it."""

    address: str
    kind: str
    """``nic`` or ``gpu``."""
    vendor: str | None
    device: str | None
    """Four hexadecimal digits each."""
    numa_node: int | None
    speed_gtps: float | None
    """Giga-transfers a second of each lane, now."""
    speed_most_gtps: float | None
    width: int | None
    """Lanes, now."""
    width_most: int | None
    path: tuple[str, ...] = ()
    """Addresses of the bridges above, the root first."""
    narrowest: str | None = None
    """The bridge on the way up that runs below what it could, and carries less than the device; None: there is none."""
    max_read_request_bytes: int | None = None
    access_control: tuple[str, ...] = ()
    """Bridges above whose ACS redirects peer-to-peer traffic; needs root to be read."""
    is_access_control_known: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class SystemSettings:
    """What the operating system is set to, where it matters for latency and GPUDirect."""

    kernel: str | None
    memlock_bytes: int | None
    """2^63 - 1 where it is unlimited."""
    governor: str | None
    """Of all CPUs; ``mixed`` where they differ."""
    deepest_idle_state: str | None
    """The deepest enabled C-state of CPU 0."""
    iommu: str | None
    """``off``, ``identity`` or ``translated``."""
    gpu_direct: str | None
    """``peer-memory``, ``dma-buf``, ``none``; None where there is no GPU."""
    environment: tuple[tuple[str, str], ...] = ()
    """Settings of communication libraries, by allow-list."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HostInventory:
    """Everything that is known of one host."""

    host: str
    rdma_ports: tuple[RdmaPort, ...] = ()
    net_devices: tuple[NetDevice, ...] = ()
    pci_devices: tuple[PciDevice, ...] = ()
    system: SystemSettings | None = None
    gaps: tuple[Gap, ...] = ()
    """What could not be read, and why."""

    def net_device(self, name: str | None) -> NetDevice | None:
        """Return the interface with this name."""
        return next((each for each in self.net_devices if each.name == name), None)

    @property
    def gpus(self) -> tuple[PciDevice, ...]:
        """Its GPUs, in the order of their addresses on the bus."""
        return tuple(each for each in self.pci_devices if each.kind == "gpu")

    def pci_device(self, address: str | None) -> PciDevice | None:
        """Return the PCI device with this address."""
        return next((each for each in self.pci_devices if each.address == address), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Inventories:
    """inventory.json: every host of a run, as it was when the ranks met."""

    format: int
    hosts: tuple[HostInventory, ...]
