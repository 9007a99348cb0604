"""NICs and GPUs on the PCI bus: their links, the NUMA node they belong to, and the bridges above them.

https://www.kernel.org/doc/Documentation/ABI/testing/sysfs-bus-pci
"""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from netprobe.contracts import System
from netprobe.inventory._pci_address import ADDRESS, bridges_above
from netprobe.inventory.pci_config import max_read_request_bytes, redirects_peers
from netprobe.inventory.pci_link import PciLink, narrowest, parse_speed_gtps, parse_width
from netprobe.model.inventory import PciDevice
from netprobe.system.files import bytes_of, count_in, listed, target_of, word_of

DEVICES: Final = "sys/bus/pci/devices"
NVIDIA, AMD = "10de", "1002"
GPU_VENDORS: Final = (NVIDIA, AMD)
GPU_CLASSES: Final = ("0300", "0302", "0380", "1200")
"""VGA, 3D, other display (Instinct MI200), processing accelerator (Instinct MI300)."""


def pci_devices(system: System, nics: Iterable[str]) -> tuple[PciDevice, ...]:
    """Return the NICs at these addresses, and all GPUs, by address; raise OSError if the bus cannot be listed."""
    wanted = frozenset(nics)
    try:
        addresses = [name for name in listed(system.root / DEVICES) if ADDRESS.fullmatch(name)]
    except FileNotFoundError:  # a machine without PCI
        return ()
    return tuple(_devices(system.root, addresses, wanted))


def _devices(root: Path, addresses: Iterable[str], nics: frozenset[str]) -> Iterator[PciDevice]:
    for address in addresses:
        folder = root / DEVICES / address
        if address in nics:
            yield _pci_device(root, folder, "nic")
        elif is_gpu(word_of(folder / "class"), _hexadecimal(folder / "vendor")):
            yield _pci_device(root, folder, "gpu")


def is_gpu(kind: str | None, vendor: str | None) -> bool:
    """Return whether a device's class (``0x030200``) and vendor are those of a GPU that computes."""
    return vendor in GPU_VENDORS and (kind or "").removeprefix("0x")[:4] in GPU_CLASSES


def _pci_device(root: Path, link: Path, kind: str) -> PciDevice:
    folder = target_of(link, root) or link
    bridges = bridges_above(folder)
    own = _link(folder)
    slow = narrowest(own, [_link(bridge) for bridge in bridges])
    redirecting = {bridge.name: redirects_peers(bytes_of(bridge / "config")) for bridge in bridges}
    return PciDevice(
        address=link.name,
        kind=kind,
        vendor=_hexadecimal(folder / "vendor"),
        device=_hexadecimal(folder / "device"),
        numa_node=count_in(folder / "numa_node"),  # -1: not known
        speed_gtps=own.speed_gtps,
        speed_most_gtps=own.speed_most_gtps,
        width=own.width,
        width_most=own.width_most,
        path=tuple(bridge.name for bridge in bridges),
        narrowest=None if slow is None else bridges[slow].name,
        max_read_request_bytes=max_read_request_bytes(bytes_of(folder / "config")),
        access_control=tuple(name for name, redirects in redirecting.items() if redirects),
        is_access_control_known=bool(redirecting) and None not in redirecting.values(),
    )


def _link(folder: Path) -> PciLink:
    return PciLink(
        speed_gtps=parse_speed_gtps(word_of(folder / "current_link_speed")),
        speed_most_gtps=parse_speed_gtps(word_of(folder / "max_link_speed")),
        width=parse_width(count_in(folder / "current_link_width")),
        width_most=parse_width(count_in(folder / "max_link_width")),
    )


def _hexadecimal(path: Path) -> str | None:
    """Return ``15b3`` of a file with ``0x15b3``."""
    word = word_of(path)
    return None if word is None else word.removeprefix("0x")
