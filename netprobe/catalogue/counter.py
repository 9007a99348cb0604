"""What is known of one counter: its meaning, unit, scale, width, and where that is documented."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

from netprobe.model.inventory import PRIORITIES
from netprobe.model.meaning import Meaning

UNREADABLE: Final = (1 << 64) - 1
"""What a driver answers for a value that it cannot decode (ionic), and what a port manager answers for one that it does
not keep: not a count. Readers leave it out; growth_of does not take a difference of it."""
COMMON_KNOWLEDGE: Final = "common knowledge of the field"
"""The source of a meaning for which no document was found."""


class Behaviour(StrEnum):
    """How a counter's value moves."""

    WRAPS = "wraps"  # past its largest value it starts again at 0
    SATURATES = "saturates"  # it stays at its largest value: "at least"
    GAUGE = "gauge"  # a level: its difference means nothing
    SETTING = "setting"  # no counter at all, such as lifespan


class Weight(StrEnum):
    """What growth during a test means by itself."""

    FAIL = "fail"
    WARN = "warn"
    NOTE = "note"
    INFO = "info"


@dataclass(frozen=True, slots=True, kw_only=True)
class Counter:
    """One row of the catalogue."""

    meaning: Meaning | None = None
    """None for a counter that is evidence of nothing that a detector asks for."""
    title: str
    """What it counts, in a few words."""
    unit: str = "packets"
    """Of the scaled value: packets, bytes, ns, events, frames, …"""
    scale: int = 1
    """What the kernel's value is multiplied with to be in that unit: 4 for port_xmit_data's words, 1000 for µs."""
    width_bits: int = 64
    behaviour: Behaviour = Behaviour.WRAPS
    weight: Weight = Weight.INFO
    priority: int | None = None
    preference: int = 0
    """Of several counters with one meaning on one port the lowest is taken; equal ones are added up."""
    source: str = ""
    """Where its meaning is documented."""
    is_recognised: bool = True
    """False when it was only guessed from its name."""


Table = Mapping[str, Counter]
"""Counters by the name that their driver gives them."""


def by_priority(pattern: str, counter: Counter) -> dict[str, Counter]:
    """Return a row for each priority; ``{}`` in the pattern and in the title stands for its number."""
    return {
        pattern.format(priority): replace(counter, priority=priority, title=counter.title.format(priority))
        for priority in range(PRIORITIES)
    }
