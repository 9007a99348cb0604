import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from netprobe.stats.rates import (
    algbw_gigabytes_per_s,
    busbw_gigabytes_per_s,
    excess_as_log,
    log_speed,
    loss_as_log,
    loss_ratio,
    window_gbps,
)
from netprobe.stats.spread import outlier_distance, upper_scale


def test_the_scale_of_normal_distances_is_their_sigma():
    distances = np.abs(np.random.default_rng(1).normal(0.0, 3.0, 20_000))

    assert upper_scale(distances) == pytest.approx(3.0, rel=0.03)


def test_a_few_wild_values_do_not_move_the_scale():
    distances = np.abs(np.random.default_rng(1).normal(0.0, 1.0, 1000))
    wild = np.concatenate([distances, np.full(100, 1e9)])

    assert upper_scale(wild) == pytest.approx(upper_scale(distances), rel=0.2)


def test_few_values_leave_room_for_a_larger_scale():
    few, many = np.ones(4), np.ones(400)

    assert upper_scale(few) > 1.4 * upper_scale(many)
    assert upper_scale(np.array([])) == 0.0


def test_a_tight_fleet_falls_back_on_the_floor_and_a_loose_one_on_its_spread():
    tight, loose = np.full(10, 7.0), np.random.default_rng(1).normal(0.0, 1.0, 1000)

    assert outlier_distance(tight, mads=5, floor=0.05) == 0.05
    assert outlier_distance(loose, mads=5, floor=0.05) == pytest.approx(5.0, rel=0.1)
    assert outlier_distance(np.array([]), mads=5, floor=0.05) == 0.05


@given(st.floats(min_value=0.0, max_value=0.99))
def test_a_loss_survives_the_logarithm(ratio):
    assert loss_ratio(-loss_as_log(ratio)) == pytest.approx(ratio, abs=1e-12)


@given(st.floats(min_value=1.0, max_value=1e12), st.floats(min_value=0.0, max_value=10.0))
def test_an_excess_of_time_is_a_distance_of_log_speeds(elapsed_ns, excess):
    fast, slow = log_speed(np.array([elapsed_ns, elapsed_ns * (1 + excess)]))

    assert fast - slow == pytest.approx(excess_as_log(excess), abs=1e-9)


def test_a_loss_of_everything_is_infinitely_far():
    assert loss_as_log(1.0) == math.inf


def test_a_megabyte_in_twenty_microseconds_is_four_hundred_gigabits():
    assert window_gbps(1_000_000, 20_000) == pytest.approx(400.0)
    assert window_gbps(0, 20_000) is None


@pytest.mark.parametrize(
    ("probe", "ranks", "factor"),
    [
        ("allreduce", 8, 1.75),
        ("allgather", 8, 0.875),
        ("alltoall", 4, 0.75),
        ("broadcast", 8, 1.0),
        ("sendrecv", 8, 1.0),
    ],
)
def test_bus_bandwidth_has_the_factor_of_nccl_tests(probe, ranks, factor):
    algbw = algbw_gigabytes_per_s(probe, 1_000_000, 10_000.0, ranks)

    assert algbw == pytest.approx(100.0)
    assert busbw_gigabytes_per_s(probe, 1_000_000, 10_000.0, ranks) == pytest.approx(100.0 * factor)


@pytest.mark.parametrize(("probe", "ranks"), [("barrier", 8), ("allreduce", 1)])
def test_a_barrier_and_a_lone_rank_have_no_bandwidth(probe, ranks):
    assert algbw_gigabytes_per_s(probe, 8, 100.0, ranks) is None
    assert busbw_gigabytes_per_s(probe, 8, 100.0, ranks) is None
