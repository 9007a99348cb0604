"""Series of ranks that sent nothing, as one table of what their hosts took away."""

from typing import Final

import numpy as np
import polars as pl

from netprobe.model.evidence import NO_NOISE, FloatArray, NoiseTable
from netprobe.model.series import Metric
from netprobe.stats.detours import beats

KEYS: Final = ("stage", "src")
COLUMNS: Final = ("samples", "total_ns", "p25_ns", "p50_ns", "p75_ns", "p99_ns", "max_ns")


def noise_table(timed: pl.DataFrame) -> NoiseTable:
    """Return the table of timed rows that have their statistics."""
    frame = _of(timed, Metric.QUANTUM)
    if frame.is_empty():
        return NO_NOISE
    for metric in (Metric.DETOUR, Metric.DETOUR_GAP, Metric.WAKE_LATE):
        own = _of(timed, metric).select(*KEYS, *(pl.col(name).alias(f"{metric}:{name}") for name in COLUMNS))
        frame = frame.join(own, on=KEYS, how="left", maintain_order="left")

    def column(metric: Metric, name: str, missing: float = np.nan) -> FloatArray:
        values: FloatArray = frame[f"{metric}:{name}"].cast(pl.Float64).fill_null(missing).to_numpy()
        return values

    return NoiseTable(
        stage=tuple(frame["stage"].cast(pl.String).to_list()),
        rank=frame["src"].to_numpy(),
        cpu=frame["cpu"].fill_null(-1).to_numpy(),
        quantum_ns=frame["p50_ns"].to_numpy(),
        total_ns=frame["total_ns"].cast(pl.Float64).to_numpy(),
        # Quanta were measured: where there is no row of detours, there were none.
        lost_ns=column(Metric.DETOUR, "total_ns", 0.0),
        detours=column(Metric.DETOUR, "samples", 0.0).astype(np.int64),
        detour_max_ns=column(Metric.DETOUR, "max_ns"),
        beat_ns=beats(
            column(Metric.DETOUR_GAP, "p25_ns"),
            column(Metric.DETOUR_GAP, "p50_ns"),
            column(Metric.DETOUR_GAP, "p75_ns"),
            column(Metric.DETOUR_GAP, "samples", 0.0).astype(np.int64),
        ),
        wake_p50_ns=column(Metric.WAKE_LATE, "p50_ns"),
        wake_p99_ns=column(Metric.WAKE_LATE, "p99_ns"),
    )


def _of(timed: pl.DataFrame, metric: Metric) -> pl.DataFrame:
    return timed.filter(pl.col("metric") == metric.value).unique(KEYS, keep="first", maintain_order=True)
