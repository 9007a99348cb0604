"""Maps of pairs: folding keeps the worst, absent stays absent, and badness grows with what is wrong."""

import numpy as np
import pytest
from exhibit_samples import bandwidth_map, latency_map, loss_map, places
from hypothesis import given
from hypothesis import strategies as st

from netprobe.locate.heat import (
    badness_of,
    binned,
    by_host,
    by_leaf,
    by_rank,
    grid_of,
    in_order_of_leaves,
    speed_of,
    worst_pairs,
)
from netprobe.model.exhibits import Figure


def test_a_cell_of_hosts_is_the_slowest_of_its_pairs():
    spread = places(hosts=2, per_host=2)

    rates = grid_of(bandwidth_map([(0, 2, 300.0), (1, 3, 90.0), (3, 0, 310.0)]), by_host(spread))
    times = grid_of(latency_map([(0, 2, 2000.0), (1, 3, 9000.0)]), by_host(spread))

    assert rates.value[0, 1] == 90.0
    assert rates.value[1, 0] == 310.0
    assert times.value[0, 1] == 9000.0


def test_what_nobody_measured_is_neither_good_nor_bad():
    grid = grid_of(bandwidth_map([(0, 1, 300.0)]), by_rank(places(hosts=3)))

    assert np.isnan(grid.value[1, 0])
    assert np.isnan(grid.badness[2, 2])


def test_a_figure_of_both_directions_is_in_both_cells():
    grid = grid_of(latency_map([(0, 1, 2000.0)]), by_rank(places(hosts=2)))

    assert grid.value[0, 1] == grid.value[1, 0] == 2000.0


def test_losses_of_a_cell_are_those_of_all_its_packets_together():
    grid = grid_of(loss_map([(0, 2, 1e-3, 1000.0), (1, 3, 0.0, 9000.0)]), by_host(places(hosts=2, per_host=2)))

    assert grid.value[0, 1] == pytest.approx(1e-4)


def test_the_smallest_loss_is_told_from_none():
    none, smallest, large = badness_of(Figure.LOSS, np.array([0.0, 1e-12, 0.5]), None)

    assert none == 0.0
    assert 0.1 < smallest < large == 1.0


def test_half_of_the_typical_speed_is_as_bad_as_a_map_shows():
    assert badness_of(Figure.BANDWIDTH, np.array([100.0, 50.0, 10.0, 200.0]), 100.0).tolist() == [0.0, 1.0, 1.0, 0.0]
    assert badness_of(Figure.LATENCY, np.array([2.0, 4.0, 90.0, 1.0]), 2.0).tolist() == [0.0, 1.0, 1.0, 0.0]


def test_ranks_are_called_by_their_nic_and_told_apart_where_they_share_it():
    shared = places(hosts=1, per_host=3, nics=("mlx5_0", "mlx5_0", None))

    assert by_rank(shared).names == ("host0 mlx5_0 (rank 0)", "host0 mlx5_0 (rank 1)", "host0:2")


def test_ranks_of_a_leaf_are_side_by_side_and_those_of_none_last():
    told = places(hosts=4, leaves=("a", "b"), leaf_of=(1, 0, -1, 0))

    assert in_order_of_leaves(told).tolist() == [1, 3, 0, 2]
    assert np.isnan(grid_of(bandwidth_map([(2, 0, 1.0)]), by_leaf(told)).value).all()


def test_an_axis_that_is_too_long_is_binned_and_says_from_where_to_where():
    axis = binned(by_host(places(hosts=10)), 4)

    assert axis.names == ("host0 … host2", "host3 … host5", "host6 … host8", "host9")
    assert binned(by_host(places(hosts=4)), 4).names == ("host0", "host1", "host2", "host3")


def test_the_worst_pairs_come_first_and_pairs_without_loss_are_none_of_them():
    assert worst_pairs(bandwidth_map([(0, 1, 300.0), (1, 0, 90.0)]), 1).tolist() == [1]
    assert worst_pairs(latency_map([(0, 1, 300.0), (1, 2, 90.0)]), 1).tolist() == [0]
    assert worst_pairs(loss_map([(0, 1, 0.0, 10.0), (1, 0, 0.1, 10.0)]), 5).tolist() == [1]


@given(st.lists(st.floats(0.01, 1e4), min_size=1, max_size=30), st.floats(0.01, 1e4))
def test_a_faster_pair_is_never_worse(rates, typical):
    ordered = np.array(sorted(rates))

    badness = badness_of(Figure.BANDWIDTH, ordered, typical)

    assert ((badness >= 0) & (badness <= 1)).all()
    assert (np.diff(badness) <= 0).all()
    assert np.allclose(speed_of(Figure.LATENCY, 1 / ordered, 1 / typical), speed_of(Figure.BANDWIDTH, ordered, typical))


@given(st.integers(1, 40), st.integers(1, 40))
def test_every_group_is_in_exactly_one_bin(hosts, most):
    axis = binned(by_host(places(hosts=hosts)), most)

    assert len(axis.names) <= most
    assert set(axis.group_of.tolist()) == set(range(len(axis.names)))
