"""Flow control as other tools print it, whole and torn."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netprobe.errors import FormatError
from netprobe.ingest.qos_text import parse

ON_3 = (False, False, False, True, False, False, False, False)
ON_5 = (False, False, False, False, False, True, False, False)

MLNX = """DCBX mode: OS controlled
Priority trust state: dscp
dscp2prio mapping:
        prio:0 dscp:07,06,05,04,03,02,01,00,
        prio:3 dscp:31,30,29,28,27,26,25,24,
        prio:6 dscp:48,
default priority:
Receive buffer size (bytes): 20016,156096,0,0,0,0,0,0,max_buffer_size=1027728
Cable len: 7
PFC configuration:
        priority    0   1   2   3   4   5   6   7
        enabled     0   0   0   1   0   0   0   0   
        buffer      0   0   0   1   0   0   0   0   
tc: 0 ratelimit: unlimited, tsa: ets, bw: 50%
         priority:  0
         priority:  1
         priority:  2
tc: 1 ratelimit: unlimited, tsa: ets, bw: 50%
         priority:  3
tc: 2 ratelimit: unlimited, tsa: strict
         priority:  4
tc: 3 ratelimit: unlimited, tsa: strict
         priority:  5
tc: 4 ratelimit: unlimited, tsa: strict
         priority:  6
tc: 5 ratelimit: unlimited, tsa: strict
         priority:  7
tc: 6 ratelimit: unlimited, tsa: strict
tc: 7 ratelimit: unlimited, tsa: vendor
"""  # noqa: W291
SITE = """======== show configuration for device eth0 / mlx5_0========
Priority trust state: dscp
PFC configuration:
        priority    0   1   2   3   4   5   6   7
        enabled     0   0   0   0   0   1   0   0
        buffer      0   0   0   0   0   1   0   0
ECN Enabled for priority 5: /sys/class/net/eth0/ecn/roce_np/enable/5 = 1
ECN Enabled for priority 5: /sys/class/net/eth0/ecn/roce_rp/enable/5 = 0
QOS for CNP: /sys/class/net/eth0/ecn/roce_np/cnp_dscp = 48
cma_roce_tos: 160
QOS for rdma: /sys/class/infiniband/mlx5_0/tc/1/traffic_class = Global tclass=160
"""
PFC_JSON = {"pfc_cap": 8, "macsec_bypass": False, "delay": 0, "prio_pfc": list(ON_3)}
ETS_JSON = {
    "willing": False,
    "ets_cap": 8,
    "cbs": False,
    "tc_bw": [10, 0, 0, 90, 0, 0, 0, 0],
    "tc_tsa": ["ets", "strict", "strict", "ets", "strict", "strict", "strict", "strict"],
    "prio_tc": [0, 0, 0, 3, 0, 0, 6, 0],
}
APP_JSON = {"dscp_prio": [[26, 3], [48, 6]]}
BUFFER_JSON = {"prio_buffer": [0, 0, 0, 1, 0, 0, 0, 0], "buffer_size": [20016, 156096] + [0] * 6, "total_size": 262016}


def only(text, origin="node1.txt"):
    (report,), gap = parse(text, origin)
    assert gap is None
    return report


def test_mlnx_qos_is_read():
    qos = only(MLNX).qos

    assert qos.pfc_enabled == ON_3
    assert qos.trust == "dscp"
    assert dict(qos.dscp_to_priority) == {**dict.fromkeys(range(8), 0), **dict.fromkeys(range(24, 32), 3), 48: 6}
    assert qos.buffer_bytes == (20016, 156096, 0, 0, 0, 0, 0, 0)
    assert qos.priority_to_buffer == (0, 0, 0, 1, 0, 0, 0, 0)
    assert qos.priority_to_class == (0, 0, 0, 1, 2, 3, 4, 5)
    assert qos.class_bandwidth_percent == (50, 50, 0, 0, 0, 0, 0, 0)
    assert qos.class_algorithm == ("ets", "ets", "strict", "strict", "strict", "strict", "strict", "vendor")
    assert qos.origin == "node1.txt"


def test_a_sites_own_listing_tells_of_ecn_and_of_the_class_of_rdma():
    report = only(SITE)

    assert (report.netdev, report.device) == ("eth0", "mlx5_0")
    assert report.qos.pfc_enabled == ON_5
    assert report.ecn.notification_point == (None, None, None, None, None, True, None, None)
    assert report.ecn.reaction_point[5] is False
    assert (report.ecn.cnp_dscp, report.ecn.cnp_priority) == (48, None)
    assert (report.traffic_class, report.default_tos) == (160, 160)


@pytest.mark.parametrize("separator", ["", "\n", " ", "\n\n", ",\n"])
@pytest.mark.parametrize("indent", [None, 4])
def test_objects_of_dcb_are_put_together(separator, indent):
    told = [json.dumps(each, indent=indent) for each in (PFC_JSON, ETS_JSON, APP_JSON, BUFFER_JSON)]

    qos = only(separator.join(told)).qos

    assert qos.pfc_enabled == ON_3
    assert qos.dscp_to_priority == ((26, 3), (48, 6))
    assert qos.trust == "dscp"
    assert qos.priority_to_class == (0, 0, 0, 3, 0, 0, 6, 0)
    assert qos.class_bandwidth_percent[3] == 90
    assert qos.class_algorithm[0] == "ets"
    assert qos.buffer_bytes[1] == 156096


def test_a_list_of_objects_is_read_as_well():
    assert only(json.dumps([PFC_JSON, APP_JSON], indent=2)).qos.pfc_enabled == ON_3


def test_trust_follows_the_order_that_is_told():
    assert only(json.dumps(APP_JSON) + json.dumps({"order": ["pcp"]})).qos.trust == "pcp"
    assert only(json.dumps({"order": ["dscp", "pcp"]})).qos.trust == "dscp"
    assert only(json.dumps({**PFC_JSON, "dscp_prio": []})).qos.trust == "pcp"


def test_the_same_object_twice_is_of_two_interfaces():
    other = {**PFC_JSON, "prio_pfc": list(ON_5)}

    reports, gap = parse(json.dumps(PFC_JSON) + "\n" + json.dumps(other), "x")

    assert [report.qos.pfc_enabled for report in reports] == [ON_3, ON_5]
    assert gap is None


@pytest.mark.parametrize("prefix", ["node3: ", "[1,0]<stdout>:", "0: ", "[1,12]<stdout>: "])
def test_prefixes_are_taken_off(prefix):
    text = "".join(f"{prefix}{line}\n" for line in MLNX.splitlines())

    report = only(text)

    assert report.qos == only(MLNX).qos
    assert report.host == ("node3" if "node" in prefix else None)


def test_lines_of_hosts_that_are_mixed_are_told_apart():
    one = [f"node1: {line}" for line in MLNX.splitlines()]
    two = [f"node2: {line}" for line in SITE.splitlines()]
    mixed = [line for pair in zip(one, [*two, *[""] * (len(one) - len(two))], strict=True) for line in pair]

    reports, gap = parse("\r\n".join(mixed), "x")

    assert {report.host: report.qos.pfc_enabled for report in reports} == {"node1": ON_3, "node2": ON_5}
    assert gap is None


def test_two_interfaces_one_after_the_other_are_told_apart():
    reports, gap = parse(SITE + SITE.replace("eth0", "eth1").replace("mlx5_0", "mlx5_1"), "x")

    assert [(report.netdev, report.traffic_class) for report in reports] == [("eth0", 160), ("eth1", 160)]
    assert gap is None


def test_what_contradicts_itself_is_not_believed():
    mixed = MLNX.replace(
        "        enabled     0   0   0   1   0   0   0   0",
        "        enabled     0   0   0   1   0   0   0   0\n        enabled     0   0   0   0   0   1   0   0",
    )

    (report,), gap = parse(mixed, "mixed.txt")

    assert report.qos.pfc_enabled is None
    assert report.qos.trust == "dscp"
    assert "mixed.txt line 13" in gap.reason


def test_a_table_that_breaks_off_is_a_gap_with_its_line():
    (report,), gap = parse(MLNX[: MLNX.index("        enabled")], "torn.txt")

    assert report.qos.pfc_enabled is None
    assert report.qos.trust == "dscp"
    assert "torn.txt line 10" in gap.reason


def test_an_object_that_breaks_off_is_a_gap_and_the_one_before_it_is_kept():
    (report,), gap = parse(json.dumps(PFC_JSON) + "\n" + json.dumps(ETS_JSON)[:50], "torn.json")

    assert report.qos.pfc_enabled == ON_3
    assert "torn.json line 2" in gap.reason


@pytest.mark.parametrize(
    "line",
    [
        "Priority trust state: fcfs",
        "        prio:9 dscp:01,",
        "        prio:1 dscp:64,",
        "        enabled     0   0   0   1",
        "        enabled     0   0   0   2   0   0   0   0",
        "Receive buffer size (bytes): 1,2,3",
        "tc: 9 ratelimit: unlimited, tsa: ets, bw: 50%",
        "ECN: /sys/class/net/eth0/ecn/roce_np/enable/3 = maybe",
        "/sys/class/net/eth0/ecn/roce_np/cnp_dscp = 64",
        "traffic_class = Global tclass=256",
        "cma_roce_tos: 900",
        '{"prio_pfc": [true]}',
        '{"dscp_prio": [[64, 3]]}',
        '{"order": "dscp"}',
        '{"tc_bw": [1], "tc_tsa": 7}',
    ],
)
def test_a_damaged_line_is_named_and_tells_nothing(line):
    (report,), gap = parse("\n".join(["cma_roce_tos: 96", line]), "x.txt")

    assert report.default_tos == 96
    assert report.qos is None
    assert report.ecn is None or report.ecn.cnp_dscp is None
    assert "x.txt line 2" in gap.reason


@pytest.mark.parametrize("text", ["", "hello\nworld", "{}", "[]", '{"a": 1}', "Priority trust state: \n"])
def test_a_file_of_something_else_is_one_error(text):
    with pytest.raises(FormatError, match=r"notes\.txt"):
        parse(text, "notes.txt")


def parsed_or_refused(text):
    try:
        reports, _ = parse(text, "f")
    except FormatError as error:
        assert str(error).startswith("f ")
        return
    assert all(report.qos is None or report.qos.pfc_enabled is None or len(report.qos.pfc_enabled) == 8
               for report in reports)  # fmt: skip


@given(st.text())
def test_no_text_stops_the_parser(text):
    parsed_or_refused(text)


@given(
    st.lists(
        st.sampled_from(
            [*MLNX.splitlines(), *SITE.splitlines(), *json.dumps(ETS_JSON, indent=1).splitlines(), "node1: ", "[", "{"]
        )
    ),
    st.sampled_from(["\n", "\r\n", "", "\nnode1: ", "\0"]),
)
def test_no_shuffled_lines_stop_the_parser(lines, separator):
    parsed_or_refused(separator.join(lines))


@given(st.sampled_from([MLNX, SITE, json.dumps([PFC_JSON, ETS_JSON, APP_JSON])]), st.integers(0, 2000), st.text())
def test_no_damage_stops_the_parser(text, place, insertion):
    at = place % len(text)
    parsed_or_refused(text[:at] + insertion + text[at + len(insertion) :])


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(), lambda inner: st.lists(inner), max_leaves=12
)


@given(st.dictionaries(st.sampled_from(["prio_pfc", "tc_bw", "tc_tsa", "prio_tc", "dscp_prio", "order"]), json_values))
def test_no_object_stops_the_parser(told):
    parsed_or_refused(json.dumps(told))


@pytest.mark.parametrize("text", ["[" * 100_000, '{"a":' * 100_000, "{\n" * 50_000, "[{\n" * 50_000, "9" * 1_000_000])
def test_no_nesting_stops_the_parser(text):
    parsed_or_refused(text)
