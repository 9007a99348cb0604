"""Which NICs are nearest to a GPU: the ones that should carry what it sends."""

from collections.abc import Sequence
from dataclasses import dataclass

from netprobe.locate.pci_distance import PciDistance, pci_distance
from netprobe.model.inventory import HostInventory, PciDevice, RdmaPort


@dataclass(frozen=True, slots=True, kw_only=True)
class NearestNics:
    """RDMA devices at the least distance from a GPU."""

    names: tuple[str, ...]
    """As the host names them (mlx5_0), in its order."""
    distance: PciDistance

    def __str__(self) -> str:
        return f"{', '.join(self.names)} ({self.distance.name})"


def nearest_nics(gpu: PciDevice, inventory: HostInventory) -> NearestNics | None:
    """Return which RDMA devices are nearest; None as long as it is not sure: one that is not told is NODE or SYS.

    Of several in the same NUMA node, those are named whose node is told.
    """
    devices = {port.device: inventory.pci_device(port.pci) for port in inventory.rdma_ports}
    distances = {name: pci_distance(gpu, device) for name, device in devices.items() if device is not None}
    known = {name: distance for name, distance in distances.items() if distance is not None}
    nearest = min(known.values(), default=None)
    if nearest is None or (len(known) < len(distances) and nearest > PciDistance.NODE):
        return None
    return NearestNics(names=tuple(name for name in known if known[name] == nearest), distance=nearest)


def distances_from(gpu: str, ports: Sequence[RdmaPort], devices: Sequence[PciDevice]) -> dict[str, PciDistance]:
    """Return how far each RDMA device is from the GPU at a PCI address; what nobody can tell is absent."""
    by_address = {each.address: each for each in devices}
    own = by_address.get(gpu)
    near = {port.device: by_address.get(port.pci or "") for port in ports}
    if own is None:
        return {}
    told = {name: pci_distance(own, device) for name, device in near.items() if device is not None}
    return {name: distance for name, distance in told.items() if distance is not None}
