"""Sixty nights with a slide, a step, a bad night, an upgrade, a flap and a dead host: told on the right nights, once.

Every night is judged with what was known then, as cron does.
"""

from dataclasses import replace

import pytest
from history_samples import FACTS, Site, flap, history_from, on, rows_of

from netprobe.history.judge import findings_of, judge_history
from netprobe.history.nights import history_of
from netprobe.model.history import FLEET, Acknowledgement
from netprobe.model.limits import Limits
from netprobe.model.run import RunStatus

SLIDES, STEPS, DIPS = "node02 mlx5_0", "node03 mlx5_1", "node05 mlx5_0"
FLAPS, DIES = "node07 mlx5_1", "node08"
UPGRADE, FLAP, DIP, STEP, DEATH, FIRST_JUDGED = 30, 20, 25, 41, 48, 7
STICKY = int(Limits().sticky_nights)
UPGRADED = {**FACTS, "NIC firmware": "28.40.1000", "kernel": "5.15.0-99"}


def share_from(night, share, until=10**6):
    return lambda at: share if night <= at < until else 1.0


def site(**changes):
    fields = {
        "factor": {
            SLIDES: lambda night: 0.9985 ** max(night - 10, 0),
            STEPS: share_from(STEP, 0.93),
            DIPS: share_from(DIP, 0.85, DIP + 1),
        },
        "fleet_factor": share_from(UPGRADE, 0.92),
        "facts_at": lambda night, host: UPGRADED if night >= UPGRADE else FACTS,
        "gone": {DIES: DEATH},
        "seen": {FLAP: [flap(FLAPS)], DEATH: [flap(DIES, DIES, "dead-host")]},
    }
    return Site(**{**fields, **changes})


def told(history, night):
    findings, _ = findings_of(history.until(night), Limits())
    return {(finding.detector, finding.subjects) for finding in findings}


@pytest.fixture(scope="module")
def nights():
    history = history_from(site())
    return [told(history, night) for night in range(60)]


def nights_with(nights, detector, subject):
    return [night for night, findings in enumerate(nights) if (detector, (subject,)) in findings]


def test_the_bad_night_is_told_that_night_alone(nights):
    assert nights_with(nights, "regression", DIPS) == [DIP]


def test_the_step_is_told_from_its_night_on_and_not_forgotten(nights):
    assert nights_with(nights, "regression", STEPS) == list(range(STEP, 60))


def test_the_slide_is_told_once_three_percent_are_lost_and_from_then_on(nights):
    found = nights_with(nights, "drift", SLIDES)

    assert found == list(range(found[0], 60))
    assert 28 <= found[0] <= 36  # 3 % are lost after 20 nights; noise moves that by some
    assert nights_with(nights, "regression", SLIDES) == []


def test_the_upgrade_is_the_fleets_and_is_told_for_two_weeks(nights):
    assert nights_with(nights, "fleet-shift", "fleet") == list(range(UPGRADE, UPGRADE + STICKY + 1))


def test_the_flap_stays_open_for_two_weeks(nights):
    assert nights_with(nights, "recurring", FLAPS) == list(range(FLAP, FLAP + STICKY + 1))


def test_the_dead_host_is_missing_since_its_night_and_not_told_twice(nights):
    assert nights_with(nights, "missing", DIES) == list(range(DEATH, 60))
    assert nights_with(nights, "recurring", DIES) == []


def test_nobody_else_is_named_in_any_night(nights):
    named = {(detector, subject) for findings in nights for detector, subjects in findings for subject in subjects}

    assert named == {
        ("regression", DIPS),
        ("regression", STEPS),
        ("drift", SLIDES),
        ("fleet-shift", "fleet"),
        ("recurring", FLAPS),
        ("missing", DIES),
    }


def test_without_anything_wrong_no_night_has_a_finding():
    history = history_from(site(factor={}, fleet_factor=None, facts_at=None, gone={}, seen={}, seed=11))

    assert [night for night in range(60) if told(history, night)] == []
    assert judge_history(history, Limits()).verdict == "HEALTHY"


def test_a_host_that_is_missing_has_no_figures_rather_than_zeros():
    history = history_from(site())
    trend = next(each for each in history.trends if f"{DIES} mlx5_0" in each.subjects)
    values = trend.values[:, trend.subjects.index(f"{DIES} mlx5_0")]

    assert (values[:DEATH] > 300).all()
    assert (values[DEATH:] != values[DEATH:]).all()


def test_the_report_says_since_when_and_by_how_much():
    report = judge_history(history_from(site()), Limits())
    summaries = {finding.detector: finding.summary for finding in report.findings}

    assert summaries["missing"] == "took no part since 2026-02-18 (12 nights)"
    assert "below its own level since 2026-02-11" in summaries["regression"]
    assert report.exit_code == 1
    assert DIES not in report.healthy_hosts
    assert "node04" in report.healthy_hosts


def test_before_there_are_enough_nights_there_is_no_verdict():
    report = judge_history(history_from(site()).until(FIRST_JUDGED - 1), Limits())

    assert report.verdict == "INCONCLUSIVE"
    assert any("too few nights" in gap.reason for gap in report.gaps)


@pytest.mark.parametrize(
    ("detector", "subject", "also"),
    [("regression", STEPS, "drift"), ("missing", DIES, "regression"), ("drift", SLIDES, "missing")],
)
def test_an_acknowledged_finding_is_closed_and_the_others_stay(detector, subject, also):
    known = [Acknowledgement(detector=detector, subject=subject, at=on(59))]
    report = judge_history(history_from(site(), acknowledged=known), Limits())
    detectors = {finding.detector for finding in report.findings}

    assert detector not in detectors
    assert also in detectors


def test_an_acknowledged_flap_opens_again_when_it_is_seen_again():
    flaps = {50: [flap(FLAPS)], 55: [flap(FLAPS)]}
    history = history_from(
        Site(seen=flaps), acknowledged=[Acknowledgement(detector="link-flap", subject=FLAPS, at=on(51))]
    )

    assert ("recurring", (FLAPS,)) not in told(history, 54)
    assert ("recurring", (FLAPS,)) in told(history, 55)


def test_a_level_that_was_accepted_is_told_again_when_it_falls_further():
    def twice(night):
        return 1.0 if night < 20 else 0.9 if night < 45 else 0.8

    known = [Acknowledgement(detector="regression", subject=STEPS, at=on(25))]
    history = history_from(Site(factor={STEPS: twice}), acknowledged=known)

    assert told(history, 44) == set()
    assert told(history, 59) == {("regression", (STEPS,))}


def test_most_nics_of_a_host_are_the_host():
    slower = {f"node03 mlx5_{nic}": share_from(50, 0.9) for nic in range(2)}

    assert told(history_from(Site(factor=slower)), 59) == {("regression", ("node03",))}


def test_a_fleet_that_slows_down_for_no_known_reason_stays_a_finding():
    history = history_from(Site(fleet_factor=share_from(30, 0.92)))
    (finding,) = findings_of(history, Limits())[0]

    assert (finding.detector, finding.severity, finding.hosts) == ("fleet-shift", "degrades", ())


def test_a_collective_that_waits_for_one_slow_nic_is_its_symptom():
    slow = {STEPS: share_from(50, 0.7)}
    digests = [
        replace(
            digest,
            figures=tuple(
                replace(each, value=each.value * (0.7 if night >= 50 else 1.0)) if each.subject == FLEET else each
                for each in digest.figures
            ),
        )
        for night, digest in enumerate(Site(factor=slow).digests())
    ]

    assert told(history_of(rows_of(digests)).history, 59) == {("regression", (STEPS,))}


def test_a_night_that_was_cut_short_counts_neither_as_slow_nor_as_missing():
    history = history_from(Site(nights=20, status={19: RunStatus.INTERRUPTED}))
    findings, gaps = findings_of(history, Limits())

    assert history.last == 18
    assert findings == ()
    assert any("did not run to the end" in gap.reason for gap in gaps)
