"""Where inventories come from: this host, hosts that are asked, the ranks of somebody's launcher, or snapshots."""

import os
import socket
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from netprobe.cli.options import Excluded
from netprobe.errors import PlanError
from netprobe.launch.surroundings import External, detect

if TYPE_CHECKING:
    from netprobe.launch.gathering import Gathered
    from netprobe.model.inventory import HostInventory, Neighbour
    from netprobe.model.record import Record


@dataclass(frozen=True, slots=True, kw_only=True)
class Whom:
    """Options that say whose inventory is meant."""

    hosts: Annotated[str | None, typer.Option(help="Hosts to ask over ssh, as in node[01-64]; else this one.")] = None
    from_snapshot: Annotated[
        list[Path] | None, typer.Option(help="A file that `netprobe snapshot` wrote; repeatable. Nobody is asked then.")
    ] = None
    cables: Annotated[
        Path | None, typer.Option(help="CSV lines of host,netdev,switch,port, where LLDP does not tell.")
    ] = None
    exclude: Excluded = None


def gathered(whom: Whom) -> "Gathered | None":
    """Return what hosts are made of; None on all ranks but the first under somebody's launcher."""
    site = {} if whom.cables is None else _cables(whom.cables)
    told = _told_by(whom)
    return told if told is None or not site else replace(told, inventories=_placed(told.inventories, site))


def _cables(path: Path) -> "dict[tuple[str, str], Neighbour]":
    from netprobe.inventory.lldp import parse_site

    try:
        return parse_site(path.read_text(encoding="utf-8"), str(path))
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not a text file"
        raise PlanError(f"--cables {path}: {why}", remedy="lines such as node01,eth0,leaf3,Ethernet1/7") from error


def _placed(
    inventories: "tuple[HostInventory, ...]", site: "dict[tuple[str, str], Neighbour]"
) -> "tuple[HostInventory, ...]":
    from netprobe.inventory.lldp import with_neighbours

    return tuple(
        with_neighbours(each, {netdev: there for (host, netdev), there in site.items() if host == each.host})
        for each in inventories
    )


def _told_by(whom: Whom) -> "Gathered | None":
    if whom.hosts is not None and whom.from_snapshot:
        raise PlanError("--hosts and --from-snapshot both say whose inventory is meant", remedy="one of them")
    excluded = tuple(whom.exclude or ())
    if whom.from_snapshot:
        return _from_snapshots(whom.from_snapshot)
    if isinstance(detect(os.environ), External):
        if whom.hosts is not None:
            raise PlanError("the launcher has started the ranks, so --hosts has nothing to say", remedy="without it")
        return _from_ranks(excluded)
    from netprobe.launch.gathering import Gathered, gather
    from netprobe.launch.hosts import parse_hosts

    if whom.hosts is not None:
        return gather([each.host for each in parse_hosts(whom.hosts)], excluded, os.environ)
    from netprobe.inventory.host import host_inventory
    from netprobe.system.here import this_system

    return Gathered(inventories=(host_inventory(this_system(excluded=excluded), socket.gethostname()),))


def _from_snapshots(paths: list[Path]) -> "Gathered":
    from netprobe.launch.gathering import Gathered
    from netprobe.store.snapshots import read_snapshot

    return Gathered(inventories=tuple(read_snapshot(path).inventory for path in paths))


def _from_ranks(excluded: tuple[str, ...]) -> "Gathered | None":
    from netprobe.launch.gathering import Gathered
    from netprobe.session.host import inventories_of, meet
    from netprobe.session.ranks import open_session
    from netprobe.system.here import this_system

    with open_session(_NoRecords) as session:
        told = inventories_of(session.control, meet(session.control), this_system(excluded=excluded))
        return Gathered(inventories=told) if session.control.rank == 0 else None


class _NoRecords:
    """A Sink for a session that measures nothing."""

    def emit(self, record: "Record") -> None:
        """Drop it."""
