"""Rounds that load the fabric: who is measured has no part in the load, and everybody draws the same."""

from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from netprobe.model.endpoint import Rank
from netprobe.model.plan import LOADS, RAILS, Plan, Scope, Stage
from netprobe.plan.budget import fitted
from netprobe.plan.loads import FAN_INS, FEWEST_FOR, MOST_LEAVES
from netprobe.plan.profiles import plan_for
from netprobe.plan.rounds import Drawing, assignment_of, rounds_of
from netprobe.plan.screening import screened
from netprobe.registry import probes


def stage(probe, **traits):
    return Stage(id=probe, probe=probe, scope=Scope.BETWEEN_HOSTS, sizes_bytes=(8,), **{"matchings": 2, **traits})


def ranks_on(hosts, rails=1, leaf_of=lambda _host: None):
    return tuple(
        Rank(rank=host * rails + rail, host=f"n{host}", local_index=rail, cpus=(rail,), pid=1, leaf=leaf_of(host))
        for host in range(hosts)
        for rail in range(rails)
    )


def rounds(probe, hosts, *, seed=1, rails=1, leaf_of=lambda _host: None, **traits):
    return rounds_of(stage(probe, **traits), probes()[probe], ranks_on(hosts, rails, leaf_of), seed)


def flows(each):
    return [tuple(ends) for ends in each.flows.tolist()]


@settings(max_examples=40, deadline=None)
@given(
    probe=st.sampled_from(LOADS), hosts=st.integers(1, 40), leaves=st.integers(0, 5), seed=st.integers(0, 99),
    rails=st.integers(1, 3),
)  # fmt: skip
def test_no_flow_ends_where_it_begins_or_comes_twice_and_who_is_measured_carries_none(
    probe, hosts, leaves, seed, rails
):
    drawn = rounds(
        probe, hosts, seed=seed, rails=rails, leaf_of=lambda host: f"leaf{host % leaves}" if leaves else None
    )

    is_able = hosts >= FEWEST_FOR[probe] if probe != RAILS else hosts > 1 and rails > 1
    assert bool(drawn) == is_able
    for each in drawn:
        measured = [end for pair in each.pairs for end in pair]
        assert all(src != dst for src, dst in [*flows(each), *each.pairs])
        assert len(set(flows(each))) == len(flows(each))
        assert len(set(measured)) == len(measured)
        assert not set(measured) & {end for flow in flows(each) for end in flow}
        assert all(src // rails != dst // rails and src % rails == dst % rails for src, dst in flows(each))


@settings(max_examples=25, deadline=None)
@given(hosts=st.integers(4, 40), matchings=st.integers(1, 3))
def test_each_host_is_measured_beside_load_once_in_each_matching_or_but_for_one_of_an_odd_count(hosts, matchings):
    drawn = rounds("loaded_latency", hosts, matchings=matchings)

    loaded = [each for each in drawn if len(each.flows)]
    count = Counter(end for each in loaded for pair in each.pairs for end in pair)
    assert len(drawn) == 3 * len(loaded) == 6 * matchings
    assert max(count.values()) == matchings
    assert sum(count.values()) >= matchings * (hosts - 3)


def test_a_turn_measures_the_same_pairs_alone_beside_load_and_alone_again():
    drawn = rounds("loaded_latency", 12)

    for turn in range(0, len(drawn), 3):
        alone, loaded, again = drawn[turn : turn + 3]
        assert alone.pairs == loaded.pairs == again.pairs
        assert [len(each.flows) > 0 for each in (alone, loaded, again)] == [False, True, False]


@pytest.mark.parametrize(("hosts", "wanted"), [(3, [1, 2]), (4, [1, 2, 3]), (6, [1, 2, 4, 5]), (40, list(FAN_INS))])
def test_an_incast_sweeps_the_senders_of_each_receiver(hosts, wanted):
    fan_ins = [max(Counter(dst for _, dst in flows(each)).values()) for each in rounds("incast", hosts, matchings=1)]

    assert fan_ins == wanted


def test_receivers_of_different_leaves_are_hot_together_where_there_are_hosts_enough():
    drawn = rounds("incast", 72, leaf_of=lambda host: f"leaf{host // 18}", matchings=1)

    assert len(drawn) == len(FAN_INS)
    assert {len({dst for _, dst in flows(each)}) for each in drawn} == {4}


def test_of_many_leaves_only_some_have_a_hot_receiver():
    drawn = rounds("victim", 60, leaf_of=lambda host: f"leaf{host // 3}", matchings=1)

    assert len(drawn) == 3 * MOST_LEAVES


def test_a_victim_ends_on_the_leaf_of_the_hot_receiver_and_begins_with_the_senders():
    leaf = {rank.rank: rank.leaf for rank in ranks_on(16, leaf_of=lambda host: f"leaf{host // 8}")}

    for each in rounds("victim", 16, leaf_of=lambda host: f"leaf{host // 8}")[1::3]:
        ((src, dst),) = each.pairs
        ((hot),) = {to for _, to in flows(each)}
        assert leaf[dst] == leaf[hot] != leaf[src]


def test_a_bisection_cuts_no_leaf_in_two():
    leaf = {rank.rank: rank.leaf for rank in ranks_on(16, leaf_of=lambda host: f"leaf{host % 4}")}

    for each in rounds("bisection", 16, leaf_of=lambda host: f"leaf{host % 4}"):
        one = {leaf[src] for src, _ in flows(each)[:8]}
        assert not one & {leaf[dst] for _, dst in flows(each)[:8]}
        assert Counter(src for src, _ in flows(each)) == Counter(dst for _, dst in flows(each))


def test_every_rank_is_told_its_own_flows():
    (each, *_) = [each for each in rounds("incast", 5) if len(each.flows) == 4]
    hot = flows(each)[0][1]

    told = {rank: assignment_of(each, 0, rank) for rank in range(5)}

    assert set(told[hot].receives_from) == set(range(5)) - {hot}
    assert all(told[rank].sends_to == (hot,) for rank in range(5) if rank != hot)
    assert all(each.has_flows and each.peer is None for each in told.values())


def test_a_screening_for_bad_hosts_adds_no_loads_and_a_budget_takes_some_away():
    plan = plan_for("nightly", budget_ns=10**9)
    drawing = Drawing(ranks_on(16), plan.seed)

    def counted(each):
        return drawing.count(each, probes()[each.probe])

    def matchings(each):
        return [stage.matchings for stage in each.stages if stage.probe in LOADS]

    assert matchings(screened(plan, 16)) == matchings(plan)
    assert sum(matchings(fitted(plan, counted))) < sum(matchings(plan))


def test_ranks_of_one_host_stand_for_hosts_within_it():
    within = replace(stage("incast"), scope=Scope.WITHIN_HOST)

    drawn = rounds_of(within, probes()["incast"], ranks_on(2, rails=4), 1)

    assert [len(each.flows) for each in drawn[:3]] == [2, 4, 6]
    assert all(src // 4 == dst // 4 for each in drawn for src, dst in flows(each))


def test_plans_without_loads_are_those_of_quick_alone():
    planned = {
        name: [each.probe for each in plan_for(name).stages if each.probe in LOADS] for name in ("quick", "pretrain")
    }

    assert planned == {"quick": [], "pretrain": ["loaded_latency", "incast", "victim"]}
    assert isinstance(plan_for("deep"), Plan)


def test_rails_are_filled_one_by_one_and_then_all_at_once_both_ways_between_disjoint_pairs_of_hosts():
    drawn = rounds(RAILS, 4, rails=3, matchings=2)

    assert len(drawn) == 2 * (3 + 1)
    for index, each in enumerate(drawn):
        hosts = [(src // 3, dst // 3) for src, dst in flows(each)]
        used = {src % 3 for src, _ in flows(each)}
        assert used == ({0, 1, 2} if index % 4 == 3 else {index % 4})
        assert {(b, a) for a, b in hosts} == set(hosts)
        assert len(set(map(frozenset, hosts))) == 2
        assert len(flows(each)) == 4 * len(used)


def test_other_matchings_meet_other_partners():
    drawn = rounds(RAILS, 8, rails=2, matchings=3)

    met = [frozenset(frozenset((src // 2, dst // 2)) for src, dst in flows(each)) for each in drawn[2::3]]
    assert len({pair for each in met for pair in each}) == 3 * 4
