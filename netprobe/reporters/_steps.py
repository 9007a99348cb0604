"""Bursts as two small tables: the distribution of steps, and their slowest seconds."""

from collections.abc import Iterable, Iterator
from typing import Final

from netprobe.model.report import SlowStep, StepSummary
from netprobe.reporters._figures import Figures
from netprobe.reporters._wording import ABSENT, counted, duration, message_size, short_name

FEW_SLOWEST: Final = 3
ALL_SLOWEST: Final = 8


def step_figures(rows: Iterable[StepSummary], *, most: int = ALL_SLOWEST) -> tuple[Figures, ...]:
    """Return the tables of each stage of bursts, with so many of its slowest seconds."""
    return tuple(figures for row in rows for figures in _figures(row, most))


def _figures(row: StepSummary, most: int) -> Iterator[Figures]:
    pace = "free-running" if row.is_free_running else f"every {duration(row.period_ns)}"
    when = "meanwhile" if row.overlaps else "all-reduced"
    yield Figures(
        title=f"steps of {counted(row.ranks, 'rank')}: {100 * row.compute_ratio:.0f} % of {duration(row.period_ns)} "
        f"computed, {message_size(row.size_bytes)} {when}, {pace}",
        columns=("seconds", "steps", "typical", "exposed", "p99", "p99.9", "max", "mean"),
        words=frozenset(),
        rows=(
            (
                f"{row.rounds:,}",
                f"{row.steps:,}",
                duration(row.p50_ns),
                _exposed(row),
                duration(row.p99_ns),
                duration(row.p999_ns),
                duration(row.max_ns),
                duration(row.mean_ns),
            ),
        ),
    )
    yield Figures(
        title="their slowest seconds: who came last to the slowest step, who was off CPU",
        columns=("UTC", "second", "slowest", "late by", "off CPU", "came last", "was off"),
        words=frozenset({"UTC", "came last", "was off"}),
        dispensable=("second",),
        rows=tuple(map(_row, row.slowest[:most])),
    )


def _exposed(row: StepSummary) -> str:
    """Return what communication cost beyond computing, and which share of all time that is."""
    if row.exposed_p50_ns is None or row.exposed_ratio is None:
        return ABSENT
    exposed = duration(row.exposed_p50_ns) if row.exposed_p50_ns else "0 ns"
    return f"{exposed} {100 * row.exposed_ratio:.0f} %"


def _row(slow: SlowStep) -> tuple[str, ...]:
    return (
        slow.began.partition("T")[2].rstrip("Z"),
        f"{slow.round_index + 1:,}",
        duration(slow.elapsed_ns),
        duration(slow.late_ns),
        duration(slow.held_ns),
        short_name(slow.late) if slow.late_ns else ABSENT,
        short_name(slow.held) if slow.held_ns else ABSENT,
    )
