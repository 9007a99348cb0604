"""What the pairs of one table say about hosts and about paths: fit the hosts first, then look at what is left.

A pair that is slow after its ends' own effects are taken away points at the path between them. Where both directions
were measured and only one is slow, it is one-sided; each outlying pair is one or the other, never both.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from netprobe.locate.effects import Effects, fit_effects
from netprobe.locate.placement import Placement
from netprobe.model.evidence import PairTable
from netprobe.model.limits import Limits
from netprobe.model.series import Metric
from netprobe.stats.rates import excess_as_log, log_speed, loss_as_log
from netprobe.stats.spread import outlier_distance

IntArray = NDArray[np.int64]
FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PathOutliers:
    """Rows of a table whose ends do not explain them, worst first."""

    slow: IntArray
    """Slow in every direction that was measured."""
    one_sided: IntArray
    """The slow direction of pairs whose other direction is not."""
    gap_to_reverse: FloatArray
    """Of every row: its residual minus that of the other direction, in log units; NaN where that was not measured."""


def is_latency(table: PairTable) -> bool:
    """Return whether the table's samples are round trips."""
    return table.metric is Metric.ROUND_TRIP


def host_limit(table: PairTable, limits: Limits) -> float:
    """Return the log distance at which a host differs from the fleet."""
    if is_latency(table):
        return excess_as_log(limits.latency_excess_ratio)
    return loss_as_log(limits.host_loss_ratio)


def host_effects(table: PairTable, placement: Placement, limits: Limits) -> Effects:
    """Return the effects of ranks on a table between hosts; ranks of different places have baselines of their own."""
    places = np.stack([placement.place_of[table.src], placement.place_of[table.dst]])
    _, group = np.unique(places, axis=1, return_inverse=True)
    return fit_effects(
        table.src,
        table.dst,
        log_speed(table.p50_ns),
        participants=len(placement.host_of),
        smallest=host_limit(table, limits),
        outlier_mads=limits.outlier_mads,
        group=group.reshape(-1),
        symmetric=not table.directed,
    )


def path_outliers(table: PairTable, effects: Effects, limits: Limits) -> PathOutliers:
    """Return the pairs that their ends do not explain."""
    residual = effects.residual
    limit = max(_pair_limit(table, limits), limits.outlier_mads * effects.scale)
    is_low = residual < -limit
    if is_latency(table):
        expected_ns = table.p50_ns * np.exp(residual)
        is_low &= table.p50_ns - expected_ns > 2 * limits.latency_excess_floor_ns
    reverse = _reverse_rows(table)
    gap = np.where(reverse >= 0, residual - residual[reverse], np.nan)
    # Once for each pair: the other way round it is the same with its sign changed, and two hosts would seem to vary.
    known = gap[np.isfinite(gap) & (table.src < table.dst)]
    gap_limit = outlier_distance(known, mads=limits.outlier_mads, floor=loss_as_log(limits.asymmetry_ratio))
    both_low = is_low & (reverse >= 0) & is_low[reverse]
    one_sided = (gap < -gap_limit) & ~both_low
    slow = is_low & ~one_sided
    return PathOutliers(slow=_worst_first(slow, residual), one_sided=_worst_first(one_sided, gap), gap_to_reverse=gap)


def _pair_limit(table: PairTable, limits: Limits) -> float:
    if is_latency(table):
        return excess_as_log(limits.latency_excess_ratio)
    return loss_as_log(limits.pair_loss_ratio)


def _reverse_rows(table: PairTable) -> IntArray:
    """Return the row of each row's other direction, or -1; symmetric tables have none."""
    if not table.directed or not len(table.src):
        return np.full(len(table.src), -1, dtype=np.int64)
    base = int(max(table.src.max(), table.dst.max())) + 1
    keys = table.src * base + table.dst
    order = np.argsort(keys, kind="stable")
    wanted = table.dst * base + table.src
    found = np.minimum(np.searchsorted(keys[order], wanted), len(keys) - 1)
    rows: IntArray = np.where(keys[order][found] == wanted, order[found], -1)
    return rows


def _worst_first(chosen: BoolArray, severity: FloatArray) -> IntArray:
    rows = np.flatnonzero(chosen)
    return rows[np.argsort(severity[rows], kind="stable")]
