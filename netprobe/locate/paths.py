"""What the pairs of one table say about hosts and about paths: fit the hosts first, then look at what is left.

A pair that is slow after its ends' own effects are taken away points at the path between them. Where both directions
were measured and only one is slow, it is one-sided; each outlying pair is one or the other, never both.
"""

from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from netprobe.locate.effects import Effects, fit_effects
from netprobe.locate.leaf_effects import LeafFit, fit_leaves
from netprobe.locate.placement import Placement
from netprobe.locate.remembered import remembered
from netprobe.model.evidence import PairTable
from netprobe.model.limits import Limits
from netprobe.model.series import Metric
from netprobe.stats.distinct import ROOM_RATIO, distinct
from netprobe.stats.rates import excess_as_log, log_speed, loss_as_log
from netprobe.stats.spread import outlier_distance

IntArray = NDArray[np.int64]
FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]

FARTHER_NS: Final = 2_000.0
"""What a far pair takes longer there and back at most: two switches more each way, and cables between them."""


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


@remembered(32)  # four detectors ask for the same tables
def host_effects(table: PairTable, placement: Placement, limits: Limits) -> Effects:
    """Return the effects of ranks on a table between hosts, beyond those of their leaves where these are known.

    Ranks of different places have baselines of their own; what a leaf explains is part of a row's baseline.
    """
    explained = np.zeros(len(table.src))
    for rows, fit in leaf_fits(table, placement, limits):
        explained[rows] = fit.explained
    effects = fit_effects(
        table.src,
        table.dst,
        log_speed(table.p50_ns) - explained,
        participants=len(placement.host_of),
        smallest=host_limit(table, limits),
        outlier_mads=limits.outlier_mads,
        group=_rails(table, placement),
        symmetric=not table.directed,
    )
    return replace(effects, baseline=effects.baseline + explained)


@remembered(32)  # those of hosts build on it, and two detectors ask
def leaf_fits(table: PairTable, placement: Placement, limits: Limits) -> list[tuple[IntArray, LeafFit]]:
    """Return what leaves explain of a table between hosts, rail by rail, with the rows of each; none without leaves."""
    fits: list[tuple[IntArray, LeafFit]] = []
    if len(placement.leaves) < 2 or not len(table.src):
        return fits
    group = _rails(table, placement)
    for number in range(int(group.max()) + 1):
        rows = np.flatnonzero(group == number)
        # Ranks of other rails are elsewhere: they neither have the effect nor count as members.
        places = placement.place_of[table.src[rows[0]]], placement.place_of[table.dst[rows[0]]]
        fit = fit_leaves(
            table.src[rows],
            table.dst[rows],
            log_speed(table.p50_ns[rows]),
            leaf_of=np.where(np.isin(placement.place_of, places), placement.leaf_of, -1),
            smallest=host_limit(table, limits),
            outlier_mads=limits.outlier_mads,
            symmetric=not table.directed,
            is_rate=not is_latency(table) and not _shows_distance(table, limits),
        )
        fits.append((rows, fit))
    return fits


def _shows_distance(table: PairTable, limits: Limits) -> bool:
    """Return whether samples are so short that what a far pair takes longer would be held against a host."""
    return float(np.median(table.p50_ns)) * limits.host_loss_ratio < FARTHER_NS


def _rails(table: PairTable, placement: Placement) -> IntArray:
    """Return the number of each row's pair of places."""
    if not placement.place_of.any():
        return np.zeros(len(table.src), dtype=np.int64)
    places = (
        placement.place_of[table.src] * (int(placement.place_of.max(initial=0)) + 1) + placement.place_of[table.dst]
    )
    _, rails = distinct(places, below=1 + int(places.max(initial=0)))
    return rails


@remembered(32)
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
    if base * base <= ROOM_RATIO * len(table.src):
        return _reverse_by_place(table, base)
    ends = np.minimum(table.src, table.dst) * base + np.maximum(table.src, table.dst)
    # The two directions of a pair get neighbouring numbers: nothing has to be looked up across millions of rows.
    keys = 2 * ends + (table.src > table.dst)
    order = np.argsort(keys, kind="stable")
    ordered = keys[order]
    starts = np.flatnonzero(np.diff(ordered, prepend=-1))
    directions, first = ordered[starts], order[starts]
    other = np.where(directions % 2 == 0, 1, -1) + np.arange(len(directions))
    is_there = (other >= 0) & (other < len(directions))
    is_there[is_there] = directions[other[is_there]] == directions[is_there] ^ 1
    back = np.where(is_there, first[np.where(is_there, other, 0)], -1)
    rows = np.empty(len(keys), dtype=np.int64)
    rows[order] = np.repeat(back, np.diff(starts, append=len(keys)))
    return rows


def _reverse_by_place(table: PairTable, base: int) -> IntArray:
    """Return the same by a table of all directions that there could be: of all pairs, in a tenth of the time."""
    rows = np.arange(len(table.src))
    first = np.full(base * base, -1, dtype=np.int64)
    first[(table.src * base + table.dst)[::-1]] = rows[::-1]  # the last one that is written stays: the first row
    back: IntArray = first[table.dst * base + table.src]
    return back


def _worst_first(chosen: BoolArray, severity: FloatArray) -> IntArray:
    rows = np.flatnonzero(chosen)
    return rows[np.argsort(severity[rows], kind="stable")]
