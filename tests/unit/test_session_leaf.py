"""On which leaf switch a rank finds its host."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netprobe.plan.task import Leaf
from netprobe.session.leaf import leaf_of

LEAVES = (Leaf(switch="leaf1", hosts="h[1-2]"), Leaf(switch="leaf2", hosts="h3,H4.cluster"))


def by_slurm(address, pattern):
    return leaf_of("node17", (), {"SLURM_TOPOLOGY_ADDR": address, "SLURM_TOPOLOGY_ADDR_PATTERN": pattern})


@pytest.mark.parametrize(
    ("host", "leaf"),
    [("h1", "leaf1"), ("h3", "leaf2"), ("h1.cluster.org", "leaf1"), ("h4", "leaf2"), ("h5", None), ("h12", None)],
)
def test_a_host_is_on_the_leaf_that_the_user_told(host, leaf):
    assert leaf_of(host, LEAVES, {}) == leaf


def test_a_short_name_that_two_leaves_have_tells_nothing():
    twice = (Leaf(switch="leaf1", hosts="h1.east"), Leaf(switch="leaf2", hosts="h1.west"))

    assert leaf_of("h1", twice, {}) is None
    assert leaf_of("h1.west", twice, {}) == "leaf2"


@pytest.mark.parametrize(
    ("address", "pattern", "leaf"),
    [
        ("spine.leaf1.node17", "switch.switch.node", "leaf1"),
        ("leaf1.node17", "switch.node", "leaf1"),
        ("s[0-1].leaf1.node17", "switch.switch.node", "leaf1"),
        ("node17", "node", None),
        ("block1.node17", "block.node", None),
        ("spine.leaf.1.node17", "switch.switch.node", None),
        (".node17", "switch.node", None),
        ("spine.leaf1.node18", "switch.switch.node", None),
    ],
)
def test_slurm_names_the_switches_from_the_top_down(address, pattern, leaf):
    assert by_slurm(address, pattern) == leaf


def test_without_a_topology_plugin_the_leaf_is_unknown():
    assert leaf_of("h1", (), {}) is None


def test_what_the_user_told_is_not_mixed_with_slurms_names():
    slurm = {"SLURM_TOPOLOGY_ADDR": "spine.s7.h9", "SLURM_TOPOLOGY_ADDR_PATTERN": "switch.switch.node"}

    assert leaf_of("h9", LEAVES, slurm) is None
    assert leaf_of("h9", (), slurm) == "s7"


@given(st.text(), st.text())
def test_any_address_is_a_leaf_or_none(address, pattern):
    assert by_slurm(address, pattern) in (None, *filter(None, address.split(".")))
