"""``netprobe compare``: two runs side by side."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from netprobe.cli.output import print_drawn, render_options
from netprobe.cli.remembering import run_called
from netprobe.contracts import RenderOptions
from netprobe.errors import PlanError
from netprobe.history.compared import document_of
from netprobe.history.comparing import Change, Comparison, Measured, compare, hosts_of
from netprobe.history.wording import amount
from netprobe.judge.limits import load_limits
from netprobe.model.comparison import Course
from netprobe.model.limits import Limits
from netprobe.model.verdict import ExitCode
from netprobe.reporters._figures import Figures
from netprobe.reporters._wording import ABSENT, counted, fold, short_name, visible
from netprobe.store.encoding import json_document

if TYPE_CHECKING:
    from rich.console import Console

MOST_ROWS: Final = 20
FORMATS: Final = ("console", "json")
NOTE: Final = (
    "q: chance, after the correction for how many were tested; below 0.05, with an effect that is not small, a change "
    "is told. One run each cannot tell what a night does by itself: netprobe history does"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Showing:
    """How a comparison is shown."""

    format: str = FORMATS[0]
    verbose: bool = False


def compare_runs(
    before: str, after: str, runs: Path | None, limits_file: Path | None, *, showing: Showing, fails: bool
) -> int:
    """Print what differs; return 0, or with ``fails`` 1 where anything is worse; 3 where nothing can be compared."""
    if showing.format not in FORMATS:
        raise PlanError(f"there is no format called {showing.format!r} here", remedy=" or ".join(FORMATS))
    limits = Limits() if limits_file is None else load_limits(limits_file)
    first, second = (_measured(run_called(each, runs)) for each in (before, after))
    found = compare(first, second, limits)
    print_drawn(_json(found) if showing.format == "json" else drawn(found, render_options(verbose=showing.verbose)))
    if not found.fleet:
        return ExitCode.INCONCLUSIVE
    return ExitCode.DEGRADED if fails and found.worse else ExitCode.HEALTHY


def _json(found: Comparison) -> str:
    return json_document(document_of(found)).decode("utf-8")


def _measured(run: Path) -> Measured:
    from netprobe.history.measured import measured
    from netprobe.judge.evidence import evidence_of
    from netprobe.store.operations import read_operations
    from netprobe.store.reader import read_run

    told = read_run(run, lists=False)
    directory = told.directory or run
    return measured(told.header, evidence_of(told), None, read_operations(directory))


def drawn(found: Comparison, options: RenderOptions) -> str:
    """Return the text for a terminal, a pipe or a mail."""
    from rich.padding import Padding
    from rich.text import Text

    from netprobe.reporters.console import QUIET, console_for, print_figures, without_trailing_spaces

    console = console_for(options)
    with console.capture() as captured:
        console.print(Text(_headline(found), style="bold"), soft_wrap=True)
        for side, digest in (("before", found.before), ("after", found.after)):
            hosts = counted(len(hosts_of(digest)), "host")
            console.print(
                Text(f"  {side:<7} {visible(digest.run)} · {hosts} · profile {visible(digest.profile)}"), soft_wrap=True
            )
        _differences(console, found, options)
        if found.fleet:
            _fleet(console, found, options)
        if found.single:
            print_figures(console, _single(found, options))
            _more(console, len(found.single), options)
        console.print()
        if found.tested:
            console.print(Padding(Text(_tested(found), style=QUIET), (0, 0, 0, 2)))
        console.print(Padding(Text(NOTE, style=QUIET), (0, 0, 0, 2)))
    return without_trailing_spaces(captured.get())


def _headline(found: Comparison) -> str:
    if not found.fleet:
        return "nothing was measured in both runs: nothing can be compared"
    worse = len(found.worse)
    better = sum(each.course is Course.BETTER for each in (*found.fleet, *found.single))
    told = [f"{count} {word}" for count, word in ((worse, "worse"), (better, "better")) if count]
    return ("the two runs differ: " + ", ".join(told)) if told else "no significant change"


def _tested(found: Comparison) -> str:
    moved = counted(len(found.single), "figure") if found.single else "none"
    return f"single NICs and hosts, beside what all did: {found.tested:,} figures tested, {moved} moved"


def _differences(console: "Console", found: Comparison, options: RenderOptions) -> None:
    from rich.padding import Padding
    from rich.text import Text

    lines = list(_difference_lines(found))
    shown = lines if options.verbose else lines[:MOST_ROWS]
    for line in shown:
        console.print(Padding(Text(line, overflow="fold"), (0, 0, 0, 2)))
    _more(console, len(lines), options)


def _difference_lines(found: Comparison) -> Iterator[str]:
    for name, hosts in (("gone", found.hosts_gone), ("new", found.hosts_new)):
        if hosts:
            yield f"{name:<7} {fold(hosts)}"
    for what, hosts in found.facts:
        yield f"differs {fold(hosts)}: {visible(what)}"
    for what in found.configuration:
        yield f"differs {visible(what)}"
    for side, titles in (("before", found.only_before), ("after", found.only_after)):
        if titles:
            yield f"only {side}: {visible('; '.join(titles))}"


def _more(console: "Console", count: int, options: RenderOptions) -> None:
    if count > MOST_ROWS and not options.verbose:
        console.print(f"  … and {count - MOST_ROWS} more; -v prints all of them")


def _fleet(console: "Console", found: Comparison, options: RenderOptions) -> None:
    """Print what moved, and what is trended; the other sizes where all are wanted."""
    from netprobe.reporters.console import print_figures

    trended = {figure.title for figure in found.after.figures}
    moved = (Course.WORSE, Course.BETTER)
    shown = [each for each in found.fleet if options.verbose or each.course in moved or each.title in trended]
    print_figures(console, _fleet_figures(shown))
    if len(shown) < len(found.fleet):
        console.print(f"  … and {len(found.fleet) - len(shown)} more that did not move; -v prints all of them")


def _fleet_figures(changes: Sequence[Change]) -> Figures:
    return Figures(
        title="all pairs, and collectives",
        columns=("", "before", "after", "change", "95 %", "q", "delta", "samples", "what"),
        words=frozenset({"what", ""}),
        rows=tuple(
            (
                each.course.value,
                amount(each.before, each.unit),
                amount(each.after, each.unit),
                f"{100 * each.ratio:+.1f} %",
                ABSENT if each.interval is None else _interval(each.interval),
                _chance(each.q_value),
                ABSENT if each.delta is None else f"{each.delta:+.2f}",
                f"{each.samples[0]}/{each.samples[1]}",
                visible(each.title),
            )
            for each in changes
        ),
        dispensable=("samples", "95 %", "delta"),
    )


def _interval(interval: tuple[float, float]) -> str:
    low, high = (100 * (each - 1) for each in interval)
    return f"{low:+.1f} to {high:+.1f}"


def _single(found: Comparison, options: RenderOptions) -> Figures:
    shown = found.single if options.verbose else found.single[:MOST_ROWS]
    return Figures(
        title="apart from what all did",
        columns=("who", "expected", "after", "change", "q", "what"),
        words=frozenset({"who", "what"}),
        rows=tuple(_single_cells(each) for each in shown),
    )


def _single_cells(each: Change) -> tuple[str, ...]:
    return (
        short_name(each.subject),
        amount(each.before, each.unit),
        amount(each.after, each.unit),
        f"{100 * each.ratio:+.1f} %",
        _chance(each.q_value),
        visible(each.title),
    )


def _chance(q_value: float | None) -> str:
    if q_value is None:
        return ABSENT
    return "<0.001" if q_value < 0.001 else f"{q_value:.3f}"
