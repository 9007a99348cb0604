"""``netprobe judge`` and ``netprobe report``: everything that a run directory alone can answer."""

from dataclasses import dataclass
from functools import partial
from pathlib import Path

from netprobe.cli.options import Judging
from netprobe.cli.output import PLAIN_WIDTH, format_of, print_report, refuse_output, rendered, write_page, write_report
from netprobe.cli.streams import tell
from netprobe.contracts import RenderOptions
from netprobe.errors import StoreError
from netprobe.judge.expectations import load_expectations
from netprobe.judge.judge import held_against, judge_evidence
from netprobe.judge.limits import load_limits
from netprobe.model.evidence import Evidence
from netprobe.model.exhibits import Exhibits
from netprobe.model.expectation import Expectation
from netprobe.model.history import Digest
from netprobe.model.limits import Limits
from netprobe.model.report import Report
from netprobe.model.run import RunStatus
from netprobe.store.files import REPORT_FILE
from netprobe.store.reader import Run, read_report, read_run


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Judged:
    """A report, with what it was made from."""

    report: Report
    run: Run
    evidence: Evidence


def judged(directory: Path, judging: Judging) -> Judged:
    """Return the report of a run directory under the limits and expectations that were asked for."""
    limits, expectations = bars(judging)
    run = read_run(directory, lists=False)
    evidence = held_against(run, expectations)
    return Judged(report=judge_evidence(run.header, evidence, limits), run=run, evidence=evidence)


def digested(found: Judged) -> Digest:
    """Return what history keeps of a run; of one that did not end, its verdict alone."""
    from netprobe.history.digests import digest_of

    header = found.run.header
    return digest_of(header, found.evidence if header.status is RunStatus.COMPLETE else None, found.report)


def bars(judging: Judging) -> tuple[Limits, tuple[Expectation, ...]]:
    """Return what a run is held against; PlanError for a file that cannot be read."""
    limits = Limits() if judging.limits is None else load_limits(judging.limits)
    return limits, load_expectations(judging.expectations)


def judge_again(directory: Path, judging: Judging) -> int:
    """Judge, print, and return the verdict's exit code; the run directory is left as it is."""
    refuse_output(judging)
    found = judged(directory, judging)
    exhibiting = partial(exhibited, directory, judging, found)
    print_report(found.report, judging, directory, exhibiting)
    write_page(found.report, judging.html, exhibiting)
    return found.report.exit_code


def show_report(directory: Path, judging: Judging, output: Path | None = None) -> int:
    """Print the report that was written with the run, or judge a run that has none that can be read.

    ``output`` is a file that takes it instead.
    """
    refuse_output(judging, output)
    as_written = judging.limits is None and judging.expectations is None
    report = _written_report(directory) if as_written else None
    found = None
    if report is None:
        found = judged(directory, judging)
        report = found.report
    exhibiting = partial(exhibited, directory, judging, found)
    if output is None:
        print_report(report, judging, directory, exhibiting)
    else:
        options = RenderOptions(width=PLAIN_WIDTH, verbose=judging.verbose)
        write_report(output, rendered(report, format_of(judging, output), options, exhibiting))
    write_page(report, judging.html, exhibiting)
    return report.exit_code


def exhibited(directory: Path, judging: Judging, found: Judged | None) -> Exhibits:
    """Return what can be drawn of a run; of one that was not judged here, after reading it. StoreError."""
    from netprobe.judge.exhibits import exhibits_of
    from netprobe.store.histograms import read_histograms

    limits, expectations = bars(judging)
    run = read_run(directory, lists=False) if found is None else found.run
    evidence = held_against(run, expectations) if found is None else found.evidence
    return exhibits_of(run, evidence, read_histograms(run.directory or directory), limits)


def _written_report(directory: Path) -> Report | None:
    """Return the report in a run directory; None when the run was killed before it had one, or while it was written."""
    if not (directory / REPORT_FILE).is_file():
        return None
    try:
        return read_report(directory)
    except StoreError as error:
        tell(f"netprobe: judging again, as {error}")
        return None
