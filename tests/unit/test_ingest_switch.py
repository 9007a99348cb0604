"""Counters of switches, out of dumps, notifications and pasted tables."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netprobe.errors import FormatError
from netprobe.ingest.switch_counts import growth_between
from netprobe.ingest.switch_snapshot import parse
from netprobe.model.switches import SwitchPortCounts

SONIC = {
    "COUNTERS_PORT_NAME_MAP": {"Ethernet0": "oid:0x1000000000002", "Ethernet4": "oid:0x1000000000003"},
    "COUNTERS_QUEUE_NAME_MAP": {"Ethernet0:3": "oid:0x15000000000031", "Ethernet0:11": "oid:0x15000000000032"},
    "COUNTERS_PG_NAME_MAP": {"Ethernet0:3": "oid:0x1a000000000041"},
    "COUNTERS:oid:0x1000000000002": {
        "SAI_PORT_STAT_PFC_3_RX_PKTS": "1200",
        "SAI_PORT_STAT_PFC_3_TX_PKTS": "7",
        "SAI_PORT_STAT_PFC_3_RX_PAUSE_DURATION_US": "2500",
        "SAI_PORT_STAT_PFC_3_RX_PAUSE_DURATION": "99999",
        "EST_PORT_STAT_PFC_3_RX_PAUSE_DURATION_US": "2400",
        "EST_PORT_STAT_PFC_4_RX_PAUSE_DURATION_US": "5",
        "SAI_PORT_STAT_PFC_5_RX_PKTS": "N/A",
        "SAI_PORT_STAT_IF_IN_DISCARDS": "10",
        "SAI_PORT_STAT_IF_OUT_DISCARDS": "32",
        "SAI_PORT_STAT_IF_IN_FEC_NOT_CORRECTABLE_FRAMES": "4",
    },
    "COUNTERS:oid:0x15000000000031": {
        "SAI_QUEUE_STAT_DROPPED_PACKETS": "5",
        "SAI_QUEUE_STAT_WRED_ECN_MARKED_PACKETS": "900",
        "SAI_QUEUE_STAT_WRED_DROPPED_PACKETS": "2",
        "PFC_WD_QUEUE_STATS_DEADLOCK_DETECTED": "1",
        "PFC_WD_STATUS": "operational",
    },
    "COUNTERS:oid:0x15000000000032": {"SAI_QUEUE_STAT_DROPPED_PACKETS": "5000"},
    "COUNTERS:oid:0x1a000000000041": {"SAI_INGRESS_PRIORITY_GROUP_STAT_DROPPED_PACKETS": "3"},
}
PRIORITY_3 = SwitchPortCounts(
    switch="leaf1",
    port="Ethernet0",
    priority=3,
    rx_pfc=1200,
    tx_pfc=7,
    rx_pause_ns=2_500_000,
    ecn_marked=900,
    drops=8,
    wred_drops=2,
    pfc_watchdog_storms=1,
)
WHOLE_PORT = SwitchPortCounts(switch="leaf1", port="Ethernet0", priority=None, drops=42, fec_uncorrectable=4)
GNMIC = [
    {
        "source": "leaf2:57400",
        "timestamp": 1,
        "updates": [
            {
                "Path": "openconfig-interfaces:interfaces/interface[name=Ethernet1/1]/state/counters",
                "values": {
                    "interfaces/interface/state/counters": {
                        "openconfig-interfaces:in-discards": "10",
                        "out-discards": 2,
                        "in-octets": "99",
                    }
                },
            },
            {
                "Path": "qos/interfaces/interface[interface-id=Ethernet1/1]/output/queues/queue[name=UC3]"
                "/state/ecn-marked-pkts",
                "values": {"qos/interfaces/interface/output/queues/queue/state/ecn-marked-pkts": 77},
            },
        ],
    }
]
PROTOCOL = {
    "update": {
        "timestamp": "1",
        "prefix": {"target": "leaf3"},
        "update": [
            {
                "path": {
                    "elem": [
                        {"name": "interfaces"},
                        {"name": "interface", "key": {"name": "Ethernet8"}},
                        {"name": "ethernet"},
                        {"name": "state"},
                        {"name": "counters"},
                        {"name": "in-mac-pause-frames"},
                    ]
                },
                "val": {"uintVal": "6"},
            }
        ],
    }
}
PFC_TABLES = """admin@leaf1:~$ show pfc counters
  Port Rx    PFC0    PFC1    PFC2       PFC3    PFC4    PFC5    PFC6    PFC7
---------  ------  ------  ------  ---------  ------  ------  ------  ------
Ethernet0       0       0       0  1,234,567     N/A       0       0       0
Ethernet4       0       0       0          9       0       0       0       0

  Port Tx    PFC0    PFC1    PFC2    PFC3    PFC4    PFC5    PFC6    PFC7
---------  ------  ------  ------  ------  ------  ------  ------  ------
Ethernet0       0       0       0      12       0       0       0       0
Ethernet4       0       0       0       0       0       0       0       0
admin@leaf1:~$
"""
INTERFACES = """      IFACE    STATE            RX_OK       RX_BPS    RX_UTIL    RX_ERR    RX_DRP      TX_OK    TX_DRP
-----------  -------  ---------------  -----------  ---------  --------  --------  ---------  --------
  Ethernet0        U  471,729,839,997  653.87 MB/s     12.77%         0    18,682  1,409,682       N/A
"""
WATCHDOG = """       QUEUE       STATUS    STORM DETECTED/RESTORED    TX OK/DROP    RX OK/DROP
------------  -----------  -------------------------  ------------  ------------
 Ethernet0:3      stormed                        2/1       100/300       200/400
"""


def by_priority(counts):
    return {(each.switch, each.port, each.priority): each for each in counts}


def wrapped(told):
    return {key: {"expireat": 1.5, "ttl": -0.001, "type": "hash", "value": value} for key, value in told.items()}


def below_one_key(told):
    tables = {key.removeprefix("COUNTERS:"): value for key, value in told.items() if key.startswith("COUNTERS:")}
    return {**{key: value for key, value in told.items() if "MAP" in key}, "COUNTERS": tables}


@pytest.mark.parametrize("layout", [dict, wrapped, below_one_key])
def test_a_dump_of_sonic_is_read(layout):
    told = parse(json.dumps(layout(SONIC), indent=2), "before.json", "leaf1")

    found = by_priority(told.counts)
    assert found["leaf1", "Ethernet0", 3] == PRIORITY_3
    assert found["leaf1", "Ethernet0", None] == WHOLE_PORT
    assert found["leaf1", "Ethernet0", 4].rx_pause_ns == 5_000
    assert told.gap is None


def test_what_a_switch_does_not_count_is_absent():
    found = by_priority(parse(json.dumps(SONIC), "f", "leaf1").counts)

    assert ("leaf1", "Ethernet0", 5) not in found
    assert ("leaf1", "Ethernet4", None) not in found


def test_a_pause_in_quanta_is_no_time():
    counters = {"SAI_PORT_STAT_PFC_3_RX_PKTS": "1", "SAI_PORT_STAT_PFC_3_RX_PAUSE_DURATION": "500"}
    told = {"COUNTERS_PORT_NAME_MAP": {"Ethernet0": "oid:0x1"}, "COUNTERS:oid:0x1": counters}

    (counts,) = parse(json.dumps(told), "f", "leaf1").counts

    assert (counts.rx_pfc, counts.rx_pause_ns) == (1, None)


def test_notifications_of_gnmic_are_read():
    found = by_priority(parse(json.dumps(GNMIC), "f", "unknown").counts)

    assert found["leaf2", "Ethernet1/1", None].drops == 12
    assert found["leaf2", "Ethernet1/1", 3].ecn_marked == 77


def test_notifications_in_the_protocols_own_form_are_read():
    (counts,) = parse(json.dumps(PROTOCOL), "f", "unknown").counts

    assert counts == SwitchPortCounts(switch="leaf3", port="Ethernet8", priority=None, rx_pfc=6)


def of_port(**counters):
    """Return one notification of gNMI about the whole of Ethernet1/1."""
    path = "interfaces/interface[name=Ethernet1/1]/state/counters"
    update = {"Path": path, "values": {"interfaces/interface/state/counters": counters}}
    return json.dumps([{"source": "leaf2:57400", "updates": [update]}])


def gnmi_port(**counters):
    (counts,) = parse(of_port(**{name.replace("_", "-"): value for name, value in counters.items()}), "f", "x").counts
    return counts


@pytest.mark.parametrize("counter", ["in_crc_errors", "in_fcs_errors"])
def test_a_wrong_checksum_at_a_port_is_damage(counter):
    assert gnmi_port(**{counter: 7}).rx_damaged == 7


def test_two_counters_of_the_same_wrong_checksums_are_not_added_up():
    assert gnmi_port(in_crc_errors=7, in_fcs_errors=8).rx_damaged == 8


def test_errors_in_general_are_no_damage_and_no_drops():
    counts = gnmi_port(in_errors=9, out_errors=4)

    assert (counts.rx_errors, counts.tx_errors, counts.rx_damaged, counts.drops) == (9, 4, None, None)


def test_discards_of_both_directions_add_up():
    assert gnmi_port(in_discards=3, out_discards=4).drops == 7


def test_sonic_tells_errors_by_the_same_meaning():
    counters = {
        "SAI_PORT_STAT_ETHER_STATS_CRC_ALIGN_ERRORS": "7",
        "SAI_PORT_STAT_IF_IN_ERRORS": "9",
        "SAI_PORT_STAT_IF_OUT_ERRORS": "4",
    }
    told = {"COUNTERS_PORT_NAME_MAP": {"Ethernet0": "oid:0x1"}, "COUNTERS:oid:0x1": counters}

    (counts,) = parse(json.dumps(told), "f", "leaf1").counts

    assert (counts.rx_damaged, counts.rx_errors, counts.tx_errors) == (7, 9, 4)


def test_counters_that_are_not_used_are_named():
    told = parse(json.dumps(SONIC), "f", "leaf1")

    assert parse(json.dumps(GNMIC), "f", "x").unused == ("in-octets",)
    assert told.unused == ("SAI_PORT_STAT_PFC_3_RX_PAUSE_DURATION",)
    assert parse(INTERFACES + "\n" + WATCHDOG, "f", "leaf1").unused == ("RX_OK", "TX_OK", "TX OK/DROP", "RX OK/DROP")


def test_a_file_of_which_all_is_used_names_nothing():
    assert parse(json.dumps(PROTOCOL), "f", "x").unused == ()


def test_counters_below_a_port_are_not_those_of_the_port():
    path = "interfaces/interface[name=Ethernet1/1]/subinterfaces/subinterface[index=0]/state/counters"
    update = {"Path": path, "values": {"x": {"in-crc-errors": 5, "in-errors": 5}}}
    settings = {"Path": "interfaces/interface[name=Ethernet1/1]/state", "values": {"x": {"mtu": 9100}}}
    whole = {"Path": "interfaces/interface[name=Ethernet1/1]/state/counters", "values": {"x": {"in-discards": 1}}}
    told = parse(json.dumps([{"source": "leaf2", "updates": [update, settings, whole]}]), "f", "x")

    assert told.counts == (SwitchPortCounts(switch="leaf2", port="Ethernet1/1", priority=None, drops=1),)
    assert told.unused == ("in-crc-errors", "in-errors")


def test_of_notifications_one_after_the_other_the_last_counts():
    later = json.dumps(GNMIC).replace('"10"', '"20"')

    found = by_priority(parse(json.dumps(GNMIC) + "\n" + later, "f", "x").counts)

    assert found["leaf2", "Ethernet1/1", None].drops == 22


def test_pasted_tables_of_pfc_are_read_and_the_prompt_names_the_switch():
    told = parse(PFC_TABLES, "f", "unknown")

    found = by_priority(told.counts)
    assert (found["leaf1", "Ethernet0", 3].rx_pfc, found["leaf1", "Ethernet0", 3].tx_pfc) == (1_234_567, 12)
    assert found["leaf1", "Ethernet0", 4].rx_pfc is None
    assert found["leaf1", "Ethernet4", 3].rx_pfc == 9
    assert told.gap is None


def test_other_tables_are_read_though_cells_hold_spaces():
    found = by_priority(parse(INTERFACES + "\n" + WATCHDOG, "f", "leaf1").counts)

    assert found["leaf1", "Ethernet0", None].drops == 18_682
    assert found["leaf1", "Ethernet0", 3].pfc_watchdog_storms == 2


def test_tables_of_several_switches_are_told_apart_by_their_prefix():
    lines = PFC_TABLES.splitlines()[1:5]
    mixed = "\r\n".join(f"{switch}: {line}" for line in lines for switch in ("leaf1", "leaf2"))

    found = by_priority(parse(mixed, "f", "unknown").counts)

    assert found["leaf1", "Ethernet4", 3].rx_pfc == found["leaf2", "Ethernet4", 3].rx_pfc == 9


def test_a_row_that_breaks_off_is_a_gap_and_tells_nothing():
    torn = PFC_TABLES[: PFC_TABLES.index("1,234,567") + 5]
    whole = PFC_TABLES.splitlines()

    told = parse("\n".join([*whole[1:3], whole[4], torn.splitlines()[-1]]), "torn.txt", "leaf1")

    assert {each.port for each in told.counts} == {"Ethernet4"}
    assert "torn.txt line 4" in told.gap.reason


@pytest.mark.parametrize("text", ["", "{}", "hello", json.dumps(SONIC)[:300], '{"updates": []}', "Port  TxQ\n1  2"])
def test_a_file_without_counters_is_one_error(text):
    with pytest.raises(FormatError, match=r"^switch\.txt"):
        parse(text, "switch.txt", "leaf1")


def test_growth_is_the_difference_of_what_both_snapshots_tell():
    (before,) = parse(json.dumps(PROTOCOL), "before", "x").counts
    (after,) = parse(json.dumps(PROTOCOL).replace('"6"', '"10"'), "after", "x").counts

    assert growth_between([before], [after]) == (
        SwitchPortCounts(switch="leaf3", port="Ethernet8", priority=None, rx_pfc=4),
    )


def test_a_counter_that_was_cleared_or_is_missing_has_no_growth():
    place = {"switch": "leaf1", "port": "Ethernet0", "priority": 3}
    before = SwitchPortCounts(**place, rx_pfc=100, tx_pfc=1, drops=5)
    after = SwitchPortCounts(**place, rx_pfc=7, tx_pfc=1, wred_drops=5)
    elsewhere = SwitchPortCounts(**{**place, "priority": 4}, rx_pfc=7)

    assert growth_between([before], [after, elsewhere]) == (SwitchPortCounts(**place, tx_pfc=0),)


def parsed_or_refused(text):
    try:
        counts = parse(text, "f", "s").counts
    except FormatError as error:
        assert str(error).startswith("f ")
        return
    assert all(each.priority is None or 0 <= each.priority <= 7 for each in counts)
    assert all(value is None or value >= 0 for each in counts for value in (each.rx_pfc, each.drops, each.rx_pause_ns))


@given(st.text())
def test_no_text_stops_the_parser(text):
    parsed_or_refused(text)


SAMPLES = [json.dumps(SONIC, indent=1), json.dumps(GNMIC), json.dumps(PROTOCOL), PFC_TABLES, INTERFACES, WATCHDOG]


@given(st.sampled_from(SAMPLES), st.integers(0, 5000), st.text(max_size=30))
def test_no_damage_stops_the_parser(text, place, insertion):
    at = place % len(text)
    parsed_or_refused(text[:at] + insertion + text[at + len(insertion) :])


@given(st.lists(st.sampled_from([line for text in SAMPLES for line in text.splitlines()]), max_size=40))
def test_no_shuffled_lines_stop_the_parser(lines):
    parsed_or_refused("\n".join(lines))


words = st.sampled_from(
    ["update", "updates", "notification", "path", "Path", "elem", "name", "key", "val", "uintVal", "values", "prefix",
     "target", "source", "interface", "COUNTERS", "COUNTERS_PORT_NAME_MAP", "COUNTERS:oid:1", "value", "in-discards",
     "interface[name=x]/state/in-discards", "queue[name=3]"]
)  # fmt: skip
trees = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | words,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(words, inner, max_size=5),
    max_leaves=30,
)


@given(trees)
def test_no_tree_stops_the_parser(tree):
    parsed_or_refused(json.dumps(tree))


@pytest.mark.parametrize(
    "text", ['{"update":' * 400 + "[]" + "}" * 400, "[" * 100_000, "{\n" * 50_000, " " * 1_000_000]
)
def test_no_nesting_stops_the_parser(text):
    parsed_or_refused(text)
