"""From a stage and the ranks that came to its rounds; pure, so that every rank computes the same."""

from netprobe.contracts import Assignment, Probe
from netprobe.errors import PlanError
from netprobe.model.endpoint import Rank, ranks_by_host
from netprobe.model.plan import Plan, Scope, Stage
from netprobe.plan.pairing import Round, both_ways, rounds_between, rounds_within

GROUP_ROUND = Round(pairs=())
"""The one round of a collective, in which all ranks work together."""


def rounds_of(stage: Stage, probe: Probe, ranks: tuple[Rank, ...], seed: int) -> list[Round]:
    """Return the rounds of a stage; none where its scope has no pair (one host, or one rank on every host)."""
    if probe.is_group:
        return [GROUP_ROUND]
    if stage.rounds:
        return [Round(pairs=pairs) for pairs in stage.rounds]
    hosts = list(ranks_by_host(ranks).values())
    draw = rounds_within if stage.scope is Scope.WITHIN_HOST else rounds_between
    rounds = draw(hosts, stage.pairing, stage.matchings, seed)
    return both_ways(rounds) if probe.both_directions else rounds


def assignment_of(each: Round, round_index: int, rank: int) -> Assignment:
    """Return what one rank does in a round."""
    for leader, follower in each.pairs:
        if rank == leader:
            return Assignment(round_index=round_index, peer=follower, leads=True)
        if rank == follower:
            return Assignment(round_index=round_index, peer=leader, leads=False)
    return Assignment(round_index=round_index, peer=None, leads=False)


def refuse_missing_root(plan: Plan, ranks: int) -> None:
    """Raise PlanError when a stage's root is none of so many ranks; pure, so that all ranks raise or none."""
    for stage in plan.stages:
        if stage.root >= ranks:
            raise PlanError(
                f"-r {stage.root} is none of the {ranks} ranks, which are numbered from 0", remedy=f"-r {ranks - 1}"
            )


def planned_pairs(rounds: list[Round]) -> tuple[tuple[int, int], ...]:
    """Return the distinct directed pairs of all rounds, sorted."""
    return tuple(sorted({pair for each in rounds for pair in each.pairs}))
