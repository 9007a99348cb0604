"""Plans, budgets, rounds of stages, and the token that carries a plan to the ranks."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from netprobe.errors import PlanError
from netprobe.model.endpoint import Rank
from netprobe.model.plan import Scope
from netprobe.plan.budget import SHORTEST_SERIES_NS, expected_ns, fitted
from netprobe.plan.profiles import PROFILES, plan_for
from netprobe.plan.rounds import Drawing, assignment_of, planned_pairs, rounds_of
from netprobe.plan.task import Task, decode, encode
from netprobe.registry import probes
from netprobe.units import NS_PER_S


def fleet(hosts, ranks_per_host=1):
    return tuple(
        Rank(rank=host * ranks_per_host + local, host=f"n{host}", local_index=local, cpus=(local,), pid=1)
        for host in range(hosts)
        for local in range(ranks_per_host)
    )


def round_count(ranks):
    return lambda stage: len(rounds_of(stage, probes()[stage.probe], ranks, 0))


@pytest.mark.parametrize("profile", PROFILES)
def test_every_profile_names_known_probes_and_distinct_stages(profile):
    plan = plan_for(profile)

    assert {stage.probe for stage in plan.stages} <= set(probes())
    assert len({stage.id for stage in plan.stages}) == len(plan.stages)


def test_an_unknown_profile_is_refused_with_the_known_ones():
    with pytest.raises(PlanError, match="quick, pretrain"):
        plan_for("quik")


def test_the_quick_profile_fits_fifteen_seconds_on_a_laptop():
    assert expected_ns(plan_for("quick"), round_count(fleet(1, 2))) <= 15 * NS_PER_S


@given(st.integers(5, 600), st.integers(2, 64))
def test_a_budget_is_kept_unless_nothing_can_be_shortened_further(budget_s, hosts):
    count = round_count(fleet(hosts))

    plan = fitted(plan_for("pretrain", budget_ns=budget_s * NS_PER_S), count)

    within = expected_ns(plan, count) <= budget_s * NS_PER_S * 1.001
    at_the_floor = all(stage.series_budget_ns == SHORTEST_SERIES_NS and stage.matchings == 1 for stage in plan.stages)
    assert within or at_the_floor


@settings(max_examples=15)
@given(st.integers(30, 600))
def test_bursts_are_shortened_with_all_else_in_whole_seconds_and_that_is_told(budget_s):
    count = round_count(fleet(16))
    whole = plan_for("nightly", budget_ns=budget_s * NS_PER_S)

    plan = fitted(whole, count)

    (bursts,) = [stage.bursts for stage in plan.stages if stage.bursts]
    assert 3 * NS_PER_S <= bursts.length_ns <= 15 * NS_PER_S
    assert bursts.length_ns % NS_PER_S == 0
    assert any("bursts of 15.0 s cut to" in each for each in plan.dropped) == (bursts.length_ns < 15 * NS_PER_S)


def test_a_plan_without_a_budget_is_left_alone():
    plan = plan_for("nightly")

    assert fitted(plan, round_count(fleet(512))) is plan


def test_a_generous_budget_changes_no_stage():
    plan = plan_for("quick", budget_ns=3600 * NS_PER_S)

    assert fitted(plan, round_count(fleet(8))).stages == plan.stages


def test_pairs_are_drawn_within_and_between_hosts_apart():
    ranks = fleet(4, ranks_per_host=2)
    host = {rank.rank: rank.host for rank in ranks}

    for stage in plan_for("quick").stages:
        pairs = planned_pairs(rounds_of(stage, probes()[stage.probe], ranks, 0))
        crossing = [host[a] != host[b] for a, b in pairs]
        assert not any(crossing) if stage.scope is Scope.WITHIN_HOST else all(crossing)


def test_one_way_probes_are_measured_in_both_directions():
    stage = next(stage for stage in plan_for("quick").stages if stage.id == "bandwidth-between-hosts")

    pairs = planned_pairs(rounds_of(stage, probes()["bandwidth"], fleet(5), 0))

    assert set(pairs) == {(b, a) for a, b in pairs}


def test_each_rank_finds_its_peer_and_role_in_a_round():
    stage = next(stage for stage in plan_for("quick").stages if stage.id == "latency-between-hosts")
    ranks = fleet(3)
    each = rounds_of(stage, probes()["latency"], ranks, 0)[0]

    assignments = {rank.rank: assignment_of(each, 4, rank.rank) for rank in ranks}

    ((leader, follower),) = each.pairs
    (idle,) = {0, 1, 2} - {leader, follower}
    assert (assignments[leader].peer, assignments[leader].leads) == (follower, True)
    assert (assignments[follower].peer, assignments[follower].leads) == (leader, False)
    assert assignments[idle].peer is None


@pytest.mark.parametrize("profile", PROFILES)
def test_a_plan_survives_the_argument_list(profile):
    plan = plan_for(profile, budget_ns=NS_PER_S)

    task = Task(plan=plan, excluded=("mlx5_0", "eth0; touch x"))

    token = encode(task)

    assert decode(token) == task
    assert token.isascii()
    assert not set(token) & set(" '\"$`\\&|;<>*?()")


@pytest.mark.parametrize("token", ["", "x", "AAAA", "not a token"])
def test_a_damaged_token_is_one_clear_error(token):
    with pytest.raises(PlanError, match="damaged"):
        decode(token)


def test_all_pairs_on_request_replaces_the_random_partners_of_every_stage():
    ranks = fleet(9)
    stage = next(stage for stage in plan_for("quick", all_pairs=True).stages if stage.id == "latency-between-hosts")

    assert len(planned_pairs(rounds_of(stage, probes()["latency"], ranks, 0))) == 9 * 8 // 2


@given(
    st.lists(st.integers(1, 4), min_size=1, max_size=6), st.sampled_from(sorted(PROFILES)), st.booleans(), st.booleans()
)
def test_rounds_are_counted_as_they_are_drawn(sizes, profile, with_leaves, all_pairs):
    places = [(host, place) for host, size in enumerate(sizes) for place in range(size)]
    ranks = tuple(
        Rank(
            rank=number,
            host=f"n{host}",
            local_index=place,
            cpus=(),
            pid=1,
            leaf=f"leaf{host // 2}" if with_leaves else None,
        )
        for number, (host, place) in enumerate(places)
    )
    drawing = Drawing(ranks, 7)

    for stage in plan_for(profile, all_pairs=all_pairs).stages:
        rounds = drawing.rounds(stage, probes()[stage.probe])
        assert drawing.count(stage, probes()[stage.probe]) == len(list(rounds))
        assert list(rounds) == list(rounds_of(stage, probes()[stage.probe], ranks, 7))
