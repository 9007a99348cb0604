"""Links that lose are found from paths that share them; where several explain it, none is named alone."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from netprobe.locate.loss_links import LossPaths, Part, links_of
from netprobe.locate.loss_squares import by_least_squares
from netprobe.locate.tomography import by_likelihood

SENT = 200_000.0
BACKGROUND = 1e-7


def paths_of(leaves, width, uplinks=4, seed=0):
    """Return all directed pairs of a fabric, the leaf of each NIC, and the uplink that each flow takes."""
    src, dst = np.nonzero(~np.eye(leaves * width, dtype=bool))
    return src, dst, np.repeat(np.arange(leaves), width), np.random.default_rng(seed).integers(0, uplinks, len(src))


def losing(src, dst, ratio, seed=0):
    lost = np.random.default_rng(seed).poisson(SENT * ratio).astype(np.float64)
    return LossPaths(src=src, dst=dst, sent=np.full(len(src), SENT), lost=lost)


def named(paths, leaf_of, uplinks=4):
    links = links_of(paths, leaf_of, np.full(int(leaf_of.max()) + 1, uplinks))
    return by_likelihood(paths, links, background=BACKGROUND)


def names(culprits):
    return {(each.part, each.first, each.second) for each in culprits}


def test_a_fabric_that_loses_nothing_names_nothing():
    src, dst, leaf_of, _ = paths_of(3, 4)

    assert named(losing(src, dst, np.zeros(len(src))), leaf_of) == ()


def test_losses_of_the_background_name_something_in_one_of_a_hundred_fabrics_at_most():
    src, dst, leaf_of, _ = paths_of(3, 4)
    background = np.full(len(src), BACKGROUND)

    false_alarms = [seed for seed in range(400) if named(losing(src, dst, background, seed), leaf_of)]

    assert len(false_alarms) <= 4


@pytest.mark.parametrize("part", [Part.TX, Part.RX])
@pytest.mark.parametrize("rate", [1e-4, 1e-3, 1e-2])
def test_a_cable_is_named_with_its_direction_and_its_rate(part, rate):
    src, dst, leaf_of, _ = paths_of(3, 4)
    own = (src if part is Part.TX else dst) == 5

    (culprit,) = named(losing(src, dst, rate * own), leaf_of)

    assert (culprit.part, culprit.first, culprit.is_certain) == (part, 5, True)
    assert culprit.ratio == pytest.approx(rate, rel=0.15)
    assert culprit.partners == 11


@pytest.mark.parametrize("part", [Part.UP, Part.DOWN])
def test_one_of_four_uplinks_is_named_by_its_leaf_and_direction(part):
    src, dst, leaf_of, uplink = paths_of(4, 8)
    side = leaf_of[src if part is Part.UP else dst]
    own = (side == 2) & (leaf_of[src] != leaf_of[dst]) & (uplink == 1)

    (culprit,) = named(losing(src, dst, 1e-3 * own), leaf_of)

    assert (culprit.part, culprit.first, culprit.is_one_of, culprit.is_certain) == (part, 2, True, True)
    assert culprit.lossy_rows == own.sum()


def test_of_two_leaves_an_uplink_has_rivals_and_is_no_name():
    src, dst, leaf_of, uplink = paths_of(2, 8)
    own = (leaf_of[src] == 0) & (leaf_of[dst] == 1) & (uplink == 1)

    (culprit,) = named(losing(src, dst, 1e-3 * own), leaf_of)

    kinds = {culprit.part, *(part for part, _, _ in culprit.rivals)}
    assert kinds == {Part.UP, Part.DOWN, Part.JOINT}
    assert not culprit.is_certain


def test_a_pair_that_met_nobody_else_cannot_be_told_from_its_ends():
    src, dst = np.array([0, 1]), np.array([1, 0])

    (culprit,) = named(losing(src, dst, np.array([1e-3, 0.0])), np.array([-1, -1]))

    assert {culprit.part, *(part for part, _, _ in culprit.rivals)} == {Part.TX, Part.RX, Part.PATH}


def test_a_hiccup_of_one_pair_is_a_path_and_blames_no_cable():
    src, dst, leaf_of, _ = paths_of(3, 4)
    paths = losing(src, dst, np.zeros(len(src)))
    paths.lost[(src == 2) & (dst == 9)] = 500.0

    (culprit,) = named(paths, leaf_of)

    assert (culprit.part, culprit.first, culprit.second) == (Part.PATH, 2, 9)


def test_three_faults_at_once_are_told_apart():
    src, dst, leaf_of, uplink = paths_of(4, 8)
    crosses = leaf_of[src] != leaf_of[dst]
    ratio = 1e-3 * (src == 3) + 5e-3 * (dst == 20) + 2e-3 * ((leaf_of[src] == 3) & crosses & (uplink == 0))

    found = named(losing(src, dst, ratio), leaf_of)

    assert names(found) == {(Part.TX, 3, -1), (Part.RX, 20, -1), (Part.UP, 3, -1)}


@given(st.integers(0, 500), st.sampled_from([Part.TX, Part.RX]))
@settings(max_examples=25)
def test_with_half_of_the_paths_missing_the_name_is_the_same_or_has_rivals(seed, part):
    src, dst, leaf_of, _ = paths_of(3, 4)
    kept = np.random.default_rng(seed).random(len(src)) < 0.5
    src, dst = src[kept], dst[kept]
    own = (src if part is Part.TX else dst) == 5

    found = named(losing(src, dst, 1e-3 * own, seed), leaf_of)

    certain = {name for name, each in zip([(c.part, c.first) for c in found], found, strict=True) if each.is_certain}
    assert certain <= {(part, 5)}
    assert bool(found) == bool(own.any())


@given(st.permutations(range(12)))
@settings(max_examples=25)
def test_the_numbers_of_nics_do_not_matter(order):
    src, dst, leaf_of, _ = paths_of(3, 4)
    paths = losing(src, dst, 1e-3 * (src == 5))
    number = np.array(order)
    renamed = LossPaths(src=number[src], dst=number[dst], sent=paths.sent, lost=paths.lost)
    leaves = np.empty_like(leaf_of)
    leaves[number] = leaf_of

    assert names(named(renamed, leaves)) == {(Part.TX, order[5], -1)}


@given(st.integers(0, 500))
@settings(max_examples=15)
def test_paths_that_sent_as_much_are_judged_as_those_that_sent_nearly_as_much(seed):
    src, dst, leaf_of, uplink = paths_of(4, 4, seed=seed)
    crosses = leaf_of[src] != leaf_of[dst]
    ratio = 3e-3 * (crosses & (leaf_of[src] == 1) & (uplink == 1)) + 2e-3 * (src == 2)
    paths = losing(src, dst, ratio, seed=seed)
    nearly = replace(paths, sent=paths.sent * (1 + 1e-12 * np.arange(len(src))))

    alike, apart = named(paths, leaf_of), named(nearly, leaf_of)

    assert names(alike) == names(apart) != set()
    assert [each.rivals for each in alike] == [each.rivals for each in apart]


def test_least_squares_finds_a_single_bad_cable_too():
    src, dst, leaf_of, _ = paths_of(3, 4)
    paths = losing(src, dst, 1e-3 * (src == 5))
    links = links_of(paths, leaf_of, np.full(3, 4))

    found = by_least_squares(paths, links, background=BACKGROUND, smallest=5e-5)

    assert (found[0].part, found[0].first) == (Part.TX, 5)
    assert found[0].ratio == pytest.approx(1e-3, rel=0.3)
