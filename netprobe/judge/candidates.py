"""Which interfaces are taken for RDMA ports where nobody tells what they carry: files hold ``ethtool -S`` alone."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Final

import numpy as np

from netprobe.model.finding import Gap
from netprobe.model.inventory import HostInventory
from netprobe.model.meaning import Meaning
from netprobe.model.ports import PortTable

PAUSES: Final = (Meaning.PAUSE_SENT, Meaning.PAUSE_SENT_TIME, Meaning.PAUSE_RECEIVED, Meaning.PAUSE_RECEIVED_TIME)
TIMES: Final = (Meaning.PAUSE_SENT_TIME, Meaning.PAUSE_RECEIVED_TIME)
MOST_NAMED: Final = 4


def with_candidates(table: PortTable, inventories: Mapping[str, HostInventory]) -> PortTable:
    """Return the table with the interfaces of hosts that tell of no RDMA port as ports of their own.

    Detectors know an interface that carries no RDMA by its name, which is that of its interface.
    """
    telling = {host for host, name, netdev in _rows(table) if name != netdev}
    telling |= {host for host, each in inventories.items() if each.rdma_ports or each.system is not None}
    netdevs = (None if host not in telling else netdev for host, _, netdev in _rows(table))
    return replace(table, netdev=tuple(netdevs))


def unjudged_pauses(table: PortTable, inventories: Mapping[str, HostInventory]) -> Iterator[Gap]:
    """Say where pauses grew and nobody can tell what they stopped: no RDMA port is known, or the port's rate is not."""
    paused = np.any([np.nan_to_num(table.grown(each, span)) > 0 for each in PAUSES for span in table.spans], axis=0)
    timed = np.any([np.isfinite(table.grown(each, span)) for each in TIMES for span in table.spans], axis=0)
    at = [place for place in np.flatnonzero(paused).tolist() if place < len(table.host)]
    ports = {
        (host, port.name)
        for host, each in inventories.items()
        for port in each.rdma_ports
        if port.rate_gbps is not None
    }
    unknown = [place for place in at if table.name[place] == table.netdev[place]]
    untimed = [
        place
        for place in at
        if place not in unknown and not timed[place] and (table.host[place], table.name[place]) not in ports
    ]
    if unknown:
        yield Gap(
            topic="pauses",
            reason=f"pauses of {_named(table, unknown)} were not judged: no RDMA port is known to use it",
            remedy="the output of rdma link show as well",
            undermines=True,
        )
    if untimed:
        yield Gap(
            topic="pauses",
            reason=f"pauses of {_named(table, untimed)} were not judged: frames alone are counted, and the rate of the "
            "port is not told",
            remedy="netprobe snapshot there, which tells the rate",
            undermines=True,
        )


def _rows(table: PortTable) -> Iterator[tuple[str, str, str | None]]:
    return zip(table.host, table.name, table.netdev, strict=True)


def _named(table: PortTable, at: Sequence[int]) -> str:
    more = f" and {len(at) - MOST_NAMED} more" if len(at) > MOST_NAMED else ""
    return ", ".join(table.subject(place) for place in at[:MOST_NAMED]) + more
