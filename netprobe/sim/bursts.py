"""Bursts on a simulated fabric: steps of a period, the timers that losses wait for, and who comes late.

Does not handle: counters by second; the stage is one round of them.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from netprobe.model.bursts import BurstOptions, StepBin
from netprobe.model.plan import Stage
from netprobe.model.series import Metric, Phase
from netprobe.sim.collectives import ARRIVAL_NS, LOADED_RATIO, MPI_STEP_NS, counted_timeouts, factor_of
from netprobe.sim.condition import Condition
from netprobe.sim.fabric import Fabric
from netprobe.sim.loss import TIMEOUT_NS
from netprobe.sim.made import Made, rank_counters
from netprobe.sim.samples import Times, drawn_times, series_frame
from netprobe.sim.tally import Tally
from netprobe.sim.ways import FAR_NS, ways_of
from netprobe.stats.steps import WHOLE, part_of, round_ns, rounds_in
from netprobe.units import NS_PER_S

if TYPE_CHECKING:
    import polars as pl

IntArray = NDArray[np.int64]
FloatArray = NDArray[np.float64]

BEGAN_NS: Final = 1_767_225_600 * NS_PER_S  # 2026-01-01, as all simulated runs
SPREAD_RATIO: Final = 0.01


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Pace:
    """How long steps take, how many there are in a round, and how many of each round waited for a timer."""

    step_ns: float
    exposed_ns: float
    interval_ns: float
    steps: int
    stalled: IntArray
    """Shape (rounds,)."""


def play_bursts(
    fabric: Fabric, condition: Condition, stage: Stage, ranks: IntArray, random: np.random.Generator, seed: int
) -> Made:
    """Return what bursts of these ranks leave behind."""
    import polars as pl

    assert stage.bursts is not None
    tally = Tally.of_shape(1, fabric.nics)
    neighbours = np.roll(ranks, -fabric.rails)
    ring = ways_of(fabric, condition, (np.zeros(len(ranks), np.int64), ranks, neighbours), two_way=False, seed=seed)
    late_ns = condition.arrives_ns[fabric.host[ranks]] + random.exponential(ARRIVAL_NS / 3, len(ranks))
    call = replace(stage, probe="allreduce")
    moved = factor_of(call, len(ranks)) * stage.sizes_bytes[0]
    sent_ns = 8 * moved / (float(ring.rate_gbps.min()) * LOADED_RATIO) + FAR_NS + MPI_STEP_NS
    pace = _pace(stage.bursts, sent_ns + float(late_ns.max()))
    done = pace.steps * len(pace.stalled)
    timeouts = counted_timeouts(condition, call, ring, moved * done, done, tally, random)
    np.add.at(pace.stalled, random.integers(0, len(pace.stalled), min(timeouts, done // 2)), 1)
    rounds_ns = np.array([round(done * pace.interval_ns)], dtype=np.int64)
    return Made(
        frame=pl.concat(
            [
                *_step_frames(stage, pace, random),
                _arrival_frame(stage, ranks, late_ns, pace, random),
                _exposed_frame(stage, pace, done, np.random.default_rng([seed, 5])),
            ]
        ),
        tally=tally,
        rounds_ns=rounds_ns,
        rank_counters=[rank_counters(fabric, condition, stage.id, 1, rounds_ns, random)],
        steps=tuple(_bins(stage, ranks, late_ns, pace)),
    )


def _pace(options: BurstOptions, sent_ns: float) -> _Pace:
    """Return the pace of steps that communicate for so long."""
    compute_ns = options.compute_ratio * options.period_ns
    step_ns = max(compute_ns, sent_ns) if options.overlaps else compute_ns + sent_ns
    interval_ns = step_ns if options.is_free_running else max(step_ns, float(options.period_ns))
    steps = max(1, round(round_ns(options) / interval_ns))
    rounds = min(rounds_in(options), max(1, round(options.length_ns / (steps * interval_ns))))
    return _Pace(
        step_ns=step_ns,
        exposed_ns=step_ns - compute_ns,
        interval_ns=interval_ns,
        steps=steps,
        stalled=np.zeros(rounds, dtype=np.int64),
    )


def _parts(options: BurstOptions, rounds: int) -> IntArray:
    """Return the part of each round, shape (rounds,)."""
    return np.array([part_of(options, each)[0] for each in range(rounds)], dtype=np.int64)


def _step_frames(stage: Stage, pace: _Pace, random: np.random.Generator) -> "Iterator[pl.DataFrame]":
    """Yield the distribution of the steps of each part, and of all together."""
    assert stage.bursts is not None
    part = _parts(stage.bursts, len(pace.stalled))
    parts = int(part[-1]) + 1
    counts = np.bincount(part, minlength=parts) * pace.steps
    late = np.bincount(part, pace.stalled, minlength=parts).astype(np.int64)
    whole = np.array([counts.sum()]), np.array([late.sum()])
    for numbers, iterations, delayed, size_bytes in (
        (np.arange(parts), counts, late, stage.sizes_bytes[0]),
        (np.array([WHOLE + parts - 1]), *whole, 0),
    ):
        times = _times(random, pace.step_ns, iterations, delayed)
        columns: dict[str, object] = {
            "round_index": numbers,
            "bytes_per_iteration": np.full(len(numbers), size_bytes),
            "checked_iterations": np.where(numbers == 0, stage.check_iterations, 0),
            "src": np.zeros(len(numbers), dtype=np.int64),
        }
        yield series_frame(times, columns, _constant(stage, Metric.STEP), random)


def _exposed_frame(stage: Stage, pace: _Pace, steps: int, random: np.random.Generator) -> "pl.DataFrame":
    """Return what communication costs beyond computing, of all steps; drawn apart, so that all else is as it was."""
    assert stage.bursts is not None
    times = drawn_times(random, np.array([pace.exposed_ns]), np.array([steps]), spread_ratio=SPREAD_RATIO)
    last = int(_parts(stage.bursts, len(pace.stalled))[-1])
    columns: dict[str, object] = {"round_index": np.array([WHOLE + last]), "src": np.zeros(1, dtype=np.int64)}
    constant = _constant(stage, Metric.EXPOSED) | {"bytes_per_iteration": 0, "checked_iterations": 0}
    return series_frame(times, columns, constant, random)


def _times(random: np.random.Generator, step_ns: float, iterations: IntArray, delayed: IntArray) -> Times:
    count = len(iterations)
    return drawn_times(
        random,
        np.full(count, step_ns),
        iterations,
        spread_ratio=SPREAD_RATIO,
        delays_ns=(np.full(count, TIMEOUT_NS),),
        delayed=(delayed,),
    )


def _arrival_frame(
    stage: Stage, ranks: IntArray, late_ns: FloatArray, pace: _Pace, random: np.random.Generator
) -> "pl.DataFrame":
    assert stage.bursts is not None
    counts = np.bincount(_parts(stage.bursts, len(pace.stalled))) * pace.steps
    times = drawn_times(random, np.tile(late_ns, len(counts)), np.repeat(counts, len(ranks)), spread_ratio=0.25)
    columns: dict[str, object] = {
        "src": np.tile(ranks, len(counts)),
        "round_index": np.repeat(np.arange(len(counts)), len(ranks)),
    }
    constant = _constant(stage, Metric.ARRIVAL) | {"bytes_per_iteration": 0, "checked_iterations": 0}
    return series_frame(times, columns, constant, random)


def _constant(stage: Stage, metric: Metric) -> dict[str, object]:
    return {
        "stage": stage.id, "probe": stage.probe, "metric": metric.value, "phase": Phase.TIMED.value, "dst": None,
        "window": 1, "dtype": stage.dtype, "op": stage.op, "root": None, "in_place": False,
        "size_bytes": stage.sizes_bytes[0],
    }  # fmt: skip


def _bins(stage: Stage, ranks: IntArray, late_ns: FloatArray, pace: _Pace) -> Iterator[StepBin]:
    """Yield each second; a lost packet holds up a step to which nobody came late."""
    last = int(np.argmax(late_ns))
    elapsed_ns = round(pace.steps * pace.interval_ns)
    for index, stalls in enumerate(pace.stalled.tolist()):
        began_ns = BEGAN_NS + index * elapsed_ns
        yield StepBin(
            stage=stage.id,
            round_index=index,
            rounds=1,
            began_ns=began_ns,
            elapsed_ns=elapsed_ns,
            steps=pace.steps,
            total_ns=round(pace.steps * pace.step_ns + stalls * TIMEOUT_NS),
            max_ns=round(pace.step_ns * (1 + 2 * SPREAD_RATIO) + (TIMEOUT_NS if stalls else 0)),
            slowest_round=index,
            slowest_began_ns=began_ns,
            late_rank=int(ranks[last]),
            late_ns=round(float(late_ns[last] - np.median(late_ns))),
            held_rank=int(ranks[last]),
            held_ns=0,
        )
