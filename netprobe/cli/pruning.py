"""``netprobe history prune``: old runs make room, and what history needs of them stays.

Only files that netprobe writes are removed, and only in run directories; whatever else lies there keeps its directory.
"""

from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from netprobe.cli.options import duration_ns
from netprobe.cli.output import print_drawn
from netprobe.cli.remembering import folder_of, made_digest
from netprobe.errors import PlanError, StoreError
from netprobe.history.nights import history_of
from netprobe.history.retention import Candidate, Keep, Retention, retention, runs_of_open_findings
from netprobe.model.limits import Limits
from netprobe.model.run import RunStatus
from netprobe.model.verdict import ExitCode
from netprobe.reporters._wording import counted, decimal_amount, visible
from netprobe.store.acknowledged import read_acknowledged
from netprobe.store.baselines import baseline_names, read_baseline
from netprobe.store.history import PLACE, Rows, read_rows, run_directories
from netprobe.store.pruning import bytes_of, remove_run
from netprobe.units import NS_PER_S

SHORTEST_S = 86_400.0
MOST_NAMED = 20


def prune_runs(runs: Path | None, keep: str, *, whole: bool, goes_ahead: bool) -> int:
    """Remove old runs, or say which would go; ``whole``: with their digests."""
    keep_s = duration_ns("--keep", keep) / NS_PER_S
    if keep_s < SHORTEST_S:
        raise PlanError(f"--keep {keep}: a run of the last day may still be going on", remedy="--keep 90d")
    folder = folder_of(runs)
    rows = read_rows(run_directories(folder), made_digest)
    wanted = retention(
        _candidates(rows),
        before=datetime.now(UTC) - timedelta(seconds=keep_s),
        baselines=[read_baseline(folder, name).digest.run for name in baseline_names(folder)],
        open_runs=_open_runs(rows, folder),
    )
    # Runs that were pruned before have nothing left to go.
    goes = tuple(each for each in wanted.goes if bytes_of(each.directory, whole=whole or each.never_ended))
    wanted = replace(wanted, goes=goes)
    remove = remove_run if goes_ahead else bytes_of
    freed = sum(remove(each.directory, whole=whole or each.never_ended) for each in goes)
    print_drawn(_told(wanted, len(rows.skipped), freed, whole=whole, is_done=goes_ahead))
    return ExitCode.HEALTHY


def _candidates(rows: Rows) -> list[Candidate]:
    return [
        Candidate(
            directory=rows.directories[row[PLACE]],
            run=row["run"],
            started=row["started"],
            never_ended=row["status"] == RunStatus.RUNNING,
        )
        for row in rows.runs.iter_rows(named=True)
    ]


def _open_runs(rows: Rows, folder: Path) -> set[str]:
    """Return the runs that open findings of any profile rest on."""
    acknowledged = read_acknowledged(folder)
    found: set[str] = set()
    for profile in sorted(set(rows.runs["profile"])):
        try:
            history = history_of(rows, profile=profile, acknowledged=acknowledged).history
        except StoreError:
            continue  # none of it is left
        found |= runs_of_open_findings(history, Limits())
    return found


def _told(wanted: Retention, skipped: int, freed: int, *, whole: bool, is_done: bool) -> str:
    verb = "removed" if is_done else "would remove"
    what = "with their digests" if whole else "but their digests and reports"
    lines = [f"{verb} {counted(len(wanted.goes), 'run')} {what}: {decimal_amount(float(freed), 'B')}"]
    lines += [f"  {visible(str(each.directory))}" for each in wanted.goes[:MOST_NAMED]]
    if len(wanted.goes) > MOST_NAMED:
        lines.append(f"  … and {len(wanted.goes) - MOST_NAMED} more, to {visible(wanted.goes[-1].run)}")
    for reason, count in Counter(reason for _, reason in wanted.stays).items():
        lines.append(f"{'stays' if count == 1 else 'stay'}  {counted(count, 'run')}: {reason}")
    if skipped:
        lines.append(f"stay  {counted(skipped, 'directory').replace('directorys', 'directories')}: {Keep.UNREADABLE}")
    if wanted.goes and not is_done:
        lines.append("nothing was removed yet; --yes does it")
    return "\n".join(lines) + "\n"
