"""A stage of pairs on a simulated fabric: its series, what NICs and ranks counted, and pairs that could not go on."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from netprobe.model.plan import REACH, Path, Stage
from netprobe.model.rdma import PairFailure
from netprobe.model.series import Metric, Phase
from netprobe.plan.pairing import Round
from netprobe.sim.condition import Condition
from netprobe.sim.datagrams import play_datagrams
from netprobe.sim.fabric import Fabric
from netprobe.sim.loss import PACKET_BYTES, TIMEOUT_NS, drawn_losses, packets_of
from netprobe.sim.made import Made, rank_counters
from netprobe.sim.reach import refusal_of
from netprobe.sim.rows import Rows, columns_of, constant_of, rounds_ns_of, stalls_of, started_of
from netprobe.sim.samples import drawn_times, series_frame
from netprobe.sim.tally import Tally, Traffic, count_traffic
from netprobe.sim.ways import Ways, ways_of
from netprobe.store.series_table import series_schema

if TYPE_CHECKING:
    import polars as pl

IntArray = NDArray[np.int64]
FloatArray = NDArray[np.float64]

MESSAGE_NS: Final = 120.0  # what a CPU needs to post one message
MPI_RATIO: Final = 0.93  # of RDMA's rate, over UCX
MPI_NS: Final = 350.0  # that MPI takes longer, each way
WITHIN_NS: Final = 450.0  # one way through shared memory
WITHIN_GBPS: Final = 110.0
PAIR_SPREAD_RATIO: Final = 0.008
SPREAD_RATIO: Final = {Metric.ROUND_TRIP: 0.04, Metric.WINDOW: 0.02}
MOST_ITERATIONS: Final = 200_000
FEWEST_ITERATIONS: Final = 4
WARMUP_SHARE: Final = 10
MARKED_RATIO: Final = 2e-5  # of packets, where each port has one partner
BOUND_BYTES: Final = 64 << 10  # from here on the rate counts, and not the number of messages
LATE_RATIO: Final = 0.3  # of the median: what a timer interrupt adds


def play_pairs(  # noqa: PLR0913 - all that a stage is about
    fabric: Fabric,
    condition: Condition,
    stage: Stage,
    rounds: Sequence[Round],
    random: np.random.Generator,
    seed: int,
    began_ns: int = 0,
) -> Made:
    """Return what a stage of pairs leaves behind, that began so long after the ranks had met."""
    import polars as pl

    pairs = _pair_table(rounds)
    is_within = bool(len(pairs[0])) and bool((fabric.host[pairs[1]] == fabric.host[pairs[2]]).all())
    failures = tuple(_failures(condition, stage, pairs)) if stage.path is Path.VERBS else ()
    failed = {(each.round_index, each.src, each.dst) for each in failures}
    kept = np.array([ends not in failed for ends in zip(*(each.tolist() for each in pairs), strict=True)], dtype=bool)
    pairs = tuple(each[kept] for each in pairs) if failed else pairs
    rows = _rows_of(stage, len(pairs[0]))
    tally = Tally.of_shape(max(len(rounds), 1), fabric.nics)
    ways = None if is_within else ways_of(fabric, condition, pairs, two_way=stage.probe == "bidirectional", seed=seed)
    if not len(pairs[0]):
        return Made(
            frame=pl.DataFrame(schema=series_schema()), tally=tally, rounds_ns=rounds_ns_of(stage, tally.rounds),
            failures=failures,
        )  # fmt: skip
    frame, elapsed_ns, datagrams = _measured(fabric, condition, stage, pairs, rows, ways, tally, random, began_ns)
    counters = [rank_counters(fabric, condition, stage.id, len(rounds), elapsed_ns, random), *datagrams]
    return Made(frame=frame, tally=tally, rounds_ns=elapsed_ns, rank_counters=counters, failures=failures)


def _pair_table(rounds: Sequence[Round]) -> tuple[IntArray, IntArray, IntArray]:
    table = np.array([(index, *ends) for index, each in enumerate(rounds) for ends in each.pairs], dtype=np.int64)
    table = table.reshape(-1, 3)
    return table[:, 0], table[:, 1], table[:, 2]


def _rows_of(stage: Stage, pairs: int) -> Rows:
    sizes = np.array(stage.sizes_bytes, dtype=np.int64)
    return Rows(pair=np.repeat(np.arange(pairs), len(sizes)), size_bytes=np.tile(sizes, pairs))


def _measured(  # noqa: PLR0913 - all that a stage is about
    fabric: Fabric,
    condition: Condition,
    stage: Stage,
    pairs: tuple[IntArray, IntArray, IntArray],
    rows: Rows,
    ways: Ways | None,
    tally: Tally,
    random: np.random.Generator,
    began_ns: int,
) -> "tuple[pl.DataFrame, IntArray, list[pl.DataFrame]]":
    turn, src, dst = (each[rows.pair] for each in pairs)
    metric = Metric.ROUND_TRIP if stage.probe in ("latency", REACH) else Metric.WINDOW
    median_ns = _median_ns(stage, metric, rows, ways) * np.exp(random.normal(0.0, PAIR_SPREAD_RATIO, len(src)))
    loss, back = (np.zeros(len(src)),) * 2 if ways is None else (ways.loss[rows.pair], ways.back[rows.pair])
    messages = 2 if metric is Metric.ROUND_TRIP else stage.window * (2 if stage.probe == "bidirectional" else 1)
    iterations = _iterations(stage, metric, median_ns, loss)
    elapsed_ns = rounds_ns_of(stage, tally.rounds)
    if stage.probe == REACH:
        frame, datagrams = play_datagrams(
            fabric, condition, stage, (turn, src, dst), rows, median_ns, loss, back, random
        )
        return frame, elapsed_ns, datagrams
    timeouts = np.zeros(len(src), dtype=np.int64)
    if ways is not None:
        timeouts = _counted(condition, stage, tally, ways, rows, iterations, random)
    stalls, stall_ns = stalls_of(fabric, condition, src, dst, iterations, random)
    delays = (LATE_RATIO * median_ns + 2_000.0, stall_ns, np.full(len(src), TIMEOUT_NS))
    frames = []
    for phase, share in ((Phase.WARMUP, WARMUP_SHARE), (Phase.TIMED, 1)):
        count = np.maximum(iterations // share, FEWEST_ITERATIONS)
        late = (random.binomial(count, 2e-3), stalls // share, timeouts // share)
        times = drawn_times(random, median_ns, count, spread_ratio=SPREAD_RATIO[metric], delays_ns=delays, delayed=late)
        columns = columns_of(turn, src, dst, rows, messages)
        if phase is Phase.TIMED:
            columns["started_ns"] = started_of(stage, turn, began_ns)
        if phase is Phase.TIMED and condition.corrupts:
            columns["faults"] = _faults(condition, stage, dst, rows.size_bytes)
        frames.append(series_frame(times, columns, constant_of(stage, metric, phase), random))
    import polars as pl

    return pl.concat(frames), elapsed_ns, []


def _median_ns(stage: Stage, metric: Metric, rows: Rows, ways: Ways | None) -> FloatArray:
    """Return what an iteration takes: there and back, or a window of messages and its acknowledgement."""
    by_mpi = stage.path is Path.MPI
    if ways is None:
        one_way_ns, gbps = np.full(len(rows.pair), WITHIN_NS), np.full(len(rows.pair), WITHIN_GBPS)
    else:
        one_way_ns = ways.one_way_ns[rows.pair] + (MPI_NS if by_mpi else 0.0)
        gbps = ways.rate_gbps[rows.pair] * (MPI_RATIO if by_mpi else 1.0)
    message_ns = 8 * rows.size_bytes / gbps
    if metric is Metric.ROUND_TRIP:
        round_trip_ns: FloatArray = 2 * (one_way_ns + message_ns)
        return round_trip_ns
    window_ns: FloatArray = 2 * one_way_ns + stage.window * np.maximum(message_ns, MESSAGE_NS)
    return window_ns


def _iterations(stage: Stage, metric: Metric, median_ns: FloatArray, loss: FloatArray) -> IntArray:
    if stage.iterations is not None:
        return np.full(len(median_ns), stage.iterations)
    mean_ns = median_ns + loss * (2 if metric is Metric.ROUND_TRIP else 1) * TIMEOUT_NS
    fitting = np.clip(stage.series_budget_ns / mean_ns, FEWEST_ITERATIONS, MOST_ITERATIONS)
    return fitting.astype(np.int64)


def _counted(  # noqa: PLR0913 - all that a stage is about
    condition: Condition,
    stage: Stage,
    tally: Tally,
    ways: Ways,
    rows: Rows,
    iterations: IntArray,
    random: np.random.Generator,
) -> IntArray:
    """Count what rows moved, both ways; return how often each waited for a timer."""
    both = stage.probe in ("latency", "bidirectional")
    window = 1 if stage.probe == "latency" else stage.window
    waited = np.zeros(len(rows.pair), dtype=np.int64)
    moved = (iterations * window * np.maximum(rows.size_bytes, 1)).astype(np.float64) * (1 + 1 / WARMUP_SHARE)
    packets = (iterations * window * packets_of(rows.size_bytes) * (1 + 1 / WARMUP_SHARE)).astype(np.int64)
    for way, (src, dst, loss, back, overtaken) in enumerate(_directions(ways, rows, both=both)):
        losses = drawn_losses(random, packets, iterations, loss, back)
        traffic = Traffic(
            round_index=ways.round_index[rows.pair],
            src=src,
            dst=dst,
            moved_bytes=moved,
            packets=packets,
            losses=losses,
            overtaken=random.binomial(packets, overtaken),
            stops=ways.stops[rows.pair] * (way == 0),
            stopped=ways.stopped[rows.pair] * (way == 0),
        )
        count_traffic(tally, traffic, condition, random, marked_ratio=MARKED_RATIO)
        is_bound = rows.size_bytes >= BOUND_BYTES
        tally.stop(traffic, np.where(is_bound, stage.series_budget_ns, 0.0))
        # In a ping-pong the answer tells as well that all arrived: nobody waits for a lost acknowledgement.
        waited += losses.tails if stage.probe == "latency" else losses.timeouts
    return waited


def _directions(
    ways: Ways, rows: Rows, *, both: bool
) -> Iterator[tuple[IntArray, IntArray, FloatArray, FloatArray, FloatArray]]:
    src, dst = ways.src[rows.pair], ways.dst[rows.pair]
    loss, back = ways.loss[rows.pair], ways.back[rows.pair]
    yield src, dst, loss, back, ways.overtaken[rows.pair]
    if both:
        yield dst, src, back, loss, ways.overtaken_back[rows.pair]


def _faults(condition: Condition, stage: Stage, dst: IntArray, size_bytes: IntArray) -> "pl.Series":
    """Return wrong bytes of rows that end at a NIC that flips a bit."""
    import polars as pl

    found = [
        [
            {
                "rank": rank, "peer": None, "probe": stage.probe, "size_bytes": size, "iteration": 0,
                "first_offset_bytes": 0, "wrong_bytes": 1, "xor_mask": 1 << bit, "bit_counts": [1],
            }
        ]
        if (bit := condition.corrupts.get(rank)) is not None and size >= PACKET_BYTES
        else []
        for rank, size in zip(dst.tolist(), size_bytes.tolist(), strict=True)
    ]  # fmt: skip
    return pl.Series(found, dtype=series_schema()["faults"])


def _failures(condition: Condition, stage: Stage, pairs: tuple[IntArray, IntArray, IntArray]) -> Iterator[PairFailure]:
    """Yield the pairs that cannot go on over RDMA, one for each."""
    for turn, src, dst in zip(*(each.tolist() for each in pairs), strict=True):
        cause = refusal_of(condition, stage, src, dst)
        if cause is not None:
            yield PairFailure(
                stage=stage.id,
                probe=stage.probe,
                round_index=turn,
                src=src,
                dst=dst,
                size_bytes=cause[0],
                cause=cause[1],
            )
