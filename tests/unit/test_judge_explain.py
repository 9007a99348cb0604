"""One fault is one finding: which symptoms a cause takes in, and which stay on their own."""

from collections.abc import Sequence
from itertools import combinations

import pytest
from judge_samples import all_pairs, run_of, series

from netprobe.judge.explain import explained
from netprobe.judge.judge import judge
from netprobe.model.finding import Confidence, Finding, Severity
from netprobe.model.limits import Limits
from netprobe.model.series import Metric

HOSTS = ("h1", "h2", "h3", "h5", "h2:7b")


def finding(detector, *subjects, hosts=None, severity=Severity.DEGRADES, confidence=Confidence.MEDIUM):
    is_path = any("-" in subject for subject in subjects)
    return Finding(
        detector=detector,
        severity=severity,
        confidence=confidence,
        subjects=subjects,
        hosts=(() if is_path else subjects) if hosts is None else hosts,
        summary=f"{detector} of {' and '.join(subjects)}",
    )


def left(*findings):
    return [(each.detector, each.subjects) for each in explained(findings, HOSTS)]


LOSSY = finding("packet-loss", "h2")
LOSSY_PATH = finding("packet-loss", "h2 -> h5")


@pytest.mark.parametrize("detector", ["jitter", "straggler", "slow-link", "slow-host", "expectation"])
def test_a_symptom_of_the_same_host_is_told_with_its_cause_and_one_of_another_host_is_not(detector):
    assert left(LOSSY, finding(detector, "h2")) == [("packet-loss", ("h2",))]
    assert left(LOSSY, finding(detector, "h3")) == [("packet-loss", ("h2",)), (detector, ("h3",))]


def test_the_cause_tells_what_it_explains():
    (cause,) = explained([LOSSY, finding("jitter", "h2"), finding("slow-pair", "h2 <-> h5")], HOSTS)

    assert cause.summary == "packet-loss of h2; also seen: jitter, slow-pair"
    assert [(fact.metric, fact.observed) for fact in cause.facts] == [
        ("also jitter", "jitter of h2"),
        ("also slow-pair", "h2 <-> h5: slow-pair of h2 <-> h5"),
    ]


def test_a_rank_is_its_hosts():
    assert left(LOSSY, finding("straggler", "h2:7", hosts=("h2",))) == [("packet-loss", ("h2",))]
    assert len(left(LOSSY, finding("straggler", "h2:7b", hosts=("h2:7b",)))) == 2


def test_a_pair_is_explained_by_a_bad_end_and_not_by_a_third_host():
    assert left(LOSSY, finding("jitter", "h2 <-> h5")) == [("packet-loss", ("h2",))]
    assert len(left(LOSSY, finding("jitter", "h3 <-> h5"))) == 2


def test_what_names_other_hosts_as_well_stays():
    assert len(left(LOSSY, finding("jitter", "h2", "h3"))) == 2
    assert len(left(LOSSY, finding("jitter", "h2 <-> h5", "h1 <-> h5"))) == 2


@pytest.mark.parametrize("everybody", ["all pairs", "fabric", "many pairs"])
def test_what_all_have_in_common_is_never_one_hosts_fault(everybody):
    shared = finding("jitter", everybody, hosts=())

    assert len(left(LOSSY, shared)) == 2
    assert len(left(finding("packet-loss", everybody, hosts=()), finding("jitter", "h2"))) == 2


def test_a_path_explains_its_own_pair_alone():
    assert left(LOSSY_PATH, finding("slow-pair", "h2 <-> h5")) == [("packet-loss", ("h2 -> h5",))]
    assert left(LOSSY_PATH, finding("slow-pair", "h5 <-> h2")) == [("packet-loss", ("h2 -> h5",))]
    assert len(left(LOSSY_PATH, finding("slow-pair", "h2 <-> h1"))) == 2
    assert len(left(LOSSY_PATH, finding("slow-link", "h2"))) == 2


def test_a_path_explains_its_own_direction_alone():
    assert left(LOSSY_PATH, finding("asymmetry", "h2 -> h5")) == [("packet-loss", ("h2 -> h5",))]
    assert len(left(LOSSY_PATH, finding("asymmetry", "h5 -> h2"))) == 2


def test_what_is_left_after_the_rates_of_hosts_is_not_explained_by_them():
    assert len(left(finding("slow-link", "h2"), finding("slow-pair", "h2 <-> h5"))) == 2
    assert left(finding("host-noise", "h2"), finding("slow-pair", "h2 <-> h5")) == [("host-noise", ("h2",))]


def test_the_cause_of_the_highest_standing_takes_all():
    chain = [finding(detector, "h2") for detector in ("jitter", "slow-host", "slow-link", "packet-loss")]

    (cause,) = explained(chain, HOSTS)

    assert cause.detector == "packet-loss"
    assert cause.summary.endswith("also seen: jitter, slow-host, slow-link")


def test_nobody_explains_a_cause_of_its_own_standing():
    assert len(left(finding("slow-link", "h2"), finding("slow-link", "h2"))) == 2
    assert len(left(finding("slow-host", "h2"), finding("slow-link", "h3"))) == 2


def test_corruption_stays_beside_every_other_cause():
    assert len(left(finding("corruption", "h2"), LOSSY)) == 2
    assert len(left(finding("corruption", "h2"), finding("slow-link", "h2"))) == 2


def test_the_worse_severity_stays_and_so_does_certainty_about_the_host():
    block = finding("slow-link", "h2", severity=Severity.BLOCKS, confidence=Confidence.HIGH)

    (cause,) = explained([LOSSY, block], HOSTS)

    assert (cause.severity, cause.confidence) == (Severity.BLOCKS, Confidence.HIGH)


@pytest.mark.parametrize(("severity", "count"), [(Severity.WARNS, 1), (Severity.DEGRADES, 2)])
def test_what_only_warns_explains_nothing_worse(severity, count):
    warning = finding("host-noise", "h2", severity=Severity.WARNS)

    assert len(left(warning, finding("jitter", "h2", severity=severity))) == count


def test_findings_without_a_cause_are_left_as_they_are():
    findings = (finding("jitter", "h2"), finding("slow-pair", "h1 <-> h3"))

    assert explained(findings, HOSTS) == findings


def test_a_report_has_one_finding_for_a_slow_link_with_long_tails():
    hosts = tuple(f"n{host}" for host in range(5))
    rows = [row for row in all_pairs(5) if row.src != 1] + [series(1, b, [600_000] * 200) for b in (0, 2, 3, 4)]
    for a, b in combinations(range(5), 2):
        tail_ns = 900_000 if 1 in (a, b) else 3_000
        traits = {"probe": "latency", "metric": Metric.ROUND_TRIP, "size_bytes": 8, "window": 1}
        rows.append(series(a, b, [3_000] * 195 + [tail_ns] * 5, stage="latency", **traits))

    (finding_,) = judge(run_of(rows, hosts=hosts, stages=("bandwidth", "latency")), Limits()).findings

    assert (finding_.detector, finding_.hosts) == ("slow-link", ("n1",))
    assert finding_.summary.endswith("; also seen: jitter")
    assert finding_.facts[-1].metric == "also jitter"


class Counted(Sequence):
    """Findings that count how often one of them is looked at."""

    def __init__(self, findings):
        self._findings = tuple(findings)
        self.looks = 0

    def __len__(self):
        return len(self._findings)

    def __getitem__(self, index):
        self.looks += 1
        return self._findings[index]


@pytest.mark.parametrize(("cause", "symptom"), [("packet-loss", "jitter"), ("link-flap", "packet-loss")])
def test_a_finding_is_held_against_those_of_its_own_host_and_not_against_all(cause, symptom):
    hosts = [f"n{number}" for number in range(300)]
    findings = Counted(finding(detector, host) for detector in (cause, symptom) for host in hosts)

    assert len(explained(findings, hosts)) == len(hosts)

    assert findings.looks < 40 * len(findings)


def test_hosts_that_differ_and_are_not_blamed_do_not_hide_the_one_that_is():
    undecided = finding("link-downgrade", "h1 mlx5_0", "h2 mlx5_0", hosts=())

    assert len(left(undecided, finding("slow-link", "h2"))) == 2
    assert len(left(undecided, finding("slow-link", "h2", hosts=()))) == 1
