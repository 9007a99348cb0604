"""How many random partners a host needs, before a good host could look bad only because of them.

A good host is blamed for nothing when all of its k partners are bad. Of b bad hosts among N, drawn at random, that
happens with probability at most (b / (N - 1))^k: partners are distinct, so that each further one is less likely bad.
"""

from dataclasses import replace
from typing import Final

from netprobe.model.plan import LOADS, Pairing, Plan, Scope, Stage

BAD_RATIO: Final = 0.02  # of all hosts, at the same time; a fleet with more has a problem that no screening sorts out


def bad_hosts(hosts: int) -> int:
    """Return for how many bad hosts among so many a screening is planned: two of a hundred, and at least one."""
    return max(1, round(BAD_RATIO * hosts))


def false_blame(hosts: int, bad: int, partners: int) -> float:
    """Return the probability that a good host has bad partners alone; 1 where it has no partner at all."""
    if hosts < 2 or partners < 1:
        return 1.0
    return float(min(bad / (hosts - 1), 1.0) ** partners)


def partners_for(hosts: int, bad: int, wanted: float) -> int:
    """Return the fewest partners of each host that bring false blame below ``wanted``, at most all other hosts.

    ValueError for a probability that is none, or that no number of partners reaches.
    """
    if not 0 < wanted < 1:
        raise ValueError(f"{wanted} is no probability between 0 and 1")
    most = max(hosts - 1, 0)
    return next((count for count in range(1, most) if false_blame(hosts, bad, count) < wanted), most)


def screened(plan: Plan, hosts: int) -> Plan:
    """Return a plan with as many partners as its profile's confidence wants among so many hosts, never fewer."""
    if plan.false_blame is None or hosts < 2:
        return plan
    least = partners_for(hosts, bad_hosts(hosts), plan.false_blame)
    stages = tuple(
        replace(stage, matchings=max(stage.matchings, least)) if _is_screening(stage) else stage
        for stage in plan.stages
    )
    return plan if stages == plan.stages else replace(plan, stages=stages)


def _is_screening(stage: Stage) -> bool:
    is_drawn = stage.scope is Scope.BETWEEN_HOSTS and not stage.rounds and stage.probe not in LOADS
    return is_drawn and stage.pairing is Pairing.SCREENING
