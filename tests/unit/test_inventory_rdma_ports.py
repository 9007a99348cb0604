"""What is told of RDMA ports: recorded hosts, hand-made ones, and nonsense."""

import tempfile
from pathlib import Path

import pytest
from host_trees import RDMA, link, pci, recorded, write
from hypothesis import given
from hypothesis import strategies as st

from netprobe.inventory import rdma_ports as reader
from netprobe.inventory.rdma_ports import MOST_GIDS, rdma_ports
from netprobe.model.inventory import Gid
from netprobe.system.here import recorded_system

PORT = f"{RDMA}/mlx5_0/ports/1"
ZERO = ":".join(["0000"] * 8)
V4 = "0000:0000:0000:0000:0000:ffff:0a01:0002"
LOCAL = "fe80:0000:0000:0000:0e42:a1ff:fe00:0001"
ROCE = {
    f"{PORT}/link_layer": "Ethernet",
    f"{PORT}/state": "4: ACTIVE",
    f"{PORT}/phys_state": "5: LinkUp",
    f"{PORT}/rate": "400 Gb/sec (4X NDR)",
    f"{PORT}/lid": "0x0",
    f"{PORT}/sm_lid": "0x0",
    f"{PORT}/gids/0": LOCAL,
    f"{PORT}/gids/1": ZERO,
    f"{PORT}/gids/3": V4,
    f"{PORT}/gid_attrs/types/0": "IB/RoCE v1",
    f"{PORT}/gid_attrs/types/3": "RoCE v2",
    f"{PORT}/gid_attrs/ndevs/0": "eth2",
    f"{PORT}/gid_attrs/ndevs/3": "eth2",
    f"{RDMA}/mlx5_0/node_guid": "0c42:a103:0000:0001",
    f"{RDMA}/mlx5_0/tc/1/traffic_class": "Global tclass=106",
    "sys/kernel/config/rdma_cm/mlx5_0/ports/1/default_roce_tos": "106",
}


def ports(root):
    return {port.name: port for port in rdma_ports(recorded_system(root))}


def port(root):
    return ports(root)["mlx5_0"]


@pytest.mark.parametrize("name", ["mlx5", "hfi1", "mlx4", "mlx5-h100"])
def test_every_fact_of_a_recorded_host_is_told(name, tmp_path):
    facts = {path.removeprefix(f"{RDMA}/"): value for path, value in recorded(name)}
    found = ports(write(tmp_path, dict(recorded(name))))

    assert {f"{each.device}/ports/{each.port}" for each in found.values()} == {
        "/".join(path.split("/")[:3]) for path in facts if "/ports/" in path
    }
    for each in found.values():
        folder = f"{each.device}/ports/{each.port}"
        assert each.firmware == facts.get(f"{each.device}/fw_ver")
        assert each.board == facts.get(f"{each.device}/board_id")
        assert each.model == facts.get(f"{each.device}/hca_type")
        assert each.node_guid == facts.get(f"{each.device}/node_guid")
        assert each.link_layer == facts[f"{folder}/link_layer"].rstrip("|")
        assert each.state == "ACTIVE"
        assert each.physical_state == facts[f"{folder}/phys_state"].partition(": ")[2]
        assert facts[f"{folder}/rate"].startswith(f"{each.rate_gbps:.0f} Gb/sec ")


def test_a_slip_in_the_physical_state_is_told_as_it_is(tmp_path):
    assert port(write(tmp_path, dict(recorded("mlx5")))).physical_state == "ACTIVE"


def test_a_bond_is_a_device_of_its_own(tmp_path):
    found = ports(write(tmp_path, dict(recorded("mlx5-h100"))))

    assert [(name, each.is_roce) for name, each in found.items()] == [
        ("mlx5_0", False),
        ("mlx5_1", False),
        ("mlx5_bond_0", True),
    ]


def test_a_roce_port_tells_its_addresses_and_classes(tmp_path):
    told = port(write(tmp_path, ROCE))

    assert told.gids == (
        Gid(index=0, address=LOCAL, kind="IB/RoCE v1", netdev="eth2"),
        Gid(index=3, address=V4, kind="RoCE v2", netdev="eth2"),
    )
    assert (told.netdev, told.traffic_class, told.default_tos) == ("eth2", 106, 106)
    assert (told.rate_gbps, told.is_active, told.is_roce) == (400.0, True, True)
    assert (told.lid, told.subnet_manager_lid) == (None, None)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("Global tclass=106\n", (106, False)),
        ("Global tclass=106\ndst_ip=10.1.0.0/16,tclass=96\n", (106, False)),
        ("", (None, True)),  # what mlx5 shows until a class is written
        ("dst_ip=10.1.0.0/16,tclass=96\n", (None, False)),  # for some destinations alone
    ],
)
def test_a_class_that_is_not_set_is_told_from_one_that_cannot_be_read(content, told, tmp_path):
    path = f"{RDMA}/mlx5_0/tc/1/traffic_class"
    without = {name: text for name, text in ROCE.items() if name != path}

    found = port(write(tmp_path / "with", {**ROCE, path: content}))
    unread = port(write(tmp_path / "without", without))

    assert (found.traffic_class, found.forces_no_class) == told
    assert (unread.traffic_class, unread.forces_no_class) == (None, False)


def test_an_infiniband_port_tells_its_place_in_the_subnet(tmp_path):
    told = port(
        write(tmp_path, {**ROCE, f"{PORT}/link_layer": "InfiniBand", f"{PORT}/lid": "0x1a", f"{PORT}/sm_lid": "0x1"})
    )

    assert (told.lid, told.subnet_manager_lid) == (26, 1)


def test_the_rate_of_a_port_without_a_cable_is_not_known(tmp_path):
    told = port(write(tmp_path, {**ROCE, f"{PORT}/state": "1: DOWN", f"{PORT}/rate": "40 Gb/sec (4X QDR)"}))

    assert (told.state, told.rate_gbps) == ("DOWN", None)


def test_an_address_that_is_not_set_or_none_is_left_out(tmp_path):
    write(tmp_path, {**ROCE, f"{PORT}/gids/0": "N/A", f"{PORT}/gids/{MOST_GIDS}": V4, f"{PORT}/gids/x": V4})
    (tmp_path / PORT / "gids/2").symlink_to("/proc/self/mem")  # reading it ends with EIO

    assert [gid.index for gid in port(tmp_path).gids] == [3]


def test_the_device_behind_a_port_is_told(tmp_path):
    nic = pci(write(tmp_path, ROCE), "0000:16:01.0", "0000:17:00.0")
    link(tmp_path, f"{RDMA}/mlx5_0/device", nic)
    link(
        tmp_path,
        f"{nic}/driver",
        write(tmp_path, {"sys/bus/pci/drivers/mlx5_core/bind": ""}) and "sys/bus/pci/drivers/mlx5_core",
    )

    assert (port(tmp_path).pci, port(tmp_path).driver) == ("0000:17:00.0", "mlx5_core")


def test_a_device_on_top_of_a_pci_function_is_that_functions(tmp_path):
    nic = pci(write(tmp_path, ROCE), "0000:16:01.0", "0000:17:00.1")
    write(tmp_path, {f"{nic}/irdma.roce.0/uevent": ""})
    link(tmp_path, f"{RDMA}/mlx5_0/device", f"{nic}/irdma.roce.0")

    assert port(tmp_path).pci == "0000:17:00.1"


def test_a_link_out_of_the_tree_is_not_followed(tmp_path):
    pci(tmp_path / "other", "0000:17:00.0")
    root = write(tmp_path / "root", ROCE)
    link(root, f"{RDMA}/mlx5_0/device", "../other/sys/bus/pci/devices/0000:17:00.0")

    assert port(root).pci is None


def test_without_addresses_the_interface_beside_the_port_is_its_own(tmp_path):
    write(tmp_path, {f"{RDMA}/mlx4_0/ports/{number}/state": "4: ACTIVE" for number in (1, 2)})
    write(tmp_path, {f"{RDMA}/mlx4_0/device/net/eth{dev_port}/dev_port": dev_port for dev_port in (0, 1)})

    assert [each.netdev for each in ports(tmp_path).values()] == ["eth0", "eth1"]


def test_which_of_several_interfaces_is_not_guessed(tmp_path):
    write(tmp_path, {f"{RDMA}/mlx5_0/device/net/{name}/dev_port": 0 for name in ("eth0", "eth0_rep")})
    write(tmp_path, {f"{PORT}/state": "4: ACTIVE"})

    assert port(tmp_path).netdev is None


def test_soft_roce_names_its_interface(tmp_path):
    write(tmp_path, {f"{RDMA}/rxe_0/parent": "eth0", f"{RDMA}/rxe_0/ports/1/state": "4: ACTIVE"})

    assert ports(tmp_path)["rxe_0"].netdev == "eth0"


def test_an_excluded_device_is_not_told(tmp_path):
    root = write(tmp_path, dict(recorded("mlx5-h100")))

    assert [each.device for each in rdma_ports(recorded_system(root, excluded=["mlx5_1"]))] == ["mlx5_0", "mlx5_bond_0"]


def test_devices_are_in_the_order_in_which_people_count(tmp_path):
    write(tmp_path, {f"{RDMA}/mlx5_{number}/ports/1/state": "4: ACTIVE" for number in (10, 2, 1)})

    assert list(ports(tmp_path)) == ["mlx5_1", "mlx5_2", "mlx5_10"]


def test_a_host_without_rdma_has_no_ports(tmp_path):
    assert ports(tmp_path) == {}


@given(path=st.sampled_from(sorted(ROCE)), content=st.binary(max_size=64))
def test_any_bytes_are_a_fact_or_none(path, content):
    with tempfile.TemporaryDirectory() as folder:
        told = port(write(Path(folder), {**ROCE, path: content}))

    assert told.traffic_class is None or 0 <= told.traffic_class <= 255
    assert told.rate_gbps is None or told.rate_gbps >= 0
    assert told.state is None or told.state.isprintable()


@given(text=st.text() | st.text("0123456789xa.:= Gb/sectl(") | st.none())
def test_no_text_stops_a_parser(text):
    rate_gbps = reader.parse_rate_gbps(text)
    assert rate_gbps is None or rate_gbps >= 0
    assert reader.parse_lid(text) is None or 0 <= reader.parse_lid(text) <= reader.LARGEST_LID
    assert reader.parse_link_layer(text) in (None, *reader.LINK_LAYERS)
    assert reader.parse_traffic_class(text) is None
    reader.parse_state(text)
