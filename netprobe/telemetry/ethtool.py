"""What NIC drivers count: ``ethtool -S`` of the interfaces with a device below them.

Does not handle: RDMA's own counters, which another source reads from sysfs.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Final

from netprobe.catalogue.keys import CounterKey, Origin
from netprobe.catalogue.lookup import counter_of, is_told
from netprobe.contracts import Source, System
from netprobe.system.files import LARGEST_COUNT, text_of
from netprobe.units import NS_PER_MS

IS_UP: Final = 0x1  # IFF_UP: wanted up; not its carrier, or a link that fell would take its own evidence along
MOST_INTERFACES: Final = 32  # a NIC can have hundreds of virtual functions, each with a driver and counters of its own
REFRESH_NS: Final = 1_200 * NS_PER_MS  # bnxt_en asks its NIC once a second
PROMPT_DRIVERS: Final = frozenset(
    {"mlx4_core", "mlx5_core", "mlx5_core.sf", "ice", "i40e", "ixgbe", "igb", "ena", "mana", "virtio_net"}
)
"""Drivers that ask the NIC when they are asked; of any other it is not known."""
IS_TOLD: Final = partial(is_told, Origin.ETHTOOL)


def is_evidence(name: str) -> bool:
    """Return whether a counter is known to be evidence of something, and not only guessed to be."""
    counter = counter_of(Origin.ETHTOOL, name)
    return counter is not None and counter.is_recognised and counter.meaning is not None


def read(
    system: System,
    wanted: Callable[[str], bool] = IS_TOLD,
    telling: Callable[[str], bool] = is_evidence,
) -> Mapping[str, int]:
    """Return the wanted counters of all interfaces that have a telling one: virtual NICs have none."""
    counters: dict[str, int] = {}
    for netdev in interfaces_of(system):
        # 2^64 - 1 is what drivers say for "not known"
        told = {
            name: value
            for name, value in system.netlink.statistics(netdev).items()
            if value <= LARGEST_COUNT and wanted(name)
        }
        if any(telling(name) for name in told):
            counters |= {str(CounterKey(origin=Origin.ETHTOOL, device=netdev, port=1, name=name)): value
                         for name, value in told.items()}  # fmt: skip
    return counters


def settling_ns(system: System) -> int:
    """Return how long counters may lag behind the wire."""
    folder = system.root / "sys/class/net"
    is_prompt = all(driver_of(folder / netdev) in PROMPT_DRIVERS for netdev in interfaces_of(system))
    return 0 if is_prompt else REFRESH_NS


def interfaces_of(system: System) -> tuple[str, ...]:
    """Return the interfaces to read: up, with a device, not excluded; those with an RDMA device first."""
    folders = sorted(_folders(system.root / "sys/class/net"))
    rdma = {folder.name: set(_names(folder / "device/infiniband")) for folder in folders}
    own = [
        folder.name
        for folder in folders
        if not ({folder.name} | rdma[folder.name]) & system.excluded and _is_up(folder)
    ]
    return tuple(sorted(own, key=lambda name: (not rdma[name], name))[:MOST_INTERFACES])


def driver_of(interface: Path) -> str | None:
    """Return the driver of the device below an interface."""
    try:
        return (interface / "device/driver").readlink().name
    except OSError:
        return None


def _folders(root: Path) -> Iterator[Path]:
    for name in _names(root):
        with suppress(OSError):  # a tree that was handed over may hold folders that are not ours to read
            if (root / name / "device").exists():
                yield root / name


def _names(folder: Path) -> tuple[str, ...]:
    try:
        return tuple(each.name for each in folder.iterdir())
    except OSError:
        return ()


def _is_up(interface: Path) -> bool:
    try:
        return bool(int(text_of(interface / "flags"), 16) & IS_UP)
    except ValueError:
        return False


SOURCE = Source(
    id="ethtool",
    title="what NIC drivers count",
    is_per_host=True,
    read=read,
    in_rounds=False,
    in_stages=True,
    settling_ns=settling_ns,
)
