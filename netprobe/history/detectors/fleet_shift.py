"""All hosts together carry less than they did: an upgrade, a switch setting, something that they share.

Does not handle: which of them; where one NIC slows a collective of all, the NIC is named and not the fleet.
"""

from collections.abc import Iterator

import numpy as np

from netprobe.contracts import HistoryDetector
from netprobe.detectors._words import MOST_FACTS
from netprobe.history.changes import BESIDE, changes_of_fleet
from netprobe.history.detectors.regression import losses_by_subject
from netprobe.history.levels import FLEET_SHIFT, Loss, fleet_levels_of, levels_of, losses
from netprobe.history.wording import amount_at, change, since, too_few
from netprobe.model.finding import Confidence, Fact, Finding, Gap, Severity
from netprobe.model.history import FLEET, History
from netprobe.model.limits import Limits

ID = FLEET_SHIFT


def detect(history: History, limits: Limits) -> Iterator[Finding | Gap]:
    """Tell since when the fleet is slower, and what was changed then."""
    levels = fleet_levels_of(history, limits)
    if not any(np.isfinite(each.reference).any() for each in levels):
        known = sum(night.is_complete for night in history.nights)
        yield too_few(ID, max(known - 1, 0), limits.fewest_nights)
        return
    found = [loss for each in levels for loss in losses(each)]
    collectives = {trend.title for trend in history.trends if trend.subjects == (FLEET,)}
    guilty = _guilty_nights(history, limits)
    told = [
        loss
        for loss in found
        if loss.trend.title not in collectives or not any(abs(loss.since - night) <= BESIDE for night in guilty)
    ]
    for group in _by_night(told):
        finding = _finding(history, group, limits)
        if finding is not None:
            yield finding


def _guilty_nights(history: History, limits: Limits) -> set[int]:
    """Return since when single NICs or hosts are slower, or gone: what all do together then waits for them."""
    own = [each for each in levels_of(history, limits) if each.trend.subjects != (FLEET,)]
    nights = {loss.since for losses_of in losses_by_subject(own).values() for loss in losses_of}
    for column in range(len(history.hosts)):
        present = np.flatnonzero(history.fingerprints[:, column] >= 0)
        if len(present) and present[-1] < (history.last or 0):
            nights.add(int(present[-1]) + 1)
    return nights


def _by_night(found: list[Loss]) -> Iterator[list[Loss]]:
    """Yield losses of about the same night, the largest first."""
    left = sorted(found, key=lambda loss: loss.since)
    while left:
        first = left[0].since
        group = [loss for loss in left if loss.since - first <= BESIDE]
        left = left[len(group) :]
        yield sorted(group, key=lambda loss: (not loss.trend.unit.is_rate, loss.log_change))


def _finding(history: History, group: list[Loss], limits: Limits) -> Finding | None:
    main, last = group[0], history.last or 0
    changed = changes_of_fleet(history, main.since)
    if changed and last - main.since > limits.sticky_nights:
        return None  # an upgrade that was told for two weeks is how the fleet is now
    with_what = f", with another {'; '.join(changed)}" if changed else ""
    return Finding(
        detector=ID,
        severity=Severity.WARNS if changed else Severity.DEGRADES,
        confidence=Confidence.HIGH if main.is_step else Confidence.MEDIUM,
        subjects=(FLEET,),
        hosts=(),
        summary=f"all together {change(main.log_change, main.trend.unit)} their level "
        f"{since(history, main.since, last)}{with_what}: {amount_at(main.log_now, main.trend)} of "
        f"{amount_at(main.log_before, main.trend)} ({main.trend.title})",
        facts=tuple(
            Fact(
                metric=loss.trend.title,
                observed=amount_at(loss.log_now, loss.trend),
                expected=amount_at(loss.log_before, loss.trend),
                basis=f"the median of the fleet before {history.nights[loss.since].label}",
            )
            for loss in group[:MOST_FACTS]
        ),
        excluded=("single NICs and hosts (they kept their place among the others)",),
        next_action="whether what changed is meant to cost so much; then a new baseline (netprobe baseline set)"
        if changed
        else f"what all hosts share and was changed by {history.nights[main.since].label}: switches, their "
        "configuration, load of others; netprobe compare with the night before",
        retest=None,
    )


DETECTOR = HistoryDetector(
    id=ID,
    title="a fleet that as a whole carries less than it did",
    cause="""A driver, firmware, kernel or MPI that was upgraded everywhere, a setting that was rolled out, a change of
    the switches, uplinks that were lost, traffic of others in the nights.""",
    evidence="""What the median NIC gained or lost in each night, and what collectives of all ranks reached, are held
    against their own last own_nights nights and their older levels as those of a NIC are (regression). Where most hosts
    have another firmware, driver, MPI or rate since that night, the finding says so and warns, for sticky_nights
    nights; where nothing is known to have changed it degrades, until the level is reached again or somebody
    acknowledges it.

    A collective that is slower since the night in which single NICs are, or in which a host went missing, is their
    symptom, and no finding.""",
    remedy="""Compare the run before with the run after (netprobe compare): it lists what differs, and which figures
    moved. Roll back on two hosts and measure them, or accept the new level: `netprobe history ack fleet-shift fleet`,
    and set a new baseline.""",
    limits=("own_nights", "fewest_nights", "regression_ratio", "outlier_mads", "sticky_nights"),
    detect=detect,
)
