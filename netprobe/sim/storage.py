"""All-reduces beside reads from storage on a simulated fabric; what they take from each other is a figure of it.

Reads come over the host's first NIC, from servers that are no part of the fabric: they take what is asked for, or a
share of the line, and all-reduces go on at the rate that is left of the slowest NIC.

Does not handle: counters of what reads move; servers that are slow themselves.
"""

from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from netprobe.model.plan import Stage
from netprobe.model.series import Metric, Phase
from netprobe.model.storage import BLOCK_BYTES, PHASES, READS_IN, REDUCED_BEFORE, REDUCES_IN, TOGETHER
from netprobe.sim.collectives import LOADED_RATIO, MPI_STEP_NS
from netprobe.sim.condition import Condition
from netprobe.sim.fabric import Fabric
from netprobe.sim.made import Made, rank_counters
from netprobe.sim.samples import drawn_times, series_frame
from netprobe.sim.tally import Tally
from netprobe.sim.ways import FAR_NS, ways_of
from netprobe.units import NS_PER_S, gbps

if TYPE_CHECKING:
    import polars as pl

IntArray = NDArray[np.int64]
FloatArray = NDArray[np.float64]

READS_RATIO: Final = 0.1  # of the line, where nobody says at which rate to read
SPREAD_RATIO: Final = 0.02
FEWEST_ITERATIONS: Final = 4


def play_storage(
    fabric: Fabric, condition: Condition, stage: Stage, ranks: IntArray, random: np.random.Generator, seed: int
) -> Made:
    """Return what the rounds leave behind."""
    import polars as pl

    assert stage.storage is not None
    rate = stage.storage.rate_bytes_per_s
    wanted_gbps = READS_RATIO * fabric.line_gbps if rate is None else gbps(rate, NS_PER_S)
    readers = ranks[fabric.rail[ranks] == 0]
    rounds_ns = np.full(PHASES, stage.series_budget_ns, dtype=np.int64)
    return Made(
        frame=pl.concat(
            [
                _reduces(fabric, condition, stage, ranks, wanted_gbps, random, seed),
                *_reads(condition, stage, readers, wanted_gbps, random),
            ]
        ),
        tally=Tally.of_shape(PHASES, fabric.nics),
        rounds_ns=rounds_ns,
        rank_counters=[rank_counters(fabric, condition, stage.id, PHASES, rounds_ns, random)],
    )


def _reduces(  # noqa: PLR0913 - all that a stage is about
    fabric: Fabric,
    condition: Condition,
    stage: Stage,
    ranks: IntArray,
    reads_gbps: float,
    random: np.random.Generator,
    seed: int,
) -> "pl.DataFrame":
    neighbours = np.roll(ranks, -fabric.rails)
    ring = ways_of(fabric, condition, (np.zeros(len(ranks), np.int64), ranks, neighbours), two_way=False, seed=seed)
    together = np.array(REDUCES_IN) == TOGETHER
    alone_gbps = float(ring.rate_gbps.min()) * LOADED_RATIO
    left_gbps = np.where(together, min(alone_gbps, fabric.line_gbps - reads_gbps), alone_gbps)
    left_gbps *= np.where(together, 1 - condition.storage_slows_ratio, 1.0)
    steps = 2 * np.ceil(np.log2(max(len(ranks), 2)))
    moved_bits = 16 * stage.sizes_bytes[0] * (len(ranks) - 1) / len(ranks)
    median_ns = steps * (FAR_NS + MPI_STEP_NS) + moved_bits / left_gbps
    median_ns *= np.exp(random.normal(0.0, SPREAD_RATIO / 4, len(median_ns)))
    iterations = np.maximum(stage.series_budget_ns / median_ns, FEWEST_ITERATIONS).astype(np.int64)
    times = drawn_times(random, median_ns, iterations, spread_ratio=SPREAD_RATIO)
    columns: dict[str, object] = {
        "round_index": np.array(REDUCES_IN),
        "src": np.zeros(len(REDUCES_IN), dtype=np.int64),
        "checked_iterations": np.where(np.array(REDUCES_IN) == REDUCED_BEFORE, stage.check_iterations, 0),
        "bytes_per_iteration": np.full(len(REDUCES_IN), stage.sizes_bytes[0]),
    }
    constant = _constant(stage, Metric.REDUCED) | {"size_bytes": stage.sizes_bytes[0], "op": stage.op}
    return series_frame(times, columns, constant, random)


def _reads(
    condition: Condition, stage: Stage, readers: IntArray, wanted_gbps: float, random: np.random.Generator
) -> "list[pl.DataFrame]":
    """Return blocks, and everything of a round as one iteration, host by host."""
    phase = np.repeat(np.array(READS_IN), len(readers))
    rate: FloatArray = np.where(phase == TOGETHER, 1 - condition.storage_starves_ratio, 1.0) * wanted_gbps
    rate = rate * np.exp(random.normal(0.0, SPREAD_RATIO, len(rate)))
    blocks = np.maximum(rate * stage.series_budget_ns / (8 * BLOCK_BYTES), 1).astype(np.int64)
    columns: dict[str, object] = {"round_index": phase, "src": np.tile(readers, len(READS_IN))}
    unmoved, moved = (columns | {"bytes_per_iteration": each * BLOCK_BYTES} for each in (np.zeros_like(blocks), blocks))
    constant, whole = (
        _constant(stage, metric) | {"size_bytes": BLOCK_BYTES, "op": None, "checked_iterations": 0}
        for metric in (Metric.READ, Metric.READS)
    )
    each = drawn_times(random, 8 * BLOCK_BYTES / rate, blocks, spread_ratio=SPREAD_RATIO)
    total_ns = 8 * BLOCK_BYTES * blocks / rate
    all_of_it = drawn_times(random, total_ns, np.ones(len(phase), dtype=np.int64), spread_ratio=1e-6)
    return [series_frame(each, unmoved, constant, random), series_frame(all_of_it, moved, whole, random)]


def _constant(stage: Stage, metric: Metric) -> dict[str, object]:
    return {
        "stage": stage.id, "probe": stage.probe, "metric": metric.value, "phase": Phase.TIMED.value, "dst": None,
        "window": 1, "dtype": stage.dtype, "root": None, "in_place": False,
    }  # fmt: skip
