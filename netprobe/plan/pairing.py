"""Rounds of disjoint pairs, so that every rank is busy in every round and nobody is measured twice at once.

The circle method turns n participants (n even) into n - 1 perfect matchings in which everybody meets everybody once;
for odd n one sits out each time, a different one in each matching. Screening takes k of these matchings after a
seeded shuffle: each matching is then uniformly random, and the k partners of a participant are distinct, which is what
lets them outvote a bad partner: a good host fails all k only because of its partners with probability
(b / (n - 1))^k for b bad hosts.

Does not handle: cross-rail pairs. Between hosts, rank i of one host meets rank i of the other.
"""

import random
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from netprobe.model.plan import Pairing


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """Directed pairs (leader or sender, follower or receiver) that run at the same time; no rank appears twice."""

    pairs: tuple[tuple[int, int], ...]

    def among(self, ranks: Collection[int]) -> "Round":
        """Return the round without pairs that have an end outside of these ranks."""
        return Round(pairs=tuple((src, dst) for src, dst in self.pairs if src in ranks and dst in ranks))


Matching = tuple[tuple[int, int], ...]


def circle_matchings(participants: int) -> list[Matching]:
    """Return the matchings of the circle method on 0..n-1: n - 1 of them for even n, n for odd n."""
    seats = list(range(participants + participants % 2))
    matchings: list[Matching] = []
    for _ in range(len(seats) - 1):
        half = len(seats) // 2
        facing = zip(seats[:half], reversed(seats[half:]), strict=True)
        matchings.append(tuple(pair for pair in facing if participants not in pair))
        seats = [seats[0], seats[-1], *seats[1:-1]]
    return matchings


def drawn_matchings(participants: int, pairing: Pairing, count: int, seed: int) -> list[Matching]:
    """Return all matchings, or ``count`` random ones (all where there are no more), shuffled by ``seed``."""
    shuffle = random.Random(seed)
    labels = list(range(participants))
    shuffle.shuffle(labels)
    matchings = circle_matchings(participants)
    if pairing is Pairing.SCREENING:
        matchings = shuffle.sample(matchings, min(count, len(matchings)))
    return [tuple((labels[a], labels[b]) for a, b in matching) for matching in matchings]


def rounds_between(hosts: Sequence[Sequence[int]], pairing: Pairing, count: int, seed: int) -> list[Round]:
    """Return one-directional rounds between hosts; ``hosts`` holds the ranks of each host by local index."""
    rounds = []
    for matching in drawn_matchings(len(hosts), pairing, count, seed):
        pairs = [pair for a, b in matching for pair in zip(hosts[a], hosts[b], strict=False)]
        rounds.append(Round(pairs=tuple(pairs)))
    return [each for each in rounds if each.pairs]


def rounds_within(hosts: Sequence[Sequence[int]], pairing: Pairing, count: int, seed: int) -> list[Round]:
    """Return one-directional rounds inside all hosts at once; hosts with few ranks are done earlier."""
    by_host = [
        [
            [(ranks[a], ranks[b]) for a, b in matching]
            for matching in drawn_matchings(len(ranks), pairing, count, seed + index)
        ]
        for index, ranks in enumerate(hosts)
    ]
    longest = max((len(matchings) for matchings in by_host), default=0)
    rounds = []
    for turn in range(longest):
        pairs = [pair for matchings in by_host if turn < len(matchings) for pair in matchings[turn]]
        rounds.append(Round(pairs=tuple(pairs)))
    return [each for each in rounds if each.pairs]


def both_ways(rounds: Sequence[Round]) -> list[Round]:
    """Return each round followed by the same pairs with their roles swapped."""
    return [each for forward in rounds for each in (forward, Round(pairs=tuple((b, a) for a, b in forward.pairs)))]
