"""What trends and comparisons stand on: properties, and numbers that others have computed."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from netprobe.stats.level_steps import steps
from netprobe.stats.trends import fleet_shift, middle, monotony, slope
from netprobe.stats.two_samples import bootstrap_ratio, chance_of_gaps, false_discovery, mann_whitney

values = st.lists(st.one_of(st.none(), st.floats(-5, 5)), min_size=1, max_size=12)


def ones(sample):
    return np.ones(len(sample), dtype=np.int64)


@given(values)
def test_the_middle_is_the_median_of_what_is_known(told):
    column = np.array([np.nan if each is None else each for each in told])[:, None]
    known = column[np.isfinite(column)]

    found = middle(column)[0]

    assert np.isnan(found) if not len(known) else found == pytest.approx(np.median(known))


@given(st.integers(0, 2**32 - 1), st.floats(-0.5, 0.5))
@settings(max_examples=25)
def test_what_all_lose_in_a_night_is_the_fleets_and_leaves_everybody_as_they_were(seed, lost):
    chance = np.random.default_rng(seed)
    logs = chance.normal(0, 0.005, (20, 9)) + chance.normal(0, 1, 9)
    moved = logs.copy()
    moved[12:] += lost

    before, after = logs - fleet_shift(logs)[:, None], moved - fleet_shift(moved)[:, None]

    assert np.diff(after, axis=0) == pytest.approx(np.diff(before, axis=0), abs=0.01)


def test_one_that_loses_alone_is_not_the_fleet():
    logs = np.zeros((20, 5))
    logs[10:, 2] = -0.3

    assert fleet_shift(logs) == pytest.approx(np.zeros(20))


def test_of_two_series_nothing_is_taken_out():
    logs = np.zeros((20, 2))
    logs[10:] = -0.3

    assert fleet_shift(logs) == pytest.approx(np.zeros(20))


@given(st.integers(8, 40), st.integers(0, 2**32 - 1))
@settings(max_examples=25)
def test_a_step_is_found_in_its_night(night, seed):
    series = np.random.default_rng(seed).normal(0, 0.01, 48)
    series[night:] -= 0.2

    (found,) = steps(series[:, None])

    assert found == [night]


def test_steps_are_found_side_by_side_as_one_by_one():
    chance = np.random.default_rng(5)
    logs = chance.normal(0, 0.01, (60, 6))
    logs[20:, 1] -= 0.1
    logs[15:40, 3] += 0.1
    logs[::7, 4] = np.nan

    together = steps(logs)

    assert together == [steps(logs[:, column : column + 1])[0] for column in range(6)]
    assert together[1] == [20]
    assert together[3] == [15, 40]


def test_one_bad_night_is_no_level():
    series = np.random.default_rng(3).normal(0, 0.01, (60, 1))
    series[30] -= 1.0

    assert steps(series) == [[]]


def test_noise_has_no_steps():
    logs = np.random.default_rng(1).normal(0, 0.01, (120, 400))

    assert sum(map(len, steps(logs))) == 0


def test_the_division_into_levels_is_the_best_of_all():
    series = np.array([0.0, 0.1, -0.1, 0.0, 0.05, 3.0, 3.1, 2.9, 3.0, 3.05, 1.0, 1.1, 0.9, 1.0, 0.95]) * 0.1

    assert steps(series[:, None]) == [[5, 10]]


def test_kendalls_s_is_that_of_the_textbook():
    series = np.array([3.0, 1.0, 4.0, 2.0, 6.0, 5.0])
    pairs = sum(np.sign(b - a) for a, b in itertools.combinations(series, 2))

    assert monotony(series[:, None])[0] == pytest.approx((pairs - 1) / np.sqrt(6 * 5 * 17 / 18))


@given(st.floats(-0.01, 0.01), st.lists(st.integers(0, 29), max_size=9, unique=True))
def test_the_slope_is_that_of_the_line_whatever_a_third_of_the_nights_do_not_tell(by_night, absent):
    series = by_night * np.arange(30.0)
    series[absent] = np.nan

    assert slope(series) == pytest.approx(by_night, abs=1e-12)


def test_mann_whitney_is_as_scipy_has_it():
    # scipy.stats.mannwhitneyu(second, first, method="asymptotic"): U 21.5, p 0.07136901092402131
    first, second = np.array([1.0, 2.0, 2.0, 3.0, 4.0]), np.array([2.0, 4.0, 5.0, 6.0, 7.0])

    found = mann_whitney(first, ones(first), second, ones(second))

    assert found.delta == pytest.approx(2 * 21.5 / 25 - 1)
    assert found.p_value == pytest.approx(0.07136901092402131, rel=1e-12)


samples = st.lists(st.integers(0, 20), min_size=3, max_size=30)


@given(samples, samples)
def test_swapping_the_samples_changes_the_sign_and_not_the_chance(first, second):
    a, b = np.array(first, dtype=np.float64), np.array(second, dtype=np.float64)

    one, other = mann_whitney(a, ones(a), b, ones(b)), mann_whitney(b, ones(b), a, ones(a))

    assert one.p_value == pytest.approx(other.p_value)
    assert one.delta == pytest.approx(-other.delta)
    assert 0 <= one.p_value <= 1
    assert -1 <= one.delta <= 1


@given(samples, samples)
def test_counts_are_as_good_as_the_values_one_by_one(first, second):
    def counted(sample):
        value, count = np.unique(np.array(sample, dtype=np.float64), return_counts=True)
        return value, count.astype(np.int64)

    a, b = np.array(first, dtype=np.float64), np.array(second, dtype=np.float64)

    assert mann_whitney(*counted(first), *counted(second)) == mann_whitney(a, ones(a), b, ones(b))


def test_equal_samples_differ_by_chance_alone():
    same = np.array([5.0, 5.0, 5.0])

    found = mann_whitney(same, ones(same), same, ones(same))

    assert (found.p_value, found.delta) == (1.0, 0.0)


def test_benjamini_and_hochbergs_own_example():
    p = np.array([0.0001, 0.0004, 0.0019, 0.0095, 0.0201, 0.0278, 0.0298, 0.0344, 0.0459, 0.3240, 0.4262, 0.5719,
                  0.6528, 0.7590, 1.0])  # fmt: skip

    assert int((false_discovery(p) < 0.05).sum()) == 4


@given(st.lists(st.one_of(st.just(np.nan), st.floats(0, 1)), max_size=20))
def test_a_q_is_never_below_its_p_and_what_was_not_tested_stays_so(told):
    p = np.array(told, dtype=np.float64)

    q = false_discovery(p)

    assert (np.isnan(q) == np.isnan(p)).all()
    assert (q[~np.isnan(q)] >= p[~np.isnan(p)] - 1e-12).all()
    assert (q[~np.isnan(q)] <= 1).all()


def test_of_five_hundred_nics_that_are_well_hardly_any_is_called_changed():
    chance = np.random.default_rng(9)
    residuals = chance.normal(0, 0.01, 3000)
    before, after = (np.median(chance.normal(0, 0.01, (512, 5)), axis=1) for _ in range(2))

    p = chance_of_gaps(after - before, np.full((512, 2), 5), residuals)

    assert int((false_discovery(p) < 0.05).sum()) == 0
    assert 0.3 < float(np.median(p)) < 0.7


def test_a_large_gap_is_never_quite_impossible():
    residuals = np.random.default_rng(9).normal(0, 0.01, 3000)

    (p,) = chance_of_gaps(np.array([5.0]), np.array([[5, 3]]), residuals)

    assert 0 < p < 1e-4


def test_the_interval_of_a_ratio_holds_it():
    chance = np.random.default_rng(2)
    low, high = bootstrap_ratio(chance.normal(400, 4, 60), chance.normal(380, 4, 60))

    assert low < 380 / 400 < high
    assert high - low < 0.02
