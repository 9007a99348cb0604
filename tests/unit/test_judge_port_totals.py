"""Totals of a port: what is counted by priority and what is counted for the port as a whole make one number."""

import pytest
from judge_samples import run_of, series

from netprobe.judge.evidence import evidence_of
from netprobe.model.counters import IDLE_BEFORE, CounterWindow
from netprobe.model.meaning import Meaning
from netprobe.model.ports import Span

BOTH_KINDS = {  # of pause; one of them by priority too
    "mlx5": {"rx_pause_ctrl_phy": 12, "rx_prio3_pause": 7, "rx_prio4_pause": 5},
    "mlx5, global": {"rx_pause_ctrl_phy": 9, "rx_global_pause": 9},
    "bnxt_en": {"rx_pause_frames": 0, "rx_pfc_frames": 11, "rx_pfc_ena_frames_pri3": 7, "rx_pfc_ena_frames_pri4": 5},
    "ice, by priority": {"link_xoff_rx.nic": 0, "rx_priority_3_xoff.nic": 7, "rx_priority_4_xoff.nic": 5},
    "ice, global": {"link_xoff_rx.nic": 4, "rx_priority_3_xoff.nic": 0},
}
FRAMES = {"mlx5": 12, "mlx5, global": 9, "bnxt_en": 12, "ice, by priority": 12, "ice, global": 4}


def ports_that_counted(grown, round_index=None):
    names = {f"ethtool/eth0/{name}": growth for name, growth in grown.items()}
    window = CounterWindow(stage="bandwidth", round_index=round_index, rank=0, elapsed_ns=1, grown=names)
    return evidence_of(run_of([series(0, 1, [500])], hosts=("n0", "n1"), windows=[window])).ports


@pytest.mark.parametrize("driver", BOTH_KINDS)
def test_pause_is_counted_once_whatever_a_driver_counts_it_by(driver):
    ports = ports_that_counted(BOTH_KINDS[driver])

    assert ports.grown(Meaning.PAUSE_RECEIVED).tolist() == [FRAMES[driver]]


@pytest.mark.parametrize("driver", BOTH_KINDS)
def test_the_same_in_single_rounds(driver):
    ports = ports_that_counted(BOTH_KINDS[driver], round_index=0)

    assert ports.pairs.grown[Meaning.PAUSE_RECEIVED].tolist() == [FRAMES[driver]]


def test_priorities_that_stand_still_at_the_same_time_do_so_no_longer_than_the_one_that_does_longest():
    grown = {"rx_pause_1us_count": 0, "rx_pripause_3_1us_count": 40, "rx_pripause_4_1us_count": 35}

    ports = ports_that_counted(grown)

    assert ports.grown(Meaning.PAUSE_RECEIVED_TIME).tolist() == [40_000]
    assert ports.by_priority(Meaning.PAUSE_RECEIVED_TIME)[0, 3] == 40_000
    assert ports_that_counted(grown, round_index=0).pairs.grown[Meaning.PAUSE_RECEIVED_TIME].tolist() == [40_000]


def windows_that_counted(*windows, elapsed_ns=1_000):
    named = [{f"ethtool/eth0/{name}": growth for name, growth in grown.items()} for grown in windows]
    counted = [
        CounterWindow(stage=IDLE_BEFORE, round_index=None, rank=0, elapsed_ns=elapsed_ns, grown=grown)
        for grown in named
    ]
    return evidence_of(run_of([series(0, 1, [500])], hosts=("n0", "n1"), windows=counted)).ports


def test_windows_that_took_equally_long_are_as_many_windows():
    ports = windows_that_counted(*[{"rx_pause_1us_count": 1, "rx_crc_errors_phy": 0}] * 3)

    assert ports.elapsed_ns(Span.IDLE_BEFORE).tolist() == [3_000]
    assert ports.grown(Meaning.PAUSE_RECEIVED_TIME, Span.IDLE_BEFORE).tolist() == [3_000]
    assert ports.spans[Span.IDLE_BEFORE].at_least == {}


def test_a_counter_that_one_of_windows_that_took_equally_long_lacks_grew_by_at_least_so_much():
    ports = windows_that_counted({"rx_crc_errors_phy": 2}, {"rx_crc_errors_phy": 3, "link_down_events_phy": 1})

    assert ports.elapsed_ns(Span.IDLE_BEFORE).tolist() == [2_000]
    assert ports.spans[Span.IDLE_BEFORE].at_least.keys() == {Meaning.LINK_DOWN}


def test_traffic_that_is_counted_in_three_places_is_taken_from_one():
    window = CounterWindow(
        stage="bandwidth",
        round_index=None,
        rank=0,
        elapsed_ns=1,
        grown={
            "rdma/eth0/1/tx_bytes": 400,
            "rdma/eth0/1/port_xmit_data": 100,
            "ethtool/eth0/tx_vport_rdma_unicast_bytes": 400,
        },
    )

    ports = evidence_of(run_of([series(0, 1, [500])], hosts=("n0", "n1"), windows=[window])).ports

    assert ports.grown(Meaning.RDMA_SENT_BYTES).tolist() == [400]
