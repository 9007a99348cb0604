"""The iterations of collectives of a run, with their histograms; nothing else of its tables is read."""

from pathlib import Path
from typing import TYPE_CHECKING

from netprobe.errors import FormatError
from netprobe.model.series import Metric, Phase
from netprobe.store.files import SERIES_FILE
from netprobe.store.reader import MEASURE_AGAIN

if TYPE_CHECKING:
    import polars as pl

COLUMNS = ("stage", "probe", "size_bytes", "dtype", "op", "root", "in_place", "histogram_bins", "histogram_counts")


def read_operations(directory: Path) -> "pl.DataFrame":
    """Return a row for each timed series of a collective (store.series_table); StoreError where it is damaged."""
    import polars as pl

    file = directory / SERIES_FILE
    wanted = (pl.col("metric") == Metric.OPERATION.value) & (pl.col("phase") == Phase.TIMED.value)
    try:
        return pl.scan_parquet([file], glob=False, hive_partitioning=False).filter(wanted).select(COLUMNS).collect()
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError) as error:
        reason = str(error).partition("\n")[0]
        raise FormatError(f"{file} is truncated or damaged: {reason}", remedy=MEASURE_AGAIN) from error
