"""The report for a ticket: the same order as on the console, as GitHub-flavoured Markdown."""

import re
from collections.abc import Iterable, Iterator
from typing import Final

from netprobe.contracts import RenderOptions, Reporter
from netprobe.locate.fitness import fitness_of
from netprobe.model.finding import Finding, Gap
from netprobe.model.report import Report
from netprobe.reporters._figures import Figures, figures_of, notes_on
from netprobe.reporters._gpus import COPIES_NOTE, copy_figures, map_figures
from netprobe.reporters._grouping import grouped_findings, grouped_gaps, retests_of, subjects_of, topics_of
from netprobe.reporters._layers import NOTE, layer_figures
from netprobe.reporters._nccl import nccl_lines
from netprobe.reporters._steps import step_figures
from netprobe.reporters._under_load import NOTE as LOAD_NOTE
from netprobe.reporters._under_load import has_load, load_figures
from netprobe.reporters._wording import devices_of, fold, made_by, measured_of, scale_of, visible

_SPECIAL: Final = re.compile(r"([\\`*_\[\]<>|~#])")


def render(report: Report, _options: RenderOptions) -> str:
    """Return the report as Markdown; it holds everything, for a ticket is read by others later."""
    return "\n".join(_lines(report)) + "\n"


def _lines(report: Report) -> Iterator[str]:
    yield f"## {report.verdict}: {', '.join(scale_of(report))}"
    yield ""
    yield f"run {_code(report.run_id)}, started {_text(report.started)}; {_text(', '.join(made_by(report)))}"
    yield ""
    for group in grouped_findings(report.findings):
        yield from _finding(group)
    yield from _gaps("Not told", report.gaps)
    yield from _gaps("Not tested", report.not_tested)
    yield f"**Measured:** {', '.join(measured_of(report))}"
    yield ""
    fitness = fitness_of(report)
    yield f"**Healthy hosts:** {_code(fold(fitness.healthy)) if fitness.healthy else 'none'}"
    if fitness.with_findings:
        yield ""
        yield f"**Usable hosts with findings:** {_code(fold(fitness.with_findings))}"
    if fitness.victims:
        yield ""
        yield f"**Victims of others' faults:** {_code(fold(fitness.victims))}"
    of_gpus = (*map_figures(report), *copy_figures(report, only_slow=False))
    for figures in (
        *layer_figures(report.layers),
        *figures_of(report, samples=True),
        *step_figures(report.steps),
        *of_gpus,
        *load_figures(report.under_load),
    ):
        yield ""
        yield from _figures(figures)
    own = [*([NOTE] if report.layers else []), *([COPIES_NOTE] if any(each.copies for each in report.gpus) else [])]
    own += [LOAD_NOTE] if has_load(report.under_load) else []
    for note in (*own, *notes_on(report), *devices_of(report), *nccl_lines(report.nccl)):
        yield ""
        yield _text(note)


def _finding(group: tuple[Finding, ...]) -> Iterator[str]:
    first = group[0]
    yield f"### {first.severity}: {_text(first.detector)} {_code(fold(subjects_of(group)))}"
    yield ""
    yield f"{_text(first.summary)} (confidence {first.confidence})"
    yield ""
    if first.excluded:
        yield f"- excluded: {_text('; '.join(first.excluded))}"
    if first.next_action:
        yield f"- next: {_text(first.next_action)}"
    yield from (f"- retest: {_code(command)}" for command in retests_of(group))
    facts = [(each, fact) for each in group for fact in each.facts]
    if facts:
        yield ""
        yield from _table(
            ("of", "figure", "observed", "expected", "because"),
            (
                (fold(each.subjects), fact.metric, fact.observed, fact.expected, fact.basis)
                for each, fact in facts
            ),
        )  # fmt: skip
    yield ""


def _gaps(title: str, gaps: tuple[Gap, ...]) -> Iterator[str]:
    if not gaps:
        return
    yield f"### {title}"
    yield ""
    for group in grouped_gaps(gaps):
        first = group[0]
        undermined = "; **without this there is no verdict**" if first.undermines else ""
        remedy = f"; try: {_text(first.remedy)}" if first.remedy else ""
        yield f"- {_text(topics_of(group))}: {_text(first.reason)}{undermined}{remedy}"
    yield ""


def _figures(figures: Figures) -> Iterator[str]:
    yield f"### {_text(figures.title)}"
    yield ""
    yield from _table(figures.columns, figures.rows, words=figures.words)


def _table(
    columns: tuple[str, ...], rows: Iterable[tuple[str, ...]], words: frozenset[str] | None = None
) -> Iterator[str]:
    """Yield a table; columns that are not among ``words`` are set flush right, and none when it is not given."""
    yield _row(columns)
    yield "|" + "|".join(" --- " if words is None or column in words else " ---: " for column in columns) + "|"
    for row in rows:
        yield _row(row)


def _row(cells: Iterable[str]) -> str:
    return "| " + " | ".join(_text(cell.replace("\n", " ")) for cell in cells) + " |"


def _text(text: str) -> str:
    """Return text that Markdown and HTML leave as it is."""
    return _SPECIAL.sub(r"\\\1", visible(text))


def _code(text: str) -> str:
    """Return text in the way of code, to be copied; what would end the code becomes plain text."""
    shown = visible(text)
    return _text(text) if "`" in shown or "|" in shown else f"`{shown}`"


REPORTER = Reporter(id="markdown", title="for tickets: the whole report as Markdown", render=render, suffixes=(".md",))
