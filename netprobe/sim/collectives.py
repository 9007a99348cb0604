"""Collectives on a simulated fabric: how long they take, who comes late, and what NICs count when all send at once.

Times are those of rings for what moves much, and of trees for what moves little: log2(n) steps each way for all-reduce
and barrier, 2 (n-1)/n of the size at the rate of the slowest NIC (Thakur, Rabenseifner and Gropp, 2005).

Does not handle: what an algorithm makes of the places of ranks; every rank sends as much over its own NIC.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from netprobe.model.collective import SHAPES
from netprobe.model.plan import DTYPE_BYTES, Stage
from netprobe.model.series import Metric, Phase
from netprobe.sim.condition import Condition
from netprobe.sim.fabric import Fabric
from netprobe.sim.loss import TIMEOUT_NS, drawn_losses
from netprobe.sim.made import Made, rank_counters
from netprobe.sim.samples import drawn_times, series_frame
from netprobe.sim.tally import Tally, Traffic, count_traffic, packets_in
from netprobe.sim.ways import FAR_NS, Ways, ways_of
from netprobe.store.series_table import series_schema

if TYPE_CHECKING:
    import polars as pl

IntArray = NDArray[np.int64]
FloatArray = NDArray[np.float64]

LOADED_RATIO: Final = 0.8  # of the rate of one pair, that a NIC reaches when all send
MPI_STEP_NS: Final = 350.0
MARKED_RATIO: Final = 1e-3  # of packets, when all send at once
ALIGNED_SHARE: Final = 4
FEWEST_ALIGNED, MOST_ALIGNED = 10, 1000
FEWEST_ITERATIONS: Final = 4
MOST_ITERATIONS: Final = 200_000
GROUP_RATIO: Final = 1.6  # of the budget of a series: its arrivals are measured as well
ARRIVAL_NS: Final = 900.0
ALL_AT_ONCE: Final = frozenset({"alltoall"})
"""Collectives in which a NIC receives from several at a time."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Calls:
    """The series of one stage, in and out of place; arrays have shape (calls,)."""

    size_bytes: IntArray
    in_place: NDArray[np.bool_]
    median_ns: FloatArray
    iterations: IntArray


def play_collective(
    fabric: Fabric, condition: Condition, stage: Stage, ranks: IntArray, random: np.random.Generator, seed: int
) -> Made:
    """Return what a collective of these ranks leaves behind."""
    import polars as pl

    tally = Tally.of_shape(1, fabric.nics)
    neighbours = np.roll(ranks, -fabric.rails)  # rank k of the next host: rings follow the rails
    ring = ways_of(fabric, condition, (np.zeros(len(ranks), np.int64), ranks, neighbours), two_way=False, seed=seed)
    lateness = np.tile(condition.arrives_ns[fabric.host[ranks]], (_count(stage, len(ranks)), 1))
    lateness = lateness + random.exponential(ARRIVAL_NS / 3, lateness.shape)
    calls = _calls(stage, len(ranks), float(ring.rate_gbps.min()) * LOADED_RATIO, lateness.max(axis=1))
    factor = factor_of(stage, len(ranks))
    timeouts = np.array(
        [
            counted_timeouts(condition, stage, ring, factor * size * count, count, tally, random)
            for size, count in zip(calls.size_bytes.tolist(), calls.iterations.tolist(), strict=True)
        ]
    )
    frames = [
        *_operations(fabric, condition, stage, calls, timeouts, random),
        *_arrivals(stage, calls, ranks, lateness, random),
    ]
    rounds_ns = np.array([round(GROUP_RATIO * stage.series_budget_ns) * len(calls.size_bytes)], dtype=np.int64)
    counters = [rank_counters(fabric, condition, stage.id, 1, rounds_ns, random)]
    return Made(frame=pl.concat(frames), tally=tally, rounds_ns=rounds_ns, rank_counters=counters)


def _variants(stage: Stage) -> tuple[bool, ...]:
    return stage.in_place if SHAPES[stage.probe].has_in_place else (False,)


def _count(stage: Stage, ranks: int) -> int:
    return len(_sizes(stage, ranks)) * len(_variants(stage))


def factor_of(stage: Stage, ranks: int) -> float:
    """Return what each NIC sends of the size of a call (model.collective)."""
    return SHAPES[stage.probe].busbw_factor(ranks) if stage.probe != "barrier" else 0.0


def _calls(stage: Stage, ranks: int, gbps: float, late_ns: FloatArray) -> _Calls:
    sizes, variants = _sizes(stage, ranks), _variants(stage)
    size_bytes = np.repeat(np.array(sizes, dtype=np.int64), len(variants))
    steps = 2 * np.ceil(np.log2(max(ranks, 2)))
    median_ns = steps * (FAR_NS + MPI_STEP_NS) + 8 * factor_of(stage, ranks) * size_bytes / gbps + late_ns
    iterations = np.clip(stage.series_budget_ns / median_ns, FEWEST_ITERATIONS, MOST_ITERATIONS)
    return _Calls(
        size_bytes=size_bytes,
        in_place=np.tile(np.array(variants), len(sizes)),
        median_ns=median_ns,
        iterations=iterations.astype(np.int64),
    )


def _operations(
    fabric: Fabric,
    condition: Condition,
    stage: Stage,
    calls: _Calls,
    timeouts: IntArray,
    random: np.random.Generator,
) -> "Iterator[pl.DataFrame]":
    """Yield what the slowest rank of each iteration took, warm-up first."""
    ratio = min(float(condition.stall_ratio.sum()) * fabric.rails, 0.5)
    stalled = random.binomial(calls.iterations, ratio)
    count = len(calls.size_bytes)
    delays = (np.full(count, float(condition.stall_ns.max())), np.full(count, TIMEOUT_NS))
    for phase, share in ((Phase.WARMUP, 10), (Phase.TIMED, 1)):
        iterations = np.maximum(calls.iterations // share, FEWEST_ITERATIONS)
        late = (stalled // share, np.minimum(timeouts, calls.iterations // 2) // share)
        times = drawn_times(random, calls.median_ns, iterations, spread_ratio=0.03, delays_ns=delays, delayed=late)
        is_checked = (phase is Phase.TIMED) & (calls.size_bytes > 0)
        columns: dict[str, object] = {
            "src": np.zeros(count, dtype=np.int64),
            "size_bytes": calls.size_bytes,
            "in_place": calls.in_place,
            "bytes_per_iteration": calls.size_bytes,
            "checked_iterations": np.where(is_checked, stage.check_iterations + 1, 0),
        }
        if phase is Phase.TIMED and condition.corrupts:
            columns["faults"] = _faults(condition, stage, calls.size_bytes)
        yield series_frame(times, columns, _constant(stage, Metric.OPERATION, phase), random)


def _arrivals(
    stage: Stage, calls: _Calls, ranks: IntArray, lateness_ns: FloatArray, random: np.random.Generator
) -> "Iterator[pl.DataFrame]":
    """Yield how late each rank came, and left; ``lateness_ns`` has shape (calls, ranks)."""
    aligned = np.clip(calls.iterations // ALIGNED_SHARE, FEWEST_ALIGNED, MOST_ALIGNED)
    exits = random.uniform(200.0, 900.0, lateness_ns.shape)
    for metric, medians in ((Metric.ARRIVAL, lateness_ns), (Metric.EXIT, exits)):
        times = drawn_times(random, medians.ravel() + 50.0, np.repeat(aligned, len(ranks)), spread_ratio=0.25)
        columns: dict[str, object] = {
            "src": np.tile(ranks, len(aligned)),
            "size_bytes": np.repeat(calls.size_bytes, len(ranks)),
            "in_place": np.repeat(calls.in_place, len(ranks)),
        }
        constant = _constant(stage, metric, Phase.TIMED) | {"bytes_per_iteration": 0, "checked_iterations": 0}
        yield series_frame(times, columns, constant, random)


def _sizes(stage: Stage, ranks: int) -> tuple[int, ...]:
    """Return the sizes as probes use them: what is shared is a multiple of all ranks' elements."""
    if stage.probe == "barrier":
        return (0,)
    unit = DTYPE_BYTES[stage.dtype] * (ranks if SHAPES[stage.probe].chunked else 1)
    return tuple(dict.fromkeys(max(size // unit * unit, unit) for size in stage.sizes_bytes))


def _constant(stage: Stage, metric: Metric, phase: Phase) -> dict[str, object]:
    shape = SHAPES[stage.probe]
    return {
        "stage": stage.id, "probe": stage.probe, "metric": metric.value, "phase": phase.value, "round_index": 0,
        "dst": None, "window": 1, "dtype": stage.dtype, "op": stage.op if shape.reduces else None,
        "root": stage.root if shape.rooted else None,
    }  # fmt: skip


def counted_timeouts(  # noqa: PLR0913 - all that a stage is about
    condition: Condition,
    stage: Stage,
    ring: Ways,
    moved_bytes: float,
    iterations: int,
    tally: Tally,
    random: np.random.Generator,
) -> int:
    """Count what each NIC sends to the next; return how often the slowest waited for its timer."""
    ranks, peers, lossy = ring.src, ring.dst, ring.loss
    moved = np.full(len(ranks), max(moved_bytes, 64.0 * iterations))
    packets = packets_in(moved)
    is_crowded = stage.probe in ALL_AT_ONCE
    if is_crowded:
        dropped = 1 - (1 - condition.loses_loaded[ranks]) * (1 - condition.drops_loaded[peers])
        lossy = 1 - (1 - lossy) * (1 - dropped)
    losses = drawn_losses(random, packets, np.full(len(ranks), iterations), lossy, ring.back)
    traffic = Traffic(
        round_index=np.zeros(len(ranks), dtype=np.int64),
        src=ranks,
        dst=peers,
        moved_bytes=moved,
        packets=packets,
        losses=losses,
        overtaken=np.zeros(len(ranks), dtype=np.int64),
        stops=np.zeros(len(ranks)),
        stopped=np.zeros(len(ranks)),
    )
    count_traffic(tally, traffic, condition, random, marked_ratio=MARKED_RATIO if is_crowded else MARKED_RATIO / 20)
    if is_crowded:
        discarded = np.where(condition.drops_loaded[peers] > 0, losses.noticed + losses.tails, 0)
        tally.add("rx_discards_phy", traffic.round_index, peers, discarded)
    return int(losses.timeouts.sum())


def _faults(condition: Condition, stage: Stage, size_bytes: IntArray) -> "pl.Series":
    """Return wrong bytes of every call that moves some, at the ranks whose NIC flips a bit."""
    import polars as pl

    found = [
        [
            {
                "rank": rank, "peer": None, "probe": stage.probe, "size_bytes": size, "iteration": 0,
                "first_offset_bytes": 0, "wrong_bytes": 1, "xor_mask": 1 << bit, "bit_counts": [1],
            }
            for rank, bit in condition.corrupts.items()
            if size
        ]
        for size in size_bytes.tolist()
    ]  # fmt: skip
    return pl.Series(found, dtype=series_schema()["faults"])
