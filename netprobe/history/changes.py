"""When hosts became other hosts: firmware, drivers, MPI, rates that differ from the night before."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np

from netprobe.locate.remembered import remembered
from netprobe.model.history import History

BESIDE: Final = 1
"""Nights between a change of hosts and one of figures that belong together: an upgrade may end after a run began."""
MOST_TOLD: Final = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """The same change of some hosts in one night."""

    night: int
    hosts: tuple[str, ...]
    of: int
    """Hosts that could have changed."""
    what: tuple[str, ...]
    """``NIC firmware: 28.39 → 28.40``."""

    @property
    def is_of_fleet(self) -> bool:
        """Whether most hosts changed."""
        return 2 * len(self.hosts) > self.of


@remembered(4)
def changes_of(history: History) -> tuple[Change, ...]:
    """Return all changes, in order of time."""
    found: dict[tuple[int, int, int], list[str]] = {}
    present = (history.fingerprints >= 0).sum(axis=1)
    for column, host in enumerate(history.hosts):
        own = history.fingerprints[:, column]
        known = np.flatnonzero(own >= 0)
        for at in np.flatnonzero(np.diff(own[known])).tolist():
            key = (int(known[at + 1]), int(own[known[at]]), int(own[known[at + 1]]))
            found.setdefault(key, []).append(host)
    return tuple(
        Change(
            night=night,
            hosts=tuple(hosts),
            of=int(present[night]),
            what=tuple(differences(history.facts[before], history.facts[after])),
        )
        for (night, before, after), hosts in sorted(found.items())
    )


def differences(before: Mapping[str, str], after: Mapping[str, str]) -> Iterator[str]:
    """Yield what differs between two sets of facts; what only one of them knows is told as such."""
    for name in dict.fromkeys((*before, *after)):
        old, new = before.get(name), after.get(name)
        if old != new:
            yield f"{name}: {old or 'not known'} → {new or 'not known'}"


def changes_of_host(history: History, host: str, night: int) -> list[str]:
    """Return what changed on a host about that night."""
    near = (each for each in changes_of(history) if host in each.hosts and abs(each.night - night) <= BESIDE)
    return [what for each in near for what in each.what][:MOST_TOLD]


def changes_of_fleet(history: History, night: int) -> list[str]:
    """Return what changed on most hosts about that night; hosts may differ in what they changed from."""
    near = [each for each in changes_of(history) if abs(each.night - night) <= BESIDE]
    told = {what for each in near for what in each.what}
    most = max((each.of for each in near), default=0)
    count = {what: sum(len(each.hosts) for each in near if what in each.what) for what in told}
    return sorted(what for what in told if 2 * count[what] > most)[:MOST_TOLD]
