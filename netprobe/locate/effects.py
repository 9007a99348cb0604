"""Which sender or receiver explains a sparse matrix of pairs? Additive effects, fewest culprits first.

Model, on log speeds of directed pairs: y[i, j] = baseline + sender[i] + receiver[j] + residual[i, j]. This is median
polish (Tukey 1977) with four changes that sparse data and the rule "never blame a victim" ask for:

1. Only effects that stand out are fitted; all others are exactly 0. A full polish of three pairs a host has nearly as
   many parameters as rows: it passes through two rows of three, and leaves no residual to judge anything by.
2. The median of an even number of rows is whichever point between the two middle ones lies nearest to 0. With two
   partners both must agree; with three, two of them; a victim that met one culprit keeps 0.
3. In each sweep an effect moves only if it explains more than any effect that it shares a row with: the culprit of
   k rows moves before its k victims could. The sum of absolute residuals therefore falls with every move.
4. An effect is dropped when chance alone, in a fabric with so many low rows, would put as many on one participant.

The spread that an effect must stand out from is that of the rows after all culprits are taken away, so a culprit does
not hide itself. Rows may belong to groups with baselines of their own (rails: rank 3 of a host only ever meets rank 3
of another), which keeps a slow rail from looking like many slow hosts.

Does not handle: more than about a third of all participants bad in the same role, or fewer than three participants:
who is normal is then anybody's guess.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from netprobe.stats.distinct import by_owner, has_repeats, sorted_distinct
from netprobe.stats.spread import SIGMAS_PER_MAD, upper_share

IntArray = NDArray[np.int64]
FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]

FEWEST_PARTNERS: Final = 2  # one partner alone cannot tell which of the two is bad
MOST_SWEEPS: Final = 40  # a sweep settles all culprits that do not meet; random fleets need 2 to 6
MEDIAN: Final = np.array(0.5)
CHANCE: Final = 0.02  # of naming anybody in a fleet whose slow pairs fall at random
FEW_MIDDLES: Final = 4  # of rows of unlike length; for more, sorting them is as quick as finding their middles
FEW_LIMITS: Final = 8  # for more, sorting all values once is quicker than looking at them for each
SETTLED: Final = 1e-9  # log units; far below what a histogram bin resolves


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Effects:
    """What was fitted; arrays of participants have shape (n,), arrays of rows follow the rows that were given."""

    sender: FloatArray
    """Log units, 0 for all that do not stand out; equal to ``receiver`` in a symmetric fit."""
    receiver: FloatArray
    sender_partners: IntArray
    """Distinct participants that each one sent to."""
    receiver_partners: IntArray
    baseline: FloatArray
    """Of each row: what a pair of its group does when neither end stands out."""
    residual: FloatArray
    """Of each row: what neither end explains."""
    scale: float
    """Robust sigma of the residuals, at the upper end of what so few rows leave open; 0 when most rows agree."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Rows:
    """Distinct directed pairs, as the fit sees them."""

    src: IntArray
    dst: IntArray
    group: IntArray
    values: FloatArray
    participants: int
    of_src: "_Owned"
    """Rows of each participant as sender."""
    of_dst: "_Owned"
    by_group: tuple[IntArray, ...]
    """Rows of each group; empty with a single one, of which all are."""

    def at_group(self, of_groups: FloatArray) -> FloatArray:
        """Return what is told of groups, shape (groups,), by row; of a single one as it is, shape (1,)."""
        return of_groups[self.group] if self.by_group else of_groups


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Owned:
    """Which rows are whose."""

    rows: IntArray
    """Of each participant, shape (n, most), filled up with the index one past the last row."""
    counts: IntArray
    """How many each participant has, shape (n,)."""
    partners: IntArray
    """The other ends of ``rows``, filled up with the number of participants."""

    @property
    def is_full(self) -> bool:
        """Whether all have as many, so that nothing had to be filled up."""
        return bool((self.counts == self.rows.shape[1]).all())

    def values_of(self, of_rows: FloatArray, missing: float) -> FloatArray:
        """Return what is told of rows by participant, shape (n, most)."""
        return of_rows[self.rows] if self.is_full else np.append(of_rows, missing)[self.rows]


def fit_effects(  # noqa: PLR0913 - the rows, and the two numbers that say what stands out
    src: IntArray,
    dst: IntArray,
    values: FloatArray,
    *,
    participants: int,
    smallest: float,
    outlier_mads: float,
    group: IntArray | None = None,
    symmetric: bool = False,
) -> Effects:
    """Fit effects that exceed ``smallest`` and ``outlier_mads`` robust sigmas of the residuals.

    ``src`` and ``dst`` are numbers below ``participants``, ``values`` log speeds, all of shape (rows,); repeated pairs
    count once, with their median. ``symmetric``: a row says the same of both ends (round trips, two-way streams), and
    each participant has one effect. ``group`` numbers the rows' baselines from 0.
    """
    group = np.zeros(len(src), dtype=np.int64) if group is None else group
    rows = _distinct_rows(src, dst, values, group, participants, symmetric=symmetric)
    sender, receiver = _polished(rows, smallest, outlier_mads)
    if symmetric:
        sender = receiver = (sender + receiver) / 2
    of_groups = _baseline(rows, rows.values - sender[rows.src] - receiver[rows.dst], MEDIAN)
    fitted = _fitted(of_groups, sender, receiver)
    baseline = of_groups[group]
    residual = values - baseline - sender[src] - receiver[dst]
    return Effects(
        sender=sender,
        receiver=receiver,
        sender_partners=rows.of_src.counts,
        receiver_partners=rows.of_dst.counts,
        baseline=baseline,
        residual=residual,
        scale=_telling_upper_scale(residual, fitted),
    )


def _polished(rows: _Rows, smallest: float, outlier_mads: float) -> tuple[FloatArray, FloatArray]:
    """Return sender and receiver effects that stand out and that chance does not explain."""
    may_send = may_receive = np.ones(rows.participants, dtype=bool)
    while True:
        sender, receiver = _settled(rows, smallest, outlier_mads, (may_send, may_receive))
        residual = rows.values - sender[rows.src] - receiver[rows.dst]
        residual = residual - rows.at_group(_baseline(rows, residual, MEDIAN))
        by_chance = _is_chance(rows.of_src, sender, residual), _is_chance(rows.of_dst, receiver, residual)
        if not (by_chance[0].any() or by_chance[1].any()):
            return sender, receiver
        may_send, may_receive = may_send & ~by_chance[0], may_receive & ~by_chance[1]


def _settled(
    rows: _Rows, smallest: float, outlier_mads: float, may_have: tuple[BoolArray, BoolArray]
) -> tuple[FloatArray, FloatArray]:
    """Return the effects of those that may have one, as senders and as receivers, once no sweep changes them."""
    sender = receiver = np.zeros(rows.participants)
    baseline = _baseline(rows, rows.values, _shares_above_one_culprit(rows))
    for _ in range(MOST_SWEEPS):
        moved_sender, moved_receiver = (
            np.where(may & (np.abs(moved) > smallest), moved, 0.0)
            for may, moved in zip(may_have, _moved(rows, baseline, sender, receiver), strict=True)
        )
        unexplained = rows.values - moved_sender[rows.src] - moved_receiver[rows.dst]
        baseline = _baseline(rows, unexplained, MEDIAN)
        fitted = _fitted(baseline, moved_sender, moved_receiver)
        limit = max(smallest, outlier_mads * _telling_scale(unexplained - rows.at_group(baseline), fitted))
        moved_sender = np.where(np.abs(moved_sender) > limit, moved_sender, 0.0)
        moved_receiver = np.where(np.abs(moved_receiver) > limit, moved_receiver, 0.0)
        change = np.abs(moved_sender - sender).sum() + np.abs(moved_receiver - receiver).sum()
        sender, receiver = moved_sender, moved_receiver
        if change < SETTLED:
            break
    return sender, receiver


def _is_chance(owned: _Owned, effect: FloatArray, residual: FloatArray) -> BoolArray:
    """Return whose effect may come from rows that are low at random, wherever they fall.

    Where flows collide in the fabric, a quarter of all pairs may be slow for no fault of their ends, and among many
    hosts some have two or three of them. How often that happens is told by the rows of participants that have normal
    ones as well; Chernoff's bound then tells how likely it is that so many fall on one.
    """
    candidates = np.flatnonzero(effect)
    is_chance = np.zeros(len(effect), dtype=bool)
    if not len(candidates):
        return is_chance
    deviation = owned.values_of(residual, np.nan) + effect[:, None]
    half = effect[candidates] / 2
    rows = np.isfinite(deviation[candidates]).sum(axis=1)
    share = (deviation[candidates] / half[:, None] >= 1.0).sum(axis=1) / rows
    is_mixed = effect == 0.0
    is_mixed[candidates[share < 1.0]] = True
    mixed = deviation[is_mixed]
    mixed = mixed[np.isfinite(mixed)]
    background = _beyond(mixed, half) / len(mixed) if len(mixed) else np.ones(len(half))
    is_chance[candidates] = np.log(len(effect)) - rows * _divergence(share, background) >= np.log(CHANCE)
    return is_chance


def _beyond(values: FloatArray, limits: FloatArray) -> IntArray:
    """Return how many values are as far from 0 as each limit, on its side."""
    if len(limits) <= FEW_LIMITS:
        counts = [np.count_nonzero(values <= each if each < 0 else values >= each) for each in limits.tolist()]
        return np.array(counts, dtype=np.int64)
    ordered = np.sort(values)
    below = np.searchsorted(ordered, limits, side="right")
    above = len(ordered) - np.searchsorted(ordered, limits, side="left")
    return np.where(limits < 0, below, above)


def _divergence(share: FloatArray, background: FloatArray) -> FloatArray:
    """Return the Kullback-Leibler divergence of two coins, 0 where ``share`` is not the larger one."""
    with np.errstate(divide="ignore", invalid="ignore"):
        heads = np.where(share > 0, share * np.log(share / background), 0.0)
        tails = np.where(share < 1, (1 - share) * np.log((1 - share) / (1 - background)), 0.0)
    return np.where(share > background, heads + tails, 0.0)


def _fitted(baseline: FloatArray, sender: FloatArray, receiver: FloatArray) -> int:
    """Return the number of parameters that are in use."""
    return len(baseline) + int(np.count_nonzero(sender) + np.count_nonzero(receiver))


def _moved(
    rows: _Rows, baseline: FloatArray, sender: FloatArray, receiver: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Return the effects after those moves that explain more than every move they compete with."""
    residual = rows.values - rows.at_group(baseline) - sender[rows.src] - receiver[rows.dst]
    sender_step, sender_gain = _steps(rows.of_src, residual)
    receiver_step, receiver_gain = _steps(rows.of_dst, residual)
    # Equal gains must stay equal whatever order they were summed in: the sender goes first, always.
    sender_wins = sender_gain >= _most(rows.of_src, receiver_gain) - SETTLED
    receiver_wins = receiver_gain > _most(rows.of_dst, sender_gain) + SETTLED
    return sender + np.where(sender_wins, sender_step, 0.0), receiver + np.where(receiver_wins, receiver_step, 0.0)


def _steps(owned: _Owned, residual: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return each participant's cautious median residual, and by how much taking it away lowers their sum."""
    each = owned.values_of(residual, np.inf)
    counts = owned.counts
    at_low, at_high = np.maximum(counts - 1, 0) // 2, np.minimum(counts // 2, each.shape[1] - 1)
    wanted = np.unique(np.concatenate([at_low, at_high]))
    ordered = np.partition(each, wanted, axis=1) if len(wanted) <= FEW_MIDDLES else np.sort(each, axis=1)
    low = np.take_along_axis(ordered, at_low[:, None], axis=1)[:, 0]
    high = np.take_along_axis(ordered, at_high[:, None], axis=1)[:, 0]
    step = np.where(counts >= FEWEST_PARTNERS, np.clip(0.0, low, high), 0.0)
    present = each if owned.is_full else np.where(np.isfinite(each), each, 0.0)
    remaining = present - step[:, None] if owned.is_full else np.where(np.isfinite(each), present - step[:, None], 0.0)
    return step, np.abs(present).sum(axis=1) - np.abs(remaining, out=remaining).sum(axis=1)


def _most(owned: _Owned, of_partners: FloatArray) -> FloatArray:
    """Return the largest value among the partners of each participant; 0 without any, and at least 0."""
    most: FloatArray = np.append(of_partners, 0.0)[owned.partners].max(axis=1, initial=0.0)
    return most


def _telling_scale(residual: FloatArray, fitted: int) -> float:
    """Return robust sigma of the residuals without the smallest ones: as many as there are fitted parameters.

    A median passes through one of its rows, and that row's residual of 0 says nothing about the noise. Among three
    hosts nearly all rows are of this kind, and the plain MAD would be 0.
    """
    if not len(residual):
        return 0.0
    left_out = _left_out(residual, fitted)
    kept = len(residual) - left_out
    low, high = left_out + (kept - 1) // 2, left_out + kept // 2
    sizes = np.abs(residual)
    sizes.partition([low, high, len(sizes) - 1])
    if np.isnan(sizes[-1]):
        return float("nan")
    return SIGMAS_PER_MAD * float((sizes[low] + sizes[high]) / 2)


def _telling_upper_scale(residual: FloatArray, fitted: int) -> float:
    """Return ``_telling_scale`` at the upper end of what so few residuals leave open."""
    return _telling_scale(residual, fitted) * upper_share(len(residual) - _left_out(residual, fitted))


def _left_out(residual: FloatArray, fitted: int) -> int:
    return min(fitted, max(len(residual) - 1, 0))


def _shares_above_one_culprit(rows: _Rows) -> FloatArray:
    """Return the quantile, for each group, that is the median once one participant's rows, all low, are set aside.

    Among three participants a bad one taints four of six pairs: the plain median would call the only good pair fast.
    """
    ends = np.concatenate([rows.src, rows.dst])
    groups = np.concatenate([rows.group, rows.group])
    count = 1 if not rows.by_group else len(rows.by_group)
    members = sorted_distinct(groups * rows.participants + ends, below=count * rows.participants)
    present = np.bincount(members // rows.participants, minlength=1)
    return 0.5 + 1.0 / np.maximum(present, 2)


def _baseline(rows: _Rows, values: FloatArray, share: FloatArray) -> FloatArray:
    """Return the quantile of each group's values, shape (groups,)."""
    parts = [values[own] for own in rows.by_group] or [values]
    shares = np.broadcast_to(share, len(parts)).tolist()
    return np.array([_quantile(own, each) for own, each in zip(parts, shares, strict=True)])


def _quantile(values: FloatArray, share: float) -> float:
    """Return a quantile, interpolated; 0 without values. Does without a whole order: it is wanted in every sweep."""
    if not len(values):
        return 0.0
    position = share * (len(values) - 1)
    below = int(position)
    above = min(below + 1, len(values) - 1)
    ordered = np.partition(values, [below, above])
    low, high = float(ordered[below]), float(ordered[above])
    return low + (position - below) * (high - low)


def _distinct_rows(
    src: IntArray, dst: IntArray, values: FloatArray, group: IntArray, participants: int, *, symmetric: bool
) -> _Rows:
    if symmetric:
        src, dst = np.concatenate([src, dst]), np.concatenate([dst, src])
        values, group = np.concatenate([values, values]), np.concatenate([group, group])
    keys = src * participants + dst
    if has_repeats(keys, below=participants * participants):
        keys, first, row_of = np.unique(keys, return_index=True, return_inverse=True)
        values = _medians(row_of, values, len(keys))
        src, dst, group = src[first], dst[first], group[first]
    return _Rows(
        src=src,
        dst=dst,
        group=group,
        values=values,
        participants=participants,
        of_src=_owned(src, dst, participants),
        of_dst=_owned(dst, src, participants),
        by_group=_members(group),
    )


def _members(group: IntArray) -> tuple[IntArray, ...]:
    """Return the rows of each group; nothing where there is but one."""
    counts = np.bincount(group, minlength=1)
    if len(counts) == 1:
        return ()
    return tuple(np.split(by_owner(group, owners=len(counts)), np.cumsum(counts)[:-1]))


def _medians(row_of: IntArray, values: FloatArray, rows: int) -> FloatArray:
    order = np.lexsort((values, row_of))
    counts = np.bincount(row_of, minlength=rows)
    first = np.cumsum(counts) - counts
    ordered = values[order]
    middles: FloatArray = (ordered[first + (counts - 1) // 2] + ordered[first + counts // 2]) / 2
    return middles


def _owned(participant: IntArray, other: IntArray, participants: int) -> _Owned:
    """Return the rows of each participant, and who the other end is; at least one column."""
    counts = np.bincount(participant, minlength=participants)
    order = by_owner(participant, owners=participants)
    most = max(int(counts.max(initial=0)), 1)
    if (counts == most).all():
        rows = order.reshape(participants, most)
        return _Owned(rows=rows, counts=counts, partners=other[rows])
    slot = np.arange(len(participant)) - np.repeat(np.cumsum(counts) - counts, counts)
    rows = np.full((participants, most), len(participant), dtype=np.int64)
    rows[participant[order], slot] = order
    return _Owned(rows=rows, counts=counts, partners=np.append(other, participants)[rows])
