"""``netprobe judge`` and ``netprobe report``: everything that a run directory alone can answer."""

from pathlib import Path

from netprobe.cli.options import Judging
from netprobe.cli.output import print_report
from netprobe.judge.judge import judge
from netprobe.judge.limits import load_limits
from netprobe.model.limits import Limits
from netprobe.model.report import Report
from netprobe.store.reader import read_report, read_run


def judged(directory: Path, limits_file: Path | None) -> Report:
    """Return the report of a run directory under these limits."""
    limits = Limits() if limits_file is None else load_limits(limits_file)
    return judge(read_run(directory), limits)


def judge_again(directory: Path, judging: Judging) -> int:
    """Judge, print, and return the verdict's exit code; the run directory is left as it is."""
    report = judged(directory, judging.limits)
    print_report(report, judging)
    return report.exit_code


def show_report(directory: Path, judging: Judging) -> int:
    """Print the report that was written with the run, or judge a run that was killed before it had one."""
    has_report = (directory / "report.json").is_file()
    report = read_report(directory) if has_report and judging.limits is None else judged(directory, judging.limits)
    print_report(report, judging)
    return report.exit_code
