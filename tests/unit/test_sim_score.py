"""Reports against the truth: who was found, who was named first, who was blamed for nothing."""

from dataclasses import dataclass, field

import pytest

from netprobe.model.finding import Confidence, Finding, Severity
from netprobe.sim.faults import Injected
from netprobe.sim.score import Closeness, closeness, scored

PORT = Injected(
    fault="F01", kind="lossy-link", culprit="n3 mlx5_1", hosts=("n3",), values={}, detectors=("packet-loss",),
    also=("slow-pair",), aliases=("leaf2 Ethernet3",),
)  # fmt: skip
LEAF = Injected(
    fault="F42", kind="lossy-leaf", culprit="leaf leaf2", hosts=("n3", "n4"), values={}, detectors=("packet-loss",),
    also=(), aliases=("leaf leaf2", "leaf2"),
)  # fmt: skip
ALL = Injected(
    fault="F26",
    kind="no-marking",
    culprit="fabric",
    hosts=("n1", "n3"),
    values={},
    detectors=("ecn-inactive",),
    also=(),
)


@dataclass(frozen=True)
class Told:
    """As much of a report as is looked at."""

    findings: tuple = field(default=())


def finding(*subjects, detector="packet-loss", hosts=()):
    return Finding(
        detector=detector, severity=Severity.BLOCKS, confidence=Confidence.HIGH, subjects=subjects, hosts=hosts,
        summary="",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("subject", "of", "near"),
    [
        ("n3 mlx5_1", PORT, Closeness.NAMES),
        ("n3", PORT, Closeness.NAMES),
        ("n3:5", PORT, Closeness.NAMES),
        ("leaf2 Ethernet3", PORT, Closeness.NAMES),
        ("n1 -> n3", PORT, Closeness.TOUCHES),
        ("n1 <-> n3", PORT, Closeness.TOUCHES),
        ("n1,n2 <-> n3,n4", PORT, Closeness.TOUCHES),
        ("n33", PORT, Closeness.ELSEWHERE),
        ("fabric", PORT, Closeness.ELSEWHERE),
        ("leaf leaf2", LEAF, Closeness.NAMES),
        ("n4 mlx5_0", LEAF, Closeness.TOUCHES),
        ("many pairs", LEAF, Closeness.TOUCHES),
        ("leaf leaf1", LEAF, Closeness.ELSEWHERE),
        ("leaf leaf2 -> spines", LEAF, Closeness.NAMES),
        ("leaf leaf1 -> leaf leaf2", LEAF, Closeness.NAMES),
        ("leaf leaf1 -> spines", LEAF, Closeness.ELSEWHERE),
        ("anything", ALL, Closeness.NAMES),
    ],
)
def test_how_near_a_subject_is(subject, of, near):
    assert closeness(finding(subject), of) is near


def test_a_right_report_scores_in_full():
    night = scored(Told((finding("n3 mlx5_1", hosts=("n3",)),)), [PORT])

    assert [(s.is_found, s.is_first, s.is_right_cause) for s in night.scores] == [(True, True, True)]
    assert (night.right, night.false_alarms, night.victims) == (1, (), ())


def test_a_report_without_findings_finds_nothing():
    [score] = scored(Told(), [PORT]).scores

    assert (score.is_found, score.is_first, score.is_right_cause) == (False, False, False)


def test_who_is_blamed_for_nothing_is_a_victim_and_the_finding_a_false_alarm():
    night = scored(Told((finding("n1", hosts=("n1",)), finding("n3 mlx5_1", hosts=("n3",)))), [PORT])

    assert night.victims == ("n1",)
    assert night.false_alarms == ("packet-loss: n1",)
    assert not night.scores[0].is_first


def test_a_symptom_leads_there_but_is_not_the_cause():
    [score] = scored(Told((finding("n1 -> n3", detector="slow-pair"),)), [PORT]).scores

    assert (score.is_found, score.is_first, score.is_right_cause) == (True, False, False)


def test_hosts_behind_a_leaf_may_be_left_out_with_it_but_not_on_their_own():
    with_leaf = scored(Told((finding("leaf leaf2", hosts=("n3", "n4")),)), [LEAF])
    alone = scored(Told((finding("n4 mlx5_0", hosts=("n4",)),)), [LEAF])

    assert with_leaf.victims == ()
    assert alone.victims == ("n4",)


def test_nobody_may_be_blamed_for_the_fabric():
    night = scored(Told((finding("n1", detector="ecn-inactive", hosts=("n1",)),)), [ALL])

    assert night.victims == ("n1",)
    assert not night.scores[0].is_found
