"""From the digests of a folder to the history of one fabric: nights in order of time, and each figure as a trend.

A history is of one profile, since runs of different plans measure different things, and of one set of hosts: of runs
that share less than half of their hosts with the newest one, nobody can say who is missing.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import numpy as np
import polars as pl

from netprobe.errors import StoreError
from netprobe.judge.order import SEVERITIES
from netprobe.model.finding import Gap, Severity
from netprobe.model.history import Acknowledgement, History, IntArray, Kind, Night, Seen, Trend, Unit
from netprobe.model.run import RunStatus
from netprobe.model.verdict import Verdict
from netprobe.store.history import PLACE, Rows

NIGHTLY: Final = "nightly"
SHARED_RATIO: Final = 0.5
MOST_NAMED: Final = 3
BETWEEN: Final = "\x1f"
AFTER: Final = "\x1e"
"""Unit and record separator: no name of a driver or a version has them."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Loaded:
    """A history, and where its nights lie."""

    history: History
    places: tuple[int, ...]
    """Of each night, the index into ``Rows.directories``."""


def history_of(
    rows: Rows,
    *,
    profile: str | None = None,
    acknowledged: Sequence[Acknowledgement] = (),
    until: datetime | None = None,
) -> Loaded:
    """Return the history of the runs of a profile: by default ``nightly``, or that of the newest run.

    StoreError where there is none. ``until``: no run that began later.
    """
    runs, gaps = _distinct(rows.runs.sort("started", "run"))
    if until is not None:
        runs = runs.filter(pl.col("started") <= until)
    if runs.is_empty():
        raise StoreError(
            "there is no run to look back at", remedy="netprobe check --profile nightly, night after night"
        )
    wanted = profile or _usual(runs)
    runs = runs.filter(pl.col("profile") == wanted)
    if runs.is_empty():
        raise StoreError(f"there is no run of profile {wanted!r}", remedy=", ".join(sorted(set(rows.runs["profile"]))))
    facts = rows.others.filter((pl.col("kind") == Kind.FACT.value) & pl.col("host").is_not_null())
    runs, strangers = _of_same_hosts(runs, facts)
    places = runs[PLACE].to_list()
    nights = tuple(_nights(runs))
    hosts, fingerprints, known = _fingerprints(facts, places)
    return Loaded(
        places=tuple(places),
        history=History(
            nights=nights,
            trends=tuple(_trends(rows, places, nights)),
            seen=tuple(_seen(rows.others, places)),
            hosts=hosts,
            fingerprints=fingerprints,
            facts=known,
            acknowledged={(each.detector, each.subject): each.at for each in acknowledged},
            gaps=(*skipped_gaps(rows), *gaps, *strangers, *_cut_short(nights)),
        ),
    )


def _distinct(runs: pl.DataFrame) -> tuple[pl.DataFrame, tuple[Gap, ...]]:
    kept = runs.unique("run", keep="first", maintain_order=True)
    copies = len(runs) - len(kept)
    return kept, (Gap(topic="history", reason=f"{copies} directories hold copies of other runs"),) if copies else ()


def _usual(runs: pl.DataFrame) -> str:
    profiles: list[str] = runs["profile"].to_list()
    return NIGHTLY if NIGHTLY in profiles else profiles[-1]


def _of_same_hosts(runs: pl.DataFrame, facts: pl.DataFrame) -> tuple[pl.DataFrame, tuple[Gap, ...]]:
    """Return the runs that share hosts with the newest one of which hosts are known; others are told."""
    by_place = {place: set(hosts) for place, hosts in facts.group_by(PLACE).agg(pl.col("host").unique()).iter_rows()}
    known = [place for place in runs[PLACE].to_list() if place in by_place]
    if not known:
        return runs, ()
    newest = by_place[known[-1]]
    alien = [p for p in known if len(by_place[p] & newest) < SHARED_RATIO * min(len(by_place[p]), len(newest))]
    if not alien:
        return runs, ()
    reason = f"{len(alien)} runs of other hosts than the newest one's are left out"
    gap = Gap(topic="history", reason=reason, remedy="a folder for each cluster, with --runs")
    return runs.filter(~pl.col(PLACE).is_in(alien)), (gap,)


def _nights(runs: pl.DataFrame) -> Iterator[Night]:
    dates = Counter(row["started"].date() for row in runs.iter_rows(named=True))
    for row in runs.iter_rows(named=True):
        started: datetime = row["started"]
        is_alone = dates[started.date()] == 1
        yield Night(
            run=row["run"],
            started=started,
            status=RunStatus(row["status"]),
            profile=row["profile"],
            verdict=None if row["verdict"] is None else Verdict(row["verdict"]),
            label=f"{started:%Y-%m-%d}" if is_alone else f"{started:%Y-%m-%dT%H:%M}",
        )


def _trends(rows: Rows, places: Sequence[int], nights: Sequence[Night]) -> Iterator[Trend]:
    """Yield the figures of each title as an array; those of nights that were cut short stay out."""
    night_of = np.full(len(rows.directories) + 1, -1, dtype=np.int64)
    for index, (place, night) in enumerate(zip(places, nights, strict=True)):
        night_of[place] = index if night.is_complete else -1
    night = night_of[rows.figures[PLACE].to_numpy()]
    title, titles = _codes(rows.figures["title"])
    subject, subjects = _codes(rows.figures["subject"])
    value = rows.figures["value"].to_numpy()
    names = {title: (metric, unit) for title, metric, unit, *_ in rows.names.iter_rows()}
    host_of = {subject: host for *_, subject, host in rows.names.iter_rows()}
    for code in range(len(titles)):
        own = np.flatnonzero((title == code) & (night >= 0))
        if not len(own):
            continue
        is_there = np.bincount(subject[own], minlength=len(subjects)) > 0
        present, column = np.flatnonzero(is_there), np.cumsum(is_there) - 1
        values = np.full((len(nights), len(present)), np.nan)
        values[night[own], column[subject[own]]] = value[own]
        metric, unit = names[titles[code]]
        called = tuple(subjects[each] for each in present.tolist())
        yield Trend(
            title=titles[code],
            metric=metric,
            unit=Unit(unit),
            subjects=called,
            hosts=tuple(host_of[each] for each in called),
            values=values,
        )


def _codes(names: pl.Series) -> tuple[IntArray, list[str]]:
    """Return which name each row has, by its place in order, and the distinct names."""
    distinct = names.unique()
    called = [str(each) for each in distinct.to_list()]
    order = sorted(range(len(called)), key=called.__getitem__)
    own = distinct.to_physical().to_numpy()
    place = np.zeros(int(own.max()) + 1 if len(own) else 0, dtype=np.int64)
    place[own[order]] = np.arange(len(own))
    return place[names.to_physical().to_numpy()], [called[each] for each in order]


def _seen(others: pl.DataFrame, places: Sequence[int]) -> Iterator[Seen]:
    """Yield the findings of all nights, by detector and subject."""
    night_of = {place: index for index, place in enumerate(places)}
    found = others.filter((pl.col("kind") == Kind.FINDING.value) & pl.col(PLACE).is_in(places))
    grouped: dict[tuple[str, str], list[tuple[int, dict[str, str]]]] = {}
    for row in found.iter_rows(named=True):
        grouped.setdefault((row["title"], row["subject"]), []).append((night_of[row[PLACE]], row))
    for (detector, subject), told in sorted(grouped.items()):
        told.sort(key=lambda each: each[0])
        newest = told[-1][1]
        yield Seen(
            detector=detector,
            subject=subject,
            host=newest["host"],
            severity=min((Severity(row["metric"]) for _, row in told), key=SEVERITIES.index),
            summary=newest["text"],
            nights=tuple(dict.fromkeys(night for night, _ in told)),
        )


def _fingerprints(
    facts: pl.DataFrame, places: Sequence[int]
) -> tuple[tuple[str, ...], IntArray, tuple[Mapping[str, str], ...]]:
    """Return hosts, which distinct set of facts each had in each night, and those sets."""
    own = facts.filter(pl.col(PLACE).is_in(places))
    pair = pl.concat_str([pl.col("title"), pl.col("text")], separator=BETWEEN)
    told = own.group_by(PLACE, "host").agg(pair.sort().str.join(AFTER).alias("facts"))
    host, hosts = _codes(told["host"].cast(pl.Categorical))
    fact, known = _codes(told["facts"].cast(pl.Categorical))
    night = np.zeros(max([*places, *told[PLACE].to_list()], default=-1) + 1, dtype=np.int64)
    night[np.array(places, dtype=np.int64)] = np.arange(len(places))
    fingerprints = np.full((len(places), len(hosts)), -1, dtype=np.int64)
    fingerprints[night[told[PLACE].to_numpy()], host] = fact
    return tuple(hosts), fingerprints, tuple(_split(each) for each in known)


def _split(facts: str) -> dict[str, str]:
    pairs = (each.partition(BETWEEN) for each in facts.split(AFTER))
    return {name: value for name, _, value in pairs}


def skipped_gaps(rows: Rows) -> Iterator[Gap]:
    """Say which directories could not be read: by name where they are few."""
    for each in rows.skipped[:MOST_NAMED]:
        yield Gap(topic="history", reason=f"{each.directory.name} is left out: {each.reason}")
    rest = len(rows.skipped) - MOST_NAMED
    if rest > 0:
        yield Gap(topic="history", reason=f"{rest} more directories are left out: they cannot be read")


def _cut_short(nights: Sequence[Night]) -> Iterator[Gap]:
    short = [night.label for night in nights if not night.is_complete]
    if short:
        named = ", ".join(short[-MOST_NAMED:]) if len(short) <= MOST_NAMED else f"{len(short)} nights"
        yield Gap(topic="history", reason=f"{named} did not run to the end: their findings count, their figures do not")
