"""Counter windows as a table: one row for each counter of each rank in each round, stage or idle time."""

from collections.abc import Iterable
from functools import cache
from typing import TYPE_CHECKING

from netprobe.model.counters import CounterWindow

if TYPE_CHECKING:
    import polars as pl


@cache
def counters_schema() -> "pl.Schema":
    """Return the columns of counters.parquet and their types."""
    import polars as pl

    return pl.Schema(
        {
            "stage": pl.String,
            "round_index": pl.Int64,
            "rank": pl.Int64,
            "elapsed_ns": pl.Int64,
            "counter": pl.String,
            "growth": pl.Int64,
            "at_least": pl.Boolean,
        }
    )


def counters_frame_of(windows: Iterable[CounterWindow]) -> "pl.DataFrame":
    """Return the table of these windows, in their order."""
    import polars as pl

    rows = [
        (window.stage, window.round_index, window.rank, window.elapsed_ns, name, growth, name in window.at_least)
        for window in windows
        for name, growth in window.grown.items()
    ]
    return pl.DataFrame(rows, schema=counters_schema(), orient="row")
