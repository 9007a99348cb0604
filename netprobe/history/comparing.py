"""Two runs side by side: what differs in what was measured, how surely, and what differs in how.

A title as a whole (all pairs, or all iterations of a collective) is compared by Mann and Whitney's test, with Cliff's
delta as the size of the effect. A single NIC has a few partners in each run, and those tell nothing of how far their
median wanders by chance; the partners of all NICs together do. It is held against what the fleet did, so that an
upgrade is one change and not five hundred. Of everything that is tested, false discoveries are held to 5 % (Benjamini
and Hochberg).

Does not handle: how two runs of the same fabric differ from night to night. One run each cannot tell that; netprobe
history can. Iterations of one collective follow each other, so that their test says that they differ, not that they
will again.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from netprobe.history.changes import differences
from netprobe.history.figures import Samples, medians_by_owner
from netprobe.model.comparison import Course
from netprobe.model.history import FLEET, Digest, Unit
from netprobe.model.limits import Limits
from netprobe.stats.two_samples import bootstrap_ratio, chance_of_gaps, false_discovery, mann_whitney

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

ALPHA: Final = 0.05
FEWEST: Final = 3
"""Series or iterations on either side: with fewer nothing can be tested."""
SMALLEST_RATIO: Final = 0.01  # a change below this is of no use to know, however sure it is
SMALLEST_DELTA: Final = 0.33  # Cliff's; below it the effect is called small (Romano 2006)


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One figure in both runs."""

    title: str
    subject: str
    unit: Unit
    before: float
    after: float
    samples: tuple[int, int]
    p_value: float | None
    """None: too few samples."""
    q_value: float | None = None
    """After the correction for how many were tested."""
    delta: float | None = None
    """Cliff's; of single NICs there is none."""
    interval: tuple[float, float] | None = None
    """Of after over before, 95 %."""
    course: Course = Course.UNTESTED

    @property
    def ratio(self) -> float:
        """After over before, less one."""
        return self.after / self.before - 1.0

    @property
    def loss(self) -> float:
        """The share that is lost, or the time that is won by waiting; below 0 for the better."""
        return -self.ratio if self.unit.is_rate else self.ratio


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """One run, as far as it is compared."""

    digest: Digest
    pairs: tuple[Samples, ...]
    """The samples of pairs, of every size."""
    trended: frozenset[str]
    """The titles of which single NICs are compared."""
    collectives: tuple["Timed", ...]
    configuration: tuple[tuple[str, str], ...]
    """How it was measured, by name: profile, transport, environment, …"""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Timed:
    """The iterations of a collective, as a histogram: shape (bins,)."""

    title: str
    unit: Unit
    values: FloatArray
    counts: IntArray


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """What ``netprobe compare`` has to say."""

    before: Digest
    after: Digest
    fleet: tuple[Change, ...]
    """One for each title that both have."""
    single: tuple[Change, ...]
    """NICs and hosts that moved apart from the fleet, the worst first."""
    tested: int
    """NICs and hosts, times titles."""
    only_before: tuple[str, ...]
    only_after: tuple[str, ...]
    """Titles that one of the runs lacks."""
    hosts_gone: tuple[str, ...]
    hosts_new: tuple[str, ...]
    configuration: tuple[str, ...]
    """What differs in how it was measured."""
    facts: tuple[tuple[str, tuple[str, ...]], ...]
    """What differs in hosts that both have, with these hosts."""

    @property
    def worse(self) -> tuple[Change, ...]:
        """What got worse."""
        return tuple(each for each in (*self.fleet, *self.single) if each.course is Course.WORSE)


def compare(before: Measured, after: Measured, limits: Limits) -> Comparison:
    """Return what differs between two runs; a single NIC, or a collective, is told from regression_ratio on."""
    pairs, collectives = list(_of_pairs(before, after)), list(_of_collectives(before, after))
    fleet = _with_course(
        [*pairs, *collectives], [SMALLEST_RATIO] * len(pairs) + [limits.regression_ratio] * len(collectives)
    )
    single = list(_of_subjects(before, after))
    single = _with_course(single, [limits.regression_ratio] * len(single))
    moved = [each for each in single if each.course in (Course.BETTER, Course.WORSE)]
    titles = {each.title for each in before.pairs} | {each.title for each in before.collectives}
    others = {each.title for each in after.pairs} | {each.title for each in after.collectives}
    old, new = hosts_of(before.digest), hosts_of(after.digest)
    return Comparison(
        before=before.digest,
        after=after.digest,
        fleet=tuple(fleet),
        single=tuple(sorted(moved, key=lambda each: -each.loss)),
        tested=sum(each.p_value is not None for each in single),
        only_before=tuple(sorted(titles - others)),
        only_after=tuple(sorted(others - titles)),
        hosts_gone=tuple(sorted(old - new)),
        hosts_new=tuple(sorted(new - old)),
        configuration=tuple(differences(dict(before.configuration), dict(after.configuration))),
        facts=tuple(fact_differences(before.digest, after.digest)),
    )


def hosts_of(digest: Digest) -> frozenset[str]:
    """Return the hosts that took part."""
    return frozenset(fact.host for fact in digest.facts)


def facts_by_host(digest: Digest) -> dict[str, dict[str, str]]:
    """Return what is known of each host."""
    found: dict[str, dict[str, str]] = {}
    for fact in digest.facts:
        found.setdefault(fact.host, {})[fact.name] = fact.value
    return found


def fact_differences(before: Digest, after: Digest) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Yield what differs, with the hosts it differs on, for hosts that are in both."""
    old, new = facts_by_host(before), facts_by_host(after)
    found: dict[str, list[str]] = {}
    for host in sorted(old.keys() & new.keys()):
        for what in differences(old[host], new[host]):
            found.setdefault(what, []).append(host)
    yield from ((what, tuple(hosts)) for what, hosts in found.items())


def _of_pairs(before: Measured, after: Measured) -> Iterator[Change]:
    others = {each.title: each for each in after.pairs}
    for samples in before.pairs:
        other = others.get(samples.title)
        if other is None or not len(samples.values) or not len(other.values):
            continue
        ones = (np.ones(len(samples.values), dtype=np.int64), np.ones(len(other.values), dtype=np.int64))
        yield _whole(samples.title, samples.unit, (samples.values, other.values), ones)


def _of_collectives(before: Measured, after: Measured) -> Iterator[Change]:
    others = {each.title: each for each in after.collectives}
    for timed in before.collectives:
        other = others.get(timed.title)
        if other is not None:
            yield _whole(timed.title, timed.unit, (timed.values, other.values), (timed.counts, other.counts))


def _whole(title: str, unit: Unit, values: tuple[FloatArray, FloatArray], counts: tuple[IntArray, IntArray]) -> Change:
    medians = [_weighted_median(each, count) for each, count in zip(values, counts, strict=True)]
    samples = (int(counts[0].sum()), int(counts[1].sum()))
    change = Change(
        title=title, subject=FLEET, unit=unit, before=medians[0], after=medians[1], samples=samples, p_value=None
    )
    if min(samples) < FEWEST:
        return change
    found = mann_whitney(values[0], counts[0], values[1], counts[1])
    is_plain = counts[0].max() == counts[1].max() == 1
    return replace(
        change, p_value=found.p_value, delta=found.delta, interval=bootstrap_ratio(*values) if is_plain else None
    )


def _weighted_median(values: FloatArray, counts: IntArray) -> float:
    order = np.argsort(values, kind="stable")
    cumulated = np.cumsum(counts[order])
    low = values[order][np.searchsorted(cumulated, (cumulated[-1] + 1) // 2)]
    high = values[order][np.searchsorted(cumulated, cumulated[-1] // 2 + 1)]
    return float((low + high) / 2)


def _of_subjects(before: Measured, after: Measured) -> Iterator[Change]:
    """Yield how each NIC or host moved, less what the fleet did."""
    others = {each.title: each for each in after.pairs}
    for samples in before.pairs:
        if samples.title in before.trended and samples.title in others and samples.title in after.trended:
            yield from _single(samples, others[samples.title])


def _single(first: Samples, second: Samples) -> Iterator[Change]:
    common = [each for each in first.subjects if each in set(second.subjects)]
    sides = [_logs_by_subject(each, common) for each in (first, second)]
    counts = np.stack([side[1] for side in sides], axis=1)
    tested = np.flatnonzero(counts.min(axis=1) >= FEWEST)
    if len(tested) < FEWEST:
        return  # of two, either is half of what they have in common
    medians = np.stack([side[0] for side in sides], axis=1)
    gaps = medians[:, 1] - medians[:, 0]
    shift = float(np.median(gaps[tested]))
    residuals = np.concatenate([side[2] for side in sides])
    chances = chance_of_gaps(gaps[tested] - shift, counts[tested], residuals)
    for index, chance in zip(tested.tolist(), chances.tolist(), strict=True):
        yield Change(
            title=first.title,
            subject=common[index],
            unit=first.unit,
            before=float(np.exp(medians[index, 0] + shift)),
            after=float(np.exp(medians[index, 1])),
            samples=(int(counts[index, 0]), int(counts[index, 1])),
            p_value=chance,
        )


def _logs_by_subject(samples: Samples, common: Sequence[str]) -> tuple[FloatArray, IntArray, FloatArray]:
    """Return medians and counts of the common subjects, and residuals of all samples that have two others beside."""
    number = {name: index for index, name in enumerate(common)}
    place = np.array([number.get(name, -1) for name in samples.subjects], dtype=np.int64)[samples.owner]
    known = (place >= 0) & (samples.values > 0)
    owner, logs = place[known], np.log(samples.values[known])
    count = np.bincount(owner, minlength=len(common))
    mean = np.bincount(owner, logs, len(common)) / np.maximum(count, 1)
    enough = count[owner] >= FEWEST
    # A mean of n values lies nearer to them than the truth does, by the square root of (n - 1) / n.
    wider = np.sqrt(count / np.maximum(count - 1, 1))[owner]
    residuals = ((logs - mean[owner]) * wider)[enough]
    return medians_by_owner(owner, logs, count), count, residuals


def _with_course(changes: Sequence[Change], smallest: Sequence[float]) -> list[Change]:
    """Return the changes with what became of each, after the correction for their number."""
    p_values = np.array([np.nan if each.p_value is None else each.p_value for each in changes], dtype=np.float64)
    return [
        replace(each, q_value=None if np.isnan(q) else q, course=_course(each, q, ratio))
        for each, q, ratio in zip(changes, false_discovery(p_values).tolist(), smallest, strict=True)
    ]


def _course(change: Change, q_value: float, smallest_ratio: float) -> Course:
    if np.isnan(q_value):
        return Course.UNTESTED
    is_small = abs(change.ratio) < smallest_ratio or (change.delta is not None and abs(change.delta) < SMALLEST_DELTA)
    if q_value >= ALPHA or is_small:
        return Course.SAME
    return Course.WORSE if change.loss > 0 else Course.BETTER
