"""Rounds that fill the rails of hosts one by one, and then all at once, both ways: what do they take from each other?

Hosts are matched in disjoint pairs. Of each matching there is a round for each rail, on which both hosts of a pair send
to each other, and one in which they do so on all rails: NICs that share a PCIe switch, a root port or the memory of a
host carry less then than one by one.

Does not handle: hosts with one rank, and rails that only some hosts have.
"""

import random
from collections.abc import Iterator, Sequence

import numpy as np

from netprobe.model.plan import Scope, Stage
from netprobe.plan.pairing import IntArray, Round, circle_count, circle_matching, matching_count

MOST_MATCHINGS = 32
"""Of a stage over all pairs: each has a round for every rail."""


def rail_rounds(
    stage: Stage, hosts: Sequence[Sequence[int]], _leaves: Sequence[str | None], seed: int
) -> Sequence[Round]:
    """Return the rounds; ``hosts`` are the ranks of each host by local index. None where hosts have one rank."""
    rails = min(map(len, hosts), default=0)
    if stage.scope is not Scope.BETWEEN_HOSTS or len(hosts) < 2 or rails < 2:
        return []
    ranks = np.array([list(each[:rails]) for each in hosts], dtype=np.int64)
    return [
        Round(pairs=[], flows=flows) for pairs in _matchings(stage, len(hosts), seed) for flows in _turns(ranks, pairs)
    ]


def _matchings(stage: Stage, hosts: int, seed: int) -> Iterator[IntArray]:
    """Yield pairs of hosts, shape (pairs, 2), nobody twice in one of them."""
    draw = random.Random(f"{seed}-rails")
    order = list(range(hosts))
    draw.shuffle(order)
    count = min(matching_count(hosts, stage.pairing, stage.matchings), MOST_MATCHINGS)
    for number in draw.sample(range(circle_count(hosts)), count):
        yield np.array(order, dtype=np.int64)[circle_matching(hosts, number)]


def _turns(ranks: IntArray, pairs: IntArray) -> Iterator[IntArray]:
    """Yield the flows of each rail, and of all; ``ranks`` has shape (hosts, rails)."""
    ends = ranks[pairs].swapaxes(1, 2)  # (pairs, rails, 2)
    both = np.stack([ends, ends[..., ::-1]], axis=2)  # (pairs, rails, directions, 2)
    for rail in range(ranks.shape[1]):
        yield both[:, rail].reshape(-1, 2)
    yield both.reshape(-1, 2)
