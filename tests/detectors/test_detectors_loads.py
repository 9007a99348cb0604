"""Load: the fabric, a leaf or a pair is named, never a victim; what drifted or is crowded is not judged."""

from dataclasses import replace

import numpy as np
import pytest
from detector_scenario import evidence_in, findings, gaps

from netprobe.model.evidence import LoadFlows
from netprobe.model.limits import Limits
from netprobe.model.plan import Plan, Scope, Stage
from netprobe.registry import detectors

LEAVES = """
hosts = ["a1", "a2", "a3", "a4", "b1", "b2", "b3", "b4"]
leaves = { leaf1 = ["a1", "a2", "a3", "a4"], leaf2 = ["b1", "b2", "b3", "b4"] }
"""


def loaded(odd, *, first=LEAVES):
    return f"""{first}
[[loaded]]
pairs = [["a1", "a2"], ["a3", "a4"], ["b1", "b2"], ["b3", "b4"], ["b1", "b3"], ["b2", "b4"]]
p99_us = 4.0
loaded_p99_us = 8.0
odd = [{odd}]
"""


def slow(*pairs):
    return ", ".join(f'{{ between = ["{a}", "{b}"], loaded_p99_us = 90.0 }}' for a, b in pairs)


def test_a_leaf_whose_pairs_suffer_and_no_others_is_named():
    (finding,) = findings("congestion", loaded(slow(("a1", "a2"), ("a3", "a4"))))

    assert (finding.subjects, finding.hosts) == (("leaf leaf1",), ())
    assert "2 of 2 pairs of the leaf" in finding.summary


def test_a_single_pair_that_suffers_is_a_warning():
    (finding,) = findings("congestion", loaded(slow(("b1", "b3"))))

    assert (finding.subjects, finding.hosts, finding.severity) == (("b1 <-> b3",), (), "warns")


def test_a_long_tail_that_is_short_in_time_is_nothing():
    few = 'odd = [{ between = ["a1", "a2"], loaded_p99_us = 11.0 }]\n'
    text = f'{LEAVES}[[loaded]]\npairs = [["a1", "a2"]]\np99_us = 1.0\nloaded_p99_us = 2.0\n{few}'

    assert findings("congestion", text) == []  # eleven times, and 20 us more there and back, which is no more than that


def test_hosts_without_a_cpu_for_each_rank_are_not_judged():
    crowded = loaded(slow(("a1", "a2")), first=LEAVES + "cpus = { a1 = 0 }\n").replace("a1 = 0", "a1 = 1")
    crowded = crowded.replace('hosts = ["a1",', 'hosts = ["a1", "a1",')

    assert findings("congestion", crowded) == []
    assert any("wait for a CPU" in gap.reason for gap in gaps("congestion", crowded))


@pytest.mark.parametrize(
    ("id", "probe", "said"),
    [
        ("congestion", "loaded_latency", "loaded_latency takes 4 hosts, and 2 came"),
        ("incast", "incast", "incast takes 3 hosts, and 2 came"),
        ("head-of-line", "victim", "victim takes 5 hosts, and 2 came"),
    ],
)
def test_what_was_asked_for_and_not_measured_is_said_and_what_was_not_asked_for_is_not(id, probe, said):
    evidence = evidence_in('hosts = ["n1", "n2"]')
    stage = Stage(id=probe, probe=probe, scope=Scope.BETWEEN_HOSTS, sizes_bytes=(8,))
    asked = replace(evidence, plan=Plan(profile="p", seed=0, stages=(stage,)))

    assert list(detectors()[id].detect(evidence, Limits())) == []
    assert [gap.reason for gap in detectors()[id].detect(asked, Limits())] == [said]


def incast(to, gbps, fewer=380.0):
    senders = ["b1", "b2", "b3", "b4"]
    one = f'[[incast]]\nto = "{to}"\nsenders = ["b1"]\ngbps = [{fewer}]\n'
    return f'{one}[[incast]]\nto = "{to}"\nsenders = {senders}\ngbps = {gbps}\n'.replace("'", '"')


def test_receivers_that_all_collapse_are_the_fabrics():
    (finding,) = findings("incast", LEAVES + incast("a1", [40.0] * 4) + incast("a2", [50.0] * 4))

    assert (finding.subjects, finding.hosts) == (("fabric",), ())


def test_receivers_of_one_leaf_that_collapse_are_the_leafs():
    good = "".join(incast(to, [94.0] * 4).replace("b1", "a1") for to in ("b2", "b3", "b4"))
    good = good.replace('"b2", "b3", "b4"]', '"a2", "a3", "a4"]')

    (finding,) = findings("incast", LEAVES + incast("a1", [40.0] * 4) + incast("a2", [50.0] * 4) + good)

    assert finding.subjects == ("leaf leaf1",)


def test_senders_that_are_starved_are_a_warning_and_not_blamed():
    (finding,) = findings("incast", LEAVES + incast("a1", [180.0, 180.0, 4.0, 4.0]))

    assert (finding.severity, finding.subjects, finding.hosts) == ("warns", ("a1",), ())
    assert "Jain's index 0.52" in finding.summary


def test_a_victim_is_never_named_as_the_culprit():
    text = f'{LEAVES}[[victim]]\nflow = ["b4", "a2"]\nhot = "a1"\nsenders = ["b1", "b2"]\ngbps = [380.0, 90.0, 380.0]\n'

    (finding,) = findings("head-of-line", text)

    assert (finding.subjects, finding.hosts) == (("leaf leaf1",), ())
    assert not {"b4", "a2"} & set(finding.subjects)


PAIRS = f"""{LEAVES}
[[pairs]]
probe = "bidirectional"
size = "8M"
gbps = 760.0
"""


def together(across_gbps):
    ends = [(a, (a + 4) % 8) for a in range(8)] + [(0, 1), (1, 0), (4, 5), (5, 4)]
    rates = [across_gbps(a) if a // 4 != b // 4 else 370.0 for a, b in ends]
    flows = LoadFlows(
        stage="bisection", probe="bisection", scope=Scope.BETWEEN_HOSTS, size_bytes=1 << 20,
        round_index=np.zeros(len(ends), dtype=np.int64), src=np.array([a for a, _ in ends]),
        dst=np.array([b for _, b in ends]), gbps=np.array(rates), p99_ns=np.full(len(ends), np.nan),
        max_ns=np.full(len(ends), 1e6),
    )  # fmt: skip
    evidence = replace(evidence_in(PAIRS), flows_together=(flows,))
    return [each for each in detectors()["oversubscribed"].detect(evidence, Limits()) if hasattr(each, "subjects")]


def test_uplinks_that_are_too_few_for_all_at_once_show_though_pairs_are_fast():
    (finding,) = together(lambda _src: 200.0)

    assert (finding.subjects, finding.severity, finding.hosts) == (("fabric",), "warns", ())
    assert "when all hosts send at once (bisection)" in finding.summary


def test_uplinks_that_carry_all_at_once_are_nothing():
    assert together(lambda _src: 360.0) == []
