"""Reads beside all-reduces: who suffers is told, drift and a shared NIC are not held against anybody."""

from dataclasses import replace

import pytest
from detector_scenario import evidence_in, findings, gaps

from netprobe.model.finding import Gap
from netprobe.model.limits import Limits
from netprobe.model.plan import Plan, Scope, Stage
from netprobe.model.storage import OWN_STORAGE
from netprobe.registry import detectors

HOSTS = 'hosts = ["node1", "node2", "node3", "node4"]\n'
ID = "storage-interference"


def mixed(us=(300.0, 305.0, 301.0), gbps=(16.0, 16.0, 16.0), odd="", first=HOSTS):
    return f"""{first}
[[storage]]
path = "/s/a b"
rate_gbps = 16.0
size = "8M"
us = {list(us)}
gbps = {list(gbps)}
odd = {{ {odd} }}
"""


def test_what_does_not_disturb_is_silent():
    assert findings(ID, mixed()) == gaps(ID, mixed()) == []


def test_one_host_whose_reads_starve_is_a_warning_and_blames_nobody():
    (finding,) = findings(ID, mixed(odd="node2 = [16.0, 6.0, 15.0]"))

    assert (finding.severity, finding.subjects, finding.hosts) == ("warns", ("node2",), ())
    assert "reads of 1 of 4 hosts lose up to 60 %" in finding.summary


def test_where_most_hosts_starve_it_is_the_fabric():
    (finding,) = findings(ID, mixed(gbps=(16.0, 6.0, 15.0)))

    assert finding.subjects == ("fabric",)


def test_both_ways_are_told_apart():
    told = findings(ID, mixed(us=(300.0, 900.0, 301.0), gbps=(16.0, 6.0, 15.0)))

    assert [each.severity for each in told] == ["degrades", "warns"]


@pytest.mark.parametrize("odd", ["node2 = [16.0, 7.0, 7.1]", "node2 = [7.1, 7.0, 16.0]"])
def test_reads_that_drift_are_a_gap(odd):
    (gap,) = gaps(ID, mixed(odd=odd))

    assert findings(ID, mixed(odd=odd)) == []
    assert "reads of node2 alone differ before and after" in gap.reason


def test_where_no_nic_tells_its_rate_sharing_one_is_not_excluded():
    for each in findings(ID, mixed(us=(300.0, 900.0, 301.0), gbps=(16.0, 6.0, 15.0))):
        assert each.next_action.endswith("that both share a NIC is not excluded, as no NIC told its rate")


def test_the_command_to_test_again_quotes_the_path():
    (finding,) = findings(ID, mixed(us=(300.0, 900.0, 301.0)))

    assert finding.retest == "netprobe run storage --storage '/s/a b' --storage-rate 2GB/s -e 8M --series 5s"


def nics(rate_gbps):
    return f'{HOSTS}[[nics]]\nname = "mlx5_0"\nport = {{ rate_gbps = {rate_gbps} }}\n'


def test_a_port_that_both_share_explains_what_reads_take_of_it():
    slowed, starved = (300.0, 600.0, 301.0), (30.0, 20.0, 30.0)

    assert len(findings(ID, mixed(us=slowed, first=nics(400.0)))) == 1
    assert findings(ID, mixed(us=slowed, first=nics(40.0))) == []
    assert len(findings(ID, mixed(gbps=starved, first=nics(400.0)))) == 1
    assert findings(ID, mixed(gbps=starved, first=nics(40.0))) == []


@pytest.mark.parametrize(("blocks", "is_judged"), [(19, False), (20, True)])
def test_hosts_that_read_a_few_blocks_are_a_gap_and_not_judged(blocks, is_judged):
    few = f"{mixed(gbps=(16.0, 6.0, 15.0))}blocks = {blocks}\n"

    assert len(findings(ID, few)) == is_judged
    assert any("read fewer than 20 blocks in a round" in gap.reason for gap in gaps(ID, few)) is not is_judged


def test_reads_that_cross_no_fabric_are_put_down_to_hosts():
    own = Gap(topic=OWN_STORAGE, reason="the file is on xfs")
    evidence = evidence_in(mixed(us=(300.0, 900.0, 301.0)))

    (finding,) = detectors()[ID].detect(replace(evidence, gaps=(*evidence.gaps, own)), Limits())

    assert (finding.subjects, finding.hosts) == (("node1", "node2", "node3", "node4"), ())
    assert "inside a host" in finding.next_action


def test_where_a_rank_waits_for_a_cpu_all_reduces_are_not_judged():
    crowded = replace(evidence_in(mixed(us=(300.0, 900.0, 301.0))), waiting_ratio={"node1": 0.5})

    (gap,) = detectors()[ID].detect(crowded, Limits())

    assert isinstance(gap, Gap)
    assert "on node1 ranks wait for a CPU" in gap.reason


def test_a_stage_that_told_nothing_is_a_gap():
    plan = Plan(
        profile="x", seed=1, stages=(Stage(id="storage", probe="storage", scope=Scope.WORLD, sizes_bytes=(8,)),)
    )
    evidence = replace(evidence_in(HOSTS), plan=plan)

    (gap,) = detectors()[ID].detect(evidence, Limits())

    assert "no all-reduce beside reads was told" in gap.reason


def test_reads_that_are_not_known_are_a_gap_and_never_none():
    (gap,) = gaps(ID, mixed(gbps=(16.0, float("nan"), 16.0)))

    assert "no host read alone" in gap.reason
