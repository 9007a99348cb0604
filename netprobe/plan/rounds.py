"""From a stage and the ranks that came to its rounds; pure, so that every rank computes the same."""

from collections.abc import Sequence

import numpy as np

from netprobe.contracts import Assignment, Probe
from netprobe.errors import PlanError
from netprobe.model.endpoint import Rank, ranks_by_host
from netprobe.model.plan import RAILS, Pairing, Plan, Scope, Stage
from netprobe.model.storage import PHASES
from netprobe.plan.loads import load_rounds
from netprobe.plan.pairing import Round, both_ways, matching_count, rounds_between, rounds_within
from netprobe.plan.rails import rail_rounds
from netprobe.stats.steps import rounds_in

GROUP_ROUND = Round(pairs=())
"""The one round of a collective, in which all ranks work together; and each second of bursts."""


class Drawing:
    """The rounds of all stages of a plan on the same ranks: what stages have in common is drawn once."""

    def __init__(self, ranks: tuple[Rank, ...], seed: int) -> None:
        by_host = ranks_by_host(ranks)
        leaf_of: dict[str, str] = {}
        for rank in ranks:
            if rank.leaf is not None:
                leaf_of.setdefault(rank.host, rank.leaf)
        self.hosts = list(by_host.values())
        """The ranks of each host."""
        self.leaves = tuple(map(leaf_of.get, by_host)) if leaf_of else ()
        """Of each host, that of its first rank that has one; empty where none is known."""
        self._seed = seed
        self._drawn: dict[tuple[Scope, Pairing, int], Sequence[Round]] = {}
        self._counted: dict[tuple[str, Scope, Pairing, int], int] = {}
        """Rounds of loads, which are only known once drawn, and too large to keep."""

    def count(self, stage: Stage, probe: Probe) -> int:
        """Return how many rounds a stage has; those of a load are drawn for it once."""
        if stage.bursts is not None:
            return rounds_in(stage.bursts)
        if probe.is_group:
            return 1 if stage.storage is None else PHASES
        if stage.rounds:
            return len(stage.rounds)
        if probe.is_load:
            key = (stage.probe, stage.scope, stage.pairing, stage.matchings)
            if key not in self._counted:
                self._counted[key] = len(self.rounds(stage, probe))
            return self._counted[key]
        sizes = {len(ranks) for ranks in self.hosts} if stage.scope is Scope.WITHIN_HOST else {len(self.hosts)}
        most = max((matching_count(size, stage.pairing, stage.matchings) for size in sizes), default=0)
        return most * (2 if probe.both_directions else 1)

    def rounds(self, stage: Stage, probe: Probe) -> Sequence[Round]:
        """Return the rounds of a stage; none where its scope has no pair (one host, or one rank on every host)."""
        if stage.bursts is not None:
            return [GROUP_ROUND] * rounds_in(stage.bursts)
        if probe.is_group:
            return [GROUP_ROUND] * self.count(stage, probe)
        if stage.rounds:
            return [Round(pairs=pairs) for pairs in stage.rounds]
        if probe.is_load:
            draw = rail_rounds if stage.probe == RAILS else load_rounds
            return draw(stage, self.hosts, self.leaves, self._seed)
        key = (stage.scope, stage.pairing, stage.matchings)
        if key not in self._drawn:
            self._drawn[key] = self._draw(*key)
        return both_ways(self._drawn[key]) if probe.both_directions else self._drawn[key]

    def _draw(self, scope: Scope, pairing: Pairing, matchings: int) -> Sequence[Round]:
        rounds = (
            rounds_within(self.hosts, pairing, matchings, self._seed)
            if scope is Scope.WITHIN_HOST
            else rounds_between(self.hosts, pairing, matchings, self._seed, self.leaves)
        )
        return list(rounds) if pairing is Pairing.SCREENING else rounds  # all pairs of a fleet are too many to keep


def rounds_of(stage: Stage, probe: Probe, ranks: tuple[Rank, ...], seed: int) -> Sequence[Round]:
    """Return the rounds of a single stage; see Drawing."""
    return Drawing(ranks, seed).rounds(stage, probe)


def assignment_of(each: Round, round_index: int, rank: int) -> Assignment:
    """Return what one rank does in a round."""
    at = np.flatnonzero(each.ends == rank)
    pair, side = divmod(int(at[0]), 2) if len(at) else (0, 0)
    return Assignment(
        round_index=round_index,
        peer=int(each.ends[pair, 1 - side]) if len(at) else None,
        leads=bool(len(at)) and side == 0,
        sends_to=tuple(each.flows[each.flows[:, 0] == rank, 1].tolist()),
        receives_from=tuple(each.flows[each.flows[:, 1] == rank, 0].tolist()),
        has_flows=len(each.flows) > 0,
    )


def refuse_missing_root(plan: Plan, ranks: int) -> None:
    """Raise PlanError when a stage's root is none of so many ranks; pure, so that all ranks raise or none."""
    for stage in plan.stages:
        if stage.root >= ranks:
            raise PlanError(
                f"-r {stage.root} is none of the {ranks} ranks, which are numbered from 0", remedy=f"-r {ranks - 1}"
            )


def planned_pairs(rounds: Sequence[Round]) -> tuple[tuple[int, int], ...]:
    """Return the distinct directed pairs of all rounds, flows among them, sorted."""
    ends = [ends for each in rounds for ends in (each.ends, each.flows)]
    distinct = np.unique(np.concatenate(ends), axis=0) if ends else GROUP_ROUND.ends
    return Round(pairs=distinct).pairs
