"""Rounds of disjoint pairs, so that every rank is busy in every round and nobody is measured twice at once.

The circle method turns n participants (n even) into n - 1 perfect matchings in which everybody meets everybody once;
for odd n one sits out each time, a different one in each matching. Screening takes k of these matchings after a
seeded shuffle: each matching is then uniformly random, and the k partners of a participant are distinct, which is what
lets them outvote a bad partner: a good host fails all k only because of its partners with probability
(b / (n - 1))^k for b bad hosts (netprobe.plan.screening). Where leaf switches are known, netprobe.plan.leaf_matchings
draws them instead.

A matching is computed when it is asked for, from its number alone: 16,000 hosts have as many, of 8,000 pairs each.
Does not handle: cross-rail pairs. Between hosts, rank i of one host meets rank i of the other.
"""

import random
from collections.abc import Callable, Collection, Iterable, Sequence
from typing import overload

import numpy as np
from numpy.typing import NDArray

from netprobe.model.plan import Pairing
from netprobe.plan.leaf_matchings import frozen_random, spread_matchings

IntArray = NDArray[np.int64]
Matching = tuple[tuple[int, int], ...]


class Round:
    """Directed pairs (leader or sender, follower or receiver) that run at the same time; no rank appears twice."""

    __slots__ = ("ends", "flows")
    __hash__ = None  # type: ignore[assignment]  # it holds an array

    def __init__(
        self, *, pairs: IntArray | Iterable[tuple[int, int]], flows: IntArray | Iterable[tuple[int, int]] = ()
    ) -> None:
        self.ends: IntArray = _ends(pairs)
        """Shape (pairs, 2)."""
        self.flows: IntArray = _ends(flows)
        """Sender and receiver of each flow that loads the fabric meanwhile, shape (flows, 2); ranks have several."""

    def __eq__(self, other: object) -> bool:
        """Return whether it is a round of the same pairs in the same order."""
        return (
            isinstance(other, Round)
            and np.array_equal(self.ends, other.ends)
            and np.array_equal(self.flows, other.flows)
        )

    def __repr__(self) -> str:
        """Return its pairs."""
        return f"Round(pairs={self.pairs}{f', flows={self.flows.tolist()}' if len(self.flows) else ''})"

    @property
    def pairs(self) -> tuple[tuple[int, int], ...]:
        """The same as tuples; for 80,000 ranks that takes 10 ms."""
        return tuple(zip(self.ends[:, 0].tolist(), self.ends[:, 1].tolist(), strict=True))

    def among(self, ranks: Collection[int]) -> "Round":
        """Return the round without pairs that have an end outside of these ranks."""
        known = np.fromiter(ranks, dtype=np.int64, count=len(ranks))
        return Round(
            pairs=self.ends[np.isin(self.ends, known).all(axis=1)],
            flows=self.flows[np.isin(self.flows, known).all(axis=1)],
        )

    def reversed(self) -> "Round":
        """Return the same pairs with their roles swapped."""
        return Round(pairs=self.ends[:, ::-1])


def _ends(pairs: IntArray | Iterable[tuple[int, int]]) -> IntArray:
    told = pairs if isinstance(pairs, np.ndarray) else list(pairs)
    return np.asarray(told, dtype=np.int64).reshape(-1, 2)


class Rounds(Sequence[Round]):
    """Rounds that are drawn when they are asked for."""

    def __init__(self, count: int, draw: Callable[[int], Round]) -> None:
        self._count = count
        self._draw = draw

    def __len__(self) -> int:
        """Return how many there are."""
        return self._count

    @overload
    def __getitem__(self, index: int) -> Round: ...
    @overload
    def __getitem__(self, index: slice) -> list[Round]: ...
    def __getitem__(self, index: int | slice) -> Round | list[Round]:
        """Return one of them, or those of a slice."""
        if isinstance(index, slice):
            return [self._draw(each) for each in range(self._count)[index]]
        return self._draw(range(self._count)[index])


def each_of(rounds: Sequence[Round], change: Callable[[Round], Round]) -> Rounds:
    """Return rounds as they are after a change."""
    return Rounds(len(rounds), lambda index: change(rounds[index]))


def circle_count(participants: int) -> int:
    """Return how many matchings the circle method has: n - 1 for even n, n for odd n."""
    return participants - 1 + participants % 2 if participants > 1 else 0


def circle_matching(participants: int, numbers: int | IntArray) -> IntArray:
    """Return matchings of the circle method on 0..n-1 by their numbers, shape (…, pairs, 2).

    Of n seats (n even) the first never moves, and the others move on by one from matching to matching; whoever face
    each other meet. For odd n the pair of the empty seat is left out, another one in each matching.
    """
    seats = participants + participants % 2
    number = np.asarray(numbers, dtype=np.int64)[..., None]
    near = np.arange(seats // 2)

    def sits_at(seat: IntArray) -> IntArray:
        place: IntArray = np.where(seat == 0, 0, (seat - 1 - number) % max(seats - 1, 1) + 1)
        return place

    pairs: IntArray = np.stack([sits_at(near), sits_at(seats - 1 - near)], axis=-1)
    if seats == participants:
        return pairs
    taken: IntArray = pairs[(pairs != participants).all(axis=-1)]
    return taken.reshape(*number.shape[:-1], seats // 2 - 1, 2)


def matching_count(participants: int, pairing: Pairing, count: int) -> int:
    """Return how many matchings are drawn: all of them, or ``count`` where there are so many."""
    most = circle_count(participants)
    return min(max(count, 0), most) if pairing is Pairing.SCREENING else most


def circle_matchings(participants: int) -> list[Matching]:
    """Return the matchings of the circle method, all of them."""
    return [Round(pairs=circle_matching(participants, number)).pairs for number in range(circle_count(participants))]


def drawn_matchings(participants: int, pairing: Pairing, count: int, seed: int) -> list[Matching]:
    """Return all matchings, or ``count`` random ones (all where there are no more), shuffled by ``seed``."""
    return [each.pairs for each in _matchings(participants, pairing, count, seed)]


def _matchings(participants: int, pairing: Pairing, count: int, seed: int) -> Rounds:
    shuffle = random.Random(seed)
    labels = list(range(participants))
    shuffle.shuffle(labels)
    numbers: Sequence[int] = range(circle_count(participants))
    if pairing is Pairing.SCREENING:
        numbers = shuffle.sample(numbers, matching_count(participants, pairing, count))
    label_of = np.array(labels, dtype=np.int64)
    return Rounds(len(numbers), lambda index: Round(pairs=label_of[circle_matching(participants, numbers[index])]))


def rounds_between(
    hosts: Sequence[Sequence[int]],
    pairing: Pairing,
    count: int,
    seed: int,
    leaves: Sequence[str | None] = (),
) -> Rounds:
    """Return one-directional rounds between hosts; ``hosts`` holds the ranks of each host by local index.

    ``leaves`` are those of the hosts; a screening meets hosts on the own leaf and on others then.
    """
    table = _table(hosts)
    spread = spread_matchings(leaves, count, seed) if pairing is Pairing.SCREENING else None
    matchings = (
        _matchings(len(hosts), pairing, count, seed) if spread is None else [Round(pairs=each) for each in spread]
    )

    def draw(index: int) -> Round:
        pairs = table[matchings[index].ends].swapaxes(1, 2).reshape(-1, 2)  # of each pair of hosts, all its places
        return Round(pairs=pairs[(pairs >= 0).all(axis=1)])

    return Rounds(len(matchings), draw)


def _table(hosts: Sequence[Sequence[int]]) -> IntArray:
    """Return the ranks of the hosts in rows, those with fewer filled up with -1, shape (hosts, places)."""
    table = np.full((len(hosts), max(map(len, hosts), default=0)), -1, dtype=np.int64)
    for row, ranks in enumerate(hosts):
        table[row, : len(ranks)] = ranks
    return table


def rounds_within(hosts: Sequence[Sequence[int]], pairing: Pairing, count: int, seed: int) -> Rounds:
    """Return one-directional rounds inside all hosts at once; hosts with few ranks are done earlier."""
    by_size: dict[int, list[int]] = {}
    for index, ranks in enumerate(hosts):
        by_size.setdefault(len(ranks), []).append(index)
    draw = frozen_random(seed)
    drawn = [
        (
            np.array(members),
            *_drawn_within([hosts[index] for index in members], matching_count(size, pairing, count), draw),
        )
        for size, members in sorted(by_size.items())
        if size > 1
    ]

    def at(turn: int) -> Round:
        parts, owners = [], []
        for members, ranks_at, numbers in drawn:
            if turn < numbers.shape[1]:
                seats = circle_matching(ranks_at.shape[1], numbers[:, turn])
                parts.append(ranks_at[np.arange(len(members))[:, None, None], seats].reshape(-1, 2))
                owners.append(np.repeat(members, seats.shape[1]))
        return Round(pairs=np.concatenate(parts)[np.argsort(np.concatenate(owners), kind="stable")])

    return Rounds(max((numbers.shape[1] for _, _, numbers in drawn), default=0), at)


def _drawn_within(hosts: Sequence[Sequence[int]], count: int, draw: np.random.RandomState) -> tuple[IntArray, IntArray]:
    """Return the ranks of hosts of the same size in random order, and the numbers of ``count`` matchings of each.

    Shapes (hosts, size) and (hosts, count).
    """
    ranks = np.array(hosts, dtype=np.int64)
    order = np.argsort(draw.random_sample(ranks.shape), axis=1, kind="stable")
    chance = draw.random_sample((len(hosts), circle_count(ranks.shape[1])))
    return np.take_along_axis(ranks, order, axis=1), np.argsort(chance, axis=1, kind="stable")[:, :count]


def both_ways(rounds: Sequence[Round]) -> Rounds:
    """Return each round followed by the same pairs with their roles swapped."""
    return Rounds(2 * len(rounds), lambda index: rounds[index // 2].reversed() if index % 2 else rounds[index // 2])
