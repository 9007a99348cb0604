"""What counters grew by between two readings of them all."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from netprobe.catalogue.counter import UNREADABLE, Behaviour, Counter
from netprobe.catalogue.growth import growth_of, is_saturated
from netprobe.catalogue.keys import key_of
from netprobe.catalogue.lookup import counter_of

MOST_GROWTH: Final = (1 << 63) - 1
"""What counters.parquet can hold; more has never been counted, only written by a driver for "not known"."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Growth:
    """Growth by counter, in the kernel's own unit; counters of which two readings do not tell are absent."""

    grown: Mapping[str, int]
    at_least: tuple[str, ...]
    """Those that are at their largest value, and stay there."""


def growth_between(before: Mapping[str, int], after: Mapping[str, int]) -> Growth:
    """Return what grew by how much; counters may be of anything, those of NICs are looked up in the catalogue."""
    known = {name: _known(name) for name in before if name in after}
    growths = {name: growth_of(counter, before[name], after[name]) for name, counter in known.items()}
    return Growth(
        grown={name: each for name, each in growths.items() if each is not None and each <= MOST_GROWTH},
        at_least=tuple(
            name
            for name, counter in known.items()
            if counter is not None and growths[name] is not None and is_saturated(counter, after[name])
        ),
    )


def saturated(values: Mapping[str, int]) -> tuple[str, ...]:
    """Return the counters that stand at their largest value: what they count from now on is not known."""
    return tuple(
        name for name, value in values.items() if (counter := _known(name)) is not None and is_saturated(counter, value)
    )


def went_back(before: Mapping[str, int], after: Mapping[str, int]) -> tuple[str, ...]:
    """Return the counters that show less than before though all they can do is grow: they were reset in between."""
    return tuple(
        name
        for name, value in before.items()
        if after.get(name, value) < value
        and (counter := _known(name)) is not None
        and counter.is_recognised
        and counter.behaviour in (Behaviour.WRAPS, Behaviour.SATURATES)
        and value != UNREADABLE
        and growth_of(counter, value, after[name]) is None
    )


def _known(name: str) -> Counter | None:
    key = key_of(name)
    return None if key is None else counter_of(key.origin, key.name)
