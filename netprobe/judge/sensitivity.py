"""What a run is able to tell, by what was measured of it."""

from collections.abc import Iterable

import numpy as np

from netprobe.locate.placement import Placement, placement_of
from netprobe.model.evidence import Evidence, FloatArray, IntArray, PairTable
from netprobe.model.plan import Path, Scope
from netprobe.model.sensitivity import Sensitivity
from netprobe.plan.screening import bad_hosts, false_blame
from netprobe.plan.sensitivity import ROCE_PACKET_BYTES, counted_pairs
from netprobe.stats.distinct import sorted_distinct


def measured_sensitivity(evidence: Evidence) -> Sensitivity | None:
    """Return what was measured between hosts; None where no two hosts met."""
    placement = placement_of(evidence.ranks)
    tables = [table for table in evidence.pairs if table.scope is Scope.BETWEEN_HOSTS and len(table.src)]
    hosts = len(placement.hosts)
    if not tables:
        return None
    every = np.concatenate([_hosts_that_met(table, placement) for table in tables])
    met = sorted_distinct(every, below=hosts * hosts)
    partners, pairs = counted_pairs(np.stack([met // hosts, met % hosts], axis=1), hosts)
    return Sensitivity(
        hosts=hosts,
        partners=partners,
        host_pairs=pairs,
        bad_hosts=bad_hosts(hosts),
        false_blame=false_blame(hosts, bad_hosts(hosts), partners),
        packets=_packets(tables, evidence, hosts),
    )


def _hosts_that_met(table: PairTable, placement: Placement) -> IntArray:
    """Return the distinct pairs of hosts of a table, as one number each: many rows are of the same ones."""
    hosts = len(placement.hosts)
    return sorted_distinct(placement.host_of[table.src] * hosts + placement.host_of[table.dst], below=hosts * hosts)


def _packets(tables: Iterable[PairTable], evidence: Evidence, hosts: int) -> int | None:
    """Return the packets that the host sent to others that sent the fewest; None where packets have no known size."""
    placement = placement_of(evidence.ranks)
    mtus_bytes = [each.mtu_bytes for rank in evidence.ranks for each in rank.interfaces]
    # MPI may use any interface, or RDMA: the largest packets are the fewest.
    by_mpi_bytes = max(ROCE_PACKET_BYTES, *mtus_bytes) if mtus_bytes else None
    sent = np.zeros(hosts)
    for table in tables:
        if table.directed and (table.path is Path.VERBS or by_mpi_bytes is not None):
            packets = _over_verbs(table) if table.path is Path.VERBS else _bytes(table) / (by_mpi_bytes or 1)
            sent += np.bincount(placement.host_of[table.src], packets, hosts)
    return int(sent.min()) or None


def _bytes(table: PairTable) -> FloatArray:
    return table.samples.astype(np.float64) * table.bytes_per_iteration


def _over_verbs(table: PairTable) -> FloatArray:
    """Return the packets of each row's timed iterations: each message has its own, MPI's may share one of TCP's."""
    return _bytes(table) / max(table.size_bytes, 1) * max(-(-table.size_bytes // ROCE_PACKET_BYTES), 1)
