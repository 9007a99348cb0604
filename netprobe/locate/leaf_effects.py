"""Is it the leaf switch, its uplinks, or a pair of leaves, rather than thirty-two hosts that happen to share them?

Model, on log speeds of directed pairs between NICs of one rail, with A and B the leaves of i and j:

    y[i, j] = inside + within[A] + e                                            where A = B
    y[i, j] = across + up[A] + down[B] + joint[A, B] + e                        else

``up`` and ``down`` are fitted as those of hosts are (locate.effects), with leaves for participants and the median of
each pair of leaves for rows: few members that are slow themselves move no median. A leaf is named only when most of
its members show the same alone, 70 % and three at least: a group effect beats member effects, and where members
differ they are to be told apart by name. Then its members do not have to be.

What is slow says where it is: inside and across, the switch; across alone, its uplinks. ``across`` below ``inside``
in bandwidth is a fabric that is oversubscribed as it is built, in latency a hop more.

Does not handle: two leaves tell nobody's uplinks from the other's, so that is a pair of leaves; nor a fabric of which
more than about a third is bad.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import numpy as np
from numpy.typing import NDArray

from netprobe.locate.leaf_model import Model, fitted, inside_of, members_of, without_any
from netprobe.locate.leaf_rows import FEWEST_MEMBERS, MOST_RATIO, Members, Met, Rows, is_of_leaf, known_rows, sizes_of
from netprobe.stats.grouped import Grouped
from netprobe.stats.spread import scale_of

IntArray = NDArray[np.int64]
FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]

FEWEST_FAR: Final = 6
"""Rows across, each way, that tell what distance costs: fewer may be of one slow NIC."""


class Reach(StrEnum):
    """What of a leaf is slow."""

    WHOLE = "whole"
    """Inside it and across: the switch, a line card, its power."""
    UPLINKS = "uplinks"
    """Across alone."""
    UNTOLD = "untold"
    """Across; inside it nothing was measured."""
    INSIDE = "inside"
    """Between its own members alone."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LeafEffect:
    """A leaf that is slow in one role, or a pair of leaves."""

    leaf: int
    other: int | None
    """The leaf that it is slow towards, where that is one alone."""
    reach: Reach
    sends: bool
    receives: bool
    effect: float
    """Log units, negative."""
    within: float
    """What pairs of its own members lack, log units; 0 where they do not, or were not measured."""
    members: IntArray
    """That show it; of both leaves where there is an other."""
    judged: int
    """Members that could have shown it."""
    witnesses: int
    """Other leaves that it was measured with, or NICs of the other leaf."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LeafFit:
    """What leaves explain of the rows of a table."""

    effects: tuple[LeafEffect, ...]
    explained: FloatArray
    """Of each row, log units: the distance between leaves, and what is wrong with leaves; 0 where none is known."""
    across: float | None
    """What pairs of different leaves lack against those of one leaf, log units; None: not comparable."""
    is_across_shared: bool
    """Whether most members show that loss; else it belongs to some of them."""
    unjudged: tuple[int, ...]
    """Leaves of three NICs or more of which too few met two others, or too few leaves."""


def fit_leaves(  # noqa: PLR0913 - the rows, and the numbers that say what stands out
    src: IntArray,
    dst: IntArray,
    values: FloatArray,
    *,
    leaf_of: IntArray,
    smallest: float,
    outlier_mads: float,
    symmetric: bool = False,
    is_rate: bool = True,
) -> LeafFit:
    """Fit leaves on the rows of one rail.

    ``src`` and ``dst`` index ``leaf_of``, which numbers leaves from 0 (-1: not known); ``values`` are log speeds, all
    of shape (rows,). ``symmetric``: a row says the same of both ends. ``is_rate``: near and far pairs should be as
    fast; False for latencies, where distance is no fault.
    """
    rows = known_rows(src, dst, values, leaf_of, symmetric=symmetric)
    is_across = rows.near != rows.far
    crossing, inner = rows.kept(is_across), rows.kept(~is_across)
    inside, within = inside_of(inner, len(sizes_of(leaf_of)), smallest, outlier_mads)
    within = without_any(within, inner, inside, smallest)
    full = inside if is_rate else None
    cells = Grouped.by(crossing.near * len(within) + crossing.far, len(within) ** 2)
    model = fitted(crossing, cells, full, within, smallest, outlier_mads, symmetric=symmetric)
    if model is None:
        return _nothing(len(src), leaf_of)
    sending = Met.by(crossing.src, crossing.dst, len(leaf_of))
    senders, receivers = members_of(crossing, model, sending, len(leaf_of))
    found = _leaves(model, (senders, receivers), leaf_of, smallest, crossing, symmetric=symmetric)
    found += _insides(model, found, inner, inside, leaf_of, smallest)
    found += _pairs(crossing, cells, model, found, smallest, outlier_mads, symmetric=symmetric)
    difference = None if inside is None else model.across - inside
    is_shared = inside is not None and _is_shared(crossing, sending, model, inside, smallest)
    may_be_distance = not is_rate and len(crossing.values) >= FEWEST_FAR
    offset = min(difference or 0.0, 0.0) if is_shared or may_be_distance else 0.0
    return LeafFit(
        effects=tuple(found),
        explained=_explained(_Sides(src=leaf_of[src], dst=leaf_of[dst]), found, offset, symmetric=symmetric),
        across=difference,
        is_across_shared=is_shared,
        unjudged=_unjudged(leaf_of, senders, receivers),
    )


def _leaves(
    model: Model,
    roles: tuple[Members, Members],
    leaf_of: IntArray,
    smallest: float,
    crossing: Rows,
    *,
    symmetric: bool,
) -> list[LeafEffect]:
    """Return the leaves that are slow across, most of whose members show it."""
    found = []
    for leaf in np.flatnonzero((model.up < 0) | (model.down < 0)).tolist():
        own = leaf_of == leaf
        told = {}
        for sends, effect, members in ((True, model.up[leaf], roles[0]), (False, model.down[leaf], roles[1])):
            showing, judged = members.showing(own, float(effect), smallest)
            if effect < 0 and is_of_leaf(showing, judged):
                told[sends] = float(effect), showing, judged
        if not told:
            continue
        effect, showing, judged = min(told.values(), key=lambda each: each[0])
        found.append(
            LeafEffect(
                leaf=leaf,
                other=None,
                reach=_reach(float(model.within[leaf])),
                sends=symmetric or True in told,
                receives=symmetric or False in told,
                effect=effect,
                within=float(np.nan_to_num(model.within[leaf])),
                members=showing,
                judged=judged,
                witnesses=int(np.count_nonzero(np.bincount(crossing.far[crossing.near == leaf]))),
            )
        )
    return found


def _reach(within: float) -> Reach:
    if np.isnan(within):
        return Reach.UNTOLD
    return Reach.WHOLE if within < 0 else Reach.UPLINKS


def _insides(
    model: Model, found: list[LeafEffect], inner: Rows, inside: float | None, leaf_of: IntArray, smallest: float
) -> list[LeafEffect]:
    """Return the leaves that are slow inside alone."""
    told = {each.leaf for each in found}
    ends = np.concatenate([inner.src, inner.dst]), np.concatenate([inner.dst, inner.src])
    values = np.concatenate([inner.values, inner.values]) - (inside or 0.0)
    members = Members(lacking=Met.by(*ends, len(leaf_of)).lacking(values))
    inside_alone = []
    for leaf in np.flatnonzero(model.within < 0).tolist():
        showing, judged = members.showing(leaf_of == leaf, float(model.within[leaf]), smallest)
        if leaf not in told and is_of_leaf(showing, judged):
            inside_alone.append(
                LeafEffect(
                    leaf=leaf,
                    other=leaf,
                    reach=Reach.INSIDE,
                    sends=True,
                    receives=True,
                    effect=float(model.within[leaf]),
                    within=float(model.within[leaf]),
                    members=showing,
                    judged=judged,
                    witnesses=int(np.isfinite(model.within).sum()) - 1,
                )
            )
    return inside_alone


def _pairs(  # noqa: PLR0913 - the rows, and the numbers that say what stands out
    crossing: Rows,
    cells: Grouped,
    model: Model,
    found: list[LeafEffect],
    smallest: float,
    outlier_mads: float,
    *,
    symmetric: bool,
) -> list[LeafEffect]:
    """Return the pairs of leaves that are slow beyond what both do with others; most members have to show it."""
    leaves = len(model.up)
    up, down = np.zeros(leaves), np.zeros(leaves)
    for each in found:
        up[each.leaf] = model.up[each.leaf] if each.sends and each.reach is not Reach.INSIDE else 0.0
        down[each.leaf] = model.down[each.leaf] if each.receives and each.reach is not Reach.INSIDE else 0.0
    left = crossing.values - model.across - up[crossing.near] - down[crossing.far]
    medians = cells.medians(left)
    limit = max(smallest, outlier_mads * scale_of(np.abs(medians[medians > -smallest])))
    joined = []
    for at in np.flatnonzero(medians < -limit).tolist():
        near, far = divmod(at, leaves)
        own = cells.rows_of(at)
        sides = [_showing_pair(ends[own], left[own], smallest) for ends in (crossing.src, crossing.dst)]
        is_told_twice = symmetric and near > far
        if is_told_twice or not all(is_of_leaf(*side) for side in sides):
            continue
        joined.append(
            LeafEffect(
                leaf=near,
                other=far,
                reach=Reach.UPLINKS,
                sends=True,
                receives=symmetric,
                effect=float(medians[at]),
                within=0.0,
                members=np.unique(np.concatenate([side[0] for side in sides])),
                judged=sum(side[1] for side in sides),
                witnesses=min(side[1] for side in sides),
            )
        )
    return joined


def _showing_pair(ends: IntArray, left: FloatArray, smallest: float) -> tuple[IntArray, int]:
    members, number = np.unique(ends, return_inverse=True)
    medians = Grouped.by(number.reshape(-1), len(members)).medians(left)
    return members[medians < -smallest], len(members)


def _is_shared(crossing: Rows, sending: Met, model: Model, inside: float, smallest: float) -> bool:
    """Return whether most NICs of the rail do worse across than what is normal inside."""
    lacking = sending.lacking(crossing.values - inside)
    judged = int(np.isfinite(lacking).sum())
    shows = np.flatnonzero(lacking < -smallest)
    return model.across - inside < -smallest and is_of_leaf(shows, judged)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Sides:
    """The leaves of both ends of each row; -1: not known."""

    src: IntArray
    dst: IntArray


def _explained(sides: _Sides, found: list[LeafEffect], offset: float, *, symmetric: bool) -> FloatArray:
    known = (sides.src >= 0) & (sides.dst >= 0)
    crosses = known & (sides.src != sides.dst)
    explained = np.where(crosses, offset, 0.0)
    for each in found:
        explained += np.where(known & ~crosses & (sides.src == each.leaf), each.within, 0.0)
        if each.other is None:
            explained += np.where(crosses & (sides.src == each.leaf) & each.sends, each.effect, 0.0)
            explained += np.where(crosses & (sides.dst == each.leaf) & each.receives, each.effect, 0.0)
        elif each.reach is not Reach.INSIDE:
            is_pair = (sides.src == each.leaf) & (sides.dst == each.other)
            is_back = symmetric & (sides.src == each.other) & (sides.dst == each.leaf)
            explained += np.where(is_pair | is_back, each.effect, 0.0)
    return explained


def _unjudged(leaf_of: IntArray, senders: Members | None = None, receivers: Members | None = None) -> tuple[int, ...]:
    """Return the leaves with NICs enough of which too few could be judged across."""
    sizes = sizes_of(leaf_of)
    able = np.zeros(len(sizes), dtype=np.int64)
    if senders is not None and receivers is not None:
        is_judged = np.isfinite(senders.lacking) & np.isfinite(receivers.lacking)
        able = np.bincount(leaf_of[is_judged & (leaf_of >= 0)], minlength=len(sizes)).astype(np.int64)
    blind = (sizes >= FEWEST_MEMBERS) & (able < np.maximum(FEWEST_MEMBERS, MOST_RATIO * sizes))
    return tuple(np.flatnonzero(blind).tolist())


def _nothing(rows: int, leaf_of: IntArray) -> LeafFit:
    return LeafFit(
        effects=(), explained=np.zeros(rows), across=None, is_across_shared=False, unjudged=_unjudged(leaf_of)
    )
