"""Jain's index: 1 where all get the same, one over n where one gets everything."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from netprobe.stats.fairness import jain_index

RATES = st.lists(st.floats(0.001, 1e6), min_size=1, max_size=20)


def index_of(rates):
    return float(jain_index(np.array(rates), np.zeros(len(rates), dtype=np.int64), 1)[0])


@given(RATES)
def test_the_index_lies_between_one_over_n_and_one(rates):
    assert 1 / len(rates) - 1e-9 <= index_of(rates) <= 1 + 1e-9


@given(RATES, st.floats(0.01, 100))
def test_the_index_knows_no_unit(rates, factor):
    assert index_of([factor * rate for rate in rates]) == pytest.approx(index_of(rates))


@given(st.floats(0.001, 1e6), st.integers(1, 20))
def test_equal_shares_are_fair(rate, senders):
    assert index_of([rate] * senders) == pytest.approx(1.0)


def test_hand_computed_values():
    assert index_of([1, 0, 0, 0]) == 0.25
    assert index_of([3, 1]) == pytest.approx(16 / 20)


def test_where_nothing_moves_nothing_is_said():
    told = jain_index(np.array([0.0, 0.0, 5.0]), np.array([0, 0, 2]), 3)

    assert np.isnan(told[:2]).all()
    assert told[2] == 1.0
