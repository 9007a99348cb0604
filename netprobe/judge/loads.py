"""Series of rounds that load the fabric, as tables: round trips by pair and turn, flows by round."""

from collections.abc import Iterator
from typing import Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from netprobe.model.evidence import Background, FloatArray, LoadedTable, LoadFlows
from netprobe.model.plan import LOAD_PHASES, LOADED_PHASE, Scope
from netprobe.model.run import RunHeader
from netprobe.model.series import Metric

TIMES: Final = ("p50_ns", "p99_ns", "p999_ns", "max_ns")
ENDS: Final = ["turn", "src", "dst"]


def loaded_tables(timed: pl.DataFrame, header: RunHeader) -> Iterator[LoadedTable]:
    """Yield one table for each stage and size; a row for each pair that was measured beside load."""
    trips = timed.filter(pl.col("metric").is_in([Metric.ALONE.value, Metric.LOADED.value]))
    trips = trips.with_columns(
        turn=pl.col("round_index") // LOAD_PHASES, phase_index=pl.col("round_index") % LOAD_PHASES
    )
    flows = timed.filter(pl.col("metric") == Metric.FLOW.value)
    for (stage, size_bytes), own in trips.group_by("stage", "size_bytes", maintain_order=True):
        phases = [own.filter(pl.col("phase_index") == phase).select(*ENDS, *TIMES) for phase in range(LOAD_PHASES)]
        rows = phases[LOADED_PHASE]
        for phase, each in enumerate(phases):
            if phase != LOADED_PHASE:
                rows = rows.join(each, on=ENDS, how="left", suffix=f"_{phase}", maintain_order="left")
        if rows.is_empty():
            continue
        kinds = _backgrounds(flows.filter(pl.col("stage") == stage))
        turns = rows["turn"].to_numpy()
        yield LoadedTable(
            stage=str(stage),
            scope=_scope(str(stage), header),
            size_bytes=int(str(size_bytes)),
            turn=turns,
            src=rows["src"].to_numpy(),
            dst=rows["dst"].to_numpy(),
            background=tuple(kinds.get(turn, Background.STREAMS) for turn in turns.tolist()),
            alone_ns=_times(rows, "_0"),
            loaded_ns=_times(rows, ""),
            again_ns=_times(rows, "_2"),
        )


def flow_tables(timed: pl.DataFrame, header: RunHeader) -> Iterator[LoadFlows]:
    """Yield one table for each stage and size of flows."""
    flows = timed.filter(pl.col("metric") == Metric.FLOW.value)
    for (stage, probe, size_bytes), own in flows.group_by("stage", "probe", "size_bytes", maintain_order=True):
        rate = 8.0 * pl.col("bytes_per_iteration") * pl.col("iterations") / pl.col("total_ns").clip(1)
        yield LoadFlows(
            stage=str(stage),
            probe=str(probe),
            scope=_scope(str(stage), header),
            size_bytes=int(str(size_bytes)),
            round_index=own["round_index"].to_numpy(),
            src=own["src"].to_numpy(),
            dst=own["dst"].to_numpy(),
            gbps=own.select(rate).to_series().to_numpy(),
            p99_ns=own["p99_ns"].to_numpy(),
            max_ns=own["max_ns"].to_numpy().astype(np.float64),
        )


def _times(rows: pl.DataFrame, suffix: str) -> FloatArray:
    columns = [rows[f"{name}{suffix}"].cast(pl.Float64).fill_null(float("nan")).to_numpy() for name in TIMES]
    times: NDArray[np.float64] = np.stack(columns, axis=1)
    return times


def _scope(stage: str, header: RunHeader) -> Scope:
    return next((each.scope for each in header.plan.stages if each.id == stage), Scope.BETWEEN_HOSTS)


def _backgrounds(flows: pl.DataFrame) -> dict[int, Background]:
    """Return what loaded the fabric in each turn, by who sent to how many and received from how many."""
    ends = flows.with_columns(turn=pl.col("round_index") // LOAD_PHASES)
    degrees = ends.group_by("turn").agg(
        senders=pl.col("src").n_unique(), receivers=pl.col("dst").n_unique(), flows=pl.len()
    )
    return {turn: _kind(senders, receivers, count) for turn, senders, receivers, count in degrees.iter_rows()}


def _kind(senders: int, receivers: int, flows: int) -> Background:
    if receivers < senders:
        return Background.INCAST
    return Background.ALL_TO_ALL if flows > senders else Background.STREAMS
