"""The ports of RDMA devices, as /sys/class/infiniband tells of them.

https://www.kernel.org/doc/Documentation/ABI/stable/sysfs-class-infiniband
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from netprobe.contracts import System
from netprobe.inventory._pci_address import driver_of, pci_folder
from netprobe.model.inventory import Gid, RdmaPort
from netprobe.system.files import count_in, count_of, is_blank, listed, names_in, word_of

DEVICES: Final = "sys/class/infiniband"
CONNECTION_MANAGER: Final = "sys/kernel/config/rdma_cm"
LINK_LAYERS: Final = ("Ethernet", "InfiniBand")
MOST_GIDS: Final = 256  # the longest table of any driver
UNSET_GID: Final = ":".join(["0000"] * 8)
LARGEST_LID: Final = 0xFFFF

_GID: Final = re.compile(r"[0-9a-f]{4}(:[0-9a-f]{4}){7}")
_NUMBERED: Final = re.compile(r"\d+: *(.+)")
_RATE: Final = re.compile(r"(\d{1,6}(?:\.\d{1,3})?) Gb/sec\b.*")
# Lines of rules for some addresses alone may follow, or stand alone: "dst_ip=10.1.0.0/16,tclass=106".
_TRAFFIC_CLASS: Final = re.compile(r"Global tclass=(\d{1,3})")


def rdma_ports(system: System) -> tuple[RdmaPort, ...]:
    """Return the ports of all devices that are not excluded; raise OSError if they cannot be listed."""
    try:
        devices = listed(system.root / DEVICES)
    except FileNotFoundError:
        return ()
    return tuple(
        _port(system.root, system.root / DEVICES / device, port)
        for device in devices
        if device not in system.excluded
        for name in names_in(system.root / DEVICES / device / "ports")
        if (port := count_of(name))
    )


def parse_state(text: str | None) -> str | None:
    """Return ``ACTIVE`` of ``4: ACTIVE``; a text without a number as it is."""
    found = _NUMBERED.fullmatch(text or "")
    return found[1] if found else text


def parse_rate_gbps(text: str | None) -> float | None:
    """Return 400.0 of ``400 Gb/sec (4X NDR)``."""
    found = _RATE.fullmatch(text or "")
    return float(found[1]) if found else None


def parse_link_layer(text: str | None) -> str | None:
    """Return ``Ethernet`` or ``InfiniBand``; None for anything else."""
    return next((each for each in LINK_LAYERS if (text or "").startswith(each)), None)


def parse_lid(text: str | None) -> int | None:
    """Return 26 of ``0x1a``; None for what is no address of a subnet."""
    try:
        lid = int(text or "", 16)
    except ValueError:
        return None
    return lid if 0 <= lid <= LARGEST_LID else None


def parse_traffic_class(text: str | None) -> int | None:
    """Return 106 of ``Global tclass=106``."""
    found = _TRAFFIC_CLASS.fullmatch(text or "")
    return _octet(int(found[1])) if found else None


def _port(root: Path, device: Path, port: int) -> RdmaPort:
    folder = device / "ports" / f"{port}"
    link_layer = parse_link_layer(word_of(folder / "link_layer"))
    state = parse_state(word_of(folder / "state"))
    gids = tuple(_gids(folder))
    pci = pci_folder(device / "device", root)
    traffic_class = device / "tc" / f"{port}" / "traffic_class"
    has_lid = link_layer == "InfiniBand"
    return RdmaPort(
        device=device.name,
        port=port,
        link_layer=link_layer,
        state=state,
        physical_state=parse_state(word_of(folder / "phys_state")),
        # A port without a cable shows the rate of some cable.
        rate_gbps=parse_rate_gbps(word_of(folder / "rate")) if state == "ACTIVE" else None,
        driver=None if pci is None else driver_of(pci, root),
        netdev=_netdev(device, port, gids),
        pci=None if pci is None else pci.name,
        firmware=word_of(device / "fw_ver"),
        board=word_of(device / "board_id"),
        model=word_of(device / "hca_type"),
        node_guid=word_of(device / "node_guid"),
        gids=gids,
        traffic_class=parse_traffic_class(word_of(traffic_class)),
        forces_no_class=is_blank(traffic_class),  # what mlx5 shows until a class is written
        default_tos=_octet(
            count_in(root / CONNECTION_MANAGER / device.name / "ports" / f"{port}" / "default_roce_tos")
        ),
        lid=parse_lid(word_of(folder / "lid")) if has_lid else None,
        subnet_manager_lid=parse_lid(word_of(folder / "sm_lid")) if has_lid else None,
    )


def _gids(port: Path) -> Iterator[Gid]:
    """Yield the entries that are set; the kernel shows all, most of them zero."""
    indices = (count_of(name) for name in names_in(port / "gids"))
    for index in (each for each in indices if each is not None and each < MOST_GIDS):
        address = word_of(port / "gids" / f"{index}") or UNSET_GID
        if address == UNSET_GID or not _GID.fullmatch(address):
            continue
        attributes = port / "gid_attrs"
        yield Gid(
            index=index,
            address=address,
            kind=word_of(attributes / "types" / f"{index}"),
            netdev=word_of(attributes / "ndevs" / f"{index}"),
        )


def _netdev(device: Path, port: int, gids: tuple[Gid, ...]) -> str | None:
    named = word_of(device / "ports" / f"{port}" / "gid_attrs" / "ndevs" / "0")
    by_gid = next((gid.netdev for gid in gids if gid.netdev), None)
    return named or by_gid or word_of(device / "parent") or _netdev_of_device(device / "device" / "net", port)


def _netdev_of_device(folder: Path, port: int) -> str | None:
    """Return the interface beside an RDMA device on the same function; None where that is not the only one."""
    names = names_in(folder)
    if len(names) > 1:  # two ports of one function (mlx4) count from 0 here
        names = [name for name in names if count_in(folder / name / "dev_port") == port - 1]
    return names[0] if len(names) == 1 else None


def _octet(value: int | None) -> int | None:
    return value if value is not None and value <= 0xFF else None
