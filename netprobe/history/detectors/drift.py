"""A NIC that gets slower little by little: no night stands out, and a month does.

Does not handle: steps; what a single night took is a regression.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from netprobe.contracts import HistoryDetector
from netprobe.detectors._words import MOST_FACTS
from netprobe.history.levels import Levels, by_host, levels_of, losses
from netprobe.history.wording import acknowledge, amount_at, change, retest
from netprobe.model.finding import Confidence, Fact, Finding, Gap, Severity
from netprobe.model.history import FLEET, FloatArray, History, Trend
from netprobe.model.limits import Limits
from netprobe.stats.rates import excess_as_log, loss_as_log
from netprobe.stats.trends import monotony, slope

ID = "drift"
SHORT, LONG = 1, 3
"""Times drift_nights: a month, and a quarter."""
KNOWN_RATIO = 2 / 3
"""Of these nights; with fewer, a slope is that of the gaps."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Slide:
    """How a subject lost in one trend."""

    trend: Trend
    subject: str
    host: str | None
    first: int
    last: int
    log_slope: float
    """By night."""
    log_now: float
    """With the fleet's shift of the last night."""
    sigmas: float

    @property
    def log_change(self) -> float:
        """Over all these nights."""
        return self.log_slope * (self.last - self.first)


def detect(history: History, limits: Limits) -> Iterator[Finding | Gap]:
    """Name NICs and hosts that slide."""
    levels = [each for each in levels_of(history, limits) if each.trend.subjects != (FLEET,)]
    needed = round(limits.drift_nights * KNOWN_RATIO)
    known = sum(night.is_complete for night in history.nights)
    if known < needed:
        yield Gap(
            topic=ID,
            reason=f"too few nights: {known} are known, and a slow slide shows over {limits.drift_nights:g}",
            remedy="netprobe check --profile nightly, night after night",
        )
        return
    found: dict[str, list[Slide]] = {}
    for each in levels:
        for slide in _slides(each, limits):
            found.setdefault(slide.subject, []).append(slide)
    bad = {slides[0].host for slides in found.values()}
    good = [host for host in history.hosts if host not in bad]
    quiet_since = max((history.last or 0) - int(limits.sticky_nights), 0)
    for host, subjects in by_host(history, found).items():
        own = [slide for told in found.values() for slide in told if (slide.host or slide.subject) == host]
        if not any(history.is_acknowledged(ID, each, quiet_since) for each in (host, *subjects)):
            yield _finding(subjects, sorted(own, key=lambda each: each.log_change), good)


def _slides(levels: Levels, limits: Limits) -> Iterator[Slide]:
    """Yield what slid in one trend: over the longer time where that shows it, else over the shorter."""
    stepped = {loss.column for loss in losses(levels)}
    told: set[int] = set()
    for times in (LONG, SHORT):
        nights = int(limits.drift_nights * times)
        if times > SHORT and levels.last + 1 < nights * KNOWN_RATIO:
            continue
        first = max(levels.last + 1 - nights, 0)
        window = levels.own[first : levels.last + 1]
        sigmas = monotony(window)
        enough = np.isfinite(window).sum(axis=0) >= nights * KNOWN_RATIO
        with np.errstate(invalid="ignore"):
            suspects = enough & (sigmas <= -limits.drift_sigmas)
        for column in np.flatnonzero(suspects).tolist():
            if column in stepped or column in told:
                continue
            slide = _slide(levels, column, window[:, column], first, float(sigmas[column]))
            if slide.log_change <= -_smallest(levels, limits) and _is_slope(window[:, column], slide.log_slope):
                told.add(column)
                yield slide


def _slide(levels: Levels, column: int, window: FloatArray, first: int, sigmas: float) -> Slide:
    return Slide(
        trend=levels.trend,
        subject=levels.trend.subjects[column],
        host=levels.trend.hosts[column],
        first=first,
        last=levels.last,
        log_slope=slope(window),
        log_now=float(np.nanmedian(window[-5:]) + levels.shift[levels.last]),
        sigmas=sigmas,
    )


def _smallest(levels: Levels, limits: Limits) -> float:
    # Of a latency six times as much as of a rate, as elsewhere (latency_excess_ratio over host_loss_ratio).
    return loss_as_log(limits.drift_ratio) if levels.trend.unit.is_rate else excess_as_log(limits.latency_excess_ratio)


def _is_slope(window: FloatArray, log_slope: float) -> bool:
    """Return whether a line leaves no more unexplained than the best single step, which a few lost nights would be."""
    night = np.flatnonzero(np.isfinite(window))
    values = window[night]
    line = values - log_slope * night
    left_by_line = float(np.abs(line - np.median(line)).sum())
    left_by_step = min(
        float(np.abs(values[:at] - np.median(values[:at])).sum() + np.abs(values[at:] - np.median(values[at:])).sum())
        for at in range(1, len(values))
    )
    return left_by_line <= left_by_step


def _finding(subjects: tuple[str, ...], slides: list[Slide], good: list[str]) -> Finding:
    main = slides[0]
    host = main.host or main.subject
    nights = main.last - main.first
    before = main.log_now - main.log_change
    return Finding(
        detector=ID,
        severity=Severity.DEGRADES,
        confidence=Confidence.HIGH if len(slides) > 1 else Confidence.MEDIUM,
        subjects=subjects,
        hosts=(host,),
        summary=f"slides: {change(main.log_change, main.trend.unit)} its level of {nights} nights ago, "
        f"{amount_at(main.log_now, main.trend)} of {amount_at(before, main.trend)} ({main.trend.title})",
        facts=tuple(
            Fact(
                metric=each.trend.title if (each.subject,) == subjects else f"{each.subject}: {each.trend.title}",
                observed=f"{amount_at(each.log_now, each.trend)} ({abs(each.sigmas):.1f} sigmas)",
                expected=amount_at(each.log_now - each.log_change, each.trend),
                basis=f"Theil-Sen's slope over {each.last - each.first} nights, without the fleet's shift",
            )
            for each in slides[:MOST_FACTS]
        ),
        excluded=(
            "a single bad night (most nights are lower than those before)",
            "what the whole fleet lost or won (taken out)",
        ),
        next_action=f"clean or replace the optic and cable of {subjects[0]} in the next window, and look at its "
        f"corrected bits, its PCIe errors and its temperature; {acknowledge(ID, subjects[0])} once that is planned",
        retest=retest(host, good[:2]),
    )


DETECTOR = HistoryDetector(
    id=ID,
    title="a NIC or host that gets slower little by little",
    cause="""A laser that ages, a connector that gets dirty, heat, a memory or a PCIe link that corrects more and more
    errors; a log or a process that grows on one host.""",
    evidence="""Of the last drift_nights nights, and of three times as many where they are known, more are lower than
    those before them than chance allows: Mann and Kendall's test beyond drift_sigmas. The loss over that time by Theil
    and Sen's slope, which single bad nights do not bend, is drift_ratio or more (of a latency latency_excess_ratio).

    What the fleet lost or won is taken out first. A NIC with a regression is not told again, and a line must explain
    the nights at least as well as one step does.""",
    remedy="""Nothing is broken yet: plan the exchange. Clean the connectors, then replace optic and cable; watch
    `netprobe history --host HOST` afterwards. `netprobe history ack drift SUBJECT` closes the finding for
    sticky_nights nights.""",
    limits=(
        "drift_nights",
        "drift_ratio",
        "drift_sigmas",
        "latency_excess_ratio",
        "sticky_nights",
    ),
    detect=detect,
)
