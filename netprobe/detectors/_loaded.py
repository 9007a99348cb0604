"""What the detectors of load share: which hosts tell of the fabric, and where many bad ones have their place."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from netprobe.detectors._words import listed
from netprobe.locate.placement import Placement
from netprobe.model.evidence import Evidence, IntArray
from netprobe.model.finding import Gap

BoolArray = NDArray[np.bool_]
FloatArray = NDArray[np.float64]

FABRIC: Final = "fabric"
MOST: Final = 0.5  # of what was judged that is bad: then nobody stands out
OF_LEAF: Final = 0.7  # of what a leaf has a part in, as for its uplinks
FEWEST: Final = 2


def crowded_gap(topic: str, evidence: Evidence) -> Iterator[Gap]:
    """Yield that some hosts are left out, where ranks wait for a CPU: load and scheduler look the same there."""
    crowded = sorted(evidence.crowded_hosts)
    if crowded:
        yield Gap(
            topic=topic,
            reason=f"on {listed(crowded)} ranks wait for a CPU, so what load does there tells of the scheduler",
            remedy="fewer ranks per host, or more CPUs for them",
        )


def is_quiet(evidence: Evidence, placement: Placement, *ends: IntArray) -> BoolArray:
    """Return the rows whose hosts all have a CPU for each rank."""
    crowded = frozenset(evidence.crowded_hosts)
    of_host = np.array([host not in crowded for host in placement.hosts], dtype=bool)
    quiet = np.ones(len(ends[0]), dtype=bool)
    for ranks in ends:
        quiet &= of_host[placement.host_of[ranks]]
    return quiet


def asked_for(probe: str, evidence: Evidence) -> bool:
    """Return whether the plan has such a stage."""
    return any(stage.probe == probe for stage in evidence.plan.stages)


def not_measured(topic: str, probe: str, fewest_hosts: int, evidence: Evidence) -> Iterator[Gap]:
    """Yield why nothing of a probe is known, where the plan has it."""
    if not asked_for(probe, evidence):
        return
    hosts = len({rank.host for rank in evidence.ranks})
    reason = f"{probe} takes {fewest_hosts} hosts, and {hosts} came" if hosts < fewest_hosts else f"no {probe} was told"
    yield Gap(topic=topic, reason=reason, remedy=f"netprobe run {probe} on {fewest_hosts} hosts or more")


def hot_leaves(rows: Sequence[tuple[IntArray, BoolArray]], placement: Placement) -> dict[int, tuple[int, int]]:
    """Return leaves that most of what touches them is bad at, while most elsewhere is not: (bad, judged) by leaf.

    Each of ``rows`` is the ranks at one end, and whether the row is bad.
    """
    found: dict[int, tuple[int, int]] = {}
    for leaf in range(len(placement.leaves)):
        on = [placement.leaf_of[ranks] == leaf for ranks, _ in rows]
        touched = np.any(on, axis=0)
        bad = rows[0][1]
        inside, outside = bad[touched], bad[~touched]
        if len(inside) < FEWEST or not len(outside):
            continue
        if inside.mean() >= OF_LEAF and outside.mean() <= 1 - OF_LEAF:
            found[leaf] = int(inside.sum()), len(inside)
    return found


def names_of(ranks: Iterable[int], placement: Placement) -> list[str]:
    """Return the hosts of ranks, each once."""
    return list(dict.fromkeys(placement.host(rank) for rank in ranks))
