"""How far a GPU and a NIC are from each other on a host, in the words of ``nvidia-smi topo -m``."""

from enum import IntEnum
from itertools import takewhile

from netprobe.model.inventory import PciDevice


class PciDistance(IntEnum):
    """The nearest first; GPUDirect keeps the pace of the link for the first two."""

    PIX = 1  # below one switch
    PXB = 2  # through several switches, and not through the root
    PHB = 3  # through the root complex they share
    NODE = 4  # through two root complexes of one NUMA node
    SYS = 5  # through the link between CPUs


def pci_distance(one: PciDevice, other: PciDevice) -> PciDistance | None:
    """Return how far two devices are from each other; None where they share no root and a NUMA node is not known."""
    pairs = zip(one.path, other.path, strict=False)
    shared = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))
    if shared:
        below = max(len(one.path), len(other.path)) - shared
        return PciDistance.PIX if below <= 1 else PciDistance.PXB
    if _root_bus(one) == _root_bus(other):
        return PciDistance.PHB
    if one.numa_node is None or other.numa_node is None:
        return None
    return PciDistance.NODE if one.numa_node == other.numa_node else PciDistance.SYS


def _root_bus(device: PciDevice) -> str:
    """Return domain and bus of the root complex: what hangs on it directly lies on that bus."""
    return (*device.path, device.address)[0].rpartition(":")[0]
