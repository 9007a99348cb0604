"""Tables of a history's page: levels that changed, how findings stand, what became of hosts, what is left out."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from netprobe.history.change_points import ChangePoint, change_points
from netprobe.history.changes import Change, changes_of, changes_of_fleet, changes_of_host
from netprobe.history.levels import fleet_levels_of, levels_of
from netprobe.history.standing import Standing, State, standings
from netprobe.history.wording import amount_at
from netprobe.model.history import FLEET, History, Trend
from netprobe.model.limits import Limits
from netprobe.reporters._wording import ABSENT, counted, fold, short_name
from netprobe.store.history import Skipped

MOST_ROWS: Final = 100
MOST_FOLDED: Final = 128
"""Of hosts that changed alike; more are counted, as their fold would fill the page."""

Row = tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """The rows there is room for, and how many others there are."""

    rows: tuple[Row, ...]
    left_out: int


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Wanted:
    """Which part of a history tables are of."""

    history: History
    limits: Limits
    first: int
    trends: Sequence[Trend]
    host: str | None


def change_point_table(wanted: Wanted) -> Table:
    """Return new levels, the fleet's, then the largest losses: since, who, figure, before, then, better or worse."""
    titles = {trend.title for trend in wanted.trends}
    of_fleet = {id(each.trend): each for each in fleet_levels_of(wanted.history, wanted.limits)}
    own = [each for each in levels_of(wanted.history, wanted.limits) if id(each.trend) not in of_fleet]
    found = [
        point
        for levels in (*of_fleet.values(), *own)
        if levels.trend.title in titles
        for point in change_points(levels)
        if point.night >= wanted.first and wanted.host in (None, point.trend.hosts[point.column])
    ]
    found.sort(key=lambda each: (each.subject != FLEET, each.log_change))
    return _table([_point_row(each, wanted.history) for each in found[:MOST_ROWS]], len(found))


def _point_row(point: ChangePoint, history: History) -> Row:
    host = point.trend.hosts[point.column]
    changed = changes_of_fleet(history, point.night) if host is None else changes_of_host(history, host, point.night)
    before, now = amount_at(point.log_before, point.trend), amount_at(point.log_now, point.trend)
    return (
        history.nights[point.night].label,
        short_name(point.subject),
        point.trend.title,
        before,
        now,
        "better" if point.log_change > 0 else "worse",
        "; ".join(changed) or ABSENT,
    )


def standing_table(wanted: Wanted) -> Table:
    """Return findings of nights: who, detector, state, since, nights, last, said."""
    found = [
        each
        for each in standings(wanted.history, wanted.limits)
        if wanted.host in (None, each.seen.host, each.seen.subject) and each.seen.nights[-1] >= wanted.first
    ]
    return _table([_standing_row(each, wanted.history) for each in found[:MOST_ROWS]], len(found))


def _standing_row(each: Standing, history: History) -> Row:
    closed = f"closed {each.closed_at:%Y-%m-%d}" if each.closed_at is not None else ""
    state = closed if each.state is State.CLOSED else each.state.value + (f" ({closed})" if closed else "")
    return (
        short_name(each.seen.subject),
        each.seen.detector,
        state,
        history.nights[each.opened].label,
        history.nights[each.seen.nights[-1]].label,
        str(len(each.seen.nights)),
        each.seen.summary,
    )


def change_table(wanted: Wanted) -> Table:
    """Return what became of hosts, the newest first: night, hosts, what."""
    found = [
        each
        for each in changes_of(wanted.history)
        if each.night >= wanted.first and (wanted.host is None or wanted.host in each.hosts)
    ]
    newest = found[::-1][:MOST_ROWS]
    return _table([_change_row(each, wanted.history) for each in newest], len(found))


def _change_row(each: Change, history: History) -> Row:
    hosts = fold(each.hosts) if len(each.hosts) <= MOST_FOLDED else counted(len(each.hosts), "host")
    return history.nights[each.night].label, f"{hosts} ({len(each.hosts)} of {each.of})", "; ".join(each.what)


def skipped_table(skipped: Sequence[Skipped]) -> Table:
    """Return directories that could not be read: name, why."""
    rows = [(short_name(each.directory.name), each.reason) for each in skipped[:MOST_ROWS]]
    return _table(rows, len(skipped))


def _table(rows: Sequence[Row], count: int) -> Table:
    return Table(rows=tuple(rows), left_out=count - len(rows))
