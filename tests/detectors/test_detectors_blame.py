"""Who is named, and who is not, when several detectors look at the same fault."""

from dataclasses import fields, replace

import pytest
from detector_scenario import evidence_in, findings, gaps

from netprobe.model.finding import Confidence, Severity
from netprobe.model.limits import Limits
from netprobe.registry import detectors

FIVE = 'hosts = ["n1", "n2", "n3", "n4", "n5"]\n'
PATH_DETECTORS = ("slow-host", "slow-link", "slow-pair", "asymmetry")


def bandwidth(odd, size="8M", probe="bandwidth"):
    return f'[[pairs]]\nprobe = "{probe}"\nsize = "{size}"\ngbps = 400.0\nodd = [{odd}]\n'


def latency(odd="", us=2.0):
    return f'[[pairs]]\nprobe = "latency"\nsize = "8"\nus = {us}\np99_us = {us * 1.1}\nodd = [{odd}]\n'


def named_by(text):
    return {id: [each.subjects for each in findings(id, text)] for id in PATH_DETECTORS if findings(id, text)}


@pytest.mark.parametrize(
    ("odd", "verb"),
    [
        ('{ from = "n2", gbps = 280.0 }', "sends 30 % below"),
        ('{ to = "n2", gbps = 280.0 }', "receives 30 % below"),
        ('{ from = "n2", gbps = 280.0 }, { to = "n2", gbps = 280.0 }', "sends and receives 30 % below"),
    ],
)
def test_a_host_that_is_slow_with_everybody_is_one_finding_that_says_which_way(odd, verb):
    text = FIVE + bandwidth(odd) + latency()

    assert named_by(text) == {"slow-link": [("n2",)]}
    (finding,) = findings("slow-link", text)
    assert finding.summary.startswith(verb)
    assert finding.severity is Severity.BLOCKS
    assert finding.confidence is Confidence.HIGH


def test_sizes_and_probes_that_agree_on_a_host_are_merged_into_one_finding():
    odd = '{ from = "n2", gbps = 320.0 }'
    two_way = '{ between = ["n2", "n1"], gbps = 320.0 }, { between = ["n2", "n3"], gbps = 320.0 }, '
    two_way += '{ between = ["n2", "n4"], gbps = 320.0 }, { between = ["n2", "n5"], gbps = 320.0 }'
    text = FIVE + bandwidth(odd) + bandwidth(odd, size="64K") + bandwidth(two_way, probe="bidirectional")

    (finding,) = findings("slow-link", text)

    assert [fact.metric for fact in finding.facts] == [
        "bandwidth 8M, sends",
        "bidirectional 8M, streams both ways",
        "bandwidth 64K, sends",
    ]
    assert finding.severity is Severity.DEGRADES


def test_a_loss_at_a_small_size_alone_degrades_however_large_it_is():
    text = FIVE + bandwidth("", size="8M") + bandwidth('{ from = "n2", gbps = 100.0 }', size="8")

    (finding,) = findings("slow-host", text)

    assert finding.severity is Severity.DEGRADES


def test_a_slow_path_is_a_pair_and_no_host_is_left_out():
    text = FIVE + bandwidth('{ between = ["n2", "n4"], gbps = 200.0 }')

    assert named_by(text) == {"slow-pair": [("n2 <-> n4",)]}
    assert findings("slow-pair", text)[0].hosts == ()


def test_a_path_that_is_slow_one_way_is_an_asymmetry_and_nothing_else():
    text = FIVE + bandwidth('{ from = "n2", to = "n4", gbps = 200.0 }')

    assert named_by(text) == {"asymmetry": [("n2 -> n4",)]}
    assert findings("asymmetry", text)[0].hosts == ()


def test_two_hosts_can_only_tell_that_a_direction_is_slow_and_with_less_confidence():
    text = 'hosts = ["n1", "n2"]\n' + bandwidth('{ from = "n1", gbps = 300.0 }')

    assert named_by(text) == {"asymmetry": [("n1 -> n2",)]}
    (finding,) = findings("asymmetry", text)
    assert finding.confidence is Confidence.MEDIUM
    assert finding.facts[0].basis == "the other direction of the same pair"


def test_two_hosts_are_not_compared_by_messages_that_only_load_the_cpu():
    text = 'hosts = ["n1", "n2"]\n' + bandwidth("") + bandwidth('{ from = "n1", gbps = 300.0 }', size="8")

    assert named_by(text) == {}


def test_two_hosts_with_eight_rails_give_one_finding():
    hosts = ", ".join(['"n1"'] * 8 + ['"n2"'] * 8)
    text = f"hosts = [{hosts}]\n" + bandwidth('{ from = "n1", gbps = 300.0 }')

    assert named_by(text) == {"asymmetry": [("n1 -> n2",)]}


def test_a_latency_below_the_floor_is_nobodys_business():
    late = ", ".join(f'{{ between = ["n2", "{other}"], us = 1.4 }}' for other in ("n1", "n3", "n4", "n5"))

    assert named_by(FIVE + latency(late, us=1.0)) == {}


def test_a_host_that_answers_late_degrades_and_never_blocks():
    late = ", ".join(f'{{ between = ["n2", "{other}"], us = 20.0 }}' for other in ("n1", "n3", "n4", "n5"))

    text = FIVE + latency(late)

    (finding,) = findings("slow-host", text)
    assert finding.severity is Severity.DEGRADES
    assert finding.summary == "answers in 20.0 µs where the fleet takes 2.00 µs (latency 8 B)"


def test_a_far_leaf_is_a_gap_and_not_a_dozen_slow_hosts():
    near = [f"a{index}" for index in range(14)]
    far = [f"b{index}" for index in range(6)]
    odd = ", ".join(f'{{ between = ["{a}", "{b}"], us = 3.5 }}' for a in near for b in far)
    text = f"hosts = {near + far}\n".replace("'", '"') + latency(odd)

    assert named_by(text) == {}
    assert "no host is blamed" in " ".join(gap.reason for gap in gaps("slow-host", text))


def test_an_oversubscribed_layer_warns_of_the_fabric_and_is_not_a_list_of_slow_pairs():
    hosts = [f"h{index}" for index in range(8)]
    odd = ", ".join(f'{{ between = ["h{index}", "h{index + 4}"], gbps = 200.0 }}' for index in range(4))
    text = f"hosts = {hosts}\n".replace("'", '"') + bandwidth(odd)

    assert named_by(text) == {"slow-pair": [("fabric",)]}
    (finding,) = findings("slow-pair", text)
    assert finding.severity is Severity.WARNS
    assert finding.summary.startswith(
        "4 of 28 pairs of hosts are slower than the rest at bandwidth 8M, typically by 50 %"
    )


def test_pairs_that_are_far_apart_are_a_gap():
    hosts = [f"h{index}" for index in range(8)]
    odd = ", ".join(f'{{ between = ["h{index}", "h{index + 4}"], us = 3.9 }}' for index in range(4))
    text = f"hosts = {hosts}\n".replace("'", '"') + latency(odd)

    assert named_by(text) == {}
    assert "4 of 28 pairs of hosts are slower than the rest" in gaps("slow-pair", text)[0].reason


def test_what_takes_twice_as_long_is_not_excused_as_distance_however_many_share_it():
    hosts = [f"h{index}" for index in range(24)]
    late = ", ".join(f'{{ between = ["h{a}", "h{b}"], us = 10.0 }}' for a in range(3) for b in range(24) if a != b)
    text = f"hosts = {hosts}\n".replace("'", '"') + latency(late)

    assert named_by(text) == {"slow-host": [("h0",), ("h1",), ("h2",)]}


def test_pairs_that_take_twice_as_long_are_not_excused_as_distance_however_many_share_it():
    hosts = [f"h{index}" for index in range(8)]
    odd = ", ".join(f'{{ between = ["h{index}", "h{index + 4}"], us = 10.0 }}' for index in range(4))
    text = f"hosts = {hosts}\n".replace("'", '"') + latency(odd)

    (finding,) = findings("slow-pair", text)
    assert finding.subjects == ("fabric",)
    assert "latency 8 B, typically 5.0 times the time" in finding.summary


@pytest.mark.parametrize("size", ["8M", "64K"])
def test_three_slow_pairs_of_28_are_a_finding_at_every_size(size):
    hosts = [f"h{index}" for index in range(8)]
    odd = ", ".join(f'{{ between = ["h{index}", "h{index + 4}"], gbps = 120.0 }}' for index in range(3))
    text = f"hosts = {hosts}\n".replace("'", '"') + bandwidth("") + bandwidth(odd, size=size)

    assert named_by(text) == {"slow-pair": [("fabric",)]}


def test_hosts_are_compared_by_what_they_do_within_themselves():
    hosts = '["n1", "n1", "n2", "n2", "n3", "n3", "n4", "n4"]'
    within = '[[pairs]]\nscope = "within-host"\nprobe = "bandwidth"\nsize = "8M"\ngbps = 900.0\n'
    text = f"hosts = {hosts}\n" + bandwidth("") + within + 'odd = [{ from = "n3", gbps = 500.0 }]\n'

    (finding,) = findings("slow-host", text)

    assert finding.hosts == ("n3",)
    assert "within the host" in finding.summary
    assert finding.excluded == ("the network (no byte left the host)",)


def test_a_single_bad_rail_names_its_rank_and_leaves_out_its_host():
    hosts = '["n1", "n1", "n2", "n2", "n3", "n3", "n4", "n4"]'
    evidence = evidence_in(f"hosts = {hosts}\n" + bandwidth(""))
    table = evidence.pairs[0]
    table.p50_ns[table.src == 5] *= 2

    (finding,) = detectors()["slow-link"].detect(evidence, Limits())

    assert finding.subjects == ("n3:5",)
    assert finding.hosts == ("n3",)
    assert "1 of 2 ranks" in finding.summary


def test_hosts_that_met_one_partner_cannot_be_told_apart():
    evidence = evidence_in('hosts = ["n1", "n2", "n3", "n4"]\n' + bandwidth(""))
    table = evidence.pairs[0]
    kept = [row for row, pair in enumerate(zip(table.src, table.dst, strict=True)) if set(pair) in ({0, 1}, {2, 3})]
    columns = {each.name: getattr(table, each.name) for each in fields(table)}
    few = replace(table, **{name: column[kept] for name, column in columns.items() if hasattr(column, "shape")})

    for id in ("slow-host", "slow-link"):
        (gap,) = detectors()[id].detect(replace(evidence, pairs=(few,)), Limits())
        assert "every host met one partner only" in gap.reason


def test_one_host_has_no_peers_and_no_fabric():
    pairs = '[[pairs]]\nscope = "within-host"\nprobe = "bandwidth"\nsize = "8M"\ngbps = 90.0\n'
    text = 'hosts = ["laptop", "laptop"]\n' + pairs

    reasons = {gap.reason for id in PATH_DETECTORS for gap in gaps(id, text)}

    assert reasons == {"all ranks ran on one host, so no fabric was crossed and there are no peers"}


def test_the_retest_takes_two_partners_that_are_good():
    text = FIVE + bandwidth('{ from = "n1", gbps = 280.0 }, { from = "n2", gbps = 280.0 }')

    retests = [finding.retest for finding in findings("slow-link", text)]

    assert retests == [
        "netprobe run bandwidth --hosts n1,n3,n4 -b 8M -e 8M --all-pairs",
        "netprobe run bandwidth --hosts n2,n3,n4 -b 8M -e 8M --all-pairs",
    ]


def test_nothing_measured_is_a_gap_for_all():
    for id in (*PATH_DETECTORS, "jitter", "straggler"):
        (gap,) = gaps(id, FIVE)
        assert gap.topic == id
