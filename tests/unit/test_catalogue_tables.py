"""The tables: units and scales, widths, priorities; and where one counter counts what another one counts too."""

import pytest

from netprobe.catalogue.counter import Behaviour, Weight
from netprobe.catalogue.keys import Origin
from netprobe.catalogue.lookup import BY_DRIVER, KNOWN, counter_of
from netprobe.model.inventory import PRIORITIES
from netprobe.model.meaning import Meaning

SATURATING = {
    4: {"local_link_integrity_errors", "excessive_buffer_overrun_errors"},
    8: {"link_error_recovery", "link_downed", "port_xmit_constraint_errors", "port_rcv_constraint_errors"},
    16: {"symbol_error", "port_rcv_errors", "port_rcv_remote_physical_errors", "port_rcv_switch_relay_errors",
         "port_xmit_discards", "VL15_dropped"},
}  # fmt: skip


def rdma(name):
    return counter_of(Origin.RDMA, name)


def ethtool(name):
    return counter_of(Origin.ETHTOOL, name)


def rows():
    return ((f"{driver}: {name}", row) for (_, driver), table in BY_DRIVER.items() for name, row in table.items())


def test_each_row_is_whole():
    whole = {
        name
        for name, row in rows()
        if row.title and row.source and row.is_recognised and row.scale > 0
        if row.priority is None or 0 <= row.priority < PRIORITIES
    }

    assert {name for name, _ in rows()} == whole


def test_levels_and_settings_are_evidence_of_nothing():
    assert {row.meaning for _, row in rows() if row.behaviour in (Behaviour.GAUGE, Behaviour.SETTING)} == {None}


@pytest.mark.parametrize(("unit", "ending"), [("ns", "-time"), ("bytes", "-bytes")])
def test_times_are_ns_and_amounts_of_data_bytes(unit, ending):
    meant = [(name, row) for name, row in rows() if row.meaning is not None]

    in_unit = {name for name, row in meant if row.unit == unit}
    assert in_unit == {name for name, row in meant if row.meaning.value.endswith(ending)}
    assert in_unit


@pytest.mark.parametrize(
    ("origin", "name", "value", "unit", "scaled"),
    [
        (Origin.RDMA, "port_xmit_data", 1_635_283_040_810, "bytes", 6_541_132_163_240),
        (Origin.RDMA, "port_rcv_data", 25, "bytes", 100),
        (Origin.RDMA, "lifespan", 10, "ns", 10_000_000),
        (Origin.ETHTOOL, "rx_prio3_pause_duration", 335, "ns", 335_000),
        (Origin.ETHTOOL, "tx_global_pause_duration", 2, "ns", 2000),
        (Origin.ETHTOOL, "pfc_pri5_tx_duration_us", 7, "ns", 7000),
        (Origin.ETHTOOL, "rx_pripause_3_1us_count", 7, "ns", 7000),
        (Origin.ETHTOOL, "rx_pause_1us_count", 7, "ns", 7000),
        (Origin.ETHTOOL, "rx_bytes_phy", 7, "bytes", 7),
    ],
)
def test_the_kernel_s_value_times_the_scale_is_in_the_unit(origin, name, value, unit, scaled):
    found = counter_of(origin, name)

    assert (found.unit, value * found.scale) == (unit, scaled)


@pytest.mark.parametrize(
    ("name", "meaning", "priority"),
    [
        ("rx_prio3_pause", Meaning.PAUSE_RECEIVED, 3),
        ("tx_prio0_pause_duration", Meaning.PAUSE_SENT_TIME, 0),
        ("rx_prio7_cong_discard", Meaning.PORT_DISCARD, 7),
        ("pfc_pri3_rx_duration_us", Meaning.PAUSE_RECEIVED_TIME, 3),
        ("tx_pfc_ena_frames_pri4", Meaning.PAUSE_SENT, 4),
        ("rx_discard_packets_cos3", Meaning.PORT_DISCARD, 3),
        ("tx_priority_3_xoff.nic", Meaning.PAUSE_SENT, 3),
        ("tx_priority_3_xon.nic", None, 3),
        ("rx_pripause_3_1us_count", Meaning.PAUSE_RECEIVED_TIME, 3),
        ("rx_bytes_pri6", Meaning.WIRE_RECEIVED_BYTES, 6),
        ("rx_pause_ctrl_phy", Meaning.PAUSE_RECEIVED, None),
    ],
)
def test_a_priority_is_told_by_the_name(name, meaning, priority):
    found = ethtool(name)

    assert (found.meaning, found.priority) == (meaning, priority)
    assert priority is None or f"{priority}" in found.title


def test_queue_counters_of_mlx5_have_32_bits_and_wrap_those_of_congestion_have_64():
    assert {rdma(name).width_bits for name in ("out_of_buffer", "roce_adp_retrans", "req_cqe_error")} == {32}
    assert {rdma(name).width_bits for name in ("np_cnp_sent", "rp_cnp_handled", "rx_icrc_encapsulated")} == {64}
    assert rdma("out_of_buffer").behaviour is Behaviour.WRAPS


def test_classic_errors_stay_at_the_largest_value_of_their_width():
    found = {width: {name for name in names if rdma(name).width_bits == width} for width, names in SATURATING.items()}

    assert found == SATURATING
    assert {rdma(name).behaviour for names in SATURATING.values() for name in names} == {Behaviour.SATURATES}


def test_what_is_no_counter_is_told_apart():
    assert {rdma(name).behaviour for name in ("lifespan", "clear_counters")} == {Behaviour.SETTING}
    levels = ("active_qps", "watermark_qps", "current_rate", "db_fifo_register")
    assert {rdma(name).behaviour for name in levels} == {Behaviour.GAUGE}
    assert {ethtool(f"outbound_pci_stalled_{way}").behaviour for way in ("rd", "wr")} == {Behaviour.GAUGE}
    assert ethtool("outbound_pci_stalled_rd_events").meaning is Meaning.PCIE_STALLED


def test_broadcom_s_recoverable_errors_are_broadcast_packets_and_no_evidence():
    assert (rdma("recoverable_errors").meaning, rdma("recoverable_errors").weight) == (None, Weight.INFO)


@pytest.mark.parametrize("name", ["unrecoverable_err", "res_mem_err", "res_tx_pci_err", "res_rx_pci_err"])
def test_any_growth_of_what_broadcom_calls_critical_fails(name):
    assert rdma(name).weight is Weight.FAIL


def test_the_frames_of_both_kinds_of_pause_are_the_total_of_mlx5():
    total, of_one_kind = ethtool("rx_pause_ctrl_phy"), ethtool("rx_global_pause")

    assert total.meaning is of_one_kind.meaning is Meaning.PAUSE_RECEIVED
    assert total.preference < of_one_kind.preference


@pytest.mark.parametrize("names", [("rx_pause_frames", "rx_pfc_frames"), ("frames_tx_pause", "frames_tx_pripause")])
def test_drivers_that_count_the_two_kinds_of_pause_apart_have_them_added_up(names):
    one, other = (ethtool(name) for name in names)

    assert (one.meaning, one.priority, one.preference) == (other.meaning, other.priority, other.preference)


def test_one_kind_of_traffic_is_taken_from_one_place():
    own, port_s, interface_s = rdma("tx_bytes"), rdma("port_xmit_data"), ethtool("tx_vport_rdma_unicast_bytes")

    assert own.meaning is port_s.meaning is interface_s.meaning is Meaning.RDMA_SENT_BYTES
    assert own.preference < port_s.preference < interface_s.preference
    assert ethtool("tx_vport_rdma_multicast_bytes").preference == interface_s.preference


def test_ice_tells_of_no_time_of_pause():
    table = BY_DRIVER[Origin.ETHTOOL, "ice"]

    assert {row.unit for row in table.values() if row.meaning in (Meaning.PAUSE_SENT, Meaning.PAUSE_RECEIVED)} == {
        "frames"
    }
    assert not {Meaning.PAUSE_SENT_TIME, Meaning.PAUSE_RECEIVED_TIME} & {row.meaning for row in table.values()}


def test_losses_are_normal_to_the_transport_of_efa():
    losses = {name: row for name, row in BY_DRIVER[Origin.RDMA, "efa"].items() if name.startswith("retrans")}

    assert {row.weight for row in losses.values()} == {Weight.NOTE}
    roce_alone = {Meaning.OUT_OF_SEQUENCE, Meaning.ACK_TIMEOUT, Meaning.SEQUENCE_NAK, Meaning.RETRIES_EXCEEDED}
    assert not roce_alone & {row.meaning for row in BY_DRIVER[Origin.RDMA, "efa"].values()}


def test_counters_of_representors_are_not_evidence_of_their_port():
    representors = [row for name, row in KNOWN[Origin.RDMA].items() if name.startswith("vport_")]

    assert representors
    assert {row.meaning for row in representors} == {None}
