"""What all hosts carry at once, against what they carry pair by pair: further evidence of uplinks that are too few."""

from collections.abc import Iterable, Iterator
from typing import Final

import numpy as np

from netprobe.detectors._loaded import FABRIC, FloatArray, is_quiet
from netprobe.detectors._words import listed, percent
from netprobe.locate.loads import pair_gbps
from netprobe.locate.placement import Placement
from netprobe.model.evidence import Evidence, LoadFlows
from netprobe.model.finding import Confidence, Fact, Finding, Severity
from netprobe.model.limits import Limits
from netprobe.model.plan import BISECTION, PERMUTATION
from netprobe.units import format_gbps

FEWEST: Final = 2  # flows of a leaf


def together_findings(detector: str, evidence: Evidence, placement: Placement, limits: Limits) -> Iterator[Finding]:
    """Yield leaves whose flows lack rate when all hosts send, or a warning of the fabric where all do."""
    for table in evidence.flows_together:
        if table.probe in (PERMUTATION, BISECTION):
            yield from _of_table(detector, table, evidence, placement, limits)


def untold(told: Iterable[str], findings: Iterable[Finding]) -> Iterator[Finding]:
    """Yield the findings that name somebody who is in none of the subjects told before, each set of subjects once."""
    words = {end for subject in told for end in subject.split(" <-> ")}
    seen: set[tuple[str, ...]] = set()
    for finding in findings:
        if not set(finding.subjects) <= words and finding.subjects not in seen:
            seen.add(finding.subjects)
            yield finding


def _of_table(
    detector: str, table: LoadFlows, evidence: Evidence, placement: Placement, limits: Limits
) -> Iterator[Finding]:
    alone = pair_gbps(evidence.pairs, table.scope)
    crosses = placement.leaf_of[table.src] != placement.leaf_of[table.dst]
    own = crosses & is_quiet(evidence, placement, table.src, table.dst)
    if alone is None or not own.any():
        return
    least = (1 - limits.host_block_ratio) * alone
    lacking = {leaf: rate for leaf, rate in _by_leaf(table, own, placement).items() if rate < least}
    inside = table.gbps[~crosses]
    if len(inside) and float(np.median(inside)) < least:
        return  # who stays within a leaf has no more: it is hosts, or what this carries, and not uplinks
    if not lacking:
        return
    leaves = _by_leaf(table, own, placement)
    is_of_all = len(lacking) == len(leaves)
    names = [f"leaf {placement.leaves[leaf]}" for leaf in lacking]
    yield Finding(
        detector=detector,
        severity=Severity.WARNS if is_of_all else Severity.DEGRADES,
        confidence=Confidence.MEDIUM,
        subjects=(FABRIC,) if is_of_all else tuple(names),
        hosts=(),
        summary=f"when all hosts send at once ({table.probe}) flows across leaves get down to "
        f"{format_gbps(min(lacking.values()))} of {format_gbps(alone)}: "
        + ("uplinks carry less than hosts send" if is_of_all else f"those of {listed(names)}, and not of others"),
        facts=tuple(
            Fact(
                metric=f"{table.probe}, flows across from or to leaf {placement.leaves[leaf]}",
                observed=f"{format_gbps(rate)}, {percent(rate / alone)}",
                expected=format_gbps(alone),
                basis=f"the same pairwise; limit host_block_ratio, {percent(limits.host_block_ratio)} less",
            )
            for leaf, rate in sorted(lacking.items(), key=lambda each: each[1])
        )[:8],
        excluded=("single hosts (pair by pair they are fast)",),
        next_action="count the uplinks that are up, and compare what they carry with what the hosts of a leaf send",
        retest="netprobe run bisection -b 1M -e 1M",
    )


def _by_leaf(
    table: LoadFlows, own: "np.ndarray[tuple[int], np.dtype[np.bool_]]", placement: Placement
) -> dict[int, float]:
    """Return the median rate of the flows that leave a leaf, or come to it, whichever is less."""
    found: dict[int, float] = {}
    for leaf in range(len(placement.leaves)):
        rates: list[FloatArray] = [
            table.gbps[own & (placement.leaf_of[ends] == leaf)] for ends in (table.src, table.dst)
        ]
        known = [float(np.median(each)) for each in rates if len(each) >= FEWEST]
        if known:
            found[leaf] = min(known)
    return found
