"""Bursts as tables: seconds, what parts of the stage tell, and which counters grew in the seconds of slow steps."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Final

import numpy as np
import polars as pl

from netprobe.catalogue.counter import Weight
from netprobe.judge.growths import LOSS, PAUSES_RECEIVED, PAUSES_SENT, known_counter
from netprobe.model.bursts import BURSTS, StepBin
from netprobe.model.evidence import ArrivalTable, CounterRise, FloatArray, IntArray, StepTable
from netprobe.model.meaning import Meaning
from netprobe.model.plan import Stage
from netprobe.model.series import Metric
from netprobe.stats.steps import MOST_PARTS, WHOLE
from netprobe.store.reader import Run
from netprobe.units import NS_PER_MS

ENOUGH_RATIO: Final = 0.9  # of all steps, that a histogram must hold to be told as that of all
RISE_RATIO: Final = 3.0  # growth in one second against the others: what comes and goes by twos and threes is no sign
RISE_FLOOR_NS: Final = 5 * NS_PER_MS  # of times; shorter ones delay no step that anybody notices
WAITED: Final = "process/run_delay_ns"
OWN_NAMES: Final = frozenset({
    WAITED, "cgroup/throttled_ns", "cpu/steal_ns", "tcp/RetransSegs", "tcp/TCPTimeouts", "tcp/TCPRcvQDrop",
    "tcp/TCPBacklogDrop", "tcp/TCPLostRetransmit",
})  # fmt: skip
DROPS: Final = ("rx_dropped", "tx_dropped", "rx_errors", "tx_errors", "rx_missed_errors")
CONGESTION: Final = LOSS | PAUSES_SENT | PAUSES_RECEIVED | {Meaning.CNP_SENT, Meaning.CNP_HANDLED, Meaning.ECN_MARKED}
WEIGHTS: Final = tuple(Weight)


def step_tables(run: Run, timed: pl.DataFrame) -> Iterator[StepTable]:
    """Yield the table of each stage of bursts that has a second; ``timed`` are rows with their statistics."""
    rows = timed.filter(pl.col("probe") == BURSTS)
    for stage in run.header.plan.stages:
        bins = tuple(each for each in run.steps if each.stage == stage.id)
        if bins and stage.bursts is not None:
            own = rows.filter(pl.col("stage") == stage.id)
            yield _table(stage, bins, own, run.counters.filter(pl.col("stage") == stage.id))


def step_arrivals(tables: Iterable[StepTable]) -> Iterator[ArrivalTable]:
    """Yield how late ranks came to steps, the median over the parts of a stage: a rank that computes longer is late."""
    for table in tables:
        if table.arrival_p50_ns.size:
            yield ArrivalTable(
                stage=table.stage,
                probe=BURSTS,
                size_bytes=table.size_bytes,
                iterations=table.steps,
                rank=table.rank,
                arrival_p50_ns=np.nanmedian(table.arrival_p50_ns, axis=0),
                arrival_p99_ns=np.full(len(table.rank), np.nan),
                exit_p50_ns=np.full(len(table.rank), np.nan),
                operation_p50_ns=table.p50_ns,
            )


def _table(stage: Stage, bins: tuple[StepBin, ...], rows: pl.DataFrame, counters: pl.DataFrame) -> StepTable:
    assert stage.bursts is not None
    parts = rows.filter((pl.col("metric") == Metric.STEP.value) & (pl.col("round_index") < WHOLE)).sort("round_index")
    p50_ns, p99_ns, p999_ns = _percentiles(rows, parts, bins)
    rank, arrival_p50_ns = _arrivals(rows)
    exposed_p50_ns, exposed_mean_ns = _exposed(rows)
    grown = _grown(counters, {each.slowest_round for each in bins})
    return StepTable(
        stage=stage.id,
        size_bytes=stage.sizes_bytes[0],
        compute_ratio=stage.bursts.compute_ratio,
        period_ns=stage.bursts.period_ns,
        is_free_running=stage.bursts.is_free_running,
        bins=bins,
        p50_ns=p50_ns,
        p99_ns=p99_ns,
        p999_ns=p999_ns,
        part_p50_ns=parts["p50_ns"].to_numpy().astype(np.float64),
        part_steps=parts["iterations"].to_numpy().astype(np.int64),
        rank=rank,
        arrival_p50_ns=arrival_p50_ns,
        rises=tuple(_rises(grown)),
        waited_ns=_waited(grown),
        overlaps=stage.bursts.overlaps,
        exposed_p50_ns=exposed_p50_ns,
        exposed_mean_ns=exposed_mean_ns,
    )


def _percentiles(rows: pl.DataFrame, parts: pl.DataFrame, bins: tuple[StepBin, ...]) -> tuple[float, float, float]:
    """Return p50, p99 and p99.9 of the longest histogram; without one, the median of what parts or seconds took."""
    steps = sum(each.steps for each in bins)
    whole = rows.filter((pl.col("metric") == Metric.STEP.value) & (pl.col("round_index") >= WHOLE))
    longest = whole.sort("iterations").tail(1)
    if len(longest) and longest["iterations"].item() >= ENOUGH_RATIO * steps:
        return longest["p50_ns"].item(), longest["p99_ns"].item(), longest["p999_ns"].item()
    told = parts["p50_ns"].to_numpy() if len(parts) else np.array([each.total_ns / each.steps for each in bins])
    return float(np.median(told)), float("nan"), float("nan")


def _exposed(rows: pl.DataFrame) -> tuple[float, float]:
    """Return the median and the mean of what communication cost beyond computing; NaN in runs of older versions."""
    longest = rows.filter(pl.col("metric") == Metric.EXPOSED.value).sort("iterations").tail(1)
    if longest.is_empty():
        return float("nan"), float("nan")
    return float(longest["p50_ns"].item()), longest["total_ns"].item() / longest["iterations"].item()


def _arrivals(rows: pl.DataFrame) -> tuple[IntArray, FloatArray]:
    """Return the ranks, and each one's median lateness by part, shape (parts, ranks)."""
    arrivals = rows.filter((pl.col("metric") == Metric.ARRIVAL.value) & (pl.col("round_index") < MOST_PARTS))
    ranks, column = np.unique(arrivals["src"].to_numpy(), return_inverse=True)
    parts, row = np.unique(arrivals["round_index"].to_numpy(), return_inverse=True)
    table = np.full((len(parts), len(ranks)), np.nan)
    table[row, column] = arrivals["p50_ns"].to_numpy()
    return ranks.astype(np.int64), table


def _grown(counters: pl.DataFrame, rounds: set[int]) -> pl.DataFrame:
    """Return what signs grew by in these rounds, and usually in so long a time: over all other rounds."""
    counters = counters.filter(pl.col("round_index").is_not_null())
    own = counters.filter(pl.col("counter").is_in([each for each in counters["counter"].unique() if is_sign(each)]))
    totals = own.group_by("rank", "counter").agg(total=pl.col("growth").sum())
    spans = counters.select("rank", "round_index", "elapsed_ns").unique()
    lengths = spans.group_by("rank").agg(length_ns=pl.col("elapsed_ns").sum())
    others_ns = pl.col("length_ns") - pl.col("elapsed_ns")
    return (
        own.filter(pl.col("round_index").is_in(sorted(rounds)))
        .join(totals, on=["rank", "counter"])
        .join(lengths, on="rank")
        .filter(others_ns > 0)
        .with_columns(usual=(pl.col("total") - pl.col("growth")) * (pl.col("elapsed_ns") / others_ns))
        .sort("round_index", "rank", "counter")
    )


def _rises(grown: pl.DataFrame) -> Iterator[CounterRise]:
    """Yield what grew by far more than usual."""
    is_time = pl.col("counter").str.ends_with("_ns")
    rises = grown.filter(
        (pl.col("growth") > RISE_RATIO * pl.col("usual")) & (~is_time | (pl.col("growth") >= RISE_FLOOR_NS))
    )
    for row in rises.iter_rows(named=True):
        yield CounterRise(**{name: row[name] for name in ("round_index", "rank", "counter", "growth", "usual")})


def is_sign(counter: str) -> bool:
    """Return whether growth of a counter is a sign of loss, flow control, congestion, or of a CPU that is not there."""
    if counter in OWN_NAMES or counter.rpartition("/")[2] in DROPS:
        return True
    known = known_counter(counter, WEIGHTS)
    return known is not None and (known[1].weight in (Weight.FAIL, Weight.WARN) or known[1].meaning in CONGESTION)


def _waited(grown: pl.DataFrame) -> Mapping[tuple[int, int], float]:
    own = grown.filter(pl.col("counter") == WAITED)
    return {(row["round_index"], row["rank"]): row["growth"] - row["usual"] for row in own.iter_rows(named=True)}
