"""Which detector tells of which setting, so that nothing is said twice; and the command that sets each.

Commands are those of mlnx_qos and cma_roce_tos (NVIDIA's OFED), dcb (iproute2, man 8 dcb-pfc, dcb-app), ethtool and
setpci (CAP_EXP+8 is the device control register; its bits 14 to 12 are the read request).
"""

import shlex
from collections.abc import Mapping
from typing import Final

from netprobe.detectors._fleet import HostPort
from netprobe.locate.fleet import NOT_SET

CONFIG_DRIFT: Final = "config-drift"
OWNERS: Final[Mapping[str, str | None]] = {
    "interface": None,  # a name
    "link layer": CONFIG_DRIFT,
    "state": "link-downgrade",
    "rate": "link-downgrade",
    "speed": "link-downgrade",
    "firmware": "firmware-mismatch",
    "board": "firmware-mismatch",
    "model": "firmware-mismatch",
    "driver": "firmware-mismatch",
    "kernel": "firmware-mismatch",
    "PCIe speed": "pcie-downgrade",
    "PCIe width": "pcie-downgrade",
    "PCIe read request": CONFIG_DRIFT,
    "PCIe access control": "gpudirect-off",
    "IOMMU": "gpudirect-off",
    "GPUDirect": "gpudirect-off",
    "NUMA node": "affinity",
    "nearest NIC": "affinity",
    "MTU": "mtu-mismatch",
    "NCCL_IB_GID_INDEX": "gid-mismatch",  # may well differ, as long as each points to the right address
    "UCX_IB_GID_INDEX": "gid-mismatch",
    "NCCL_HOSTID": None,  # differs by intent
}
"""Of each topic of locate.fleet: who tells of it, None for nobody. What is not here is config-drift's."""

LIBRARIES: Final = ("NCCL_", "UCX_")
"""Of the environment, what all hosts should share; launchers set others host by host."""

QOS: Final = frozenset({"lossless priorities", "trust", "DSCP map"})
"""What decides whether RDMA is lossless: one host that differs drops, or stalls others."""

DECIDING: Final = QOS | {"traffic class", "default type of service"}
"""What decides whether RDMA is lossless: nothing is fine on a host where it cannot be read, and the others tell it."""

LOST: Final = "lost at reboot, so put it into a service or udev rule as well"

_MLNX_QOS: Final = {
    "lossless priorities": "mlnx_qos -i {interface} --pfc {mask} (or dcb pfc set dev {interface} prio-pfc {pfc_map})",
    "trust": "mlnx_qos -i {interface} --trust {value}",
    "DSCP map": "dcb app replace dev {interface} dscp-prio {dscp_map} (mlnx_qos -i {interface} --dscp2prio "
    "set,DSCP,PRIORITY)",
    "traffic classes": "mlnx_qos -i {interface} shows prio_tc, tsa and bw; set them as on the others",
    "class bandwidth": "mlnx_qos -i {interface} shows prio_tc, tsa and bw; set them as on the others",
    "class scheduling": "mlnx_qos -i {interface} shows prio_tc, tsa and bw; set them as on the others",
    "priority buffers": "mlnx_qos -i {interface} shows the buffers; set them as on the others (dcb buffer)",
    "buffer sizes": "mlnx_qos -i {interface} shows the buffers; set them as on the others (dcb buffer)",
    "ECN notification": "/sys/class/net/{interface}/ecn/roce_np/enable/PRIORITY: 1 for {value}, 0 for the rest",
    "ECN reaction": "/sys/class/net/{interface}/ecn/roce_rp/enable/PRIORITY: 1 for {value}, 0 for the rest",
    "ECN CNP DSCP": "echo {value} > /sys/class/net/{interface}/ecn/roce_np/cnp_dscp",
    "ECN CNP priority": "echo {value} > /sys/class/net/{interface}/ecn/roce_np/cnp_802p_prio",
    "traffic class": "echo {forced_class} > /sys/class/infiniband/{device}/tc/{port}/traffic_class",
    "default type of service": "cma_roce_tos -d {device} -p {port} -t {value}",
    "FEC": "ethtool --set-fec {interface} encoding {lower}",
    "autonegotiation": "ethtool -s {interface} autoneg {value}",
    "global pause, receiving": "ethtool -A {interface} rx {value}",
    "global pause, sending": "ethtool -A {interface} tx {value}",
    "receive ring": "ethtool -G {interface} rx {value}",
    "send ring": "ethtool -G {interface} tx {value}",
    "PCIe read request": "setpci -s {address} CAP_EXP+8.w={read_request}:7000",
}
_ON_HOST: Final = {
    "CPU governor": "cpupower frequency-set -g {value} (lost at reboot: tuned-adm, or the service of the distribution)",
    "deepest idle state": "cpupower idle-info, then cpupower idle-set, or the kernel's options, as on the others",
    "locked memory": "memlock in /etc/security/limits.conf (KiB, or unlimited) and LimitMEMLOCK= of the service that "
    "starts jobs, as on the others: {value}",
}


def owner_of(topic: str) -> str | None:
    """Return the detector that tells of a topic; None where nobody does."""
    return OWNERS.get(topic, CONFIG_DRIFT)


def command_for(topic: str, value: str, port: HostPort) -> str:
    """Return what sets a topic of a port to the value that most have, read by people before they type it."""
    template = _MLNX_QOS.get(topic)
    if template is None:
        return f"compare {topic} with the others"
    words = _words(value, port)
    if any(f"{{{name}}}" in template for name, word in words.items() if word is None):
        return f"set {topic} to that of the others"
    known = {name: word for name, word in words.items() if word is not None}
    return f"{template.format(**known)}; {LOST}"


def command_on_host(topic: str, value: str | None) -> str:
    """Return what sets a topic of the system, or a variable, as most hosts have it."""
    if topic.startswith(LIBRARIES):
        setting = f"unset {topic}" if value is None else f"export {topic}={shlex.quote(value)}"
        return f"{setting} on them, where jobs get their environment from"
    template = _ON_HOST.get(topic)
    return f"compare {topic} with the others" if template is None or value is None else template.format(value=value)


def mask_of(priorities: str) -> str:
    """Return ``0,0,0,1,0,0,0,0`` of ``3``."""
    return ",".join("1" if str(each) in priorities.split(",") else "0" for each in range(8))


def pfc_map_of(priorities: str) -> str:
    """Return ``all:off 3:on`` of ``3``."""
    on = "" if priorities == "none" else "".join(f" {each}:on" for each in priorities.split(","))
    return f"all:off{on}"


def _words(value: str, port: HostPort) -> dict[str, str | None]:
    pci = port.port.pci
    return {
        "interface": port.interface,
        "device": port.quoted_device,
        "port": f"{port.port.port}",
        "address": None if pci is None else shlex.quote(pci),
        "value": shlex.quote(value),
        "forced_class": "-1" if value == NOT_SET else shlex.quote(value),  # mlx5 unsets it when it is below 0
        "lower": shlex.quote(value.lower()),
        "mask": mask_of(value),
        "pfc_map": pfc_map_of(value),
        "dscp_map": None if value == "default" else value.replace("→", ":"),
        "read_request": _read_request(value),
    }


def _read_request(value: str) -> str | None:
    """Return the bits of ``4096 B`` in the device control register."""
    size = value.removesuffix(" B")
    return f"{int(size).bit_length() - 8 << 12:04x}" if size.isdecimal() and int(size) >= 128 else None
