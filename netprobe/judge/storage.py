"""All-reduces beside reads from a file system: from series to a table, and from that to the figures of a report."""

from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import polars as pl

from netprobe.locate.interference import lost_ratio
from netprobe.locate.placement import Placement
from netprobe.model.evidence import FloatArray, StorageTable
from netprobe.model.plan import Plan, Stage
from netprobe.model.report import StorageSummary, Three
from netprobe.model.series import Metric
from netprobe.model.storage import READS_IN, REDUCES_IN
from netprobe.units import NS_PER_S, gbps


def storage_tables(timed: pl.DataFrame, plan: Plan) -> Iterator[StorageTable]:
    """Yield a table for each stage of which something is known; ``timed`` are rows with their statistics."""
    for stage in plan.stages:
        rows = timed.filter(pl.col("stage") == stage.id) if stage.storage is not None else timed.clear()
        if not rows.is_empty():
            yield _table(rows, stage)


def _table(rows: pl.DataFrame, stage: Stage) -> StorageTable:
    assert stage.storage is not None
    reduced, blocks, whole = (
        rows.filter(pl.col("metric") == each.value) for each in (Metric.REDUCED, Metric.READ, Metric.READS)
    )
    readers = whole["src"].unique().sort().to_list()
    rate = stage.storage.rate_bytes_per_s
    whole = whole.with_columns(gbps=8.0 * pl.col("bytes_per_iteration") / pl.col("total_ns").clip(1))
    return StorageTable(
        stage=stage.id,
        size_bytes=stage.sizes_bytes[0],
        path=stage.storage.path,
        rate_gbps=None if rate is None else gbps(rate, NS_PER_S),
        reduced_p50_ns=_by_phase(reduced, "p50_ns", [0], REDUCES_IN)[0],
        reduced_p99_ns=_by_phase(reduced, "p99_ns", [0], REDUCES_IN)[0],
        rank=np.array(readers, dtype=np.int64),
        read_gbps=_by_phase(whole, "gbps", readers, READS_IN),
        read_p99_ns=_by_phase(blocks, "p99_ns", readers, READS_IN),
        read_blocks=_by_phase(blocks, "iterations", readers, READS_IN),
    )


def _by_phase(rows: pl.DataFrame, column: str, ranks: Sequence[int], phases: Sequence[int]) -> FloatArray:
    """Return a column by rank and phase, shape (ranks, phases); NaN where there is no row."""
    told = dict(zip(rows.select("src", "round_index").iter_rows(), rows[column].to_list(), strict=True))
    values = [[told.get((rank, phase), float("nan")) for phase in phases] for rank in ranks]
    return np.array(values, dtype=np.float64).reshape(len(ranks), len(phases))


def storage_summary(table: StorageTable, placement: Placement) -> StorageSummary:
    """Return the figures of a table."""
    beside = table.read_gbps[:, 1]
    worst = int(np.nanargmin(beside)) if np.isfinite(beside).any() and len(beside) > 1 else None
    read = tuple(_median(column) for column in table.read_gbps.T)
    return StorageSummary(
        size_bytes=table.size_bytes,
        path=table.path,
        rate_gbps=table.rate_gbps,
        hosts=len(table.rank),
        reduced_p50_ns=_three(map(_known, table.reduced_p50_ns.tolist())),
        reduced_p99_ns=_three(map(_known, table.reduced_p99_ns.tolist())),
        reduced_lost_ratio=_known(float(lost_ratio(1 / table.reduced_p50_ns))),
        read_gbps=_three(read),
        read_p99_ns=_three(_median(column) for column in table.read_p99_ns.T),
        read_lost_ratio=_median(lost_ratio(table.read_gbps)),
        worst_host=None if worst is None else placement.host(int(table.rank[worst])),
        worst_read_gbps=None if worst is None else float(beside[worst]),
    )


def _known(value: float) -> float | None:
    return value if np.isfinite(value) else None


def _median(values: FloatArray) -> float | None:
    """Return the median of what is known, where most is."""
    known = values[np.isfinite(values)]
    return float(np.median(known)) if 2 * len(known) > len(values) else None


def _three(values: Iterable[float | None]) -> Three:
    before, together, after = values
    return before, together, after
