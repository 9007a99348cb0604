"""Ranks that only compute on simulated hosts: a timer that ticks, what else a host does, and who takes the CPU away."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from netprobe.model.plan import Stage
from netprobe.model.series import Metric, Phase
from netprobe.probes.host_noise import QUANTUM_NS, SLEEP_NS, WORK_SHARE
from netprobe.sim.condition import Condition
from netprobe.sim.fabric import Fabric
from netprobe.sim.made import Made, rank_counters
from netprobe.sim.samples import Times, drawn_times, series_frame
from netprobe.sim.tally import Tally
from netprobe.units import NS_PER_S

IntArray = NDArray[np.int64]
FloatArray = NDArray[np.float64]

TICKS_PER_S: Final = 250.0  # the default of most distributions (CONFIG_HZ)
TICK_NS: Final = (1_500.0, 4_000.0)
WAKE_NS: Final = 56_000.0  # 50 µs of slack of timers, and waking
CORE_SPREAD_RATIO: Final = 0.004
QUANTUM_SPREAD_RATIO: Final = 0.005
AROUND: Final = np.array([0.8, 1.0, 1.3])
OVERHEAD_RATIO: Final = 1.1


def play_noise(
    fabric: Fabric, condition: Condition, stage: Stage, ranks: IntArray, random: np.random.Generator, began_ns: int
) -> Made:
    """Return what a stage leaves behind in which nobody sends."""
    import polars as pl

    host, count = fabric.host[ranks], len(ranks)
    quantum_ns = QUANTUM_NS * np.exp(random.normal(0.0, CORE_SPREAD_RATIO, len(fabric.hosts)))[host]
    tick_ns = random.uniform(*TICK_NS, len(fabric.hosts))[host]
    work_ns = WORK_SHARE * stage.series_budget_ns
    quanta = np.maximum(work_ns / quantum_ns, 1).astype(np.int64)
    ticks = np.full(count, max(round(work_ns * TICKS_PER_S / NS_PER_S), 2))
    stalls, stall_ns = _stalls(condition, host, work_ns, quanta, random)
    detours = _detours(tick_ns, ticks, stall_ns, stalls)
    gap_ns = work_ns / (ticks + stalls)
    gaps = np.maximum(ticks + stalls - 1, 1)
    slept = np.full(count, max(round((stage.series_budget_ns - work_ns) / (SLEEP_NS + WAKE_NS)), 1))
    drawn = {
        Metric.QUANTUM: drawn_times(
            random,
            quantum_ns,
            quanta,
            spread_ratio=QUANTUM_SPREAD_RATIO,
            delays_ns=(tick_ns, stall_ns),
            delayed=(ticks, stalls),
        ),
        Metric.DETOUR: detours,
        # Only a timer keeps its beat; what comes at random between its ticks breaks it.
        Metric.DETOUR_GAP: _gaps(random, gap_ns, gaps, stalls, ticks),
        Metric.WAKE_LATE: drawn_times(random, np.full(count, WAKE_NS), slept, spread_ratio=0.05),
    }
    columns: dict[str, object] = {"src": ranks, "started_ns": np.full(count, began_ns)}
    frames = [series_frame(times, columns, _constant(stage, metric), random) for metric, times in drawn.items()]
    rounds_ns = np.array([round(OVERHEAD_RATIO * stage.series_budget_ns)], dtype=np.int64)
    return Made(
        frame=pl.concat(frames),
        tally=Tally.of_shape(1, fabric.nics),
        rounds_ns=rounds_ns,
        rank_counters=[rank_counters(fabric, condition, stage.id, 1, rounds_ns, random)],
    )


def _stalls(
    condition: Condition, host: IntArray, work_ns: float, quanta: IntArray, random: np.random.Generator
) -> tuple[IntArray, FloatArray]:
    """Return how often a host takes the CPU from each rank while it works, and for how long."""
    taken = (condition.waits_ratio + condition.throttled_ratio + condition.stolen_ratio)[host]
    stall_ns = condition.stall_ns[host]
    often = np.rint(np.minimum(taken, 0.9) * work_ns / stall_ns).astype(np.int64)
    rare = random.binomial(quanta, np.minimum(condition.stall_ratio[host] / 10, 1.0))
    return np.maximum(often, np.minimum(rare, 3)), stall_ns


def _detours(tick_ns: FloatArray, ticks: IntArray, stall_ns: FloatArray, stalls: IntArray) -> Times:
    """Return the lengths of detours: ticks, and behind them what is longer."""
    times = np.concatenate([tick_ns[:, None] * AROUND, np.maximum(stall_ns, 2 * tick_ns)[:, None] * AROUND], axis=1)
    counts = np.stack([(each + offset) // 3 for each in (ticks, stalls) for offset in range(3)], axis=1)
    return Times(times_ns=np.rint(times).astype(np.int64), counts=counts)


def _gaps(random: np.random.Generator, gap_ns: FloatArray, gaps: IntArray, stalls: IntArray, ticks: IntArray) -> Times:
    is_steady = (stalls <= ticks // 4)[:, None]
    steady = drawn_times(random, gap_ns, gaps, spread_ratio=0.002)
    uneven = drawn_times(random, gap_ns, gaps, spread_ratio=1.0)
    return Times(
        times_ns=np.where(is_steady, steady.times_ns, uneven.times_ns),
        counts=np.where(is_steady, steady.counts, uneven.counts),
    )


def _constant(stage: Stage, metric: Metric) -> dict[str, object]:
    return {
        "stage": stage.id, "probe": stage.probe, "metric": metric.value, "phase": Phase.TIMED.value, "round_index": 0,
        "dst": None, "size_bytes": 0, "bytes_per_iteration": 0, "window": 1, "dtype": stage.dtype, "op": None,
        "root": None, "in_place": False, "checked_iterations": 0,
    }  # fmt: skip
