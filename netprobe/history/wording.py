"""Phrases of what nights tell."""

import math
import shlex
from collections.abc import Iterable, Sequence

from netprobe.detectors._words import percent
from netprobe.model.finding import Fact, Gap
from netprobe.model.history import History, Trend, Unit
from netprobe.units import format_duration, format_gbps


def amount(value: float, unit: Unit) -> str:
    """Return a figure as readers know it."""
    if unit is Unit.GBPS:
        return format_gbps(value)
    if unit is Unit.NS:
        return format_duration(value)
    return f"{value:.3g} GB/s" if unit is Unit.GIGABYTES_PER_S else f"{value:.1e}"


def amount_at(log: float, trend: Trend) -> str:
    """Return the figure of a trend at a log rate (history.levels)."""
    return amount(math.exp(log if trend.unit.is_rate else -log), trend.unit)


def change(log_change: float, unit: Unit) -> str:
    """Return ``5.2 % below`` of a rate, ``31 % above`` of a time, for a change to the worse."""
    if unit.is_rate:
        return f"{percent(-math.expm1(log_change))} below"
    return f"{percent(math.expm1(-log_change))} above"


def since(history: History, night: int, last: int) -> str:
    """Return ``since 2026-11-20`` or ``tonight``, as of the newest complete night."""
    return f"on {history.nights[night].label}" if night == last else f"since {history.nights[night].label}"


def too_few(detector: str, known: int, needed: float) -> Gap:
    """Return the answer where nothing has enough of a past to be held against."""
    return Gap(
        topic=detector,
        reason=f"too few nights: {known} are known, and a level of its own takes {needed:g} before the last",
        remedy="netprobe check --profile nightly, night after night",
        undermines=True,
    )


def retest(host: str, others: Iterable[str]) -> str:
    """Return the command that measures a host again, with others that nothing is said of."""
    return f"netprobe check --hosts {shlex.quote(','.join([host, *others]))}"


def nights_fact(history: History, nights: Sequence[int], metric: str, basis: str) -> Fact:
    """Return in which nights something was there."""
    labels = [history.nights[night].label for night in nights]
    told = ", ".join(labels if len(labels) <= 4 else [*labels[:2], "…", *labels[-2:]])
    return Fact(metric=metric, observed=f"{len(labels)}: {told}", expected="none", basis=basis)


def acknowledge(detector: str, subject: str) -> str:
    """Return the command that closes a finding."""
    return shlex.join(["netprobe", "history", "ack", detector, subject])
