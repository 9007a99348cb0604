"""What the commands on many runs share: where the runs are, and how one is read, found and digested."""

from pathlib import Path

from netprobe.errors import PlanError, StoreError
from netprobe.model.history import Digest
from netprobe.model.limits import Limits
from netprobe.model.report import Report
from netprobe.model.run import RunStatus
from netprobe.store.files import DIGEST_FILE, REPORT_FILE
from netprobe.store.history import run_directories


def folder_of(runs: Path | None) -> Path:
    """Return the folder of runs."""
    if runs is not None:
        return runs
    from netprobe.cli.measuring import default_runs

    return default_runs()


def made_digest(run: Path) -> Digest:
    """Return the digest of a run directory, made from what it measured; StoreError where that cannot be read.

    Of a run that was cut short only the findings count, so its tables are not read at all.
    """
    from netprobe.history.digests import digest_of
    from netprobe.store.reader import read_header, read_run

    header = read_header(run)
    report = _report_in(run)
    if header.status is not RunStatus.COMPLETE:
        return digest_of(header, None, report)

    from netprobe.judge.evidence import evidence_of
    from netprobe.judge.judge import judge_evidence

    evidence = evidence_of(read_run(run, lists=False))
    return digest_of(header, evidence, report or judge_evidence(header, evidence, Limits()))


def _report_in(run: Path) -> Report | None:
    from netprobe.store.reader import read_report

    if not (run / REPORT_FILE).is_file():
        return None
    try:
        return read_report(run)
    except StoreError:
        return None  # damaged or newer: the run is judged anew


def digest_in(run: Path) -> Digest:
    """Return the digest of a run directory: the one that lies there, else made anew."""
    from netprobe.store.digest import read_digest

    if (run / DIGEST_FILE).is_file():
        try:
            return read_digest(run / DIGEST_FILE)
        except StoreError:
            pass  # made anew
    return made_digest(run)


def run_called(name: str, runs: Path | None) -> Path:
    """Return the run directory that is meant: a path, or the beginning of a run's name in the folder of runs."""
    path = Path(name)
    if path.exists():
        return path
    folder = folder_of(runs)
    if not folder.is_dir():
        raise StoreError(
            f"{name} does not exist", remedy="a run directory, or --runs FOLDER and the beginning of its name"
        )
    found = [each for each in run_directories(folder) if each.name.startswith(name)]
    if len(found) == 1:
        return found[0]
    if not found:
        raise StoreError(f"{name} does not exist, and no run in {folder} is called so", remedy="netprobe history -v")
    raise PlanError(f"{name} is the beginning of {len(found)} runs", remedy=str(found[-1]))
