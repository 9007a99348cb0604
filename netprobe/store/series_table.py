"""Series as a table: a row each, a column for each field, the histogram flattened into two list columns."""

from collections.abc import Iterable
from functools import cache
from typing import TYPE_CHECKING, Any

import msgspec

from netprobe.model.series import Series

if TYPE_CHECKING:
    import polars as pl


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
