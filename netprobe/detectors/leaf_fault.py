"""A leaf switch that is slow as a whole: one fault of the switch, and not one of each host behind it.

Does not handle: losses of a leaf (packet-loss names those, most hosts of a leaf as one); a fabric whose leaves nobody
tells, and that latencies do not show.
"""

from collections.abc import Iterator, Sequence
from typing import Final

import numpy as np

from netprobe.contracts import Detector
from netprobe.detectors._leaves import (
    FitCase,
    LeafCase,
    confidence_of,
    fit_cases,
    inferred_words,
    leaf_cases,
    leaf_fact,
    leaf_subject,
    leaves_of,
    member_hosts,
    verb_of,
    worst_first,
)
from netprobe.detectors._words import MOST_FACTS, between_hosts, largest_sizes, listed, percent, table_title
from netprobe.locate.leaf_effects import Reach
from netprobe.locate.leaf_rows import FEWEST_MEMBERS
from netprobe.locate.paths import host_effects, is_latency
from netprobe.locate.placement import Placement
from netprobe.model.evidence import Evidence
from netprobe.model.finding import Finding, Gap, Severity
from netprobe.model.limits import Limits

ID: Final = "leaf-fault"
TOPOLOGY: Final = "--topology FILE, lines as in Slurm's topology.conf"


def detect(evidence: Evidence, limits: Limits) -> Iterator[Finding | Gap]:
    """Name leaves most of whose NICs are slow, within the leaf as well as far as was measured."""
    placement = leaves_of(evidence)
    if len(placement.leaves) < 2:
        yield from _unknown(evidence, placement, limits)
        return
    fits = list(fit_cases(evidence, placement, limits))
    by_leaf: dict[int, list[LeafCase]] = {}
    for case in leaf_cases(fits, placement, limits):
        if _is_ours(case):
            by_leaf.setdefault(case.effect.leaf, []).append(case)
    for cases in by_leaf.values():
        yield _finding(worst_first(cases), placement, limits)
    yield from _unjudged(fits, placement, set(by_leaf))


def _is_ours(case: LeafCase) -> bool:
    """Return whether it is of the leaf as a whole; what is slow across alone is of its uplinks (oversubscribed)."""
    is_one_leaf = case.effect.other is None or case.effect.reach is Reach.INSIDE
    return is_one_leaf and (case.effect.reach is not Reach.UPLINKS or is_latency(case.table))


def _finding(cases: list[LeafCase], placement: Placement, limits: Limits) -> Finding:
    main = cases[0]
    seen, normal = main.rates
    effect, subject = main.effect, leaf_subject(main, placement)
    blocks = any(case.is_bandwidth and case.loss_ratio > limits.host_block_ratio for case in cases)
    return Finding(
        detector=ID,
        severity=Severity.BLOCKS if blocks else Severity.DEGRADES,
        confidence=confidence_of(main, placement),
        subjects=(subject,),
        hosts=member_hosts(main, placement),
        summary=f"{verb_of(main)}, by {percent(main.loss_ratio)}: {seen} of {normal} ({table_title(main.table)}), "
        f"shown by {len(effect.members)} of {effect.judged} of its NICs, one fault and not {len(effect.members)}",
        facts=tuple(leaf_fact(case, placement) for case in cases)[:MOST_FACTS],
        excluded=tuple(_excluded(main)),
        next_action=f"look at {subject.removeprefix('leaf ')} itself: line card, power, temperature, its configuration "
        f"and last change{_doubt(main, placement)}",
        retest="netprobe check --all-pairs",
    )


def _excluded(case: LeafCase) -> Iterator[str]:
    effect = case.effect
    yield f"single hosts (most NICs of the leaf show it alike, with partners on {effect.witnesses} other leaves)"
    if effect.reach is Reach.WHOLE:
        yield "its uplinks alone (pairs within the leaf are slow as well)"
    if effect.reach is Reach.INSIDE:
        yield "its uplinks (pairs that cross them are normal)"
    if effect.sends != effect.receives:
        yield f"the other direction (its NICs {'receive' if effect.sends else 'send'} normally)"


def _doubt(case: LeafCase, placement: Placement) -> str:
    doubts = list(inferred_words(placement))
    if case.effect.reach is Reach.UNTOLD:
        doubts.append("not excluded: its uplinks (no pair within the leaf was measured)")
    return "".join(f"; {doubt}" for doubt in doubts)


def _unjudged(fits: Sequence[FitCase], placement: Placement, told: set[int]) -> Iterator[Gap]:
    rates = [case for case in fits if case.is_bandwidth] or list(fits)
    if not rates:
        return
    leaves = range(len(placement.leaves))
    blind = [leaf for leaf in leaves if leaf not in told and all(leaf in case.fit.unjudged for case in rates)]
    names = [placement.leaves[leaf] for leaf in blind if (placement.leaf_of == leaf).sum() >= FEWEST_MEMBERS]
    if names:
        yield Gap(
            topic=ID,
            reason=f"whether a leaf is slow cannot be told of {listed(names)}: too few of its NICs were measured with "
            "two of other leaves",
            remedy="netprobe check --all-pairs, or a longer --budget",
        )


def _unknown(evidence: Evidence, placement: Placement, limits: Limits) -> Iterator[Gap]:
    """Say that slow hosts may share a leaf; nothing where fewer hosts are slow than a leaf would make."""
    largest = largest_sizes(evidence.pairs)
    slow: dict[str, None] = {}
    for table in between_hosts(evidence):
        if is_latency(table) or table.size_bytes != largest[table.sweep] or len(placement.hosts) < 2 * FEWEST_MEMBERS:
            continue
        effects = host_effects(table, placement, limits)
        low = np.flatnonzero(np.minimum(effects.sender, effects.receiver) < 0)
        slow |= dict.fromkeys(placement.host(rank) for rank in low.tolist())
    if len(slow) >= FEWEST_MEMBERS:
        yield Gap(
            topic=ID,
            reason=f"{len(slow)} hosts are slow ({listed(slow)}), and whether they share a leaf switch is unknown",
            remedy=TOPOLOGY,
        )


DETECTOR = Detector(
    id=ID,
    title="a leaf switch that is slow as a whole",
    cause="""A switch whose line card, forwarding chip, power or cooling fails, or whose configuration changed: a buffer
    profile, a rate limit, a port speed of a whole group. All NICs behind it are slow or late together, and each of them
    looks like a slow host.""",
    evidence="""Rates of pairs are split into shares of leaves before hosts are looked at (median polish on the medians
    of pairs of leaves, one rail at a time). A leaf is named when at least 70 % of its judged NICs, three or more, show
    half of its effect or more, each with two partners of other leaves; its hosts are then not blamed one by one, except
    for what they lose beyond it. Pairs within the leaf tell the switch from its uplinks, which are oversubscribed's.
    Leaves come from --topology or Slurm; else from latencies where these fall into clear classes, with low confidence.
    A latency counts when it is beyond distance_excess_ratio, or within the leaf too.""",
    remedy="""One ticket for the switch and not one for each host: its log, its line card, temperatures, power supplies,
    the last change of its configuration. Move one host to a port of another leaf and run the retest: if it is well
    there, it is the switch.""",
    limits=(
        "host_loss_ratio",
        "host_block_ratio",
        "latency_excess_ratio",
        "latency_excess_floor_ns",
        "distance_excess_ratio",
        "outlier_mads",
    ),
    detect=detect,
)
