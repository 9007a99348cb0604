"""Rates of flows that share links: nobody gets more than a link carries, and what is shared is shared evenly."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from netprobe.sim.flows import NO_LINK, max_min_gbps


def test_a_flow_alone_gets_what_its_narrowest_link_carries():
    links = [np.array([0]), np.array([0])]

    assert max_min_gbps(links, [np.array([400.0]), np.array([200.0])]).tolist() == [200.0]


def test_flows_on_one_uplink_share_it_evenly():
    sends = np.arange(4)
    up = np.zeros(4, dtype=np.int64)

    rates = max_min_gbps([sends, up], [np.full(4, 400.0), np.array([400.0])])

    assert rates.tolist() == [100.0] * 4


def test_what_a_slow_flow_leaves_goes_to_the_others():
    sends, up = np.array([0, 1, 2]), np.zeros(3, dtype=np.int64)

    rates = max_min_gbps([sends, up], [np.array([50.0, 400.0, 400.0]), np.array([400.0])])

    assert rates.tolist() == pytest.approx([50.0, 175.0, 175.0])


def test_a_flow_within_a_leaf_does_not_feel_the_uplinks():
    sends, up = np.array([0, 1]), np.array([0, NO_LINK])

    rates = max_min_gbps([sends, up], [np.array([400.0, 400.0]), np.array([100.0])])

    assert rates.tolist() == [100.0, 400.0]


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 40), st.integers(1, 8), st.integers(0, 10_000))
def test_no_link_carries_more_than_it_can_and_nobody_could_get_more(flows, uplinks, seed):
    random = np.random.default_rng(seed)
    sends, takes = random.integers(0, flows, flows), random.integers(0, flows, flows)
    up = random.integers(-1, uplinks, flows)
    caps = [random.uniform(10, 400, flows), random.uniform(10, 400, flows), random.uniform(10, 400, uplinks)]

    rates = max_min_gbps([sends, takes, up], caps)

    every = (sends, takes, up)
    loads = [np.bincount(used[used >= 0], rates[used >= 0], len(cap)) for used, cap in zip(every, caps, strict=True)]
    assert all((load <= cap + 1e-6).all() for load, cap in zip(loads, caps, strict=True))
    for flow in range(flows):
        full = [
            load[used[flow]] >= cap[used[flow]] - 1e-6
            for used, load, cap in zip(every, loads, caps, strict=True)
            if used[flow] >= 0
        ]
        assert any(full)
