"""Each NIC against its own past: log rates after the fleet's shift of each night is taken out, and where they stepped.

Rates, and medians of latency, are judged; tails, datagrams and losses are shown and not judged here, for every night's
own detectors judge them. Larger is better throughout: of a latency the logarithm is negative.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Final

import numpy as np
from numpy.typing import NDArray

from netprobe.locate.remembered import remembered
from netprobe.model.history import FLEET, FloatArray, History, IntArray, Trend
from netprobe.model.limits import Limits
from netprobe.stats.level_steps import steps
from netprobe.stats.rates import excess_as_log, loss_as_log
from netprobe.stats.spread import MAD_UNCERTAINTY, SIGMAS_PER_MAD
from netprobe.stats.trends import FEWEST_SERIES, fleet_shift, middle

LATENCY: Final = "latency"
REGRESSION: Final = "regression"
FLEET_SHIFT: Final = "fleet-shift"
REACH: Final = 5
"""Nights on either side of a step whose medians must differ: a slow slide differs less in so few."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Usual:
    """What the nights before one tell of it, of each subject: shape (subjects,)."""

    reference: FloatArray
    """Their median; NaN where too few are known."""
    known: IntArray
    """How many of them are known."""
    noise: FloatArray
    """What a single night must differ by to stand out from them."""
    smallest: FloatArray
    """What a level must differ by to matter."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Levels:
    """One trend, made comparable: arrays have shape (nights, subjects), or (subjects,)."""

    trend: Trend
    own: FloatArray
    """Log rates without the fleet's shift."""
    shift: FloatArray
    """Of the fleet, shape (nights,); 0 where there are too few subjects to tell."""
    last: int
    """The newest complete night."""
    reference: FloatArray
    """Median of each subject's own nights before the last; NaN where too few are known."""
    known: IntArray
    """How many of those nights are known."""
    noise: FloatArray
    """What a single night must differ by to stand out from them."""
    smallest: FloatArray
    """What a level must differ by to matter."""
    accepted: IntArray
    """The newest night whose level somebody accepted, of each subject; -1 where nobody did."""

    @cached_property
    def starts(self) -> list[list[int]]:
        """Nights in which a new level begins, of each subject."""
        return steps(self.own[: self.last + 1])

    @property
    def tonight(self) -> FloatArray:
        """Of each subject, NaN where it was not measured."""
        last: FloatArray = self.own[self.last]
        return last


@dataclass(frozen=True, slots=True, kw_only=True)
class Loss:
    """A level that is lower than it was, of one subject in one trend."""

    trend: Trend
    column: int
    since: int
    """The first night of it."""
    log_before: float
    log_now: float
    """Both with the fleet's shift of the last night, so that they are what is measured now, or would be."""
    is_step: bool
    """Whether enough nights show the new level; else it is a matter of the last few."""

    @property
    def subject(self) -> str:
        """Whose level it is."""
        return self.trend.subjects[self.column]

    @property
    def host(self) -> str | None:
        """The host of that."""
        return self.trend.hosts[self.column]

    @property
    def log_change(self) -> float:
        """Below 0."""
        return self.log_now - self.log_before


def is_judged(trend: Trend) -> bool:
    """Return whether a level of it has a meaning of its own."""
    return trend.unit.is_rate or trend.metric in (LATENCY, "barrier")


@remembered(4)  # every detector asks
def levels_of(history: History, limits: Limits) -> tuple[Levels, ...]:
    """Return the levels of all judged trends; none where no night was complete."""
    if history.last is None:
        return ()
    return tuple(_levels(trend, history, limits) for trend in history.trends if is_judged(trend))


@remembered(4)
def fleet_levels_of(history: History, limits: Limits) -> tuple[Levels, ...]:
    """Return the fleet's own: collectives as they are, and what all subjects of a trend have in common."""
    found = []
    for levels in levels_of(history, limits):
        if levels.trend.subjects == (FLEET,):
            found.append(levels)
        elif len(levels.trend.subjects) >= FEWEST_SERIES:
            found.append(_levels(_common(levels), history, limits))
    return tuple(found)


def _common(levels: Levels) -> Trend:
    """Return what a trend's median subject did, as a trend of the fleet."""
    trend = levels.trend
    sign = 1.0 if trend.unit.is_rate else -1.0
    level = float(np.nanmedian(middle(levels.own)))
    known = np.isfinite(trend.values).sum(axis=1) >= FEWEST_SERIES
    values = np.where(known, np.exp(sign * (level + levels.shift)), np.nan)[:, None]
    return Trend(
        title=trend.title, metric=trend.metric, unit=trend.unit, subjects=(FLEET,), hosts=(None,), values=values
    )


def _levels(trend: Trend, history: History, limits: Limits) -> Levels:
    last = history.last or 0
    log = log_rates(trend.values, trend)
    shift = fleet_shift(log)
    own = log - shift[:, None]
    usual = usual_of(own[max(last - int(limits.own_nights), 0) : last], trend, limits)
    return Levels(
        trend=trend,
        own=own,
        shift=shift,
        last=last,
        reference=usual.reference,
        known=usual.known,
        noise=usual.noise,
        smallest=usual.smallest,
        accepted=_accepted(trend, history),
    )


def usual_of(before: FloatArray, trend: Trend, limits: Limits) -> Usual:
    """Return what the nights before one tell of it; ``before`` are log rates of shape (nights, subjects)."""
    known = np.isfinite(before).sum(axis=0)
    reference = np.where(known >= limits.fewest_nights, middle(before), np.nan)
    deviation = middle(np.abs(before - reference))
    uncertain = 1 + MAD_UNCERTAINTY / np.sqrt(np.maximum(known, 1))
    smallest = _smallest(trend, reference, limits)
    noise = np.maximum(smallest, limits.outlier_mads * SIGMAS_PER_MAD * uncertain * np.nan_to_num(deviation))
    return Usual(reference=reference, known=known, noise=noise, smallest=smallest)


def log_rates(values: FloatArray, trend: Trend) -> FloatArray:
    """Return the logarithms of a trend's values, larger where they are better; NaN where there is none."""
    sign = 1.0 if trend.unit.is_rate else -1.0
    with np.errstate(divide="ignore", invalid="ignore"):
        logs: FloatArray = sign * np.log(np.where(values > 0, values, np.nan))
    return logs


def _accepted(trend: Trend, history: History) -> IntArray:
    """Return up to which night the levels of each subject were acknowledged, by its own name or its host's."""
    if not history.acknowledged:
        return np.full(len(trend.subjects), -1, dtype=np.int64)
    detector = FLEET_SHIFT if trend.subjects == (FLEET,) else REGRESSION
    at = {subject: moment for (name, subject), moment in history.acknowledged.items() if name == detector}
    until = [
        max((moment for name in {subject, host} if (moment := at.get(name or "")) is not None), default=None)
        for subject, host in zip(trend.subjects, trend.hosts, strict=True)
    ]
    nights = [sum(moment is not None and night.started <= moment for night in history.nights) - 1 for moment in until]
    return np.array(nights, dtype=np.int64)


def _smallest(trend: Trend, reference: FloatArray, limits: Limits) -> FloatArray:
    if trend.unit.is_rate:
        return np.full(len(reference), loss_as_log(limits.regression_ratio))
    typical_ns = np.nan_to_num(np.exp(-reference), nan=np.inf)  # a small latency must grow by what a job could notice
    floor: FloatArray = np.log1p(limits.latency_excess_floor_ns / typical_ns)
    return np.maximum(excess_as_log(limits.latency_excess_ratio), floor)


def losses(levels: Levels) -> Iterator[Loss]:
    """Yield the subjects whose level is lower than their own was: a step that was not made good, or the last nights."""
    low = levels.tonight - levels.reference <= -levels.noise
    for column in range(len(levels.trend.subjects)):
        loss = _step(levels, column)
        if loss is None and low[column]:
            loss = _recent(levels, column)
        if loss is not None and loss.since > levels.accepted[column]:
            yield loss


def _step(levels: Levels, column: int) -> Loss | None:
    """Return the first step down that nobody accepted, after which no level reached the old one again."""
    starts = levels.starts[column]
    if not starts:
        return None
    own = levels.own[: levels.last + 1, column]
    bounds = [0, *starts, len(own)]
    heights = [_median(own[a:b]) for a, b in pairwise(bounds)]
    for index, start in enumerate(starts):
        before, smallest = heights[index], levels.smallest[column]
        jump = _median(own[start : start + REACH]) - _median(own[max(start - REACH, 0) : start])
        if jump <= -smallest and all(height <= before - smallest for height in heights[index + 1 :]):
            now = _median(own[-REACH:])
            since = _exact(own, start, before, heights[index + 1])
            if now <= before - smallest and since > levels.accepted[column]:
                return _loss(levels, column, since, (before, now), is_step=True)
    return None


def _exact(own: FloatArray, start: int, before: float, now: float) -> int:
    """Return the first night beside a step that is nearer to the new level than to the old one."""
    half = (before + now) / 2
    while start > 0 and own[start - 1] < half:
        start -= 1
    while start < len(own) - 1 and not own[start] < half:
        start += 1
    return start


def _recent(levels: Levels, column: int) -> Loss:
    """Return the loss of the last night, and since when every night before it was as low."""
    own, last = levels.own[:, column], levels.last
    reference, noise = float(levels.reference[column]), float(levels.noise[column])
    since = last
    while since > 0 and (not np.isfinite(own[since - 1]) or own[since - 1] <= reference - noise):
        since -= 1
    while not np.isfinite(own[since]):
        since += 1
    return _loss(levels, column, since, (reference, _median(own[since : last + 1])), is_step=False)


def _loss(levels: Levels, column: int, since: int, heights: tuple[float, float], *, is_step: bool) -> Loss:
    shift = float(levels.shift[levels.last])
    return Loss(
        trend=levels.trend,
        column=column,
        since=since,
        log_before=heights[0] + shift,
        log_now=heights[1] + shift,
        is_step=is_step,
    )


def _median(values: NDArray[np.float64]) -> float:
    known = values[np.isfinite(values)]
    return float(np.median(known)) if len(known) else np.nan


def by_host(history: History, subjects: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """Return whom to name of each host: its NICs, or itself where more than half of them are concerned, or none is."""
    host_of = {subject: host or subject for trend in history.trends for subject, host in told_of(trend)}
    nics: dict[str, set[str]] = {}
    for subject, host in host_of.items():
        if subject != host:
            nics.setdefault(host, set()).add(subject)
    own: dict[str, list[str]] = {}
    for subject in sorted(subjects):
        own.setdefault(host_of[subject], []).append(subject)
    return {host: _named(host, told, len(nics.get(host, ()))) for host, told in own.items()}


def told_of(trend: Trend) -> Iterator[tuple[str, str | None]]:
    """Yield the subjects of a trend with their hosts."""
    return zip(trend.subjects, trend.hosts, strict=True)


def _named(host: str, subjects: list[str], nics: int) -> tuple[str, ...]:
    concerned = tuple(subject for subject in subjects if subject != host)
    if not concerned or (len(concerned) > 1 and 2 * len(concerned) > nics):
        return (host,)
    return concerned
