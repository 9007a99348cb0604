"""Counters as other tools print them, put together to readings of ports."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ingest_samples import FIXTURES, read, text_of

from netprobe.catalogue.keys import Origin
from netprobe.errors import FormatError
from netprobe.ingest.recognise import read_text
from netprobe.ingest.together import together

ETHTOOL = """# ethtool -S eth0
NIC statistics:
     rx_packets: 845320277
     rx_prio3_pause: {pause}
     rx_out_of_buffer: 0
"""


def readings(*texts, owners=None, elapsed_ns=None):
    """Return the readings of the only host, and all gaps."""
    files = [read_text(text, f"file{number}") for number, text in enumerate(texts, start=1)]
    told = together(files, owners or [None] * len(files), (), elapsed_ns)
    [host] = told.hosts
    return host, told.gaps


def test_a_list_without_heading_is_known_by_its_names():
    [sample] = read("ethtool-mlx5.txt").samples

    assert (sample.origin, sample.device) == (Origin.ETHTOOL, None)
    assert len(sample.values) == 751
    assert sample.values["rx_packets"] == 845_320_277
    assert sample.values["tx_pci_signal_integrity"] == 34


def test_rings_in_brackets_and_suffixes_belong_to_the_names():
    assert read("ethtool-bnxt_en.txt").samples[0].values["[0]: rx_discards"] == 11_763_190
    assert read("ethtool-bnxt_en.txt").samples[0].values["rx_total_ring_discards"] == 655_430_134
    assert "tx_bytes.nic" in read("ethtool-ice.txt").samples[0].values


def test_a_command_before_the_list_names_the_interface():
    host, _ = readings(ETHTOOL.format(pause=7))

    assert host.readings[0].values["ethtool/eth0/rx_prio3_pause"] == 7


def test_two_files_are_two_readings_and_the_assumption_is_told():
    host, gaps = readings(ETHTOOL.format(pause=7), ETHTOOL.format(pause=9), elapsed_ns=5)

    assert [each.values["ethtool/eth0/rx_prio3_pause"] for each in host.readings] == [7, 9]
    assert [each.at_ns for each in host.readings] == [0, 5]
    assert any("file1, file2 do not say which host they are of" in gap.reason for gap in gaps)


def test_two_lists_in_one_file_are_two_readings():
    host, gaps = readings(ETHTOOL.format(pause=7) + ETHTOOL.format(pause=9))

    assert [each.values["ethtool/eth0/rx_prio3_pause"] for each in host.readings] == [7, 9]
    assert any("--elapsed" in gap.remedy for gap in gaps)


def test_files_of_two_hosts_are_no_two_readings_of_one():
    files = [read_text(ETHTOOL.format(pause=pause), f"{pause}") for pause in (7, 9)]

    told = together(files, ["n1", "n2"], (), None)
    assert [(each.inventory.host, len(each.readings)) for each in told.hosts] == [("n1", 1), ("n2", 1)]


def test_prefixes_of_pdsh_name_the_hosts():
    text = "".join(f"{host}: {line}\n" for line in ETHTOOL.format(pause=7).splitlines() for host in ("n1", "n2"))

    told = together([read_text(text, "log")], [None], (), None)
    assert [each.inventory.host for each in told.hosts] == ["n1", "n2"]
    assert told.hosts[1].readings[0].values["ethtool/eth0/rx_prio3_pause"] == 7


def test_counters_that_go_back_are_of_two_ports_or_in_the_wrong_order():
    later = "NIC statistics:\n" + "".join(f"     rx_{name}: {50}\n" for name in "abcdef")
    earlier = later.replace("50", "60")

    _, gaps = readings(earlier, later)
    assert any(gap.undermines and "went back" in gap.reason for gap in gaps)
    _, gaps = readings(later, earlier)
    assert not any(gap.undermines for gap in gaps)


def test_samples_of_rocestat_have_their_times():
    host, _ = readings(text_of("rocestat.txt"))

    first, second = host.readings  # the file has them three times
    assert second.at_ns - first.at_ns == 10**9
    assert first.values["rdma/mlx5_0/1/out_of_buffer"] == 5_339_872
    assert first.values["rdma/mlx5_0/1/unicast_rcv_packets"] == 6_045_445_754


def test_perfquery_becomes_the_names_of_sysfs():
    host, _ = readings(text_of("perfquery.txt"))

    assert host.inventory.host == "lid2052"
    assert host.readings[0].values["rdma/lid2052/1/port_xmit_discards"] == 20_046
    assert host.readings[0].values["rdma/lid2052/1/port_xmit_data"] == 178_791_657_177_235
    assert not any("Select" in name for name in host.readings[0].values)


def test_details_of_perfquery_are_all_zero():
    [sample] = read("perfquery-details.txt").samples

    assert len(sample.values) == 6
    assert set(sample.values.values()) == {0}


def test_rdma_statistic_lists_ports_of_several_drivers():
    samples = read("rdma-statistic.json").samples

    assert len(samples) == 12
    assert {sample.device.rstrip("0123456789") for sample in samples} == {"ionic_", "mlx5_"}
    assert samples[0].values["rx_rdma_mtu_discard_pkts"] == 0


def test_rdma_statistic_is_read_as_text():
    [sample] = read_text("link mlx5_0/1 rx_write_requests 5 out_of_sequence 2\n", "f").samples

    assert (sample.device, sample.port, sample.values) == (
        "mlx5_0",
        1,
        {"rx_write_requests": 5, "out_of_sequence": 2},
    )


def test_a_list_of_links_tells_which_interface_carries_a_port():
    host, _ = readings(text_of("rdma-link.json"), text_of("rdma-statistic.json"))

    assert host.inventory.rdma_ports[0].name == "ionic_0"
    assert host.inventory.rdma_ports[0].netdev == "benic8p1"
    assert host.inventory.rdma_ports[0].is_active
    assert len(host.readings) == 1


def test_links_are_read_as_text():
    line = "link mlx5_0/1 state ACTIVE physical_state LINK_UP netdev eth0\n"

    [link] = read_text(line, "f").links
    assert (link.device, link.port, link.state, link.netdev) == ("mlx5_0", 1, "ACTIVE", "eth0")


@pytest.mark.parametrize(
    "line",
    [
        "/sys/class/infiniband/mlx5_0/ports/1/hw_counters/out_of_sequence:12",
        "mlx5_0/ports/1/hw_counters/out_of_sequence = 12",
        "/sys/class/infiniband/mlx5_0/ports/1/hw_counters/out_of_sequence 12",
    ],
)
def test_listings_of_sysfs_tell_device_and_port_by_their_paths(line):
    [sample] = read_text(line, "f").samples

    assert (sample.device, sample.port, sample.values) == ("mlx5_0", 1, {"out_of_sequence": 12})


@pytest.mark.parametrize(
    ("line", "device", "port"),
    [
        ("   /sys/class/infiniband/mlx5_0/ports/1/hw_counters/out_of_sequence:12", "mlx5_0", 1),
        ("hw_counters/out_of_sequence:12", None, 1),
        ("./hw_counters/out_of_sequence:12", None, 1),
        ("ports/2/hw_counters/out_of_sequence:12", None, 2),
        ("2/hw_counters/out_of_sequence:12", None, 2),
        ("mlx5_0/hw_counters/out_of_sequence:12", "mlx5_0", 1),
        ("> /sys/class/infiniband/mlx5_0/ports/1/hw_counters/out_of_sequence:12", "mlx5_0", 1),
        (">> > mlx5_0/ports/1/hw_counters/out_of_sequence:12", "mlx5_0", 1),
        ("2026-11-24T14:00:01.123Z mlx5_0/ports/1/hw_counters/out_of_sequence:12", "mlx5_0", 1),
        ("[2026-11-24 14:00:01] mlx5_0/ports/1/hw_counters/out_of_sequence:12", "mlx5_0", 1),
        ("14:00:01 mlx5_0/ports/1/hw_counters/out_of_sequence:12", "mlx5_0", 1),
        ("Nov 24 14:00:01 mlx5_0/ports/1/hw_counters/out_of_sequence:12", "mlx5_0", 1),
    ],
)
def test_listings_are_read_however_they_were_pasted(line, device, port):
    told = read_text(line, "f")

    [sample] = told.samples
    assert (sample.device, sample.port, sample.values) == (device, port, {"out_of_sequence": 12})
    assert told.unread == 0


@pytest.mark.parametrize("before", ["> ", "2026-11-24 14:00:01 ", "14:00:01.5\t"])
def test_lists_of_counters_are_read_however_they_were_pasted(before):
    text = "".join(f"{before}{line}\n" for line in ETHTOOL.format(pause=7).splitlines())

    [sample] = read_text(text, "f").samples
    assert (sample.device, sample.values["rx_prio3_pause"]) == ("eth0", 7)


def test_a_whole_tree_of_sysfs_is_read_for_its_counters():
    samples = read_text((FIXTURES / "hosts" / "mlx5-h100.txt").read_text(), "f").samples

    assert {sample.device: sample.values["link_downed"] for sample in samples} == {
        "mlx5_0": 0,
        "mlx5_1": 255,
        "mlx5_bond_0": 0,
    }


@pytest.mark.parametrize("between", [": ", " ", ":"])
def test_bare_names_of_rdma_counters_are_known(between):
    text = "".join(f"{name}{between}3\n" for name in ("out_of_sequence", "packet_seq_err", "np_cnp_sent"))

    [sample] = read_text(text, "f").samples
    assert (sample.origin, sample.device) == (Origin.RDMA, None)
    assert sample.values["np_cnp_sent"] == 3


def test_flow_control_becomes_a_host_with_a_port():
    host, _ = readings(text_of("qos.txt"))

    [netdev], [port] = host.inventory.net_devices, host.inventory.rdma_ports
    assert netdev.qos.pfc_enabled == tuple(priority == 5 for priority in range(8))
    assert (port.traffic_class, port.default_tos, port.netdev) == (160, 160, "eth0")
    assert netdev.ecn.cnp_dscp == 48


def test_binary_garbage_is_refused_with_the_line():
    with pytest.raises(FormatError, match="core is no text: line 2 has a zero byte"):
        read_text("ELF\nabc\0def", "core")


def test_what_breaks_off_is_told_with_its_line():
    told = read_text(ETHTOOL.format(pause=1) + '[{"ifname": "mlx5_0", "port": 1, "rx', "f")

    assert told.first_unread == 6
    assert "f line 6" in told.gaps[0].reason


COUNTS = st.dictionaries(st.from_regex(r"[a-z][a-z_0-9]{3,20}", fullmatch=True), st.integers(0, 2**63 - 1), min_size=1)


@given(COUNTS)
def test_every_counter_under_a_heading_is_read(counts):
    text = "NIC statistics:\n" + "".join(f"     {name}: {value}\n" for name, value in counts.items())

    [sample] = read_text(text, "f").samples
    assert sample.values == counts


@given(COUNTS)
def test_every_counter_of_rdma_statistic_is_read(counts):
    [sample] = read_text(json.dumps([{"ifname": "mlx5_0", "port": 1, **counts}]), "f").samples

    assert sample.values == {name: value for name, value in counts.items() if name not in ("ifname", "port", "ifindex")}


@given(
    st.sampled_from(["rocestat.txt", "perfquery.txt", "rdma-statistic.json", "qos.txt", "ethtool-ice.txt"]),
    st.integers(0, 4000),
    st.text(max_size=8),
    st.integers(0, 4000),
)
def test_damaged_counters_are_read_or_refused(name, at, inserted, length):
    text = text_of(name)[:4000]
    damaged = text[:at] + inserted + text[at : at + length]
    try:
        told = together([read_text(damaged, "f"), read_text(text, "g")], [None, None], (), None)
    except FormatError as error:
        assert str(error).startswith("f ")
        assert len(str(error).splitlines()) == 1
    else:
        values = [value for host in told.hosts for each in host.readings for value in each.values.values()]
        assert all(0 <= value < 2**63 for value in values)
        assert all(len(gap.reason.splitlines()) == 1 for gap in told.gaps)
