"""Detectors that answer from inventories: who is named, what is told once, and the command that mends it."""

from dataclasses import fields, replace

import pytest
from detector_scenario import answers, evidence_in, findings, gaps
from hypothesis import given
from hypothesis import strategies as st

from netprobe.detectors._selection import parse_selection
from netprobe.detectors._settings import OWNERS, mask_of, owner_of, pfc_map_of
from netprobe.locate.fleet import facts_of
from netprobe.locate.roce import chosen, family_of, payload_bytes
from netprobe.model.finding import Gap, Severity
from netprobe.model.inventory import Gid, HostInventory
from netprobe.model.limits import Limits
from netprobe.registry import detectors

AUDITORS = sorted(id for id, detector in detectors().items() if detector.audits)
FOUR = """
hosts = ["node1", "node2", "node3", "node4"]
[[nics]]
name = "mlx5_0"
"""
ONE = """
hosts = ["node1"]
[[nics]]
name = "mlx5_0"
"""
ODD = """
[[nics]]
name = "mlx5_0"
on = ["node2"]
"""
GPUS = """
hosts = ["node1", "node2", "node3"]
[[nics]]
name = "mlx5_0"
pci = { path = ["0000:15:01.0", "0000:16:00.0", "0000:17:00.0"], is_access_control_known = true }
[[gpus]]
address = "0000:1b:00.0"
pci = { path = ["0000:15:01.0", "0000:16:00.0", "0000:17:01.0"], is_access_control_known = true ACS }
[[systems]]
set = { gpu_direct = "dma-buf", iommu = "identity" }
"""
V4, V6, LOCAL = "0000:0000:0000:0000:0000:ffff:0a01:0001", "fd00:0000:0000:0000:0000:0000:0000:0001", "fe80:" * 7 + "1"
V2, V1 = "RoCE v2", "IB/RoCE v1"


def only(found):
    (one,) = found
    return one


@pytest.mark.parametrize("id", AUDITORS)
def test_hosts_without_rdma_ports_are_left_in_peace(id):
    text = """
    hosts = ["node1", "node2"]
    [[nics]]
    netdev = "eth0"
    net = { mtu_bytes = 1500 }
    [[nics]]
    netdev = "eth0"
    on = ["node2"]
    net = { mtu_bytes = 9000, speed_gbps = 10.0, fec = "Off" }
    qos = { pfc_enabled = [false, false, false, false, false, false, false, false] }
    [[systems]]
    on = ["node2"]
    set = { kernel = "5.4.0", memlock_bytes = 65536, governor = "powersave", iommu = "translated" }
    """

    assert answers(id, text) == []


@pytest.mark.parametrize("id", AUDITORS)
def test_without_inventories_nothing_is_said(id):
    assert answers(id, 'hosts = ["node1", "node2", "node3"]') == []


def test_what_single_hosts_cannot_tell_reads_the_same_everywhere():
    reasons = {gap.reason for id in AUDITORS for gap in gaps(id, ONE)}

    assert reasons == {"the settings of fewer than 3 hosts are known: of two that differ nobody knows which is right"}


def test_a_port_at_half_of_the_rate_is_named_with_it():
    found = only(findings("link-downgrade", FOUR + ODD + "port = { rate_gbps = 200.0 }"))

    assert (found.severity, found.subjects, found.hosts) == (Severity.DEGRADES, ("node2 mlx5_0",), ("node2",))
    assert found.summary == "came up at 200 Gb/s, where 3 others have 400 Gb/s"


def test_the_rate_of_another_model_or_of_a_port_that_is_down_everywhere_is_not_judged():
    assert findings("link-downgrade", FOUR + ODD + 'port = { rate_gbps = 200.0, model = "MT4123" }') == []
    down = FOUR.replace('name = "mlx5_0"', 'name = "mlx5_0"\nport = { state = "DOWN", rate_gbps = 400.0 }')
    assert findings("link-downgrade", down + ODD + "port = { rate_gbps = 40.0 }") == []


def test_a_bond_that_lost_a_leg_needs_no_other_host():
    text = """
    hosts = ["node1"]
    [[nics]]
    netdev = "eth0"
    net = { master = "bond0" }
    [[nics]]
    netdev = "eth1"
    net = { master = "bond0", state = "down" }
    """

    assert only(findings("link-downgrade", text)).summary == "bond0 runs without eth1, 1 of its 2 members"


def test_a_bus_slower_than_the_wire_blocks_and_one_that_is_not_warns():
    slow = only(findings("pcie-downgrade", FOUR + ODD + "pci = { width = 8 }"))
    enough = only(findings("pcie-downgrade", FOUR + ODD + "pci = { width = 8 }\nport = { rate_gbps = 200.0 }"))

    assert (slow.severity, slow.hosts) == (Severity.BLOCKS, ("node2",))
    assert "252 Gb/s for a port of 400 Gb/s" in slow.summary
    assert (enough.severity, enough.hosts) == (Severity.WARNS, ())


def test_what_all_hosts_have_is_said_of_all_of_them():
    alike = FOUR + "pci = { width = 8 }"

    assert only(findings("pcie-downgrade", alike)).subjects == ("many ports",)
    assert findings("pcie-downgrade", alike + "\nport = { rate_gbps = 200.0 }") == []


def test_a_single_host_is_told_of_its_narrow_link_with_less_confidence():
    assert only(findings("pcie-downgrade", ONE + "pci = { width = 8 }")).confidence == "medium"


def test_the_payload_of_roce_is_what_linux_takes():
    assert [payload_bytes(mtu) for mtu in (9000, 4192, 4191, 1500, 1119, 352, 351)] == [
        4096, 4096, 2048, 1024, 512, 256, None,
    ]  # fmt: skip


def test_an_odd_mtu_of_an_rdma_port_is_told_once():
    interfaces = """
    [[interfaces]]
    network = "10.1.0.0/24"
    name = "eth0"
    odd = { node2 = 8950 }
    """
    text = FOUR + ODD + "net = { mtu_bytes = 8950 }" + interfaces

    assert findings("mtu", text) == []
    found = only(findings("mtu-mismatch", text))
    assert (found.severity, found.hosts) == (Severity.WARNS, ())
    assert found.next_action.startswith("ip link set dev eth0 mtu 9000")


def gid(index, address=V4, kind=V2):
    return Gid(index=index, address=address, kind=kind, netdev="eth0")


def test_the_entry_to_use_is_the_best_and_then_the_first():
    entries = [gid(0, LOCAL, V1), gid(1, LOCAL), gid(2, V4, V1), gid(3, V6), gid(4), gid(5)]

    assert [family_of(each) for each in entries[:4]] == ["link-local", "link-local", "IPv4", "IPv6"]
    assert chosen(entries).index == 4
    assert chosen(entries[:4]).index == 3
    assert chosen(entries[:3]).index == 2
    assert chosen(entries[:2]).index == 1
    assert chosen([]) is None
    assert family_of(gid(0, "0000:0000:0000:0000:0000:ffff:a9fe:0001")) == "link-local"
    assert family_of(gid(0, "no address")) is None


def test_a_host_without_an_address_that_can_be_reached_blocks():
    found = only(findings("gid-mismatch", FOUR + ODD + f'gids = [[1, "{LOCAL}", "{V2}"]]'))

    assert (found.severity, found.subjects) == (Severity.BLOCKS, ("node2 mlx5_0",))
    assert "its best address is RoCE v2, link-local, that of 3 others RoCE v2, IPv4" in found.summary


def test_of_two_hosts_the_one_without_an_address_is_the_odd_one():
    text = FOUR.replace(', "node3", "node4"', "") + ODD + f'gids = [[1, "{LOCAL}", "{V1}"]]'

    assert only(findings("gid-mismatch", text)).subjects == ("node2 mlx5_0",)


def test_one_address_on_two_hosts_blames_neither():
    found = only(findings("gid-mismatch", FOUR + ODD + f'gids = [[3, "{V4}", "{V2}"]]'))

    assert (found.subjects, found.hosts) == (("node1 mlx5_0", "node2 mlx5_0"), ())
    assert "10.1.0.1" in found.summary


def test_a_fixed_index_that_works_nowhere_is_one_finding_and_drains_nobody():
    text = FOUR + '[[systems]]\nset = { environment = [["UCX_IB_GID_INDEX", "0"]] }'

    found = only(findings("gid-mismatch", text))

    assert (len(found.subjects), found.hosts) == (4, ())


@pytest.mark.parametrize("value", ["-1", "auto", "3", "", "9" * 5])
def test_an_index_that_is_right_or_left_to_the_library_is_fine(value):
    text = FOUR + f'[[systems]]\nset = {{ environment = [["NCCL_IB_GID_INDEX", "{value}"]] }}'

    assert findings("gid-mismatch", text) == []


def test_all_old_firmware_is_one_finding_and_another_board_may_have_its_own():
    old = '[[nics]]\nname = "mlx5_0"\non = ["node3"]\nport = { firmware = "28.39" }\n'
    found = only(findings("firmware-mismatch", FOUR + old))
    other = findings("firmware-mismatch", FOUR + ODD + 'port = { firmware = "28.39", board = "DEL0000000027" }')

    assert found.subjects == ("node3",)
    assert [each.summary for each in other] == ["board DEL0000000027, where 3 others have MT_0000000838"]


def test_bridges_that_redirect_are_told_with_the_command_that_stops_them():
    text = GPUS.replace("ACS", ', access_control = ["0000:15:01.0", "0000:17:01.0"]')

    found = only(findings("gpudirect-off", text))

    assert found.summary == "bridges between GPU and NIC redirect to the root complex (ACS): 0000:17:01.0"
    assert "setpci -s 0000:17:01.0 ECAP_ACS+0x6.w=0000" in found.next_action
    assert found.hosts == ()


def test_an_iommu_that_translates_is_a_warning():
    found = only(findings("gpudirect-off", GPUS.replace("ACS", "").replace('"identity"', '"translated"')))

    assert found.severity is Severity.WARNS
    assert "iommu=pt" in found.next_action


def test_lists_of_devices_are_read_as_nccl_reads_them():
    assert parse_selection("mlx5_0:1,mlx5_1").has("mlx5_0", 1)
    assert not parse_selection("mlx5_0:2").has("mlx5_0", 1)
    assert parse_selection("mlx5_1").has("mlx5_10")
    assert not parse_selection("=mlx5_1").has("mlx5_10")
    assert not parse_selection("^mlx5_bond").has("mlx5_bond_0")
    assert parse_selection("^=mlx5_1").has("mlx5_10")
    assert parse_selection("") is None


@given(st.text(alphabet="^=:,mlx5_ 0٣", max_size=24), st.sampled_from(["mlx5_0", "eth0", ""]))
def test_any_list_selects_or_does_not(text, name):
    selection = parse_selection(text)

    assert selection is None or isinstance(selection.has(name, 1), bool)


MANAGEMENT = """
[[nics]]
name = "mlx5_bond_0"
netdev = "bond0"
port = { rate_gbps = 25.0 }
net = { is_default_route = true }
"""


@pytest.mark.parametrize(
    ("variable", "value", "says"),
    [
        ("NCCL_IB_HCA", "mlx5_bond", "mlx5_bond_0 alone, and no fast port"),
        ("NCCL_IB_HCA", "mlx5", "mlx5_bond_0 too, which carries the default route"),
        ("UCX_NET_DEVICES", "eth0", "no active RDMA port: data goes over TCP, or nowhere"),
        ("NCCL_SOCKET_IFNAME", "ib", "no interface of the host"),
    ],
)
def test_lists_that_miss_the_fast_ports_are_told(variable, value, says):
    text = FOUR + MANAGEMENT + f'[[systems]]\nset = {{ environment = [["{variable}", "{value}"]] }}'

    found = only(findings("wrong-nic", text))

    assert found.summary == f"{variable}={value} selects {says}"
    assert found.subjects == ("node1", "node2", "node3", "node4")


def test_rdma_by_the_slow_port_is_told_only_when_it_can_be_the_probes_own():
    counted = """
    [[pairs]]
    probe = "bandwidth"
    size = "8M"
    gbps = 100.0
    [[counted]]
    nic = "mlx5_bond_0"
    on = ["node1"]
    grown = { "rdma-sent-bytes" = BYTES }
    """
    table = only(evidence_in(FOUR + counted.replace("BYTES", "0")).pairs)
    probe = 3 * 1000 * table.bytes_per_iteration

    found = only(findings("wrong-nic", FOUR + MANAGEMENT + counted.replace("BYTES", f"{probe}")))

    assert found.subjects == ("node1",)
    assert "100 % of its RDMA by slower ports (mlx5_bond_0), and not by mlx5_0" in found.summary
    assert findings("wrong-nic", FOUR + MANAGEMENT + counted.replace("BYTES", f"{probe // 1000}")) == []


TWO_RAILS = """
[[nics]]
name = "mlx5_1"
netdev = "eth1"
[[pairs]]
probe = "bandwidth"
size = "8M"
gbps = 100.0
[[counted]]
grown = { "rdma-sent-bytes" = 10000000000000 }
"""


@pytest.mark.parametrize(("on", "answers"), [('on = ["node2"]', 0), ("", 4)])
def test_a_port_that_came_up_slower_than_its_like_is_no_wrong_choice_and_one_that_is_slow_everywhere_is(on, answers):
    slow = f'[[nics]]\nname = "mlx5_1"\n{on}\nport = {{ rate_gbps = 200.0 }}\n'

    assert len(findings("wrong-nic", FOUR + TWO_RAILS + slow)) == answers


@pytest.mark.parametrize(("factor", "says"), [(1.2, 0), (2.0, 1)])
def test_bytes_beyond_what_the_probe_sent_are_somebody_elses(factor, says):
    text = """
    [[pairs]]
    probe = "bandwidth"
    size = "8M"
    gbps = 300.0
    [[counted]]
    seconds = 40.0
    grown = { "rdma-sent-bytes" = 0 }
    [[counted]]
    on = ["node3"]
    seconds = 40.0
    grown = { "rdma-sent-bytes" = BYTES }
    """
    table = only(evidence_in(FOUR + text.replace("BYTES", "0")).pairs)
    sent = factor * 3 * 1000 * table.bytes_per_iteration

    told = gaps("wrong-nic", FOUR + text.replace("BYTES", f"{sent:.0f}"))

    assert len(told) == says
    assert all("somebody else uses node3" in gap.reason and not gap.undermines for gap in told)


NO_PFC = "qos = { pfc_enabled = [false, false, false, false, false, false, false, false] }"


def test_each_fact_is_told_by_one_detector_that_exists():
    inventory = next(iter(evidence_in(FOUR + '[[gpus]]\naddress = "0000:1b:00.0"').inventories.values()))
    topics = {name.topic for name, _ in facts_of(inventory)}

    assert {owner_of(topic) for topic in topics} <= {None, *detectors()}
    assert {owner for owner in OWNERS.values() if owner is not None} <= set(detectors())


def test_a_mask_that_differs_is_mended_by_a_command_for_that_interface():
    found = only(findings("config-drift", FOUR + ODD + NO_PFC))

    assert found.next_action == (
        "mlnx_qos -i eth0 --pfc 0,0,0,1,0,0,0,0 (or dcb pfc set dev eth0 prio-pfc all:off 3:on); "
        "lost at reboot, so put it into a service or udev rule as well"
    )
    assert (mask_of("none"), pfc_map_of("none"), pfc_map_of("3,4")) == (
        "0,0,0,0,0,0,0,0",
        "all:off",
        "all:off 3:on 4:on",
    )


def test_the_read_request_is_set_in_its_bits_of_the_device_control_register():
    usual = FOUR + "pci = { max_read_request_bytes = 4096 }" + ODD

    found = only(findings("config-drift", usual + "pci = { max_read_request_bytes = 512 }"))

    assert found.next_action.startswith("setpci -s 0000:17:00.0 CAP_EXP+8.w=5000:7000; ")


def test_one_value_on_many_ports_and_hosts_is_one_finding():
    second = '[[nics]]\nname = "mlx5_1"\nnetdev = "eth1"\n'
    odd = '[[nics]]\nname = "NAME"\non = ["node2", "node3"]\nnet = { ring_receive = 512 }\n'
    odd = odd.replace("NAME", "mlx5_0") + odd.replace("NAME", "mlx5_1")
    usual = FOUR.replace('"node4"]', '"node4", "node5"]') + "net = { ring_receive = 8192 }\n" + second
    found = only(findings("config-drift", usual + "net = { ring_receive = 8192 }\n" + odd))

    assert found.subjects == ("node2 mlx5_0", "node3 mlx5_0", "node2 mlx5_1", "node3 mlx5_1")
    assert found.severity is Severity.WARNS
    assert found.next_action.startswith("ethtool -G eth0 rx 8192; ")
    assert found.next_action.endswith("the same for eth1")


def test_a_variable_that_one_host_has_not_set_is_a_difference():
    text = FOUR + '[[systems]]\non = ["node1", "node3", "node4"]\nset = { environment = [["NCCL_IB_TC", "106"]] }'

    found = only(findings("config-drift", text))

    assert found.summary == "NCCL_IB_TC: not set, where 3 others have 106"
    assert found.next_action.startswith("export NCCL_IB_TC=106")


def test_a_class_that_one_host_has_not_set_is_a_difference():
    text = (
        FOUR
        + "port = { traffic_class = 104, forces_no_class = false }"
        + ODD
        + 'port = { traffic_class = "none", forces_no_class = true }'
    )

    (unset,) = answers("config-drift", text)

    assert unset.summary == "traffic class: not set, where 3 others have 104"
    assert unset.next_action.startswith("echo 104 > /sys/class/infiniband/mlx5_0/tc/1/traffic_class; ")


def test_a_class_that_most_leave_unset_is_unset_as_mlx5_wants_it():
    text = FOUR + "port = { forces_no_class = true }" + ODD + "port = { traffic_class = 96, forces_no_class = false }"

    found = next(each for each in findings("config-drift", text) if each.summary.startswith("traffic class: 96"))

    assert found.next_action.startswith("echo -1 > /sys/class/infiniband/mlx5_0/tc/1/traffic_class; ")


@pytest.mark.parametrize(
    ("line", "topics"),
    [
        ('net = { fec = "none" }', "FEC of eth0"),
        ('pci = { max_read_request_bytes = "none" }', "PCIe read request of mlx5_0"),
    ],
)
def test_what_most_tell_and_one_host_does_not_is_a_gap_that_names_it(line, topics):
    usual = FOUR + "pci = { max_read_request_bytes = 4096 }"

    found = [each for each in gaps("config-drift", usual + ODD + line) if "where most others tell it" in each.reason]

    gap = only(found)
    assert gap.reason.startswith(f"{topics} could not be read on node2, ")
    assert not gap.undermines
    assert gaps("config-drift", usual) == []


def test_what_a_missing_port_does_not_tell_is_no_gap():
    assert gaps("config-drift", FOUR + ODD + "missing = true") == []


def test_of_two_hosts_that_differ_both_are_told():
    found = only(findings("config-drift", FOUR.replace(', "node3", "node4"', "") + ODD + 'qos = { trust = "pcp" }'))

    assert (found.severity, found.confidence, found.hosts) == (Severity.DEGRADES, "medium", ())
    assert "eth0 trust differs, and no value is that of most: dscp on node1; pcp on node2" in found.summary


@pytest.mark.parametrize(
    ("line", "severity", "says", "command"),
    [
        (f"{NO_PFC}\nnet = {{ pause_receives = false, pause_sends = false }}", "warns", "nothing stops a sender",
         "mlnx_qos -i eth0 --pfc 0,0,0,1,0,0,0,0"),
        ('qos = { trust = "pcp" }', "degrades", "RDMA arrives in priority 0", "mlnx_qos -i eth0 --trust dscp"),
        ("port = { traffic_class = 0 }", "degrades", "traffic class 0 (DSCP 0) rides in priority 0",
         "echo 104 > /sys/class/infiniband/mlx5_0/tc/1/traffic_class"),
        ("port = { default_tos = 160 }", "degrades", "default type of service 160 (DSCP 40) rides in priority 5",
         "cma_roce_tos -d mlx5_0 -p 1 -t 104"),
        ("ecn = { reaction_point = [true, true, true, false, true, true, true, true] }", "warns",
         "ECN reaction is off in the lossless priority 3", "echo 1 > /sys/class/net/eth0/ecn/roce_rp/enable/3"),
        ("ecn = { cnp_dscp = 26 }", "warns", "CNPs (DSCP 26) ride in priority 3, which is lossless",
         "echo 48 > /sys/class/net/eth0/ecn/roce_np/cnp_dscp"),
        ("ecn = { cnp_dscp = 48 }\nqos = { pfc_enabled = [false, false, false, true, false, false, true, false] }",
         "warns", "CNPs (DSCP 48) ride in priority 6", "echo 63 > /sys/class/net/eth0/ecn/roce_np/cnp_dscp"),
    ],
)  # fmt: skip
def test_what_is_wrong_on_one_host_alone_is_told_with_its_command(line, severity, says, command):
    found = only(findings("config-drift", ONE + line))

    assert found.severity == severity
    assert says in found.summary
    assert command in found.next_action


def test_what_is_no_mistake_is_not_told():
    for line in (
        "port = { traffic_class = 106 }",  # DSCP 26, and bits of ECN
        NO_PFC + "\nnet = { pause_receives = true, pause_sends = true }",
        NO_PFC,  # whether global pause is on is not known
        "ecn = { reaction_point = [OFF], notification_point = [OFF] }".replace("OFF", ", ".join(["false"] * 8)),
        "ecn = { reaction_point = [OFF], notification_point = [OFF], cnp_dscp = 26 }".replace(
            "OFF", ", ".join(["false"] * 8)
        ),
        "ecn = { cnp_dscp = 32 }",  # the priority beside the lossless one
    ):
        assert findings("config-drift", ONE + line) == []


PCP = 'qos = { trust = "pcp" }\n'


@pytest.mark.parametrize(
    ("untold", "told", "says"),
    [
        (NO_PFC + "\nnet = { pause_receives = false }", NO_PFC + "\nnet = { pause_receives = true }",
         "whether global pause is on instead is not known"),
        (PCP + "gids = []", PCP + f'gids = [[3, "{V4}", "RoCE v2"]]', "whether any address of RDMA is on a VLAN"),
        ('qos = { trust = "none" }', PCP, "what the priority is taken from (trust) is not known"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("hosts", [ONE, FOUR])
def test_what_may_be_wrong_does_not_pass_for_fine(untold, told, says, hosts):
    gap = only([each for each in answers("config-drift", hosts + untold) if says in getattr(each, "reason", "")])

    assert gap.undermines
    assert gap.reason.startswith("node1 mlx5_0")
    assert findings("config-drift", hosts + untold) == []
    assert not any(says in each.reason for each in gaps("config-drift", hosts + told))


def test_what_a_difference_tells_is_no_gap_as_well():
    told = answers("config-drift", FOUR + ODD + NO_PFC)  # whether global pause is on is not known

    assert only(told).summary == "lossless priorities: none, where 3 others have 3"


def test_what_differs_and_is_wrong_is_told_once():
    odd = ODD + NO_PFC + "\nnet = { pause_receives = false, pause_sends = false }"
    usual = FOUR + "net = { pause_receives = false, pause_sends = false }"

    assert len(findings("config-drift", usual + odd)) == 1


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("qos = { pfc_enabled = [ONLY5] }", "lossless priorities: 5, where 3 others have 3"),
        ("qos = { dscp_to_priority = [[26, 2]] }", "DSCP map: 26→2, where 3 others have 26→3"),
        ('qos = { trust = "pcp" }', "trust: pcp, where 3 others have dscp"),
    ],
)
def test_what_follows_from_a_difference_is_not_told_beside_it(line, told):
    off = "ecn = { reaction_point = [true, true, true, true, true, false, true, true] }\n"
    line = line.replace("ONLY5", "false, false, false, false, false, true, false, false")

    alone = findings("config-drift", ONE + "port = { traffic_class = 104 }\n" + off + line)
    found = findings("config-drift", FOUR + "port = { traffic_class = 104 }\n" + off + ODD + line)

    assert [each.summary for each in found] == [told]
    assert alone != []  # nobody else tells what is right


def test_of_two_hosts_that_differ_the_one_whose_class_does_not_fit_is_told():
    text = FOUR.replace(', "node3", "node4"', "") + "port = { traffic_class = 104, forces_no_class = false }" + ODD
    text += "qos = { pfc_enabled = [false, false, false, false, false, true, false, false] }"

    found = findings("config-drift", text)

    assert sorted(each.subjects for each in found) == [("node1", "node2"), ("node2 mlx5_0",)]


def test_what_most_hosts_do_not_tell_hides_no_mistake():
    text = FOUR + 'qos = { trust = "none" }' + ODD + 'qos = { trust = "pcp" }'

    assert "RDMA arrives in priority 0" in only(findings("config-drift", text)).summary


def test_little_locked_memory_is_told_of_all_who_have_it():
    found = only(findings("config-drift", FOUR + "[[systems]]\nset = { memlock_bytes = 65536 }"))

    assert len(found.subjects) == 4
    assert found.facts[0].observed == "64K"


def test_names_of_devices_are_quoted_in_commands():
    found = only(findings("config-drift", FOUR.replace("mlx5_0", "a").replace('"a"', '"a"\nnetdev = "$(reboot)"')
                          + '[[nics]]\nname = "a"\nnetdev = "$(reboot)"\non = ["node2"]\n' + NO_PFC))  # fmt: skip

    assert "'$(reboot)'" in found.next_action


def test_a_host_that_could_not_be_read_lacks_nothing():
    evidence = evidence_in(FOUR)
    unread = HostInventory(host="node2", gaps=(Gap(topic="inventory", reason="RDMA devices could not be read"),))
    told = replace(evidence, inventories={**evidence.inventories, "node2": unread})

    (answer,) = detectors()["missing-nic"].detect(told, Limits())

    assert "node2, which could not tell of any" in answer.reason


def test_hosts_without_an_inventory_are_named_as_such():
    evidence = evidence_in(FOUR)
    told = replace(evidence, inventories={host: own for host, own in evidence.inventories.items() if host != "node4"})

    (answer,) = detectors()["mtu-mismatch"].detect(told, Limits())

    assert answer.reason == "what 1 host is made of is not known (node4)"


def test_auditing_detectors_read_no_limit_that_does_not_exist():
    known = {each.name for each in fields(Limits)}

    assert all(set(detectors()[id].limits) <= known for id in AUDITORS)


HALVES = """
[[nics]]
name = "mlx5_0"
on = ["node3", "node4"]
"""
PAIR = FOUR.replace(', "node3", "node4"', "")


@pytest.mark.parametrize(
    ("id", "line", "severity", "says"),
    [
        ("mtu-mismatch", "net = { mtu_bytes = 1500 }", "degrades",
         "MTU of mlx5_0 differs, SPLIT: 9000 on A; 1500 on B"),
        ("mtu-mismatch", "net = { mtu_bytes = 8950 }", "warns",
         "MTU of mlx5_0 differs, SPLIT: 9000 on A; 8950 on B"),
        ("link-downgrade", "port = { rate_gbps = 200.0 }", "degrades",
         "rate of mlx5_0 differs, SPLIT: 400 Gb/s on A; 200 Gb/s on B"),
        ("link-downgrade", 'port = { state = "DOWN" }', "degrades",
         "state of mlx5_0 differs, SPLIT: ACTIVE on A; DOWN on B"),
        ("pcie-downgrade", "pci = { width = 8, width_most = 8 }", "warns",
         "PCIe link of mlx5_0 differs, SPLIT: 32 GT/s x16 on A; 32 GT/s x8 on B"),
        ("affinity", "pci = { numa_node = 1 }", "warns", "NUMA node of mlx5_0 differs, SPLIT: 0 on A; 1 on B"),
        ("firmware-mismatch", 'port = { firmware = "28.39" }', "warns",
         "firmware differs, SPLIT: 28.40.1000 on A; 28.39 on B"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("hosts", [4, 2])
def test_where_no_value_is_that_of_most_both_sides_are_told_and_nobody_is_blamed(id, line, severity, says, hosts):
    sides = ("node1", "node2"), ("node3", "node4")
    text = FOUR + HALVES + line
    if hosts == 2:
        sides, text = (("node1",), ("node2",)), PAIR + ODD + line
    a, b = (", ".join(f"{host} mlx5_0" for host in side) for side in sides)
    says = says.replace("SPLIT", "and no value is that of most").replace("on A", f"on {a}").replace("on B", f"on {b}")

    found = only(findings(id, text))

    assert (found.severity, found.confidence, found.hosts) == (severity, "medium", ())
    assert found.subjects == tuple(f"{host} mlx5_0" for side in sides for host in side)
    assert found.summary == says
    assert found.retest.endswith(",".join(host for side in sides for host in side))


def test_half_of_the_links_below_what_they_can_are_told_by_themselves():
    found = findings("pcie-downgrade", FOUR + HALVES + "pci = { width = 8 }")

    assert [each.subjects for each in found] == [("node3 mlx5_0",), ("node4 mlx5_0",)]


def test_half_of_the_hosts_without_a_port_may_have_lost_it():
    second = '[[nics]]\nname = "mlx5_1"\nnetdev = "eth1"\n'
    text = FOUR + second + second + 'on = ["node3", "node4"]\nmissing = true\n'

    found = only(findings("missing-nic", text))

    assert (found.severity, found.hosts) == (Severity.DEGRADES, ())
    assert found.summary.endswith("2 on node1, node2; 1 on node3, node4")


def test_half_of_the_gpus_far_from_every_nic_are_told():
    far = '[[gpus]]\naddress = "0000:1b:00.0"\non = ["node2"]\npci = { path = ["0000:80:01.0"], numa_node = 1 }\n'
    near = GPUS.replace(', "node3"', "").replace("ACS", "").replace("[[gpus]]", '[[gpus]]\non = ["node1"]')
    text = near.replace("[[systems]]", far + "[[systems]]")

    found = only(findings("affinity", text))

    assert (found.severity, found.hosts) == (Severity.DEGRADES, ())
    assert found.summary.endswith("PIX on node1; SYS on node2")


def test_cards_that_differ_within_every_host_alike_are_how_hosts_are_built():
    old = '[[nics]]\nname = "mlx5_1"\nnetdev = "eth1"\nport = { firmware = "28.39" }\n'

    assert findings("firmware-mismatch", FOUR + old) == []


@pytest.mark.parametrize("id", ["affinity", "config-drift", "gid-mismatch", "link-downgrade", "mtu-mismatch"])
def test_a_port_of_a_name_that_no_other_host_has_is_compared_with_nobody_and_told(id):
    text = FOUR + ODD + 'missing = true\n[[nics]]\nname = "rocep23s0"\non = ["node2"]\nnet = { mtu_bytes = 1500 }'

    told = [gap.reason for gap in gaps(id, text)]

    assert told == [
        "node2 rocep23s0: no other host has a port or interface of this name, so it was compared with nobody"
    ]


def test_an_interface_of_a_name_that_no_other_host_has_is_told_where_interfaces_are_compared():
    text = FOUR + ODD + 'missing = true\n[[nics]]\nname = "mlx5_0/2"\nnetdev = "ens1"\non = ["node2"]\n'
    text = text.replace('"mlx5_0/2"', '"mlx5_0"').replace("missing = true", 'port = { netdev = "ens1" }', 1)

    assert any(gap.reason.startswith("node2 ens1: no other host") for gap in gaps("config-drift", text))
    assert gaps("mtu-mismatch", text) == []


def test_of_two_halves_the_one_whose_addresses_cross_no_router_is_named_and_why():
    found = only(findings("gid-mismatch", FOUR + HALVES + f'gids = [[1, "{LOCAL}", "{V2}"]]'))

    assert (found.subjects, found.confidence) == (("node3 mlx5_0", "node4 mlx5_0"), "medium")
    assert found.hosts == ("node3", "node4")
    assert found.summary.endswith("as many have one as the other, and only theirs crosses routers")


def test_of_two_addresses_that_both_cross_routers_neither_is_right():
    found = only(findings("gid-mismatch", PAIR + ODD + f'gids = [[3, "{V6}", "{V2}"]]'))

    assert (found.severity, found.confidence, found.hosts) == (Severity.BLOCKS, "medium", ())
    assert found.summary.endswith("RoCE v2, IPv4 on node1 mlx5_0; RoCE v2, IPv6 on node2 mlx5_0")


def test_of_halves_that_differ_among_themselves_no_address_is_taken_for_right():
    mixed = f'[[nics]]\nname = "mlx5_0"\non = ["node2"]\ngids = [[1, "{V6}", "{V2}"]]\n'

    found = only(findings("gid-mismatch", FOUR + mixed + HALVES + f'gids = [[1, "{LOCAL}", "{V2}"]]'))

    assert (len(found.subjects), found.hosts) == (4, ())


RAILS = """
hosts = ["node1"]
[[nics]]
name = "mlx5_0"
netdev = "eth0"
net = { addresses = ["10.1.0.1/24", "fe80::1/64"], arp_ignore = 0 }
[[nics]]
name = "mlx5_1"
netdev = "eth1"
net = { addresses = ["10.1.0.2/24", "fe80::2/64"], arp_ignore = 0 }
port = { pci = "0000:18:00.0" }
"""


def test_ports_that_share_a_subnet_are_told_with_the_setting_that_parts_them():
    found = only(findings("same-subnet", RAILS))

    assert (found.severity, found.subjects, found.hosts) == (Severity.WARNS, ("node1",), ())
    assert found.next_action.startswith("sysctl -w net.ipv4.conf.all.arp_ignore=1")


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("arp_ignore = 0", "arp_ignore = 1"),
        ("10.1.0.2/24", "10.2.0.2/24"),
        ("10.1.0.2/24", "10.1.0.2/32"),
        ('netdev = "eth1"', 'netdev = "eth0"'),
        ('port = { pci = "0000:18:00.0" }', 'port = { state = "DOWN" }'),
    ],
)
def test_ports_apart_or_answering_for_themselves_are_fine(old, new):
    assert answers("same-subnet", RAILS.replace(old, new)) == []


def test_a_traffic_class_that_one_host_has_lost_leaves_no_verdict_and_comes_with_its_command():
    usual = FOUR + "port = { traffic_class = 104, forces_no_class = false }"

    [gap] = [
        each for each in gaps("config-drift", usual + ODD + 'port = { traffic_class = "none" }') if each.undermines
    ]

    assert "traffic class of mlx5_0 on node2 is not set, or not told, where 3 others have 104" in gap.reason
    assert gap.remedy.startswith("echo 104 > /sys/class/infiniband/mlx5_0/tc/1/traffic_class")


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("port = { forces_no_class = false }", False),
        ("port = { forces_no_class = true }", True),
        ("port = { forces_no_class = false, traffic_class = 104 }", True),
        ("port = { forces_no_class = false, default_tos = 104 }", True),
    ],
)
def test_a_traffic_class_that_nobody_tells_is_not_taken_for_a_right_one(line, told):
    reasons = [gap.reason for gap in gaps("config-drift", FOUR + line)]

    assert any("the traffic class of RDMA could not be read on 4 RDMA ports" in each for each in reasons) is not told


@pytest.mark.parametrize("is_told", [False, True])
def test_congestion_control_that_nobody_tells_is_said_to_be_unknown_and_undermines_nothing(is_told):
    line = "ecn = { cnp_priority = 6 }\n" if is_told else ""

    found = [gap for gap in gaps("config-drift", FOUR + line) if gap.reason.startswith("congestion control (ECN")]

    assert [gap.undermines for gap in found] == [] if is_told else [False]
    assert all("could not be read on 4 RDMA ports" in gap.reason for gap in found)
