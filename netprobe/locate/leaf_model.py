"""The model of locate.leaf_effects: what leaves do inside and across, before any member is asked."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from netprobe.locate.effects import fit_effects
from netprobe.locate.leaf_rows import Members, Met, Rows
from netprobe.stats.grouped import Grouped
from netprobe.stats.spread import scale_of

IntArray = NDArray[np.int64]
FloatArray = NDArray[np.float64]

FEWEST_LEAVES: Final = 3
"""Two leaves cannot outvote each other."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Model:
    """What was fitted, before members were asked; log units, by leaf."""

    across: float
    up: FloatArray
    down: FloatArray
    within: FloatArray
    """0 for those that do not stand out, NaN where nothing was measured inside."""

    def across_of(self, rows: Rows) -> FloatArray:
        """Return what rows that cross are expected to do."""
        expected: FloatArray = self.across + self.up[rows.near] + self.down[rows.far]
        return expected


def inside_of(inner: Rows, leaves: int, smallest: float, outlier_mads: float) -> tuple[float | None, FloatArray]:
    """Return what pairs within a leaf do where nothing is wrong, and what each leaf lacks; None: nothing was measured.

    As among hosts (locate.effects), the quantile is that which is the median once one leaf, slow, is set aside.
    """
    medians = Grouped.by(inner.near, leaves).medians(inner.values)
    known = np.isfinite(medians)
    if not known.any():
        return None, np.full(leaves, np.nan)
    inside = float(np.quantile(medians[known], min(0.5 + 1.0 / max(int(known.sum()), 2), 1.0)))
    inside = float(np.median(medians[medians > inside - smallest]))
    lacking = medians - inside
    limit = max(smallest, outlier_mads * scale_of(np.abs(lacking[known & (lacking > -smallest)])))
    return inside, np.where(known, np.where(lacking < -limit, lacking, 0.0), np.nan)


def without_any(within: FloatArray, inner: Rows, inside: float | None, smallest: float) -> FloatArray:
    """Return what leaves lack inside whichever one NIC is set aside: NaN where nothing is left then, 0 where it was it.

    Of the pairs of four NICs one slow NIC taints half, and of few pairs perhaps all.
    """
    told = within.copy()
    for leaf in np.flatnonzero(within < 0).tolist():
        own = inner.near == leaf
        src, dst, lacking = inner.src[own], inner.dst[own], inner.values[own] - (inside or 0.0)
        rests = [lacking[(src != nic) & (dst != nic)] for nic in np.unique(np.concatenate([src, dst])).tolist()]
        if not all(len(rest) for rest in rests):
            told[leaf] = np.nan
        elif max(float(np.median(rest)) for rest in rests) > -smallest:
            told[leaf] = 0.0
    return told


def fitted(  # noqa: PLR0913 - the rows, and the numbers that say what stands out
    crossing: Rows,
    cells: Grouped,
    inside: float | None,
    within: FloatArray,
    smallest: float,
    outlier_mads: float,
    *,
    symmetric: bool,
) -> Model | None:
    """Return the model of pairs that cross; None where there are none. ``inside``: what they should do; None: unknown.

    Of two leaves the better way is what a way does; where one of them is slow inside, it is what the other does inside.
    """
    leaves = len(within)
    up, down = np.zeros(leaves), np.zeros(leaves)
    present = np.flatnonzero(np.bincount(np.concatenate([crossing.near, crossing.far]))).tolist()
    if not present:
        return None
    if len(present) >= FEWEST_LEAVES:
        medians = cells.medians(crossing.values)
        cell = np.flatnonzero(np.isfinite(medians))
        fit = fit_effects(
            cell // leaves,
            cell % leaves,
            medians[cell],
            participants=leaves,
            smallest=smallest,
            outlier_mads=outlier_mads,
            symmetric=symmetric,
        )
        up, down = np.minimum(fit.sender, 0.0), np.minimum(fit.receiver, 0.0)
        return Model(across=float(fit.baseline[0]), up=up, down=down, within=within)
    out, back = (crossing.values[crossing.near == leaf] for leaf in present)
    nics = int(np.count_nonzero(np.bincount(np.concatenate([crossing.src, crossing.dst]))))
    share = min(0.5 + 1.0 / nics, 1.0)  # the median, once one NIC, slow, is set aside
    ways = [float(np.quantile(way, share)) if len(way) else -np.inf for way in (out, back)]
    slow = [leaf for leaf in present if within[leaf] < 0]
    if inside is None or len(slow) != 1:
        return Model(across=max(ways), up=up, down=down, within=within)
    sent, received = (way - inside for way in (ways if slow[0] == present[0] else ways[::-1]))
    up[slow[0]] = sent if -np.inf < sent < -smallest else 0.0
    down[slow[0]] = received if -np.inf < received < -smallest else 0.0
    return Model(across=inside, up=up, down=down, within=within)


def members_of(crossing: Rows, model: Model, sending: Met, count: int) -> tuple[Members, Members]:
    """Return what NICs lack as senders and as receivers, in pairs that cross."""
    rest = crossing.values - model.across
    sent, received = rest - model.down[crossing.far], rest - model.up[crossing.near]
    receiving = Met.by(crossing.dst, crossing.src, count)
    return Members(lacking=sending.lacking(sent)), Members(lacking=receiving.lacking(received))
