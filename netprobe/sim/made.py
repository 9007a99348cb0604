"""What a stage leaves behind, and what ranks count of themselves and their hosts in each of its rounds."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from netprobe.model.bursts import StepBin
from netprobe.model.rdma import PairFailure
from netprobe.sim.condition import Condition
from netprobe.sim.fabric import Fabric
from netprobe.sim.tally import Tally, rank_rows

if TYPE_CHECKING:
    import polars as pl

IntArray = NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Made:
    """The results of one stage."""

    frame: "pl.DataFrame"
    """Series (store.series_table)."""
    tally: Tally
    rounds_ns: IntArray
    rank_counters: "Sequence[pl.DataFrame]" = field(default=())
    """Of ranks in rounds (store.counters_table)."""
    failures: tuple[PairFailure, ...] = ()
    steps: tuple[StepBin, ...] = ()
    """Of bursts."""


def rank_counters(
    fabric: Fabric, condition: Condition, stage: str, rounds: int, rounds_ns: IntArray, random: np.random.Generator
) -> "pl.DataFrame":
    """Return what the scheduler tells of every rank, and the hypervisor of every host."""
    turn = np.repeat(np.arange(rounds), fabric.nics)
    rank = np.tile(np.arange(fabric.nics), rounds)
    host, elapsed_ns = fabric.host[rank], rounds_ns[turn]

    def share(ratio: NDArray[np.float64]) -> IntArray:
        drawn: IntArray = np.rint(ratio[host] * elapsed_ns * random.uniform(0.9, 1.1, len(host))).astype(np.int64)
        return drawn

    waited, throttled, stolen = map(share, (condition.waits_ratio, condition.throttled_ratio, condition.stolen_ratio))
    told = [
        ("process/run_delay_ns", waited),
        ("process/run_ns", np.maximum(elapsed_ns - waited - throttled, 0)),
        ("cgroup/throttled_ns", throttled * fabric.rails),
    ]
    own = rank_rows(stage, turn, rank, elapsed_ns, told)
    is_first = rank == fabric.first_rank[rank]
    of_hosts = [("cpu/steal_ns", stolen[is_first]), ("cpu/busy_ns", elapsed_ns[is_first])]
    import polars as pl

    return pl.concat([own, rank_rows(stage, turn[is_first], rank[is_first], elapsed_ns[is_first], of_hosts)])
