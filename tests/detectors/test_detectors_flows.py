"""Pairs that were measured with several UDP source ports: is it one of several equal links, or all of them?"""

from dataclasses import replace

import numpy as np
import pytest
from detector_scenario import evidence_in
from hypothesis import given
from hypothesis import strategies as st

from netprobe.locate.flows import flow_answers
from netprobe.model.evidence import NO_FLOWS, FlowTable
from netprobe.model.finding import Finding, Gap
from netprobe.model.limits import Limits
from netprobe.registry import detectors

PORTS = (50_021, 53_187, 57_402, 61_668)
BYTES = 16 * (8 << 20)
FABRIC = """
hosts = ["node1", "node2", "node3", "node4"]

[[pairs]]
probe = "bandwidth"
path = "verbs"
size = "8M"
gbps = 400.0
"""
SLOW_PATH = FABRIC + 'odd = [{ between = ["node1", "node2"], gbps = 200.0 }]\n'


def flows(*gbps_by_port, src=0, dst=1, bytes_per_iteration=BYTES):
    """Return a pair's rates, repeated as often as told, for each port."""
    rows = [(port, gbps) for port, repeats in zip(PORTS, gbps_by_port, strict=False) for gbps in repeats]
    return FlowTable(
        src=np.full(len(rows), src),
        dst=np.full(len(rows), dst),
        source_port=np.array([port for port, _ in rows], dtype=np.int64),
        bytes_per_iteration=np.full(len(rows), bytes_per_iteration),
        p50_ns=np.array([8 * bytes_per_iteration / gbps for _, gbps in rows]),
    )


def told(table, text=FABRIC, id="slow-pair"):
    evidence = replace(evidence_in(text), flows=table)
    return list(detectors()[id].detect(evidence, Limits()))


FINE, SLOW = (400.0, 400.0), (200.0, 200.0)


def test_a_pair_that_is_slow_with_some_ports_each_time_is_one_of_several_links():
    (finding,) = told(flows(FINE, SLOW, FINE, SLOW))

    assert finding.subjects == ("node1 <-> node2",)
    assert "50 % slower with source ports 53187, 61668 than with source ports 50021, 57402" in finding.summary
    assert finding.hosts == ()
    assert "--source-port 53187" in finding.retest
    assert [(fact.observed, fact.expected) for fact in finding.facts] == [("200 Gb/s", "400 Gb/s")]


@pytest.mark.parametrize(
    "table",
    [
        NO_FLOWS,
        flows(FINE, FINE, FINE, FINE),
        flows(SLOW, SLOW, SLOW, SLOW),
        flows(FINE, (400.0, 200.0), FINE, FINE),
        flows(FINE, (200.0,), FINE, FINE),
        flows(FINE, (361.0, 361.0), FINE, FINE),
        flows(SLOW),
    ],
    ids=["none", "all fine", "all slow", "slow once", "measured once", "within the limit", "a single port"],
)
def test_what_does_not_go_with_the_port_every_time_is_no_finding(table):
    assert told(table) == []


def test_a_tenth_less_than_the_best_port_is_what_counts():
    assert told(flows(FINE, (359.0, 359.0)))
    assert not told(flows(FINE, (361.0, 361.0)))


def test_a_slow_path_that_is_slow_with_every_port_is_not_one_of_several_links():
    (finding,) = told(flows(SLOW, SLOW, SLOW, SLOW), SLOW_PATH)

    assert any("slow with each of 4 source ports" in each for each in finding.excluded)
    assert "routes" in finding.next_action


def test_a_slow_path_that_is_fast_with_every_port_later_says_nothing_of_ports():
    (finding,) = told(flows(FINE, FINE, FINE, FINE), SLOW_PATH)

    assert not any("source port" in each for each in finding.excluded)


def test_a_slow_path_that_goes_with_the_port_is_told_once_with_its_ports():
    (finding,) = told(flows(FINE, SLOW), SLOW_PATH)

    assert finding.facts[0].metric == "node1:0 -> node2:1 with source port 53187"
    assert any("fast with other source ports" in each for each in finding.excluded)
    assert "trace where packets with source port 53187 go" in finding.next_action


def test_figures_of_another_size_are_not_held_against_the_path():
    (finding,) = told(flows(SLOW, SLOW, bytes_per_iteration=BYTES // 2), SLOW_PATH)

    assert not any("source port" in each for each in finding.excluded)


def test_with_two_hosts_there_is_still_nobody_to_compare_with():
    text = FABRIC.replace(', "node3", "node4"', "")

    assert [type(each) for each in told(flows(FINE, SLOW), text)] == [Gap]


@given(st.lists(st.lists(st.floats(1.0, 400.0), min_size=1, max_size=3), min_size=1, max_size=4), st.floats(0.01, 0.5))
def test_no_port_is_both_slow_and_fine_and_the_best_is_never_slow(rates, loss_ratio):
    table = flows(*rates)

    for answer in flow_answers(table, loss_ratio):
        assert not set(answer.slow_ports) & set(answer.fine_ports)
        repeated = [port for port, each in zip(PORTS, rates, strict=False) if len(each) > 1]
        assert set(answer.slow_ports) | set(answer.fine_ports) <= set(repeated)
        assert set(answer.slow_ports) < set(repeated)
        assert answer.best_ns <= answer.slow_ns
        assert isinstance(answer.moves, bool)


def test_findings_on_ports_are_findings_like_any_other():
    assert all(isinstance(each, Finding) and each.next_action for each in told(flows(FINE, SLOW)))
