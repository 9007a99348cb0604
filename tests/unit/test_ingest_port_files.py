"""Files of RDMA ports in sysfs, as people paste them with grep: which interface, which link layer, up or not."""

import json

import pytest

from netprobe.cli.app import main
from netprobe.ingest.recognise import read_text

PORT = "/sys/class/infiniband/mlx5_0/ports/1"
ACTIVE = f"{PORT}/state:4: ACTIVE\n{PORT}/phys_state:5: LinkUp\n{PORT}/rate:400 Gb/sec (4X NDR)\n"
INTERFACE = f"{PORT}/gid_attrs/ndevs/0:eth0\n{PORT}/gid_attrs/ndevs/1:eth0.7\n"
ETHTOOL = "# ethtool -S eth0\nNIC statistics:\n     rx_packets: 100\n     rx_crc_errors_phy: {count}\n"


def link(text):
    (found,) = read_text(text, "f").links
    return found


@pytest.fixture
def ingest(tmp_path, capsys):
    """Return a function that ingests two readings of host n1 with the same text before them."""

    def run(text):
        files = []
        for number, count in enumerate((0, 50_000)):
            (tmp_path / f"{number}").write_text(text + ETHTOOL.format(count=count))
            files.append(f"n1={tmp_path / str(number)}")
        main(["ingest", *files, "--elapsed", "10s", "--format", "json"])
        return json.loads(capsys.readouterr().out)

    return run


def test_a_port_is_put_together_from_its_files():
    told = link(ACTIVE + f"{PORT}/link_layer:Ethernet\n" + INTERFACE)

    assert (told.device, told.port, told.state, told.physical_state) == ("mlx5_0", 1, "ACTIVE", "LinkUp")
    assert (told.netdev, told.link_layer, told.rate_gbps) == ("eth0", "Ethernet", 400.0)


@pytest.mark.parametrize("state", ["", f"{PORT}/state:1: DOWN\n"])
def test_the_rate_of_a_port_that_is_not_known_to_be_up_is_that_of_some_cable(state):
    assert link(f"{state}{PORT}/rate:10 Gb/sec (1X QDR)\n").rate_gbps is None


def test_an_interface_that_a_port_is_said_to_use_is_that_port(ingest):
    def subjects(text):
        return {subject for each in ingest(text)["findings"] for subject in each["subjects"]}

    assert subjects(ACTIVE) == {"n1 eth0"}
    assert subjects(ACTIVE + INTERFACE) == {"n1 mlx5_0"}


RDMA_SIDE, NET_SIDE = "/sys/class/infiniband/mlx5_0/device/net", "/sys/class/net"
COUNTER = f"{PORT}/hw_counters/out_of_sequence:5\n"


@pytest.mark.parametrize(
    "proof",
    [
        f"{RDMA_SIDE}/eth0\n",
        f"{RDMA_SIDE}/eth0/mtu:9000\n",
        f"{NET_SIDE}/eth0/device/infiniband/mlx5_0\n",
        "mlx5_0 port 1 ==> eth0 (Up)\n",
        "link mlx5_0/1 state ACTIVE physical_state LINK_UP netdev eth0\n",
    ],
)
@pytest.mark.parametrize("is_counter_first", [False, True])
def test_a_paste_that_shows_whose_interface_it_is_makes_one_port_of_the_two(ingest, proof, is_counter_first):
    text = COUNTER + proof if is_counter_first else proof + COUNTER

    assert {subject for each in ingest(text)["findings"] for subject in each["subjects"]} == {"n1 mlx5_0"}


@pytest.mark.parametrize(
    "text",
    [
        COUNTER,  # eth0 and mlx5_0 have the same number, which proves nothing
        f"{RDMA_SIDE}/eth0\n{RDMA_SIDE}/eth0_rep\n{COUNTER}",
        f"{RDMA_SIDE}/eth0\n{COUNTER}{PORT[:-1]}2/state:4: ACTIVE\n",
        f"{RDMA_SIDE.replace('mlx5_0', 'mlx5_1')}/eth1\n{COUNTER}",
    ],
    ids=["numbers alone", "two interfaces", "two ports", "of another device"],
)
def test_an_interface_that_nothing_proves_to_be_of_a_port_stays_by_itself(ingest, text):
    assert {subject for each in ingest(text)["findings"] for subject in each["subjects"]} == {"n1 eth0"}


@pytest.mark.parametrize("is_counter_first", [False, True])
def test_files_of_a_port_are_read_wherever_its_counters_stand(is_counter_first):
    counter, files = f"{PORT}/hw_counters/out_of_sequence:5\n", ACTIVE + INTERFACE

    told = link(counter + files if is_counter_first else files + counter)

    assert (told.netdev, told.state, told.rate_gbps) == ("eth0", "ACTIVE", 400.0)


def test_flow_control_of_ethernet_is_not_missed_on_infiniband(ingest):
    def topics(layer):
        gaps = ingest(f"{ACTIVE}{INTERFACE}{PORT}/link_layer:{layer}\n")["gaps"]
        return {topic for gap in gaps for topic in gap["topic"].split(", ")}

    assert "pfc-missing" in topics("Ethernet")
    assert "pfc-missing" not in topics("InfiniBand")


def test_a_port_that_is_down_is_noted(ingest):
    notes = json.dumps(ingest(f"{PORT}/state:1: DOWN\n")["notes"])

    assert "mlx5_0 DOWN" in notes
