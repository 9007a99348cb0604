"""Rounds that load the fabric on purpose: who is measured, and which flows are under way meanwhile.

Hosts take part with all their ranks at once, rank k with rank k of the other host, so that all rails are loaded.

loaded latency  half of the hosts measure round trips, the others load the fabric, then the other way round; three
                rounds each: alone, beside the load, alone again (GPCNeT's canaries and congestors)
incast          receivers in turn, one on each leaf where hosts suffice: 1, 2, 4, 8, 16 senders each
victim          a flow that shares a leaf with a hot receiver and nothing else; alone, beside the incast, alone again
permutation     every host sends to one other and receives from one
bisection       every host of one half sends to one of the other half, and receives from it

Drawn from hosts, leaves and the seed alone, so that all ranks draw the same. ``stage.matchings`` bounds how often:
of a large fleet some hosts are hot, and which were not is what the detectors say.

Does not handle: flows across rails, and hosts with fewer ranks than others, whose missing ranks are left out.
"""

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from netprobe.model.plan import (
    BISECTION,
    INCAST,
    LOAD_PHASES,
    LOADED_LATENCY,
    LOADED_PHASE,
    PERMUTATION,
    VICTIM,
    Pairing,
    Scope,
    Stage,
)
from netprobe.plan.pairing import IntArray, Round

FAN_INS: Final = (1, 2, 4, 8, 16)
MOST_PEERS: Final = 4  # whom a host sends to at once where all send to all: a queue is full with fewer
MOST_LEAVES: Final = 4  # that have a hot receiver in each matching: of many leaves, some are drawn
MOST_TURNS: Final = 32  # of a stage over all hosts: more would take hours, and say no more about leaves
FEWEST_FOR: Final = {LOADED_LATENCY: 4, INCAST: 3, VICTIM: 5, PERMUTATION: 3, BISECTION: 4}
"""Hosts below which a probe has no round."""

Pairs = list[tuple[int, int]]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Hosts:
    """What rounds are drawn from: places, and the leaf of each where it is known."""

    count: int
    leaves: tuple[str | None, ...]
    matchings: int
    seed: int

    @property
    def every(self) -> range:
        return range(self.count)

    def shuffled(self, turn: int) -> list[int]:
        places = list(self.every)
        random.Random(f"{self.seed}-{turn}").shuffle(places)
        return places

    def leaf(self, place: int) -> str | None:
        return self.leaves[place] if self.leaves else None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Turn:
    """One round, in places instead of ranks."""

    pairs: Pairs
    flows: Pairs


def load_rounds(
    stage: Stage, hosts: Sequence[Sequence[int]], leaves: Sequence[str | None], seed: int
) -> Sequence[Round]:
    """Return the rounds of a stage of one of model.plan.LOADS; ``hosts`` are the ranks of each host by local index.

    Within hosts each rank stands for itself, and all hosts are loaded at the same time.
    """
    if stage.scope is Scope.BETWEEN_HOSTS:
        shortest = min(map(len, hosts), default=0)
        alike = np.array([list(ranks) for ranks in hosts]) if all(len(ranks) == shortest for ranks in hosts) else hosts
        return [_round(turn, alike) for turn in _turns(stage, len(hosts), tuple(leaves), seed)]
    return _together([_within(stage, ranks, seed) for ranks in hosts])


def _within(stage: Stage, ranks: Sequence[int], seed: int) -> list[Round]:
    return [_round(turn, [[rank] for rank in ranks]) for turn in _turns(stage, len(ranks), (), seed)]


def _together(of_hosts: Sequence[list[Round]]) -> list[Round]:
    """Return the rounds of all hosts side by side; hosts with few ranks are done earlier."""
    most = max(map(len, of_hosts), default=0)
    rounds = []
    for index in range(most):
        own = [each[index] for each in of_hosts if index < len(each)]
        rounds.append(
            Round(
                pairs=[pair for each in own for pair in each.pairs],
                flows=[(src, dst) for each in own for src, dst in each.flows.tolist()],
            )
        )
    return rounds


def _round(turn: _Turn, hosts: Sequence[Sequence[int]] | IntArray) -> Round:
    """Return a turn in ranks; ``hosts`` as an array, shape (hosts, ranks of each), is many times as fast."""

    def ranks(pairs: Pairs) -> Pairs | IntArray:
        if isinstance(hosts, np.ndarray):
            places = np.array(pairs, dtype=np.int64).reshape(-1, 2)
            return np.stack([hosts[places[:, 0]], hosts[places[:, 1]]], axis=-1).reshape(-1, 2)
        return [ends for a, b in pairs for ends in zip(hosts[a], hosts[b], strict=False)]

    return Round(pairs=ranks(turn.pairs), flows=ranks(turn.flows))


def _turns(stage: Stage, count: int, leaves: tuple[str | None, ...], seed: int) -> Iterator[_Turn]:
    if count < FEWEST_FOR[stage.probe]:
        return iter(())
    matchings = MOST_TURNS if stage.pairing is Pairing.ALL_PAIRS else stage.matchings
    return DRAWN[stage.probe](_Hosts(count=count, leaves=leaves, matchings=matchings, seed=seed))


# ---- latency beside load


def _loaded_latency(hosts: _Hosts) -> Iterator[_Turn]:
    """Yield three rounds for each half; background is all-to-all, incast and streams, matching by matching."""
    for matching in range(min(hosts.matchings, len(BACKGROUNDS))):
        places = hosts.shuffled(matching)
        half = hosts.count // 4 * 2  # a whole number of pairs
        flows_of = BACKGROUNDS[matching]
        for measured, others in ((places[:half], places[half:]), (places[half:], places[:half])):
            even = len(measured) // 2 * 2
            pairs = list(zip(measured[:even:2], measured[1:even:2], strict=True))
            flows = flows_of([*measured[even:], *others])
            yield from _three_phases(pairs, flows)


def _three_phases(pairs: Pairs, flows: Pairs) -> Iterator[_Turn]:
    for phase in range(LOAD_PHASES):
        yield _Turn(pairs=pairs, flows=flows if phase == LOADED_PHASE else [])


def _all_to_all(places: list[int]) -> Pairs:
    return [pair for shift in range(1, min(len(places) - 1, MOST_PEERS) + 1) for pair in _shifted(places, shift)]


def _many_to_one(places: list[int]) -> Pairs:
    group = FAN_INS[-1] + 1
    parts = [places[first : first + group] for first in range(0, len(places), group)]
    return [(sender, part[0]) for part in parts for sender in part[1:]]


def _streams(places: list[int]) -> Pairs:
    return _shifted(places, 1)


def _shifted(places: list[int], shift: int) -> Pairs:
    return list(zip(places, [*places[shift:], *places[:shift]], strict=True))


BACKGROUNDS: Final[tuple[Callable[[list[int]], Pairs], ...]] = (_all_to_all, _many_to_one, _streams)


# ---- many to one


def _incast(hosts: _Hosts) -> Iterator[_Turn]:
    """Yield a sweep of fan-ins for each group of receivers that are hot at the same time."""
    most = min(FAN_INS[-1], hosts.count - 1)
    at_once = max(1, min(_leaf_count(hosts), hosts.count // (most + 1)))
    receivers = _receivers(hosts)
    for turn, first in enumerate(range(0, len(receivers), at_once)):
        hot = receivers[first : first + at_once]
        pool = [place for place in hosts.shuffled(1 + turn) if place not in hot]
        senders = [pool[index :: len(hot)][:most] for index in range(len(hot))]
        for fan_in in _fan_ins(min(map(len, senders))):
            flows = [(src, dst) for dst, own in zip(hot, senders, strict=True) for src in own[:fan_in]]
            yield _Turn(pairs=[], flows=flows)


def _fan_ins(most: int) -> tuple[int, ...]:
    """Return 1, 2, 4 … up to what there is, which is among them."""
    return (*(each for each in FAN_INS if each < most), most)


def _leaf_count(hosts: _Hosts) -> int:
    return max(len({leaf for leaf in hosts.leaves if leaf is not None}), 1)


def _receivers(hosts: _Hosts) -> list[int]:
    """Return the hosts that are hot in turn: of each leaf one after the other, of many leaves not all."""
    of_leaf: dict[str | None, list[int]] = {}
    for place in hosts.shuffled(0):
        of_leaf.setdefault(hosts.leaf(place), []).append(place)
    dealt = [own[index] for index in range(hosts.count) for own in of_leaf.values() if index < len(own)]
    return dealt[: hosts.matchings * min(len(of_leaf), MOST_LEAVES)]


# ---- a victim beside many to one


def _victim(hosts: _Hosts) -> Iterator[_Turn]:
    """Yield three rounds for each receiver: the victim ends on its leaf and, where it can, begins on the senders'."""
    for turn, hot in enumerate(_receivers(hosts)):
        others = [place for place in hosts.shuffled(101 + turn) if place != hot]
        near = [place for place in others if hosts.leaf(place) == hosts.leaf(hot)]
        cold = near[0] if near else others[0]
        left = [place for place in others if place != cold]
        left.sort(key=lambda place: hosts.leaf(place) == hosts.leaf(hot))  # from other leaves first; stable
        flows = [(sender, hot) for sender in left[1 : 1 + FAN_INS[-2]]]
        yield from _three_phases([(left[0], cold)], flows)


# ---- all at once


def _permutation(hosts: _Hosts) -> Iterator[_Turn]:
    places = hosts.shuffled(0)
    for shift in _spread(hosts.count, hosts.matchings):
        yield _Turn(pairs=[], flows=_shifted(places, shift))


def _spread(count: int, wanted: int) -> list[int]:
    """Return so many different distances on a ring of ``count``, far apart; each is a permutation of its own."""
    most = min(wanted, count - 1)
    return sorted({1 + index * (count - 1) // most for index in range(most)}) if most > 0 else []


def _bisection(hosts: _Hosts) -> Iterator[_Turn]:
    """Yield rounds across a cut between leaves: where they are known, all hosts of a leaf are on one side."""
    for matching in range(hosts.matchings):
        places = hosts.shuffled(matching)
        order = list(dict.fromkeys(hosts.leaf(place) for place in places))
        places.sort(key=lambda place: order.index(hosts.leaf(place)))
        half = hosts.count // 2
        one, other = places[:half], places[-half:]
        yield _Turn(pairs=[], flows=[*zip(one, other, strict=True), *zip(other, one, strict=True)])


DRAWN: Final[dict[str, Callable[[_Hosts], Iterator[_Turn]]]] = {
    LOADED_LATENCY: _loaded_latency,
    INCAST: _incast,
    VICTIM: _victim,
    PERMUTATION: _permutation,
    BISECTION: _bisection,
}
