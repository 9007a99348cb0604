"""Readings of single counters of switches, put together by port and priority."""

from collections.abc import Iterable
from dataclasses import dataclass, fields, replace
from typing import Any, Final

from netprobe.catalogue.growth import growth_of
from netprobe.model.switches import SwitchPortCounts
from netprobe.system.files import count_of

PLACE: Final = ("switch", "port", "priority")
SAME_EVENTS: Final = frozenset({"rx_damaged", "rx_errors", "tx_errors"})
"""Fields of which a switch may have several counters, all for the same frames: the largest is taken, no sum."""
COUNTS: Final = tuple(each.name for each in fields(SwitchPortCounts) if each.name not in PLACE)
NS_PER_US: Final = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """One counter of one port."""

    switch: str
    port: str
    priority: int | None
    field: str | None
    """Of SwitchPortCounts; None for a counter that tells nothing which is judged."""
    counter: str
    """As the switch names it: several counters may add up to one field."""
    value: int


def put_together(readings: Iterable[Reading]) -> tuple[SwitchPortCounts, ...]:
    """Return one record a port and priority; of one counter the last reading counts, different ones add up.

    Those that count the same frames do not, and those of no field are left to ``unused``.
    """
    found: dict[tuple[str, str, int | None], dict[str, dict[str, int]]] = {}
    for each in readings:
        if each.field is None:
            continue
        own = found.setdefault((each.switch, each.port, each.priority), {})
        own.setdefault(each.field, {})[each.counter] = each.value
    return tuple(
        SwitchPortCounts(
            switch=switch,
            port=port,
            priority=priority,
            **{field: (max if field in SAME_EVENTS else sum)(values.values()) for field, values in own.items()},
        )
        for (switch, port, priority), own in found.items()
    )


def unused(readings: Iterable[Reading]) -> tuple[str, ...]:
    """Return the names of counters that tell nothing which is judged, in the order of the file."""
    told = tuple(readings)
    used = {each.counter for each in told if each.field is not None}
    return tuple(dict.fromkeys(each.counter for each in told if each.field is None and each.counter not in used))


def growth_between(
    before: Iterable[SwitchPortCounts], after: Iterable[SwitchPortCounts]
) -> tuple[SwitchPortCounts, ...]:
    """Return how much each counter grew; None where one snapshot lacks it, or it was cleared between them."""
    earlier = {(each.switch, each.port, each.priority): each for each in before}
    return tuple(
        _with(later, {name: _growth(getattr(first, name), getattr(later, name)) for name in COUNTS})
        for later in after
        if (first := earlier.get((later.switch, later.port, later.priority))) is not None
    )


def number(value: object) -> int | None:
    """Return a count as switches print it, with or without commas; None for ``N/A`` and everything else."""
    if isinstance(value, bool):
        return None
    return count_of(str(value).strip().replace(",", "")) if isinstance(value, int | str) else None


def _with(counts: SwitchPortCounts, changed: dict[str, Any]) -> SwitchPortCounts:
    return replace(counts, **changed)


def _growth(before: int | None, after: int | None) -> int | None:
    return None if before is None or after is None else growth_of(None, before, after)
