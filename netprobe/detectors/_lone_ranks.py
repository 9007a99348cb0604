"""Ranks that lose their CPU where there are too few hosts to compare: against the other ranks of their host."""

from collections.abc import Iterator
from typing import Final

import numpy as np

from netprobe.detectors._noise import FEWEST_RANKS, noise_facts, rank_title, worst_row
from netprobe.detectors._words import MOST_FACTS, percent
from netprobe.locate.placement import Placement
from netprobe.model.evidence import Evidence
from netprobe.model.finding import Confidence, Finding, Severity
from netprobe.model.limits import Limits

ID: Final = "host-noise"


def lone_ranks(evidence: Evidence, placement: Placement, limits: Limits) -> Iterator[Finding]:
    """Yield the rank of each host that loses far more than its neighbours do; none where ranks share CPUs."""
    crowded = {host for host in evidence.crowded_hosts if not _has_cpus(evidence, host)}
    for at, host in enumerate(placement.hosts):
        row = worst_row(evidence, placement, at)
        own = placement.host_of[evidence.noise.rank] == at
        if row is None or host in crowded or int(own.sum()) < FEWEST_RANKS:
            continue
        lost = float(evidence.noise.ratio[row])
        others = float(np.median(np.delete(evidence.noise.ratio[own], np.argmax(evidence.noise.ratio[own]))))
        if lost >= limits.noise_detour_ratio and lost >= limits.noise_peer_ratio * others:
            yield Finding(
                detector=ID,
                severity=Severity.DEGRADES,
                confidence=Confidence.MEDIUM,
                subjects=(placement.name(int(evidence.noise.rank[row])),),
                hosts=(),
                summary=f"{rank_title(evidence, row)} loses {percent(lost)} of the time while it only computes, "
                f"the other ranks of {host} {percent(others)}",
                facts=tuple(noise_facts(evidence, placement, at))[:MOST_FACTS],
                excluded=("the network (nothing was sent)",),
                next_action=f"look on {host} for what else uses that CPU: pidstat, top -H, /proc/interrupts",
                retest="netprobe run host_noise",
            )


def _has_cpus(evidence: Evidence, host: str) -> bool:
    """Return whether a host has a CPU for each rank; one that waits all the same is what is looked for here."""
    own = [rank for rank in evidence.ranks if rank.host == host]
    return len({cpu for rank in own for cpu in rank.cpus}) >= len(own)
