"""The network interfaces that matter for a fabric: with a device below, with an RDMA port on top, or with an address.

Files tell state, MTU, driver and addresses; link modes, rings and classes of traffic come over netlink.
https://www.kernel.org/doc/Documentation/ABI/testing/sysfs-class-net
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from ipaddress import ip_interface
from os.path import lexists
from pathlib import Path
from typing import Final

from netprobe.contracts import System
from netprobe.inventory._pci_address import driver_of, pci_folder
from netprobe.model.inventory import PRIORITIES, EcnSettings, NetDevice, QosSettings
from netprobe.system.files import count_in, listed, target_of, text_of, word_of

INTERFACES: Final = "sys/class/net"
ROUTES: Final = "proc/net/route"
SYSCTLS: Final = "proc/sys/net/ipv4/conf"
LOOPBACK: Final = "lo"
TRUSTS: Final = ("dscp", "pcp")
MBPS_PER_GBPS: Final = 1_000
FASTEST_MBPS: Final = 10_000_000  # some drivers say 2^32 - 1 for "unknown"
LARGEST_MTU: Final = 1 << 31
LARGEST_DSCP: Final = 63

_DEFAULT: Final = "00000000"
_IS_UP: Final = 0x1


def net_devices(system: System, carriers: Collection[str]) -> tuple[NetDevice, ...]:
    """Return the interfaces that matter; ``carriers`` are those of RDMA ports. Raise OSError if none can be listed."""
    names = listed(system.root / INTERFACES)
    addresses = system.addresses()
    leads_out = parse_default_route(text_of(system.root / ROUTES))
    return tuple(
        _net_device(system, name, addresses, is_default_route=name in leads_out)
        for name in names
        if name not in (LOOPBACK, *system.excluded)
        and (
            name in carriers
            or lexists(system.root / INTERFACES / name / "device")
            or is_reachable(addresses.get(name, ()))
        )
    )


def is_reachable(addresses: Iterable[str]) -> bool:
    """Return whether any address is one that others can use: every interface has one of its link."""
    return any(not _is_local(address) for address in addresses)


def parse_default_route(text: str) -> frozenset[str]:
    """Return the interfaces that packets to anywhere leave by (IPv4)."""
    lines = (line.split() for line in text.splitlines())
    return frozenset(
        fields[0]
        for fields in lines
        if len(fields) >= 8 and fields[1] == fields[7] == _DEFAULT and _flags(fields[3]) & _IS_UP
    )


def _net_device(
    system: System, name: str, addresses: Mapping[str, tuple[str, ...]], *, is_default_route: bool
) -> NetDevice:
    folder = system.root / INTERFACES / name
    pci = pci_folder(folder / "device", system.root)
    master = target_of(folder / "master", system.root)
    state = word_of(folder / "operstate")
    link = system.netlink.link(name)
    return NetDevice(
        name=name,
        state=None if state == "unknown" else state,
        mtu_bytes=_at_most(LARGEST_MTU, count_in(folder / "mtu")),
        speed_gbps=_speed_gbps(folder) if link.speed_gbps is None else link.speed_gbps,
        driver=driver_of(folder / "device", system.root),
        pci=None if pci is None else pci.name,
        addresses=addresses.get(name, ()),
        is_default_route=is_default_route,
        arp_ignore=_arp_ignore(system.root, name),
        master=None if master is None else master.name,
        autonegotiates=link.autonegotiates,
        fec=link.fec,
        pause_receives=link.pause_receives,
        pause_sends=link.pause_sends,
        ring_receive=link.ring_receive,
        ring_receive_most=link.ring_receive_most,
        ring_send=link.ring_send,
        ring_send_most=link.ring_send_most,
        qos=_qos(folder, system.netlink.qos(name)),
        ecn=_ecn(folder / "ecn"),
    )


def _arp_ignore(root: Path, name: str) -> int | None:
    """Return the setting in force: the larger of that of all interfaces and its own (ip-sysctl.rst of Linux)."""
    told = (count_in(root / SYSCTLS / each / "arp_ignore") for each in ("all", name))
    return max((each for each in told if each is not None), default=None)


def _qos(folder: Path, told: QosSettings | None) -> QosSettings | None:
    """Return the classes with what the driver says itself of its trust (OFED), which netlink only lets us infer."""
    trust = word_of(folder / "qos" / "trust")
    if trust not in TRUSTS:
        return told
    return replace(told, trust=trust) if told else QosSettings(pfc_enabled=None, trust=trust, origin="sysfs")


def _ecn(folder: Path) -> EcnSettings | None:
    """Return congestion control (OFED alone); None where the driver tells nothing of it."""
    settings = EcnSettings(
        notification_point=_by_priority(folder / "roce_np" / "enable"),
        reaction_point=_by_priority(folder / "roce_rp" / "enable"),
        cnp_dscp=_at_most(LARGEST_DSCP, count_in(folder / "roce_np" / "cnp_dscp")),
        cnp_priority=_at_most(PRIORITIES - 1, count_in(folder / "roce_np" / "cnp_802p_prio")),
    )
    values = (*settings.notification_point, *settings.reaction_point, settings.cnp_dscp, settings.cnp_priority)
    return settings if any(value is not None for value in values) else None


def _by_priority(folder: Path) -> tuple[bool | None, ...]:
    counts = (count_in(folder / f"{priority}") for priority in range(PRIORITIES))
    return tuple({0: False, 1: True}.get(count) if count is not None else None for count in counts)


def _speed_gbps(folder: Path) -> float | None:
    mbps = _at_most(FASTEST_MBPS, count_in(folder / "speed"))
    return mbps / MBPS_PER_GBPS if mbps else None


def _at_most(largest: int, value: int | None) -> int | None:
    return value if value is not None and value <= largest else None


def _is_local(address: str) -> bool:
    try:
        return ip_interface(address).is_link_local
    except ValueError:
        return True


def _flags(text: str) -> int:
    try:
        return int(text, 16)
    except ValueError:
        return 0
