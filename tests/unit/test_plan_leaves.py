"""Partners where leaf switches are known: one on the own leaf, the others on leaves that differ."""

from collections import Counter, defaultdict

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from netprobe.model.plan import Pairing
from netprobe.plan.leaf_matchings import spread_matchings
from netprobe.plan.pairing import rounds_between


def fabric(*sizes):
    """Return the leaf of each host, in an order that says nothing."""
    leaves = [f"leaf{number}" for number, size in enumerate(sizes) for _ in range(size)]
    return leaves[::2] + leaves[1::2]


def partners_of(matchings):
    met = defaultdict(list)
    for each in matchings:
        for a, b in each.tolist():
            met[a].append(b)
            met[b].append(a)
    return met


@pytest.mark.parametrize(("leaves", "size", "count"), [(4, 8, 3), (8, 16, 5), (40, 24, 3), (250, 40, 3)])
def test_each_host_meets_its_own_leaf_once_and_other_leaves_once_each(leaves, size, count):
    leaf = fabric(*[size] * leaves)

    for host, partners in partners_of(spread_matchings(leaf, count, 1)).items():
        met = [leaf[partner] for partner in partners]
        assert met.count(leaf[host]) == 1
        assert len(set(met)) == count


def test_with_two_leaves_alone_partners_on_the_other_differ_all_the_same():
    leaf = fabric(8, 8)

    for host, partners in partners_of(spread_matchings(leaf, 3, 1)).items():
        assert [leaf[each] == leaf[host] for each in partners].count(True) == 1
        assert len(set(partners)) == 3


def test_of_an_odd_leaf_one_host_has_no_neighbour_and_meets_other_leaves_alone():
    leaf = fabric(5, 4, 5)

    met = partners_of(spread_matchings(leaf, 2, 4))
    alone = [host for host, partners in met.items() if leaf[host] not in [leaf[each] for each in partners]]

    assert sorted(leaf[host] for host in alone) == ["leaf0", "leaf2"]


def test_a_single_partner_is_on_another_leaf():
    leaf = fabric(8, 8, 8)

    assert all(leaf[host] != leaf[each] for host, (each,) in partners_of(spread_matchings(leaf, 1, 2)).items())


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.integers(1, 9) | st.just(0), min_size=1, max_size=8),
    st.integers(0, 5),
    st.integers(0, 7),
    st.integers(-(2**70), 2**70),
)
def test_no_host_is_twice_in_a_matching_or_meets_a_partner_twice(sizes, unknown, count, seed):
    leaf = [*fabric(*sizes), *[None] * unknown]

    matchings = spread_matchings(leaf, count, seed)

    if matchings is not None:
        assert len(matchings) == count
        for each in matchings:
            assert len(set(each.ravel().tolist())) == each.size >= len(leaf) - 1
        pairs = Counter(frozenset(pair) for each in matchings for pair in each.tolist())
        assert set(pairs.values()) == {1}


@pytest.mark.parametrize(
    ("leaves", "count"), [([], 3), (fabric(8), 3), ([None] * 8, 3), (["a", "a", *[None] * 6], 3), (fabric(2, 2), 3)]
)
def test_where_leaves_have_nothing_to_say_they_are_not_asked(leaves, count):
    assert spread_matchings(leaves, count, 0) is None


def test_the_same_seed_draws_the_same_partners_on_every_rank_and_another_seed_others():
    leaf = fabric(8, 8, 8)
    first, again, other = ([each.tolist() for each in spread_matchings(leaf, 3, seed)] for seed in (7, 7, 8))

    assert first == again
    assert first != other


def test_the_draw_is_frozen_for_ranks_with_another_numpy():
    assert [each.tolist() for each in spread_matchings(["a", "a", "b", "b", "c", "c"], 2, 20_260_101)] == [
        [[0, 1], [3, 2], [4, 5]],
        [[3, 4], [2, 0], [5, 1]],
    ]


def test_every_rail_of_a_pair_of_hosts_meets_in_the_same_round():
    hosts = [[2 * host, 2 * host + 1] for host in range(8)]
    rounds = rounds_between(hosts, Pairing.SCREENING, 3, 0, fabric(4, 4))

    for each in rounds:
        assert {(a // 2, b // 2) for a, b in each.pairs if a % 2 == 0} == {
            (a // 2, b // 2) for a, b in each.pairs if a % 2 == 1
        }
        assert len(each.pairs) == 8


def test_all_pairs_are_all_pairs_whatever_the_leaves():
    hosts = [[host] for host in range(8)]

    assert len(rounds_between(hosts, Pairing.ALL_PAIRS, 3, 0, fabric(4, 4))) == 7
