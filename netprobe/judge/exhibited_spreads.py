"""How latencies are distributed: all timed iterations of a probe at one size, as percentiles and as a density.

Stages of a second pass are left out: they measure suspects, and would make a fleet look worse than it is.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

import numpy as np

from netprobe.model.exhibits import FloatArray, IntArray, Percentile, Spread
from netprobe.model.histogram import middle_of
from netprobe.model.plan import Plan
from netprobe.model.series import Metric
from netprobe.plan.second_pass import SECOND_PASS
from netprobe.stats.quantiles import FlatHistograms, quantile_ns

if TYPE_CHECKING:
    import polars as pl

SHARES: Final = (
    0.001, 0.01, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.98, 0.99, 0.995, 0.998, 0.999, 0.9995, 0.9998, 0.9999,
    0.99995, 0.99998, 0.99999, 0.999999,
)  # fmt: skip
BINS: Final = 48
"""Bars of a density: a terminal has room for so many, and so has a table's cell."""


def spreads_of(merged: "pl.DataFrame", plan: Plan) -> Iterator[Spread]:
    """Yield a spread for each stage and size, in the order of the plan; ``merged`` as store.histograms has it."""
    for stage in plan.stages:
        if stage.id.startswith(SECOND_PASS):
            continue
        for size_bytes in stage.sizes_bytes:
            rows = merged.filter((merged["stage"] == stage.id) & (merged["size_bytes"] == size_bytes)).sort("bin")
            if rows.is_empty():
                continue
            halves = 2 if rows["metric"][0] == Metric.ROUND_TRIP else 1
            counts = rows["count"].to_numpy()
            extremes = float(rows["min_ns"].to_numpy().min()), float(rows["max_ns"].to_numpy().max())
            bins = rows["bin"].to_numpy()
            yield Spread(
                probe=stage.probe,
                scope=stage.scope,
                path=stage.path,
                size_bytes=size_bytes,
                samples=int(counts.sum()),
                min_ns=extremes[0] / halves,
                max_ns=extremes[1] / halves,
                points=tuple(_points(bins, counts, extremes, halves)),
                density=density_of(np.clip(middle_of(bins), *extremes), counts),
                send_memory=stage.send_memory,
                receive_memory=stage.receive_memory,
            )


def _points(bins: IntArray, counts: IntArray, extremes: tuple[float, float], halves: int) -> Iterator[Percentile]:
    flat = FlatHistograms(
        bins=bins,
        counts=counts,
        lengths=np.array([len(bins)], dtype=np.int64),
        min_ns=np.array([extremes[0]]),
        max_ns=np.array([extremes[1]]),
    )
    for share in SHARES:
        elapsed_ns = float(quantile_ns(flat, share)[0])
        if np.isfinite(elapsed_ns):
            yield Percentile(share=share, elapsed_ns=elapsed_ns / halves)


def density_of(values_ns: FloatArray, counts: IntArray) -> tuple[int, ...]:
    """Return how many samples lie in each of BINS bins, of equal width in the logarithm; shapes (n,)."""
    logs = np.log(np.maximum(values_ns, 1.0))
    low, high = logs.min(), logs.max()
    at = np.zeros(len(logs), dtype=np.int64) if high <= low else (BINS * (logs - low) / (high - low)).astype(np.int64)
    return tuple(int(each) for each in np.bincount(np.minimum(at, BINS - 1), counts, BINS))
