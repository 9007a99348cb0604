"""Counters that cannot grow any more: they stay at their largest value until somebody resets them."""

from typing import Final

from netprobe.catalogue.keys import CounterKey, key_of
from netprobe.catalogue.readings import saturated
from netprobe.catalogue.resetting import reset_remedy
from netprobe.contracts import Control, System
from netprobe.model.endpoint import Rank
from netprobe.model.finding import Gap
from netprobe.registry import sources
from netprobe.reporters._wording import fold

TOPIC: Final = "counters"


def saturated_gaps(control: Control, ranks: tuple[Rank, ...], system: System) -> tuple[Gap, ...]:
    """Return which counters of NICs stood at their largest value when the ranks met, by counter; all ranks call."""
    me = ranks[control.rank]
    found = control.allgather(() if me.local_index else _saturated_here(system))
    hosts: dict[CounterKey, list[str]] = {}
    for rank, keys in zip(ranks, found, strict=True):
        for key in keys:
            hosts.setdefault(key, []).append(rank.host)
    return tuple(
        Gap(
            topic=TOPIC,
            reason=f"{key.place} {key.name} of {fold(on)} is saturated: it stands at the largest value that it can "
            "show, so what it counted in this run is not known",
            remedy=reset_remedy([key]),
        )
        for key, on in hosts.items()
    )


def _saturated_here(system: System) -> tuple[CounterKey, ...]:
    values = {name: value for each in sources().values() if each.in_stages for name, value in each.read(system).items()}
    return tuple(key for key in map(key_of, saturated(values)) if key is not None)
