"""Pairs of different leaves that are slow where pairs of one leaf are fast: lost uplinks, or a fabric built that way.

Does not handle: uplinks that only fill when all hosts send at once; pairs are measured in rounds of disjoint pairs.
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
    verb_of,
    worst_first,
)
from netprobe.detectors._together import together_findings, untold
from netprobe.detectors._words import MOST_FACTS, listed, percent, rate_at, table_title
from netprobe.locate.leaf_effects import Reach
from netprobe.locate.paths import is_latency
from netprobe.locate.placement import Placement
from netprobe.model.evidence import Evidence
from netprobe.model.finding import Confidence, Fact, Finding, Gap, Severity
from netprobe.model.limits import Limits
from netprobe.stats.rates import loss_as_log, loss_ratio

ID: Final = "oversubscribed"
CROWDED_RATIO: Final = 0.5
"""Of the rate within a leaf: what crossing costs beyond any scheduler, where all ranks wait for a CPU."""
COUNT_UPLINKS: Final = (
    "count the uplinks that are up, compare rate and load with another leaf's; then look at ECMP and routes"
)


def detect(evidence: Evidence, limits: Limits) -> Iterator[Finding | Gap]:
    """Name leaves whose uplinks carry less than those of others; warn where all do less than their leaves."""
    placement = leaves_of(evidence)
    if len(placement.leaves) < 2:
        return  # leaf-fault says what that leaves open
    fits = [case for case in fit_cases(evidence, placement, limits) if not is_latency(case.table)]
    by_subject: dict[str, list[LeafCase]] = {}
    for case in leaf_cases(fits, placement, limits):
        if case.effect.reach is Reach.UPLINKS:
            by_subject.setdefault(leaf_subject(case, placement), []).append(case)
    found = [
        _leaf_finding(subject, worst_first(cases), placement, limits)
        for subject, cases in by_subject.items()
        if any(case.is_bandwidth for case in cases)  # small messages fill no uplink
    ]
    crowded = [] if any(case.is_bandwidth for case in fits) else _crowded_fits(evidence, placement, limits)
    shared = [case for case in fits if case.is_bandwidth and case.fit.is_across_shared]
    shared += [case for case in crowded if loss_ratio(case.fit.across or 0.0) > CROWDED_RATIO]
    if shared:
        worst = min(shared, key=lambda case: case.fit.across or 0.0)
        found.append(_shared_finding(worst, fits or crowded, placement, limits))
    elif crowded:
        yield _crowded_gap(evidence, placement)
    yield from found
    told = [subject for each in found for subject in each.subjects]
    yield from untold(told, together_findings(ID, evidence, placement, limits))
    yield from _not_compared(fits)


def _crowded_fits(evidence: Evidence, placement: Placement, limits: Limits) -> list[FitCase]:
    """Return what leaves explain of streams of hosts whose ranks wait for a CPU, where there are no others."""
    fits = fit_cases(evidence, placement, limits, with_crowded=True)
    return [case for case in fits if case.is_bandwidth and not np.isnan(case.inside)]


def _crowded_gap(evidence: Evidence, placement: Placement) -> Gap:
    crowded = evidence.crowded_hosts
    return Gap(
        topic=ID,
        reason=f"on {len(crowded)} of {len(placement.hosts)} hosts ranks wait for a CPU ({listed(sorted(crowded))}): "
        f"uplinks that lack less than {percent(CROWDED_RATIO)} would not be told from the scheduler",
        remedy="fewer ranks per host, or more CPUs for them",
    )


def _leaf_finding(subject: str, cases: list[LeafCase], placement: Placement, limits: Limits) -> Finding:
    main = cases[0]
    seen, normal = main.rates
    blocks = any(case.is_bandwidth and case.loss_ratio > limits.host_block_ratio for case in cases)
    joint = main.effect.other is not None
    others = "both leaves do better with others" if joint else "pairs within the leaf are fast"
    return Finding(
        detector=ID,
        severity=Severity.BLOCKS if blocks else Severity.DEGRADES,
        confidence=confidence_of(main, placement),
        subjects=(subject,),
        hosts=(),
        summary=f"{verb_of(main)} across, by {percent(main.loss_ratio)}: {seen} of {normal} "
        f"({table_title(main.table)}); {others}",
        facts=tuple(leaf_fact(case, placement) for case in cases)[:MOST_FACTS],
        excluded=(
            "single hosts (most NICs of the leaf show it alike)",
            *(("the switch itself (pairs within the leaf are normal)",) if not joint else ()),
        ),
        next_action="; ".join((COUNT_UPLINKS, *inferred_words(placement))),
        retest="netprobe check --all-pairs",
    )


def _shared_finding(case: FitCase, fits: Sequence[FitCase], placement: Placement, limits: Limits) -> Finding:
    """Return what all pairs between leaves of a rail lack; where other rails do not, it is not built that way."""
    lacking = case.fit.across or 0.0
    others = [each.fit.across for each in fits if each.table is case.table and each is not case]
    known = [across for across in others if across is not None]
    usual = float(np.median(known)) if known else lacking
    is_of_rail = lacking < usual - loss_as_log(limits.host_loss_ratio)
    why = (
        f"where other rails lack {percent(max(loss_ratio(usual), 0.0))}: uplinks of these leaves"
        if is_of_rail
        else "at most NICs alike: oversubscribed as it is built, or everywhere"
    )
    return Finding(
        detector=ID,
        severity=Severity.DEGRADES if is_of_rail else Severity.WARNS,
        confidence=Confidence.LOW if placement.are_leaves_inferred else Confidence.MEDIUM,
        subjects=(_between(case, placement) if is_of_rail or not known else "fabric",),
        hosts=(),
        summary=f"pairs of different leaves are {percent(loss_ratio(lacking))} below those of one leaf "
        f"({table_title(case.table)}), {why}",
        facts=(
            Fact(
                metric=f"{table_title(case.table)} between leaves",
                observed=rate_at(case.table, case.inside + lacking),
                expected=rate_at(case.table, case.inside),
                basis="pairs within a leaf",
            ),
        ),
        excluded=("single leaves and hosts (most share it)",),
        next_action="compare with what the fabric is built for: uplinks times their rate against hosts times theirs",
        retest="netprobe check --all-pairs",
    )


def _between(case: FitCase, placement: Placement) -> str:
    """Return ``leaf leaf1 <-> leaf leaf2`` where there are but two of the rail."""
    return " <-> ".join(f"leaf {placement.leaves[leaf]}" for leaf in case.leaves) if len(case.leaves) == 2 else "fabric"


def _not_compared(fits: Sequence[FitCase]) -> Iterator[Gap]:
    rates = [case for case in fits if case.is_bandwidth]
    if rates and all(np.isnan(case.inside) for case in rates):
        yield Gap(
            topic=ID,
            reason="no pair within a leaf was measured, so what crossing the fabric costs cannot be told",
            remedy="netprobe check --all-pairs",
        )


DETECTOR = Detector(
    id=ID,
    title="leaves whose uplinks carry less than pairs within a leaf do",
    cause="""Uplinks of a leaf that are down or run at a lower rate, a spine that is out, routes that take a detour or
    leave links unused: what is left is shared by more flows. Where all leaves show it, the fabric may be built with
    fewer uplinks than hosts need.""",
    evidence="""Pairs that cross leaves lack bandwidth where pairs within the leaf have it, one rail at a time: for one
    leaf against the others by host_loss_ratio, shown by at least 70 % of its judged NICs, three or more; for two leaves
    towards each other beyond what both do with others; for the whole fabric, where it is only a warning. Hosts of such
    a leaf are not blamed for it. Two leaves alone cannot tell whose uplinks it is, so both are named. Where all
    hosts send at once (bisection, permutation), flows across a leaf that get host_block_ratio less than pair by pair
    tell of it as well, where pairs have not. Where all ranks wait for a CPU, crossing has to cost half of the rate.""",
    remedy="""On the leaf: the state and speed of all uplinks, members of port channels, routes and weights of ECMP,
    the load of each uplink while the retest runs. If it is how the fabric is built, say so in the site's expectations.
    """,
    limits=("host_loss_ratio", "host_block_ratio", "outlier_mads"),
    detect=detect,
)
