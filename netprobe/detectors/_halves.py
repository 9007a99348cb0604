"""What findings call two groups of hosts between which everything loses."""

from collections.abc import Iterable, Sequence
from typing import Final

from netprobe.locate.halves import Halves

JOINING: Final = "read errors and drops of the links that join their switches, at both ends, of each in a bundle"
FEW: Final = 4


def halves_subject(joined: Halves, hosts: Sequence[str]) -> str:
    """Return ``h1,h3 <-> h2,h4``, or ``->`` where one direction alone loses; ``hosts`` by the numbers of the groups."""
    first, second = (_named(hosts[number] for number in group.tolist()) for group in (joined.first, joined.second))
    if joined.both_ways:
        return f"{first} <-> {second}"
    return f"{first} -> {second}" if joined.outward else f"{second} -> {first}"


def _named(names: Iterable[str]) -> str:
    distinct = tuple(dict.fromkeys(names))
    return ",".join(distinct) if len(distinct) <= FEW else f"{','.join(distinct[:FEW])} and {len(distinct) - FEW} more"
