"""What RDMA ports counted of lost packets, by the direction in which they travelled; and when it is no loss at all.

The requester counts what it is told or misses, the responder what arrives wrongly, so that a pair of counters tells
the direction (a requests, b responds):

    a SEQUENCE_NAK, b OUT_OF_SEQUENCE                   what a sent to b is missing
    a ACK_TIMEOUT, b DUPLICATE_REQUEST and no hole      what b acknowledged to a is missing
    a ACK_TIMEOUT, b neither                            the end of what a sent is missing, and nothing came behind it
    a IMPLIED_NAK                                       what b answered (reads, atomics) is missing

Hosts have one partner in a round, but may have several ports: a port is taken to talk to the port of the same name
there, as rails are wired; where there is none, to the one at the same place.

Does not handle: queue pairs that bypass the kernel's counters (DevX without a counter set).
"""

from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from netprobe.locate.loss import LossRows, needed_packets
from netprobe.locate.placement import Placement
from netprobe.model.evidence import PairTable
from netprobe.model.meaning import Meaning
from netprobe.model.plan import Path, Scope
from netprobe.model.ports import PairCounts, PortTable

IntArray = NDArray[np.int64]
FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]

LARGEST_PACKET_BYTES: Final = 4096  # the largest MTU of RDMA transports
TELLING: Final = (Meaning.SEQUENCE_NAK, Meaning.OUT_OF_SEQUENCE, Meaning.ACK_TIMEOUT, Meaning.IMPLIED_NAK)
"""Of these a driver must count some before silence means that nothing was lost. What is sent again does not tell: irdma
counts that of iWARP alone, and EFA does it without a loss."""
ALIKE_RATIO: Final = 0.8  # of all directions: what nearly all have is how the fabric spreads packets
CARRIED_RATIO: Final = 0.5  # of all directions: MPI takes one transport for a whole job
MISSING_RATIO: Final = 0.5  # of the holes; fewer packets missing than that were not lost but late


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RdmaLoss:
    """Directions between ports, shape (n,); ports are numbered as in the table."""

    rows: LossRows
    """``src`` and ``dst`` are ports, a segment is a packet; ``timeouts`` are of the end that waited."""
    naks: FloatArray
    """Losses that were noticed by what came behind them."""
    acknowledgements: FloatArray
    """Losses on the way back of an acknowledgement, in this direction."""
    responses: FloatArray
    """Losses among answers to reads."""
    waited: FloatArray
    """Acknowledgement timeouts at either end, in rounds of the two."""
    missing: FloatArray
    """Packets sent less those received; NaN where one end does not count packets."""
    has_counters: BoolArray
    """Whether either end's driver counts any kind of loss."""


def rdma_loss(
    ports: PortTable, tables: Sequence[PairTable], placement: Placement, *, verbs: AbstractSet[str] = frozenset()
) -> RdmaLoss:
    """Return what each direction between ports lost, over all rounds in which the two hosts were partners.

    ``verbs`` are the stages whose messages went over RDMA for certain. Those of MPI count as well where the ports saw
    its traffic; else its rounds would only make what RDMA sent look like too little.
    """
    by_mpi = [table for table in tables if table.path is Path.MPI]
    if verbs and not _carries(_of_stages(ports, verbs, within=False), by_mpi, placement):
        ports, tables = _of_stages(ports, verbs, within=True), [each for each in tables if each.path is Path.VERBS]
    directions = _Directions(ports)
    total, back = directions.total, directions.reverse
    naks, holes = total(Meaning.SEQUENCE_NAK), total(Meaning.OUT_OF_SEQUENCE)[back]
    timeouts, duplicates = total(Meaning.ACK_TIMEOUT), total(Meaning.DUPLICATE_REQUEST)[back]
    is_whole = ~(holes > 0)  # as far as the receiver knows
    noticed = np.where(np.isfinite(naks), naks, holes)
    confirmed = np.where(is_whole & (duplicates > 0), timeouts, 0.0)  # the peer had it: its answer was lost
    tails = np.where(is_whole & ~(duplicates > 0), timeouts, 0.0)
    acknowledgements = np.nan_to_num(confirmed[back])
    responses = np.nan_to_num(total(Meaning.IMPLIED_NAK)[back])
    lost = np.nan_to_num(noticed) + np.nan_to_num(tails) + acknowledgements + responses
    told = [np.isfinite(total(meaning)) for meaning in TELLING]
    has_counters = np.any([each | each[back] for each in told], axis=0)
    sent = directions.sent()
    return RdmaLoss(
        rows=LossRows(
            src=directions.src,
            dst=directions.dst,
            sent=np.where(has_counters, sent, np.nan),
            retransmitted=lost,
            lost=lost,
            timeouts=np.nan_to_num(tails) + acknowledgements,
            out_of_order=holes,
            rounds=directions.rounds,
            stalled_rounds=directions.stalled_rounds(),
            refused=np.zeros(len(lost)),
            needed=_needed(directions, sent, tables, placement),
        ),
        naks=np.nan_to_num(noticed),
        acknowledgements=acknowledgements,
        responses=responses,
        waited=np.nan_to_num(timeouts) + np.nan_to_num(timeouts[back]),
        missing=total(Meaning.RDMA_SENT_PACKETS) - total(Meaning.RDMA_RECEIVED_PACKETS)[back],
        has_counters=has_counters,
    )


def _carries(ports: PortTable, tables: Sequence[PairTable], placement: Placement) -> bool:
    """Return whether most directions between ports sent what was measured between their hosts."""
    directions = _Directions(ports)
    if not len(directions.keys):
        return False
    needed = _needed(directions, directions.sent(), tables, placement)
    return bool(np.mean(needed == 0) > CARRIED_RATIO)


def _of_stages(ports: PortTable, stages: AbstractSet[str], *, within: bool) -> PortTable:
    """Return the ports with the rounds of these stages alone, or with those of all others."""
    rows = ports.pairs
    kept = np.array([(stage in stages) is within for stage in rows.stage], dtype=np.bool_)
    return replace(
        ports,
        pairs=replace(
            rows,
            stage=tuple(stage for stage in rows.stage if (stage in stages) is within),
            round_index=rows.round_index[kept],
            port=rows.port[kept],
            peer=tuple(peer for peer, is_kept in zip(rows.peer, kept.tolist(), strict=True) if is_kept),
            is_sender=rows.is_sender[kept],
            grown={meaning: values[kept] for meaning, values in rows.grown.items()},
        ),
    )


def overtaken(loss: RdmaLoss, *, leaf: IntArray, damaged: BoolArray) -> BoolArray:
    """Return the directions whose holes are packets that overtook each other: the one rule that tells it from loss.

    Nobody waited for long, neither end drops or damages packets, and as many arrived as were sent. Where packets are
    not counted, it takes the pattern of adaptive routing: only between leaves, or nearly everywhere alike. ``leaf`` is
    the switch of each port (-1: not known), ``damaged`` the ports that drop or damage.
    """
    rows = loss.rows
    has_holes = loss.naks > 0
    is_calm = (loss.waited == 0) & ~damaged[rows.src] & ~damaged[rows.dst]
    conserves = np.abs(loss.missing) < MISSING_RATIO * loss.naks
    is_pattern = np.isnan(loss.missing) & _is_spread(rows, has_holes, leaf)
    late: BoolArray = has_holes & is_calm & (conserves | is_pattern)
    return late


def _is_spread(rows: LossRows, has_holes: BoolArray, leaf: IntArray) -> bool:
    """Return whether holes are where switches choose between paths, and nowhere else."""
    counted = rows.is_counted
    of_leaves = (leaf[rows.src] >= 0) & (leaf[rows.dst] >= 0)
    if counted.any() and of_leaves[counted].all():
        crosses = leaf[rows.src] != leaf[rows.dst]
        if (counted & ~crosses).any():
            return not (has_holes & ~crosses).any()
    return bool((has_holes & counted).sum() >= ALIKE_RATIO * max(counted.sum(), 1) and counted.sum() > 2)


class _Directions:
    """The directions between ports that had rounds, and sums over these."""

    def __init__(self, ports: PortTable) -> None:
        self._counts = ports.pairs
        self._partner = _partners(ports)
        own, count = self._counts.port, max(len(ports.host), 1)
        known = self._partner >= 0
        keys = own * count + self._partner
        back = self._partner * count + own
        self.keys = np.unique(np.concatenate([keys[known], back[known]]))
        self.src, self.dst = self.keys // count, self.keys % count
        self.reverse = np.searchsorted(self.keys, self.dst * count + self.src)
        self._row = np.where(known, np.searchsorted(self.keys, np.where(known, keys, 0)), -1)
        self.hosts = (
            np.array([ports.host[port] for port in self.src], dtype=object),
            np.array([ports.host[port] for port in self.dst], dtype=object),
        )
        self.rounds = np.bincount(self._row[known], minlength=len(self.keys)).astype(np.int64)

    def total(self, meaning: Meaning) -> FloatArray:
        """Return what the source counted in its rounds with the destination; NaN where it does not count that."""
        return self._sum(self._counts.grown.get(meaning))

    def stalled_rounds(self) -> IntArray:
        """Return in how many rounds the source or the destination ran into a timeout."""
        values = self._counts.grown.get(Meaning.ACK_TIMEOUT)
        stalled = np.nan_to_num(self._sum(None if values is None else (values > 0).astype(np.float64)))
        most: IntArray = np.maximum(stalled, stalled[self.reverse]).astype(np.int64)
        return most

    def sent(self) -> FloatArray:
        """Return the packets that each source sent; from bytes, at the largest MTU, where packets are not counted."""
        packets = _first_known(self.total(Meaning.RDMA_SENT_PACKETS), self.total(Meaning.WIRE_SENT_PACKETS))
        moved = _first_known(self.total(Meaning.RDMA_SENT_BYTES), self.total(Meaning.WIRE_SENT_BYTES))
        return _first_known(packets, moved / LARGEST_PACKET_BYTES)

    def _sum(self, values: FloatArray | None) -> FloatArray:
        if values is None:
            return np.full(len(self.keys), np.nan)
        known = np.isfinite(values) & (self._row >= 0)
        summed = np.bincount(self._row[known], values[known], len(self.keys))
        total: FloatArray = np.where(np.bincount(self._row[known], minlength=len(self.keys)) > 0, summed, np.nan)
        return total


def _first_known(preferred: FloatArray, other: FloatArray) -> FloatArray:
    known: FloatArray = np.where(np.isfinite(preferred), preferred, other)
    return known


def _partners(ports: PortTable) -> IntArray:
    """Return the port at the other end of each row, or -1."""
    by_host: dict[str, list[int]] = {}
    for port, host in enumerate(ports.host):
        by_host.setdefault(host, []).append(port)
    counts: PairCounts = ports.pairs
    found: dict[tuple[int, str], int] = {}
    for port, peer in set(zip(counts.port.tolist(), counts.peer, strict=True)):
        theirs = by_host.get(peer, [])
        place = by_host[ports.host[port]].index(port)
        same = next((each for each in theirs if ports.name[each] == ports.name[port]), None)
        found[port, peer] = same if same is not None else theirs[place] if place < len(theirs) else -1
    return np.array(
        [found[port, peer] for port, peer in zip(counts.port.tolist(), counts.peer, strict=True)], dtype=np.int64
    )


def _needed(directions: _Directions, sent: FloatArray, tables: Sequence[PairTable], placement: Placement) -> FloatArray:
    """Return 0 where the ports between two hosts sent what was measured between them, infinity where others did."""
    number = {host: index for index, host in enumerate(placement.hosts)}
    src, dst = (np.array([number.get(host, -1) for host in ends], dtype=np.int64) for ends in directions.hosts)
    pairs, pair_of = np.unique(src * len(number) + dst, return_inverse=True)
    crossing = [table for table in tables if table.scope is Scope.BETWEEN_HOSTS and len(table.src)]
    least = needed_packets(crossing, pairs, placement, largest_bytes=LARGEST_PACKET_BYTES)
    moved = np.bincount(pair_of.reshape(-1), np.nan_to_num(sent), len(pairs))
    needed: FloatArray = np.where(2 * moved >= least, 0.0, np.inf)[pair_of.reshape(-1)]
    return needed
