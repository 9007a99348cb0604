"""Which pairs may be compared over several layers: ports that are hardware, hosts whose ranks have their CPUs.

Over software RDMA a CPU moves each byte, so that verbs may be slower than MPI over TCP, and neither is a fault.
"""

from collections import Counter

import numpy as np
from numpy.typing import NDArray

from netprobe.locate.layers import Layer, LayerTable
from netprobe.model.evidence import Evidence, FloatArray
from netprobe.model.limits import Limits
from netprobe.model.plan import Path
from netprobe.model.rdma import RdmaEndpoint

BoolArray = NDArray[np.bool_]


def is_hardware(evidence: Evidence) -> BoolArray:
    """Return of each rank whether the port that it uses for RDMA is known to be a device on the bus."""
    known = np.zeros(len(evidence.ranks), dtype=bool)
    for endpoint in evidence.endpoints:
        known[endpoint.rank] = _pci_of(evidence, endpoint) is not None
    return known


def is_software(evidence: Evidence) -> BoolArray:
    """Return of each rank whether its host has a port that is software, and no other."""
    hosts = {
        host
        for host, inventory in evidence.inventories.items()
        if inventory.rdma_ports and all(port.is_software for port in inventory.rdma_ports)
    }
    return np.array([rank.host in hosts for rank in evidence.ranks], dtype=bool)


def is_crowded(evidence: Evidence) -> BoolArray:
    """Return of each rank whether those of its host wait for CPUs."""
    crowded = set(evidence.crowded_hosts)
    return np.array([rank.host in crowded for rank in evidence.ranks], dtype=bool)


def of_both(table: LayerTable, ranks: BoolArray) -> BoolArray:
    """Return which pairs have both ends among these ranks."""
    both: BoolArray = ranks[table.src] & ranks[table.dst]
    return both


def is_as_expected(evidence: Evidence, table: LayerTable, layer: Layer, limits: Limits) -> BoolArray:
    """Return the pairs that a layer of bandwidth carries as it should, as far as anybody says what that is."""
    if limits.expected_bandwidth_gbps:
        least = np.full(len(table.src), limits.expected_bandwidth_gbps * (1 - limits.pair_loss_ratio))
    elif layer.path is Path.VERBS:
        rates = _shared_rates_gbps(evidence)
        least = np.minimum(rates[table.src], rates[table.dst]) * limits.line_rate_ratio
    else:
        least = np.full(len(table.src), np.nan)
    short: BoolArray = layer.speed < least
    return ~short


def _shared_rates_gbps(evidence: Evidence) -> FloatArray:
    """Return, for each rank, the rate of its port, shared among the ranks that use it; NaN where nobody tells it."""
    places = [(evidence.ranks[each.rank].host, each.name) for each in evidence.endpoints]
    users = Counter(places)
    rates = np.full(len(evidence.ranks), np.nan)
    for each, place in zip(evidence.endpoints, places, strict=True):
        rates[each.rank] = (each.rate_gbps or np.nan) / users[place]
    return rates


def _pci_of(evidence: Evidence, endpoint: RdmaEndpoint) -> str | None:
    inventory = evidence.inventories.get(evidence.ranks[endpoint.rank].host)
    ports = () if inventory is None else inventory.rdma_ports
    return next((port.pci for port in ports if port.name == endpoint.name), None)
