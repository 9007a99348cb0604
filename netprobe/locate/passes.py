"""Which rows of a table are of the second pass, in which suspects meet other partners, and whom it clears.

Rows of both passes share a table, so that a suspect simply has more partners; their rounds tell them apart. A host that
was slow in the first pass and is normal in the second had a bad moment: what it did then tells nothing, of nobody.
"""

from dataclasses import replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from netprobe.locate.effects import Effects
from netprobe.locate.paths import host_effects
from netprobe.locate.placement import Placement
from netprobe.locate.remembered import remembered
from netprobe.model.evidence import PairTable
from netprobe.model.limits import Limits
from netprobe.stats.rates import log_speed

IntArray = NDArray[np.int64]
FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]

SECOND_PASS_ROUND: Final = 1 << 20
"""The second pass counts its rounds from here: no first pass has so many."""
STEADY_SHARE: Final = 0.5  # of a loss; what shrinks to less than half was of the moment


def is_second(table: PairTable) -> BoolArray:
    """Return which rows are of the second pass."""
    second: BoolArray = table.round_index >= SECOND_PASS_ROUND
    return second


def rows_of(table: PairTable, kept: BoolArray) -> PairTable:
    """Return the table with some of its rows; the same one where that is all of them."""
    if kept.all():
        return table
    return replace(
        table,
        src=table.src[kept],
        dst=table.dst[kept],
        round_index=table.round_index[kept],
        samples=table.samples[kept],
        min_ns=table.min_ns[kept],
        p50_ns=table.p50_ns[kept],
        p99_ns=table.p99_ns[kept],
        p999_ns=table.p999_ns[kept],
        max_ns=table.max_ns[kept],
        total_ns=table.total_ns[kept],
    )


@remembered(32)
def steady_rows(table: PairTable, placement: Placement, limits: Limits) -> PairTable:
    """Return the table without what the second pass has cleared; the same one where that is nothing."""
    return rows_of(table, ~cleared_rows(table, placement, limits))


@remembered(32)
def cleared_rows(table: PairTable, placement: Placement, limits: Limits) -> BoolArray:
    """Return which rows of the first pass are of ranks, in a role, that the second pass has cleared."""
    second = is_second(table)
    cleared = np.zeros(len(table.src), dtype=bool)
    if second.all() or not second.any():
        return cleared
    first = host_effects(rows_of(table, ~second), placement, limits)
    speed = log_speed(table.p50_ns)
    # Partners of a second pass are good ones: what a row lacks against the baseline is the suspect's.
    baseline = np.empty(len(speed))
    baseline[~second] = first.baseline
    for effect, columns in _roles(table, first):
        for rank in np.flatnonzero(effect < 0).tolist():
            own = np.any([column == rank for column in columns], axis=0)
            again = speed[own & second] - baseline[own & ~second][0]
            if not is_steady(float(effect[rank]), again):
                cleared |= own & ~second
    return cleared


def is_steady(loss: float, again: FloatArray) -> bool:
    """Return whether a loss (log units, negative) was still there when it was measured again; True if it was not."""
    return not len(again) or float(np.median(again)) <= STEADY_SHARE * loss


def _roles(table: PairTable, effects: Effects) -> tuple[tuple[FloatArray, tuple[IntArray, ...]], ...]:
    """Return each role's effects, and the columns that hold whoever is in it."""
    if not table.directed:
        return ((effects.sender, (table.src, table.dst)),)
    return ((effects.sender, (table.src,)), (effects.receiver, (table.dst,)))
