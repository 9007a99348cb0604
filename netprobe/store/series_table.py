"""Series as a table: a row each, a column for each field, the histogram flattened into two list columns.

A file has a digest of the lists beside them, so that judging reads neither: of a run with millions of series the
histograms are nine tenths of the bytes.
"""

from collections.abc import Iterable
from functools import cache
from typing import TYPE_CHECKING, Any, Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from netprobe.model.series import Series
from netprobe.stats.quantiles import FlatHistograms, quantile_ns

if TYPE_CHECKING:
    import polars as pl


PERCENTILES: Final = {"p50_ns": 0.5, "p99_ns": 0.99, "p999_ns": 0.999}
UNJUDGED: Final = ("histogram_bins", "histogram_counts", "slowest")
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
    }
    return pl.Schema(columns)


@cache
def digest_schema() -> "pl.Schema":
    """Return the columns that a file may have in addition, and their types; files of older versions lack them.

    ``samples`` is what a histogram holds, ``faulty`` how many faults a row has; percentiles are NaN where samples are
    too few (stats.quantiles).
    """
    import polars as pl

    return pl.Schema({"samples": pl.Int64, "faulty": pl.UInt32, **dict.fromkeys(PERCENTILES, pl.Float64)})


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
    percentiles = [pl.Series(name, quantile_ns(flat, share)) for name, share in PERCENTILES.items()]
    return frame.with_columns(samples, pl.col("faults").list.len().cast(pl.UInt32).alias("faulty"), *percentiles)


def _flattened(lists: "pl.Series") -> NDArray[np.int64]:
    import polars as pl

    # explode() makes a null of an empty list.
    return lists.cast(pl.List(pl.Int64)).explode().drop_nulls().to_numpy() if len(lists) else np.zeros(0, np.int64)


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
    histogram = record.pop("histogram")
    return {**record, "histogram_bins": histogram["bins"], "histogram_counts": histogram["counts"]}


def _series(row: dict[str, Any]) -> Series:
    histogram = {"bins": row.pop("histogram_bins"), "counts": row.pop("histogram_counts")}
    return msgspec.convert({**row, "histogram": histogram}, Series)
