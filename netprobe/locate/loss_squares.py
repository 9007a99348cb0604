"""The other method of locate.tomography: least squares that are never negative, which docs/locate.md compares."""

from dataclasses import replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from netprobe.locate.loss_fit import Chosen, suspects_of
from netprobe.locate.loss_links import PARTS, Links, LossPaths, Part
from netprobe.locate.tomography import FEWEST_PARTNERS, Culprit, culprit_of

IntArray = NDArray[np.int64]
FloatArray = NDArray[np.float64]

MOST_SWEEPS: Final = 500
NAMED_SHARE: Final = 0.1
"""Of the largest rate that least squares gives any link; the rest is what it spreads over neighbours."""


def by_least_squares(paths: LossPaths, links: Links, *, background: float, smallest: float) -> tuple[Culprit, ...]:
    """Return the links that lose at least ``smallest``, worst first; rivals are not looked for."""
    suspects = suspects_of(paths, links, background)
    if not suspects.links.count:
        return ()
    own = suspects.links
    is_bundle = np.isin(own.part, [PARTS.index(part) for part in (Part.UP, Part.DOWN, Part.JOINT)])
    # A way of its own for every row would explain anything: least squares, which pays nothing for a name, took them.
    is_path = own.part == PARTS.index(Part.PATH)
    used = (~is_path & (~is_bundle | own.is_one_of))[own.link]
    row, link, share = own.row[used], own.link[used], own.share[used]
    ratio = np.minimum(paths.lost / np.maximum(paths.sent, 1.0), 1.0 - 1e-6)
    wanted = np.maximum(-np.log1p(-ratio) - background, 0.0)
    rates = _least_squares(row, link, share, wanted, paths.sent, own.count)
    named = np.flatnonzero(rates >= max(smallest, NAMED_SHARE * float(rates.max())))
    chosen: Chosen = tuple((int(each), float(rates[each]), float(rates[each])) for each in named)
    culprits = [replace(culprit_of(paths, suspects, (each,), 0), rivals=()) for each in chosen]
    return tuple(sorted((each for each in culprits if _has_breadth(each)), key=lambda each: -each.ratio))


def _has_breadth(culprit: Culprit) -> bool:
    return culprit.part is Part.PATH or culprit.lossy_rows >= FEWEST_PARTNERS


def _least_squares(
    row: IntArray, link: IntArray, share: FloatArray, wanted: FloatArray, weight: FloatArray, count: int
) -> FloatArray:
    """Return rates >= 0 that minimise the weighted squares and a penalty, shape (links,).

    Steps are those of the separable quadratic that lies above the sum (De Pierro 1995), with Nesterov's momentum. The
    penalty is a thousandth of the largest gradient at 0: it chooses among what explains alike, and shifts rates little.
    """
    reach = np.bincount(row, share, len(wanted))
    steps = np.maximum(np.bincount(link, weight[row] * share * reach[row], count), 1e-30)
    pull = np.bincount(link, weight[row] * share * wanted[row], count)
    penalty = 1e-3 * float(pull.max(initial=0.0))
    rates = ahead = np.zeros(count)
    momentum = 1.0
    for _ in range(MOST_SWEEPS):
        told = np.bincount(row, share * ahead[link], len(wanted))
        slope = np.bincount(link, weight[row] * share * told[row], count) - pull + penalty
        moved = np.maximum(ahead - slope / steps, 0.0)
        faster = (1.0 + np.sqrt(1.0 + 4.0 * momentum**2)) / 2.0
        ahead = moved + (momentum - 1.0) / faster * (moved - rates)
        rates, momentum = moved, faster
    return rates
