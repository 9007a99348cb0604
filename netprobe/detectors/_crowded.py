"""What may be held against hosts whose ranks wait for a CPU: there, times tell of the scheduler first.

Streams at the largest size are paced by the wire. A round trip that is long even at its quickest is the path's: a
scheduler lets some through.
"""

from collections.abc import Iterable
from dataclasses import replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from netprobe.detectors._words import largest_sizes, listed
from netprobe.locate.passes import rows_of
from netprobe.locate.paths import is_latency
from netprobe.locate.placement import Placement
from netprobe.locate.remembered import remembered
from netprobe.model.evidence import Evidence, PairTable, Sweep
from netprobe.model.finding import Gap
from netprobe.model.plan import Scope

FEWEST_SAMPLES: Final = 10  # of which one is not delayed, however many ranks share a CPU
TYPICAL: Final = 0.25  # quantile of the pairs' medians: with four hosts, half of all pairs are of a bad one


@remembered(8)  # four detectors ask, and what is found of their tables is kept by table
def without_crowded(evidence: Evidence, placement: Placement, *, keeps_streams: bool = True) -> tuple[PairTable, ...]:
    """Return the tables without what tells of the scheduler: rows of crowded hosts, and tables that have no others.

    Streams between hosts at the largest size keep theirs on request: the wire sets most of their pace, and a host that
    is slow with all of its partners shows through whose turn it is. A single pair does not.
    """
    largest, crowded = largest_sizes(evidence.pairs), _is_on(evidence.crowded_hosts, placement)
    tables = (
        table
        if keeps_streams and _is_paced_by_wire(table, largest)
        else rows_of(table, ~(crowded[table.src] | crowded[table.dst]))
        for table in evidence.pairs
    )
    return tuple(table for table in tables if len(table.src))


def latencies_by_quickest(evidence: Evidence, placement: Placement) -> tuple[PairTable, ...]:
    """Return the latencies between hosts of which some are crowded, by the quickest round trips of those.

    What is no longer than a typical round trip of the table counts as that, so that a crowded row tells one thing
    only: that it takes longer than the others even when nobody has to wait.
    """
    crowded = _is_on(evidence.crowded_hosts, placement)
    tables = []
    for table in evidence.pairs:
        by_scheduler = crowded[table.src] | crowded[table.dst]
        if is_latency(table) and table.scope is Scope.BETWEEN_HOSTS and by_scheduler.any():
            typical_ns = float(np.quantile(table.p50_ns, TYPICAL))
            is_known = np.isfinite(table.min_ns) & (table.samples >= FEWEST_SAMPLES)
            quickest_ns = np.maximum(np.where(is_known, table.min_ns, 0.0), typical_ns)
            tables.append(replace(table, p50_ns=np.where(by_scheduler, quickest_ns, table.p50_ns)))
    return tuple(tables)


def crowded_gap(detector: str, evidence: Evidence, placement: Placement) -> Gap | None:
    """Return what crowded hosts keep from being judged; None where that is nothing."""
    judged = sum(len(table.src) for table in without_crowded(evidence, placement))
    if judged == sum(len(table.src) for table in evidence.pairs):
        return None
    crowded = sorted(evidence.crowded_hosts)
    return Gap(
        topic=detector,
        reason=f"on {len(crowded)} of {len(placement.hosts)} hosts ranks wait for a CPU ({listed(crowded)}): their "
        "latencies, small messages and single pairs tell of the scheduler, and nobody is blamed for them",
        remedy="fewer ranks per host, or more CPUs for them",
    )


def _is_on(hosts: Iterable[str], placement: Placement) -> NDArray[np.bool_]:
    """Return of each rank whether it is on one of these hosts."""
    chosen = np.isin(np.array(placement.hosts, dtype=object), list(hosts))
    on: NDArray[np.bool_] = chosen[placement.host_of]
    return on


def _is_paced_by_wire(table: PairTable, largest: dict[Sweep, int]) -> bool:
    is_largest = table.size_bytes == largest[table.sweep]
    return table.scope is Scope.BETWEEN_HOSTS and not is_latency(table) and is_largest
