"""Which NIC each rank used beside its GPU, against the NICs that are nearer to it."""

from collections.abc import Iterator
from dataclasses import dataclass

from netprobe.locate.gpu_nics import NearestNics, distances_from, nearest_nics
from netprobe.locate.pci_distance import PciDistance
from netprobe.locate.placement import placement_of
from netprobe.model.evidence import Evidence
from netprobe.model.gpu import GpuEndpoint


@dataclass(frozen=True, slots=True, kw_only=True)
class FarNic:
    """A rank whose NIC is farther from its GPU than another of the host."""

    host: str
    gpu: GpuEndpoint
    nic: str
    distance: PciDistance
    nearest: NearestNics


def far_nics(evidence: Evidence) -> Iterator[FarNic]:
    """Yield ranks that cross the root complex, or more, though a NIC below a switch in common was there."""
    placement = placement_of(evidence.ranks)
    port_of = {each.rank: each for each in evidence.endpoints}
    for gpu in evidence.gpus:
        port, inventory = port_of.get(gpu.rank), evidence.inventories.get(placement.host(gpu.rank))
        device = None if inventory is None else inventory.pci_device(gpu.pci)
        if port is None or inventory is None or device is None:
            continue
        nearest = nearest_nics(device, inventory)
        own = distances_from(gpu.pci, inventory.rdma_ports, inventory.pci_devices).get(port.device)
        if nearest is not None and own is not None and nearest.distance <= PciDistance.PXB < own:
            yield FarNic(host=inventory.host, gpu=gpu, nic=port.name, distance=own, nearest=nearest)
