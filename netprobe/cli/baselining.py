"""``netprobe baseline set``, ``show`` and ``diff``."""

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

from netprobe.cli.looking_back import load
from netprobe.cli.output import print_drawn, render_options
from netprobe.cli.remembering import digest_in, folder_of, run_called
from netprobe.contracts import RenderOptions
from netprobe.errors import PlanError
from netprobe.history.baseline import BaselineDiff, diff
from netprobe.history.comparing import facts_by_host, hosts_of
from netprobe.history.facts import fingerprint
from netprobe.history.wording import amount
from netprobe.judge.limits import load_limits
from netprobe.model.history import FLEET, Baseline, Digest
from netprobe.model.limits import Limits
from netprobe.model.run import RunStatus
from netprobe.model.verdict import ExitCode, Verdict
from netprobe.reporters._figures import Figures
from netprobe.reporters._wording import ABSENT, counted, fold, short_name, visible
from netprobe.store.baselines import baseline_names, read_baseline, set_baseline

if TYPE_CHECKING:
    from rich.console import Console

MOST_ROWS: Final = 20


def set_named(name: str, run: str | None, runs: Path | None, *, replaces: bool, forces: bool) -> int:
    """Make a run a baseline: the newest complete one, where none is named."""
    folder = folder_of(runs)
    digest = digest_in(_newest(folder) if run is None else run_called(run, runs))
    if digest.status is not RunStatus.COMPLETE:
        raise PlanError(f"run {digest.run} did not end as planned ({digest.status})", remedy="a complete run")
    if digest.verdict is not Verdict.HEALTHY and not forces:
        verdict = digest.verdict or "not judged"
        raise PlanError(f"run {digest.run} is {verdict}, and what is held against it would be too", remedy="--force")
    folder.mkdir(parents=True, exist_ok=True)
    file = set_baseline(folder, name, digest, datetime.now(UTC), replaces=replaces)
    print_drawn(f"baseline {name} is run {visible(digest.run)}, {counted(len(digest.figures), 'figure')}: {file}\n")
    return ExitCode.HEALTHY


def _newest(folder: Path) -> Path:
    rows, loaded = load(folder)
    last = loaded.history.last
    if last is None:
        raise PlanError("no run was measured to its end", remedy="netprobe check --profile nightly")
    return rows.directories[loaded.places[last]]


def show(name: str | None, runs: Path | None) -> int:
    """List the baselines, or say what one is of."""
    folder = folder_of(runs)
    names = baseline_names(folder) if name is None else (name,)
    if not names:
        print_drawn(f"there is no baseline in {folder}; netprobe baseline set NAME makes one\n")
        return ExitCode.HEALTHY
    told = [read_baseline(folder, each) for each in names]
    lines = [_line(each) for each in told]
    if name is not None:
        lines += _facts(told[0].digest)
    print_drawn("\n".join(lines) + "\n")
    return ExitCode.HEALTHY


def _line(baseline: Baseline) -> str:
    digest = baseline.digest
    hosts = counted(len(hosts_of(digest)), "host")
    set_at = f"{baseline.set_at.astimezone(UTC):%Y-%m-%d}"
    verdict = digest.verdict or ABSENT
    profile = visible(digest.profile)
    return f"{baseline.name}  run {visible(digest.run)} · {hosts} · {verdict} · profile {profile} · set {set_at}"


def _facts(digest: Digest) -> list[str]:
    """Return the distinct fingerprints with the hosts that have them."""
    hosts: dict[str, list[str]] = {}
    known = facts_by_host(digest)
    for host, facts in known.items():
        hosts.setdefault(fingerprint(facts), []).append(host)
    return [
        f"  {mark}  {fold(own)}: " + visible("; ".join(f"{k} {v}" for k, v in known[own[0]].items()))
        for mark, own in hosts.items()
    ]


def show_diff(
    name: str, run: str | None, runs: Path | None, limits_file: Path | None, *, verbose: bool, fails: bool
) -> int:
    """Print a run against a baseline; return 0, or with ``fails`` 1 where it is worse and 3 where nothing compares."""
    limits = Limits() if limits_file is None else load_limits(limits_file)
    folder = folder_of(runs)
    baseline = read_baseline(folder, name)
    digest = digest_in(_newest(folder) if run is None else run_called(run, runs))
    found = diff(baseline, digest, limits)
    print_drawn(_drawn(found, render_options(verbose=verbose)))
    if not fails:
        return ExitCode.HEALTHY
    if not found.compared:
        return ExitCode.INCONCLUSIVE
    return ExitCode.DEGRADED if found.deviations else ExitCode.HEALTHY


def _drawn(found: BaselineDiff, options: RenderOptions) -> str:
    from rich.text import Text

    from netprobe.reporters.console import console_for, print_figures, without_trailing_spaces

    console = console_for(options)
    with console.capture() as captured:
        console.print(Text(_headline(found), style="bold"), soft_wrap=True)
        _lines(console, found)
        if found.medians:
            print_figures(console, _medians(found))
        if found.deviations:
            print_figures(console, _deviations(found, options))
            if len(found.deviations) > MOST_ROWS and not options.verbose:
                console.print(f"  … and {len(found.deviations) - MOST_ROWS} more; -v prints all of them")
    return without_trailing_spaces(captured.get())


def _headline(found: BaselineDiff) -> str:
    against = f"run {visible(found.digest.run)} against baseline {visible(found.baseline.name)}"
    if not found.compared:
        return f"{against}: nothing can be compared"
    worse = f"{counted(len(found.deviations), 'figure')} worse" if found.deviations else "nothing is worse"
    return f"{against}: {worse}, of {found.compared} compared"


def _lines(console: "Console", found: BaselineDiff) -> None:
    from rich.padding import Padding
    from rich.text import Text

    for what, hosts in found.incomparable:
        text = f"not compared: {fold(hosts)}, {visible(what)}"
        console.print(Padding(Text(text, overflow="fold"), (0, 0, 0, 2)))
    if found.unmeasured:
        console.print(Padding(Text(f"not in this run: {fold(found.unmeasured)}", overflow="fold"), (0, 0, 0, 2)))


def _medians(found: BaselineDiff) -> Figures:
    return Figures(
        title="the median figure, change for the better",
        columns=("what", "figures", "change"),
        words=frozenset({"what"}),
        rows=tuple((visible(title), str(count), f"{100 * change:+.1f} %") for title, count, change in found.medians),
    )


def _deviations(found: BaselineDiff, options: RenderOptions) -> Figures:
    shown = found.deviations if options.verbose else found.deviations[:MOST_ROWS]
    return Figures(
        title="worse than in the baseline",
        columns=("who", "before", "now", "change", "what"),
        words=frozenset({"who", "what"}),
        rows=tuple(
            (
                "all together" if each.figure.subject == FLEET else short_name(each.figure.subject),
                amount(each.before, each.figure.unit),
                amount(each.figure.value, each.figure.unit),
                f"{100 * (each.figure.value / each.before - 1):+.1f} %",
                visible(each.figure.title),
            )
            for each in shown
        ),
    )
