"""The rates of all pairs of a round at once: what ports carry, and how flows share the uplinks between leaves.

Max-min fairness by progressive filling (Bertsekas and Gallager, "Data Networks", 6.5.2): whoever is held back least
by any of its links gets an equal share of the one that holds it back. All rounds of a stage are filled together; links
of different rounds are different links.

Does not handle: queues, and whatever is shorter than a series of messages.
"""

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from netprobe.sim.fabric import Fabric

IntArray = NDArray[np.int64]
FloatArray = NDArray[np.float64]

NO_LINK: Final = -1
MOST_PASSES: Final = 64
SLACK: Final = 1e-9
FIRST_PORT: Final = 0xC000  # of RoCE v2, as a flow label maps to it
HASH_PRIME: Final = 2_654_435_761  # Knuth's multiplicative hash, 2^32 / phi
HASH_BITS: Final = 32


def max_min_gbps(links: Sequence[IntArray], caps_gbps: Sequence[FloatArray]) -> FloatArray:
    """Return each flow's rate, shape (flows,).

    ``links`` holds for each kind of link the number of the one that a flow uses, or NO_LINK; ``caps_gbps`` how much
    each link of that kind carries.
    """
    offsets = np.cumsum([0, *map(len, caps_gbps)])
    left = np.concatenate([*caps_gbps, np.array([np.inf])]).astype(np.float64)
    none = len(left) - 1
    used = np.stack([np.where(each < 0, none, each + offset) for each, offset in zip(links, offsets, strict=False)])
    rates = np.zeros(used.shape[1])
    is_open = np.ones(used.shape[1], dtype=bool)
    for _ in range(MOST_PASSES):
        if not is_open.any():
            break
        open_links = used[:, is_open]
        flows = np.bincount(open_links.ravel(), minlength=len(left))
        share = np.where(flows > 0, left / np.maximum(flows, 1), np.inf)
        share[none] = np.inf
        own = share[open_links].min(axis=0)
        least = np.full(len(left), np.inf)
        np.minimum.at(least, open_links.ravel(), np.broadcast_to(own, open_links.shape).ravel())
        # A flow is settled when the link that holds it back holds back all others on it just as much.
        is_settled = ((share[open_links] <= own + SLACK) & (least[open_links] >= own - SLACK)).any(axis=0)
        at = np.flatnonzero(is_open)[is_settled]
        rates[at] = own[is_settled]
        taken = np.bincount(open_links[:, is_settled].ravel(), np.tile(own[is_settled], len(links)), len(left))
        left = np.where(np.isinf(left), left, np.maximum(left - taken, 0.0))
        is_open[at] = False
    return rates


def hashed_spines(fabric: Fabric, src: IntArray, dst: IntArray, seed: int) -> tuple[IntArray, IntArray]:
    """Return the spine and the link to it that ECMP takes for each flow, by its addresses and its source port."""
    port = FIRST_PORT + (src * 31 + dst * 17 + seed * 7) % (0x10000 - FIRST_PORT)
    mixed = (src * 73_856_093) ^ (dst * 19_349_663) ^ (port * 83_492_791) ^ seed
    hashed = ((mixed * HASH_PRIME) & ((1 << HASH_BITS) - 1)) >> 7
    links = np.minimum(fabric.uplinks[fabric.leaf[src]], fabric.uplinks[fabric.leaf[dst]])
    ends = np.cumsum(links, axis=1)
    at = hashed % np.maximum(ends[:, -1], 1)
    spine = (at[:, None] >= ends).sum(axis=1)
    return np.minimum(spine, len(fabric.spines) - 1), at
