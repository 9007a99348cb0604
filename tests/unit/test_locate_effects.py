"""The effects model finds culprits, spares victims, and does not depend on how rows or hosts are numbered."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from netprobe.locate.effects import fit_effects
from netprobe.model.plan import Pairing
from netprobe.plan.pairing import drawn_matchings

LIMIT = 0.0513
"""A loss of 5 % in log units."""


def screening(hosts, matchings, seed):
    """Return directed pairs, both ways, of random matchings."""
    pairs = [pair for each in drawn_matchings(hosts, Pairing.SCREENING, matchings, seed) for pair in each]
    forward = np.array(pairs, dtype=np.int64)
    return np.concatenate([forward[:, 0], forward[:, 1]]), np.concatenate([forward[:, 1], forward[:, 0]])


def fit(src, dst, values, hosts, **options):
    return fit_effects(src, dst, values, participants=hosts, **{"smallest": LIMIT, "outlier_mads": 5.0, **options})


def noisy(src, noise, seed):
    return 5.0 + np.random.default_rng(seed).normal(0.0, noise, len(src))


def named(effect):
    return set(np.flatnonzero(effect).tolist())


FLEETS = st.tuples(st.integers(6, 40), st.integers(2, 5), st.integers(0, 10_000))


@given(FLEETS)
def test_a_clean_fleet_blames_nobody(fleet):
    hosts, matchings, seed = fleet
    src, dst = screening(hosts, matchings, seed)

    effects = fit(src, dst, noisy(src, 0.01, seed), hosts)

    assert named(effects.sender) == named(effects.receiver) == set()


@given(FLEETS)
def test_one_slow_sender_is_recovered_in_the_presence_of_noise(fleet):
    hosts, matchings, seed = fleet
    src, dst = screening(hosts, matchings, seed)
    culprit = int(src[0])
    values = noisy(src, 0.01, seed)
    values[src == culprit] -= 0.3

    effects = fit(src, dst, values, hosts)

    if effects.sender_partners[culprit] >= 2:
        assert named(effects.sender) == {culprit}
        assert effects.sender[culprit] == pytest.approx(-0.3, abs=0.06)
    assert named(effects.receiver) == set()


@pytest.mark.parametrize("hosts", [3, 4, 5, 8, 64])
@pytest.mark.parametrize("seed", range(5))
def test_a_host_that_is_slow_both_ways_is_named_in_any_fleet_of_three_or_more(hosts, seed):
    src, dst = screening(hosts, 3, seed)
    culprit = int(src[0])
    values = noisy(src, 0.005, seed) - 0.4 * (src == culprit) - 0.4 * (dst == culprit)

    effects = fit(src, dst, values, hosts)

    assert named(effects.sender) == named(effects.receiver) == {culprit}


@given(FLEETS)
def test_a_single_slow_pair_stays_a_residual_and_blames_nobody(fleet):
    hosts, matchings, seed = fleet
    src, dst = screening(hosts, matchings, seed)
    values = noisy(src, 0.005, seed)
    is_slow = ((src == src[0]) & (dst == dst[0])) | ((src == dst[0]) & (dst == src[0]))
    values[is_slow] -= 0.5

    effects = fit(src, dst, values, hosts)

    if min(effects.sender_partners[src[0]], effects.sender_partners[dst[0]]) >= 2:
        assert named(effects.sender) == named(effects.receiver) == set()
        assert set(np.flatnonzero(effects.residual < -0.4)) == set(np.flatnonzero(is_slow))


@given(FLEETS, st.randoms(use_true_random=False))
def test_neither_the_order_of_rows_nor_the_names_of_hosts_matter(fleet, random):
    hosts, matchings, seed = fleet
    src, dst = screening(hosts, matchings, seed)
    values = noisy(src, 0.01, seed) - 0.3 * (src == src[0]) - 0.2 * (dst == dst[1])
    order = np.array(random.sample(range(len(src)), len(src)))
    label = np.array(random.sample(range(hosts), hosts))

    plain = fit(src, dst, values, hosts)
    mixed = fit(label[src][order], label[dst][order], values[order], hosts)

    np.testing.assert_allclose(mixed.sender[label], plain.sender, atol=1e-9)
    np.testing.assert_allclose(mixed.receiver[label], plain.receiver, atol=1e-9)
    np.testing.assert_allclose(mixed.residual, plain.residual[order], atol=1e-9)


@given(FLEETS, st.floats(min_value=-20.0, max_value=20.0))
def test_scaling_all_values_moves_only_the_baseline(fleet, shift):
    hosts, matchings, seed = fleet
    src, dst = screening(hosts, matchings, seed)
    values = noisy(src, 0.01, seed) - 0.3 * (src == src[0])

    plain, scaled = fit(src, dst, values, hosts), fit(src, dst, values + shift, hosts)

    np.testing.assert_allclose(scaled.sender, plain.sender, atol=1e-9)
    np.testing.assert_allclose(scaled.receiver, plain.receiver, atol=1e-9)
    np.testing.assert_allclose(scaled.baseline, plain.baseline + shift, atol=1e-9)


@given(FLEETS)
def test_what_is_fitted_and_what_is_left_add_up_to_what_was_measured(fleet):
    hosts, matchings, seed = fleet
    src, dst = screening(hosts, matchings, seed)
    values = noisy(src, 0.2, seed)

    effects = fit(src, dst, values, hosts)

    total = effects.baseline + effects.sender[src] + effects.receiver[dst] + effects.residual
    np.testing.assert_allclose(total, values, atol=1e-9)


def test_a_host_whose_partners_are_mostly_slow_is_a_victim():
    # Host 0 meets the slow receivers 1 and 2 and the good host 3; 1 and 2 are slow with everybody.
    pairs = [(0, 1), (0, 2), (0, 3), (4, 1), (5, 1), (4, 2), (5, 2), (4, 3), (5, 3), (6, 3), (6, 4), (3, 5), (1, 6)]
    src, dst = np.array(pairs).T
    values = np.where(np.isin(dst, [1, 2]), -0.5, 0.0)

    effects = fit(src, dst, values, 7)

    assert named(effects.sender) == set()
    assert named(effects.receiver) == {1, 2}


def test_two_slow_receivers_that_met_the_same_two_senders_are_still_told_from_them():
    pairs = [(0, 2), (0, 3), (1, 2), (1, 3), (4, 2), (5, 3), (0, 4), (1, 5), (4, 5), (5, 4), (2, 0), (3, 1)]
    src, dst = np.array(pairs).T
    values = np.where(np.isin(dst, [2, 3]), -0.5, 0.0)

    effects = fit(src, dst, values, 6)

    assert named(effects.sender) == set()
    assert named(effects.receiver) == {2, 3}


def test_one_partner_alone_never_names_anybody():
    src, dst = np.array([(0, 1), (1, 0), (2, 3), (3, 2), (4, 5), (5, 4)]).T

    effects = fit(src, dst, np.array([-0.7, -0.7, 0, 0, 0, 0]), 6)

    assert named(effects.sender) == named(effects.receiver) == set()
    assert effects.residual[:2] == pytest.approx([-0.7, -0.7])


def test_in_a_fleet_that_varies_a_limit_of_percents_is_not_enough():
    src, dst = screening(32, 3, 1)

    effects = fit(src, dst, noisy(src, 0.3, 1), 32)

    assert named(effects.sender) == named(effects.receiver) == set()


def test_flows_that_collide_at_random_name_hardly_anybody():
    named_in = 0
    for seed in range(100):
        src, dst = screening(16, 3, seed)
        collides = np.random.default_rng(seed).random(len(src)) < 0.25
        effects = fit(src, dst, noisy(src, 0.01, seed) - 0.4 * collides, 16)
        named_in += bool(named(effects.sender) | named(effects.receiver))

    assert named_in <= 5  # a plain median of three would name somebody in nearly every fleet


@pytest.mark.parametrize("seed", range(5))
def test_two_hosts_of_eight_that_are_slow_both_ways_are_no_chance(seed):
    src, dst = screening(8, 3, seed)
    culprits = {int(src[0]), int(src[1])}
    is_slow = [np.isin(end, list(culprits)) for end in (src, dst)]

    effects = fit(src, dst, noisy(src, 0.005, seed) - 0.4 * is_slow[0] - 0.4 * is_slow[1], 8)

    assert named(effects.sender) == named(effects.receiver) == culprits


@pytest.mark.parametrize("seed", range(5))
def test_a_round_trip_gives_each_host_one_effect(seed):
    src, dst = screening(16, 3, seed)
    half = len(src) // 2
    src, dst = src[:half], dst[:half]
    culprit = int(src[0])
    values = noisy(src, 0.01, seed) - 0.4 * ((src == culprit) | (dst == culprit))

    effects = fit(src, dst, values, 16, symmetric=True)

    assert named(effects.sender) == named(effects.receiver) == {culprit}
    assert effects.sender_partners.tolist() == [3] * 16


def test_a_slow_rail_is_a_baseline_and_not_a_fleet_of_slow_hosts():
    # Eight hosts with two ranks each: rank 2h + rail; rail 1 runs at half rate everywhere, host 3 is bad on rail 0.
    host_src, host_dst = screening(8, 3, 2)
    src = np.concatenate([2 * host_src, 2 * host_src + 1])
    dst = np.concatenate([2 * host_dst, 2 * host_dst + 1])
    rail = src % 2
    values = noisy(src, 0.005, 3) - 0.7 * rail - 0.3 * (src == 6)

    effects = fit(src, dst, values, 16, group=rail)

    assert named(effects.sender) == {6}
    assert named(effects.receiver) == set()


def test_a_pair_that_was_measured_often_counts_once():
    pairs = [(0, 1)] * 5 + [(0, 2), (0, 3), (1, 2), (2, 3), (3, 1), (1, 3), (2, 1), (3, 2), (1, 0), (2, 0), (3, 0)]
    src, dst = np.array(pairs).T
    values = np.where((src == 0) & (dst == 1), -0.5, 0.0)

    effects = fit(src, dst, values, 4)

    assert effects.sender_partners[0] == 3
    assert named(effects.sender) == named(effects.receiver) == set()


def test_no_rows_give_no_effects():
    nothing = np.array([], dtype=np.int64)

    effects = fit(nothing, nothing, np.array([]), 3)

    assert effects.sender.tolist() == [0.0, 0.0, 0.0]
    assert effects.scale == 0.0
