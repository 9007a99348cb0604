"""Leaves are told from their members, switches from uplinks, and what cannot be told is said."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from netprobe.locate.leaf_effects import Reach, fit_leaves

LIMIT = 0.0513
LOSS = -0.4


def fleet(leaves, width, seed=0, noise=0.01):
    """Return all ordered pairs of NICs, their log speeds, and the leaf of each NIC."""
    src, dst = np.nonzero(~np.eye(leaves * width, dtype=bool))
    values = 5.0 + np.random.default_rng(seed).normal(0.0, noise, len(src))
    return src, dst, values, np.repeat(np.arange(leaves), width)


def fit(src, dst, values, leaf_of, **options):
    return fit_leaves(src, dst, values, leaf_of=leaf_of, **{"smallest": LIMIT, "outlier_mads": 5.0, **options})


def told(fit):
    return {(each.leaf, each.other, each.reach, each.sends, each.receives) for each in fit.effects}


@pytest.mark.parametrize("leaves", [1, 2, 3, 4, 8])
def test_a_clean_fabric_names_no_leaf_and_explains_nothing(leaves):
    found = fit(*fleet(leaves, 6))

    assert found.effects == ()
    assert not found.explained.any()


@pytest.mark.parametrize("leaves", [2, 3, 4, 8])
def test_a_leaf_that_is_slow_inside_and_across_is_slow_as_a_whole(leaves):
    src, dst, values, leaf_of = fleet(leaves, 6)
    values = values + LOSS * (leaf_of[src] == 1)

    found = fit(src, dst, values, leaf_of)

    assert told(found) == {(1, None, Reach.WHOLE, True, False)}
    assert found.explained[(leaf_of[src] == 1)] == pytest.approx(LOSS, abs=0.03)
    assert not found.explained[leaf_of[src] != 1].any()


@pytest.mark.parametrize("leaves", [3, 4, 8])
def test_a_leaf_that_is_slow_across_alone_has_lost_uplinks(leaves):
    src, dst, values, leaf_of = fleet(leaves, 6)
    values = values + LOSS * ((leaf_of[src] == 1) != (leaf_of[dst] == 1))

    assert told(fit(src, dst, values, leaf_of)) == {(1, None, Reach.UPLINKS, True, True)}


def test_of_two_leaves_nobody_says_whose_uplinks_are_lost():
    src, dst, values, leaf_of = fleet(2, 6)
    values = values + LOSS * ((leaf_of[src] == 0) & (leaf_of[dst] == 1))

    assert told(fit(src, dst, values, leaf_of)) == {(0, 1, Reach.UPLINKS, True, False)}


def test_a_pair_of_leaves_is_named_where_both_do_well_with_others():
    src, dst, values, leaf_of = fleet(4, 6)
    values = values + LOSS * ((leaf_of[src] == 0) & (leaf_of[dst] == 1))

    assert told(fit(src, dst, values, leaf_of)) == {(0, 1, Reach.UPLINKS, True, False)}


@pytest.mark.parametrize("leaves", [2, 3, 8])
def test_a_fabric_whose_leaves_all_lack_uplinks_alike_names_none_of_them(leaves):
    src, dst, values, leaf_of = fleet(leaves, 6)
    values = values + LOSS * (leaf_of[src] != leaf_of[dst])

    found = fit(src, dst, values, leaf_of)

    assert found.effects == ()
    assert found.is_across_shared
    assert found.across == pytest.approx(LOSS, abs=0.03)


@pytest.mark.parametrize("bad", [1, 2, 3, 6])
def test_a_leaf_is_not_named_for_less_than_70_percent_of_its_members(bad):
    src, dst, values, leaf_of = fleet(4, 10)
    values = values + LOSS * (src < bad)

    assert fit(src, dst, values, leaf_of).effects == ()


def test_a_leaf_of_two_members_is_never_named():
    src, dst, values, leaf_of = fleet(4, 2)
    values = values + LOSS * (leaf_of[src] == 0)

    assert fit(src, dst, values, leaf_of).effects == ()


def test_a_member_that_differs_from_its_slow_leaf_keeps_what_is_its_own():
    src, dst, values, leaf_of = fleet(4, 6)
    values = values + LOSS * (leaf_of[src] == 1) - 0.5 * (src == 8)

    found = fit(src, dst, values, leaf_of)

    assert told(found) == {(1, None, Reach.WHOLE, True, False)}
    assert np.median((values - 5.0 - found.explained)[src == 8]) == pytest.approx(-0.5, abs=0.05)


@given(st.sampled_from(["whole", "uplinks"]), st.integers(3, 6), st.integers(4, 8), st.integers(0, 10_000))
def test_with_half_of_the_pairs_missing_the_answer_is_the_same_or_that_it_cannot_be_told(kind, leaves, width, seed):
    src, dst, values, leaf_of = fleet(leaves, width, seed)
    own = leaf_of[src] == 0
    values = values + LOSS * (own if kind == "whole" else own & (leaf_of[dst] != 0))
    whole = told(fit(src, dst, values, leaf_of))
    kept = np.random.default_rng(seed).random(len(src)) < 0.5

    found = fit(src[kept], dst[kept], values[kept], leaf_of)

    inside = kept & (leaf_of[src] == 0) & (leaf_of[dst] == 0)
    is_untold = {each.reach for each in found.effects} == {Reach.UNTOLD}
    assert told(found) == whole or 0 in found.unjudged or is_untold or not inside.any()


@given(st.integers(2, 5), st.integers(3, 8), st.integers(0, 10_000), st.floats(0.02, 1.0))
def test_a_clean_fabric_names_no_leaf_however_few_pairs_were_measured(leaves, width, seed, share):
    src, dst, values, leaf_of = fleet(leaves, width, seed)
    kept = np.random.default_rng(seed).random(len(src)) < share

    assert fit(src[kept], dst[kept], values[kept], leaf_of).effects == ()


@given(st.integers(0, 10_000))
def test_the_order_of_rows_and_the_numbers_of_leaves_do_not_matter(seed):
    rng = np.random.default_rng(seed)
    src, dst, values, leaf_of = fleet(4, 5, seed)
    values = values + LOSS * (leaf_of[dst] == 2)
    order, names = rng.permutation(len(src)), rng.permutation(4)

    found = fit(src[order], dst[order], values[order], names[leaf_of])

    assert told(found) == {(int(names[2]), None, Reach.WHOLE, False, True)}


def test_ranks_without_a_leaf_are_left_alone():
    src, dst, values, leaf_of = fleet(4, 6)
    leaf_of = np.where(leaf_of == 3, -1, leaf_of)
    values = values + LOSS * (leaf_of[src] == -1)

    found = fit(src, dst, values, leaf_of)

    assert found.effects == ()
    assert not found.explained.any()


@pytest.mark.parametrize(("is_rate", "explained"), [(True, 0.0), (False, LOSS)])
def test_far_pairs_of_few_members_are_a_distance_where_that_is_no_fault(is_rate, explained):
    src, dst, values, leaf_of = fleet(2, 4)
    is_far = leaf_of[src] != leaf_of[dst]
    met = ~is_far | (src == 0) | (dst == 0)
    src, dst, is_far, values = src[met], dst[met], is_far[met], (values + LOSS * is_far)[met]

    found = fit(src, dst, values, leaf_of, is_rate=is_rate)

    assert found.explained[is_far] == pytest.approx(explained, abs=0.03)
    assert not found.explained[~is_far].any()


def test_of_two_leaves_one_slow_nic_does_not_make_its_leaf_the_one_whose_uplinks_are_lost():
    src, dst, values, leaf_of = fleet(2, 4)
    values = values + 2 * LOSS * ((src == 0) | (dst == 0)) + LOSS * (leaf_of[src] != leaf_of[dst])

    found = fit(src, dst, values, leaf_of)

    assert {each.reach for each in found.effects} <= {Reach.UPLINKS}
    assert all(each.other is not None for each in found.effects)
