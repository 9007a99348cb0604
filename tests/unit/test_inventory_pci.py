"""What is told of NICs and GPUs on the PCI bus, from trees and configuration spaces made by hand."""

import pytest
from host_trees import link_of, pci, write
from hypothesis import given
from hypothesis import strategies as st

from netprobe.inventory.pci import is_gpu, pci_devices
from netprobe.inventory.pci_config import max_read_request_bytes, redirects_peers
from netprobe.inventory.pci_link import parse_speed_gtps, parse_width
from netprobe.system.here import recorded_system
from netprobe.units import pcie_gbps

ROOT, UP, DOWN, NIC = "0000:16:01.0", "0000:17:00.0", "0000:18:00.0", "0000:19:00.0"
GPU = "0000:1a:00.0"
FULL = link_of("32.0", 16)
READS_4096, REDIRECTS, DIRECT = 5, 0x1D, 0x01


def config(*, read_code=None, access_control=None, size=4096):
    """Return a configuration space with a power management capability, and what was asked for behind it."""
    space = bytearray(4096)
    space[0x06] = 0x10
    space[0x34] = 0x40
    space[0x40:0x42] = b"\x01\x60"
    if read_code is not None:
        space[0x60:0x62] = b"\x10\x00"
        space[0x68:0x6A] = (read_code << 12).to_bytes(2, "little")
    space[0x100:0x104] = (0x0001 | 1 << 16 | 0x148 << 20).to_bytes(4, "little")  # error reporting comes first
    if access_control is not None:
        space[0x148:0x14C] = (0x000D | 1 << 16).to_bytes(4, "little")
        space[0x14E:0x150] = access_control.to_bytes(2, "little")
    return bytes(space[:size])


def tree(root, *, nic=FULL, bridges=(FULL, FULL, FULL), **files):
    """Make a NIC behind a switch."""
    path = (ROOT, UP, DOWN)
    for depth, attributes in enumerate(bridges, start=1):
        pci(root, *path[:depth], files=attributes)
    ids = {"vendor": "0x15b3", "device": "0x1021", "class": "0x020000", "numa_node": "0"}
    pci(root, *path, NIC, files={**ids, **nic, **files})
    return root


def nic(root):
    (found,) = pci_devices(recorded_system(root), [NIC])
    return found


def test_a_nic_tells_its_link_and_the_way_to_the_root(tmp_path):
    told = nic(tree(tmp_path))

    assert (told.kind, told.vendor, told.device, told.numa_node) == ("nic", "15b3", "1021", 0)
    assert (told.speed_gtps, told.speed_most_gtps, told.width, told.width_most) == (32.0, 32.0, 16, 16)
    assert told.path == (ROOT, UP, DOWN)
    assert told.narrowest is None


def test_a_numa_node_of_minus_one_is_not_known(tmp_path):
    assert nic(tree(tmp_path, numa_node="-1")).numa_node is None


def test_a_switch_that_is_bound_by_fewer_lanes_is_the_narrowest(tmp_path):
    half = link_of("32.0", 8, lanes=16)

    assert nic(tree(tmp_path, bridges=(half, half, FULL))).narrowest == ROOT


def test_a_switch_that_runs_slower_is_the_narrowest(tmp_path):
    slow = link_of("8.0", 16, most="32.0")

    assert nic(tree(tmp_path, bridges=(slow, slow, FULL))).narrowest == ROOT


def test_an_older_switch_at_its_best_is_no_fault(tmp_path):
    older, below_it = link_of("16.0", 16), link_of("16.0", 16, most="32.0")

    assert nic(tree(tmp_path, nic=below_it, bridges=(below_it, older, older))).narrowest is None


def test_an_older_root_at_its_best_is_no_fault(tmp_path):
    older, above_it = link_of("16.0", 16), link_of("16.0", 16, most="32.0")

    assert nic(tree(tmp_path, bridges=(older, above_it, FULL))).narrowest is None


def test_a_slower_way_that_still_carries_the_device_is_no_fault(tmp_path):
    half = link_of("32.0", 8, lanes=16)

    assert nic(tree(tmp_path, nic=link_of("16.0", 16), bridges=(half, half, FULL))).narrowest is None


def test_the_devices_own_link_is_not_told_twice(tmp_path):
    half = link_of("32.0", 8, lanes=16)
    told = nic(tree(tmp_path, nic=half, bridges=(FULL, FULL, half)))

    assert (told.width, told.width_most, told.narrowest) == (8, 16, None)


def test_a_link_that_tells_nothing_is_not_known(tmp_path):
    silent = {"current_link_speed": "Unknown", "current_link_width": "0", "max_link_width": "255"}
    told = nic(tree(tmp_path, nic=silent, bridges=(silent, silent, silent)))

    assert (told.speed_gtps, told.speed_most_gtps, told.width, told.width_most, told.narrowest) == (None,) * 5


@pytest.mark.parametrize(
    ("vendor", "kind", "is_one"),
    [
        ("0x10de", "0x030200", True),
        ("0x10de", "0x030000", True),
        ("0x1002", "0x120000", True),
        ("0x1002", "0x038000", True),
        ("0x10de", "0x068000", False),  # a switch of NVLinks
        ("0x10de", "0x040300", False),  # a GPU's sound
        ("0x1a03", "0x030000", False),  # a console
    ],
)
def test_gpus_are_found_by_class_and_vendor(vendor, kind, is_one, tmp_path):
    pci(tmp_path, ROOT, GPU, files={"vendor": vendor, "class": kind})

    assert [each.kind for each in pci_devices(recorded_system(tmp_path), [])] == (["gpu"] if is_one else [])


def test_whoever_is_not_root_does_not_know_of_reads_and_access_control(tmp_path):
    tree(tmp_path, bridges=({"config": config(access_control=REDIRECTS, size=64)},) * 3)
    write(tmp_path, {f"sys/bus/pci/devices/{NIC}/config": config(read_code=READS_4096, size=64)})
    told = nic(tmp_path)

    assert (told.max_read_request_bytes, told.access_control, told.is_access_control_known) == (None, (), False)


def test_bridges_that_send_peers_to_the_root_are_told(tmp_path):
    tree(
        tmp_path,
        bridges=(
            {"config": config()},
            {"config": config(access_control=DIRECT)},
            {"config": config(access_control=REDIRECTS)},
        ),
        config=config(read_code=READS_4096),
    )
    told = nic(tmp_path)

    assert (told.access_control, told.is_access_control_known) == ((DOWN,), True)
    assert told.max_read_request_bytes == 4096


def test_one_bridge_that_is_not_known_leaves_the_way_unknown(tmp_path):
    tree(tmp_path, bridges=({"config": config(access_control=REDIRECTS)}, {}, {"config": config()}))
    told = nic(tmp_path)

    assert (told.access_control, told.is_access_control_known) == ((ROOT,), False)


def test_a_chain_of_capabilities_may_be_a_circle():
    space = bytearray(config())
    space[0x40:0x42] = b"\x01\x40"
    space[0x100:0x104] = (0x0001 | 0x100 << 20).to_bytes(4, "little")

    assert max_read_request_bytes(bytes(space)) is None
    assert redirects_peers(bytes(space)) is False


@given(space=st.binary(max_size=512) | st.binary(max_size=64).map(lambda part: (part * 4096)[:4096]))
def test_any_configuration_space_is_a_fact_or_none(space):
    assert max_read_request_bytes(space) in (None, 128, 256, 512, 1024, 2048, 4096)
    assert redirects_peers(space) in (None, True, False)


@given(text=st.text())
def test_no_text_stops_a_parser(text):
    assert parse_speed_gtps(text) is None or parse_speed_gtps(text) > 0
    is_gpu(text, text)


def test_what_links_carry_goes_by_generation():
    assert pcie_gbps(2.5, 1) == pytest.approx(2.0)
    assert pcie_gbps(32.0, 16) == pytest.approx(504.1, abs=0.1)
    assert pcie_gbps(None, 16) is None
    assert (parse_speed_gtps("2.5 GT/s"), parse_speed_gtps("64.0 GT/s PCIe"), parse_width(4)) == (2.5, 64.0, 4)
