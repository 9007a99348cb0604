"""What is a leaf's is not its hosts': switches, uplinks, cables in the wrong leaf, links that lose."""

from dataclasses import replace

import pytest
from detector_scenario import evidence_in, findings, gaps

from netprobe.detectors._wiring import wired_placement
from netprobe.judge.judge import settled
from netprobe.model.finding import Finding
from netprobe.model.inventory import Neighbour
from netprobe.model.limits import Limits
from netprobe.registry import detectors

FABRIC = """
hosts = [{hosts}]
leaves = {{ {leaves} }}
"""


def fabric(leaves=4, width=4):
    names = {f"leaf{leaf}": [f"l{leaf}n{nic}" for nic in range(width)] for leaf in range(leaves)}
    return FABRIC.format(
        hosts=", ".join(f'"{host}"' for own in names.values() for host in own),
        leaves=", ".join(f"{leaf} = {own}".replace("'", '"') for leaf, own in names.items()),
    )


def bandwidth(odd, more=""):
    return f'[[pairs]]\nprobe = "bandwidth"\nsize = "8M"\ngbps = 400.0\n{more}\nodd = [{odd}]\n'


def latency(odd=""):
    return f'[[pairs]]\nprobe = "latency"\nsize = "8"\nus = 2.0\nacross_us = 2.8\nodd = [{odd}]\n'


def between(near, far, gbps, leaves=4):
    """Return rows that make what some leaves send to others slower."""
    ways = [(a, b) for a in range(leaves) for b in range(leaves) if near in (a, None) and far in (b, None)]
    return ", ".join(f'{{ leaves = ["leaf{a}", "leaf{b}"], gbps = {gbps} }}' for a, b in ways)


def judged(text):
    """Return the findings of all detectors, as they stand in a report."""
    evidence = evidence_in(text)
    answers = (each for detector in detectors().values() for each in detector.detect(evidence, Limits()))
    return settled((each for each in answers if isinstance(each, Finding)), evidence)


def named(answers):
    return [(each.detector, each.subjects) for each in answers]


def test_a_slow_switch_is_one_finding_and_none_of_its_hosts():
    found = judged(fabric() + bandwidth(between(1, None, 250.0) + ", " + between(None, 1, 250.0)))

    assert named(found) == [("leaf-fault", ("leaf leaf1",))]
    assert found[0].hosts == ("l1n0", "l1n1", "l1n2", "l1n3")
    assert found[0].severity == "blocks"
    assert found[0].confidence == "high"


def test_a_host_that_is_slower_than_its_slow_leaf_is_named_beside_it():
    worse = '{ from = "l1n2", gbps = 100.0 }'
    found = judged(fabric() + bandwidth(f"{worse}, {between(1, None, 250.0)}"))

    assert ("leaf-fault", ("leaf leaf1",)) in named(found)
    (told,) = findings("slow-link", fabric() + bandwidth(f"{worse}, {between(1, None, 250.0)}"))
    assert told.subjects == ("l1n2",)


def test_lost_uplinks_are_the_leafs_and_ask_to_leave_no_host_out():
    ways = ", ".join(between(1, far, 250.0) for far in (0, 2, 3))
    (found,) = judged(fabric() + bandwidth(ways))

    assert (found.detector, found.subjects, found.hosts) == ("oversubscribed", ("leaf leaf1",), ())
    assert "the switch itself (pairs within the leaf are normal)" in found.excluded


def test_a_pair_of_leaves_that_is_slow_is_one_finding():
    (found,) = judged(fabric() + bandwidth(between(1, 2, 250.0)))

    assert (found.detector, found.subjects) == ("oversubscribed", ("leaf leaf1 -> leaf leaf2",))


def test_a_fabric_that_is_oversubscribed_as_it_is_built_only_warns():
    (found,) = judged(fabric() + bandwidth("", "across_gbps = 200.0"))

    assert (found.detector, found.subjects, found.severity) == ("oversubscribed", ("fabric",), "warns")
    assert "50 % below those of one leaf" in found.summary


def test_far_pairs_are_no_fault_where_leaves_are_told():
    assert judged(fabric() + bandwidth("") + latency()) == ()


def test_leaves_that_nobody_told_are_inferred_from_latencies_and_held_with_low_confidence():
    text = fabric() + bandwidth(between(1, None, 250.0)) + latency()
    evidence = evidence_in(text)
    from dataclasses import replace

    untold = replace(evidence, ranks=tuple(replace(rank, leaf=None) for rank in evidence.ranks))
    (found,) = [each for each in detectors()["leaf-fault"].detect(untold, Limits()) if isinstance(each, Finding)]

    assert found.subjects == ("leaf of l1n0",)
    assert found.confidence == "low"


def test_two_cables_that_were_swapped_are_told_together():
    swapped = ", ".join(
        f'{{ between = ["{nic}", "l{leaf}n{other}"], us = {us} }}'
        for nic, near, far in (("l0n1", 2, 0), ("l2n3", 0, 2))
        for leaf, us in ((near, 2.0), (far, 2.8))
        for other in range(4)
        if f"l{leaf}n{other}" not in ("l0n1", "l2n3")
    )
    both = '{ between = ["l0n1", "l2n3"], us = 2.8 }'
    (found,) = findings("rail-miswired", fabric() + latency(f"{swapped}, {both}"))

    assert found.subjects == ("l0n1:1", "l2n3:11")
    assert found.summary.startswith("swapped: they should be on leaf0 and leaf2")
    assert found.confidence == "high"


def test_a_nic_that_is_late_everywhere_is_no_cable_with_certainty():
    (found,) = findings("rail-miswired", fabric() + latency('{ from = "l0n0", us = 2.9 }'))

    assert found.confidence == "low"


COUNTED = """
[[counters]]
grown = { "tcp/TCPOrigDataSent" = 1_000_000, "tcp/RetransSegs" = 0, "tcp/TCPTimeouts" = 0, "tcp/TCPOFOQueue" = 0 }
"""


def losing(*ways):
    return COUNTED + "".join(
        f'[[counters]]\non = "{src}"\nwith = "{dst}"\ngrown = {{ "tcp/RetransSegs" = 800 }}\n' for src, dst in ways
    )


def test_losses_of_some_pairs_that_one_leaf_sends_are_one_of_its_uplinks():
    ways = [("l1n0", "l0n1"), ("l1n1", "l2n0"), ("l1n2", "l3n3"), ("l1n3", "l0n2"), ("l1n0", "l3n0"), ("l1n2", "l2n2")]
    (found,) = findings("packet-loss", fabric() + bandwidth("") + losing(*ways))

    assert found.subjects == ("leaf leaf1 -> spines",)
    assert found.hosts == ()
    assert "in 6 of 48 directions that may cross: one of the links from leaf1 up" in found.summary


def test_losses_between_two_leaves_name_what_joins_them_and_nobody_else():
    ways = [("l1n0", "l2n1"), ("l1n1", "l2n0"), ("l1n2", "l2n3")]
    (found,) = findings("packet-loss", fabric() + bandwidth("") + losing(*ways))

    assert found.subjects == ("leaf leaf1 -> leaf leaf2",)


def test_a_single_lossy_path_stays_a_path():
    (found,) = findings("packet-loss", fabric() + bandwidth("") + losing(("l1n0", "l2n1")))

    assert found.subjects == ("l1n0 -> l2n1",)


def test_most_hosts_of_a_leaf_that_lose_are_the_leaf():
    ways = [(f"l1n{nic}", f"l{leaf}n{other}") for nic in range(4) for leaf in range(4) for other in range(4)]
    found = judged(fabric() + bandwidth("") + losing(*[(a, b) for a, b in ways if a != b]))

    assert [each.subjects for each in found] == [("leaf leaf1",)]


@pytest.mark.parametrize("id", ["leaf-fault", "oversubscribed"])
def test_where_few_pairs_were_measured_it_is_told_that_leaves_were_not_judged(id):
    only = 'only = [["l0n0", "l1n0"], ["l0n0", "l2n0"], ["l2n1", "l3n0"]]'

    assert gaps(id, fabric() + bandwidth("", only))
    assert not findings(id, fabric() + bandwidth("", only))


SWAPPED = """
[[nics]]
name = "mlx5_0"
[[endpoints]]
"""


def messages(far_pairs):
    """Return the rates of small messages, slower between far hosts."""
    odd = ", ".join(f'{{ between = ["{a}", "{b}"], gbps = 0.225 }}' for a, b in far_pairs)
    return f'[[pairs]]\nprobe = "bandwidth"\nsize = "8"\ngbps = 0.25\nodd = [{odd}]\n'


def wired(text, leaf_of):
    """Return the evidence of a scenario whose hosts hear by LLDP which leaf their cable ends in."""
    evidence = evidence_in(text)
    told = {
        host: replace(
            each,
            net_devices=tuple(
                replace(net, neighbour=Neighbour(system=leaf_of[host], port=host)) for net in each.net_devices
            ),
        )
        for host, each in evidence.inventories.items()
    }
    return replace(evidence, inventories=told)


def test_hosts_whose_partners_are_farther_than_the_topology_says_are_not_slow():
    near = {"leaf0": ["l0n1", "l0n2", "l0n3", "l1n0"], "leaf1": ["l1n1", "l1n2", "l1n3", "l0n0"]}
    leaf_of = {host: leaf for leaf, own in near.items() for host in own}
    far = [(a, b) for a in near["leaf0"] for b in near["leaf1"]]
    evidence = wired(fabric(2) + SWAPPED + messages(far), leaf_of)

    told = [
        each for id in ("slow-host", "slow-pair", "leaf-fault") for each in detectors()[id].detect(evidence, Limits())
    ]

    assert [each for each in told if isinstance(each, Finding)] == []
    assert wired_placement(evidence).leaf_of.tolist() == [1, 0, 0, 0, 0, 1, 1, 1]


def test_a_host_that_met_far_partners_alone_is_not_slow_for_the_distance():
    far = [("l0n0", "l1n0"), ("l0n0", "l1n1"), ("l0n0", "l1n2"), ("l1n3", "l0n1"), ("l1n3", "l0n2"), ("l1n3", "l0n3")]
    near = [(f"l{leaf}n{a}", f"l{leaf}n{b}") for leaf in (0, 1) for a in range(4) for b in range(a)]
    met = [pair for pair in near if not {"l0n0", "l1n3"} & set(pair)]
    only = ", ".join(f'["{a}", "{b}"]' for a, b in (*far, *met))
    text = fabric(2) + messages(far).replace("odd =", f"only = [{only}]\nodd =")

    assert findings("slow-host", text) == []


def test_small_messages_that_are_slower_across_are_no_lost_uplinks():
    text = fabric() + bandwidth(between(0, None, 300.0)).replace('"8M"', '"64"') + bandwidth("")

    assert findings("oversubscribed", text) == []


@pytest.mark.parametrize(("across_gbps", "told"), [(201.0, []), (199.0, [("leaf leaf0 <-> leaf leaf1",)])])
def test_where_all_ranks_wait_for_a_cpu_uplinks_are_told_by_half_of_the_rate_alone(across_gbps, told):
    crossing = f"{between(0, 1, across_gbps)}, {between(1, 0, across_gbps)}"
    waits = '[[counters]]\ngrown = { "process/run_delay_ns" = 500_000_000 }\n'
    text = fabric(leaves=2) + bandwidth(crossing) + waits
    assert len(evidence_in(text).crowded_hosts) == 8

    assert [each.subjects for each in findings("oversubscribed", text)] == told
    assert any("not be told from the scheduler" in gap.reason for gap in gaps("oversubscribed", text)) == (not told)
    assert all(each.hosts == () for each in findings("oversubscribed", text))
