"""Bursts by the second: which rounds and parts a stage of them has, and bins that are made one where they are many."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from netprobe.model.bursts import BurstOptions, StepBin
from netprobe.units import NS_PER_S

ROUND_NS: Final = NS_PER_S
"""Counters are read, and rank 0 is told, once in a round; nothing asks a NIC more often than once a second."""
MOST_PARTS: Final = 12
"""Of a stage: each has percentiles, and every rank's lateness, of its own, so that what changes is seen."""
WHOLE: Final = MOST_PARTS
"""Added to a part's number: a series of all steps up to its end, which moves no bytes that the parts do not count."""
MOST_BINS: Final = 3600
"""An hour of seconds; of a longer time, neighbouring seconds are made one, and again."""


def round_ns(options: BurstOptions) -> int:
    """Return how long a round of bursts should take: a second, or one step where that is longer."""
    return max(ROUND_NS, options.period_ns)


def rounds_in(options: BurstOptions) -> int:
    """Return how many rounds bursts have at most; where steps take longer than planned they end in time, with fewer."""
    return -(-options.length_ns // round_ns(options))


def part_of(options: BurstOptions, round_index: int) -> tuple[int, bool]:
    """Return the part that a round belongs to, and whether the round is its last."""
    rounds = rounds_in(options)
    length = max(1, -(-rounds // MOST_PARTS))
    return round_index // length, (round_index + 1) % length == 0 or round_index + 1 >= rounds


def one_of(bins: Sequence[StepBin]) -> StepBin:
    """Return one bin for neighbouring ones of a stage, in order; it keeps the slowest step of all."""
    slowest = max(bins, key=lambda each: each.max_ns)
    return replace(
        slowest,
        round_index=bins[0].round_index,
        rounds=sum(each.rounds for each in bins),
        began_ns=bins[0].began_ns,
        elapsed_ns=sum(each.elapsed_ns for each in bins),
        steps=sum(each.steps for each in bins),
        total_ns=sum(each.total_ns for each in bins),
    )


def fewer(bins: Sequence[StepBin], most: int = MOST_BINS) -> list[StepBin]:
    """Return at most so many bins, by making two, four, … neighbours one."""
    while len(bins) > most:
        bins = [one_of(pair) for pair in _pairs(bins)]
    return list(bins)


def _pairs(bins: Sequence[StepBin]) -> list[Sequence[StepBin]]:
    return [bins[index : index + 2] for index in range(0, len(bins), 2)]
