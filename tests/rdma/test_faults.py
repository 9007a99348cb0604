"""Faults on real RoCE packets: the right subject, cause and direction are named, and nobody else."""

import pytest
from scenarios import SCENARIOS

from netprobe.cli.options import Judging
from netprobe.cli.reading import judged
from netprobe.judge.evidence import evidence_of
from netprobe.model.verdict import ExitCode
from netprobe.store.reader import read_run

BY_NAME = {each.name: each for each in SCENARIOS}
HARMLESS = [each for each in SCENARIOS if not each.before and not each.meanwhile]
HARMFUL = [each for each in SCENARIOS if each.detector is not None]


@pytest.fixture(scope="session")
def run_of(guest_results):
    """The run directory of a scenario, by its name."""
    return lambda scenario: guest_results("70-faults").folder / scenario.name / "run"


def told(report):
    return [(each.detector, each.subjects, each.summary) for each in report.findings]


@pytest.mark.parametrize("scenario", HARMFUL, ids=lambda each: each.name)
def test_a_fault_is_named_where_it_is_and_nowhere_else(run_of, scenario):
    report = judged(run_of(scenario), Judging()).report

    found = [each for each in told(report) if each[:2] not in scenario.besides]
    assert len(found) == 1, told(report)
    [(detector, subjects, summary)] = found
    assert (detector, subjects in scenario.subjects) == (scenario.detector, True), (subjects, summary)
    assert scenario.says in summary
    assert report.exit_code in (ExitCode.DEGRADED, ExitCode.FAULTY)


@pytest.mark.parametrize("scenario", HARMLESS, ids=lambda each: each.name)
def test_where_no_packet_is_lost_nobody_is_named(run_of, scenario):
    report = judged(run_of(scenario), Judging()).report

    assert told(report) == []
    assert report.exit_code is ExitCode.HEALTHY


def test_a_delay_is_named_at_its_host_where_all_ranks_wait_for_a_cpu(run_of):
    report = judged(run_of(BY_NAME["delay"]), Judging()).report

    # Two processors that delay packets of one host let some overtake others.
    found = [each for each in report.findings if each.detector != "out-of-order"]
    assert [(each.detector, each.subjects) for each in found] == [("slow-host", ("h3",))], told(report)
    # By its quickest round trips, or by what a small window then carries: whichever is the clearer.
    assert any(word in found[0].summary for word in ("answers in", "below the fleet"))
    assert all(each.subjects == ("h3 rxe0",) for each in report.findings if each.detector == "out-of-order")


def test_data_was_compared_in_every_series_that_went_well(run_of):
    evidence = evidence_of(read_run(run_of(BY_NAME["clean"])))

    assert evidence.coverage.checked_iterations > 0
    assert evidence.faults == ()
