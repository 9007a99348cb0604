"""May a job start, and on whom: every kind of finding against every kind of terms."""

from dataclasses import replace
from types import SimpleNamespace

import pytest
from sample_reports import report

from netprobe.judge.admission import Terms, admission
from netprobe.model.finding import Confidence, Finding, Severity
from netprobe.model.verdict import Verdict

HOSTS = ("node01", "node02", "node03", "node04")
ALL, THREE = Terms(), Terms(fewest_hosts=3)
RELAXED = replace(THREE, allows_degraded=True)


def finding(severity, *hosts, detector="slow-link", **changes):
    fields = {"confidence": Confidence.HIGH, "subjects": hosts or ("node01 -> node02",), "summary": "is slow"}
    return Finding(**{**fields, **changes}, detector=detector, severity=severity, hosts=hosts)


def judged(*findings, verdict=Verdict.DEGRADED, untested=(), benched=()):
    """Return a report and as much of the evidence as counts."""
    left_out = {host for each in findings for host in (*each.hosts, *each.victims)} | set(benched)
    tested = [host for number, host in enumerate(HOSTS) if number not in untested]
    healthy = () if verdict is Verdict.INCONCLUSIVE else tuple(host for host in tested if host not in left_out)
    evidence = SimpleNamespace(
        benched=tuple(SimpleNamespace(host=host) for host in benched),
        coverage=SimpleNamespace(untested_ranks=untested),
        ranks=tuple(SimpleNamespace(rank=number, host=host) for number, host in enumerate(HOSTS)),
    )
    return report(HOSTS, verdict=verdict, findings=findings, healthy_hosts=healthy), evidence


def answer(terms, *findings, **changes):
    return admission(*judged(*findings, **changes), terms)


def test_healthy_hosts_may_all_start():
    told = answer(ALL, verdict=Verdict.HEALTHY)

    assert (told.healthy, told.left_out, told.refusal) == (HOSTS, (), None)


def test_by_default_one_culprit_keeps_the_job_from_starting():
    told = answer(ALL, finding(Severity.BLOCKS, "node02"))

    assert told.refusal == "3 of 4 hosts are healthy, and 4 are needed"
    assert told.left_out == ("node02",)


@pytest.mark.parametrize("severity", [Severity.BLOCKS, Severity.DEGRADES])
def test_with_fewer_hosts_needed_it_starts_without_the_culprit(severity):
    told = answer(THREE, finding(severity, "node02"))

    assert (told.healthy, told.refusal) == (("node01", "node03", "node04"), None)


def test_a_degraded_host_is_taken_where_that_is_allowed_and_a_blocked_one_is_not():
    slow, lossy = finding(Severity.DEGRADES, "node02"), finding(Severity.BLOCKS, "node03")

    assert answer(RELAXED, slow, lossy).healthy == ("node01", "node02", "node04")


def test_a_victim_is_not_known_to_be_well():
    lossy = finding(Severity.BLOCKS, "node02", victims=("node03",))

    assert answer(RELAXED, lossy).healthy == ("node01", "node04")
    assert answer(RELAXED, lossy).refusal is not None


def test_what_no_host_can_be_left_out_for_keeps_it_from_starting_whatever_remains():
    path = finding(Severity.BLOCKS, detector="packet-loss")

    assert (
        answer(Terms(fewest_hosts=1, allows_degraded=True), path).refusal == "no host can be left out for packet-loss"
    )


def test_what_only_costs_performance_and_has_no_host_can_be_allowed():
    leaves = finding(Severity.DEGRADES, detector="oversubscribed")

    assert answer(THREE, leaves).refusal == "no host can be left out for oversubscribed"
    assert answer(RELAXED, leaves).refusal is None


def test_a_warning_alone_refuses_nobody():
    assert answer(ALL, finding(Severity.WARNS, detector="counters")).refusal is None


@pytest.mark.parametrize("terms", [ALL, RELAXED])
def test_without_a_verdict_nobody_is_healthy(terms):
    told = answer(terms, verdict=Verdict.INCONCLUSIVE)

    assert (told.healthy, told.left_out) == ((), HOSTS)
    assert told.refusal == "too little is known to call any host healthy"


@pytest.mark.parametrize("terms", [ALL, replace(ALL, allows_degraded=True)])
def test_a_host_that_was_not_tested_is_not_healthy(terms):
    told = answer(terms, verdict=Verdict.HEALTHY, untested=(3,))

    assert told.left_out == ("node04",)
    assert told.refusal is not None


def test_a_host_that_never_came_counts_among_all():
    told = answer(ALL, finding(Severity.BLOCKS, "node09", detector="dead-host"), benched=("node09",))

    assert told.healthy == HOSTS
    assert told.refusal == "4 of 5 hosts are healthy, and 5 are needed"
