"""What share of the time hosts take from their ranks, by cause; detectors of noise have it from here."""

from dataclasses import dataclass
from enum import Enum

import numpy as np
from numpy.typing import NDArray

from netprobe.detectors._noise import lost_of_hosts
from netprobe.locate.placement import Placement
from netprobe.model.evidence import CounterTable, Evidence


class Cause(Enum):
    """What takes the CPU away."""

    THROTTLED = ("stopped by a CPU quota", "is stopped by its own CPU quota")
    STOLEN = ("CPU time taken by the hypervisor", "does not get its CPUs from the hypervisor")
    WAITED = ("waiting for a CPU", "leaves its ranks waiting for a CPU")
    DETOURED = ("lost by a rank that only computes", "interrupts its ranks: one that only computes loses")

    @property
    def title(self) -> str:
        """Return the name of the figure."""
        return self.value[0]

    @property
    def verb(self) -> str:
        """Return what the host does."""
        return self.value[1]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Shares:
    """The share of the time that each cause took from each host, shape (hosts,); NaN where it was not counted."""

    hosts: tuple[str, ...]
    of: dict[Cause, NDArray[np.float64]]
    stolen_beside: NDArray[np.float64]
    """Of STOLEN, what the others lost in the rounds of each host: who fails has fewer of them than others."""

    def median(self, cause: Cause) -> float:
        """Return what a host loses to a cause in the middle of the fleet."""
        known = self.of[cause][np.isfinite(self.of[cause])]
        return float(np.median(known)) if len(known) else float("nan")


def shares_of(evidence: Evidence, placement: Placement) -> Shares:
    counters, count = evidence.counters, len(placement.hosts)
    ranks = np.bincount(placement.host_of, minlength=count)
    elapsed_ns = counters.elapsed_ns
    throttled = _over_time(counters, placement, "cgroup/throttled_ns", elapsed_ns)
    stolen_ns = counters.grown.get("cpu/steal_ns", np.full(len(elapsed_ns), np.nan))
    busy_ns = counters.grown.get("cpu/busy_ns", np.full(len(elapsed_ns), np.nan))
    waited = np.array([evidence.waiting_ratio.get(name, np.nan) for name in placement.hosts])
    return Shares(
        hosts=placement.hosts,
        of={
            # The kernel adds up the time of all CPUs of the group, and each rank sees the same sum.
            Cause.THROTTLED: throttled / ranks,
            Cause.STOLEN: _over_time(counters, placement, "cpu/steal_ns", stolen_ns + busy_ns),
            Cause.WAITED: waited,
            Cause.DETOURED: lost_of_hosts(evidence, placement),
        },
        stolen_beside=_beside(counters, placement, stolen_ns, stolen_ns + busy_ns),
    )


def _beside(
    counters: CounterTable, placement: Placement, grown_ns: NDArray[np.float64], time_ns: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return the share of all others in the rounds that each host was in, weighed by its own time in them."""
    known, count = np.flatnonzero(np.isfinite(grown_ns) & np.isfinite(time_ns)), len(placement.hosts)
    if not grown_ns[known].any():
        return np.zeros(count)  # as on every host without a hypervisor
    host = placement.host_of[counters.rank[known]]
    stages = {stage: number for number, stage in enumerate(dict.fromkeys(counters.stage))}
    stage = np.array([stages[each] for each in counters.stage], dtype=np.int64)[known]
    rounds = counters.round_index[known]
    _, at = np.unique(stage * (1 + int(rounds.max(initial=0))) + rounds, return_inverse=True)
    _, own = np.unique(at * count + host, return_inverse=True)  # several ranks of a host may have counted a round

    def others(values: NDArray[np.float64]) -> NDArray[np.float64]:
        left = np.bincount(at, values[known])[at] - np.bincount(own, values[known])[own]
        return left.astype(np.float64)

    share = others(grown_ns) / np.maximum(others(time_ns), 1.0)
    own_ns = np.bincount(host, time_ns[known], count)
    lost_ns = np.bincount(host, share * time_ns[known], count)
    return np.where(own_ns > 0, lost_ns / np.maximum(own_ns, 1.0), np.nan)


def _over_time(
    counters: CounterTable, placement: Placement, name: str, time_ns: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return a counter's growth over a time, of each host; NaN where it was not counted."""
    count = len(placement.hosts)
    grown_ns = counters.grown.get(name)
    if grown_ns is None:
        return np.full(count, np.nan)
    known = np.isfinite(grown_ns) & np.isfinite(time_ns)
    host = placement.host_of[counters.rank[known]]
    total_ns = np.bincount(host, time_ns[known], count)
    grown_ns = np.bincount(host, grown_ns[known], count).astype(np.float64)
    return np.where(total_ns > 0, grown_ns / np.maximum(total_ns, 1.0), np.nan)
