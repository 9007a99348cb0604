from dataclasses import replace

import msgspec
import pytest
from judge_samples import all_pairs, collective, run_of, series
from store_samples import inventory

from netprobe.judge.evidence import evidence_of
from netprobe.judge.explain import explained
from netprobe.judge.judge import judge
from netprobe.judge.verdict import healthy_hosts, verdict_of
from netprobe.model.finding import Confidence, Fact, Finding, Gap, Severity
from netprobe.model.limits import Limits
from netprobe.model.report import Report
from netprobe.model.run import RunStatus
from netprobe.model.series import Metric
from netprobe.model.standing import Benched, Fate
from netprobe.model.verdict import ExitCode, Verdict

UNDERMINING = Gap(topic="x", reason="x", undermines=True)
HARMLESS = Gap(topic="x", reason="x")


def finding(severity, confidence=Confidence.MEDIUM, hosts=()):
    return Finding(detector="d", severity=severity, confidence=confidence, subjects=("s",), hosts=hosts, summary="s")


SURE, UNSURE = finding(Severity.BLOCKS, Confidence.HIGH), finding(Severity.BLOCKS)
COMPLETE = run_of(all_pairs())
KILLED = run_of(all_pairs(), status=RunStatus.RUNNING)
HALF = run_of(all_pairs(), planned={"bandwidth": tuple((a, b) for a in range(4) for b in range(4))})
NOTHING = run_of([])


@pytest.mark.parametrize(
    ("findings", "gaps", "run", "expected"),
    [
        ([], [], COMPLETE, Verdict.HEALTHY),
        ([], [HARMLESS], COMPLETE, Verdict.HEALTHY),
        ([finding(Severity.WARNS)], [], COMPLETE, Verdict.DEGRADED),
        ([finding(Severity.DEGRADES)], [], COMPLETE, Verdict.DEGRADED),
        ([UNSURE, finding(Severity.DEGRADES)], [], COMPLETE, Verdict.FAULTY),
        ([SURE], [], COMPLETE, Verdict.FAULTY),
        ([], [UNDERMINING], COMPLETE, Verdict.INCONCLUSIVE),
        ([UNSURE], [UNDERMINING], COMPLETE, Verdict.INCONCLUSIVE),
        ([SURE], [UNDERMINING], COMPLETE, Verdict.FAULTY),
        ([], [], KILLED, Verdict.INCONCLUSIVE),
        ([finding(Severity.DEGRADES)], [], KILLED, Verdict.INCONCLUSIVE),
        ([SURE], [], KILLED, Verdict.FAULTY),
        ([], [], HALF, Verdict.INCONCLUSIVE),
        ([], [], NOTHING, Verdict.INCONCLUSIVE),
    ],
)
def test_the_verdict_follows_from_findings_gaps_and_coverage(findings, gaps, run, expected):
    assert verdict_of(findings, gaps, evidence_of(run), Limits()) is expected


def test_a_site_may_accept_less_coverage():
    assert verdict_of([], [], evidence_of(HALF), Limits(coverage_ratio=0.7)) is Verdict.HEALTHY


def test_healthy_hosts_were_measured_and_no_finding_leaves_them_out():
    run = run_of([series(0, 1, [5]), series(1, 0, [5])], planned={"bandwidth": ((0, 1), (1, 0), (2, 3))})

    assert healthy_hosts(Verdict.DEGRADED, [finding(Severity.DEGRADES, hosts=("n1",))], evidence_of(run)) == ("n0",)
    assert healthy_hosts(Verdict.INCONCLUSIVE, [], evidence_of(run)) == ()


def test_a_host_that_was_taken_out_on_the_way_is_not_called_healthy():
    aside = Benched(host="n2", fate=Fate.ASIDE, detail="nothing passes between it and n0")
    evidence = replace(evidence_of(COMPLETE), benched=(aside,))

    assert healthy_hosts(Verdict.FAULTY, [], evidence) == ("n0", "n1", "n3")


def loss_and_storm():
    """Return a loss of RDMA that blames n2, and a storm at n1 that explains it."""
    basis = "limit rdma_loss_ratio; counted by the NICs"
    told = replace(
        finding(Severity.DEGRADES, hosts=("n2",)), detector="packet-loss", subjects=("n2 mlx5_0",),
        facts=(Fact(metric="lost", observed="9", expected="0", basis=basis),),
    )  # fmt: skip
    storm = replace(finding(Severity.DEGRADES, hosts=("n1",)), detector="pause-storm", subjects=("n1 mlx5_0",))
    return told, storm


def test_a_victim_of_a_storm_is_no_healthier_than_a_host_that_loses_by_itself():
    loss, storm = loss_and_storm()
    hosts, evidence = ("n0", "n1", "n2", "n3"), evidence_of(COMPLETE)
    (alone,) = explained([loss], hosts)
    (behind,) = explained([loss, storm], hosts)

    assert (alone.hosts, alone.victims) == (("n2",), ())
    assert (behind.hosts, behind.victims) == (("n1",), ("n2",))
    assert healthy_hosts(Verdict.DEGRADED, [alone], evidence) == ("n0", "n1", "n3")
    assert healthy_hosts(Verdict.DEGRADED, [behind], evidence) == ("n0", "n3")
    assert healthy_hosts(Verdict.DEGRADED, [storm], evidence) == ("n0", "n2", "n3")


def test_a_host_that_the_cause_names_itself_is_not_its_own_victim():
    loss, storm = loss_and_storm()
    own = replace(loss, subjects=("n1 mlx5_0",), hosts=("n1",))
    (unblamed,) = explained([own, replace(storm, hosts=())], ("n0", "n1"))

    assert unblamed.detector == "pause-storm"
    assert unblamed.victims == ()


def test_a_complete_clean_run_is_healthy_and_exits_with_zero():
    report = judge(COMPLETE, Limits())

    assert (report.verdict, report.exit_code) == (Verdict.HEALTHY, ExitCode.HEALTHY)
    assert report.healthy_hosts == report.hosts == ("n0", "n1", "n2", "n3")
    assert report.elapsed_ns == 10_500_000_000
    assert report.clock_error_bound_ns == 900.0


def test_settings_that_could_not_be_read_are_told_and_take_nothing_from_what_was_measured():
    hosts = [inventory(f"n{number}") for number in range(4)]
    port = replace(hosts[0].rdma_ports[0], gids=(), traffic_class=104)
    told = [replace(each, rdma_ports=(port,)) for each in hosts[1:]]
    untold = replace(hosts[0], rdma_ports=(replace(port, traffic_class=None),))

    report = judge(replace(COMPLETE, inventories=(untold, *told)), Limits(coverage_ratio=0.0))

    assert report.findings == ()
    assert [each.undermines for each in report.gaps if "traffic class of mlx5_0" in each.reason] == [False]


def test_a_killed_run_is_inconclusive_and_says_why():
    report = judge(KILLED, Limits())

    assert report.exit_code == ExitCode.INCONCLUSIVE
    assert any(gap.topic == "run" and gap.undermines for gap in report.gaps)
    assert report.pairs  # what was measured is reported nevertheless


def test_a_run_without_ranks_is_a_report():
    report = judge(run_of([], hosts=(), outcomes=(), status=RunStatus.FAILED, error="mpiexec died"), Limits())

    assert report.verdict is Verdict.INCONCLUSIVE
    assert report.hosts == report.healthy_hosts == ()
    assert report.clock_error_bound_ns is None


@pytest.mark.parametrize("finished", [None, "yesterday", "2026-01-01T00:00:10"])
def test_times_that_cannot_be_read_are_not_known(finished):
    assert judge(run_of(all_pairs(), finished=finished), Limits()).elapsed_ns is None


def test_a_reason_that_several_detectors_give_is_said_once():
    report = judge(run_of([collective(Metric.OPERATION, 0, [5])], stages=("allreduce",)), Limits())

    reasons = [gap.reason for gap in report.gaps]
    assert len(reasons) == len(set(reasons))
    assert "asymmetry, slow-host, slow-link, slow-pair" in {gap.topic for gap in report.gaps}


def test_the_same_run_gives_the_same_report_and_it_survives_being_written():
    report = judge(COMPLETE, Limits())

    assert judge(COMPLETE, Limits()) == report
    assert msgspec.json.decode(msgspec.json.encode(report), type=Report) == report


def test_blocking_findings_come_first():
    rows = [row for row in all_pairs() if row.src != 1]
    rows += [series(1, b, [600_000] * 200) for b in (0, 2, 3)]
    rows += [series(a, b, [3_000] * 98 + [900_000] * 102, size_bytes=8) for a, b in ((0, 1), (2, 3), (0, 2), (1, 3))]

    severities = [finding.severity for finding in judge(run_of(rows), Limits()).findings]

    assert severities == sorted(severities, key=list(Severity).index)
    assert severities[0] is Severity.BLOCKS


def test_another_limit_changes_the_verdict_of_the_same_run():
    rows = [row for row in all_pairs() if row.src != 1] + [series(1, b, [330_000] * 200) for b in (0, 2, 3)]

    assert judge(run_of(rows), Limits()).verdict is Verdict.DEGRADED
    assert judge(run_of(rows), Limits(host_loss_ratio=0.2)).verdict is Verdict.HEALTHY
    assert judge(run_of(rows), Limits(host_block_ratio=0.05)).verdict is Verdict.FAULTY
