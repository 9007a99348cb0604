"""Traffic that goes on and off like that of training: what was asked for, and what each second of it was like."""

from dataclasses import dataclass
from typing import Final

BURSTS: Final = "bursts"
"""The probe, and the stage that it has in profiles."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BurstOptions:
    """How steps follow each other."""

    period_ns: int
    """From the beginning of a step to that of the next, where it is not free-running."""
    compute_ratio: float
    """Of the period, that a step computes before it communicates."""
    length_ns: int
    """Of all steps together."""
    buckets: int = 1
    """All-reduces of a step, one after the other, that share the size."""
    is_free_running: bool = False
    """Whether a step begins as soon as the one before has ended, and not on all ranks at the same time."""
    overlaps: bool = False
    """Whether a step computes while it communicates, and not before."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StepBin:
    """Some neighbouring seconds of bursts; rank 0 tells one for each round, and old ones are made one.

    The slowest step is known best: when it was, who entered its all-reduce last, and who had no CPU meanwhile.
    """

    stage: str
    round_index: int
    """The first of its rounds, each of which is a second (or a step that takes longer)."""
    rounds: int
    began_ns: int
    """UTC, in ns since 1970, by rank 0's host; as ``slowest_began_ns``."""
    elapsed_ns: int
    """From the first step's beginning to the last one's end, without what lies between rounds."""
    steps: int
    total_ns: int
    """Of all its steps, by the slowest rank of each, as ``max_ns``."""
    max_ns: int
    slowest_round: int
    slowest_began_ns: int
    late_rank: int
    """Who entered the all-reduce of the slowest step last."""
    late_ns: int
    """How long after the median of the others."""
    held_rank: int
    """Who was off its CPU longest in that step."""
    held_ns: int
    """By how much longer than the median of the others; 0 where ranks sleep while they wait."""
