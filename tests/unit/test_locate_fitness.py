"""Which hosts the next job can have, for every text, file and gate alike."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sample_reports import SAMPLES, nodes, report

from netprobe.locate.fitness import fitness_of, host_of
from netprobe.model.finding import Confidence, Finding, Severity
from netprobe.model.verdict import Verdict

HOSTS = nodes(1, 2, 3, 4)


def finding(severity, *subjects, hosts=(), victims=()):
    return Finding(
        detector="slow-link",
        severity=severity,
        confidence=Confidence.HIGH,
        subjects=subjects,
        hosts=hosts,
        summary="sends slowly",
        victims=victims,
    )


def judged(*findings, healthy=HOSTS, **changes):
    left_out = {host for each in findings for host in (*each.hosts, *each.victims)}
    return report(HOSTS, findings=findings, healthy_hosts=tuple(h for h in healthy if h not in left_out), **changes)


def test_all_hosts_of_a_clean_run_are_healthy():
    fitness = fitness_of(judged())

    assert fitness.healthy == fitness.usable == HOSTS
    assert fitness.blocked == fitness.degraded == fitness.victims == fitness.untold == fitness.with_findings == ()


def test_only_hosts_that_blocking_findings_blame_are_blocked():
    blocks = finding(Severity.BLOCKS, "node02", hosts=("node02",))
    degrades = finding(Severity.DEGRADES, "node03", hosts=("node03",))

    fitness = fitness_of(judged(degrades, blocks))

    assert (fitness.blocked, fitness.degraded, fitness.healthy) == (("node02",), ("node03",), ("node01", "node04"))


def test_a_host_that_both_kinds_of_findings_blame_is_blocked():
    blame = {"hosts": ("node02",)}

    fitness = fitness_of(judged(finding(Severity.DEGRADES, "node02", **blame), finding(Severity.BLOCKS, "x", **blame)))

    assert (fitness.blocked, fitness.degraded) == (("node02",), ())


def test_a_victim_is_neither_healthy_nor_blocked():
    fitness = fitness_of(judged(finding(Severity.BLOCKS, "node02", hosts=("node02",), victims=("node03",))))

    assert fitness.victims == ("node03",)
    assert fitness.usable == ("node01", "node04")


def test_a_victim_of_one_fault_that_another_finding_blames_is_blocked():
    fitness = fitness_of(
        judged(
            finding(Severity.DEGRADES, "fabric", victims=("node03",)),
            finding(Severity.BLOCKS, "node03", hosts=("node03",)),
        )
    )

    assert (fitness.blocked, fitness.victims) == (("node03",), ())


@pytest.mark.parametrize("subject", ["node02", "node02 mlx5_3", "node02:7"])
def test_a_host_that_a_finding_is_about_is_usable_and_not_healthy(subject):
    fitness = fitness_of(judged(finding(Severity.WARNS, subject)))

    assert (fitness.with_findings, fitness.usable) == (("node02",), (*nodes(1, 3, 4), "node02"))


def test_a_path_that_is_to_blame_is_no_finding_about_its_ends():
    assert fitness_of(judged(finding(Severity.DEGRADES, "node01 -> node02"))).healthy == HOSTS


def test_a_host_that_was_not_measured_is_neither_healthy_nor_blocked():
    fitness = fitness_of(judged(healthy=nodes(1, 2, 3)))

    assert (fitness.untold, fitness.blocked) == (("node04",), ())


def test_without_a_verdict_no_host_is_healthy():
    fitness = fitness_of(judged(verdict=Verdict.INCONCLUSIVE, healthy=()))

    assert (fitness.untold, fitness.usable) == (HOSTS, ())


def test_a_host_that_never_came_is_blocked_when_a_finding_says_so():
    assert fitness_of(judged(finding(Severity.BLOCKS, "gone", hosts=("gone",)))).blocked == ("gone",)


NAMES = st.sampled_from((*HOSTS, "gone"))
FINDINGS = st.lists(
    st.builds(
        lambda severity, subject, hosts, victims: finding(severity, subject, hosts=hosts, victims=victims),
        st.sampled_from(Severity),
        NAMES,
        st.lists(NAMES, max_size=3).map(tuple),
        st.lists(NAMES, max_size=3).map(tuple),
    ),
    max_size=5,
)


@given(findings=FINDINGS, healthy=st.lists(NAMES, unique=True).map(tuple))
def test_every_host_is_in_exactly_one_group(findings, healthy):
    fitness = fitness_of(replace(report(HOSTS), findings=tuple(findings), healthy_hosts=healthy))

    groups = (fitness.usable, fitness.victims, fitness.blocked, fitness.degraded, fitness.untold)
    listed = [host for group in groups for host in group]
    assert len(listed) == len(set(listed))
    assert set(HOSTS) <= set(listed)


@pytest.mark.parametrize("sample", SAMPLES.values())
def test_the_samples_lose_no_host(sample):
    fitness = fitness_of(sample())

    assert {*fitness.usable, *fitness.victims, *fitness.blocked, *fitness.degraded, *fitness.untold} >= {
        *sample().hosts
    }


@pytest.mark.parametrize("subject", ["fabric", "node01 -> node02", "many pairs", "a:b", ":3", ""])
def test_what_is_no_part_of_a_host_belongs_to_none(subject):
    assert host_of(subject) is None
