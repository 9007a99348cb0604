"""A slow link or a slow host? And what a second pass or a crowded host does to either."""

from dataclasses import fields, replace

import numpy as np
import pytest
from detector_scenario import answers, evidence_in, findings, gaps

from netprobe.locate.passes import SECOND_PASS_ROUND
from netprobe.model.finding import Confidence, Finding, Gap
from netprobe.model.limits import Limits
from netprobe.registry import detectors

FIVE = 'hosts = ["n1", "n2", "n3", "n4", "n5"]\n'
OTHERS = ("n1", "n3", "n4", "n5")


def bandwidth(gbps=1.0, odd="", size="4M", scope="between-hosts"):
    return f'[[pairs]]\nprobe = "bandwidth"\nsize = "{size}"\nscope = "{scope}"\ngbps = {gbps}\nodd = [{odd}]\n'


def latency(us=20.0, n2_us=None, size="8"):
    odd = ", ".join(f'{{ between = ["n2", "{other}"], us = {n2_us} }}' for other in OTHERS) if n2_us else ""
    return f'[[pairs]]\nprobe = "latency"\nsize = "{size}"\nus = {us}\nodd = [{odd}]\n'


def sends(gbps):
    return f'{{ from = "n2", gbps = {gbps} }}'


SLOW = bandwidth(odd=sends(0.37))


def who_says_what(text):
    return [(each.detector, each.subjects) for id in ("slow-host", "slow-link") for each in findings(id, text)]


@pytest.mark.parametrize(("n2_us", "detector"), [(25.9, "slow-link"), (29.0, "slow-host")])
def test_low_bandwidth_is_the_links_until_small_messages_are_late_as_well(n2_us, detector):
    assert who_says_what(FIVE + SLOW + latency(n2_us=n2_us)) == [(detector, ("n2",))]


@pytest.mark.parametrize(("gbps", "detector"), [(0.0191, "slow-link"), (0.0075, "slow-host")])
def test_low_bandwidth_is_the_links_until_fewer_small_messages_are_sent_as_well(gbps, detector):
    text = FIVE + SLOW + bandwidth(0.02, size="8", odd=sends(gbps))

    assert who_says_what(text) == [(detector, ("n2",))]


@pytest.mark.parametrize(("within_gbps", "detector"), [(76.1, "slow-link"), (75.9, "slow-host")])
def test_low_bandwidth_is_the_links_until_the_host_is_slow_within_itself_as_well(within_gbps, detector):
    hosts = 'hosts = ["n1", "n1", "n2", "n2", "n3", "n3", "n4", "n4", "n5", "n5"]\n'
    within = bandwidth(80.0, odd=sends(within_gbps), scope="within-host")

    assert who_says_what(hosts + SLOW + within) == [(detector, ("n2",))]


def test_a_message_that_takes_longer_because_the_link_is_slower_is_not_the_hosts_fault():
    later_us = 8 * 4096 * (1 / 0.37 - 1 / 1.0) / 1000

    by_link = FIVE + SLOW + latency(60.0, n2_us=60.0 + later_us, size="4K")
    by_host = FIVE + SLOW + latency(60.0, n2_us=60.0 + 3 * later_us, size="4K")

    assert who_says_what(by_link) == [("slow-link", ("n2",))]
    assert who_says_what(by_host) == [("slow-host", ("n2",))]
    (finding,) = findings("slow-link", by_link)
    assert "its CPU (small messages are as fast as such a link lets them be)" in finding.excluded


def test_all_sizes_that_the_link_paces_are_its_own():
    text = FIVE + SLOW + bandwidth(0.9, size="64K", odd=sends(0.36)) + latency()

    (finding,) = findings("slow-link", text)

    assert [fact.metric for fact in finding.facts] == ["bandwidth 4M, sends", "bandwidth 64K, sends"]
    assert finding.confidence is Confidence.HIGH


def test_a_medium_size_alone_is_not_a_link():
    text = FIVE + bandwidth() + bandwidth(0.9, size="64K", odd=sends(0.36)) + latency()

    assert who_says_what(text) == [("slow-host", ("n2",))]


def test_a_link_says_which_way_and_what_it_excludes():
    (finding,) = findings("slow-link", FIVE + SLOW + latency())

    assert finding.summary == "sends 63 % below the fleet: 0.37 Gb/s of 1.00 Gb/s (bandwidth 4M)"
    assert "its receive side (normal in the same run)" in finding.excluded
    assert "its CPU (small messages are normal)" in finding.excluded
    assert "not excluded: its memory" in finding.next_action


def test_without_small_messages_the_host_is_not_excluded_and_confidence_is_medium():
    (finding,) = findings("slow-link", FIVE + SLOW)

    assert finding.confidence is Confidence.MEDIUM
    assert "not excluded: its CPU (no small messages were measured)" in finding.next_action


def test_without_bandwidth_there_is_a_gap():
    assert gaps("slow-link", FIVE + latency())[0].reason == "no bandwidth was measured between hosts"


ALL_CROWDED = 'hosts = ["n1", "n1", "n2", "n2", "n3", "n3", "n4", "n4"]\ncpus = { n2 = 1 }\n'


def test_a_crowded_host_is_not_accused_by_its_latency_or_its_small_messages():
    late = '[[pairs]]\nprobe = "latency"\nsize = "8"\nus = 20.0\nodd = [' + ", ".join(
        f'{{ between = ["n2", "{other}"], us = 900.0 }}' for other in ("n1", "n3", "n4")
    )
    text = bandwidth() + bandwidth(0.02, size="8", odd=sends(0.002)) + late + "]\n"
    without = ALL_CROWDED.replace("cpus = { n2 = 1 }\n", "")

    accused = [
        each for id in ("slow-host", "slow-link", "slow-pair", "asymmetry") for each in findings(id, without + text)
    ]
    assert [each.subjects for each in accused] == [("n2",)]
    for id in ("slow-host", "slow-link", "slow-pair", "asymmetry"):
        assert findings(id, ALL_CROWDED + text) == []
    (gap,) = gaps("slow-host", ALL_CROWDED + text)
    assert gap.reason.startswith("on 1 of 4 hosts ranks wait for a CPU (n2)")
    assert all(gaps(id, ALL_CROWDED + text) == [] for id in ("slow-link", "slow-pair", "asymmetry"))


@pytest.mark.parametrize(("quickest_us", "accused"), [(19.0, []), (39.0, []), (300.0, ["n2"])])
def test_a_crowded_host_is_accused_where_even_its_quickest_round_trips_are_long(quickest_us, accused):
    late = ", ".join(
        f'{{ between = ["n2", "{other}"], us = 900.0, min_us = {quickest_us} }}' for other in ("n1", "n3", "n4")
    )
    text = ALL_CROWDED + bandwidth() + f'[[pairs]]\nprobe = "latency"\nsize = "8"\nus = 20.0\nodd = [{late}]\n'

    found = findings("slow-host", text)

    assert [each.hosts[0] for each in found] == accused
    assert all("waiting for a CPU (its quickest round trips are as long)" in each.excluded for each in found)
    assert gaps("slow-host", text)[0].reason.startswith("on 1 of 4 hosts ranks wait for a CPU (n2)")


def test_a_path_of_a_crowded_host_is_not_accused_at_all():
    between = '{ between = ["n2", "n3"], gbps = 0.5 }'

    small = ALL_CROWDED + bandwidth() + bandwidth(0.02, size="8", odd=between.replace("0.5", "0.01"))
    large = ALL_CROWDED + bandwidth(odd=between) + bandwidth(0.02, size="8")

    assert findings("slow-pair", small) == []
    assert findings("slow-pair", large) == []
    quiet = large.replace("cpus = { n2 = 1 }\n", "")
    assert [each.subjects for each in findings("slow-pair", quiet)] == [("n2 <-> n3",)]


def test_a_crowded_hosts_bandwidth_still_counts_and_its_cpu_is_not_excluded():
    (finding,) = findings("slow-link", ALL_CROWDED + SLOW + latency())

    assert finding.confidence is Confidence.MEDIUM
    assert "its CPU (its ranks wait for one)" in finding.next_action


def with_second_pass(text, again):
    """Add rows of a second pass to the first table: (src, dst, gbps)."""
    evidence = evidence_in(text)
    table = evidence.pairs[0]
    src, dst, gbps = (np.array(column) for column in zip(*again, strict=True))
    count = len(again)
    extra = {
        "src": src,
        "dst": dst,
        "round_index": SECOND_PASS_ROUND + np.arange(count),
        "p50_ns": 8 * table.bytes_per_iteration / gbps,
    }
    columns = {each.name: getattr(table, each.name) for each in fields(table)}
    grown = {
        name: np.concatenate([column, extra.get(name, np.resize(column, count))])
        for name, column in columns.items()
        if isinstance(column, np.ndarray)
    }
    return replace(evidence, pairs=(replace(table, **grown), *evidence.pairs[1:]))


def of(id, evidence):
    return list(detectors()[id].detect(evidence, Limits()))


def test_a_second_pass_that_agrees_confirms_and_names_its_partners():
    (finding,) = of("slow-link", with_second_pass(FIVE + SLOW + latency(), [(1, 2, 0.37), (1, 4, 0.37)]))

    assert "a passing disturbance (confirmed in a second pass with n3, n5)" in finding.excluded


def test_a_second_pass_that_does_not_agree_clears_the_host_and_says_that_it_was_unsteady():
    (gap,) = of("slow-link", with_second_pass(FIVE + SLOW + latency(), [(1, 2, 1.0), (1, 4, 1.0)]))

    assert isinstance(gap, Gap)
    assert gap.reason.startswith("n2 was slow for a while (sends ")
    assert "normal in a second pass with n3, n5" in gap.reason


PAIR = FIVE + bandwidth(odd='{ between = ["n2", "n4"], gbps = 0.5 }')


@pytest.mark.parametrize(("again_gbps", "kind"), [(0.5, Finding), (0.99, Gap)])
def test_a_pair_counts_when_it_is_slow_again(again_gbps, kind):
    (answer,) = of("slow-pair", with_second_pass(PAIR, [(1, 3, again_gbps), (3, 1, again_gbps)]))

    assert isinstance(answer, kind)
    assert of("asymmetry", with_second_pass(PAIR, [(1, 3, again_gbps), (3, 1, again_gbps)])) == []


@pytest.mark.parametrize(("again_gbps", "kind"), [(0.5, Finding), (0.99, Gap)])
def test_a_direction_counts_when_it_is_slow_again(again_gbps, kind):
    one_way = FIVE + bandwidth(odd='{ from = "n2", to = "n4", gbps = 0.5 }')

    (answer,) = of("asymmetry", with_second_pass(one_way, [(1, 3, again_gbps), (3, 1, 1.0)]))

    assert isinstance(answer, kind)


def test_a_host_that_stalls_in_one_round_is_not_blamed():
    assert answers("slow-link", FIVE + bandwidth(odd='{ from = "n2", to = "n4", gbps = 0.3 }')) == []


def test_a_role_that_a_second_pass_clears_leaves_no_slow_paths_behind():
    evidence = with_second_pass(FIVE + SLOW + latency(), [(1, 2, 1.0), (1, 4, 1.0)])

    assert of("slow-pair", evidence) == of("asymmetry", evidence) == []
