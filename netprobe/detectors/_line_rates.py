"""What ports could carry for each pair of ranks: an expectation that nobody has to write down."""

from collections import Counter
from collections.abc import Iterable
from typing import Final, TypeVar

import numpy as np
from numpy.typing import NDArray

from netprobe.model.evidence import Evidence, PairTable
from netprobe.model.plan import Path
from netprobe.model.rdma import RdmaEndpoint

T = TypeVar("T")

FEWEST_BYTES: Final = 1 << 20
"""Shorter messages wait more than they move."""


def line_rates_gbps(evidence: Evidence, table: PairTable) -> NDArray[np.float64]:
    """Return, for each row, the rate of the slower of two ports, shared among the ranks that use it.

    NaN where it is not known, or says nothing of what is measured: another path than RDMA, short messages, a port that
    is software (without a place on the PCI bus), a host whose ranks wait for their CPUs.
    """
    if table.path is not Path.VERBS or table.size_bytes < FEWEST_BYTES:
        return np.full(len(table.src), np.nan)
    users = Counter(_place(evidence, each) for each in evidence.endpoints)
    rates = np.full(len(evidence.ranks), np.nan)
    for rank, each in known_ports(evidence).items():
        rates[rank] = (each.rate_gbps or np.nan) / users[_place(evidence, each)]
    slower: NDArray[np.float64] = np.minimum(rates[table.src], rates[table.dst])
    return slower


def known_ports(evidence: Evidence) -> dict[int, RdmaEndpoint]:
    """Return the ports that ranks use for RDMA: those that are hardware, tell their rate, and wait for no CPU."""
    crowded = frozenset(evidence.crowded_hosts)
    hardware = {
        (host, port.name)
        for host, inventory in evidence.inventories.items()
        for port in inventory.rdma_ports
        if port.pci is not None and host not in crowded
    }
    return {each.rank: each for each in evidence.endpoints if each.rate_gbps and _place(evidence, each) in hardware}


def _place(evidence: Evidence, endpoint: RdmaEndpoint) -> tuple[str, str]:
    return evidence.ranks[endpoint.rank].host, endpoint.name


def nics_by_host(evidence: Evidence) -> dict[str, int]:
    """Return how many ports the ranks of each host use; hosts whose ranks use none that is known are absent."""
    names: dict[str, set[str]] = {}
    for rank, port in known_ports(evidence).items():
        names.setdefault(evidence.ranks[rank].host, set()).add(port.name)
    return {host: len(ports) for host, ports in names.items()}


def same(values: Iterable[T]) -> T | None:
    """Return what all are; None where they differ, or there are none."""
    distinct = set(values)
    return distinct.pop() if len(distinct) == 1 else None
