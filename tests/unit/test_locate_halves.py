"""Whose fault is it when all that crosses a link loses? The link's: a host loses with its neighbours too."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from netprobe.locate.halves import halves


def judged(hosts, loses, counted=lambda a, b: True):
    pairs = [(a, b) for a in range(hosts) for b in range(hosts) if a != b]
    src, dst = np.array(pairs).T
    return halves(
        src, dst, np.array([counted(a, b) for a, b in pairs]), np.array([bool(loses(a, b)) for a, b in pairs])
    )


@pytest.mark.parametrize(
    ("loses", "both_ways", "outward"),
    [
        (lambda a, b: a % 2 != b % 2, True, True),
        (lambda a, b: a % 2 == 0 and b % 2 == 1, False, True),
        (lambda a, b: a % 2 == 1 and b % 2 == 0, False, False),
    ],
)
def test_what_joins_two_groups_is_named_with_its_direction(loses, both_ways, outward):
    found = judged(4, loses)

    assert (found.first.tolist(), found.second.tolist()) == ([0, 2], [1, 3])
    assert (found.both_ways, found.outward) == (both_ways, outward)
    assert len(found.rows) == (8 if both_ways else 4)


@given(bad=st.integers(0, 5), sends=st.booleans())
def test_a_single_host_that_loses_is_no_half(bad, sends):
    assert judged(6, lambda a, b: (a if sends else b) == bad) is None


def test_without_a_loss_there_are_no_halves():
    assert judged(6, lambda a, b: False) is None


def test_two_islands_that_never_met_are_no_halves():
    assert judged(4, lambda a, b: False, counted=lambda a, b: a % 2 == b % 2) is None


def test_when_few_of_those_between_lose_the_link_is_not_to_blame():
    assert judged(6, lambda a, b: (a, b) in ((0, 1), (1, 0))) is None


@given(hosts=st.integers(4, 12), split=st.integers(2, 10))
def test_every_split_into_two_groups_is_found(hosts, split):
    found = judged(hosts, lambda a, b: (a < split) != (b < split))

    if 2 <= split <= hosts - 2:
        assert found.first.tolist() == list(range(split))
    else:
        assert found is None
