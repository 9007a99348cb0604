"""What counters do not tell while somebody watches: those that went as far as they can, and ports that are gone."""

from collections.abc import Iterable, Iterator

from netprobe.catalogue.keys import key_of
from netprobe.catalogue.readings import saturated
from netprobe.catalogue.resetting import reset_remedy
from netprobe.detectors._words import listed
from netprobe.model.snapshot import Reading


def places_of(reading: Reading) -> frozenset[str]:
    """Return the ports and interfaces that count anything."""
    return frozenset(key.place for key in map(key_of, reading.values) if key is not None)


def untold(seen: Iterable[str], before: Reading, after: Reading) -> Iterator[str]:
    """Yield a line for what the second reading leaves open; ``seen`` are all ports that were ever there."""
    gone = sorted({*seen} - places_of(after))
    if gone:
        yield f"gone: {listed(gone)}: no counters of it any more; try: netprobe inventory, dmesg"
    full = [key for key in map(key_of, saturated(before.values)) if key is not None]
    if full:
        yield (
            f"saturated: {listed(f'{key.place} {key.name}' for key in full)}: at the largest value that can be shown, "
            f"so growth is not known; try: {reset_remedy(full)}"
        )
