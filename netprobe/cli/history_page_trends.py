"""Trends on a page: the fleet's median by night in the band of the nights before, who leaves it, and all as a table."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from netprobe.history.bands import band_of
from netprobe.history.changes import changes_of
from netprobe.history.trend_rows import ALIKE_RATIO, condensed, rows_of, standing_out
from netprobe.history.wording import amount
from netprobe.model.history import FLEET, FloatArray, History, Trend
from netprobe.model.limits import Limits
from netprobe.reporters._page_charts import Chart, chart_of, round_ticks
from netprobe.reporters._svg import Band, Behind, Line, Scale, curve
from netprobe.reporters._wording import ABSENT, counted, short_name, visible
from netprobe.stats.trends import middle

MOST_LINES: Final = 5
"""Of single subjects in a drawing, beside that of the fleet."""
MOST_ROWS: Final = 24
MOST_TICKS: Final = 8
MOST_MARKS: Final = 5
LONGEST_MARK: Final = 24
CURVE_POINTS: Final = 96
S_PER_DAY: Final = 86_400


@dataclass(frozen=True, slots=True, kw_only=True)
class TrendSection:
    """One figure over the nights."""

    name: str
    """Of its drawing."""
    title: str
    chart: Chart
    rows: tuple[tuple[str, ...], ...]
    """Who, a curve (SVG), usual, median, last, change."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Stretch:
    """The nights that are shown, and what trends are drawn with."""

    history: History
    first: int
    limits: Limits
    named: Collection[str]
    """Whom findings name."""
    every: bool
    """Each subject by itself, also where they are alike."""

    @property
    def labels(self) -> tuple[str, ...]:
        """Of each night that is shown."""
        return tuple(night.label for night in self.history.nights[self.first :])

    @property
    def days(self) -> tuple[float, ...]:
        """When each of them began, counted from the first."""
        shown = self.history.nights[self.first :]
        return tuple(round((each.started - shown[0].started).total_seconds() / S_PER_DAY, 2) for each in shown)


def trend_sections(trends: Sequence[Trend], stretch: Stretch) -> Iterator[TrendSection]:
    """Yield a section for each trend that has anything to show; ``trends`` may be of one host alone."""
    fleets = {trend.title: trend for trend in stretch.history.trends}
    for index, trend in enumerate(trends):
        if np.isfinite(trend.values[stretch.first :]).any():
            yield _section(f"trend-{index}", trend, fleets[trend.title], stretch)


def _section(name: str, trend: Trend, fleet: Trend, stretch: Stretch) -> TrendSection:
    late = replace(trend, values=trend.values[stretch.first :])
    own = () if trend.subjects == (FLEET,) else _own_columns(late, stretch)
    whose = FLEET if fleet.subjects == (FLEET,) else f"median of {len(fleet.subjects):,}"
    together = middle(fleet.values.T)
    return TrendSection(
        name=name,
        title=visible(trend.title),
        chart=_chart(late, own[:MOST_LINES], (whose, together), stretch),
        rows=(
            _cells(whose, together, trend, stretch),
            *(_cells(who, values, trend, stretch) for who, values in _own_rows(trend, late, stretch)),
        ),
    )


def _own_columns(late: Trend, stretch: Stretch) -> tuple[int, ...]:
    """Return whose curves are drawn: the worst first, of one host its others as well."""
    others = range(len(late.subjects)) if stretch.every else ()
    return tuple(dict.fromkeys((*standing_out(late, stretch.named), *others)))


def _own_rows(trend: Trend, late: Trend, stretch: Stretch) -> Iterator[tuple[str, FloatArray]]:
    """Yield names, with their values of all nights: single subjects, then all others as one."""
    if trend.subjects == (FLEET,):
        return
    every = stretch.every and len(trend.subjects) <= MOST_ROWS
    place = {subject: column for column, subject in enumerate(trend.subjects)}
    for row in rows_of(late, stretch.labels, stretch.named, every=every, most=MOST_ROWS):
        if len(row.subjects) < len(trend.subjects) or every:  # else it is the fleet once more
            who = short_name(row.subjects[0]) if len(row.subjects) == 1 else f"{len(row.subjects):,} others"
            yield who, middle(trend.values[:, [place[each] for each in row.subjects]].T)


def _cells(who: str, values: FloatArray, trend: Trend, stretch: Stretch) -> tuple[str, ...]:
    late = values[stretch.first :]
    known = late[np.isfinite(late)]
    median = float(np.median(known)) if len(known) else np.nan
    last = float(late[-1])
    change = f"{100 * (last / median - 1):+.1f} %" if np.isfinite(last) and median > 0 else ABSENT
    return (
        who,
        curve(condensed(late, CURVE_POINTS).tolist(), reach_ratio=ALIKE_RATIO),
        _usual(values, trend, stretch.limits),
        amount(median, trend.unit) if len(known) else ABSENT,
        amount(last, trend.unit) if np.isfinite(last) else _gone(late, stretch),
        change,
    )


def _usual(values: FloatArray, trend: Trend, limits: Limits) -> str:
    band = band_of(values, trend, limits)
    if band is None or not np.isfinite(band.low[-1]):
        return ABSENT
    return f"{amount(float(band.low[-1]), trend.unit)} to {amount(float(band.high[-1]), trend.unit)}"


def _gone(late: FloatArray, stretch: Stretch) -> str:
    known = np.flatnonzero(np.isfinite(late))
    return f"none; last {stretch.labels[known[-1]]}" if len(known) else ABSENT


def _chart(late: Trend, own: Sequence[int], fleet: tuple[str, FloatArray], stretch: Stretch) -> Chart:
    days, first = stretch.days, stretch.first
    whose, together = fleet
    lines = (
        Line(name=whose, x=days, y=_told(together[first:])),
        *(Line(name=short_name(late.subjects[each]), x=days, y=_told(late.values[:, each])) for each in own),
    )
    band = band_of(together, late, stretch.limits)
    drawn = None
    if band is not None and np.isfinite(band.low[first:]).any():
        name = f"usual for the {whose}, by the {stretch.limits.own_nights:g} nights before"
        drawn = Band(name=name, x=days, low=_told(band.low[first:]), high=_told(band.high[first:]))
    ends = [] if drawn is None else [*drawn.low, *drawn.high]
    known = [value for value in (*ends, *(y for line in lines for y in line.y)) if np.isfinite(value)]
    across = Scale(title="night (UTC)", ticks=_dates(stretch), is_log=False)
    ticks = tuple((tick, amount(tick, late.unit) if tick else "0") for tick in round_ticks(min(known), max(known)))
    up = Scale(title=late.unit.value, ticks=ticks, is_log=False)
    behind = Behind(band=drawn, marks=_marks(stretch))
    return replace(chart_of(lines, across, up, f"{visible(late.title)} by night", behind), labels=stretch.labels)


def _told(values: FloatArray) -> tuple[float, ...]:
    """Return values to four digits, which is more than a drawing shows, and makes a page a third smaller."""
    return tuple(float(f"{value:.4g}") for value in values.tolist())


def _dates(stretch: Stretch) -> tuple[tuple[float, str], ...]:
    """Return some of the nights as ticks, the first and the last among them."""
    days, nights = stretch.days, stretch.history.nights[stretch.first :]
    chosen = sorted({round(at) for at in np.linspace(0, len(days) - 1, min(MOST_TICKS, len(days)))})
    return tuple((days[at], f"{nights[at].started:%Y-%m-%d}") for at in chosen)


def _marks(stretch: Stretch) -> tuple[tuple[float, str], ...]:
    """Return when most hosts became others, and in what: the newest ones, for more would hide each other."""
    told: dict[int, list[str]] = {}
    for each in changes_of(stretch.history):
        if each.is_of_fleet and each.night >= stretch.first:
            told.setdefault(each.night, []).extend(what.partition(":")[0] for what in each.what)
    newest = list(told.items())[-MOST_MARKS:]
    return tuple((stretch.days[night - stretch.first], _short(dict.fromkeys(what))) for night, what in newest)


def _short(names: Collection[str]) -> str:
    said = visible(", ".join(names))
    return said if len(said) <= LONGEST_MARK else counted(len(names), "fact")
