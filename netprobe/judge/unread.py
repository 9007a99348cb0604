"""Active RDMA ports whose counters nobody read while probes ran: what they lost or paused there is not known."""

from collections.abc import Iterable, Sequence

import polars as pl

from netprobe.catalogue.keys import key_of
from netprobe.model.inventory import HostInventory
from netprobe.model.ports import UnreadPort
from netprobe.model.run import RunHeader
from netprobe.plan.second_pass import SECOND_PASS

Place = tuple[str, str]
"""Host, and RDMA device with its port or interface."""


def unread_ports(
    counters: pl.DataFrame, header: RunHeader, inventories: Sequence[HostInventory]
) -> tuple[UnreadPort, ...]:
    """Return the ports of hosts that stayed in the run, in order of hosts; ``counters`` are those of ports alone."""
    stages = [each.stage for each in header.outcomes if each.is_complete and not each.stage.startswith(SECOND_PASS)]
    staying = {rank.host for rank in header.ranks} - {each.host for each in header.benched}
    stages_of = _stages_of(counters, {rank.rank: rank.host for rank in header.ranks})
    return tuple(_unread(stages, stages_of, inventories, staying))


def _unread(
    stages: Sequence[str],
    stages_of: dict[Place, set[str]],
    inventories: Iterable[HostInventory],
    staying: set[str],
) -> Iterable[UnreadPort]:
    for inventory in inventories:
        for port in inventory.rdma_ports if inventory.host in staying else ():
            read = stages_of.get((inventory.host, port.name), set())
            if port.netdev is not None:
                read = read | stages_of.get((inventory.host, port.netdev), set())
            missing = tuple(stage for stage in stages if stage not in read)
            if missing and port.is_active:
                yield UnreadPort(
                    host=inventory.host, port=port.name, stages=missing, was_read=len(missing) < len(stages)
                )


def _stages_of(counters: pl.DataFrame, host_of: dict[int, str]) -> dict[Place, set[str]]:
    """Return in which stages something of each port was read."""
    names = {name: _port_name(name) for name in counters["counter"].unique().to_list()}
    read = counters.select("stage", "rank", port=pl.col("counter").replace_strict(names, return_dtype=pl.String))
    found: dict[Place, set[str]] = {}
    for stage, rank, port in read.unique().drop_nulls("port").iter_rows():
        found.setdefault((host_of[rank], port), set()).add(stage)
    return found


def _port_name(counter: str) -> str | None:
    key = key_of(counter)
    return None if key is None else key.place
