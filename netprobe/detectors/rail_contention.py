"""Hosts whose rails carry less all at once than one by one: NICs that share what leads to them.

Does not handle: which link inside the host it is; a list of its PCIe bridges tells.
"""

from collections.abc import Iterator
from typing import Final

import numpy as np

from netprobe.contracts import Detector
from netprobe.detectors._loaded import FABRIC, FEWEST, MOST, BoolArray, asked_for, crowded_gap, is_quiet
from netprobe.detectors._words import MOST_FACTS, listed, percent
from netprobe.locate.line_rate import fast_rates
from netprobe.locate.placement import Placement, placement_of
from netprobe.locate.rails import RailSums, rail_sums
from netprobe.model.evidence import Evidence
from netprobe.model.finding import Confidence, Fact, Finding, Gap, Severity
from netprobe.model.limits import Limits
from netprobe.model.plan import RAILS
from netprobe.units import format_gbps

ID = "rail-contention"
RETEST: Final = "netprobe run rails -b 1M -e 1M"
NEXT: Final = (
    "see which NICs share a PCIe switch or a root port (lspci -tv), and its width and speed; then whether ranks and "
    "their memory are on the CPU of their NIC, and limits of the memory's bandwidth"
)


def detect(evidence: Evidence, limits: Limits) -> Iterator[Finding | Gap]:
    """Name hosts that lose with all partners, warn where most do, and of pairs where nobody can tell whose it is."""
    placement = placement_of(evidence.ranks)
    tables = [table for table in evidence.flows_together if table.probe == RAILS]
    if not tables and asked_for(RAILS, evidence):
        yield Gap(
            topic=ID,
            reason="no rails were measured one by one and all at once: that takes two hosts, and a rank for each NIC",
            remedy="netprobe run rails --ranks-per-host 8",
        )
    if tables:
        yield from crowded_gap(ID, evidence)
    for table in tables:
        told = rail_sums(table, placement)
        first = [placement.ranks_on(host)[0] for host in placement.hosts]
        ends = (np.array(first, dtype=np.int64)[each] for each in (told.one, told.other))
        shared = _shares_nics(evidence, placement, told.rails)
        judged = is_quiet(evidence, placement, *ends) & ~shared[told.one] & ~shared[told.other]
        if shared.any():
            yield _shared(shared, told.rails, placement)
        yield from _answers(told, judged, placement, limits)


def _shares_nics(evidence: Evidence, placement: Placement, rails: int) -> BoolArray:
    """Return the hosts of whose NICs fewer are known than there are rails: ranks that share one are no rails."""
    counts = [len(fast_rates(evidence.inventories[host])) if host in evidence.inventories else 0
              for host in placement.hosts]  # fmt: skip
    return np.array([0 < count < rails for count in counts], dtype=bool)


def _shared(shared: BoolArray, rails: int, placement: Placement) -> Gap:
    names = listed(np.array(placement.hosts)[shared].tolist())
    return Gap(
        topic=ID,
        reason=f"{names} {'has' if shared.sum() == 1 else 'have'} fewer NICs than the {rails} ranks that were measured "
        "as rails, so some share one",
        remedy="netprobe run rails with --ranks-per-host for as many as there are NICs",
    )


def _answers(told: RailSums, judged: BoolArray, placement: Placement, limits: Limits) -> Iterator[Finding]:
    bad = judged & (told.kept_ratio < limits.rails_kept_ratio)
    if not bad.any():
        return
    if judged.sum() >= FEWEST and bad.sum() > MOST * judged.sum():
        why = f"at {bad.sum()} of {judged.sum()} pairs of hosts: as they are built, or what carries it"
        yield _finding(told, bad, FABRIC, why, placement, limits)
        return
    left = bad.copy()
    for host in range(len(placement.hosts)):
        own = (told.one == host) | (told.other == host)
        if bad[own & judged].sum() >= FEWEST and bad[own & judged].all():
            name = placement.hosts[host]
            yield _finding(
                told, bad & own, name, f"with all of {int((own & judged).sum())} partners", placement, limits
            )
            left &= ~own
    for row in np.flatnonzero(left).tolist():
        pair = f"{placement.hosts[told.one[row]]} <-> {placement.hosts[told.other[row]]}"
        yield _finding(
            told, np.arange(len(left)) == row, pair, "whose it is cannot be told from one pair", placement, limits
        )


def _finding(told: RailSums, bad: BoolArray, subject: str, why: str, placement: Placement, limits: Limits) -> Finding:
    rows = np.flatnonzero(bad)
    worst = rows[np.argsort(told.kept_ratio[rows], kind="stable")].tolist()
    row = worst[0]
    is_host = subject in placement.hosts
    return Finding(
        detector=ID,
        severity=Severity.DEGRADES if is_host else Severity.WARNS,
        confidence=Confidence.MEDIUM if len(rows) > 1 else Confidence.LOW,
        subjects=(subject,),
        hosts=(subject,) if is_host else (),
        summary=f"{told.rails} rails at once carry {percent(float(told.kept_ratio[row]))} of what they carry one by "
        f"one: {format_gbps(float(told.together_gbps[row]))} of {format_gbps(float(told.alone_gbps[row]))} both ways "
        f"({why})",
        facts=tuple(
            Fact(
                metric=f"{placement.hosts[told.one[each]]} and {placement.hosts[told.other[each]]}, "
                f"{told.rails} rails at once, both ways",
                observed=format_gbps(float(told.together_gbps[each])),
                expected=f"{percent(limits.rails_kept_ratio)} of {format_gbps(float(told.alone_gbps[each]))}",
                basis="limit rails_kept_ratio, of the sum of each rail alone",
            )
            for each in worst[:MOST_FACTS]
        ),
        excluded=("each NIC and its link (alone they are measured as well)",),
        next_action=NEXT,
        retest=RETEST,
    )


DETECTOR = Detector(
    id=ID,
    title="hosts whose NICs carry less all at once than one by one",
    cause="""NICs that share a PCIe switch or a root port that is too narrow for all, memory that cannot keep up, ranks
    whose buffers lie on another CPU's memory, so that the link between CPUs is full; or NICs that end in one uplink.
    """,
    evidence="""Two hosts fill each rail alone, both ways, and then all at once: together they keep less than
    rails_kept_ratio of the sum. A host that does so with all of two or more partners is named, where most pairs do
    not; where most do, the fabric is, as a warning. Of one pair alone nobody can tell whose it is. Hosts whose ranks
    wait for a CPU, or that have fewer NICs than ranks, are left out.""",
    remedy="""`lspci -tv` and LnkSta of the bridges above the NICs; slots of their own; a rank, its memory and its GPU
    on the side of its NIC (`netprobe explain affinity`); relaxed ordering and IOMMU settings of the BIOS.""",
    limits=("rails_kept_ratio",),
    detect=detect,
)
