"""From a run directory's table to typed arrays: the one place of the judging half that knows polars.

Only timed rows are judged; warm-up rows count only towards the bytes moved. Whether a pair is within a host or
between hosts is read off its ranks.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from netprobe.catalogue.keys import Origin
from netprobe.judge.datagrams import PREFIX as DATAGRAMS
from netprobe.judge.datagrams import datagram_table
from netprobe.judge.ports import port_table
from netprobe.judge.unread import unread_ports
from netprobe.locate.passes import SECOND_PASS_ROUND
from netprobe.locate.placement import placement_of
from netprobe.model.endpoint import Rank
from netprobe.model.evidence import (
    NO_COUNTERS,
    ArrivalTable,
    CounterTable,
    Coverage,
    DatagramTable,
    Evidence,
    GroupResult,
    PairTable,
)
from netprobe.model.plan import REACH, Path, Plan, Scope
from netprobe.model.rdma import Operation
from netprobe.model.run import RunHeader, RunStatus
from netprobe.model.series import Fault, Metric, Phase
from netprobe.plan.second_pass import SECOND_PASS
from netprobe.registry import probes
from netprobe.stats.quantiles import FlatHistograms, quantile_ns
from netprobe.store.reader import Run
from netprobe.units import NS_PER_MS

PAIR_METRICS: Final = (Metric.ROUND_TRIP, Metric.WINDOW)
SPAN_METRICS: Final = (Metric.WIRE, Metric.RESPONDING, Metric.PROBING)
SAME_PAIRS: Final = ("probe", "metric", "scope", "path", "operation", "size_bytes", "bytes_per_iteration", "window")
PAIR_KEYS: Final = ("stage", *SAME_PAIRS)
GROUP_KEYS: Final = ("stage", "probe", "size_bytes", "dtype", "op", "root", "in_place")
RDMA: Final = f"{Origin.RDMA}/"
ETHTOOL: Final = f"{Origin.ETHTOOL}/"
SHORTEST_ROUND_NS: Final = 10 * NS_PER_MS
ENDED_EARLY: Final = {
    RunStatus.RUNNING: "the program ended before the run did (killed, or the machine went down)",
    RunStatus.INTERRUPTED: "the run was interrupted",
    RunStatus.FAILED: "the run failed",
}


def evidence_of(run: Run) -> Evidence:
    """Return what the judges may look at."""
    timed = _with_statistics(run.series.filter((pl.col("phase") == Phase.TIMED) & (pl.col("iterations") > 0)))
    header = run.header
    of_pairs = timed.filter(pl.col("dst").is_not_null())
    with_path = _with_path(_with_scope(of_pairs, header), header.plan)
    pairs = with_path.filter(pl.col("metric").is_in(PAIR_METRICS))
    spans = with_path.filter(pl.col("metric").is_in(SPAN_METRICS))
    is_of_port = pl.col("counter").str.starts_with(RDMA) | pl.col("counter").str.starts_with(ETHTOOL)
    is_of_datagrams = pl.col("counter").str.starts_with(DATAGRAMS)
    of_ports = run.counters.filter(is_of_port)
    counters = _counters(run.counters.filter(~is_of_port & ~is_of_datagrams), header.plan)
    datagrams = datagram_table(run.counters.filter(is_of_datagrams))
    return Evidence(
        plan=header.plan,
        ranks=header.ranks,
        clocks=header.clocks,
        pairs=tuple(_pair_tables(pairs)),
        groups=tuple(_group_results(timed, header)),
        arrivals=tuple(_arrival_tables(timed)),
        faults=_faults(run.series),
        coverage=_coverage(run, pairs, timed, datagrams),
        gaps=tuple(dict.fromkeys((*header.gaps, *(gap for each in header.outcomes for gap in each.gaps)))),
        run_error=header.error or ENDED_EARLY.get(header.status),
        counters=counters,
        benched=header.benched,
        paths=header.paths,
        waiting_ratio=_waiting_ratio(counters, header.ranks),
        stuck_pairs=header.stuck_pairs,
        failures=tuple(failure for outcome in header.outcomes for failure in outcome.failures),
        endpoints=header.endpoints,
        datagrams=datagrams,
        spans=tuple(_pair_tables(_named_by_span(spans))),
        inventories={inventory.host: inventory for inventory in run.inventories},
        ports=port_table(of_ports, pairs, header.ranks, run.inventories),
        unread=unread_ports(of_ports, header, run.inventories),
    )


def _with_statistics(timed: pl.DataFrame) -> pl.DataFrame:
    """Replace the histograms by their quantiles; rows whose histogram is empty were not measured, and go."""
    timed = timed.filter(pl.col("histogram_counts").list.sum() > 0)
    flat = FlatHistograms(
        bins=_flattened(timed["histogram_bins"]),
        counts=_flattened(timed["histogram_counts"]),
        lengths=timed["histogram_bins"].list.len().to_numpy().astype(np.int64),
        min_ns=timed["min_ns"].to_numpy().astype(np.float64),
        max_ns=timed["max_ns"].to_numpy().astype(np.float64),
    )
    return timed.drop("histogram_bins", "histogram_counts", "slowest").with_columns(
        timed["histogram_counts"].list.sum().alias("samples"),
        pl.Series("p50_ns", quantile_ns(flat, 0.5)),
        pl.Series("p99_ns", quantile_ns(flat, 0.99)),
        pl.Series("p999_ns", quantile_ns(flat, 0.999)),
    )


def _flattened(lists: pl.Series) -> NDArray[np.int64]:
    # explode() would make a null of an empty list, but none is left here.
    return lists.explode().to_numpy().astype(np.int64) if len(lists) else np.zeros(0, dtype=np.int64)


def _with_scope(pairs: pl.DataFrame, header: RunHeader) -> pl.DataFrame:
    host_of = placement_of(header.ranks).host_of
    src, dst = pairs["src"].to_numpy(), pairs["dst"].to_numpy()
    is_within = host_of[src] == host_of[dst] if len(pairs) else np.zeros(0, dtype=bool)
    scope = np.where(is_within, Scope.WITHIN_HOST.value, Scope.BETWEEN_HOSTS.value)
    return pairs.with_columns(pl.Series("scope", scope, dtype=pl.String))


def _with_path(pairs: pl.DataFrame, plan: Plan) -> pl.DataFrame:
    """Add what carried the messages; a stage that the plan does not have went over MPI, as all once did."""
    path_of = {stage.id: stage.path.value for stage in plan.stages}
    verb_of = {stage.id: stage.rdma.operation.value for stage in plan.stages if stage.rdma is not None}
    return pairs.with_columns(
        path=pl.col("stage").replace_strict(path_of, default=Path.MPI.value, return_dtype=pl.String),
        operation=pl.col("stage").replace_strict(verb_of, default=None, return_dtype=pl.String),
    )


def _named_by_span(spans: pl.DataFrame) -> pl.DataFrame:
    """Return parts of round trips under names of their own: ``reach-wire``."""
    return spans.with_columns(probe=pl.format("{}-{}", "probe", pl.col("metric").str.strip_suffix("_ns")))


def _with_second_pass(pairs: pl.DataFrame) -> pl.DataFrame:
    """Put the rows of a second pass with those of the stage they follow: a suspect then simply has more partners."""
    is_second = pl.col("stage").str.starts_with(SECOND_PASS)
    followed = pairs.filter(~is_second).unique(SAME_PAIRS, keep="first", maintain_order=True)
    found = pairs.join(
        followed.select(*SAME_PAIRS, followed="stage"),
        on=SAME_PAIRS,
        how="left",
        nulls_equal=True,
        maintain_order="left",
    )
    return found.with_columns(
        round_index=pl.col("round_index") + pl.when(is_second).then(SECOND_PASS_ROUND).otherwise(0),
        stage=pl.when(is_second).then(pl.coalesce("followed", "stage")).otherwise(pl.col("stage")),
    ).drop("followed")


def _pair_tables(pairs: pl.DataFrame) -> Iterator[PairTable]:
    for _, rows in _with_second_pass(pairs).group_by(*PAIR_KEYS, maintain_order=True):
        first = rows.row(0, named=True)
        yield PairTable(
            stage=first["stage"],
            probe=first["probe"],
            metric=Metric(first["metric"]),
            scope=Scope(first["scope"]),
            size_bytes=first["size_bytes"],
            bytes_per_iteration=first["bytes_per_iteration"],
            window=first["window"],
            directed=_is_directed(first["probe"]),
            src=rows["src"].to_numpy(),
            dst=rows["dst"].to_numpy(),
            round_index=rows["round_index"].to_numpy(),
            samples=rows["samples"].to_numpy(),
            min_ns=rows["min_ns"].to_numpy().astype(np.float64),
            p50_ns=rows["p50_ns"].to_numpy(),
            p99_ns=rows["p99_ns"].to_numpy(),
            p999_ns=rows["p999_ns"].to_numpy(),
            max_ns=rows["max_ns"].to_numpy().astype(np.float64),
            total_ns=rows["total_ns"].to_numpy().astype(np.float64),
            path=Path(first["path"]),
            operation=None if first["operation"] is None else Operation(first["operation"]),
        )


def _is_directed(probe: str) -> bool:
    """Return whether a probe measures the directions apart; an unknown one is judged by pairs, which blames less."""
    known = probes().get(probe)
    return known is not None and known.both_directions


def _group_results(timed: pl.DataFrame, header: RunHeader) -> Iterator[GroupResult]:
    ranks_of = {outcome.stage: len(outcome.ranks) for outcome in header.outcomes}
    for row in timed.filter(pl.col("metric") == Metric.OPERATION).iter_rows(named=True):
        wrong_bytes = sum(fault["wrong_bytes"] for fault in row["faults"])
        yield GroupResult(
            **{key: row[key] for key in GROUP_KEYS},
            ranks=ranks_of.get(row["stage"]) or len(header.ranks),
            iterations=row["iterations"],
            mean_ns=row["total_ns"] / row["iterations"],
            p50_ns=row["p50_ns"],
            p99_ns=_known(row["p99_ns"]),
            max_ns=float(row["max_ns"]),
            wrong_bytes=wrong_bytes if row["checked_iterations"] else None,
        )


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
    # Who sat a round out measured for microseconds, and waited while its counters were read.
    known = np.isfinite(grown_ns) & (counters.elapsed_ns >= SHORTEST_ROUND_NS)
    host = placement.host_of[counters.rank[known]]
    elapsed_ns = np.bincount(host, counters.elapsed_ns[known], len(placement.hosts)).tolist()
    waited_ns = np.bincount(host, grown_ns[known], len(placement.hosts)).tolist()
    return {
        name: waited / elapsed
        for name, waited, elapsed in zip(placement.hosts, waited_ns, elapsed_ns, strict=True)
        if elapsed > 0
    }


def _faults(series: pl.DataFrame) -> tuple[Fault, ...]:
    """Return the faults of all rows: a wrong byte counts wherever it was seen."""
    faulty = series.filter(pl.col("faults").list.len() > 0)
    return tuple(Fault(**fault) for faults in faulty["faults"] for fault in faults)


@dataclass(frozen=True, slots=True, kw_only=True)
class _PairCount:
    planned: int
    measured: int
    failed: int


def _coverage(run: Run, pairs: pl.DataFrame, timed: pl.DataFrame, datagrams: DatagramTable) -> Coverage:
    header = run.header
    counted = _pair_count(header, pairs, datagrams)
    moved = run.series.filter(pl.col("metric").is_in([*PAIR_METRICS, Metric.OPERATION]))
    bytes_moved = moved.select((pl.col("bytes_per_iteration") * pl.col("iterations")).sum()).item()
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
    sizes = pairs.group_by("stage", "src", "dst").agg(pl.col("size_bytes").n_unique())
    most = dict(sizes.group_by("stage").agg(pl.col("size_bytes").max()).iter_rows())
    measured = {(stage, src, dst) for stage, src, dst, count in sizes.iter_rows() if count == most[stage]}
    measured |= set(zip(datagrams.stage, datagrams.src.tolist(), datagrams.dst.tolist(), strict=True))
    planned = {
        (outcome.stage, *pair)
        for outcome in header.outcomes
        for pair in outcome.planned_pairs
        if (outcome.stage, *pair) in measured or not any(gap.topic == REACH for gap in outcome.gaps)
    }  # a NIC without datagrams has told so
    failed = {(each.stage, each.src, each.dst) for outcome in header.outcomes for each in outcome.failures}
    return _PairCount(planned=len(planned), measured=len(planned & measured), failed=len((planned & failed) - measured))


def _untested_ranks(
    header: RunHeader, pairs: pl.DataFrame, timed: pl.DataFrame, datagrams: DatagramTable
) -> tuple[int, ...]:
    # A collective has no result unless every rank that was still there took part.
    together = set(timed.filter(pl.col("metric") == Metric.OPERATION)["stage"].unique().to_list())
    crews = [outcome.ranks or range(len(header.ranks)) for outcome in header.outcomes if outcome.stage in together]
    tested = {*pairs["src"].unique().to_list(), *pairs["dst"].unique().to_list(), *(r for crew in crews for r in crew)}
    tested.update(datagrams.src.tolist())
    return tuple(rank.rank for rank in header.ranks if rank.rank not in tested)
