"""The nights of a history on a page: a calendar of verdicts, and the same as a table."""

from calendar import Calendar
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import groupby
from typing import Final

from netprobe.model.history import History, Night
from netprobe.model.verdict import Verdict
from netprobe.reporters._document import MARKS
from netprobe.reporters._wording import ABSENT, short_name

WORST_FIRST: Final = (Verdict.FAULTY, Verdict.INCONCLUSIVE, Verdict.DEGRADED, Verdict.HEALTHY, None)
UNJUDGED: Final = "not judged"


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """A day of a calendar; ``kind`` is the class that colours it."""

    day: str
    """Empty beside the month."""
    mark: str
    kind: str
    said: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Month:
    """A month with its weeks, from Monday on."""

    title: str
    weeks: tuple[tuple[Cell, ...], ...]


def months_of(nights: Sequence[Night]) -> tuple[Month, ...]:
    """Return the months in which there were runs, each day with its verdict: of several runs the worst."""
    by_month = groupby(nights, key=lambda night: (night.started.year, night.started.month))
    return tuple(_month(year, month, list(own)) for (year, month), own in by_month)


def _month(year: int, month: int, nights: Sequence[Night]) -> Month:
    by_day = {day: list(own) for day, own in groupby(nights, key=lambda night: night.started.date())}
    weeks = Calendar().monthdatescalendar(year, month)
    return Month(
        title=f"{year}-{month:02d}",
        weeks=tuple(
            tuple(_cell(day, by_day.get(day, []), is_own=day.month == month) for day in week) for week in weeks
        ),
    )


def _cell(day: date, nights: Sequence[Night], *, is_own: bool) -> Cell:
    if not nights or not is_own:
        return Cell(day=str(day.day) if is_own else "", mark="", kind="none", said="")
    verdict = min((night.verdict for night in nights), key=WORST_FIRST.index)
    several = f", the worst of {len(nights)} runs" if len(nights) > 1 else ""
    return Cell(
        day=str(day.day),
        mark=ABSENT if verdict is None else MARKS[verdict],
        kind="unjudged" if verdict is None else verdict.value.lower(),
        said=f"{day.isoformat()}: {verdict or UNJUDGED}{several}",
    )


def night_rows(history: History, first: int) -> Iterator[tuple[str, ...]]:
    """Yield each night, the newest first: night, verdict, findings, hosts, how it ended, run."""
    found = [0] * len(history.nights)
    for seen in history.seen:
        for place in seen.nights:
            found[place] += 1
    hosts = (history.fingerprints >= 0).sum(axis=1).tolist()
    for index in range(len(history.nights) - 1, first - 1, -1):
        night = history.nights[index]
        yield (
            night.label,
            night.verdict or UNJUDGED,
            str(found[index]),
            str(hosts[index]) if hosts[index] else ABSENT,
            night.status.value,
            short_name(night.run),
        )
