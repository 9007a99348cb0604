"""Near and far pairs tell leaves, and cables that end in the wrong one."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from netprobe.locate.latency_classes import boundary_ns, leaves_by_latency, wiring


def fleet(leaf_of, seed=0):
    """Return all pairs of NICs, and their latencies: 2 µs within a leaf, 2.8 µs across."""
    src, dst = np.triu_indices(len(leaf_of), 1)
    noise = np.random.default_rng(seed).normal(1.0, 0.01, len(src))
    return src, dst, np.where(leaf_of[src] == leaf_of[dst], 2000.0, 2800.0) * noise


def near_of(latency_ns):
    limit_ns = boundary_ns(latency_ns)
    assert limit_ns is not None
    return latency_ns < limit_ns


@given(st.integers(2, 8), st.integers(3, 12), st.integers(0, 1000))
def test_leaves_are_inferred_from_two_classes_of_latency(leaves, width, seed):
    real = np.repeat(np.arange(leaves), width)
    src, dst, latency_ns = fleet(real, seed)

    found = leaves_by_latency(src, dst, near_of(latency_ns), len(real))

    assert (found == real).all()


@given(st.integers(6, 60), st.integers(0, 1000))
def test_latencies_without_a_gap_have_no_classes(count, seed):
    assert boundary_ns(np.random.default_rng(seed).uniform(2000.0, 2050.0, count)) is None


def test_one_outlier_makes_no_class():
    assert boundary_ns(np.append(np.full(50, 2000.0), 9000.0)) is None


def test_nics_that_exchanged_their_leaves_are_found_with_their_new_ones():
    told = np.repeat(np.arange(3), 5)
    real = told.copy()
    real[[2, 7]] = real[[7, 2]]
    src, dst, latency_ns = fleet(real)

    found = wiring(src, dst, near_of(latency_ns), told)

    assert [(each.nic, each.declared, each.found) for each in found.misplaced] == [(2, 0, 1), (7, 1, 0)]


def test_a_nic_that_is_far_from_everybody_has_no_new_leaf():
    told = np.repeat(np.arange(3), 5)
    src, dst, latency_ns = fleet(told)
    latency_ns = np.where((src == 4) | (dst == 4), 2900.0, latency_ns)

    (found,) = wiring(src, dst, near_of(latency_ns), told).misplaced

    assert (found.nic, found.found) == (4, None)


@pytest.mark.parametrize("seed", range(30))
def test_with_half_of_the_pairs_missing_a_swap_is_found_or_not_judged_and_nobody_else_is_named(seed):
    told = np.repeat(np.arange(3), 6)
    real = told.copy()
    real[[2, 8]] = real[[8, 2]]
    src, dst, latency_ns = fleet(real, seed)
    kept = np.random.default_rng(seed).random(len(src)) < 0.5
    src, dst, latency_ns = src[kept], dst[kept], latency_ns[kept]

    found = wiring(src, dst, near_of(latency_ns), told)

    named = {each.nic for each in found.misplaced}
    assert named <= {2, 8}
    assert {2, 8} <= named | set(found.unjudged.tolist())


def test_pairs_that_contradict_a_leaf_leave_it_unknown():
    src, dst = np.triu_indices(8, 1)
    near = np.random.default_rng(3).random(len(src)) < 0.5

    assert (leaves_by_latency(src, dst, near, 8) == -1).all()
