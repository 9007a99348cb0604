"""All pairs of NICs on leaves of 32, with faults of leaves, cables and uplinks, for leaf_effects and tomography.

Losses: one uplink of a leaf of four, the cable of one NIC in each direction; everything else loses 1e-7.
"""

import time
from dataclasses import dataclass

import numpy as np

from netprobe.locate.leaf_effects import fit_leaves
from netprobe.locate.loss_links import LossPaths, links_of
from netprobe.locate.tomography import by_likelihood

WIDTH, UPLINKS = 32, 4
SENT, BACKGROUND = 200_000.0, 1e-7


@dataclass(frozen=True, slots=True, kw_only=True)
class LeafRows:
    """Rows in random order, as rounds leave them."""

    src: np.ndarray
    dst: np.ndarray
    leaf_of: np.ndarray
    log_speed: np.ndarray
    lost: np.ndarray


def leaf_rows(nics: int, seed: int = 1) -> LeafRows:
    """Return all directed pairs of ``nics`` NICs."""
    random = np.random.default_rng(seed)
    src, dst = np.nonzero(~np.eye(nics, dtype=bool))
    order = random.permutation(len(src))
    src, dst, leaf_of = src[order], dst[order], np.arange(nics) // WIDTH
    near, far = leaf_of[src], leaf_of[dst]
    log_speed = random.normal(0.0, 0.01, len(src)) - 0.02 * (near != far)
    log_speed -= 0.5 * ((near == 3) & (far != 3)) + 0.5 * ((near == 7) & (far == 5)) + 0.5 * ((near == 5) & (far == 5))
    uplink = random.integers(0, UPLINKS, len(src))
    ratio = BACKGROUND + 2e-3 * ((near == 3) & (far != 3) & (uplink == 1)) + 1e-3 * (src == 77) + 3e-4 * (dst == 200)
    return LeafRows(src=src, dst=dst, leaf_of=leaf_of, log_speed=log_speed, lost=random.poisson(SENT * ratio) + 0.0)


def timed(nics: int) -> dict[str, float]:
    """Return the CPU seconds of both, and how much of what is wrong they name (3 and 3)."""
    rows = leaf_rows(nics)
    began = time.process_time()
    fit = fit_leaves(
        rows.src, rows.dst, rows.log_speed, leaf_of=rows.leaf_of, smallest=0.1, outlier_mads=4.0, symmetric=False
    )
    fitted = time.process_time()
    paths = LossPaths(src=rows.src, dst=rows.dst, sent=np.full(len(rows.src), SENT), lost=rows.lost)
    uplinks = np.full(int(rows.leaf_of.max()) + 1, UPLINKS)
    culprits = by_likelihood(paths, links_of(paths, rows.leaf_of, uplinks), background=BACKGROUND)
    return {
        "rows": len(rows.src),
        "leaves": fitted - began,
        "tomography": time.process_time() - fitted,
        "found": len(fit.effects),
        "culprits": len(culprits),
    }
