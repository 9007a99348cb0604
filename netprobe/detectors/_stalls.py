"""Stalls as long as a retransmission timer: what tells of loss where nobody counted packets."""

from collections.abc import Iterator, Sequence
from typing import Final

import numpy as np

from netprobe.detectors._lost_packets import LossCase, stall_fact
from netprobe.detectors._words import MOST_FACTS, listed, retest
from netprobe.locate.culprits import HostPair, blame_most_of_its_pairs
from netprobe.locate.loss import Stall
from netprobe.locate.placement import host_pairs, leaf_names
from netprobe.model.finding import Confidence, Finding, Severity
from netprobe.model.plan import Path
from netprobe.units import format_duration

ID: Final = "packet-loss"
SURE_WITH_PARTNERS: Final = 3  # with two, one more bad host among the partners could have misled us
FEWEST_STALLS: Final = 2  # of one pair; a single stall of that length can be anything


def stalled(case: LossCase, by_nics: set[frozenset[str]]) -> Iterator[Finding]:
    """Return what stalls tell of pairs whose packets nobody counted, for each path by itself."""
    if not case.stalls:
        return
    by_tcp = {hosts_of(case, row) for row in np.flatnonzero(case.rows.is_counted).tolist()}
    yield from _stalled_over(case, Path.MPI, by_nics | by_tcp)
    yield from _stalled_over(case, Path.VERBS, by_nics)


def _stalled_over(case: LossCase, path: Path, counted: set[frozenset[str]]) -> Iterator[Finding]:
    crowded = set(case.evidence.crowded_hosts)  # there the scheduler stops ranks for as long
    by_pair: dict[HostPair, list[Stall]] = {}
    for stall in case.stalls:
        ends = sorted((stall.src, stall.dst))
        if stall.table.path is path and frozenset(ends) not in counted and not crowded & set(ends):
            by_pair.setdefault((ends[0], ends[1]), []).append(stall)
    tables = (each for each in case.tables if each.path is path)
    measured = host_pairs(tables, case.placement, among={host for pair in by_pair for host in pair})
    blame = blame_most_of_its_pairs(by_pair, measured, leaf_names(case.placement))
    for host, partners in blame.hosts.items():
        own = [stall for pair, stalls in by_pair.items() if host in pair for stall in stalls]
        yield _stall_finding(case, host, partners, own)
    for pair in blame.pairs:
        if len(by_pair[pair]) >= FEWEST_STALLS:
            yield _stall_finding(case, f"{pair[0]} <-> {pair[1]}", (), by_pair[pair])


def _stall_finding(case: LossCase, subject: str, partners: tuple[str, ...], stalls: list[Stall]) -> Finding:
    who = f" with {len(partners)} partners ({listed(partners)})" if partners else ""
    ends = [subject, *partners[:SURE_WITH_PARTNERS]] if partners else sorted({stalls[0].src, stalls[0].dst})
    return Finding(
        detector=ID,
        severity=Severity.DEGRADES,
        confidence=Confidence.MEDIUM if len(partners) >= SURE_WITH_PARTNERS else Confidence.LOW,
        subjects=(subject,),
        hosts=(subject,) if partners else (),
        summary=f"{len(stalls)} series{who} stall as if packets were lost: {format_duration(stalls[0].stall_ns)} "
        f"is a {stalls[0].timer}",
        facts=tuple(stall_fact(stall) for stall in stalls[:MOST_FACTS]),
        excluded=("its partners (no stalls with others)",) if partners else (),
        next_action="read retransmission and timeout counters of the NICs and drops of the switch ports on the way",
        retest=retest_of(case, ends, stalls[0].table.path),
    )


def hosts_of(case: LossCase, row: int) -> frozenset[str]:
    """Return the two hosts of a direction."""
    hosts = case.placement.hosts
    return frozenset((hosts[int(case.rows.src[row])], hosts[int(case.rows.dst[row])]))


def retest_of(case: LossCase, hosts: Sequence[str], path: Path = Path.MPI) -> str:
    """Return the command that moves most bytes between these hosts, over this path where it was measured."""
    tables = [table for table in case.tables if table.path is path] or case.tables
    return retest(max(tables, key=lambda table: table.bytes_per_iteration), hosts, case.placement)
