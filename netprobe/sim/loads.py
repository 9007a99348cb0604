"""Rounds that load a simulated fabric: flows share ports and uplinks fairly, round trips wait in queues beside them.

What a hot receiver does to others: its leaf may hold back what comes from other leaves (head-of-line blocking), and
many senders may bring it less than one does (incast collapse); both are conditions of the leaf, none when all is well.

Does not handle: queues in motion. How much longer round trips are beside load is a figure of the condition.
"""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from netprobe.model.plan import LOAD_PHASES, LOADED_LATENCY, LOADED_PHASE, Stage
from netprobe.model.series import Metric, Phase
from netprobe.plan.pairing import Round
from netprobe.sim.condition import Condition
from netprobe.sim.fabric import Fabric
from netprobe.sim.loss import TIMEOUT_NS, drawn_losses
from netprobe.sim.made import Made, rank_counters
from netprobe.sim.pairs import MPI_NS, MPI_RATIO
from netprobe.sim.samples import Times, drawn_times, series_frame
from netprobe.sim.tally import Tally, Traffic, count_traffic, packets_in
from netprobe.sim.ways import Ways, ways_of
from netprobe.store.series_table import series_schema

if TYPE_CHECKING:
    import polars as pl

IntArray = NDArray[np.int64]
FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]
Ends = tuple[IntArray, IntArray, IntArray]
"""Round, source and destination of each row."""

ROUND_RATIO: Final = 1.6  # of the budget: flows settle before they are measured, and run on behind
MARKED_RATIO: Final = 1e-3  # of packets, where ports are full
MOST_WINDOW_BYTES: Final = 8 << 20
SPREAD_RATIO: Final = 0.02
LATE_RATIO: Final = 0.3
QUEUED_RATIO: Final = 0.3  # longer beside load, with congestion control in force
QUEUED_SPREAD: Final = 0.15
QUEUE_NS: Final = (2_000.0, 25_000.0)  # a queue below the threshold of ECN, and one up to that of PFC
HELD_NS: Final = 250_000.0  # what waits behind a link that is paused
OFTEN_RATIO: Final = 0.03  # of round trips that meet a queue
FEWEST_ITERATIONS: Final = 4
MOST_ITERATIONS: Final = 200_000
FEWEST_COLLAPSE: Final = 4  # senders from which on a small buffer overflows


def play_loads(
    fabric: Fabric, condition: Condition, stage: Stage, rounds: Sequence[Round], random: np.random.Generator, seed: int
) -> Made:
    """Return what a stage of load leaves behind."""
    import polars as pl

    tally = Tally.of_shape(max(len(rounds), 1), fabric.nics)
    elapsed_ns = np.full(tally.rounds, round(ROUND_RATIO * stage.series_budget_ns), dtype=np.int64)
    pairs, flows = _ends(rounds, "ends"), _ends(rounds, "flows")
    has_trips = stage.probe == LOADED_LATENCY
    if not has_trips:
        flows = tuple(np.concatenate(each) for each in zip(pairs, flows, strict=True))  # type: ignore[assignment]
    frames = [pl.DataFrame(schema=series_schema())]
    if len(flows[0]):
        frames.append(_flows(fabric, condition, stage, flows, tally, random, seed))
    if has_trips and len(pairs[0]):
        frames.append(_trips(fabric, condition, stage, pairs, flows, random, seed))
    counters = [rank_counters(fabric, condition, stage.id, len(rounds), elapsed_ns, random)]
    return Made(frame=pl.concat(frames), tally=tally, rounds_ns=elapsed_ns, rank_counters=counters)


def _ends(rounds: Sequence[Round], what: str) -> Ends:
    own = [getattr(each, what) for each in rounds]
    turn = np.repeat(np.arange(len(rounds)), [len(each) for each in own]).astype(np.int64)
    ends = np.concatenate([np.zeros((0, 2), dtype=np.int64), *own])
    return turn, ends[:, 0], ends[:, 1]


def _fan_in(flows: Ends, nics: int) -> IntArray:
    """Return how many flows of its round go where each goes."""
    turn, _, dst = flows
    keys = turn * nics + dst
    count: IntArray = np.bincount(keys)[keys] if len(keys) else keys
    return count


def _held_ratio(fabric: Fabric, condition: Condition, flows: Ends, fan_in: IntArray, rows: Ends) -> FloatArray:
    """Return by how much a hot receiver holds back each row that goes elsewhere on its leaf, from another leaf."""
    turn, src, dst = rows
    hot = np.zeros((int(max(flows[0].max(initial=0), turn.max(initial=0))) + 1, len(fabric.leaves)), dtype=bool)
    is_hot = fan_in > 1
    hot[flows[0][is_hot], fabric.leaf[flows[2][is_hot]]] = True
    crosses = fabric.leaf[src] != fabric.leaf[dst]
    held: FloatArray = np.where(hot[turn, fabric.leaf[dst]] & crosses, condition.blocks_ratio[fabric.leaf[dst]], 0.0)
    return held


def _rates(fabric: Fabric, condition: Condition, stage: Stage, flows: Ends, ways: Ways, fan_in: IntArray) -> FloatArray:
    held = np.where(fan_in > 1, 0.0, _held_ratio(fabric, condition, flows, fan_in, flows))
    lost = np.where(fan_in >= FEWEST_COLLAPSE, condition.collapses_ratio[flows[2]], 0.0)
    ratio = MPI_RATIO if stage.path.value == "mpi" else 1.0
    rates: FloatArray = np.maximum(ways.rate_gbps * ratio * (1 - held) * (1 - lost), 0.01)
    return rates


def _flows(  # noqa: PLR0913 - all that a stage is about
    fabric: Fabric,
    condition: Condition,
    stage: Stage,
    flows: Ends,
    tally: Tally,
    random: np.random.Generator,
    seed: int,
) -> "pl.DataFrame":
    """Return the series of all flows, and count what they moved."""
    turn = flows[0]
    fan_in = _fan_in(flows, fabric.nics)
    ways = ways_of(fabric, condition, flows, two_way=False, seed=seed)
    size_bytes = stage.load_bytes if stage.probe == LOADED_LATENCY else stage.sizes_bytes[0]
    window = max(1, min(stage.window, MOST_WINDOW_BYTES // size_bytes))
    rate = _rates(fabric, condition, stage, flows, ways, fan_in)
    median_ns = 2 * (ways.one_way_ns + MPI_NS) + 8.0 * window * size_bytes / rate
    median_ns *= np.exp(random.normal(0.0, 0.008, len(turn)))
    iterations = np.clip(stage.series_budget_ns / median_ns, FEWEST_ITERATIONS, MOST_ITERATIONS).astype(np.int64)
    timeouts = _count(
        condition, stage, ways, fan_in, (iterations * window * size_bytes).astype(np.float64), tally, random
    )
    delays = (LATE_RATIO * median_ns, np.full(len(turn), TIMEOUT_NS))
    late = (random.binomial(iterations, 2e-3), np.minimum(timeouts, iterations // 2))
    times = drawn_times(random, median_ns, iterations, spread_ratio=SPREAD_RATIO, delays_ns=delays, delayed=late)
    columns = _columns(flows, np.full(len(turn), window * size_bytes))
    return series_frame(times, columns, _constant(stage, Metric.FLOW, size_bytes, window), random)


def _count(  # noqa: PLR0913 - all that a stage is about
    condition: Condition,
    stage: Stage,
    ways: Ways,
    fan_in: IntArray,
    moved_bytes: FloatArray,
    tally: Tally,
    random: np.random.Generator,
) -> IntArray:
    """Count what flows moved and lost; ports that are full lose where they are told to. Return waits for timers."""
    packets = packets_in(moved_bytes)
    dropped = 1 - (1 - condition.loses_loaded[ways.src]) * (1 - condition.drops_loaded[ways.dst])
    is_full = fan_in > 1
    loss = np.where(is_full, 1 - (1 - ways.loss) * (1 - dropped), ways.loss)
    windows = np.maximum(packets // 256, 1)
    losses = drawn_losses(random, packets, np.minimum(windows, packets), loss, ways.back)
    traffic = Traffic(
        round_index=ways.round_index,
        src=ways.src,
        dst=ways.dst,
        moved_bytes=moved_bytes,
        packets=packets,
        losses=losses,
        overtaken=random.binomial(packets, ways.overtaken),
        stops=ways.stops,
        stopped=ways.stopped,
    )
    count_traffic(tally, traffic, condition, random, marked_ratio=MARKED_RATIO)
    tally.stop(traffic, np.full(len(packets), float(stage.series_budget_ns)))
    discarded = np.where(is_full & (condition.drops_loaded[ways.dst] > 0), losses.noticed + losses.tails, 0)
    tally.add("rx_discards_phy", ways.round_index, ways.dst, discarded)
    return losses.timeouts


def _trips(  # noqa: PLR0913 - all that a stage is about
    fabric: Fabric,
    condition: Condition,
    stage: Stage,
    pairs: Ends,
    flows: Ends,
    random: np.random.Generator,
    seed: int,
) -> "pl.DataFrame":
    """Return the round trips of all pairs, alone and beside flows."""
    import polars as pl

    ways = ways_of(fabric, condition, pairs, two_way=False, seed=seed)
    size_bytes = stage.sizes_bytes[0]
    median_ns = 2 * (ways.one_way_ns + MPI_NS + 8 * size_bytes / ways.rate_gbps)
    median_ns = median_ns * np.exp(random.normal(0.0, 0.008, len(median_ns)))
    is_loaded = pairs[0] % LOAD_PHASES == LOADED_PHASE
    fan_in = _fan_in(flows, fabric.nics)
    back = pairs[0], pairs[2], pairs[1]
    held = np.any([_held_ratio(fabric, condition, flows, fan_in, each) > 0 for each in (pairs, back)], axis=0)
    unmarked = condition.unmarked[pairs[1]] | condition.unmarked[pairs[2]]
    queue_ns = np.where(held, HELD_NS, np.where(unmarked, QUEUE_NS[1], QUEUE_NS[0]))

    def frames() -> "Iterator[pl.DataFrame]":
        for metric, chosen in ((Metric.ALONE, ~is_loaded), (Metric.LOADED, is_loaded)):
            if chosen.any():
                times = _trip_times(stage, median_ns[chosen], queue_ns[chosen], random, beside=metric is Metric.LOADED)
                own = tuple(each[chosen] for each in pairs)
                columns = _columns((own[0], own[1], own[2]), np.full(int(chosen.sum()), 2 * size_bytes))
                yield series_frame(times, columns, _constant(stage, metric, size_bytes, 1), random)

    return pl.concat(list(frames()))


def _trip_times(
    stage: Stage, median_ns: FloatArray, queue_ns: FloatArray, random: np.random.Generator, *, beside: bool
) -> Times:
    median_ns = median_ns * (1 + QUEUED_RATIO * beside)
    iterations = np.clip(stage.series_budget_ns / median_ns, FEWEST_ITERATIONS, MOST_ITERATIONS).astype(np.int64)
    queued = random.binomial(iterations, OFTEN_RATIO * beside)
    late = random.binomial(iterations, 2e-3)
    delays = (LATE_RATIO * median_ns + 2_000.0, queue_ns)
    spread = QUEUED_SPREAD if beside else 2 * SPREAD_RATIO
    return drawn_times(random, median_ns, iterations, spread_ratio=spread, delays_ns=delays, delayed=(late, queued))


def _columns(rows: Ends, bytes_per_iteration: IntArray) -> dict[str, object]:
    turn, src, dst = rows
    return {"round_index": turn, "src": src, "dst": dst, "bytes_per_iteration": bytes_per_iteration}


def _constant(stage: Stage, metric: Metric, size_bytes: int, window: int) -> dict[str, object]:
    return {
        "stage": stage.id, "probe": stage.probe, "metric": metric.value, "phase": Phase.TIMED.value,
        "size_bytes": size_bytes, "window": window, "dtype": stage.dtype, "op": None, "root": None, "in_place": False,
        "checked_iterations": 1 if stage.check_iterations else 0,
    }  # fmt: skip
