"""In what do hosts differ from most others? Every fact of an inventory by name, and the value that most hosts have.

Does not handle: hosts that are meant to differ. Parts are compared by their name, so a NIC that is called otherwise on
one host is one that is missing there, and one that only that host has.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from netprobe.locate.gpu_nics import nearest_nics
from netprobe.model.inventory import HostInventory, NetDevice, PciDevice, QosSettings, RdmaPort, SystemSettings
from netprobe.units import format_size

MAJORITY: Final = 0.5
"""More than this share of the hosts that are compared makes a value the usual one."""
FEWEST: Final = 3
"""Hosts: of two that differ nobody knows which is right."""
NOT_SET: Final = "not set"
"""A traffic class that the kernel could force and does not: a value as any other, unlike one that could not be read."""
UNLIMITED: Final = (1 << 63) - 1


@dataclass(frozen=True, slots=True, order=True)
class FactName:
    """What a fact is about: ``mlx5_0`` and ``firmware``."""

    part: str
    """A device, or ``system``, or ``environment``."""
    topic: str

    def __str__(self) -> str:
        return f"{self.part} {self.topic}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """A fact that is not the same on all hosts."""

    name: FactName
    usual: str | None
    """The value that most hosts have; None where there is none, or where most hosts do not have the fact."""
    has_usual: bool
    """Whether more than half of the hosts agree."""
    agreeing: int
    """How many hosts have the usual value."""
    others: tuple[tuple[str | None, tuple[str, ...]], ...]
    """(value, hosts) of all others, most hosts first; None: these hosts do not have it."""


def differences(inventories: Sequence[HostInventory]) -> tuple[Difference, ...]:
    """Return what is not the same on all hosts, by part and topic."""
    told = {inventory.host: dict(facts_of(inventory)) for inventory in inventories}
    names = sorted({name for facts in told.values() for name in facts})
    found = (_difference(name, {host: facts.get(name) for host, facts in told.items()}) for name in names)
    return tuple(each for each in found if each is not None)


def _difference(name: FactName, values: Mapping[str, str | None]) -> Difference | None:
    counted = Counter(values.values())
    if len(counted) == 1:
        return None
    usual, agreeing = counted.most_common(1)[0]
    has_usual = len(values) >= FEWEST and agreeing > MAJORITY * len(values)
    others = sorted(
        (value for value in counted if not has_usual or value != usual),
        key=lambda value: (-counted[value], value is None, value or ""),
    )
    return Difference(
        name=name,
        usual=usual if has_usual else None,
        has_usual=has_usual,
        agreeing=agreeing if has_usual else 0,
        others=tuple((value, tuple(host for host, own in values.items() if own == value)) for value in others),
    )


def facts_of(inventory: HostInventory) -> Iterator[tuple[FactName, str]]:
    """Yield every fact that is known and meant to be the same on hosts built alike: no addresses, no identities."""
    for port in inventory.rdma_ports:
        yield from _named(port.name, _of_port(port))
        pci = inventory.pci_device(port.pci)
        if pci is not None:
            yield from _named(port.name, _of_pci(pci))
    for device in inventory.net_devices:
        yield from _named(device.name, _of_net_device(device))
        if device.qos is not None:
            yield from _named(device.name, _of_qos(device.qos))
        if device.ecn is not None:
            yield from _named(device.name, (("ECN " + topic, value) for topic, value in _of_ecn(device)))
    for number, gpu in enumerate(inventory.gpus):
        yield from _named(f"gpu{number}", (*_of_pci(gpu), ("nearest NIC", nearest_nics(gpu, inventory))))
    if inventory.system is not None:
        yield from _named("system", _of_system(inventory.system))
        yield from _named("environment", inventory.system.environment)


def _named(part: str, facts: Iterable[tuple[str, object]]) -> Iterator[tuple[FactName, str]]:
    return ((FactName(part, topic), _text(value)) for topic, value in facts if value is not None)


def _text(value: object) -> str:
    if isinstance(value, bool):
        return "on" if value else "off"
    return f"{value:g}" if isinstance(value, float) else str(value)


def _of_port(port: RdmaPort) -> Iterator[tuple[str, object]]:
    yield "link layer", port.link_layer
    yield "state", port.state
    yield "rate", None if port.rate_gbps is None or not port.is_active else f"{port.rate_gbps:g} Gb/s"
    yield "firmware", port.firmware
    yield "board", port.board
    yield "model", port.model
    yield "driver", port.driver
    yield "interface", port.netdev
    yield "traffic class", NOT_SET if port.forces_no_class else port.traffic_class
    yield "default type of service", port.default_tos


def _of_pci(device: PciDevice) -> Iterator[tuple[str, object]]:
    yield "PCIe speed", None if device.speed_gtps is None else f"{device.speed_gtps:g} GT/s"
    yield "PCIe width", None if device.width is None else f"x{device.width}"
    yield "NUMA node", device.numa_node
    yield "PCIe read request", None if device.max_read_request_bytes is None else f"{device.max_read_request_bytes} B"
    if device.is_access_control_known:
        yield "PCIe access control", "redirects" if device.access_control else "off"


def _of_net_device(device: NetDevice) -> Iterator[tuple[str, object]]:
    yield "state", device.state
    yield "MTU", device.mtu_bytes
    yield "speed", None if device.speed_gbps is None else f"{device.speed_gbps:g} Gb/s"
    yield "driver", device.driver
    yield "autonegotiation", device.autonegotiates
    yield "FEC", device.fec
    yield "global pause, receiving", device.pause_receives
    yield "global pause, sending", device.pause_sends
    yield "receive ring", device.ring_receive
    yield "send ring", device.ring_send


def _of_qos(qos: QosSettings) -> Iterator[tuple[str, object]]:
    yield "lossless priorities", priorities(qos.pfc_enabled)
    yield "trust", qos.trust
    yield "DSCP map", " ".join(f"{dscp}→{priority}" for dscp, priority in qos.dscp_to_priority) or "default"
    yield "traffic classes", _listed(qos.priority_to_class)
    yield "class bandwidth", _listed(qos.class_bandwidth_percent)
    yield "class scheduling", _listed(qos.class_algorithm)
    yield "priority buffers", _listed(qos.priority_to_buffer)
    yield "buffer sizes", _listed(qos.buffer_bytes)


def _of_ecn(device: NetDevice) -> Iterator[tuple[str, object]]:
    if device.ecn is not None:
        yield "notification", priorities(device.ecn.notification_point)
        yield "reaction", priorities(device.ecn.reaction_point)
        yield "CNP DSCP", device.ecn.cnp_dscp
        yield "CNP priority", device.ecn.cnp_priority


def _of_system(system: SystemSettings) -> Iterator[tuple[str, object]]:
    yield "kernel", system.kernel
    yield "locked memory", _memory(system.memlock_bytes)
    yield "CPU governor", system.governor
    yield "deepest idle state", system.deepest_idle_state
    yield "IOMMU", system.iommu
    yield "GPUDirect", system.gpu_direct


def _memory(size_bytes: int | None) -> str | None:
    if size_bytes is None:
        return None
    return "unlimited" if size_bytes >= UNLIMITED else format_size(size_bytes)


def priorities(enabled: Sequence[bool | None] | None) -> str | None:
    """Return ``3``, ``0,3`` or ``none``; None where it is not known."""
    if enabled is None or all(each is None for each in enabled):
        return None
    return ",".join(str(priority) for priority, is_on in enumerate(enabled) if is_on) or "none"


def _listed(values: Sequence[object] | None) -> str | None:
    return None if values is None else " ".join(str(value) for value in values)
