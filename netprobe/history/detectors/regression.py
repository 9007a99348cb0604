"""A NIC that carries less than it did itself: held against its own nights, and nobody else's.

Does not handle: losses in small steps, each below the limit (drift), and what all lose at once (fleet-shift).
"""

from collections.abc import Iterator, Sequence

import numpy as np

from netprobe.contracts import HistoryDetector
from netprobe.detectors._words import MOST_FACTS, listed
from netprobe.history.changes import changes_of_host
from netprobe.history.levels import REGRESSION, Levels, Loss, by_host, levels_of, losses
from netprobe.history.wording import acknowledge, amount_at, change, retest, since, too_few
from netprobe.model.finding import Confidence, Fact, Finding, Gap, Severity
from netprobe.model.history import FLEET, History
from netprobe.model.limits import Limits
from netprobe.stats.rates import loss_ratio

ID = REGRESSION
SURE_AFTER = 3  # nights
RATES = frozenset({"slow-link", "slow-host", "expectation", "layer-gap"})
"""Detectors of a single night that tell the same of a host; their findings are told with this one."""


def detect(history: History, limits: Limits) -> Iterator[Finding | Gap]:
    """Name NICs and hosts below their own level."""
    levels = [each for each in levels_of(history, limits) if each.trend.subjects != (FLEET,)]
    if not any(np.isfinite(each.reference).any() for each in levels):
        known = sum(night.is_complete for night in history.nights)
        yield too_few(ID, max(known - 1, 0), limits.fewest_nights)
        return
    found = losses_by_subject(levels)
    bad = {loss[0].host for loss in found.values()}
    good = [host for host in history.hosts if host not in bad]
    for host, subjects in by_host(history, found).items():
        own = [loss for told in found.values() for loss in told if (loss.host or loss.subject) == host]
        yield _finding(history, subjects, sorted(own, key=_worst_first), good, limits)
    yield from _unknown(levels)


def losses_by_subject(levels: Sequence[Levels]) -> dict[str, list[Loss]]:
    """Return what each subject lost, the most first; subjects in order of name."""
    found: dict[str, list[Loss]] = {}
    for each in levels:
        for loss in losses(each):
            found.setdefault(loss.subject, []).append(loss)
    return {subject: sorted(found[subject], key=_worst_first) for subject in sorted(found)}


def _worst_first(loss: Loss) -> tuple[bool, float]:
    return not loss.trend.unit.is_rate, loss.log_change


def _finding(
    history: History, subjects: tuple[str, ...], own: Sequence[Loss], good: Sequence[str], limits: Limits
) -> Finding:
    main, last = own[0], history.last or 0
    first = min(loss.since for loss in own)
    blocks = any(loss.trend.unit.is_rate and loss_ratio(loss.log_change) > limits.host_block_ratio for loss in own)
    host = main.host or main.subject
    whom = subjects[0] if len(subjects) == 1 else host
    nights = sum(night.is_complete for night in history.nights[main.since : last + 1])
    facts = [_fact(history, loss, subjects) for loss in own[:MOST_FACTS]]
    changed = changes_of_host(history, host, first)
    reported = [each for each in history.seen if each.detector in RATES and each.host == host]
    return Finding(
        detector=ID,
        severity=Severity.BLOCKS if blocks else Severity.DEGRADES,
        confidence=Confidence.HIGH if main.is_step or nights >= SURE_AFTER else Confidence.MEDIUM,
        subjects=subjects,
        hosts=(host,),
        summary=f"{change(main.log_change, main.trend.unit)} its own level {since(history, main.since, last)}: "
        f"{amount_at(main.log_now, main.trend)} of {amount_at(main.log_before, main.trend)} ({main.trend.title})"
        + (f"; then changed: {'; '.join(changed)}" if changed else ""),
        facts=(*facts, *(_reported(history, each.detector, each.nights) for each in reported)),
        excluded=("what the whole fleet lost or won in these nights (taken out)",),
        next_action=f"what was changed on {host} or its leaf port by {history.nights[first].label}; then its cable, "
        f"optic and PCIe link (netprobe check names the part); {acknowledge(ID, whom)} once it is known",
        retest=retest(host, good[:2]),
    )


def _fact(history: History, loss: Loss, subjects: tuple[str, ...]) -> Fact:
    whose = "" if (loss.subject,) == subjects else f"{loss.subject}: "
    return Fact(
        metric=f"{whose}{loss.trend.title}",
        observed=amount_at(loss.log_now, loss.trend),
        expected=amount_at(loss.log_before, loss.trend),
        basis=f"its own nights before {history.nights[loss.since].label}, without the fleet's shift",
    )


def _reported(history: History, detector: str, nights: Sequence[int]) -> Fact:
    labels = [history.nights[night].label for night in nights]
    return Fact(
        metric=f"also {detector}", observed=f"{len(labels)} nights, last {labels[-1]}", expected="–", basis="reports"
    )


def _unknown(levels: Sequence[Levels]) -> Iterator[Gap]:
    """Say once who was measured tonight and has too short a past."""
    names = {
        each.trend.subjects[column]
        for each in levels
        for column in np.flatnonzero(np.isfinite(each.tonight) & ~np.isfinite(each.reference)).tolist()
    }
    judged = {
        each.trend.subjects[column]
        for each in levels
        for column in np.flatnonzero(np.isfinite(each.reference)).tolist()
    }
    if new := sorted(names - judged):
        yield Gap(topic=ID, reason=f"too few nights of {listed(new)} to know a level of their own")


DETECTOR = HistoryDetector(
    id=ID,
    title="a NIC or host that carries less than it did itself",
    cause="""Something changed in one place: a port that trained at a lower rate, a PCIe link with fewer lanes, a new
    cable, a setting, firmware of one host, a neighbour that shares its uplink.""",
    evidence="""Each figure of a NIC (over RDMA) or a host (over MPI) is held against the median of its own last
    own_nights nights. What the median NIC gained or lost in a night is taken out before, so that an upgrade of the
    whole fleet is nobody's fault. A night counts that lies regression_ratio below (of latency latency_excess_ratio and
    latency_excess_floor_ns above), and outlier_mads times what its nights usually differ by.

    A step that is older than these nights is found again in all nights that are known, by the best division into
    levels, and stays a finding until the old level is reached again or somebody acknowledges it. Beyond
    host_block_ratio it blocks. With fewer than fewest_nights known nights before the last, that is a gap.""",
    remedy="""Look at what was changed in the night that the finding names; netprobe compare shows what differs between
    the run before it and the run after it. Where the new level is meant to stay, `netprobe history ack regression
    SUBJECT` closes the finding until the level falls again.""",
    limits=(
        "own_nights",
        "fewest_nights",
        "regression_ratio",
        "host_block_ratio",
        "latency_excess_ratio",
        "latency_excess_floor_ns",
        "outlier_mads",
    ),
    detect=detect,
)
