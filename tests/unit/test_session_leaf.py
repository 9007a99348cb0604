"""On which leaf switch a rank finds its host."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netprobe.errors import PlanError
from netprobe.model.endpoint import Rank
from netprobe.model.topology import Leaf
from netprobe.session.leaf import directory_of, leaf_by_slurm, placed, refuse_foreign

LEAVES = (Leaf(switch="leaf1", hosts="h[1-2]"), Leaf(switch="leaf2", hosts="h3,H4.cluster"))


def by_slurm(address, pattern):
    return leaf_by_slurm("node17", {"SLURM_TOPOLOGY_ADDR": address, "SLURM_TOPOLOGY_ADDR_PATTERN": pattern})


def leaf_of(host, leaves, place=0):
    return directory_of(leaves).leaf_of(host, place)


def rank(number, host, place=0, leaf=None):
    return Rank(rank=number, host=host, local_index=place, cpus=(), pid=1, leaf=leaf)


@pytest.mark.parametrize(
    ("host", "leaf"),
    [("h1", "leaf1"), ("h3", "leaf2"), ("h1.cluster.org", "leaf1"), ("h4", "leaf2"), ("h5", None), ("h12", None)],
)
def test_a_host_is_on_the_leaf_that_the_user_told(host, leaf):
    assert leaf_of(host, LEAVES) == leaf


def test_a_short_name_that_two_leaves_have_tells_nothing():
    twice = (Leaf(switch="leaf1", hosts="h1.east"), Leaf(switch="leaf2", hosts="h1.west"))

    assert leaf_of("h1", twice) is None
    assert leaf_of("h1.west", twice) == "leaf2"


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
    assert leaf_by_slurm("h1", {}) is None


def test_what_the_user_told_is_not_mixed_with_slurms_names():
    ranks = (rank(0, "h9", leaf="s7"), rank(1, "h1", leaf="s7"))

    assert [each.leaf for each in placed(ranks, LEAVES)] == [None, "leaf1"]
    assert placed(ranks, ()) == ranks


def test_each_rank_is_on_the_leaf_of_its_own_rail():
    rails = (
        Leaf(switch="r0", hosts="h[1-2]", rail=0),
        Leaf(switch="r1", hosts="h[1-2].cluster", rail=1),
        Leaf(switch="r1", hosts="h2", rail=1),
        Leaf(switch="all", hosts="h3"),
    )

    assert [leaf_of("h2", rails, place) for place in range(3)] == ["r0", "r1", None]
    assert [leaf_of("h3", rails, place) for place in range(3)] == ["all"] * 3


def test_a_topology_of_another_cluster_is_refused_with_names_of_both():
    strangers = tuple(rank(number, f"gpu{number}") for number in range(5))

    with pytest.raises(PlanError, match=r"\(gpu0, gpu1, gpu2, …\); it has h\[1-2\] on leaf1"):
        refuse_foreign(placed(strangers, LEAVES), LEAVES)
    refuse_foreign(placed((*strangers, rank(5, "h1")), LEAVES), LEAVES)
    refuse_foreign(strangers, ())


@given(st.text(), st.text())
def test_any_address_is_a_leaf_or_none(address, pattern):
    assert by_slurm(address, pattern) in (None, *filter(None, address.split(".")))
