"""The report that people read: verdict first, then who, why, how sure and what next; figures last.

Names and messages from other machines go through ``visible`` and never through rich's markup.
"""

import re
from collections.abc import Iterable
from io import StringIO
from typing import TYPE_CHECKING, Final, Literal

from netprobe.contracts import RenderOptions, Reporter
from netprobe.locate.fitness import fitness_of
from netprobe.model.finding import Finding, Gap, Severity
from netprobe.model.report import Report
from netprobe.model.verdict import Verdict
from netprobe.reporters._figures import Figures, figures_of, notes_on
from netprobe.reporters._gpus import COPIES_NOTE, copy_figures
from netprobe.reporters._grouping import grouped_findings, grouped_gaps, retests_of, subjects_of, topics_of
from netprobe.reporters._layers import NOTE, layer_figures
from netprobe.reporters._nccl import nccl_lines
from netprobe.reporters._steps import ALL_SLOWEST, FEW_SLOWEST, step_figures
from netprobe.reporters._under_load import NOTE as LOAD_NOTE
from netprobe.reporters._under_load import has_load, load_figures
from netprobe.reporters._wording import (
    devices_of,
    endpoint_of,
    fold,
    gpu_of,
    made_by,
    measured_of,
    scale_of,
    visible,
)

if TYPE_CHECKING:
    from rich.console import Console, JustifyMethod, RenderableType
    from rich.table import Table
    from rich.text import Text

NARROWEST: Final = 40  # below this, columns of words become columns of letters
INDENT: Final = 2
LABEL_WIDTH: Final = len("not tested")
BODY_INDENT: Final = INDENT + LABEL_WIDTH + INDENT
DETAIL_WIDTH: Final = len("excluded: ")
MOST_FINDINGS: Final = 20  # a fleet with more has one cause; the rest is in -v and in report.json
RUN_ID_GAP: Final = 3

VERDICT_STYLES: Final = {
    Verdict.HEALTHY: "bold green",
    Verdict.DEGRADED: "bold yellow",
    Verdict.FAULTY: "bold red",
    Verdict.INCONCLUSIVE: "bold magenta",
}
SEVERITY_STYLES: Final = {Severity.BLOCKS: "bold red", Severity.DEGRADES: "yellow", Severity.WARNS: "cyan"}
QUIET: Final = "dim"


def render(report: Report, options: RenderOptions) -> str:
    """Return the report for a terminal, a pipe or a mail."""
    console = console_for(options)
    with console.capture() as captured:
        _headline(console, report)
        print_findings(console, report.findings, options)
        print_gaps(console, "not told", report.gaps)
        print_gaps(console, "not tested", report.not_tested)
        _measured(console, report)
        _healthy_hosts(console, report)
        slow = copy_figures(report, only_slow=True)
        steps = step_figures(report.steps, most=ALL_SLOWEST if options.verbose else FEW_SLOWEST)
        own = (*layer_figures(report.layers), *figures_of(report, samples=options.verbose), *steps, *slow)
        for figures in (*own, *load_figures(report.under_load)):
            print_figures(console, figures)
        _notes(console, report, options)
    return without_trailing_spaces(captured.get())


def without_trailing_spaces(text: str) -> str:
    """Return a text as a mail or a diff likes it."""
    return re.sub(r" +$", "", text, flags=re.MULTILINE)


def console_for(options: RenderOptions, *, colours: Literal["standard", "256"] = "standard") -> "Console":
    """Return what draws as these options say, and writes nowhere: capture what it prints.

    Words have the 16 colours that a terminal's owner chose; shades of maps take 256.
    """
    from rich.console import Console

    return Console(
        file=StringIO(),
        width=max(options.width, NARROWEST),
        force_terminal=options.color,
        color_system=colours if options.color else None,
        markup=False,
        highlight=False,
        emoji=False,
        legacy_windows=False,
        _environ={},  # the environment's wishes are the caller's business, and already in the options
    )


def _headline(console: "Console", report: Report) -> None:
    from rich.text import Text

    line = Text.assemble((report.verdict, VERDICT_STYLES[report.verdict]), "  ", " · ".join(scale_of(report)))
    run = f"run {visible(report.run_id)}"
    space = console.width - line.cell_len - len(run)
    if space < RUN_ID_GAP:
        console.print(line)
        line, space = Text(), len(report.verdict) + INDENT
    console.print(line.append(" " * space).append(run, style=QUIET), soft_wrap=True)
    console.print()


def _labelled(console: "Console", label: "Text", body: "RenderableType") -> None:
    from rich.padding import Padding
    from rich.table import Table

    grid = Table.grid(padding=(0, INDENT, 0, 0), expand=True)
    grid.add_column(width=LABEL_WIDTH, no_wrap=True)
    grid.add_column(ratio=1)
    grid.add_row(label, body)
    console.print(Padding(grid, (0, 0, 0, INDENT)))


def print_findings(console: "Console", findings: Iterable[Finding], options: RenderOptions) -> None:
    """Print who, what, how sure, what was excluded, what next; alike findings together."""
    groups = grouped_findings(findings)
    shown = groups if options.verbose else groups[:MOST_FINDINGS]
    for group in shown:
        _finding(console, group, verbose=options.verbose)
    if len(groups) > len(shown):
        console.print(f"{' ' * INDENT}… and {len(groups) - len(shown)} more findings; -v prints all of them\n")


def _finding(console: "Console", group: tuple[Finding, ...], *, verbose: bool) -> None:
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    first = group[0]
    title = Table.grid(expand=True, padding=(0, INDENT, 0, 0))
    title.add_column(ratio=1, overflow="fold")
    title.add_column(justify="right", no_wrap=True)
    title.add_row(
        Text.assemble((visible(first.detector), "bold"), "  ", fold(subjects_of(group))),
        Text(f"confidence {first.confidence}", style=QUIET),
    )
    details = (("excluded:", "; ".join(first.excluded)), ("next:", first.next_action))
    body: list[RenderableType] = [title, Text(visible(first.summary)), _details(details)]
    if verbose:
        body += [_facts(each, named=len(group) > 1) for each in group if each.facts]
    _labelled(console, Text(first.severity, style=SEVERITY_STYLES[first.severity]), Group(*body))
    for command in retests_of(group):
        # On one line however long, so that it can be copied.
        label = Text("retest:".ljust(DETAIL_WIDTH), style=QUIET)
        console.print(Text(" " * BODY_INDENT).append_text(label).append(visible(command)), soft_wrap=True)
    console.print()


def _details(details: Iterable[tuple[str, str]]) -> "Table":
    from rich.table import Table
    from rich.text import Text

    grid = Table.grid()
    grid.add_column(width=DETAIL_WIDTH, no_wrap=True)
    grid.add_column(overflow="fold")
    for label, text in details:
        if text:
            grid.add_row(Text(label, style=QUIET), Text(visible(text)))
    return grid


def _facts(finding: Finding, *, named: bool) -> "Table":
    from rich.table import Table
    from rich.text import Text

    grid = Table(box=None, padding=(0, INDENT, 0, 0), pad_edge=False, header_style=QUIET)
    for header in (fold(finding.subjects) if named else "figure", "observed", "expected", "because"):
        grid.add_column(Text(header), overflow="fold")
    for fact in finding.facts:
        grid.add_row(*(Text(visible(cell)) for cell in (fact.metric, fact.observed, fact.expected, fact.basis)))
    return grid


def print_gaps(console: "Console", label: str, gaps: Iterable[Gap]) -> None:
    """Print what could not be told, and why."""
    from rich.text import Text

    for group in grouped_gaps(gaps):
        style = VERDICT_STYLES[Verdict.INCONCLUSIVE] if group[0].undermines else QUIET
        _labelled(console, Text(label, style=style), _gap(group))


def _measured(console: "Console", report: Report) -> None:
    from rich.text import Text

    _labelled(console, Text("measured", style=QUIET), Text(" · ".join(measured_of(report))))


def _gap(group: tuple[Gap, ...]) -> "Text":
    from rich.text import Text

    first = group[0]
    text = Text.assemble((visible(topics_of(group)), "bold"), ": ", visible(first.reason))
    if first.undermines:
        text.append("; without this there is no verdict")
    return text.append(f"; try: {visible(first.remedy)}") if first.remedy else text


def _healthy_hosts(console: "Console", report: Report) -> None:
    from rich.text import Text

    # On one line however long: it is there to be copied, and to be found by grep.
    fitness = fitness_of(report)
    label = Text("healthy hosts: ", style="green" if fitness.healthy else QUIET)
    console.print(Text(" " * INDENT).append_text(label).append(fold(fitness.healthy) or "none"), soft_wrap=True)
    if fitness.with_findings:
        label = Text("usable hosts with findings: ", style=SEVERITY_STYLES[Severity.WARNS])
        console.print(Text(" " * INDENT).append_text(label).append(fold(fitness.with_findings)), soft_wrap=True)
    if fitness.victims:
        label = Text("victims of others' faults: ", style=SEVERITY_STYLES[Severity.WARNS])
        console.print(Text(" " * INDENT).append_text(label).append(fold(fitness.victims)), soft_wrap=True)


def print_figures(console: "Console", figures: Figures) -> None:
    """Print one table, without the columns that have no room."""
    from rich.padding import Padding
    from rich.table import Table
    from rich.text import Text

    console.print()
    console.print(Text(f"{' ' * INDENT}{figures.title}", style="bold"))
    table = Table(box=None, padding=(0, INDENT, 0, 0), pad_edge=False, header_style=QUIET)
    figures, widths = _fitted(figures, console.width - INDENT)
    for name, width in zip(figures.columns, widths, strict=True):
        justify: JustifyMethod = "left" if name in figures.words else "right"
        table.add_column(Text(name), justify=justify, width=width, no_wrap=True, overflow="ellipsis", vertical="bottom")
    for row in figures.rows:
        table.add_row(*(Text(cell) for cell in row))
    console.print(Padding(table, (0, 0, 0, INDENT)))


def _fitted(figures: Figures, room: int) -> tuple[Figures, list[int]]:
    """Return what of a table has room, and each column's width; the last column gets what is left, and may be cut."""
    widths = _widths(figures)
    for column in figures.dispensable:
        if sum(widths) + INDENT * (len(widths) - 1) <= room:
            break
        figures = figures.without(column)
        widths = _widths(figures)
    left = room - sum(widths[:-1]) - INDENT * (len(widths) - 1)
    return figures, [*widths[:-1], max(1, min(widths[-1], left))]


def _widths(figures: Figures) -> list[int]:
    """Return what the cells of each column need."""
    from rich.cells import cell_len

    table = [
        [line for cell in column for line in cell.split("\n")]
        for column in zip(figures.columns, *figures.rows, strict=True)
    ]
    return [max(map(cell_len, column)) for column in table]


def _notes(console: "Console", report: Report, options: RenderOptions) -> None:
    from rich.padding import Padding
    from rich.text import Text

    notes = [*notes_on(report), *devices_of(report), " · ".join(made_by(report))]
    if report.layers:
        notes.insert(0, NOTE)
    if any(each.copies_are_slow for each in report.gpus):
        notes.insert(0, COPIES_NOTE)
    if has_load(report.under_load):
        notes.insert(0, LOAD_NOTE)
    if options.verbose:
        notes += [endpoint_of(each) for each in report.endpoints]
        notes += [gpu_of(each) for each in report.gpus]
        notes += nccl_lines(report.nccl)
        notes.append("launched by: " + visible(" ".join(report.launch.argv)))
    console.print()
    for note in notes:
        console.print(Padding(Text(note, style=QUIET, overflow="fold"), (0, 0, 0, INDENT)))


REPORTER = Reporter(
    id="console",
    title="for people: verdict, culprits, evidence, next action, figures",
    render=render,
    suffixes=(".txt",),
)
