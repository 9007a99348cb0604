"""Pairs as maps: what each pair reached of bandwidth and latency, and what it lost, one map for each way of measuring.

Of several sizes the one that tells most: of streams the largest, of round trips the smallest. Pairs within hosts are
drawn only where no two hosts met: they are of memory, and would hide what the fabric does.
"""

from collections.abc import Iterable, Iterator
from typing import Final

import numpy as np

from netprobe.detectors._rdma import rdma_case
from netprobe.locate.datagrams import datagram_rows
from netprobe.locate.loss import LossRows, loss_rows
from netprobe.locate.placement import Placement, placement_of
from netprobe.model.evidence import Evidence, FloatArray, IntArray, PairTable
from netprobe.model.exhibits import Figure, PairMap, Witness
from netprobe.model.limits import Limits
from netprobe.model.plan import Path, Scope
from netprobe.model.series import Metric
from netprobe.stats.distinct import by_owner, distinct

PREFERRED: Final = ("latency", "reach", "bandwidth", "bidirectional")
"""Of two probes of one figure, path and memory the first that was measured is drawn."""
PATHS: Final = (Path.VERBS, Path.MPI, Path.NCCL)
"""The fabric before the libraries that use it."""
BITS: Final = 8


def speed_maps(evidence: Evidence) -> Iterator[PairMap]:
    """Yield a map of bandwidth and one of latency for each path and memory, bandwidth and the fabric itself first."""
    tables = [table for table in evidence.pairs if len(table.src) and table.probe in PREFERRED]
    between = [table for table in tables if table.scope is Scope.BETWEEN_HOSTS]
    chosen: dict[tuple[object, ...], PairTable] = {}
    for table in between or tables:
        key = (_figure(table), table.path, table.send_memory, table.receive_memory)
        if key not in chosen or _rank(table) < _rank(chosen[key]):
            chosen[key] = table
    ordered = sorted(
        chosen.values(), key=lambda table: (_figure(table) is not Figure.BANDWIDTH, PATHS.index(table.path))
    )
    yield from (_speed_map(table) for table in ordered)


def _figure(table: PairTable) -> Figure:
    return Figure.BANDWIDTH if table.metric is Metric.WINDOW else Figure.LATENCY


def _rank(table: PairTable) -> tuple[int, int]:
    """Return what sorts tables of one kind; the first is drawn."""
    size_bytes = -table.size_bytes if table.metric is Metric.WINDOW else table.size_bytes
    return PREFERRED.index(table.probe), size_bytes


def _speed_map(table: PairTable) -> PairMap:
    ranks = 1 + int(max(table.src.max(), table.dst.max()))
    keys, elapsed_ns = _middle_of_each(table.src * ranks + table.dst, table.p50_ns, ranks)
    figure = _figure(table)
    if figure is Figure.BANDWIDTH:
        value = BITS * table.bytes_per_iteration / np.maximum(elapsed_ns, 1.0)
    else:
        value = elapsed_ns / 2
    return PairMap(
        figure=figure,
        probe=table.probe,
        scope=table.scope,
        path=table.path,
        size_bytes=table.size_bytes,
        src=keys // ranks,
        dst=keys % ranks,
        value=value,
        typical=float(np.median(value)),
        directed=table.directed,
        operation=table.operation,
        send_memory=table.send_memory,
        receive_memory=table.receive_memory,
    )


def _middle_of_each(keys: IntArray, values: FloatArray, ranks: int) -> tuple[IntArray, FloatArray]:
    """Return the distinct keys, and the middle value of each; of an even number the upper one."""
    ascending = np.argsort(values, kind="stable")
    found, place = distinct(keys[ascending], below=ranks * ranks)
    order = by_owner(place, owners=len(found))
    count = np.bincount(place, minlength=len(found))
    first = np.cumsum(count) - count
    middle: FloatArray = values[ascending][order][first + count // 2]
    return found, middle


def loss_maps(evidence: Evidence, limits: Limits) -> Iterator[PairMap]:
    """Yield a map for each witness that counted anything: NICs, both ends of datagrams, TCP."""
    placement = placement_of(evidence.ranks)
    first = _first_ranks(placement)
    if evidence.ports.host:
        case = rdma_case(evidence, limits, placement)
        lost = np.where(case.overtaken, 0.0, case.loss.rows.lost)
        yield from _loss_map(case.loss.rows, lost, _ranks_of_ports(evidence, first), Path.VERBS, Witness.NICS)
    if len(evidence.datagrams.src):
        rows = datagram_rows(evidence.datagrams, placement)
        yield from _loss_map(rows, rows.lost, first, Path.VERBS, Witness.DATAGRAMS)
    rows = loss_rows(evidence.counters, evidence.pairs, placement)
    yield from _loss_map(rows, rows.lost, first, Path.MPI, Witness.TCP)


def _first_ranks(placement: Placement) -> IntArray:
    """Return the first rank of each host, which stands for it."""
    first = np.zeros(len(placement.hosts), dtype=np.int64)
    first[placement.host_of[::-1]] = np.arange(len(placement.host_of))[::-1]
    return first


def _ranks_of_ports(evidence: Evidence, first: IntArray) -> IntArray:
    """Return the rank that uses each port; of a port that nobody uses, the first of its host."""
    placement = placement_of(evidence.ranks)
    number = {host: index for index, host in enumerate(placement.hosts)}
    users = {(placement.host(each.rank), each.name): each.rank for each in evidence.endpoints}
    return np.array(
        [
            users.get((host, name), int(first[number[host]]) if host in number else -1)
            for host, name in zip(evidence.ports.host, evidence.ports.name, strict=True)
        ],
        dtype=np.int64,
    )


def _loss_map(rows: LossRows, lost: FloatArray, rank_of: IntArray, path: Path, witness: Witness) -> Iterable[PairMap]:
    counted = rows.is_counted & (rows.sent > 0)
    src, dst, lost, sent = rank_of[rows.src[counted]], rank_of[rows.dst[counted]], lost[counted], rows.sent[counted]
    own = (src != dst) & (src >= 0) & (dst >= 0)
    if not own.any():
        return ()
    ranks = 1 + int(max(src.max(), dst.max()))
    keys, place = distinct(src[own] * ranks + dst[own], below=ranks * ranks)
    sent_of, lost_of = (np.bincount(place, each[own], len(keys)).astype(np.float64) for each in (sent, lost))
    return (
        PairMap(
            figure=Figure.LOSS,
            probe="loss",
            scope=Scope.BETWEEN_HOSTS,
            path=path,
            size_bytes=None,
            src=keys // ranks,
            dst=keys % ranks,
            value=np.minimum(lost_of / sent_of, 1.0),
            typical=None,
            directed=True,
            weight=sent_of,
            witness=witness,
        ),
    )
