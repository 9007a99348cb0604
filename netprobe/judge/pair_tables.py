"""Series of pairs as tables: one for each probe, scope, path, memory and size."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from netprobe.locate.passes import SECOND_PASS_ROUND
from netprobe.locate.placement import placement_of
from netprobe.model.evidence import FloatArray, PairTable
from netprobe.model.plan import Memory, Path, Plan, Scope, Stage
from netprobe.model.rdma import Operation
from netprobe.model.run import RunHeader
from netprobe.model.series import Metric
from netprobe.plan.second_pass import SECOND_PASS
from netprobe.registry import probes
from netprobe.stats.distinct import by_owner, distinct

_Columns = dict[str, NDArray[Any]]

KEYS: Final = ("stage", "probe", "metric", "size_bytes", "bytes_per_iteration", "window")
FEW_VALUES: Final = 8
WITHIN: Final = "is_within"
PIPELINED: Final = "pipelined_ns"
COLUMNS: Final = (
    "src", "dst", "round_index", "samples", "min_ns", "p50_ns", "p99_ns", "p999_ns", "max_ns", "total_ns",
)  # fmt: skip


def with_scope(pairs: pl.DataFrame, header: RunHeader) -> pl.DataFrame:
    """Add whether a host was left."""
    host_of = placement_of(header.ranks).host_of
    src, dst = pairs["src"].to_numpy(), pairs["dst"].to_numpy()
    is_within = host_of[src] == host_of[dst] if len(pairs) else np.zeros(0, dtype=bool)
    scope = np.where(is_within, Scope.WITHIN_HOST.value, Scope.BETWEEN_HOSTS.value)
    return pairs.with_columns(pl.Series("scope", scope, dtype=pl.String))


def with_carrier(rows: pl.DataFrame, plan: Plan) -> pl.DataFrame:
    """Add what carried the messages of a stage, and the memory of both ends."""

    def told(of_stage: Mapping[str, str], default: str) -> pl.Expr:
        return pl.col("stage").cast(pl.String).replace_strict(of_stage, default=default, return_dtype=pl.String)

    return rows.with_columns(
        path=told({stage.id: stage.path.value for stage in plan.stages}, Path.MPI.value),
        send_memory=told({stage.id: stage.send_memory.value for stage in plan.stages}, Memory.HOST.value),
        receive_memory=told({stage.id: stage.receive_memory.value for stage in plan.stages}, Memory.HOST.value),
    )


def with_pipelined(pairs: pl.DataFrame, timed: pl.DataFrame) -> pl.DataFrame:
    """Add the mean time of an iteration in runs that nothing divides, NaN where there were none; none at all: as it is.

    ``timed`` has the rows of these runs among others.
    """
    runs = timed.filter((pl.col("metric") == Metric.PIPELINED.value) & pl.col("dst").is_not_null())
    if runs.is_empty():
        return pairs
    keys = ["stage", "round_index", "src", "dst", "size_bytes"]
    each_ns = runs.select(*keys, pipelined_ns=pl.col("total_ns") / (pl.col("iterations") * pl.col("window")))
    found = pairs.join(each_ns.unique(keys, maintain_order=True), on=keys, how="left", maintain_order="left")
    return found.with_columns(pl.col("pipelined_ns").fill_null(np.nan))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Kind:
    """What the rows of a table have in common, beside their stage."""

    probe: str
    metric: Metric
    scope: Scope
    path: Path
    operation: Operation | None
    send_memory: Memory
    receive_memory: Memory
    size_bytes: int
    bytes_per_iteration: int
    window: int


def pair_tables(pairs: pl.DataFrame, header: RunHeader, *, by_span: bool = False) -> Iterator[PairTable]:
    """Yield the tables of rows of pairs; ``by_span``: parts of round trips, named by themselves (``reach-wire``).

    Rows of a second pass are with those of the stage they follow: a suspect then simply has more partners.
    """
    stages = {stage.id: stage for stage in header.plan.stages}
    kept: dict[tuple[str, _Kind], list[_Columns]] = {}
    first_of: dict[_Kind, str] = {}
    parts = list(_parts(pairs, header))
    kinds = [_kind(told, stages.get(told["stage"]), by_span=by_span) for told, _ in parts]
    for (told, _), kind in zip(parts, kinds, strict=True):
        if not told["stage"].startswith(SECOND_PASS):
            first_of.setdefault(kind, told["stage"])
    for (told, columns), kind in zip(parts, kinds, strict=True):
        stage, own = told["stage"], columns
        if stage.startswith(SECOND_PASS):
            stage = first_of.get(kind, stage)
            own = {**columns, "round_index": columns["round_index"] + SECOND_PASS_ROUND}
        kept.setdefault((stage, kind), []).append(own)
    for (stage, kind), told_columns in kept.items():
        yield _table(stage, kind, told_columns)


def _parts(pairs: pl.DataFrame, header: RunHeader) -> Iterator[tuple[dict[str, Any], _Columns]]:
    """Yield what rows have in common, and their columns; in order of the first row of each."""
    host_of = placement_of(header.ranks).host_of
    columns = (*COLUMNS, PIPELINED) if PIPELINED in pairs else COLUMNS
    keyed = pairs.select(KEYS)
    is_within = host_of[pairs["src"].to_numpy()] == host_of[pairs["dst"].to_numpy()] if len(pairs) else []
    known = {name: pairs[name].to_numpy() for name in columns}
    for rows in rows_alike(keyed.with_columns(pl.Series(WITHIN, is_within, dtype=pl.Boolean))):
        first = int(rows[0])
        told = {**keyed.row(first, named=True), WITHIN: bool(is_within[first])}
        yield told, {name: values[rows] for name, values in known.items()}


def rows_alike(frame: pl.DataFrame) -> list[NDArray[np.int64]]:
    """Return the rows that agree in all columns, in order of the first row of each; columns have few distinct values.

    The same as partitioning the frame, in a fifth of the time: millions of rows are of some dozens of kinds.
    """
    if frame.is_empty():
        return []
    code = np.zeros(len(frame), dtype=np.int64)
    for column in frame.iter_columns():
        values = _as_integers(column)
        if (values != values[0]).any():
            known = np.sort(pl.Series(values).unique().to_numpy())
            code = code * len(known) + _places(known, values)
    _, kind = distinct(code, below=1 + int(code.max()))
    counts = np.bincount(kind)
    parts = np.split(by_owner(kind, owners=len(counts)), np.cumsum(counts)[:-1])
    return sorted(parts, key=lambda own: int(own[0]))


def _places(known: NDArray[np.int64], values: NDArray[np.int64]) -> NDArray[np.integer[Any]]:
    """Return where each value is among the known ones; of a few, comparing with each beats searching."""
    if len(known) > FEW_VALUES:
        return np.searchsorted(known, values)
    places = np.zeros(len(values), dtype=np.uint8)
    for each in known[1:]:
        places += values >= each
    return places


def _as_integers(column: pl.Series) -> NDArray[np.int64]:
    if column.dtype == pl.String:
        column = column.cast(pl.Categorical)
    if column.dtype == pl.Categorical:
        column = column.to_physical()
    return column.cast(pl.Int64).to_numpy()


def _kind(told: dict[str, Any], stage: Stage | None, *, by_span: bool) -> _Kind:
    """Return the kind of rows; a stage that the plan does not have went over MPI, as all once did."""
    metric, rdma = Metric(told["metric"]), None if stage is None else stage.rdma
    return _Kind(
        probe=f"{told['probe']}-{metric.removesuffix('_ns')}" if by_span else told["probe"],
        metric=metric,
        scope=Scope.WITHIN_HOST if told[WITHIN] else Scope.BETWEEN_HOSTS,
        path=Path.MPI if stage is None else stage.path,
        operation=None if rdma is None else rdma.operation,
        send_memory=Memory.HOST if stage is None else stage.send_memory,
        receive_memory=Memory.HOST if stage is None else stage.receive_memory,
        size_bytes=told["size_bytes"],
        bytes_per_iteration=told["bytes_per_iteration"],
        window=told["window"],
    )


def _table(stage: str, kind: _Kind, parts: list[_Columns]) -> PairTable:
    first = parts[0]
    columns = first if len(parts) == 1 else {name: np.concatenate([each[name] for each in parts]) for name in first}
    return PairTable(
        stage=stage,
        probe=kind.probe,
        metric=kind.metric,
        scope=kind.scope,
        size_bytes=kind.size_bytes,
        bytes_per_iteration=kind.bytes_per_iteration,
        window=kind.window,
        directed=_is_directed(kind.probe),
        src=columns["src"],
        dst=columns["dst"],
        round_index=columns["round_index"],
        samples=columns["samples"],
        min_ns=columns["min_ns"].astype(np.float64),
        p50_ns=columns["p50_ns"],
        p99_ns=columns["p99_ns"],
        p999_ns=columns["p999_ns"],
        max_ns=columns["max_ns"].astype(np.float64),
        total_ns=columns["total_ns"].astype(np.float64),
        path=kind.path,
        operation=kind.operation,
        send_memory=kind.send_memory,
        receive_memory=kind.receive_memory,
        pipelined_ns=_pipelined_ns(columns),
    )


def _pipelined_ns(columns: _Columns) -> FloatArray | None:
    each_ns = columns.get(PIPELINED)
    return None if each_ns is None or np.isnan(each_ns).all() else each_ns


def _is_directed(probe: str) -> bool:
    """Return whether a probe measures the directions apart; an unknown one is judged by pairs, which blames less."""
    known = probes().get(probe)
    return known is not None and known.both_directions
