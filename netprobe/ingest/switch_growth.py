"""What switches counted between two of their files; one file of a switch is lifetime totals."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Final

from netprobe.ingest.recognise import UNNAMED_SWITCH, ReadFile
from netprobe.ingest.switch_counts import growth_between
from netprobe.model.finding import Gap
from netprobe.model.inventory import HostInventory
from netprobe.model.switches import SwitchPortCounts

MOST_SHOWN: Final = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class SwitchGrowth:
    """Growth of all switches, and what is not known of it."""

    counts: tuple[SwitchPortCounts, ...]
    gaps: tuple[Gap, ...]


def switch_growth(
    files: Sequence[ReadFile], owners: Sequence[str | None], inventories: Iterable[HostInventory]
) -> SwitchGrowth:
    """Return what grew from the first to the last file of each switch, at each port and priority."""
    by_switch: dict[str, list[tuple[str, tuple[SwitchPortCounts, ...]]]] = {}
    for file, owner in zip(files, owners, strict=True):
        for switch, counts in _by_switch(file, owner).items():
            by_switch.setdefault(switch, []).append((file.name, counts))
    growth = tuple(
        each
        for snapshots in by_switch.values()
        if len(snapshots) > 1
        for each in growth_between(snapshots[0][1], snapshots[-1][1])
    )
    gaps = [gap for switch, snapshots in by_switch.items() if (gap := _gap(switch, snapshots)) is not None]
    return SwitchGrowth(counts=growth, gaps=(*gaps, *_unattached(growth, inventories)))


def _by_switch(file: ReadFile, owner: str | None) -> dict[str, tuple[SwitchPortCounts, ...]]:
    """Return a file's counts by switch; one that does not name itself has the name that the file was said to be of."""
    found: dict[str, list[SwitchPortCounts]] = {}
    for each in file.switches:
        named = replace(each, switch=owner) if owner is not None and each.switch == UNNAMED_SWITCH else each
        found.setdefault(named.switch, []).append(named)
    return {switch: tuple(counts) for switch, counts in found.items()}


def _gap(switch: str, snapshots: Sequence[tuple[str, tuple[SwitchPortCounts, ...]]]) -> Gap | None:
    name = " ".join(switch.split())
    if len(snapshots) == 1:
        [(file, counts)] = snapshots
        return Gap(
            topic="switch",
            reason=f"{file} tells {len(counts)} rows of counters of {name}; one file of a switch is lifetime totals, "
            "and is not judged",
            remedy="the same again after the test, and both files here",
        )
    if switch == UNNAMED_SWITCH:
        return Gap(
            topic="switch",
            reason=f"{', '.join(file for file, _ in snapshots)} do not say which switch they are of, and were taken "
            "for snapshots of one, in this order",
            remedy="SWITCH=FILE, as in leaf1=before.json leaf1=after.json",
        )
    return None


def _unattached(growth: Sequence[SwitchPortCounts], inventories: Iterable[HostInventory]) -> tuple[Gap, ...]:
    """Say of which ports nobody tells what is attached to them."""
    attached = {
        (device.neighbour.system, device.neighbour.port)
        for inventory in inventories
        for device in inventory.net_devices
        if device.neighbour is not None
    }
    ports = dict.fromkeys(" ".join(f"{each.switch} {each.port}".split()) for each in growth
                          if (each.switch, each.port) not in attached)  # fmt: skip
    if not ports:
        return ()
    more = f" and {len(ports) - MOST_SHOWN} more" if len(ports) > MOST_SHOWN else ""
    return (
        Gap(
            topic="switch",
            reason=f"which hosts are attached to {', '.join([*ports][:MOST_SHOWN])}{more} is not told",
            remedy="lldpcli -f json show neighbors of the hosts, or lines of host,netdev,switch,port",
        ),
    )
