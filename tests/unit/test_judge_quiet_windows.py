"""Which windows between readings were quiet at a port: known to have moved next to nothing."""

import pytest
from judge_samples import run_of, series

from netprobe.judge.evidence import evidence_of
from netprobe.model.counters import BETWEEN_READINGS, CounterWindow
from netprobe.model.meaning import Meaning
from netprobe.model.ports import Span
from netprobe.units import NS_PER_S

QUIET = {"tx_bytes_phy": 0, "rx_bytes_phy": 0, "tx_prio3_pause_duration": 5}
BUSY = {**QUIET, "rx_bytes_phy": 10**9}


def ports_that_counted(*windows, stage=BETWEEN_READINGS, at_least=(), elapsed_ns=NS_PER_S):
    counted = [
        CounterWindow(
            stage=stage,
            round_index=None,
            rank=0,
            elapsed_ns=elapsed_ns,
            grown={f"ethtool/eth0/{name}": growth for name, growth in grown.items()},
            at_least=tuple(f"ethtool/eth0/{name}" for name in at_least),
        )
        for grown in windows
    ]
    return evidence_of(run_of([series(0, 1, [500])], hosts=("n0", "n1"), windows=counted)).ports


def test_a_quiet_window_is_told_apart_and_still_one_of_those_under_load():
    ports = ports_that_counted(QUIET)

    assert ports.grown(Meaning.PAUSE_SENT_TIME, Span.QUIET).tolist() == [5_000]
    assert ports.grown(Meaning.PAUSE_SENT_TIME, Span.LOAD).tolist() == [5_000]


@pytest.mark.parametrize(
    ("grown", "beside"),
    [
        (BUSY, {}),
        ({**QUIET, "tx_vport_rdma_unicast_bytes": 10**9}, {}),
        ({"tx_bytes_phy": 0, "tx_prio3_pause_duration": 5}, {}),
        (QUIET, {"at_least": ("rx_bytes_phy",)}),
        (QUIET, {"stage": "bandwidth"}),
        (QUIET, {"elapsed_ns": 0}),
    ],
    ids=["traffic", "RDMA alone", "not all counted", "counters at their end", "a stage of netprobe", "no time told"],
)
def test_no_other_window_is_quiet(grown, beside):
    assert Span.QUIET not in ports_that_counted(grown, **beside).spans


def test_of_several_windows_the_quiet_ones_alone_count():
    ports = ports_that_counted(QUIET, BUSY, QUIET)

    assert ports.elapsed_ns(Span.QUIET).tolist() == [2 * NS_PER_S]
    assert ports.grown(Meaning.PAUSE_SENT_TIME, Span.QUIET).tolist() == [10_000]
    assert ports.elapsed_ns(Span.LOAD).tolist() == [3 * NS_PER_S]
