"""Who cannot be why packets are lost, as pairs within its own leaf do well.

What leaves a NIC, or reaches it, crosses its cable and its leaf switch, whoever its partner is. A NIC that loses with
partners behind other leaves alone, in a role in which enough was sent within its leaf, does not lose itself: the links
between leaves do.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from netprobe.locate.loss import LossRows

IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]

EXPECTED: Final = 10.0  # losses within the leaf, if they were as frequent there; Poisson: 3 or fewer in 1 of 100 then
SEEN_RATIO: Final = 0.25  # of what was to be expected; fewer is another, much smaller loss, or none


def cleared_by_own_leaf(rows: LossRows, lossy: BoolArray, leaf_of: IntArray) -> tuple[BoolArray, BoolArray]:
    """Return who is cleared as a sender, and as a receiver, each of shape (len(leaf_of),).

    ``leaf_of`` are the leaves of what the rows number, -1 where they are not known; ``lossy`` the rows that lose.
    """
    near = (leaf_of[rows.src] == leaf_of[rows.dst]) & (leaf_of[rows.src] >= 0) & rows.is_counted
    return _cleared(rows.src, rows, lossy, near, len(leaf_of)), _cleared(rows.dst, rows, lossy, near, len(leaf_of))


def _cleared(own: IntArray, rows: LossRows, lossy: BoolArray, near: BoolArray, count: int) -> BoolArray:
    """Return whose rows within the leaf lost much less than its lossy rows to other leaves let expect."""
    far = lossy & ~near
    far_lost, far_sent = (np.bincount(own[far], values[far], count) for values in (rows.lost, rows.sent))
    near_lost, near_sent = (np.bincount(own[near], values[near], count) for values in (rows.lost, rows.sent))
    expected = near_sent * far_lost / np.maximum(far_sent, 1.0)
    cleared: BoolArray = (expected >= EXPECTED) & (near_lost <= SEEN_RATIO * expected)
    return cleared
