"""How far a GPU and a NIC are from each other, as nvidia-smi says it."""

import pytest

from netprobe.locate.pci_distance import PciDistance, pci_distance
from netprobe.model.inventory import PciDevice

ROOT, UP = "0000:16:01.0", "0000:17:00.0"


def device(address, *path, numa_node=None):
    return PciDevice(
        address=address, kind="nic", vendor=None, device=None, numa_node=numa_node, speed_gtps=None,
        speed_most_gtps=None, width=None, width_most=None, path=path,
    )  # fmt: skip


NIC = device("0000:1a:00.0", ROOT, UP, "0000:18:01.0", numa_node=0)


@pytest.mark.parametrize(
    ("gpu", "distance"),
    [
        (device("0000:19:00.0", ROOT, UP, "0000:18:00.0"), PciDistance.PIX),
        (device("0000:1a:00.1", ROOT, UP, "0000:18:01.0"), PciDistance.PIX),
        (device("0000:1e:00.0", ROOT, UP, "0000:18:02.0", "0000:1c:00.0", "0000:1d:00.0"), PciDistance.PXB),
        (device("0000:2a:00.0", "0000:16:03.0"), PciDistance.PHB),
        (device("0000:16:04.0"), PciDistance.PHB),
        (device("0000:41:00.0", "0000:40:01.0", numa_node=0), PciDistance.NODE),
        (device("0001:1a:00.0", "0001:16:01.0", numa_node=0), PciDistance.NODE),
        (device("0000:c1:00.0", "0000:c0:01.0", numa_node=1), PciDistance.SYS),
        (device("0000:c1:00.0", "0000:c0:01.0"), None),
    ],
    ids=["one switch", "one slot", "two switches", "root complex", "on the root's bus", "NUMA node", "other domain",
         "other socket", "socket not known"],
)  # fmt: skip
def test_the_way_decides(gpu, distance):
    assert pci_distance(gpu, NIC) is distance
    assert pci_distance(NIC, gpu) is distance


def test_the_nearer_the_less():
    assert sorted(PciDistance) == [PciDistance[name] for name in ("PIX", "PXB", "PHB", "NODE", "SYS")]


def test_devices_of_a_flat_virtual_machine_share_a_root():
    assert pci_distance(device("0000:00:05.0"), device("0000:00:06.0")) is PciDistance.PHB
