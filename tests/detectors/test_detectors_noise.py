"""Hosts that interrupt ranks which only compute; and jitter that is none of theirs, with what it looks like."""

import re
from dataclasses import replace

import numpy as np
import pytest
from detector_scenario import answers, evidence_in, findings, gaps

from netprobe.judge.explain import explained
from netprobe.model.evidence import SpikeTable
from netprobe.model.finding import Finding
from netprobe.model.limits import Limits
from netprobe.registry import detectors

HOSTS = """
hosts = ["node1", "node2", "node3", "node4", "node5"]

[[pairs]]
probe = "latency"
size = "8"
us = 2.0
p99_us = 2.2
"""
QUIET = "\n[[noise]]\nlost_ratio = 0.001\n"


def odd_tail(text):
    return HOSTS + f"odd = [{{ {text}, p99_us = 40.0 }}]\n"


@pytest.mark.parametrize(("lost", "is_named"), [(0.0101, True), (0.0099, False)])
def test_a_host_that_interrupts_its_ranks_is_named_from_the_limit_on(lost, is_named):
    found = findings("host-noise", HOSTS + QUIET + f'[[noise]]\non = "node2"\nlost_ratio = {lost}\ncpu = 3\n')

    assert [each.subjects for each in found] == ([("node2",)] if is_named else [])
    if is_named:
        assert "one that only computes loses 1.0 % of the time, the median host 0.1 %" in found[0].summary


def test_detours_that_all_hosts_have_blame_nobody_and_are_told():
    text = HOSTS + "\n[[noise]]\nlost_ratio = 0.3\n"

    assert findings("host-noise", text) == []
    assert "ranks that only computed lost 30 % of the time on all 5 hosts" in gaps("host-noise", text)[-1].reason


def test_the_longest_detour_its_beat_and_what_was_counted_are_evidence():
    noise = QUIET + '[[noise]]\non = "node2"\nlost_ratio = 0.05\nlongest_us = 900.0\nbeat_ms = 1.0\ncpu = 3\n'
    counted = """
[[counters]]
grown = { "process/involuntary_switches" = 1, "interrupts/devices" = 10 }

[[counters]]
on = "node2"
grown = { "interrupts/devices" = 9000 }
"""
    evidence = evidence_in(HOSTS + noise + counted)
    # The scenario's windows are of pairs; the stage without messages is one of them here.
    stage = evidence.counters.stage[0]
    noise = replace(evidence.noise, stage=(stage,) * len(evidence.noise.stage))

    (found,) = [
        each
        for each in detectors()["host-noise"].detect(replace(evidence, noise=noise), Limits())
        if isinstance(each, Finding)
    ]

    told = {fact.metric: fact.observed for fact in found.facts}
    assert told["work alone, rank 1 on CPU 3, longest detour"] == "900 µs"
    assert told["work alone, rank 1 on CPU 3, beat of detours"] == "every 1.00 ms (1000 a second)"
    assert told["work alone, interrupts by devices on its CPUs"] == "9010 a second"
    assert "smp_affinity" in found.next_action


def test_on_one_host_its_ranks_are_compared_with_each_other():
    text = """
hosts = ["node1", "node1", "node1", "node1"]

[[pairs]]
probe = "latency"
size = "8"
scope = "within-host"
us = 1.0

[[noise]]
lost_ratio = 0.002
"""
    evidence = evidence_in(text)
    lost_ns = evidence.noise.lost_ns.copy()
    lost_ns[2] = 0.4 * evidence.noise.total_ns[2]

    found = [
        each
        for each in detectors()["host-noise"].detect(
            replace(evidence, noise=replace(evidence.noise, lost_ns=lost_ns)), Limits()
        )
        if isinstance(each, Finding)
    ]

    assert [each.subjects for each in found] == [("node1:2",)]
    assert found[0].hosts == ()


def test_jitter_of_a_fabric_lists_host_noise_among_what_was_excluded():
    (pair,) = findings("jitter", odd_tail('between = ["node1", "node2"]') + QUIET)
    (host,) = findings("jitter", odd_tail('to = "node5"') + QUIET)

    assert any("host noise (quanta steady" in each for each in (*pair.excluded,))
    assert any("host noise (quanta steady" in each for each in (*host.excluded,))
    assert "NIC, cable and leaf port" in host.next_action


def test_without_quanta_nothing_is_excluded_that_was_not_measured():
    (pair,) = findings("jitter", odd_tail('between = ["node1", "node2"]'))

    assert not any("host noise" in each for each in pair.excluded)


def test_jitter_on_pairs_of_a_noisy_host_is_explained_by_host_noise():
    text = odd_tail('to = "node5"') + QUIET + '[[noise]]\non = "node5"\nlost_ratio = 0.2\n'
    found = [*findings("host-noise", text), *findings("jitter", text)]
    hosts = {"node1", "node2", "node3", "node4", "node5"}

    (told,) = explained(found, hosts)

    assert told.detector == "host-noise"
    assert "also seen: jitter" in told.summary


SHAPE = '\n[[shapes]]\nbetween = ["{}", "{}"]\n{}\n'


def shapes(trait, *pairs, times=2):
    return HOSTS + "".join(SHAPE.format(a, b, trait) for a, b in pairs for _ in range(times))


@pytest.mark.parametrize(("slower_us", "count"), [(5.01, 1), (4.99, 0)])
def test_a_pair_with_two_speeds_is_told_from_the_limit_on(slower_us, count):
    found = findings("jitter", shapes(f"modes_us = [4.0, {slower_us}]", ("node1", "node2")))

    assert len(found) == count
    for each in found:
        assert each.subjects == ("node1 <-> node2",)
        assert "60 % of the iterations take 4.00 µs, 40 % take 5.01 µs" in each.summary


def test_a_host_whose_pairs_have_two_speeds_is_named():
    trait = "modes_us = [4.0, 8.0]"
    evidence = evidence_in(shapes(trait, ("node1", "node2"), ("node1", "node3"), ("node1", "node4"), times=1))
    every = evidence.shapes
    again = tuple(replace(each, probe="bidirectional") for each in every)
    tables = (*evidence.pairs, replace(evidence.pairs[0], probe="bidirectional"))

    found = [
        each
        for each in detectors()["jitter"].detect(replace(evidence, shapes=(*every, *again), pairs=tables), Limits())
        if isinstance(each, Finding)
    ]

    assert [each.hosts for each in found] == [("node1",)]


def test_two_speeds_that_most_pairs_have_are_how_the_fabric_is_built():
    names = [f"node{number}" for number in range(1, 6)]
    every = [(a, b) for a in names for b in names if a < b]

    assert findings("jitter", shapes("modes_us = [4.0, 8.0]", *every, times=1)) == []


@pytest.mark.parametrize(("last_us", "count"), [(4.61, 1), (4.59, 0)])
def test_a_pair_that_slows_down_from_quarter_to_quarter_is_told(last_us, count):
    found = findings("jitter", shapes(f"quarters_us = [4.0, {last_us}]", ("node1", "node2")))

    assert len(found) == count
    assert all("slows down while it is measured: from 4.00 µs" in each.summary for each in found)


def test_one_series_of_a_pair_alone_is_not_enough():
    assert answers("jitter", shapes("modes_us = [4.0, 8.0]", ("node1", "node2"), times=1)) == []


def spikes_every(period_ns):
    """Return spikes of the pair node1, node2 at a beat, in five series of 100 ms."""
    starts = np.arange(5) * 3e8
    at_ns = np.concatenate([start + np.arange(period_ns / 2, 1e8, period_ns)[:8] for start in starts])
    return SpikeTable(
        src=np.zeros(5, dtype=np.int64), dst=np.ones(5, dtype=np.int64), started_ns=starts, ended_ns=starts + 1e8,
        p50_ns=np.full(5, 4000.0), series=np.repeat(np.arange(5), len(at_ns) // 5), at_ns=at_ns,
        elapsed_ns=np.full(len(at_ns), 80_000.0),
    )  # fmt: skip


def test_a_tail_whose_spikes_keep_a_beat_says_so():
    evidence = evidence_in(odd_tail('between = ["node1", "node2"]'))

    (found,) = detectors()["jitter"].detect(replace(evidence, spikes=spikes_every(1e7)), Limits())

    assert re.search(r", every (9\.9\d|10\.0) ms;", found.summary)
    assert found.facts[0].metric == "beat of the spikes"
    assert "look for what runs 100 times a second" in found.next_action
