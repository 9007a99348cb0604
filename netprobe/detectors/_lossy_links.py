"""Losses that no host explains and that share links between leaves: packet-loss names the link, and not each pair.

The tomography of locate answers (by_likelihood); a link that it names must be the only one that explains the losses,
or one of those that join the same two leaves, and two hosts on either side must have lost on it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from netprobe.locate.loss import LossRows
from netprobe.locate.loss_links import LossPaths, Part, links_of
from netprobe.locate.tomography import FEWEST_PARTNERS, Culprit, by_likelihood

IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]

FABRIC: Final = (Part.UP, Part.DOWN, Part.JOINT)
BACKGROUND_SHARE: Final = 0.1
"""Of the ratio from which on a direction is lossy: so much every path may lose."""
SURE_PAIRS: Final = 4


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LossyLink:
    """A link between leaves and spines, or what joins two leaves, that loses."""

    subject: str
    what: str
    rows: IntArray
    """Lossy rows that it explains."""
    crossing: int
    """Rows that may cross it."""
    is_sure: bool
    look_at: str


def lossy_links(
    rows: LossRows, paths: IntArray, leaf_of: IntArray, leaves: Sequence[str], *, smallest_ratio: float
) -> tuple[LossyLink, ...]:
    """Return the links that explain lossy rows ``paths`` which no host explains; none where leaves are not known.

    ``leaf_of`` are the leaves of what rows number, -1 where they are not known.
    """
    crossing = leaf_of[rows.src[paths]] != leaf_of[rows.dst[paths]]
    if len(paths) < FEWEST_PARTNERS or not crossing.any() or len(leaves) < 2:
        return ()
    # What hosts explain is told of hosts: their rows would only have to be explained once more.
    is_used = rows.is_counted & ((rows.lost == 0) | np.isin(np.arange(len(rows.src)), paths))
    used = np.flatnonzero(is_used)
    table = LossPaths(src=rows.src[used], dst=rows.dst[used], sent=rows.sent[used], lost=rows.lost[used])
    links = links_of(table, leaf_of, np.zeros(len(leaves), dtype=np.int64))
    found, left = [], set(paths.tolist())
    for culprit in by_likelihood(table, links, background=BACKGROUND_SHARE * smallest_ratio):
        own = np.array([row for row in used[culprit.rows].tolist() if row in left], dtype=np.int64)
        if culprit.part in FABRIC and culprit.ratio >= smallest_ratio and _is_wide(rows, own):
            link = _named(culprit, own, leaf_of, leaves, rows)
            if link is not None:
                found.append(link)
                left -= set(own.tolist())
    return tuple(found)


def _is_wide(rows: LossRows, own: IntArray) -> bool:
    """Return whether two hosts on either side lost: else one of them may be why."""
    return all(len(np.unique(ends[own])) >= FEWEST_PARTNERS for ends in (rows.src, rows.dst))


def _named(
    culprit: Culprit, own: IntArray, leaf_of: IntArray, leaves: Sequence[str], rows: LossRows
) -> LossyLink | None:
    kinds = {culprit.part, *(part for part, _, _ in culprit.rivals)}
    if not kinds <= set(FABRIC):
        return None
    near, far = np.unique(leaf_of[rows.src[own]]), np.unique(leaf_of[rows.dst[own]])
    is_sure = len(own) >= SURE_PAIRS and culprit.is_certain
    some = "one of the links" if culprit.is_one_of else "the links"
    crossing = len(culprit.rows)
    if culprit.part is Part.UP and culprit.is_certain and len(far) > 1:
        leaf = leaves[culprit.first]
        return LossyLink(subject=f"leaf {leaf} -> spines", what=f"{some} from {leaf} up", rows=own, crossing=crossing,
                         is_sure=is_sure, look_at=f"the uplinks of {leaf}")  # fmt: skip
    if culprit.part is Part.DOWN and culprit.is_certain and len(near) > 1:
        leaf = leaves[culprit.first]
        return LossyLink(subject=f"spines -> leaf {leaf}", what=f"{some} down to {leaf}", rows=own, crossing=crossing,
                         is_sure=is_sure, look_at=f"the spines' ports towards {leaf}")  # fmt: skip
    if len(near) != 1 or len(far) != 1:
        return None
    ends = leaves[int(near[0])], leaves[int(far[0])]
    return LossyLink(
        subject=f"leaf {ends[0]} -> leaf {ends[1]}",
        what=f"{some} between hosts of {ends[0]} and {ends[1]}",
        rows=own,
        crossing=crossing,
        is_sure=is_sure,
        look_at=f"the links that join {ends[0]} and {ends[1]}",
    )
