"""Histograms of a run added up over pairs and rounds: what distributions are drawn from."""

from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Final

from netprobe.errors import FormatError, StoreError
from netprobe.model.series import Metric, Phase
from netprobe.store.files import SERIES_FILE

if TYPE_CHECKING:
    import polars as pl

DISTRIBUTED: Final = (Metric.ROUND_TRIP, Metric.OPERATION)
"""Latencies: half round trips, and whole collectives by their slowest rank."""
COLUMNS: Final = ("stage", "metric", "size_bytes", "bin", "count", "min_ns", "max_ns")


def read_histograms(directory: Path) -> "pl.DataFrame":
    """Return the merged histograms of timed round trips and collectives: columns COLUMNS, one row a bin.

    ``min_ns`` and ``max_ns`` are the exact extremes of the bin's series. StoreError for a file that cannot be read; a
    run that measured nothing has none, and the table is empty.
    """
    import polars as pl

    file = directory / SERIES_FILE
    if not file.exists():
        return pl.DataFrame(schema=dict.fromkeys(COLUMNS, pl.Int64) | {"stage": pl.String, "metric": pl.String})
    wanted = pl.any_horizontal([pl.col("metric") == metric.value for metric in DISTRIBUTED])
    keys = ["stage", "metric", "size_bytes", "bin"]
    try:
        # From memory: polars would take a path for a pattern.
        rows = pl.scan_parquet(BytesIO(file.read_bytes())).filter((pl.col("phase") == Phase.TIMED.value) & wanted)
        bins = rows.select(
            "stage", "metric", "size_bytes", "min_ns", "max_ns",
            bin="histogram_bins", count="histogram_counts",
        ).explode("bin", "count").drop_nulls("bin")  # fmt: skip
        merged = bins.group_by(keys).agg(pl.col("count").sum(), pl.col("min_ns").min(), pl.col("max_ns").max())
        return merged.sort(keys).collect()
    except OSError as error:
        raise StoreError(f"{file} cannot be read: {error.strerror}", remedy="the rights of its directories") from error
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException) as error:
        reason = str(error).partition("\n")[0]
        raise FormatError(f"{file} is truncated or damaged: {reason}", remedy="copying the directory again") from error
