"""What leaf-fault and oversubscribed share: the effects of leaves in all tables, by leaf, and who they are of."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from netprobe.detectors._crowded import without_crowded
from netprobe.detectors._wiring import wired_placement
from netprobe.detectors._words import largest_sizes, rate_at, table_title
from netprobe.locate.latency_classes import placement_by_latency
from netprobe.locate.leaf_effects import LeafEffect, LeafFit, Reach
from netprobe.locate.paths import is_latency, leaf_fits
from netprobe.locate.placement import Placement
from netprobe.model.evidence import Evidence, PairTable
from netprobe.model.finding import Confidence, Fact
from netprobe.model.limits import Limits
from netprobe.model.plan import Scope
from netprobe.stats.rates import excess_as_log, log_speed, loss_ratio

IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]

SURE_WITH_LEAVES: Final = 3
"""Other leaves that agree."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LeafCase:
    """One table's word on one leaf, or on a pair of leaves."""

    table: PairTable
    effect: LeafEffect
    normal: float
    """Log speed of a pair that should be as fast."""
    is_bandwidth: bool

    @property
    def loss_ratio(self) -> float:
        """The share of the rate that is lost."""
        return loss_ratio(self.effect.effect)

    @property
    def rates(self) -> tuple[str, str]:
        """What is seen, and what should be."""
        return rate_at(self.table, self.normal + self.effect.effect), rate_at(self.table, self.normal)


@dataclass(frozen=True, slots=True, kw_only=True)
class FitCase:
    """What leaves explain of one rail of one table."""

    table: PairTable
    fit: LeafFit
    inside: float
    """Log speed of pairs within a leaf; NaN where none was measured."""
    leaves: tuple[int, ...]
    """That its pairs are on, as far as they are known."""
    is_bandwidth: bool


def leaves_of(evidence: Evidence) -> Placement:
    """Return where ranks live, with the leaves of their cables; where nobody told any, those that latencies show."""
    placement = wired_placement(evidence)
    return placement if placement.leaves else placement_by_latency(evidence.pairs, placement)


def fit_cases(
    evidence: Evidence, placement: Placement, limits: Limits, *, with_crowded: bool = False
) -> Iterator[FitCase]:
    """Yield the fits of all tables between hosts, mostly without crowded hosts: their pace is the scheduler's.

    ``with_crowded`` keeps their streams, of which the wire sets most.
    """
    largest = largest_sizes(evidence.pairs)
    for table in without_crowded(evidence, placement, keeps_streams=with_crowded):
        if table.scope is not Scope.BETWEEN_HOSTS:
            continue
        for rows, fit in leaf_fits(table, placement, limits):
            leaf = placement.leaf_of
            inner = rows[(leaf[table.src[rows]] == leaf[table.dst[rows]]) & (leaf[table.src[rows]] >= 0)]
            values = log_speed(table.p50_ns[inner]) - fit.explained[np.searchsorted(rows, inner)]
            yield FitCase(
                table=table,
                fit=fit,
                inside=float(np.median(values)) if len(inner) else float("nan"),
                leaves=_known(leaf[table.src[rows]], leaf[table.dst[rows]]),
                is_bandwidth=not is_latency(table) and table.size_bytes == largest[table.sweep],
            )


def _known(near: IntArray, far: IntArray) -> tuple[int, ...]:
    both = np.unique(np.concatenate([near, far]))
    return tuple(both[both >= 0].tolist())


def leaf_cases(fits: Sequence[FitCase], placement: Placement, limits: Limits) -> Iterator[LeafCase]:
    """Yield what is held against leaves; a latency only where distance does not explain it, and a job would notice."""
    for case in fits:
        table, leaf = case.table, placement.leaf_of
        for effect in case.fit.effects:
            rows = _rows_of(effect, leaf[table.src], leaf[table.dst])
            normal = float(np.median(log_speed(table.p50_ns[rows]))) - effect.effect
            told = LeafCase(table=table, effect=effect, normal=normal, is_bandwidth=case.is_bandwidth)
            if not is_latency(table) or _is_no_distance(told, limits):
                yield told


def _rows_of(effect: LeafEffect, near: IntArray, far: IntArray) -> BoolArray:
    """Return the rows that an effect is of, by the leaves of both ends."""
    inside: BoolArray = (near == effect.leaf) & (far == effect.leaf)
    if effect.reach is Reach.INSIDE:
        return inside
    sends: BoolArray = (near == effect.leaf) & (far != effect.leaf) & effect.sends
    receives: BoolArray = (far == effect.leaf) & (near != effect.leaf) & effect.receives
    if effect.other is not None:
        sends, receives = sends & (far == effect.other), receives & (near == effect.other)
    across: BoolArray = sends | receives
    return across


def _is_no_distance(case: LeafCase, limits: Limits) -> bool:
    excess_ns = float(np.exp(-case.normal - case.effect.effect) - np.exp(-case.normal)) / 2
    is_far = case.effect.within == 0.0 and -case.effect.effect < excess_as_log(limits.distance_excess_ratio)
    return excess_ns > limits.latency_excess_floor_ns and not is_far


def leaf_subject(case: LeafCase, placement: Placement) -> str:
    """Return ``leaf leaf1``, or ``leaf leaf1 -> leaf leaf2``."""
    effect = case.effect
    name = f"leaf {placement.leaves[effect.leaf]}"
    if effect.other is None or effect.reach is Reach.INSIDE:
        return name
    return f"{name} {'<->' if effect.receives else '->'} leaf {placement.leaves[effect.other]}"


def verb_of(case: LeafCase) -> str:
    """Return what it does slowly."""
    if is_latency(case.table):
        return "answers late"
    if case.effect.sends and case.effect.receives:
        return "sends and receives slowly"
    return "sends slowly" if case.effect.sends else "receives slowly"


def worst_first(cases: Sequence[LeafCase]) -> list[LeafCase]:
    """Return what is held against one leaf, bandwidth before the rest, and the largest loss first."""
    return sorted(cases, key=lambda each: (not each.is_bandwidth, is_latency(each.table), each.effect.effect))


def leaf_fact(case: LeafCase, placement: Placement) -> Fact:
    """Return a table's word as the figure behind a finding."""
    seen, normal = case.rates
    return Fact(
        metric=f"{table_title(case.table)}, {leaf_subject(case, placement)} {verb_of(case)}",
        observed=f"{seen}, shown by {len(case.effect.members)} of {case.effect.judged} NICs",
        expected=normal,
        basis="what the same partners do with others",
    )


def confidence_of(case: LeafCase, placement: Placement) -> Confidence:
    """Return how sure it is: leaves that agree; less where leaves are inferred, or where it is cannot be told."""
    if placement.are_leaves_inferred:
        return Confidence.LOW
    is_sure = case.effect.witnesses >= SURE_WITH_LEAVES and case.effect.reach is not Reach.UNTOLD
    return Confidence.HIGH if is_sure else Confidence.MEDIUM


def member_hosts(case: LeafCase, placement: Placement) -> tuple[str, ...]:
    """Return the hosts behind the leaf that were measured in this table, in order."""
    ranks = np.flatnonzero(placement.leaf_of == case.effect.leaf)
    present = ranks[np.isin(ranks, np.concatenate([case.table.src, case.table.dst]))]
    return tuple(dict.fromkeys(placement.host(rank) for rank in present.tolist()))


def inferred_words(placement: Placement) -> tuple[str, ...]:
    """Return the doubt that an inferred leaf leaves."""
    return ("leaves are inferred from latencies: --topology FILE says which they are",) * placement.are_leaves_inferred
