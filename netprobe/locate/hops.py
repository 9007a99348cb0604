"""Which hop of a ring holds the others up, against hops of its kind: within hosts, or between them."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from netprobe.locate.placement import Placement
from netprobe.model.evidence import FloatArray, HopTable, IntArray, PairTable
from netprobe.model.limits import Limits
from netprobe.model.plan import Path
from netprobe.stats.spread import SIGMAS_PER_QUARTILE, median_of_others, upper_quartile_of_others

FEWEST_HOPS = 3
"""Of two, neither can be told from the other."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class HopFit:
    """The hops of one table that can be compared; arrays have shape (hops,)."""

    table: HopTable
    rows: IntArray
    """Of the table."""
    expected_ns: FloatArray
    """What three quarters of the other hops do not exceed."""
    slow: NDArray[np.bool_]
    """Beyond that by more than all clocks may err."""
    unsure: NDArray[np.bool_]
    """Beyond that, but clocks may err by as much."""
    long: NDArray[np.bool_]
    """Beyond the middle of the others: where none of them is slow, too many are long for any to stand out."""


def fit_hops(table: HopTable, is_within: NDArray[np.bool_], bounds_ns: FloatArray, limits: Limits) -> list[HopFit]:
    """Return a fit of each kind of which there are enough hops.

    ``is_within``: whether each hop stays on its host; ``bounds_ns``: by how much the clock of each rank may err.
    """
    kinds = (np.flatnonzero(is_within), np.flatnonzero(~is_within))
    return [_fit(table, rows, bounds_ns, limits) for rows in kinds if len(rows) >= FEWEST_HOPS]


def _fit(table: HopTable, rows: IntArray, bounds_ns: FloatArray, limits: Limits) -> HopFit:
    """Compare each hop with the upper quartile of the others.

    Not with their middle: what a healthy hop is charged is anything up to what it takes, since work of its receiver may
    hide it (stats.hops), so that low values say nothing, and half of the hops of a healthy ring may be near 0.
    """
    taken_ns = table.p50_ns[rows]
    # A message is done by one clock and sent by another.
    error_ns = table.messages * (bounds_ns[table.src[rows]] + bounds_ns[table.dst[rows]])
    expected_ns = upper_quartile_of_others(taken_ns)
    middle_ns = median_of_others(taken_ns)
    share_ns = 0.0 if np.isnan(table.operation_p50_ns) else limits.hop_share_ratio * table.operation_p50_ns
    spread_ns = limits.outlier_mads * SIGMAS_PER_QUARTILE * (expected_ns - middle_ns)
    beyond_ns = np.maximum(np.maximum(limits.hop_excess_ratio * expected_ns, spread_ns), share_ns)
    seen = taken_ns - expected_ns > beyond_ns
    # Quantiles are monotone: no hop's true time lies beyond its bound, so neither does that of a quarter of them.
    proven = taken_ns - error_ns - upper_quartile_of_others(taken_ns + error_ns) > beyond_ns
    return HopFit(
        table=table,
        rows=rows,
        expected_ns=expected_ns,
        slow=seen & proven,
        unsure=seen & ~proven,
        long=taken_ns - middle_ns > np.maximum(limits.hop_excess_ratio * middle_ns, share_ns),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Alone:
    """What two hosts did one to one, with nobody else at work; times of one window."""

    table: PairTable
    taken_ns: float
    typical_ns: float
    """Of all pairs of the table."""


def alone(pairs: tuple[PairTable, ...], src: int, dst: int, placement: Placement) -> Alone | None:
    """Return what the hosts of two ranks did over MPI one to one, at the largest size; None if they were not paired.

    Of the two ranks themselves where they were a pair, else of any of their hosts.
    """
    fitting = [
        table
        for table in pairs
        if table.probe == "bandwidth" and table.path is Path.MPI and table.is_of_host and len(table.src)
    ]
    for table in sorted(fitting, key=lambda each: -each.size_bytes):
        same_ranks = (table.src == src) & (table.dst == dst)
        hosts = placement.host_of
        same_hosts = (hosts[table.src] == hosts[src]) & (hosts[table.dst] == hosts[dst])
        rows = same_ranks if same_ranks.any() else same_hosts
        if rows.any():
            return Alone(
                table=table,
                taken_ns=float(np.median(table.p50_ns[rows])),
                typical_ns=float(np.median(table.p50_ns)),
            )
    return None
