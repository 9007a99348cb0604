"""What identifies a site goes, the same thing everywhere alike, and what is judged stays."""

from dataclasses import replace

import pytest
from store_samples import inventory

from netprobe.inventory.scrub import scrubbed
from netprobe.model.finding import Gap
from netprobe.model.inventory import Gid, Neighbour, SystemSettings
from netprobe.model.snapshot import SNAPSHOT_FORMAT, Reading, Snapshot

MAPPED = "0000:0000:0000:0000:0000:ffff:0a01:0007"
LOCAL = "fe80:0000:0000:0000:0e42:a1ff:fe12:3456"
GUID = "0c42:a103:0012:3456"


def scrubbed_host():
    sample = inventory("node7")
    port = replace(
        sample.rdma_ports[0],
        node_guid=GUID,
        gids=(
            Gid(index=1, address=LOCAL, kind="RoCE v2", netdev="eth0"),
            Gid(index=3, address=MAPPED, kind="RoCE v2", netdev="eth0"),
        ),
    )
    device = replace(
        sample.net_devices[0],
        addresses=("10.1.0.7/24", "fe80::e42:a1ff:fe12:3456/64"),
        neighbour=Neighbour(system="leaf-berlin-3", port="Ethernet1/7"),
    )
    system = SystemSettings(
        kernel="6.8", memlock_bytes=None, governor=None, deepest_idle_state=None, iommu=None, gpu_direct=None,
        environment=(("NCCL_SOCKET_IFNAME", "eth0"), ("UCX_ADDRESS", "tcp:10.1.0.7:9000"),
            ("HWLOC", "port aa-bb-cc-dd-ee-ff of 0x506b4b03005c2740"), ("NCCL_IB_TC", "0x6a"),),
    )  # fmt: skip
    host = replace(
        sample, rdma_ports=(port,), net_devices=(device,), system=system,
        gaps=(Gap(topic="lldp", reason="no answer from 0c:42:a1:12:34:56"),),
    )  # fmt: skip
    taken = "2026-11-24T02:00:00Z"
    snapshot = Snapshot(format=SNAPSHOT_FORMAT, netprobe="0.1.0", taken=taken, inventory=host, readings=())
    return scrubbed(snapshot).inventory


def test_nothing_that_identifies_the_site_is_left():
    text = repr(scrubbed_host())

    for secret in (GUID, "0a01:0007", "10.1.0.7", "e42:a1ff", "0c:42:a1", "aa-bb-cc", "506b4b", "berlin"):
        assert secret not in text


def test_a_number_that_identifies_nobody_stays():
    assert ("NCCL_IB_TC", "0x6a") in scrubbed_host().system.environment


def test_an_address_keeps_its_kind_so_that_it_can_still_be_judged():
    local, mapped = (gid.address for gid in scrubbed_host().rdma_ports[0].gids)

    assert local.startswith("fe80:0000:")
    assert mapped.startswith("0000:0000:0000:0000:0000:ffff:")
    assert len(local) == len(mapped) == len(MAPPED)


def test_the_same_address_has_the_same_placeholder_everywhere():
    host = scrubbed_host()
    placeholder = host.net_devices[0].addresses[0].partition("/")[0]

    assert dict(host.system.environment)["UCX_ADDRESS"] == f"tcp:{placeholder}:9000"


def test_names_of_hosts_devices_and_settings_stay():
    host = scrubbed_host()

    assert (host.host, host.rdma_ports[0].device, host.net_devices[0].name) == ("node7", "mlx5_0", "eth0")
    assert dict(host.system.environment)["NCCL_SOCKET_IFNAME"] == "eth0"
    assert host.net_devices[0].qos == inventory().net_devices[0].qos
    assert host.net_devices[0].neighbour.port == "Ethernet1/7"


def snapshot_with(**changes):
    sample = inventory("node7")
    device = replace(sample.net_devices[0], name="enx0c42a1b2c3d4", neighbour=None)
    port = replace(sample.rdma_ports[0], netdev="enx0c42a1b2c3d4", device="rocex0c42a1b2c3d4")
    host = replace(sample, rdma_ports=(port,), net_devices=(device,), **changes)
    values = {"ethtool/enx0c42a1b2c3d4/rx_bytes": 7, "rdma/rocex0c42a1b2c3d4/1/port_rcv_data": 9}
    taken = "2026-11-24T02:00:00Z"
    readings = (Reading(at_ns=1, values=values),)
    return Snapshot(format=SNAPSHOT_FORMAT, netprobe="0.1.0", taken=taken, inventory=host, readings=readings)


def test_an_address_in_the_name_of_a_device_goes_and_the_name_still_joins_what_belongs_together():
    found = scrubbed(snapshot_with())
    [port], [device], [reading] = found.inventory.rdma_ports, found.inventory.net_devices, found.readings

    assert "0c42a1b2c3d4" not in repr(found)
    assert device.name == port.netdev != port.device
    assert set(reading.values) == {f"ethtool/{device.name}/rx_bytes", f"rdma/{port.device}/1/port_rcv_data"}


@pytest.mark.parametrize(
    ("name", "value", "kept"),
    [
        ("SLURM_TOPOLOGY_ADDR", "spine1.leaf17.node7", "switch-1.switch-2.node7"),
        ("UCX_X", "0c42a10300123456", "address-1"),
        ("UCX_X", "0c42.a1b2.c3d4", "address-1"),
        ("NCCL_IB_HCA", "mlx5_0:1,mlx5_1:1", "mlx5_0:1,mlx5_1:1"),
        ("NCCL_BUFFSIZE", "8388608", "8388608"),
    ],
)
def test_a_variable_keeps_what_identifies_nobody(name, value, kept):
    system = SystemSettings(
        kernel="6.8", memlock_bytes=None, governor=None, deepest_idle_state=None, iommu=None, gpu_direct=None,
        environment=((name, value),),
    )  # fmt: skip
    sample = replace(inventory("node7"), system=system, rdma_ports=(), net_devices=())

    found = scrubbed(replace(snapshot_with(), inventory=sample))

    assert found.inventory.system.environment == ((name, kept),)
