"""A run against a baseline: only figures of hosts that are what they were when it was set.

Does not handle: chance. A baseline is one run; what lies regression_ratio below it may be one bad night, and the nights
since then tell (netprobe history).
"""

from collections.abc import Iterator
from dataclasses import dataclass

from netprobe.history.comparing import fact_differences, facts_by_host
from netprobe.history.facts import fingerprint
from netprobe.model.history import Baseline, Digest, Figure
from netprobe.model.limits import Limits


@dataclass(frozen=True, slots=True, kw_only=True)
class Deviation:
    """A figure that is worse than in the baseline by more than the limit."""

    figure: Figure
    before: float
    loss_ratio: float
    """Of a rate the share that is lost, of a time the share that it is longer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BaselineDiff:
    """What ``netprobe baseline diff`` has to say."""

    baseline: Baseline
    digest: Digest
    compared: int
    """Figures."""
    deviations: tuple[Deviation, ...]
    """The worst first."""
    medians: tuple[tuple[str, int, float], ...]
    """Title, figures, and the median change: 0.02 is 2 % better."""
    incomparable: tuple[tuple[str, tuple[str, ...]], ...]
    """Why figures were not compared, with the hosts."""
    unmeasured: tuple[str, ...]
    """Hosts of the baseline that took no part."""


def diff(baseline: Baseline, digest: Digest, limits: Limits) -> BaselineDiff:
    """Return how a run differs from a baseline."""
    old, new = facts_by_host(baseline.digest), facts_by_host(digest)
    same = {host for host in old.keys() & new.keys() if fingerprint(old[host]) == fingerprint(new[host])}
    is_fleet_same = old.keys() == new.keys() and same == old.keys()
    known = {(each.title, each.subject): each.value for each in baseline.digest.figures}
    pairs = [
        (each, known[each.title, each.subject])
        for each in digest.figures
        if (each.title, each.subject) in known and (is_fleet_same if each.host is None else each.host in same)
    ]
    usable = [(each, before) for each, before in pairs if before > 0 and each.value > 0]
    deviations = [
        Deviation(figure=each, before=before, loss_ratio=loss)
        for each, before in usable
        if _is_judged(each) and (loss := _loss(each, before)) > _limit(each, limits)
    ]
    return BaselineDiff(
        baseline=baseline,
        digest=digest,
        compared=len(usable),
        deviations=tuple(sorted(deviations, key=lambda each: -each.loss_ratio)),
        medians=tuple(_medians(usable)),
        incomparable=tuple(fact_differences(baseline.digest, digest)),
        unmeasured=tuple(sorted(old.keys() - new.keys())),
    )


def _is_judged(figure: Figure) -> bool:
    return figure.unit.is_rate or figure.metric in ("latency", "barrier")


def _limit(figure: Figure, limits: Limits) -> float:
    return limits.regression_ratio if figure.unit.is_rate else limits.latency_excess_ratio


def _loss(figure: Figure, before: float) -> float:
    return 1 - figure.value / before if figure.unit.is_rate else figure.value / before - 1


def _medians(usable: list[tuple[Figure, float]]) -> Iterator[tuple[str, int, float]]:
    import numpy as np

    by_title: dict[str, list[float]] = {}
    for each, before in usable:
        by_title.setdefault(each.title, []).append(-_loss(each, before))
    for title, changes in by_title.items():
        yield title, len(changes), float(np.median(changes))
