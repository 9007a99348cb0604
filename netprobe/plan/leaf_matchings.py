"""Partners by leaf switch: one on the own leaf, the others on leaves that differ, so that an uplink shows apart.

A host that is slow with its neighbour on the leaf is slow itself, or its NIC or cable is; one that is slow only with
other leaves shares that with its leaf's uplinks. Each matching begins random; couples of pairs then swap partners as
long as that makes it better (a local search as in min-conflicts, Minton et al. 1992), thousands at a time.

"""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

IntArray = NDArray[np.int64]

REPEATED: Final = 1000  # met before: never where it can be helped
SAME_LEAF: Final = 10
MET_LEAF: Final = 1  # of either end; another leaf tells more
PATIENCE: Final = 20  # steps without anything gained
TRIES: Final = 8


def spread_matchings(leaves: Sequence[str | None], count: int, seed: int) -> list[IntArray] | None:
    """Return ``count`` matchings of the hosts with these leaves, each of shape (pairs, 2); partners are distinct.

    None where leaves have nothing to say: fewer than two are known, everybody meets everybody, or too few hosts are
    left to choose from. A host whose leaf is unknown is taken to be alone on one.
    """
    hosts = len(leaves)
    seats = hosts + hosts % 2
    known = {leaf for leaf in leaves if leaf is not None}
    if len(known) < 2 or not 0 < count < seats - 1:
        return None
    numbers = {leaf: number for number, leaf in enumerate(sorted(known))}
    leaf = np.array(
        [*(hosts + index if each is None else numbers[each] for index, each in enumerate(leaves)), 2 * hosts][:seats]
    )  # an empty seat is nobody's neighbour
    draw = np.random.RandomState(random.Random(seed).getrandbits(32))
    for _ in range(TRIES):
        matchings = _drawn(leaf, count, draw)
        if matchings is not None:
            return [each[(each < hosts).all(axis=1)] for each in matchings]
    return None


def frozen_random(seed: int) -> np.random.RandomState:
    """Return a generator whose stream never changes: all ranks must draw the same, whatever numpy their hosts have."""
    return np.random.RandomState(random.Random(seed).getrandbits(32))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Met:
    """Whom everybody has met; shapes (seats,) and (seats, rounds)."""

    leaf: IntArray
    partners: IntArray
    leaves: IntArray

    def cost(self, a: IntArray, b: IntArray) -> IntArray:
        """Return what is wrong with pairs of seats, shape (pairs,)."""
        cost: IntArray = SAME_LEAF * (self.leaf[a] == self.leaf[b]).astype(np.int64)
        cost += REPEATED * (self.partners[a] == b[:, None]).any(axis=1)
        for one, other in ((a, b), (b, a)):
            cost += MET_LEAF * (self.leaves[one] == self.leaf[other][:, None]).any(axis=1)
        return cost

    def after(self, pairs: IntArray) -> "_Met":
        """Return the same after one more matching."""
        partner = np.empty(len(self.leaf), dtype=np.int64)
        partner[pairs] = pairs[:, ::-1]
        return _Met(
            leaf=self.leaf,
            partners=np.column_stack([self.partners, partner]),
            leaves=np.column_stack([self.leaves, self.leaf[partner]]),
        )


def _drawn(leaf: IntArray, count: int, draw: np.random.RandomState) -> list[IntArray] | None:
    """Return the matchings; None where somebody would meet a partner again."""
    nobody = np.zeros((len(leaf), 0), dtype=np.int64)
    met = _Met(leaf=leaf, partners=nobody, leaves=nobody)
    matchings = []
    for index in range(count):
        # With one partner alone there is none to compare with, and the uplinks would go untested.
        pairs = _within_leaves(leaf, draw) if index == 0 and count > 1 else _across_leaves(met, draw)
        if (met.partners[pairs[:, 0]] == pairs[:, 1:]).any():
            return None
        met = met.after(pairs)
        matchings.append(pairs)
    return [matchings[index] for index in draw.permutation(count)]


def _within_leaves(leaf: IntArray, draw: np.random.RandomState) -> IntArray:
    """Return a random matching within leaves; of each odd leaf one is left, and meets one of another."""
    shuffled = draw.permutation(len(leaf))
    order = shuffled[np.argsort(leaf[shuffled], kind="stable")]
    _, start, size = np.unique(leaf[order], return_index=True, return_counts=True)
    place = np.arange(len(order)) - np.repeat(start, size)
    is_left = (place == np.repeat(size, size) - 1) & (place % 2 == 0)
    return np.concatenate([order[~is_left], draw.permutation(order[is_left])]).reshape(-1, 2)


def _across_leaves(met: _Met, draw: np.random.RandomState) -> IntArray:
    """Return a random matching, improved until nothing is wrong with it or nothing more is gained."""
    pairs = draw.permutation(len(met.leaf)).reshape(-1, 2)
    cost = met.cost(pairs[:, 0], pairs[:, 1])
    least, waited = int(cost.sum()), 0
    while least and waited < PATIENCE and len(pairs) > 1:
        half = len(pairs) // 2
        order = draw.permutation(len(pairs))
        first, second = order[:half], order[half : 2 * half]
        is_wrong = cost[first] + cost[second] > 0
        _swap(met, pairs, cost, first[is_wrong], second[is_wrong])
        total = int(cost.sum())
        least, waited = (total, 0) if total < least else (least, waited + 1)
    return pairs


def _swap(met: _Met, pairs: IntArray, cost: IntArray, first: IntArray, second: IntArray) -> None:
    """Let couples of pairs change partners, in place, in the better one of two ways, where that is no worse."""
    a, b = pairs[first, 0], pairs[first, 1]
    c, d = pairs[second, 0], pairs[second, 1]
    ways = [
        (met.cost(a, d), met.cost(c, b), np.column_stack((a, d)), np.column_stack((c, b))),
        (met.cost(a, c), met.cost(b, d), np.column_stack((a, c)), np.column_stack((b, d))),
    ]
    takes_first = ways[0][0] + ways[0][1] <= ways[1][0] + ways[1][1]
    for (cost_one, cost_other, one, other), takes in zip(ways, (takes_first, ~takes_first), strict=True):
        better = takes & (cost_one + cost_other <= cost[first] + cost[second])
        pairs[first[better]], pairs[second[better]] = one[better], other[better]
        cost[first[better]], cost[second[better]] = cost_one[better], cost_other[better]
