"""A run numbers its ranks once, however often they are launched."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from store_samples import fault, series

from netprobe.errors import PlanError
from netprobe.model.endpoint import Rank
from netprobe.plan.pairing import Round
from netprobe.session.crew import crew_of


def met(*hosts):
    """The ranks of a launch, as they meet: one for each host name, in MPI's order."""
    return tuple(
        Rank(rank=number, host=host, local_index=hosts[:number].count(host), cpus=(0,), pid=100 + number)
        for number, host in enumerate(hosts)
    )


ROSTER = (("h1", (0, 1)), ("h2", (2, 3)), ("h3", (4, 5)))
WITHOUT_H2 = crew_of(met("h1", "h1", "h3", "h3"), ROSTER)


def test_the_first_launch_numbers_its_ranks_as_mpi_does():
    crew = crew_of(met("h1", "h2", "h1"), ())

    assert crew.everyone == crew.here == met("h1", "h2", "h1")
    assert crew.numbers == (0, 1, 2)


def test_ranks_keep_their_numbers_when_a_host_is_missing():
    assert WITHOUT_H2.numbers == (0, 1, 4, 5)
    assert [(rank.rank, rank.host) for rank in WITHOUT_H2.here] == [(0, "h1"), (1, "h1"), (4, "h3"), (5, "h3")]
    assert WITHOUT_H2.mpi_rank_of == {0: 0, 1: 1, 4: 2, 5: 3}


def test_those_that_are_missing_are_still_of_the_run():
    assert [rank.rank for rank in WITHOUT_H2.everyone] == [0, 1, 2, 3, 4, 5]
    assert [rank.host for rank in WITHOUT_H2.everyone] == ["h1", "h1", "h2", "h2", "h3", "h3"]
    assert WITHOUT_H2.everyone[2].cpus == ()


def test_hosts_in_another_order_are_still_known():
    assert crew_of(met("h3", "h1", "h3", "h1"), ROSTER).numbers == (4, 0, 5, 1)


@pytest.mark.parametrize("hosts", [("h1", "h4"), ("h1", "h1", "h1")])
def test_somebody_who_was_not_there_at_first_is_refused(hosts):
    with pytest.raises(PlanError, match="was not there when the run began"):
        crew_of(met(*hosts), ROSTER)


def test_a_root_that_is_missing_is_replaced_by_the_first_rank():
    assert WITHOUT_H2.root_of(4) == 2
    assert WITHOUT_H2.root_of(3) == 0


def test_series_carry_the_numbers_of_the_run():
    recorded = series(src=2, dst=1, root=3, faults=(fault(rank=3, peer=2), fault(rank=0, peer=None)))

    told = WITHOUT_H2.numbered(recorded)

    assert (told.src, told.dst, told.root) == (4, 1, 5)
    assert [(each.rank, each.peer) for each in told.faults] == [(5, 4), (0, None)]


def test_a_series_without_a_partner_has_none_afterwards():
    assert WITHOUT_H2.numbered(series(src=2, dst=None)) == replace(series(src=2, dst=None), src=4)


def test_series_of_a_whole_crew_stay_as_they_are():
    recorded = series(src=1, dst=0)

    assert crew_of(met("h1", "h2"), ()).numbered(recorded) is recorded


ROUND = Round(pairs=((0, 4), (2, 1), (5, 3)))


def test_pairs_of_which_an_end_is_missing_sit_out():
    assert WITHOUT_H2.present(ROUND).pairs == ((0, 2),)


def test_pairs_that_are_avoided_sit_out_in_both_directions():
    crew = crew_of(met("h1", "h1", "h2", "h2", "h3", "h3"), ROSTER)

    assert crew.present(ROUND, frozenset({frozenset({"h1", "h2"})})).pairs == ((0, 4), (5, 3))


@st.composite
def relaunches(draw):
    """A run of some hosts, those that are left of it in any order, a round of all ranks, and avoided pairs."""
    sizes = draw(st.lists(st.integers(1, 3), min_size=2, max_size=6))
    starts = [sum(sizes[:index]) for index in range(len(sizes))]
    roster = tuple(
        (f"h{index}", tuple(range(start, start + size)))
        for index, (start, size) in enumerate(zip(starts, sizes, strict=True))
    )
    left = draw(st.lists(st.sampled_from(roster), min_size=1, unique=True))
    present = [host for host, numbers in left for _ in numbers]
    order = draw(st.permutations(range(sum(sizes))))
    pairs = tuple(zip(order[::2], order[1::2], strict=False))
    names = [host for host, _ in roster]
    avoided = draw(st.lists(st.lists(st.sampled_from(names), min_size=2, max_size=2, unique=True), max_size=3))
    return roster, present, Round(pairs=pairs), frozenset(frozenset(pair) for pair in avoided)


@given(relaunches())
def test_a_round_has_all_pairs_that_are_here_and_none_that_is_missing_or_avoided(relaunch):
    roster, present, planned, avoided = relaunch
    crew = crew_of(met(*present), roster)
    host_of = {number: host for host, numbers in roster for number in numbers}

    found = [(crew.numbers[src], crew.numbers[dst]) for src, dst in crew.present(planned, avoided).pairs]

    assert found == [
        (src, dst)
        for src, dst in planned.pairs
        if host_of[src] in present
        and host_of[dst] in present
        and frozenset((host_of[src], host_of[dst])) not in avoided
    ]


@given(relaunches())
def test_every_rank_that_is_here_has_one_number_and_its_own_host(relaunch):
    roster, present, _, _ = relaunch

    crew = crew_of(met(*present), roster)

    assert len(set(crew.numbers)) == len(crew.numbers) == len(present)
    assert [rank.host for rank in crew.here] == present
    assert [rank.rank for rank in crew.everyone] == list(range(sum(len(numbers) for _, numbers in roster)))
    assert all(crew.everyone[rank.rank] is rank for rank in crew.here)


def test_leaves_of_the_first_launch_stay_so_that_the_same_partners_are_drawn_again():
    first = crew_of(met("h1", "h1", "h2", "h2", "h3", "h3"), ())
    moved = tuple(replace(rank, leaf="elsewhere") for rank in met("h1", "h1", "h3", "h3"))

    again = crew_of(moved, ROSTER, ("a", "b", "a", None, "c", "c"))

    assert [rank.leaf for rank in first.everyone] == [None] * 6
    assert [rank.leaf for rank in again.everyone] == ["a", "b", "a", None, "c", "c"]
    assert [rank.leaf for rank in again.here] == ["a", "b", "c", "c"]
