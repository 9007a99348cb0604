"""What counters do not tell while somebody watches: those that went as far as they can, and ports that come and go."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from netprobe.catalogue.keys import key_of
from netprobe.catalogue.readings import saturated, went_back
from netprobe.catalogue.resetting import reset_remedy
from netprobe.detectors._words import listed
from netprobe.model.snapshot import Reading
from netprobe.units import NS_PER_S, format_duration

SHOWN_NS: Final = 60 * NS_PER_S
"""How long something that is over stays on the screen: who watches looks away."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Watched:
    """What happened to the ports since somebody began to watch."""

    seen: frozenset[str]
    """Ports and interfaces that ever counted anything."""
    gone_ns: Mapping[str, int] = field(default_factory=dict)
    """By port: when it was first missed."""
    over: Mapping[str, tuple[str, int]] = field(default_factory=dict)
    """By port: what happened to it last, and when."""


def places_of(reading: Reading) -> frozenset[str]:
    """Return the ports and interfaces that count anything."""
    return frozenset(key.place for key in map(key_of, reading.values) if key is not None)


def restarted(before: Reading, after: Reading) -> frozenset[str]:
    """Return the ports that began to count anew between two readings: no difference of theirs is a growth."""
    found = map(key_of, went_back(before.values, after.values))
    return frozenset(key.place for key in found if key is not None)


def watched(earlier: Watched, before: Reading, after: Reading) -> Watched:
    """Return what is known after another reading."""
    here = places_of(after)
    back = {place: _back(after.at_ns - since_ns) for place, since_ns in earlier.gone_ns.items() if place in here}
    anew = dict.fromkeys(restarted(before, after), "restarted: {}: its counters went back, so growth was not known")
    kept = {place: (what, at_ns) for place, (what, at_ns) in earlier.over.items() if after.at_ns - at_ns < SHOWN_NS}
    return Watched(
        seen=earlier.seen | here,
        gone_ns={place: earlier.gone_ns.get(place, after.at_ns) for place in sorted(earlier.seen - here)},
        over={**kept, **{place: (what, after.at_ns) for place, what in (anew | back).items()}},
    )


def untold(now: Watched, before: Reading, after: Reading) -> Iterator[str]:
    """Yield a line for each thing that the second reading leaves open; ``now`` is what is known after it."""
    if now.gone_ns:
        names = [f"{place}{_since(after.at_ns - since_ns)}" for place, since_ns in now.gone_ns.items()]
        yield f"gone: {listed(names)}: no counters of it any more; try: netprobe inventory, dmesg"
    for what in dict.fromkeys(what for place, (what, _) in now.over.items() if place not in now.gone_ns):
        places = sorted(place for place, (told, _) in now.over.items() if told == what and place not in now.gone_ns)
        yield what.format(listed(places))
    full = [key for key in map(key_of, saturated(before.values)) if key is not None]
    if full:
        yield (
            f"saturated: {listed(f'{key.place} {key.name}' for key in full)}: at the largest value that can be shown, "
            f"so growth is not known; try: {reset_remedy(full)}"
        )


def _back(away_ns: int) -> str:
    return f"back: {{}}, {format_duration(away_ns)} after it was missed: what it counted meanwhile is not known"


def _since(away_ns: int) -> str:
    return f" ({format_duration(away_ns)} ago)" if away_ns else ""
