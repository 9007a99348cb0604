"""A host as a whole: what belongs together is told together, and one failing source is a gap."""

import json
import os
from dataclasses import replace
from pathlib import Path

from host_trees import RDMA, link, link_of, pci, recorded, write

from netprobe.inventory.host import host_inventory
from netprobe.system.addresses import addresses_here, prefixed
from netprobe.system.here import recorded_system, this_system

NET = "sys/class/net"


def test_port_interface_and_pci_device_of_a_nic_find_each_other(tmp_path):
    nic = pci(tmp_path, "0000:16:01.0", "0000:17:00.0", files=link_of("32.0", 16))
    write(tmp_path, {f"{nic}/net/eth2/mtu": 9000, f"{RDMA}/mlx5_0/ports/1/gid_attrs/ndevs/0": "eth2"})
    link(tmp_path, f"{RDMA}/mlx5_0/device", nic)
    link(tmp_path, f"{NET}/eth2", f"{nic}/net/eth2")
    link(tmp_path, f"{nic}/net/eth2/device", nic)

    told = host_inventory(recorded_system(tmp_path), "node1")

    (port,) = told.rdma_ports
    assert told.host == "node1"
    assert told.net_device(port.netdev).mtu_bytes == 9000
    assert told.pci_device(port.pci).width == 16
    assert told.gaps == ()


def test_a_source_that_cannot_be_read_is_a_gap_with_its_path(tmp_path):
    told = host_inventory(recorded_system(write(tmp_path, dict(recorded("mlx5")))), "node1")

    assert [port.device for port in told.rdma_ports] == ["mlx5_0"]
    assert [gap.reason for gap in told.gaps] == [
        f"interfaces could not be read: {tmp_path / NET}: No such file or directory"
    ]


def test_files_in_place_of_folders_are_gaps(tmp_path):
    write(tmp_path, dict.fromkeys((RDMA, NET, "sys/bus/pci/devices"), "no folder"))

    told = host_inventory(recorded_system(tmp_path), "node1")

    assert [gap.reason.split(" could")[0] for gap in told.gaps] == ["RDMA devices", "interfaces", "PCI devices"]
    assert told.system is not None


def test_an_edge_that_fails_is_a_gap(tmp_path):
    def fails():
        raise OSError("no sockets left")

    system = replace(recorded_system(write(tmp_path, {f"{NET}/lo/mtu": 1})), addresses=fails)

    assert [gap.reason for gap in host_inventory(system, "x").gaps] == ["interfaces could not be read: no sockets left"]


def test_this_machine_is_told():
    told = host_inventory(this_system(), "here")

    assert told.system.kernel == os.uname().release
    assert {each.name for each in told.net_devices} <= {each.name for each in Path("/sys/class/net").iterdir()}


def test_addresses_have_the_length_of_their_prefix():
    assert prefixed("10.0.0.1", "255.255.255.252") == "10.0.0.1/30"
    assert prefixed("fe80::1%eth0", "ffff:ffff:ffff:ffff::") == "fe80::1/64"
    assert prefixed("10.0.0.1", None) == "10.0.0.1"
    assert "127.0.0.1/8" in addresses_here()["lo"]


def test_the_other_end_of_a_cable_is_what_the_lldp_daemon_says(tmp_path):
    (tmp_path / "sys/class/net/eth0/device").mkdir(parents=True)
    port = {"id": {"type": "ifname", "value": "Ethernet1/7"}}
    told = {"lldp": {"interface": {"eth0": {"chassis": {"leaf3": {}}, "port": port}}}}
    system = replace(recorded_system(tmp_path), neighbours=lambda: json.dumps(told))

    (device,) = host_inventory(system, "node7").net_devices

    assert (device.neighbour.system, device.neighbour.port) == ("leaf3", "Ethernet1/7")


def test_a_daemon_that_answers_nonsense_is_a_gap(tmp_path):
    system = replace(recorded_system(tmp_path), neighbours=lambda: "<lldp/>")

    assert "neighbours could not be read: lldp" in [gap.reason[:34] for gap in host_inventory(system, "n").gaps]
