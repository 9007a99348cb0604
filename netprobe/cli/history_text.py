"""What ``netprobe history`` prints: open findings first, then what changed, then trends. Names may be hostile."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Final

import numpy as np

from netprobe.contracts import RenderOptions
from netprobe.history.changes import changes_of
from netprobe.history.trend_rows import TrendRow, rows_of, sparkline
from netprobe.history.wording import amount
from netprobe.model.history import FLEET, History, Trend
from netprobe.model.report import Report
from netprobe.reporters._figures import Figures
from netprobe.reporters._wording import ABSENT, counted, fold, short_name, visible

if TYPE_CHECKING:
    from rich.console import Console

WHO: Final = 24
"""Cells of a name; sets that are longer are counted instead."""
SPARK: Final = 24
WIDEST_SPARK: Final = 64
MOST_FOLDED: Final = 128
"""Of NICs, whose sets are long; folding hundreds takes longer than everything else."""
MOST_CHANGES: Final = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """What of a history is shown."""

    trends: Sequence[Trend]
    since: datetime | None
    every: bool
    """Each NIC and host by itself, also where they are alike."""
    host: str | None = None
    """Where only one is."""


def drawn(report: Report, history: History, shown: Shown, options: RenderOptions) -> str:
    """Return the text for a terminal, a pipe or a mail."""
    from netprobe.reporters.console import console_for, print_figures, print_findings, print_gaps
    from netprobe.reporters.console import without_trailing_spaces as trimmed

    first = first_night(history, shown.since)
    named = {subject for finding in report.findings for subject in finding.subjects}
    console = console_for(options)
    with console.capture() as captured:
        _headline(console, report, history)
        print_findings(console, report.findings, options)
        print_gaps(console, "not told", report.gaps)
        _changes(console, history, first, options)
        for figures in tables(history, shown, first, named, options.width):
            print_figures(console, figures)
    return trimmed(captured.get())


def first_night(history: History, since: datetime | None) -> int:
    """Return the first night to show: at least one."""
    if since is None:
        return 0
    early = sum(night.started < since for night in history.nights)
    return min(early, len(history.nights) - 1)


def scale_of_nights(report: Report, history: History) -> tuple[str, ...]:
    """Return what a verdict on many nights is about, in a few words each."""
    nights = history.nights
    return (
        counted(len(nights), "night"),
        counted(len(report.hosts), "host"),
        f"profile {visible(report.profile)}",
        nights[0].label if len(nights) == 1 else f"{nights[0].label} to {nights[-1].label}",
    )


def _headline(console: "Console", report: Report, history: History) -> None:
    from rich.text import Text

    from netprobe.reporters.console import VERDICT_STYLES

    console.print(
        Text.assemble(
            (report.verdict, VERDICT_STYLES[report.verdict]), "  ", " · ".join(scale_of_nights(report, history))
        ),
        soft_wrap=True,
    )
    console.print()


def _changes(console: "Console", history: History, first: int, options: RenderOptions) -> None:
    from rich.padding import Padding
    from rich.text import Text

    told = [each for each in changes_of(history) if each.night >= first]
    shown = told if options.verbose else told[-MOST_CHANGES:]
    for each in shown:
        what = visible("; ".join(each.what))
        line = f"changed {history.nights[each.night].label}  {fold(each.hosts)}: {what}"
        console.print(Padding(Text(line, overflow="fold"), (0, 0, 0, 2)))
    if len(told) > len(shown):
        console.print(f"  … and {len(told) - len(shown)} earlier changes; -v prints all of them")


def tables(history: History, shown: Shown, first: int, named: Collection[str], width: int) -> Iterator[Figures]:
    """Yield a table for each trend that has anything to show."""
    labels = [night.label for night in history.nights[first:]]
    spark = max(SPARK, min(width - 80 + SPARK, WIDEST_SPARK))
    late = [replace(trend, values=trend.values[first:]) for trend in shown.trends]
    late = [trend for trend in late if np.isfinite(trend.values).any()]
    together = [trend for trend in late if trend.subjects == (FLEET,)]
    for trend in late:
        if trend.subjects != (FLEET,):
            rows = rows_of(trend, labels, named, every=shown.every)
            yield _table(trend.title, [(_who(row.subjects), row, trend) for row in rows], spark)
    if together:
        of_all = [
            (visible(trend.title), row, trend)
            for trend in together
            for row in rows_of(trend, labels, named, every=True)
        ]
        yield _table("all together", of_all, spark)


def _table(title: str, rows: Sequence[tuple[str, TrendRow, Trend]], spark: int) -> Figures:
    return Figures(
        title=visible(title),
        columns=("who", "nights", "median", "last", "change"),
        words=frozenset({"who", "nights"}),
        rows=tuple(_cells(who, row, trend, spark) for who, row, trend in rows),
    )


def _cells(who: str, row: TrendRow, trend: Trend, spark: int) -> tuple[str, ...]:
    ratio = row.change_ratio
    return (
        who,
        sparkline(row.values, spark),
        amount(row.median, trend.unit) if np.isfinite(row.median) else ABSENT,
        (f"gone {row.before}" if row.before else ABSENT) if row.last is None else amount(row.last, trend.unit),
        ABSENT if ratio is None else f"{100 * ratio:+.1f} %",
    )


def _who(subjects: tuple[str, ...]) -> str:
    """Return names folded, or counted where the fold is too long for a column."""
    if len(subjects) == 1:
        return short_name(subjects[0])
    folded = fold(subjects) if len(subjects) <= MOST_FOLDED else ""
    return folded if 0 < len(folded) <= WHO else f"{len(subjects)} others alike"
