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
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

from netprobe.locate.effects import fit_effects
from netprobe.stats.distinct import sorted_distinct
from netprobe.stats.grouped import Grouped
from netprobe.stats.spread import scale_of

IntArray = NDArray[np.int64]
FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]

MOST_RATIO: Final = 0.7
"""Of the members that were judged; a switch that fails rarely spares more (as in judge.groups)."""
FEWEST_MEMBERS: Final = 3
"""Two bad cables at one switch are no surprise."""
FEWEST_LEAVES: Final = 3
"""Two leaves cannot outvote each other."""
FEWEST_PARTNERS: Final = 2
"""NICs that a member has to have met to be judged: one partner may be bad itself."""
FEWEST_FAR: Final = 6
"""Rows across, each way, that tell what distance costs: fewer may be of one slow NIC."""
SAME_SHARE: Final = 0.5
"""Of the leaf's effect that a member has to show: less is another fault, or none."""


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


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Rows:
    """Directed pairs of one rail whose leaves are known; symmetric ones are there once each way."""

    src: IntArray
    dst: IntArray
    near: IntArray
    """The leaf of the source."""
    far: IntArray
    values: FloatArray

    def kept(self, which: BoolArray) -> "_Rows":
        """Return some of the rows."""
        return _Rows(
            src=self.src[which],
            dst=self.dst[which],
            near=self.near[which],
            far=self.far[which],
            values=self.values[which],
        )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Model:
    """What was fitted, before members were asked; log units, by leaf."""

    across: float
    up: FloatArray
    down: FloatArray
    within: FloatArray
    """0 for those that do not stand out, NaN where nothing was measured inside."""

    def across_of(self, rows: _Rows) -> FloatArray:
        """Return what rows that cross are expected to do."""
        expected: FloatArray = self.across + self.up[rows.near] + self.down[rows.far]
        return expected


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
    rows = _known_rows(src, dst, values, leaf_of, symmetric=symmetric)
    is_across = rows.near != rows.far
    crossing, inner = rows.kept(is_across), rows.kept(~is_across)
    inside, within = _inside(inner, len(_sizes(leaf_of)), smallest, outlier_mads)
    within = _without_any(within, inner, inside, smallest)
    full = inside if is_rate else None
    cells = Grouped.by(crossing.near * len(within) + crossing.far, len(within) ** 2)
    model = _fitted(crossing, cells, full, within, smallest, outlier_mads, symmetric=symmetric)
    if model is None:
        return _nothing(len(src), leaf_of)
    sending = _Met.by(crossing.src, crossing.dst, len(leaf_of))
    senders, receivers = _members(crossing, model, sending, len(leaf_of))
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


def _known_rows(src: IntArray, dst: IntArray, values: FloatArray, leaf_of: IntArray, *, symmetric: bool) -> _Rows:
    known = (leaf_of[src] >= 0) & (leaf_of[dst] >= 0)
    src, dst, values = src[known], dst[known], values[known]
    if symmetric:
        src, dst = np.concatenate([src, dst]), np.concatenate([dst, src])
        values = np.concatenate([values, values])
    return _Rows(src=src, dst=dst, near=leaf_of[src], far=leaf_of[dst], values=values)


def _sizes(leaf_of: IntArray) -> IntArray:
    """Return how many NICs each leaf has."""
    return np.bincount(leaf_of[leaf_of >= 0], minlength=1).astype(np.int64)


def _inside(inner: _Rows, leaves: int, smallest: float, outlier_mads: float) -> tuple[float | None, FloatArray]:
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


def _without_any(within: FloatArray, inner: _Rows, inside: float | None, smallest: float) -> FloatArray:
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


def _fitted(  # noqa: PLR0913 - the rows, and the numbers that say what stands out
    crossing: _Rows,
    cells: Grouped,
    inside: float | None,
    within: FloatArray,
    smallest: float,
    outlier_mads: float,
    *,
    symmetric: bool,
) -> _Model | None:
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
        return _Model(across=float(fit.baseline[0]), up=up, down=down, within=within)
    out, back = (crossing.values[crossing.near == leaf] for leaf in present)
    nics = int(np.count_nonzero(np.bincount(np.concatenate([crossing.src, crossing.dst]))))
    share = min(0.5 + 1.0 / nics, 1.0)  # the median, once one NIC, slow, is set aside
    ways = [float(np.quantile(way, share)) if len(way) else -np.inf for way in (out, back)]
    slow = [leaf for leaf in present if within[leaf] < 0]
    if inside is None or len(slow) != 1:
        return _Model(across=max(ways), up=up, down=down, within=within)
    sent, received = (way - inside for way in (ways if slow[0] == present[0] else ways[::-1]))
    up[slow[0]] = sent if -np.inf < sent < -smallest else 0.0
    down[slow[0]] = received if -np.inf < received < -smallest else 0.0
    return _Model(across=inside, up=up, down=down, within=within)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Members:
    """What each NIC lacks in a role against what its leaf's partners suggest; shape (NICs,)."""

    lacking: FloatArray
    """The median of its rows, without its own leaf's effect; NaN where it has too few."""

    def showing(self, own: BoolArray, effect: float, smallest: float) -> tuple[IntArray, int]:
        """Return which of some NICs show an effect of a leaf, and how many could have."""
        lacking = self.lacking[own]
        shows = (lacking < -smallest) & (lacking <= SAME_SHARE * effect)
        return np.flatnonzero(own)[shows], int(np.isfinite(lacking).sum())


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Met:
    """Rows by the NIC at one of their ends, and how many others each NIC has met there."""

    rows: Grouped
    others: IntArray

    @classmethod
    def by(cls, own: IntArray, partner: IntArray, count: int) -> Self:
        """Return the rows by their ``own`` ends; both ends are below ``count``."""
        pairs = sorted_distinct(own * count + partner, below=count * count)
        return cls(rows=Grouped.by(own, count), others=np.bincount(pairs // count, minlength=count))

    def lacking(self, values: FloatArray) -> FloatArray:
        """Return the median of each NIC's rows; NaN where it has met too few others."""
        low, high = self.rows.middles(values)
        # Of an even number whichever lies nearest to 0: who met one victim of somebody else's shows nothing.
        lacking: FloatArray = np.where(self.others >= FEWEST_PARTNERS, np.clip(0.0, low, high), np.nan)
        return lacking


def _members(crossing: _Rows, model: _Model, sending: _Met, count: int) -> tuple[_Members, _Members]:
    """Return what NICs lack as senders and as receivers, in pairs that cross."""
    rest = crossing.values - model.across
    sent, received = rest - model.down[crossing.far], rest - model.up[crossing.near]
    receiving = _Met.by(crossing.dst, crossing.src, count)
    return _Members(lacking=sending.lacking(sent)), _Members(lacking=receiving.lacking(received))


def _is_of_leaf(showing: IntArray, judged: int) -> bool:
    return judged >= FEWEST_MEMBERS and len(showing) >= max(FEWEST_MEMBERS, MOST_RATIO * judged)


def _leaves(
    model: _Model,
    roles: tuple[_Members, _Members],
    leaf_of: IntArray,
    smallest: float,
    crossing: _Rows,
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
            if effect < 0 and _is_of_leaf(showing, judged):
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
    model: _Model, found: list[LeafEffect], inner: _Rows, inside: float | None, leaf_of: IntArray, smallest: float
) -> list[LeafEffect]:
    """Return the leaves that are slow inside alone."""
    told = {each.leaf for each in found}
    ends = np.concatenate([inner.src, inner.dst]), np.concatenate([inner.dst, inner.src])
    values = np.concatenate([inner.values, inner.values]) - (inside or 0.0)
    members = _Members(lacking=_Met.by(*ends, len(leaf_of)).lacking(values))
    inside_alone = []
    for leaf in np.flatnonzero(model.within < 0).tolist():
        showing, judged = members.showing(leaf_of == leaf, float(model.within[leaf]), smallest)
        if leaf not in told and _is_of_leaf(showing, judged):
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
    crossing: _Rows,
    cells: Grouped,
    model: _Model,
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
        if is_told_twice or not all(_is_of_leaf(*side) for side in sides):
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


def _is_shared(crossing: _Rows, sending: _Met, model: _Model, inside: float, smallest: float) -> bool:
    """Return whether most NICs of the rail do worse across than what is normal inside."""
    lacking = sending.lacking(crossing.values - inside)
    judged = int(np.isfinite(lacking).sum())
    shows = np.flatnonzero(lacking < -smallest)
    return model.across - inside < -smallest and _is_of_leaf(shows, judged)


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


def _unjudged(leaf_of: IntArray, senders: _Members | None = None, receivers: _Members | None = None) -> tuple[int, ...]:
    """Return the leaves with NICs enough of which too few could be judged across."""
    sizes = _sizes(leaf_of)
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
