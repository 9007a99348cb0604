"""Bursts that go on for hours, in bounded memory: their seconds as bins, their counters by second where it matters.

Counters of the slowest seconds stay apart, so that a stall can be held against what was counted then; those of all
other seconds are added up, as if they had been one round. Sums over a stage's rounds are therefore right.
"""

import heapq
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Final

from netprobe.model.bursts import StepBin
from netprobe.model.counters import CounterWindow
from netprobe.stats.steps import MOST_BINS, fewer

MOST_KEPT: Final = 64
"""Seconds whose counters are kept by themselves: of 1,000 hosts that is some 10 MB."""


class Soak:
    """What is kept of one stage of bursts; the caller hands over each of its rounds, in order."""

    def __init__(self) -> None:
        self._bins: list[StepBin] = []
        self._slowest: list[tuple[int, int, tuple[CounterWindow, ...]]] = []
        """A heap of (slowest step in ns, round, counters)."""
        self._others: dict[int, CounterWindow] = {}
        """By rank: all that the other rounds counted."""
        self._next_round = 0

    def add(self, told: StepBin, windows: Sequence[CounterWindow]) -> None:
        """Take the second that a round was, and what ranks counted in it."""
        self._bins.append(told)
        if len(self._bins) > MOST_BINS:
            self._bins = fewer(self._bins)
        self._next_round = told.round_index + 1
        for window in windows:
            if window.rank not in self._others:
                none = dict.fromkeys(window.grown, 0)
                self._others[window.rank] = replace(window, elapsed_ns=0, grown=none)
        heapq.heappush(self._slowest, (told.max_ns, told.round_index, tuple(windows)))
        if len(self._slowest) > MOST_KEPT:
            for window in heapq.heappop(self._slowest)[2]:
                self._others[window.rank] = _together(self._others[window.rank], window)

    @property
    def bins(self) -> tuple[StepBin, ...]:
        """The seconds so far."""
        return tuple(self._bins)

    def windows(self) -> Iterator[CounterWindow]:
        """Yield all that was counted; what is of no second by itself is in a round behind the last."""
        for _, _, windows in sorted(self._slowest, key=lambda each: each[1]):
            yield from windows
        yield from (replace(window, round_index=self._next_round) for window in self._others.values())


def _together(first: CounterWindow, second: CounterWindow) -> CounterWindow:
    grown = dict(first.grown)
    for name, growth in second.grown.items():
        grown[name] = grown.get(name, 0) + growth
    return replace(
        first,
        elapsed_ns=first.elapsed_ns + second.elapsed_ns,
        grown=grown,
        at_least=tuple(dict.fromkeys((*first.at_least, *second.at_least))),
    )
