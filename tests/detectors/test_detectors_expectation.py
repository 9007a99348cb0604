"""Absolute rates: what no comparison of hosts with each other can see."""

import pytest
from detector_scenario import answers, findings, gaps

from netprobe.model.finding import Severity

FOUR = 'hosts = ["n1", "n2", "n3", "n4"]\n'
SIX = 'hosts = ["n1", "n2", "n3", "n4", "n5", "n6"]\n'
BANDWIDTH = "limits = { expected_bandwidth_gbps = 400.0 }\n"
LATENCY = "limits = { expected_latency_ns = 2000.0 }\n"


def bandwidth(gbps=400.0, odd="", size="8M", scope="between-hosts"):
    return f'[[pairs]]\nprobe = "bandwidth"\nsize = "{size}"\nscope = "{scope}"\ngbps = {gbps}\nodd = [{odd}]\n'


def latency(us, size="8"):
    return f'[[pairs]]\nprobe = "latency"\nsize = "{size}"\nus = {us}\n'


def towards(host, others, gbps):
    return ", ".join(f'{{ between = ["{host}", "{other}"], gbps = {gbps} }}' for other in others)


def test_a_fabric_that_fell_back_to_a_management_network_blocks_and_leaves_out_no_host():
    (finding,) = findings("expectation", FOUR + BANDWIDTH + bandwidth(0.94))

    assert (finding.subjects, finding.hosts, finding.severity) == (("fabric",), (), Severity.BLOCKS)


@pytest.mark.parametrize(("us", "severity"), [(2.55, []), (2.65, [Severity.DEGRADES]), (4.1, [Severity.BLOCKS])])
def test_a_latency_degrades_beyond_its_excess_and_blocks_when_no_distance_explains_it(us, severity):
    assert [each.severity for each in findings("expectation", FOUR + LATENCY + latency(us))] == severity


@pytest.mark.parametrize(("gbps", "severity"), [(361.0, []), (359.0, [Severity.DEGRADES]), (299.0, [Severity.BLOCKS])])
def test_a_bandwidth_degrades_below_the_limit_of_a_pair_and_blocks_below_that_of_a_host(gbps, severity):
    assert [each.severity for each in findings("expectation", FOUR + BANDWIDTH + bandwidth(gbps))] == severity


def test_a_host_that_is_below_with_most_partners_is_named_and_its_partners_are_not():
    odd = towards("n2", ("n1", "n3", "n4"), 200.0)

    (finding,) = findings("expectation", FOUR + BANDWIDTH + bandwidth(odd=odd))

    assert finding.hosts == ("n2",)
    assert finding.retest == "netprobe run bandwidth --hosts n2,n1,n3 -b 8M -e 8M --all-pairs"


def test_a_single_pair_that_is_below_leaves_out_no_host():
    (finding,) = findings("expectation", FOUR + BANDWIDTH + bandwidth(odd=towards("n1", ("n2",), 200.0)))

    assert (finding.subjects, finding.hosts) == (("n1 <-> n2",), ())


def test_the_only_pair_of_two_hosts_is_a_pair():
    (finding,) = findings("expectation", 'hosts = ["n1", "n2"]\n' + BANDWIDTH + bandwidth(100.0))

    assert (finding.subjects, finding.hosts) == (("n1 <-> n2",), ())


def test_when_most_hosts_are_below_it_is_the_fabric():
    odd = ", ".join(towards(f"n{index}", [f"n{other}" for other in range(1, 7)], 200.0) for index in (1, 2, 3))

    (finding,) = findings("expectation", SIX + BANDWIDTH + bandwidth(odd=odd))

    assert (finding.subjects, finding.hosts) == (("fabric",), ())
    assert "12 of 15 pairs of hosts" in finding.summary


def test_many_pairs_that_no_host_explains_are_the_fabric():
    odd = ", ".join(towards(f"n{index}", (f"n{index + 3}",), 200.0) for index in (1, 2, 3))

    (finding,) = findings("expectation", SIX + BANDWIDTH + bandwidth(odd=odd))

    assert (finding.subjects, finding.hosts) == (("fabric",), ())
    assert finding.summary.startswith("3 of 15 pairs of hosts fall short of what is expected")


def test_only_the_largest_bandwidth_and_the_smallest_latency_are_compared():
    both = "limits = { expected_bandwidth_gbps = 400.0, expected_latency_ns = 2000.0 }\n"
    text = FOUR + both + bandwidth(400.0) + bandwidth(1.0, size="8") + latency(2.0) + latency(50.0, size="64K")

    assert answers("expectation", text) == []


def test_an_expectation_that_was_not_measured_is_a_gap():
    (gap,) = gaps("expectation", FOUR + BANDWIDTH + latency(2.0))

    assert gap.reason.startswith("bandwidth was not judged")


def test_one_host_has_no_rate_between_hosts_and_nothing_is_expected_of_it():
    text = 'hosts = ["laptop", "laptop"]\n' + bandwidth(90.0, scope="within-host")

    assert answers("expectation", text) == []


PORTS = '[[endpoints]]\n[[nics]]\nname = "mlx5_0"\n'


def over_rdma(gbps, size="8M", odd=""):
    return bandwidth(gbps, odd, size).replace("size", 'path = "verbs"\nsize')


@pytest.mark.parametrize(("gbps", "subjects"), [(159.0, [("fabric",)]), (161.0, [])])
def test_rdma_that_leaves_most_of_its_ports_rate_unused_is_named_though_nobody_said_what_to_expect(gbps, subjects):
    found = findings("expectation", FOUR + PORTS + over_rdma(gbps))

    assert [each.subjects for each in found] == subjects
    assert all(each.severity is Severity.DEGRADES for each in found)


def test_what_was_held_against_the_rate_of_ports_alone_is_told_as_that():
    (gap,) = gaps("expectation", FOUR + PORTS + over_rdma(390.0))

    assert gap.reason == (
        "bandwidth of RDMA was held against 40 % of the rate of its ports alone: nobody said what to expect"
    )


def test_what_a_site_expects_counts_and_the_rate_of_ports_does_not():
    little = "limits = { expected_bandwidth_gbps = 100.0 }\n"

    assert answers("expectation", FOUR + little + PORTS + over_rdma(100.0)) == []


@pytest.mark.parametrize(
    ("ports", "stream"),
    [
        (PORTS + 'port = { pci = "none" }\n', over_rdma(1.0)),
        ("[[endpoints]]\n", over_rdma(1.0)),
        (PORTS + '[[endpoints]]\non = ["n2"]\nset = { rate_gbps = 0.0 }\n', over_rdma(1.0)),
        (PORTS, over_rdma(1.0, size="64K")),
        (PORTS, bandwidth(1.0)),
    ],
    ids=["software", "no inventory", "rate not told", "short messages", "MPI"],
)
def test_ports_that_say_nothing_of_what_was_measured_are_no_expectation(ports, stream):
    (gap,) = answers("expectation", FOUR + ports + stream)

    assert gap.reason == "absolute rates were not judged: nobody said what to expect"


def test_ranks_that_share_a_port_share_its_rate():
    two_each = 'hosts = ["n1", "n1", "n2", "n2"]\n' + PORTS

    assert findings("expectation", two_each + over_rdma(81.0)) == []
    assert len(findings("expectation", two_each + over_rdma(79.0))) == 1
