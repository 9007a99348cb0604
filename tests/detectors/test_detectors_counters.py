"""Every counter of trouble is somebody's: a detector's of its own, or that of `counters`, or it says nothing alone."""

import pytest
from detector_scenario import answers, findings
from test_detectors_nics import counted, fabric, in_rounds

from netprobe.detectors._trouble import TROUBLES
from netprobe.model.finding import Confidence, Finding, Severity
from netprobe.model.meaning import Meaning
from netprobe.registry import detectors

MUCH = 5_000_000_000  # events; or 5 of 10 seconds
BESIDE_OTHERS = {
    Meaning.OUT_OF_SEQUENCE: "the peer's NAKs tell; alone it is spraying",
    Meaning.DUPLICATE_REQUEST: "tells which way a timeout lost",
    Meaning.RETRANSMITTED: "a few are normal with some transports; NAKs and timeouts tell of loss",
    Meaning.ADAPTIVE_RETRANSMIT: "what NAKs and timeouts tell, once more",
    Meaning.SLOW_RESTART: "idle, then data",
    Meaning.COMPLETION_FLUSHED: "an orderly end",
    Meaning.ECN_MARKED: "congestion control at work, if it is answered",
    Meaning.NIC_ECN_MARKED: "told with pauses",
    Meaning.CNP_SENT: "congestion control at work",
    Meaning.CNP_HANDLED: "congestion control at work",
    Meaning.PAUSE_TRANSITIONS: "pauses that are lifted",
    Meaning.RING_DISCARD: "Ethernet, not RDMA",
    Meaning.BUFFER_HIGH: "told with pauses",
    Meaning.FEC_CORRECTED: "normal; judged as a share of bits",
    Meaning.REMOTE_PHYSICAL_ERROR: "the fault is elsewhere",
    Meaning.PCIE_STALLED: "told with pauses",
    Meaning.PORT_DISCARD: "a loss that its senders count; told with pauses",
    Meaning.SEND_WAIT: "proves nothing alone",
    Meaning.RAW_BITS: "what corrected bits are a share of",
    Meaning.RDMA_SENT_BYTES: "traffic",
    Meaning.RDMA_RECEIVED_BYTES: "traffic",
    Meaning.RDMA_SENT_PACKETS: "traffic",
    Meaning.RDMA_RECEIVED_PACKETS: "traffic",
    Meaning.WIRE_SENT_BYTES: "traffic",
    Meaning.WIRE_RECEIVED_BYTES: "traffic",
    Meaning.WIRE_SENT_PACKETS: "traffic",
    Meaning.WIRE_RECEIVED_PACKETS: "traffic",
}
"""Meanings that nobody tells of alone, and why."""


def grown(meaning, count=5000, **more):
    return fabric(4, counted(on=["h2"], **{meaning.replace("-", "_"): count, **more}))


def who_tells(meaning):
    own = {meaning.replace("-", "_"): MUCH}
    others = {"completion_flushed": 0} | dict.fromkeys(own, 0)
    text = fabric(4, counted(**others), counted(on=["h2"], **own), in_rounds(on=["h2"], **own))
    return {id for id in detectors() if any(isinstance(each, Finding) for each in answers(id, text))}


@pytest.mark.parametrize("meaning", [meaning for meaning in Meaning if meaning not in BESIDE_OTHERS])
def test_trouble_of_any_kind_is_told_by_somebody(meaning):
    assert who_tells(meaning)


@pytest.mark.parametrize("meaning", TROUBLES)
def test_what_counters_tells_of_nobody_else_does(meaning):
    assert who_tells(meaning) == {"counters"}


def test_what_says_nothing_alone_is_not_told_of():
    assert not TROUBLES.keys() & BESIDE_OTHERS.keys()
    assert [meaning for meaning in BESIDE_OTHERS if "counters" in who_tells(meaning)] == []


@pytest.mark.parametrize("meaning", TROUBLES)
def test_a_known_counter_of_trouble_names_the_port_and_says_what_to_do(meaning):
    flushed = {"completion_flushed": 0} if meaning is Meaning.COMPLETION_ERROR else {}
    (finding,) = findings("counters", grown(meaning, **flushed))

    assert finding.subjects == ("h2 mlx5_0",)
    assert f"5,000 {meaning} under load" in finding.summary
    assert finding.severity is TROUBLES[meaning].severity
    assert "{" not in finding.next_action


def test_a_device_that_cannot_recover_blocks_from_the_first_error_on():
    (finding,) = findings("counters", grown(Meaning.FATAL_ERROR, 1))

    assert (finding.severity, finding.hosts) == (Severity.BLOCKS, ("h2",))


def test_a_queue_pair_that_gave_up_leaves_no_host_out():
    (finding,) = findings("counters", grown(Meaning.RETRIES_EXCEEDED, 1))

    assert (finding.severity, finding.confidence, finding.hosts) == (Severity.DEGRADES, Confidence.MEDIUM, ())


def test_completions_that_were_flushed_are_an_orderly_end():
    assert findings("counters", grown(Meaning.COMPLETION_ERROR, 5000, completion_flushed=5000)) == []
    assert findings("counters", grown(Meaning.COMPLETION_ERROR, 5000)) == []  # nobody knows how many were flushed

    (finding,) = findings("counters", grown(Meaning.COMPLETION_ERROR, 5000, completion_flushed=4900))

    assert "100 completion-error under load" in finding.summary


def test_several_counters_of_one_port_are_one_finding_about_the_worst():
    (finding,) = findings("counters", grown(Meaning.PCIE_ERROR, 50, fatal_error=1))

    assert finding.severity is Severity.BLOCKS
    assert finding.summary.endswith("1 fatal-error under load; pcie-error grew as well")
    assert len(finding.facts) == 2


def test_an_interface_that_carries_no_rdma_is_not_the_fabrics_where_others_do():
    eth = '[[nics]]\nnetdev = "eth9"\n'
    line = counted(on=["h2"], send_discard=5000) + 'nic = "eth9"\n'

    assert findings("counters", fabric(4, eth, line)) == []


def test_a_time_that_is_only_guessed_is_told_with_its_unit():
    line = counted(on=["h2"]) + 'unrecognised = { "rdma/mlx5_0/1/odd_tx_pause_time_us" = 1500000000 }\n'

    (finding,) = findings("counters", fabric(4, line))

    assert [fact.observed for fact in finding.facts] == ["1.50 s"]
    assert "grew by 1.50 s under load" in finding.summary


def test_a_meaning_that_is_only_guessed_is_told_as_a_guess():
    line = counted(on=["h2"], send_discard=5000) + 'unrecognised = { "ethtool/eth0/odd_tx_drops" = 5000 }\n'

    (finding,) = findings("counters", fabric(4, line))

    assert finding.confidence is Confidence.LOW
