"""How much the NIC of a rank could receive: what goodput is held against.

MPI does not say which NIC it took. Told is what a rank could have at best: its share of its own RDMA port, of the
host's fast ports where ranks have none of their own, of its fast interfaces where there is no RDMA; and where no NIC
tells its rate, what a typical pair carries alone in the same run.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from netprobe.locate.loads import one_way_gbps
from netprobe.model.evidence import Evidence, FloatArray
from netprobe.model.inventory import HostInventory, NetDevice, RdmaPort
from netprobe.model.plan import Scope
from netprobe.model.report import LineBasis

NEAR_RATIO: Final = 0.5  # of the fastest: a port below it is for management, or for storage


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LineRates:
    """What each rank could receive; NaN where nobody knows, shape (ranks,)."""

    gbps: FloatArray
    basis: LineBasis


def line_rates(evidence: Evidence, scope: Scope) -> LineRates | None:
    """Return what ranks could receive from other hosts; None within hosts, where no NIC is in between, or unknown."""
    if scope is Scope.WITHIN_HOST:
        return None
    rates = _nic_rates(evidence)
    if np.isfinite(rates).all() and len(rates):
        return LineRates(gbps=rates, basis=LineBasis.NIC)
    pair = one_way_gbps(evidence.pairs, scope)
    return None if pair is None else LineRates(gbps=np.full(len(rates), pair), basis=LineBasis.PAIR)


def _nic_rates(evidence: Evidence) -> FloatArray:
    of_hosts = {host: fast_rates(inventory) for host, inventory in evidence.inventories.items()}
    ranks_on = Counter(rank.host for rank in evidence.ranks)
    shared = [_share(of_hosts.get(rank.host, ()), ranks_on[rank.host]) for rank in evidence.ranks]
    rates: FloatArray = np.array(shared, dtype=np.float64)
    hardware = {(host, port.name) for host, each in evidence.inventories.items() for port in _hardware(each)}
    places = {each.rank: (evidence.ranks[each.rank].host, each.name) for each in evidence.endpoints if each.rate_gbps}
    users = Counter(places.values())
    for each in evidence.endpoints:
        if places.get(each.rank) in hardware:
            rates[each.rank] = (each.rate_gbps or np.nan) / users[places[each.rank]]
    return rates


def _hardware(inventory: HostInventory) -> Iterator[RdmaPort]:
    """Yield the active ports that are hardware: soft RoCE tells a rate that is nobody's."""
    return (port for port in inventory.rdma_ports if port.is_active and port.pci is not None)


def fast_rates(inventory: HostInventory) -> tuple[float, ...]:
    """Return the rates of a host's NICs that carry data; of those that tell none nothing is returned."""
    rates = tuple(_rates(inventory))
    return tuple(each for each in rates if each > NEAR_RATIO * max(rates))


def _share(fast: Sequence[float], ranks: int) -> float:
    """Return what each of a host's ranks has of its fast NICs, one NIC at most."""
    return float(np.mean(fast)) * min(len(fast), ranks) / ranks if fast else float("nan")


def _rates(inventory: HostInventory) -> Iterator[float]:
    """Yield the rates of NICs that carry data: RDMA ports that are hardware, else interfaces with an address."""
    ports = [each.rate_gbps for each in _hardware(inventory)]
    if ports:
        yield from (rate for rate in ports if rate)
        return
    usable = [each for each in inventory.net_devices if each.addresses and each.state != "down" and each.speed_gbps]
    fabric: list[NetDevice] = [each for each in usable if not each.is_default_route] or usable
    yield from (each.speed_gbps for each in fabric if each.speed_gbps)
