"""Rounds of disjoint pairs."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netprobe.model.plan import Pairing
from netprobe.plan.pairing import Round, both_ways, circle_matchings, matching_count, rounds_between, rounds_within


def pairs_of(rounds):
    return [pair for each in rounds for pair in each.pairs]


def one_rank_hosts(count):
    return [[rank] for rank in range(count)]


@given(st.integers(min_value=0, max_value=41))
def test_the_circle_method_lets_everybody_meet_everybody_exactly_once(participants):
    met = Counter(frozenset(pair) for matching in circle_matchings(participants) for pair in matching)

    assert set(met.values()) <= {1}
    assert len(met) == participants * (participants - 1) // 2


@given(st.integers(2, 40), st.integers(1, 6), st.integers(0, 2**32))
def test_no_rank_is_twice_in_a_round_and_at_most_one_host_sits_out(hosts, matchings, seed):
    rounds = rounds_between(one_rank_hosts(hosts), Pairing.SCREENING, matchings, seed)

    for each in rounds:
        busy = [rank for pair in each.pairs for rank in pair]
        assert len(busy) == len(set(busy))
        assert hosts - len(busy) <= 1


@given(st.integers(2, 40), st.integers(1, 6), st.integers(0, 2**32))
def test_screening_gives_each_host_distinct_partners(hosts, matchings, seed):
    rounds = rounds_between(one_rank_hosts(hosts), Pairing.SCREENING, matchings, seed)

    met = Counter(frozenset(pair) for pair in pairs_of(rounds))
    assert set(met.values()) == {1}


@given(st.integers(3, 39).filter(lambda n: n % 2 == 1), st.integers(2, 5), st.integers(0, 2**32))
def test_with_an_odd_number_of_hosts_nobody_sits_out_twice(hosts, matchings, seed):
    rounds = rounds_between(one_rank_hosts(hosts), Pairing.SCREENING, min(matchings, hosts), seed)

    tested = Counter(rank for pair in pairs_of(rounds) for rank in pair)
    assert min(tested[rank] for rank in range(hosts)) >= len(rounds) - 1


def test_the_same_seed_draws_the_same_partners_and_another_seed_draws_others():
    first, again, other = (rounds_between(one_rank_hosts(32), Pairing.SCREENING, 3, seed) for seed in (7, 7, 8))

    assert list(first) == list(again)
    assert list(first) != list(other)


def test_all_pairs_between_hosts_meets_every_pair_of_hosts_on_every_rail():
    hosts = [[0, 1], [2, 3], [4, 5]]

    met = {frozenset(pair) for pair in pairs_of(rounds_between(hosts, Pairing.ALL_PAIRS, 3, 0))}

    rails = ([0, 2, 4], [1, 3, 5])
    assert met == {frozenset((a, b)) for rail in rails for a in rail for b in rail if a < b}


@given(st.lists(st.integers(1, 6), min_size=1, max_size=6), st.sampled_from(Pairing))
def test_rounds_within_hosts_never_cross_a_host(sizes, pairing):
    first = [sum(sizes[:index]) for index in range(len(sizes))]
    hosts = [list(range(start, start + size)) for start, size in zip(first, sizes, strict=True)]
    home = {rank: index for index, ranks in enumerate(hosts) for rank in ranks}

    rounds = rounds_within(hosts, pairing, 3, 0)

    assert all(home[a] == home[b] for a, b in pairs_of(rounds))
    if pairing is Pairing.ALL_PAIRS:
        assert len(pairs_of(rounds)) == sum(size * (size - 1) // 2 for size in sizes)


def test_one_host_with_one_rank_has_no_rounds():
    assert len(rounds_between([[0]], Pairing.SCREENING, 3, 0)) == 0
    assert len(rounds_within([[0]], Pairing.SCREENING, 3, 0)) == 0


def test_both_ways_follows_each_round_with_its_reverse():
    assert list(both_ways([Round(pairs=((0, 1), (2, 3)))])) == [
        Round(pairs=((0, 1), (2, 3))),
        Round(pairs=((1, 0), (3, 2))),
    ]


@pytest.mark.parametrize("hosts", [2, 3, 8, 1024])
def test_a_screening_of_any_size_takes_the_same_number_of_rounds(hosts):
    rounds = rounds_between(one_rank_hosts(hosts), Pairing.SCREENING, 3, 0)

    assert len(rounds) == min(3, len(circle_matchings(hosts)))


def test_a_round_of_many_pairs_keeps_those_that_are_wholly_among_some_ranks():
    each = Round(pairs=((0, 1), (2, 3), (5, 4)))

    assert each.among({0, 1, 2, 4, 5}).pairs == ((0, 1), (5, 4))
    assert each.reversed().pairs == ((1, 0), (3, 2), (4, 5))


@given(st.integers(0, 30), st.sampled_from(Pairing), st.integers(0, 40))
def test_rounds_are_counted_without_drawing_them(hosts, pairing, count):
    drawn = rounds_between(one_rank_hosts(hosts), pairing, count, 0)

    assert len(list(drawn)) == matching_count(hosts, pairing, count)


def test_all_pairs_of_many_hosts_are_drawn_only_as_far_as_they_are_asked_for():
    rounds = rounds_between(one_rank_hosts(16_000), Pairing.ALL_PAIRS, 3, 0)

    assert len(rounds) == 15_999
    assert len(rounds[15_998].pairs) == 8_000
