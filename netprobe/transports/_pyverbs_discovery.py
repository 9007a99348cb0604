"""What pyverbs tells of RDMA devices, as inventory.rdma_ports tells it of the kernel's files: each checks the other."""

import socket
import sys
from dataclasses import dataclass
from typing import Final

from netprobe.model.inventory import Gid, RdmaPort
from netprobe.transports._pyverbs_bindings import Bindings, Foreign, broken_by, load_bindings

STATES: Final = ("NOP", "DOWN", "INIT", "ARMED", "ACTIVE", "ACTIVE_DEFER")  # enum ibv_port_state
KINDS: Final = {"IB": "IB/RoCE v1", "ROCE_V1": "IB/RoCE v1", "ROCE_V2": "RoCE v2"}  # as the kernel names them
LAYERS: Final = {"ETHERNET": "Ethernet", "INFINIBAND": "InfiniBand"}
SMALLEST_MTU_BYTES: Final = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class PortSeen:
    """A port, and what its device can do. What verbs do not tell of RdmaPort is None there."""

    port: RdmaPort
    active_mtu_bytes: int
    most_messages: int
    """Requests that a queue pair holds."""
    most_reads: int
    """Reads and atomics that a queue pair answers at once."""
    has_atomics: bool


def discover(bindings: Bindings | None = None) -> tuple[PortSeen, ...]:
    """Return the ports of all devices, by name; UnavailableError without pyverbs, Broken where a device says no."""
    bindings = bindings or load_bindings()
    with broken_by(bindings, "ibv_get_device_list"):
        names = sorted(each.name.decode() for each in bindings.device.get_device_list())
    return tuple(seen for name in names for seen in _ports_of(bindings, name))


def _ports_of(bindings: Bindings, name: str) -> list[PortSeen]:
    with broken_by(bindings, "ibv_open_device"):
        context = bindings.device.Context(name=name)
    with broken_by(bindings, "ibv_query_device"):
        attributes = context.query_device()
    try:
        return [_seen(bindings, context, attributes, port + 1) for port in range(attributes.phys_port_cnt)]
    finally:
        context.close()


def _seen(bindings: Bindings, context: Foreign, attributes: Foreign, number: int) -> PortSeen:
    with broken_by(bindings, "ibv_query_port"):
        port = context.query_port(number)
    with broken_by(bindings, "ibv_query_gid_table"):
        entries = context.query_gid_table(port.gid_tbl_len * attributes.phys_port_cnt)
    gids = tuple(_gid(bindings, each) for each in entries if each.port_num == number)
    layer = next(
        (text for name, text in LAYERS.items() if port.link_layer == _enum(bindings, "LINK_LAYER", name)), None
    )
    return PortSeen(
        port=RdmaPort(
            device=context.name,
            port=number,
            link_layer=layer,
            state=STATES[port.state] if port.state < len(STATES) else None,
            physical_state=None,
            rate_gbps=None,
            driver=None,
            netdev=next((gid.netdev for gid in gids if gid.netdev), None),
            pci=None,
            firmware=attributes.fw_version,
            board=None,
            model=None,
            node_guid=attributes.node_guid.to_bytes(8, sys.byteorder).hex(":", 2),  # it lies there in network order
            gids=gids,
            lid=port.lid if layer == "InfiniBand" else None,
            subnet_manager_lid=port.sm_lid if layer == "InfiniBand" else None,
        ),
        active_mtu_bytes=SMALLEST_MTU_BYTES << (port.active_mtu - 1),
        most_messages=attributes.max_qp_wr,
        most_reads=attributes.max_qp_rd_atom,
        has_atomics=bool(attributes.atomic_caps),
    )


def _gid(bindings: Bindings, entry: Foreign) -> Gid:
    kind = next((text for name, text in KINDS.items() if entry.gid_type == _enum(bindings, "GID_TYPE", name)), None)
    netdev = socket.if_indextoname(entry.ndev_ifindex) if entry.ndev_ifindex else None
    return Gid(index=entry.gid_index, address=entry.gid_str(), kind=kind, netdev=netdev)


def _enum(bindings: Bindings, group: str, name: str) -> int:
    return int(getattr(bindings.enums, f"IBV_{group}_{name}"))
