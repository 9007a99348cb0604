"""Rows of a stage of pairs: one for each pair and size, and the columns that all of them have."""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from netprobe.model.plan import REACH, Stage
from netprobe.model.series import Metric, Phase
from netprobe.sim.condition import Condition
from netprobe.sim.fabric import Fabric

IntArray = NDArray[np.int64]
FloatArray = NDArray[np.float64]

OVERHEAD_RATIO: Final = 1.15  # a tenth of warm-up, and the data check


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Rows:
    """One row for each pair and size; ``pair`` numbers the pairs of all rounds."""

    pair: IntArray
    size_bytes: IntArray


def rounds_ns_of(stage: Stage, rounds: int) -> IntArray:
    """Return how long each round of a stage takes: its series, their warm-up, and what lies between."""
    each = round(OVERHEAD_RATIO * stage.series_budget_ns * len(stage.sizes_bytes))
    return np.full(rounds, each, dtype=np.int64)


def started_of(stage: Stage, turn: IntArray, began_ns: int) -> IntArray:
    """Return when the timed iterations of each row begin: size by size in each round, warm-up first."""
    each = round(OVERHEAD_RATIO * stage.series_budget_ns)
    place = np.arange(len(turn)) % len(stage.sizes_bytes)
    warmup_ns = stage.series_budget_ns // 10
    started: IntArray = began_ns + (turn * len(stage.sizes_bytes) + place) * each + warmup_ns
    return started


def stalls_of(
    fabric: Fabric,
    condition: Condition,
    src: IntArray,
    dst: IntArray,
    iterations: IntArray,
    random: np.random.Generator,
) -> tuple[IntArray, FloatArray]:
    """Return how many iterations a host of each row delays, and by how much."""
    ends = fabric.host[src], fabric.host[dst]
    ratio = condition.stall_ratio[ends[0]] + condition.stall_ratio[ends[1]]
    weighted = sum(condition.stall_ratio[end] * condition.stall_ns[end] for end in ends)
    return random.binomial(iterations, np.minimum(ratio, 1.0)), weighted / np.maximum(ratio, 1e-12)


def columns_of(turn: IntArray, src: IntArray, dst: IntArray, rows: Rows, messages: int) -> dict[str, Any]:
    """Return what differs by row; ``messages`` are those of an iteration."""
    return {
        "round_index": turn,
        "src": src,
        "dst": dst,
        "size_bytes": rows.size_bytes,
        "bytes_per_iteration": rows.size_bytes * messages,
    }


def constant_of(stage: Stage, metric: Metric, phase: Phase) -> dict[str, Any]:
    """Return what all rows of a phase have in common."""
    return {
        "stage": stage.id,
        "probe": stage.probe,
        "metric": metric.value,
        "phase": phase.value,
        "window": stage.window if metric is Metric.WINDOW else 1,
        "dtype": stage.dtype,
        "op": None,
        "root": None,
        "in_place": False,
        "checked_iterations": stage.check_iterations + 1 if phase is Phase.TIMED and stage.probe != REACH else 0,
    }
