"""From a run directory's table to typed arrays: the one place of the judging half that knows polars.

Only timed rows are judged; warm-up rows count only towards the bytes moved. Whether a pair is within a host or
between hosts is read off its ranks.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from typing import Any, Final

import numpy as np
import polars as pl

from netprobe.catalogue.keys import Origin
from netprobe.judge.datagrams import PREFIX as DATAGRAMS
from netprobe.judge.datagrams import datagram_table
from netprobe.judge.flows import flow_table, without_flows
from netprobe.judge.gpus import PREFIX as GPUS
from netprobe.judge.gpus import gpu_growths
from netprobe.judge.hops import hop_tables
from netprobe.judge.loads import flow_tables, loaded_tables
from netprobe.judge.noise import noise_table
from netprobe.judge.pair_tables import pair_tables, rows_alike, with_carrier, with_pipelined, with_scope
from netprobe.judge.ports import port_table
from netprobe.judge.shapes import shapes_of, spike_table
from netprobe.judge.steps import step_arrivals, step_tables
from netprobe.judge.storage import storage_tables
from netprobe.judge.unread import unread_ports
from netprobe.locate.passes import SECOND_PASS_ROUND
from netprobe.locate.placement import placement_of
from netprobe.model.bursts import BURSTS
from netprobe.model.endpoint import Rank
from netprobe.model.evidence import (
    NO_COUNTERS,
    ArrivalTable,
    CounterTable,
    Coverage,
    DatagramTable,
    Evidence,
    GroupResult,
    IntArray,
)
from netprobe.model.plan import HOST_NOISE, LOADS, REACH, Memory, Path, Plan, Scope
from netprobe.model.run import RunHeader, RunStatus, StageOutcome
from netprobe.model.series import LOAD_METRICS, MOVING_METRICS, Fault, Metric, Phase
from netprobe.plan.second_pass import SECOND_PASS
from netprobe.stats.distinct import sorted_distinct
from netprobe.store.reader import Run
from netprobe.store.series_table import UNJUDGED, with_digest, with_later_columns
from netprobe.units import NS_PER_MS

PAIR_METRICS: Final = (Metric.ROUND_TRIP, Metric.WINDOW)
SPAN_METRICS: Final = (Metric.WIRE, Metric.RESPONDING, Metric.PROBING)
GROUP_KEYS: Final = ("stage", "probe", "size_bytes", "dtype", "op", "root", "in_place")
RDMA: Final = f"{Origin.RDMA}/"
ETHTOOL: Final = f"{Origin.ETHTOOL}/"
NO_PAIRS: Final = np.zeros(0, dtype=np.int64)
SHORTEST_ROUND_NS: Final = 10 * NS_PER_MS
ENDED_EARLY: Final = {
    RunStatus.RUNNING: "the program ended before the run did (killed, or the machine went down)",
    RunStatus.INTERRUPTED: "the run was interrupted",
    RunStatus.FAILED: "the run failed",
}


def evidence_of(run: Run) -> Evidence:
    """Return what the judges may look at."""
    timed = _with_statistics(_where(run.series, (pl.col("phase") == Phase.TIMED) & (pl.col("iterations") > 0)))
    header = run.header
    is_of_pair = pl.col("dst").is_not_null()
    pairs = with_pipelined(_where(timed, is_of_pair & _is_any(PAIR_METRICS)), timed)
    spans = _where(timed, is_of_pair & _is_any(SPAN_METRICS))
    loads = _where(timed, is_of_pair & _is_any(LOAD_METRICS))
    is_of_port = pl.col("counter").str.starts_with(RDMA) | pl.col("counter").str.starts_with(ETHTOOL)
    is_of_datagrams = pl.col("counter").str.starts_with(DATAGRAMS)
    is_of_gpu = pl.col("counter").str.starts_with(GPUS)
    of_ports = run.counters.filter(is_of_port)
    of_pairs = with_scope(pairs if len(of_ports) else pairs.clear(), header)
    counters = _counters(run.counters.filter(~is_of_port & ~is_of_datagrams & ~is_of_gpu), header.plan)
    datagrams = datagram_table(run.counters.filter(is_of_datagrams))
    faults = tuple(_faults(run.series, header.plan))
    steps = tuple(step_tables(run, timed))
    return Evidence(
        plan=header.plan,
        ranks=header.ranks,
        clocks=header.clocks,
        pairs=tuple(pair_tables(without_flows(pairs, header.plan), header)),
        groups=tuple(_group_results(timed, header)),
        arrivals=(*_arrival_tables(_where(timed, pl.col("probe") != BURSTS)), *step_arrivals(steps)),
        steps=steps,
        storage=tuple(storage_tables(timed, header.plan)),
        hops=tuple(hop_tables(timed)),
        loaded=tuple(loaded_tables(loads, header)),
        flows_together=tuple(flow_tables(loads, header)),
        faults=tuple(fault for fault, _ in faults),
        fault_paths=tuple(path for _, path in faults),
        coverage=_coverage(run, _of_coverage(pairs, loads), timed, datagrams),
        gaps=tuple(dict.fromkeys((*header.gaps, *(gap for each in header.outcomes for gap in each.gaps)))),
        run_error=header.error or ENDED_EARLY.get(header.status),
        counters=counters,
        benched=header.benched,
        paths=header.paths,
        noise=noise_table(timed),
        spikes=spike_table(pairs),
        shapes=tuple(shapes_of(without_flows(pairs, header.plan), header)),
        waiting_ratio=_waiting_ratio(counters, header.ranks),
        stuck_pairs=header.stuck_pairs,
        failures=tuple(failure for outcome in header.outcomes for failure in outcome.failures),
        endpoints=header.endpoints,
        gpus=header.gpus,
        nccl=header.nccl,
        gpu_windows=run.gpu_windows,
        gpu_growths=gpu_growths(run.counters.filter(is_of_gpu)),
        datagrams=datagrams,
        flows=flow_table(pairs, header.plan),
        spans=tuple(pair_tables(spans, header, by_span=True)),
        inventories={inventory.host: inventory for inventory in run.inventories},
        ports=port_table(of_ports, of_pairs, header.ranks, run.inventories, _provoked(header)),
        unread=unread_ports(of_ports, header, run.inventories),
    )


def _provoked(header: RunHeader) -> tuple[str, ...]:
    """Return the stages that loaded the fabric on purpose, in which something was measured."""
    loads = {stage.id for stage in header.plan.stages if stage.probe in LOADS}
    return tuple(outcome.stage for outcome in header.outcomes if outcome.stage in loads and outcome.rounds)


def _of_coverage(pairs: pl.DataFrame, loads: pl.DataFrame) -> pl.DataFrame:
    """Return the rows that say of which pairs something is known; pairs and flows of a load differ in size."""
    columns = ["stage", "src", "dst", "size_bytes"]
    return pl.concat([pairs.select(columns), loads.select(*columns[:-1], size_bytes=pl.lit(0, dtype=pl.Int64))])


def _is_any(metrics: tuple[Metric, ...]) -> pl.Expr:
    # Not is_in, which turns the names of millions of rows into text first.
    return pl.any_horizontal([pl.col("metric") == metric.value for metric in metrics])


def _where(frame: pl.DataFrame, condition: pl.Expr) -> pl.DataFrame:
    """Return the rows of which it is true; the same table where that is all of them, instead of a copy."""
    mask = frame.select(condition.fill_null(value=False)).to_series()
    return frame if mask.all() else frame.filter(mask)


def _with_statistics(timed: pl.DataFrame) -> pl.DataFrame:
    """Replace the histograms by their quantiles; rows whose histogram is empty were not measured, and go."""
    digested = timed if "samples" in timed else with_digest(with_later_columns(timed)).drop(UNJUDGED)
    return _where(digested, pl.col("samples") > 0)


def _group_results(timed: pl.DataFrame, header: RunHeader) -> Iterator[GroupResult]:
    ranks_of = {outcome.stage: len(outcome.ranks) for outcome in header.outcomes}
    undivided = _undivided(timed)
    operations = timed.filter(pl.col("metric") == Metric.OPERATION)
    for row in with_carrier(operations, header.plan).iter_rows(named=True):
        wrong_bytes = sum(fault["wrong_bytes"] for fault in row["faults"])
        yield GroupResult(
            **{key: row[key] for key in GROUP_KEYS},
            path=Path(row["path"]),
            memory=Memory(row["send_memory"]),
            ranks=ranks_of.get(row["stage"]) or len(header.ranks),
            iterations=row["iterations"],
            mean_ns=row["total_ns"] / row["iterations"],
            p50_ns=row["p50_ns"],
            p99_ns=_known(row["p99_ns"]),
            max_ns=float(row["max_ns"]),
            wrong_bytes=wrong_bytes if row["checked_iterations"] else None,
            **undivided.get(tuple(row[key] for key in GROUP_KEYS), {}),
        )


def _undivided(timed: pl.DataFrame) -> dict[tuple[Any, ...], dict[str, Any]]:
    """Return the figures of runs that nothing divides, by the collective that they are of."""
    figures: dict[tuple[Any, ...], dict[str, Any]] = {}
    is_of_group = pl.col("dst").is_null() & (pl.col("metric") == Metric.PIPELINED)
    for row in timed.filter(is_of_group).iter_rows(named=True):
        iterations = row["iterations"] * row["window"]
        figures[tuple(row[key] for key in GROUP_KEYS)] = {
            "pipelined_ns": row["total_ns"] / iterations,
            "pipelined_iterations": iterations,
        }
    return figures


def _known(value: float) -> float | None:
    return None if np.isnan(value) else value


def _arrival_tables(timed: pl.DataFrame) -> Iterator[ArrivalTable]:
    operations = timed.filter(pl.col("metric") == Metric.OPERATION)
    arrivals = timed.filter(pl.col("metric") == Metric.ARRIVAL)
    exits = timed.filter(pl.col("metric") == Metric.EXIT)
    # A null (no op, no root) is a value of a key like any other.
    with_exit = arrivals.join(
        exits.select(*GROUP_KEYS, "src", exit_p50_ns="p50_ns"),
        on=[*GROUP_KEYS, "src"],
        how="left",
        nulls_equal=True,
        maintain_order="left",
    ).join(
        operations.select(*GROUP_KEYS, operation_p50_ns="p50_ns").unique(GROUP_KEYS, maintain_order=True),
        on=GROUP_KEYS,
        how="left",
        nulls_equal=True,
        maintain_order="left",
    )
    for _, rows in with_exit.group_by(*GROUP_KEYS, maintain_order=True):
        first = rows.row(0, named=True)
        operation_p50_ns = first["operation_p50_ns"]
        yield ArrivalTable(
            stage=first["stage"],
            probe=first["probe"],
            size_bytes=first["size_bytes"],
            iterations=first["iterations"],
            rank=rows["src"].to_numpy(),
            arrival_p50_ns=rows["p50_ns"].to_numpy(),
            arrival_p99_ns=rows["p99_ns"].to_numpy(),
            exit_p50_ns=rows["exit_p50_ns"].fill_null(float("nan")).to_numpy(),
            operation_p50_ns=float("nan") if operation_p50_ns is None else operation_p50_ns,
        )


def _followed_stages(plan: Plan) -> dict[str, str]:
    """Return the stage that each stage of a second pass follows."""
    first = {
        (stage.probe, stage.path): stage.id
        for stage in reversed(plan.stages)
        if stage.scope is Scope.BETWEEN_HOSTS and not stage.id.startswith(SECOND_PASS)
    }
    return {
        stage.id: first.get((stage.probe, stage.path), stage.id)
        for stage in plan.stages
        if stage.id.startswith(SECOND_PASS)
    }


def _counters(counters: pl.DataFrame, plan: Plan) -> CounterTable:
    if counters.is_empty():
        return NO_COUNTERS
    followed = _followed_stages(plan)
    counters = counters.with_columns(
        stage=pl.col("stage").replace(followed),
        round_index=pl.col("round_index")
        + pl.when(pl.col("stage").is_in(list(followed))).then(SECOND_PASS_ROUND).otherwise(0),
    )
    keys = ["stage", "round_index", "rank", "elapsed_ns"]
    wide = counters.pivot(on="counter", index=keys, values="growth", aggregate_function="first", maintain_order=True)
    return CounterTable(
        stage=tuple(wide["stage"].to_list()),
        round_index=wide["round_index"].to_numpy(),
        rank=wide["rank"].to_numpy(),
        elapsed_ns=wide["elapsed_ns"].to_numpy().astype(np.float64),
        grown={
            name: wide[name].cast(pl.Float64).fill_null(float("nan")).to_numpy()
            for name in wide.columns
            if name not in keys
        },
    )


def _waiting_ratio(counters: CounterTable, ranks: tuple[Rank, ...]) -> dict[str, float]:
    """Return the share of their rounds that the ranks of each host waited for a CPU; hosts that do not tell are out."""
    grown_ns = counters.grown.get("process/run_delay_ns")
    if grown_ns is None:
        return {}
    placement = placement_of(ranks)
    # Who sat a round out measured for microseconds, and waited while its counters were read; on a machine that is busy
    # for longer, but no thread waits longer than a round takes.
    known = np.isfinite(grown_ns) & (counters.elapsed_ns >= np.fmax(grown_ns, SHORTEST_ROUND_NS))
    host = placement.host_of[counters.rank[known]]
    elapsed_ns = np.bincount(host, counters.elapsed_ns[known], len(placement.hosts)).tolist()
    waited_ns = np.bincount(host, grown_ns[known], len(placement.hosts)).tolist()
    return {
        name: waited / elapsed
        for name, waited, elapsed in zip(placement.hosts, waited_ns, elapsed_ns, strict=True)
        if elapsed > 0
    }


def _faults(series: pl.DataFrame, plan: Plan) -> Iterator[tuple[Fault, Path]]:
    """Yield the faults of all rows, and what carried the bytes: a wrong one counts wherever it was seen."""
    faulty = with_carrier(_where(series, pl.col("faults").list.len() > 0), plan)
    for faults, path in zip(faulty["faults"], faulty["path"], strict=True):
        yield from ((Fault(**{**fault, "bit_counts": tuple(fault["bit_counts"])}), Path(path)) for fault in faults)


@dataclass(frozen=True, slots=True, kw_only=True)
class _PairCount:
    planned: int
    measured: int
    failed: int


def _coverage(run: Run, pairs: pl.DataFrame, timed: pl.DataFrame, datagrams: DatagramTable) -> Coverage:
    header = run.header
    counted = _pair_count(header, pairs, datagrams)
    of_row = pl.when(_is_any(MOVING_METRICS)).then(pl.col("bytes_per_iteration") * pl.col("iterations")).otherwise(0)
    bytes_moved = run.series.select(of_row.sum()).item() + run.left_out_bytes
    return Coverage(
        ranks=len(header.ranks),
        hosts=len({rank.host for rank in header.ranks}),
        stages_planned=tuple(stage.id for stage in header.plan.stages),
        stages_finished=tuple(outcome.stage for outcome in header.outcomes if outcome.is_complete),
        pairs_planned=counted.planned,
        pairs_measured=counted.measured,
        untested_ranks=_untested_ranks(header, pairs, timed, datagrams),
        bytes_moved=int(bytes_moved),
        checked_iterations=int(timed["checked_iterations"].sum()),
        stages_empty=sum(1 for outcome in header.outcomes if outcome.rounds == 0),
        pairs_failed=counted.failed,
    )


def _pair_count(header: RunHeader, pairs: pl.DataFrame, datagrams: DatagramTable) -> _PairCount:
    """Count planned and measured pairs stage by stage; a pair that lacks a size of its stage was not measured.

    Of datagrams a count is an answer, also where nothing came back.
    """
    ranks = len(header.ranks)
    measured = _measured_pairs(pairs, datagrams, ranks)
    by_stage: dict[str, list[StageOutcome]] = {}
    for outcome in header.outcomes:
        by_stage.setdefault(outcome.stage, []).append(outcome)
    counts = [_count_of_stage(outcomes, measured.get(stage, NO_PAIRS), ranks) for stage, outcomes in by_stage.items()]
    return _PairCount(
        planned=sum(each.planned for each in counts),
        measured=sum(each.measured for each in counts),
        failed=sum(each.failed for each in counts),
    )


def _count_of_stage(outcomes: list[StageOutcome], measured: IntArray, ranks: int) -> _PairCount:
    planned, strangers = [NO_PAIRS], 0
    for outcome in outcomes:
        keys, others = _pair_keys(outcome.planned_pairs, ranks)
        if any(gap.topic == REACH for gap in outcome.gaps):  # a NIC without datagrams has told so
            keys, others = keys[np.isin(keys, measured)], 0
        planned.append(keys)
        strangers += others
    wanted = sorted_distinct(np.concatenate(planned), below=ranks * ranks)
    is_done = np.array_equal(wanted, measured) or np.isin(wanted, measured, assume_unique=True)
    done = np.broadcast_to(is_done, wanted.shape)
    failed, _ = _pair_keys(tuple((each.src, each.dst) for outcome in outcomes for each in outcome.failures), ranks)
    return _PairCount(
        planned=len(wanted) + strangers,
        measured=int(done.sum()),
        failed=int(np.isin(wanted[~done], failed).sum()),
    )


def _pair_keys(pairs: tuple[tuple[int, int], ...], ranks: int) -> tuple[IntArray, int]:
    """Return pairs as one number each, and how many of others there are: a header written by hand may have any."""
    try:
        ends = np.fromiter(chain.from_iterable(pairs), np.int64, 2 * len(pairs)).reshape(-1, 2)
    except OverflowError:
        own = tuple(pair for pair in pairs if all(0 <= end < ranks for end in pair))
        return _pair_keys(own, ranks)[0], len(set(pairs) - set(own))
    is_known = ((ends >= 0) & (ends < ranks)).all(axis=1)
    strangers = {tuple(pair) for pair in ends[~is_known].tolist()}
    return ends[is_known, 0] * ranks + ends[is_known, 1], len(strangers)


def _measured_pairs(pairs: pl.DataFrame, datagrams: DatagramTable, ranks: int) -> dict[str, IntArray]:
    """Return the pairs of each stage that have all of its sizes, or a count of datagrams."""
    measured: dict[str, IntArray] = {}
    by_stage: dict[str, list[IntArray]] = {}
    keys = pairs["src"].to_numpy() * ranks + pairs["dst"].to_numpy()
    for rows in rows_alike(pairs.select("stage", "size_bytes")):
        stage = pairs["stage"][int(rows[0])]
        by_stage.setdefault(stage, []).append(sorted_distinct(keys[rows], below=ranks * ranks))
    measured.update({stage: _in_most(of_sizes) for stage, of_sizes in by_stage.items()})
    stages = np.array(datagrams.stage, dtype=object)
    for stage in dict.fromkeys(datagrams.stage):
        own = stages == stage
        counted = datagrams.src[own] * ranks + datagrams.dst[own]
        measured[stage] = sorted_distinct(np.concatenate([measured.get(stage, NO_PAIRS), counted]))
    return measured


def _in_most(of_sizes: list[IntArray]) -> IntArray:
    """Return the pairs that are of more sizes than others, or of as many; of each size they are distinct and sorted."""
    if all(np.array_equal(each, of_sizes[0]) for each in of_sizes[1:]):
        return of_sizes[0]
    together = np.sort(np.concatenate(of_sizes))
    starts = np.flatnonzero(np.diff(together, prepend=-1))
    count = np.diff(starts, append=len(together))
    most: IntArray = together[starts[count == count.max()]]
    return most


def _untested_ranks(
    header: RunHeader, pairs: pl.DataFrame, timed: pl.DataFrame, datagrams: DatagramTable
) -> tuple[int, ...]:
    # A collective has no result unless every rank that was still there took part.
    together = set(timed.filter(_is_any((Metric.OPERATION, Metric.STEP, Metric.REDUCED)))["stage"].unique().to_list())
    crews = [outcome.ranks or range(len(header.ranks)) for outcome in header.outcomes if outcome.stage in together]
    ends = [sorted_distinct(pairs[end].to_numpy(), below=len(header.ranks)).tolist() for end in ("src", "dst")]
    tested = {*chain.from_iterable(ends), *(r for crew in crews for r in crew)}
    tested.update(datagrams.src.tolist())
    if all(stage.probe == HOST_NOISE for stage in header.plan.stages):
        tested.update(timed.filter(pl.col("metric") == Metric.QUANTUM.value)["src"].unique().to_list())
    return tuple(rank.rank for rank in header.ranks if rank.rank not in tested)
