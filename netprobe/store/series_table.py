"""Series as a table: a row each, a column for each field, the histogram flattened into two list columns.

A file has a digest of the lists beside them, so that judging reads neither: of a run with millions of series the
histograms are nine tenths of the bytes.
"""

from collections.abc import Iterable
from functools import cache
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from netprobe.model.series import Metric, Series
from netprobe.stats.modes import modes_of
from netprobe.stats.quantiles import FlatHistograms, quantile_ns

if TYPE_CHECKING:
    import polars as pl


PERCENTILES: Final = {"p50_ns": 0.5, "p99_ns": 0.99, "p999_ns": 0.999}
SPREAD: Final = {"p25_ns": 0.25, "p75_ns": 0.75}
"""Of gaps between detours alone: how much of a beat they are."""
WITH_MODES: Final = (Metric.ROUND_TRIP, Metric.WINDOW)
MODES: Final = ("low_ns", "high_ns", "high_share")
QUARTERS: Final = ("first_quarter_ns", "last_quarter_ns")
SPIKES: Final = ("spikes_at_ns", "spikes_ns")
SPIKE_RATIO: Final = 2.0  # of the median; limits that judge are higher, and a site may lower them to this
SPIKE_FLOOR_NS: Final = 10_000.0
UNJUDGED: Final = ("histogram_bins", "histogram_counts", "slowest", "slowest_at_ns", "quarters_ns")
"""Columns that a digest stands for, or that only people read."""


@cache
def series_schema() -> "pl.Schema":
    """Return the columns of series.parquet and their types."""
    import polars as pl

    sample = pl.Struct({"iteration": pl.Int64, "elapsed_ns": pl.Int64})
    fault = pl.Struct(
        {
            "rank": pl.Int64,
            "peer": pl.Int64,
            "probe": pl.String,
            "size_bytes": pl.Int64,
            "iteration": pl.Int64,
            "first_offset_bytes": pl.Int64,
            "wrong_bytes": pl.Int64,
            "xor_mask": pl.UInt64,
            "bit_counts": pl.List(pl.Int64),
        }
    )
    columns: dict[str, pl.DataType | type[pl.DataType]] = {
        "stage": pl.String,
        "probe": pl.String,
        "metric": pl.String,
        "phase": pl.String,
        "round_index": pl.Int64,
        "src": pl.Int64,
        "dst": pl.Int64,
        "size_bytes": pl.Int64,
        "bytes_per_iteration": pl.Int64,
        "window": pl.Int64,
        "dtype": pl.String,
        "op": pl.String,
        "root": pl.Int64,
        "in_place": pl.Boolean,
        "iterations": pl.Int64,
        "total_ns": pl.Int64,
        "min_ns": pl.Int64,
        "max_ns": pl.Int64,
        "histogram_bins": pl.List(pl.Int64),
        "histogram_counts": pl.List(pl.Int64),
        "slowest": pl.List(sample),
        "faults": pl.List(fault),
        "checked_iterations": pl.Int64,
        **later_columns(),
    }
    return pl.Schema(columns)


@cache
def later_columns() -> "dict[str, pl.DataType | type[pl.DataType]]":
    """Return the columns that files of older versions lack.

    ``slowest_at_ns`` is apart from ``slowest``, whose type older versions check; empty where nobody told.
    """
    import polars as pl

    times = pl.List(pl.Int64)
    return {"slowest_at_ns": times, "started_ns": pl.Int64, "quarters_ns": times, "cpu": pl.Int64}


@cache
def digest_schema() -> "pl.Schema":
    """Return the columns that a file may have in addition, and their types; files of older versions lack them.

    ``samples`` is what a histogram holds, ``faulty`` how many faults a row has; percentiles are NaN where samples are
    too few (stats.quantiles). The rest tells of rows that are out of the ordinary, and is NaN or empty in all others:
    two modes (stats.modes), the medians of the first and the last quarter where each is slower than the one before, and
    the slowest iterations that are spikes, with when they began.
    """
    import polars as pl

    columns: dict[str, pl.DataType | type[pl.DataType]] = {
        "samples": pl.Int64,
        "faulty": pl.UInt32,
        **dict.fromkeys((*PERCENTILES, *SPREAD, *MODES, *QUARTERS), pl.Float64),
        **dict.fromkeys(SPIKES, pl.List(pl.Int64)),
    }
    return pl.Schema(columns)


@cache
def judged_schema() -> "pl.Schema":
    """Return the columns that judging takes from a file with a digest."""
    import polars as pl

    kept = {name: kind for name, kind in series_schema().items() if name not in UNJUDGED}
    return pl.Schema({**kept, **digest_schema()})


def with_digest(frame: "pl.DataFrame") -> "pl.DataFrame":
    """Return a table with its digest, which is always made anew from the lists."""
    import polars as pl

    samples = frame["histogram_counts"].list.sum().alias("samples")
    flat = FlatHistograms(
        bins=_flattened(frame["histogram_bins"]),
        counts=_flattened(frame["histogram_counts"]),
        lengths=frame["histogram_bins"].list.len().to_numpy().astype(np.int64),
        min_ns=frame["min_ns"].to_numpy().astype(np.float64),
        max_ns=frame["max_ns"].to_numpy().astype(np.float64),
    )
    percentiles = [pl.Series(name, quantile_ns(flat, share)) for name, share in (PERCENTILES | SPREAD).items()]
    modes = modes_of(flat, frame["metric"].is_in([metric.value for metric in WITH_MODES]).to_numpy())
    found = [pl.Series(name, getattr(modes, name)) for name in MODES]
    digested = frame.with_columns(
        samples, pl.col("faults").list.len().cast(pl.UInt32).alias("faulty"), *percentiles, *found
    )
    is_gap = pl.col("metric") == Metric.DETOUR_GAP.value
    spread = [pl.when(is_gap).then(pl.col(name)).otherwise(np.nan).alias(name) for name in SPREAD]
    quarters = [pl.col("quarters_ns").list.get(at, null_on_oob=True).cast(pl.Float64) for at in range(4)]
    is_slowing = pl.all_horizontal([a < b for a, b in pairwise(quarters)])
    drift = [
        pl.when(is_slowing).then(each).otherwise(np.nan).alias(name)
        for each, name in zip((quarters[0], quarters[-1]), QUARTERS, strict=True)
    ]
    return _with_spikes(digested.with_columns(*spread, *drift))


def _with_spikes(frame: "pl.DataFrame") -> "pl.DataFrame":
    """Add the slowest iterations that are far beyond the median, where it is known when they began."""
    import polars as pl

    slow = frame.select("slowest", "slowest_at_ns", "p50_ns", "max_ns").with_row_index("row")
    limit = pl.max_horizontal(SPIKE_RATIO * pl.col("p50_ns"), pl.col("p50_ns") + SPIKE_FLOOR_NS)
    is_spiky = (pl.col("max_ns") > limit) & (pl.col("slowest_at_ns").list.len() == pl.col("slowest").list.len())
    spiky = slow.filter(is_spiky & (pl.col("slowest").list.len() > 0))
    each = spiky.select(
        "row", limit.alias("limit"), pl.col("slowest").alias("told"), pl.col("slowest_at_ns").alias(SPIKES[0])
    ).explode("told", SPIKES[0])
    each = each.with_columns(pl.col("told").struct.field("elapsed_ns").alias(SPIKES[1]))
    own = each.filter(pl.col(SPIKES[1]) > pl.col("limit")).sort("row", SPIKES[0]).group_by("row").agg(*SPIKES)
    empty = pl.lit([], dtype=pl.List(pl.Int64))
    joined = slow.select("row").join(own, on="row", how="left", maintain_order="left")
    return frame.with_columns(joined.select(pl.col(name).fill_null(empty) for name in SPIKES).get_columns())


def _flattened(lists: "pl.Series") -> NDArray[np.int64]:
    import polars as pl

    # explode() makes a null of an empty list.
    return lists.cast(pl.List(pl.Int64)).explode().drop_nulls().to_numpy() if len(lists) else np.zeros(0, np.int64)


def with_later_columns(frame: "pl.DataFrame") -> "pl.DataFrame":
    """Return a table of series of an older version with the columns that it lacks, empty; other tables as they are."""
    import polars as pl

    if "histogram_bins" not in frame.columns:
        return frame
    missing = {name: kind for name, kind in later_columns().items() if name not in frame.columns}
    return frame.with_columns(
        pl.lit([] if isinstance(kind, pl.List) else None, dtype=kind).alias(name) for name, kind in missing.items()
    )


def with_counted_bits(frame: "pl.DataFrame") -> "pl.DataFrame":
    """Return a table with bit_counts in its faults: older versions did not count bits, and none are known of those."""
    import polars as pl

    kind = frame.schema.get("faults")
    if not isinstance(kind, pl.List) or not isinstance(kind.inner, pl.Struct):
        return frame
    if any(field.name == "bit_counts" for field in kind.inner.fields):
        return frame
    none_known = pl.lit([], dtype=pl.List(pl.Int64))
    return frame.with_columns(pl.col("faults").list.eval(pl.element().struct.with_fields(bit_counts=none_known)))


def frame_of(series: Iterable[Series]) -> "pl.DataFrame":
    """Return the table of these series, in their order."""
    import polars as pl

    rows: list[dict[str, Any]] = [_row(msgspec.to_builtins(each)) for each in series]
    schema = series_schema()
    return pl.DataFrame({name: [row[name] for row in rows] for name in schema}, schema=schema)


def series_of(frame: "pl.DataFrame") -> tuple[Series, ...]:
    """Return the series of a table's rows."""
    return tuple(_series(row) for row in frame.iter_rows(named=True))


def _row(record: dict[str, Any]) -> dict[str, Any]:
    histogram, times = record.pop("histogram"), [each.pop("at_ns") for each in record["slowest"]]
    return {
        **record,
        "histogram_bins": histogram["bins"],
        "histogram_counts": histogram["counts"],
        "slowest_at_ns": [] if None in times else times,
    }


def _series(row: dict[str, Any]) -> Series:
    histogram = {"bins": row.pop("histogram_bins"), "counts": row.pop("histogram_counts")}
    times = row.pop("slowest_at_ns") or [None] * len(row["slowest"])
    slowest = [{**each, "at_ns": at_ns} for each, at_ns in zip(row["slowest"], times, strict=False)]
    return msgspec.convert({**row, "histogram": histogram, "slowest": slowest}, Series)
