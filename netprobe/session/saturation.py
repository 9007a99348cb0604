"""Counters that cannot grow any more: they stay at their largest value until somebody resets them."""

from typing import Final

from netprobe.catalogue.keys import key_of
from netprobe.catalogue.readings import saturated
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
    hosts: dict[str, list[str]] = {}
    for rank, names in zip(ranks, found, strict=True):
        for name in names:
            hosts.setdefault(name, []).append(rank.host)
    return tuple(
        Gap(
            topic=TOPIC,
            reason=f"{name} of {fold(on)} is saturated: it stands at the largest value that it can show, so what it "
            "counted in this run is not known",
            remedy="perfquery -R, or a new start of the driver, sets it back",
        )
        for name, on in hosts.items()
    )


def _saturated_here(system: System) -> tuple[str, ...]:
    """Return ports and counters, as in ``mlx5_0 link_downed``."""
    values = {name: value for each in sources().values() if each.in_stages for name, value in each.read(system).items()}
    return tuple(f"{key.place} {key.name}" for key in map(key_of, saturated(values)) if key is not None)
