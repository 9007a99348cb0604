"""How much a counter grew between two readings, given how its value moves."""

from typing import Final

from netprobe.catalogue.counter import UNREADABLE, Behaviour, Counter

MOST_WRAPPED: Final = 1 / 8
"""Of its range: a counter that went back and would have grown by more, had it wrapped, was reset."""

NEVER_WRAPS_BITS: Final = 64
"""Bytes at 800 Gb/s take five years to fill so many."""


def growth_of(counter: Counter | None, before: int, after: int) -> int | None:
    """Return the growth in the kernel's own unit; None when two readings do not tell (a reset, a gauge, a setting)."""
    if UNREADABLE in (before, after):
        return None
    if counter is None:
        return after - before if after >= before else None
    if counter.behaviour in (Behaviour.GAUGE, Behaviour.SETTING) or is_saturated(counter, before):
        return None  # a level; or it stood at its largest value already, so that what came on top is not known
    return after - before if after >= before else _wrapped(counter, before, after)


def is_saturated(counter: Counter, value: int) -> bool:
    """Return whether a value is the largest that a counter can show, and the counter stays there.

    A value beyond the largest shows a counter that is wider than the standard asks for.
    """
    return counter.behaviour is Behaviour.SATURATES and value == (1 << counter.width_bits) - 1


def _wrapped(counter: Counter, before: int, after: int) -> int | None:
    """Return the growth of a counter that went back if it wrapped once; None where it rather was reset."""
    span = 1 << counter.width_bits
    if counter.behaviour is not Behaviour.WRAPS or counter.width_bits >= NEVER_WRAPS_BITS or before >= span:
        return None
    grown = after + span - before
    return grown if grown <= MOST_WRAPPED * span else None
