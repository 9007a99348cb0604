"""Every name that real machines show has an answer: known, telling nothing, or guessed and marked as guessed."""

import re
from itertools import combinations
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netprobe.catalogue.counter import Behaviour, Weight
from netprobe.catalogue.keys import Origin
from netprobe.catalogue.lookup import BY_DRIVER, KNOWN, counter_of
from netprobe.model.meaning import Meaning

RECORDED = sorted((Path(__file__).parents[1] / "fixtures" / "counters").glob("*.txt"))
TELL_NOTHING = re.compile(
    r"\[\d+\]: .*|(rx|tx)\d+_.*|(rx|tx)_queue_\d+_.*"  # of a ring
    r"|(rx|tx)_(\d+(_to_\d+)?_bytes_phy|\d+b(_\d+b)?_frames|size_(\d+|big)\.nic)"  # by size of frame
    r"|(rx|tx)_(tso|lro|csum|xdp|cache|page|cqe_compress|mpwqe|total_l4_csum)_.*|rx_csum_bad\.nic"  # of the kernel
    r"|(rx|tx)_(added|removed)_vlan_packets|tx_(xmit_more|linearize|busy|restart)|tx_queue_(stopped|wake)"
    r"|rx_(pg_)?alloc_fail|rx_total_buf_errors|(rx|tx)_total_resets|total_missed_irqs|fdir_sb_(match|status)\.nic"
    r"|(rx|tx)_vport_(unicast|multicast|broadcast)_(packets|bytes)"  # neither RDMA nor all of the port
    r"|(rx|tx)_(unicast|multicast|broadcast)(_phy)?|(rx|tx)_(ucast|mcast|bcast)_frames"  # by kind of address
    r"|(rx|tx)_mac_control_phy|rx_ctrl_frames|(rx|tx)_good(_vlan)?_frames|rx_(double_)?tagged_frames"
    r"|(rx|tx)_(bytes|packets)_cos\d"  # as well told by priority
    r"|(rx|tx)_eee_lpi_(events|duration)|tx_total_collisions|tx_xthol_frames|rx_runt_bytes|rx_unknown_protocol"
    r"|PortSelect|CounterSelect2?"
)


@pytest.mark.parametrize("path", RECORDED, ids=lambda path: path.stem)
def test_each_recorded_name_is_recognised_or_listed_as_telling_nothing(path):
    origin = Origin.ETHTOOL if path.name.startswith("ethtool") else Origin.RDMA
    names = path.read_text().splitlines()
    found = {name: counter_of(origin, name) for name in names}

    assert names
    assert [name for name in names if (found[name] is None) != bool(TELL_NOTHING.fullmatch(name))] == []
    assert [name for name, row in found.items() if row is not None and not row.is_recognised] == []


def test_no_name_is_in_the_tables_of_two_drivers():
    for (one, one_table), (other, other_table) in combinations(BY_DRIVER.items(), 2):
        if one[0] is other[0]:
            assert not one_table.keys() & other_table.keys(), f"{one} and {other}"


@pytest.mark.parametrize(
    ("meaning", "names"),
    [
        (
            Meaning.ACK_TIMEOUT,
            ["local_ack_timeout_err", "to_retransmits", "tx_rdma_ack_timeout", "requester_timeout", "sq_num_to"],
        ),
        (
            Meaning.SEQUENCE_NAK,
            ["packet_seq_err", "seq_err_naks_rcvd", "req_rx_pkt_seq_err", "requester_oos_nak", "rcvd_seq_err"],
        ),
        (
            Meaning.OUT_OF_SEQUENCE,
            ["out_of_sequence", "oos_drop_count", "res_oos_drop_count", "resp_rx_outouf_seq", "responder_oos",
             "out_of_seq_request"],
        ),
        (
            Meaning.RNR_NAK,
            ["rnr_nak_retry_err", "rnr_naks_rcvd", "req_rx_rnr_retry_err", "requester_rnr_nak", "rcvd_rnr_err"],
        ),
        (
            Meaning.RETRIES_EXCEEDED,
            ["req_transport_retries_exceeded", "max_retry_exceeded", "req_tx_retry_excd_err",
             "requester_retries_exceeded", "retry_exceeded_err"],
        ),
        (
            Meaning.NO_RECEIVE_BUFFER,
            ["out_of_buffer", "rx_out_of_buffer", "resp_rx_outof_buf", "responder_rnr_nak", "send_rnr_err"],
        ),
        (
            Meaning.ECN_MARKED,
            ["np_ecn_marked_roce_packets", "rx_ecn_marked_pkts", "rx_rdma_ecn_pkts", "received_ecns", "RxECNMrkd"],
        ),
        (Meaning.CNP_SENT, ["np_cnp_sent", "tx_rdma_cnp_pkts", "sent_cnps", "cnpSent"]),
        (Meaning.CNP_HANDLED, ["rp_cnp_handled", "rx_cnp_pkts", "rx_rdma_cnp_pkts", "received_cnps", "cnpHandled"]),
    ],
)  # fmt: skip
def test_what_drivers_call_by_different_names_means_the_same(meaning, names):
    assert {name: counter_of(Origin.RDMA, name).meaning for name in names} == dict.fromkeys(names, meaning)


def test_the_port_s_own_protocol_names_the_same_counters():
    assert counter_of(Origin.RDMA, "PortXmitData") == counter_of(Origin.RDMA, "port_xmit_data")
    assert counter_of(Origin.RDMA, "LinkDownedCounter") == counter_of(Origin.RDMA, "link_downed")


def test_a_width_that_the_driver_left_in_a_name_is_taken_from_it():
    found = counter_of(Origin.RDMA, "SwLinkUp,32")

    assert (found.is_recognised, found.width_bits) == (True, 32)
    assert found.title == counter_of(Origin.RDMA, "SwLinkUp").title


@pytest.mark.parametrize(
    ("name", "meaning", "weight"),
    [
        ("qp_retries_exceeded", Meaning.RETRIES_EXCEEDED, Weight.FAIL),
        ("RcRetryExc", Meaning.RETRIES_EXCEEDED, Weight.FAIL),
        ("rnr_retry_exc", Meaning.RNR_RETRIES_EXCEEDED, Weight.FAIL),
        ("req_timeout_cnt", Meaning.ACK_TIMEOUT, Weight.WARN),
        ("tx_ack_to", Meaning.ACK_TIMEOUT, Weight.WARN),
        ("rx_outof_seq", Meaning.OUT_OF_SEQUENCE, Weight.WARN),
        ("RxOos", Meaning.OUT_OF_SEQUENCE, Weight.WARN),
        ("nak_seq_err_in", Meaning.SEQUENCE_NAK, Weight.WARN),
        ("rnr_seen", Meaning.RNR_NAK, Weight.WARN),
        ("rnr_sent", Meaning.NO_RECEIVE_BUFFER, Weight.WARN),
        ("np_cnps_sent", Meaning.CNP_SENT, Weight.NOTE),
        ("cnp_rx", Meaning.CNP_HANDLED, Weight.NOTE),
        ("rx_ce_pkts", Meaning.ECN_MARKED, Weight.NOTE),
        ("rx_trace_pkts", None, None),  # not CE
        ("roce_drops", Meaning.PORT_DISCARD, Weight.WARN),
        ("bad_icrc", Meaning.ICRC_ERROR, Weight.FAIL),
        ("something_else", None, None),
    ],
)
def test_an_unknown_name_of_a_transport_is_guessed_from_its_words(name, meaning, weight):
    found = counter_of(Origin.RDMA, name)

    assert (found and found.meaning, found and found.weight) == (meaning, weight)
    assert found is None or (not found.is_recognised and found.title.startswith("unrecognised counter"))


@pytest.mark.parametrize(
    ("name", "meaning", "priority", "unit", "scale"),
    [
        ("mac_rx_pfc_pri3_pkt", Meaning.PAUSE_RECEIVED, 3, "", 1),
        ("mac_tx_pause_num", Meaning.PAUSE_SENT, None, "", 1),
        ("tx_pfc_prio5_duration_us", Meaning.PAUSE_SENT_TIME, 5, "ns", 1000),
        ("rx_pause_duration_prio_3", None, 3, "", 1),  # of which unit?
        ("rx_prio2_pause_bytes", None, 2, "bytes", 1),
        ("port_rx_discards", Meaning.PORT_DISCARD, None, "", 1),
        ("rx_no_dma_drops", Meaning.RING_DISCARD, None, "", 1),
        ("tx_drops", Meaning.SEND_DISCARD, None, "", 1),
        ("mac_fcs_errs", Meaning.CRC_ERROR, None, "", 1),
        ("fec_lane_uncorrected", Meaning.FEC_UNCORRECTABLE, None, "", 1),
        ("watchdog_timeouts", None, None, "", 1),  # not of RDMA's acknowledgements
    ],
)
def test_an_unknown_name_of_an_interface_is_guessed_with_its_priority_and_unit(name, meaning, priority, unit, scale):
    found = counter_of(Origin.ETHTOOL, name)

    assert not found.is_recognised
    assert (found.meaning, found.priority, found.unit, found.scale) == (meaning, priority, unit, scale)


@pytest.mark.parametrize("name", ["active_gids", "watermark_xrcds", "current_rtt", "active_drop_rules"])
def test_an_unknown_level_is_never_differenced(name):
    found = counter_of(Origin.RDMA, name)

    assert (found.behaviour, found.meaning, found.is_recognised) == (Behaviour.GAUGE, None, False)


@given(st.sampled_from(Origin), st.text(max_size=60) | st.from_regex(r"(rx|tx)[_,/ a-z0-9]{0,30}(,32){0,40}"))
def test_no_name_is_an_error(origin, name):
    found = counter_of(origin, name)

    assert found is None or found.is_recognised == (name.removesuffix(",32") in KNOWN[origin])


@given(st.sampled_from(Origin), st.text(max_size=60))
def test_what_is_guessed_never_stands_before_what_is_known(origin, name):
    found = counter_of(origin, name)
    known = max(row.preference for table in KNOWN.values() for row in table.values())

    assert found is None or found.is_recognised or found.preference > known
