"""Two speeds in one series are seen, and long tails are one."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from netprobe.model.histogram import histogram_of
from netprobe.stats.modes import modes_of
from netprobe.stats.quantiles import FlatHistograms


def flat(*rows):
    values = [np.maximum(np.asarray(row), 1).astype(np.int64) for row in rows]
    told = [histogram_of(each) for each in values]
    return FlatHistograms(
        bins=np.concatenate([each.bins for each in told]),
        counts=np.concatenate([each.counts for each in told]),
        lengths=np.array([len(each.bins) for each in told]),
        min_ns=np.array([each.min() for each in values], dtype=float),
        max_ns=np.array([each.max() for each in values], dtype=float),
    )


def two_paths(random, count, *, share, ratio, spread=0.03):
    middle = np.where(random.random(count) < share, 4000.0 * ratio, 4000.0)
    return middle * np.exp(random.normal(0, spread, count))


@settings(max_examples=30)
@given(st.integers(0, 10**6), st.floats(0.15, 0.85), st.floats(1.35, 4.0))
def test_two_speeds_are_told_with_their_weights(seed, share, ratio):
    modes = modes_of(flat(two_paths(np.random.default_rng(seed), 3000, share=share, ratio=ratio)))

    assert modes.low_ns[0] == pytest.approx(4000, rel=0.03)
    assert modes.high_ns[0] == pytest.approx(4000 * ratio, rel=0.03)
    assert modes.high_share[0] == pytest.approx(share, abs=0.05)


TAILS = {
    "log-normal": lambda random, scale, count: 4000 * np.exp(random.normal(0, scale, count)),
    "exponential": lambda random, scale, count: 3000 + random.exponential(4000 * scale, count),
    "Pareto": lambda random, scale, count: 3000 * (1 + random.pareto(1 / scale, count)),
    "gamma": lambda random, scale, count: 3000 + random.gamma(2, 2000 * scale, count),
    "uniform": lambda random, scale, count: random.uniform(1000, 1000 + 9000 * scale, count),
    "coarse clock": lambda random, scale, count: (
        np.round((200 + random.exponential(100 * scale, count)) / 41.67) * 41.67
    ),
}


@pytest.mark.parametrize("tail", TAILS)
@settings(max_examples=40)
@given(seed=st.integers(0, 10**6), scale=st.floats(0.02, 1.0), count=st.sampled_from([50, 200, 1000, 8000]))
def test_one_hump_with_any_tail_is_one_speed(tail, seed, scale, count):
    modes = modes_of(flat(TAILS[tail](np.random.default_rng(seed), scale, count)))

    assert np.isnan(modes.high_ns[0])


def test_each_row_is_told_of_by_itself_and_only_those_that_are_asked_for():
    random = np.random.default_rng(1)
    double, single = two_paths(random, 2000, share=0.5, ratio=2), two_paths(random, 2000, share=0.0, ratio=2)

    assert np.isfinite(modes_of(flat(single, double, single, double)).low_ns).tolist() == [False, True, False, True]
    among = np.array([True, False])
    assert np.isnan(modes_of(flat(double, double), among).low_ns).tolist() == [False, True]


def test_no_rows_have_no_modes():
    nothing = np.zeros(0, dtype=np.int64)
    empty = FlatHistograms(bins=nothing, counts=nothing, lengths=nothing, min_ns=np.zeros(0), max_ns=np.zeros(0))

    assert len(modes_of(empty).low_ns) == 0
