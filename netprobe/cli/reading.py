"""``netprobe judge`` and ``netprobe report``: everything that a run directory alone can answer."""

from dataclasses import replace
from pathlib import Path

from netprobe.cli.options import Judging
from netprobe.cli.output import print_report
from netprobe.cli.streams import tell
from netprobe.errors import StoreError
from netprobe.judge.expectations import load_expectations
from netprobe.judge.judge import judge, judge_evidence
from netprobe.judge.limits import load_limits
from netprobe.model.expectation import Expectation
from netprobe.model.history import Digest
from netprobe.model.limits import Limits
from netprobe.model.report import Report
from netprobe.model.run import RunStatus
from netprobe.store.files import REPORT_FILE
from netprobe.store.reader import read_report, read_run


def judged(directory: Path, judging: Judging) -> Report:
    """Return the report of a run directory under the limits and expectations that were asked for."""
    limits, expectations = bars(judging)
    return judge(read_run(directory, lists=False), limits, expectations)


def judged_and_digested(directory: Path, judging: Judging) -> tuple[Report, Digest]:
    """Return the report of a run directory, and what history keeps of it, from one reading."""
    from netprobe.history.digests import digest_of
    from netprobe.judge.evidence import evidence_of

    limits, expectations = bars(judging)
    run = read_run(directory, lists=False)
    evidence = replace(evidence_of(run), expectations=expectations)
    report = judge_evidence(run.header, evidence, limits)
    return report, digest_of(run.header, evidence if run.header.status is RunStatus.COMPLETE else None, report)


def bars(judging: Judging) -> tuple[Limits, tuple[Expectation, ...]]:
    """Return what a run is held against; PlanError for a file that cannot be read."""
    limits = Limits() if judging.limits is None else load_limits(judging.limits)
    return limits, load_expectations(judging.expectations)


def judge_again(directory: Path, judging: Judging) -> int:
    """Judge, print, and return the verdict's exit code; the run directory is left as it is."""
    report = judged(directory, judging)
    print_report(report, judging, directory)
    return report.exit_code


def show_report(directory: Path, judging: Judging) -> int:
    """Print the report that was written with the run, or judge a run that has none that can be read."""
    as_written = judging.limits is None and judging.expectations is None
    report = _written_report(directory) if as_written else None
    report = report or judged(directory, judging)
    print_report(report, judging, directory)
    return report.exit_code


def _written_report(directory: Path) -> Report | None:
    """Return the report in a run directory; None when the run was killed before it had one, or while it was written."""
    if not (directory / REPORT_FILE).is_file():
        return None
    try:
        return read_report(directory)
    except StoreError as error:
        tell(f"netprobe: judging again, as {error}")
        return None
