"""From a history to a report, as every reporter can show it.

Pure: the same history and limits give the same report.
"""

from collections.abc import Iterable
from datetime import UTC

from netprobe import __version__
from netprobe.judge.order import merged, worst_first
from netprobe.model.evidence import Coverage
from netprobe.model.finding import Confidence, Finding, Gap, Severity
from netprobe.model.history import History
from netprobe.model.limits import Limits
from netprobe.model.report import REPORT_FORMAT, Report
from netprobe.model.run import HISTORY, Launch, RunStatus
from netprobe.model.verdict import Verdict
from netprobe.registry import history_detectors


def findings_of(history: History, limits: Limits) -> tuple[tuple[Finding, ...], tuple[Gap, ...]]:
    """Return what all detectors on histories say, the worst first."""
    answers = [answer for each in history_detectors().values() for answer in each.detect(history, limits)]
    findings = sorted((each for each in answers if isinstance(each, Finding)), key=worst_first)
    gaps = merged([*history.gaps, *(each for each in answers if isinstance(each, Gap))])
    return tuple(findings), tuple(gaps)


def verdict_of(findings: Iterable[Finding], gaps: Iterable[Gap]) -> Verdict:
    """Return the verdict on a history: as on a run, what is unknown outranks all but a fault that is sure."""
    told = tuple(findings)
    blocks = [finding for finding in told if finding.severity is Severity.BLOCKS]
    if any(finding.confidence is Confidence.HIGH for finding in blocks):
        return Verdict.FAULTY
    if any(gap.undermines for gap in gaps):
        return Verdict.INCONCLUSIVE
    if blocks:
        return Verdict.FAULTY
    return Verdict.DEGRADED if told else Verdict.HEALTHY


def judge_history(history: History, limits: Limits) -> Report:
    """Return the report on a history: of its newest night, with nights in place of stages."""
    findings, gaps = findings_of(history, limits)
    verdict = verdict_of(findings, gaps)
    newest = history.nights[-1]
    hosts = _hosts(history)
    left_out = {host for finding in findings for host in (*finding.hosts, *finding.victims)}
    return Report(
        format=REPORT_FORMAT,
        run_id=newest.run,
        netprobe=__version__,
        started=f"{newest.started.astimezone(UTC):%Y-%m-%dT%H:%M:%S.%f}"[:-3] + "Z",
        elapsed_ns=None,
        verdict=verdict,
        exit_code=verdict.exit_code,
        profile=newest.profile,
        transport="",
        launch=Launch(method=HISTORY, argv=(), mpi=""),
        run_status=RunStatus.COMPLETE,
        hosts=hosts,
        ranks=0,
        rank_hosts=(),
        rank_pids=(),
        findings=findings,
        gaps=gaps,
        not_tested=(),
        coverage=_coverage(history, hosts),
        healthy_hosts=() if verdict is Verdict.INCONCLUSIVE else tuple(h for h in hosts if h not in left_out),
        pairs=(),
        groups=(),
        calibration=None,
        clock_error_bound_ns=None,
    )


def _hosts(history: History) -> tuple[str, ...]:
    """Return the hosts of the last complete night."""
    if history.last is None:
        return ()
    present = history.fingerprints[history.last] >= 0
    return tuple(host for host, is_there in zip(history.hosts, present.tolist(), strict=True) if is_there)


def _coverage(history: History, hosts: tuple[str, ...]) -> Coverage:
    return Coverage(
        ranks=0,
        hosts=len(hosts),
        stages_planned=tuple(night.run for night in history.nights),
        stages_finished=tuple(night.run for night in history.nights if night.is_complete),
        pairs_planned=0,
        pairs_measured=0,
        untested_ranks=(),
        bytes_moved=0,
        checked_iterations=0,
    )
