"""How many partners a host needs, and what that is good for."""

import random
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netprobe.model.plan import LOADS, Pairing, Scope
from netprobe.plan.pairing import drawn_matchings
from netprobe.plan.profiles import FALSE_BLAME, PROFILES, plan_for
from netprobe.plan.screening import bad_hosts, false_blame, partners_for, screened


@pytest.mark.parametrize(
    ("hosts", "bad", "wanted", "partners"),
    [(101, 1, 1e-3, 2), (101, 2, 1e-3, 2), (101, 2, 1e-4, 3), (8, 1, 1e-2, 3), (4, 1, 1e-6, 3), (2, 1, 1e-2, 1)],
)
def test_partners_are_the_fewest_that_bring_false_blame_below_what_is_wanted(hosts, bad, wanted, partners):
    assert partners_for(hosts, bad, wanted) == partners


@given(st.integers(2, 20_000), st.integers(1, 200), st.floats(1e-9, 0.5))
def test_one_partner_less_would_not_do(hosts, bad, wanted):
    partners = partners_for(hosts, bad, wanted)

    assert false_blame(hosts, bad, partners) < wanted or partners == hosts - 1
    assert partners == 1 or false_blame(hosts, bad, partners - 1) >= wanted


def test_the_formula_is_an_upper_bound_of_what_random_partners_do():
    hosts, bad, partners, trials = 9, 3, 2, 3000
    blamed = 0
    for seed in range(trials):
        met = [
            set(pair) - {0}
            for each in drawn_matchings(hosts, Pairing.SCREENING, partners, seed)
            for pair in each
            if 0 in pair
        ]
        culprits = set(random.Random(seed).sample(range(1, hosts), bad))
        blamed += len(met) == partners and all(other <= culprits for other in met)

    assert 0 < blamed / trials < false_blame(hosts, bad, partners)


def test_a_host_without_partners_is_not_cleared_by_them():
    assert false_blame(1, 1, 3) == false_blame(8, 1, 0) == 1.0


@pytest.mark.parametrize("wanted", [0.0, 1.0, -1.0, float("nan")])
def test_what_is_no_probability_is_refused(wanted):
    with pytest.raises(ValueError, match="no probability"):
        partners_for(8, 1, wanted)


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("hosts", [1, 2, 5, 8, 64, 10_000])
def test_a_profile_has_the_partners_that_its_confidence_wants_and_never_fewer_than_without(profile, hosts):
    plan = plan_for(profile)

    for before, after in zip(plan.stages, screened(plan, hosts).stages, strict=True):
        assert after.matchings >= before.matchings
        is_drawn = after.pairing is Pairing.SCREENING and after.probe not in LOADS
        if after.scope is Scope.BETWEEN_HOSTS and is_drawn and hosts > 1:
            assert after.matchings >= partners_for(hosts, bad_hosts(hosts), FALSE_BLAME[profile])
        else:
            assert after == before


def test_a_plan_of_which_nobody_asked_for_a_confidence_stays_as_it_is():
    plan = replace(plan_for("nightly"), false_blame=None)

    assert screened(plan, 5) is plan
