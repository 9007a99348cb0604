"""The figures of one run that are worth a trend: one for each NIC, host or fleet, and each thing that was measured.

A stream is trended at its largest size, where the link sets the pace, and a latency at its smallest. What goes over
RDMA belongs to a NIC, what goes over MPI to a host: nobody knows which of its ports MPI took.

Does not handle: latencies of crowded hosts, which tell of the scheduler; they are left out.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from netprobe.detectors._words import probe_title, size_title, table_title
from netprobe.locate.paths import is_latency
from netprobe.model.evidence import Evidence, GroupResult, PairTable, Sweep
from netprobe.model.history import FLEET, Figure, Unit
from netprobe.model.meaning import Meaning
from netprobe.model.plan import Memory, Path, Scope
from netprobe.stats.rates import busbw_gigabytes_per_s
from netprobe.units import gbps

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

BARRIER: Final = "barrier"


@dataclass(frozen=True, slots=True, kw_only=True)
class Samples:
    """What the figures of one title are medians of: rows of series, each of one subject; shape (rows,)."""

    title: str
    metric: str
    unit: Unit
    owner: IntArray
    """Which of ``subjects`` a row is of."""
    values: FloatArray
    subjects: tuple[str, ...]
    hosts: tuple[str, ...]


def figures_of(evidence: Evidence) -> tuple[Figure, ...]:
    """Return all figures of a run."""
    figures = [figure for samples in samples_of(evidence) for figure in _medians(samples)]
    return (*figures, *_shares(evidence), *_collectives(evidence))


def samples_of(evidence: Evidence) -> Iterator[Samples]:
    """Yield what pairs measured at the sizes that are trended, by title."""
    yield from _of_tables(_widest(evidence.pairs), evidence)


def every_sample_of(evidence: Evidence) -> Iterator[Samples]:
    """Yield what pairs measured at all sizes, by title."""
    yield from _of_tables((each for each in evidence.pairs if each.bytes_per_iteration or is_latency(each)), evidence)


def _of_tables(tables: Iterable[PairTable], evidence: Evidence) -> Iterator[Samples]:
    ends: dict[Path, _Ends] = {}
    for table in tables:
        own = ends.setdefault(table.path, _ends_of(evidence, table.path))
        yield from _samples_of_table(table, own, evidence)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Ends:
    """The subject of each rank over one path, as an index."""

    subject_of: IntArray
    subjects: tuple[str, ...]
    hosts: tuple[str, ...]


def _ends_of(evidence: Evidence, path: Path) -> _Ends:
    nics = {each.rank: each.name for each in evidence.endpoints} if path is Path.VERBS else {}
    if path is Path.NCCL:
        nics = {each.rank: each.nic for each in evidence.gpus if each.nic is not None}
    names = [f"{rank.host} {nics[rank.rank]}" if rank.rank in nics else rank.host for rank in evidence.ranks]
    subjects = tuple(dict.fromkeys(names))
    number = {name: index for index, name in enumerate(subjects)}
    host_of = {name: rank.host for name, rank in zip(names, evidence.ranks, strict=True)}
    return _Ends(
        subject_of=np.array([number[name] for name in names], dtype=np.int64),
        subjects=subjects,
        hosts=tuple(host_of[name] for name in subjects),
    )


def _widest(tables: tuple[PairTable, ...]) -> Iterator[PairTable]:
    """Yield of each sweep the table at the size that is trended."""
    chosen: dict[Sweep, PairTable] = {}
    for table in tables:
        best = chosen.get(table.sweep)
        sign = -1 if is_latency(table) else 1
        if best is None or sign * table.size_bytes > sign * best.size_bytes:
            chosen[table.sweep] = table
    yield from (table for table in chosen.values() if table.bytes_per_iteration or is_latency(table))


def _samples_of_table(table: PairTable, ends: _Ends, evidence: Evidence) -> Iterator[Samples]:
    title = table_title(table)
    src, dst = ends.subject_of[table.src], ends.subject_of[table.dst]
    both = np.concatenate([src, dst])
    if is_latency(table):
        crowded = set(evidence.crowded_hosts)
        calm = ~np.array([host in crowded for host in ends.hosts], dtype=bool)[both]
        halves = {table.probe: table.p50_ns / 2, f"{table.probe}-p99": table.p99_ns / 2}
        for metric, values in halves.items():
            told = np.concatenate([values, values])
            known = calm & np.isfinite(told)
            name = title if metric == table.probe else f"{title}, p99"
            yield _samples(name, metric, Unit.NS, both[known], told[known], ends)
        return
    rate = gbps(table.bytes_per_iteration, 1.0) / np.maximum(table.p50_ns, 1.0)
    if table.directed and table.scope is Scope.BETWEEN_HOSTS:  # within a host both ends are its own
        yield _samples(f"{title}, sends", table.probe, Unit.GBPS, src, rate, ends)
        yield _samples(f"{title}, receives", table.probe, Unit.GBPS, dst, rate, ends)
    else:
        yield _samples(title, table.probe, Unit.GBPS, both, np.concatenate([rate, rate]), ends)


def _samples(title: str, metric: str, unit: Unit, owner: IntArray, values: FloatArray, ends: _Ends) -> Samples:
    return Samples(
        title=title, metric=metric, unit=unit, owner=owner, values=values, subjects=ends.subjects, hosts=ends.hosts
    )


def _medians(samples: Samples) -> Iterator[Figure]:
    """Yield the median of each subject that has samples."""
    count = np.bincount(samples.owner, minlength=len(samples.subjects))
    median = medians_by_owner(samples.owner, samples.values, count)
    mad = medians_by_owner(samples.owner, np.abs(samples.values - median[samples.owner]), count)
    for index in np.flatnonzero(count).tolist():
        yield Figure(
            title=samples.title,
            metric=samples.metric,
            subject=samples.subjects[index],
            host=samples.hosts[index],
            unit=samples.unit,
            value=float(median[index]),
            mad=float(mad[index]) if count[index] > 1 else None,
            samples=int(count[index]),
        )


def medians_by_owner(owner: IntArray, values: FloatArray, count: IntArray) -> FloatArray:
    """Return the median of each owner's values, shape of ``count``; NaN where it has none."""
    ordered = values[np.lexsort((values, owner))]
    first = np.cumsum(count) - count
    last = max(len(ordered) - 1, 0)
    low = np.minimum(first + np.maximum(count - 1, 0) // 2, last)
    high = np.minimum(first + count // 2, last)
    if not len(ordered):
        return np.full(len(count), np.nan)
    return np.where(count > 0, (ordered[low] + ordered[high]) / 2, np.nan)


def _shares(evidence: Evidence) -> Iterator[Figure]:
    """Yield what was lost and what had to be corrected, as shares of what was sent."""
    yield from _tcp_loss(evidence)
    ports = evidence.ports
    for metric, title, part, whole in (
        ("loss", "RDMA packets sent again", Meaning.RETRANSMITTED, Meaning.RDMA_SENT_PACKETS),
        ("corrected", "bits that FEC corrected", Meaning.FEC_CORRECTED, Meaning.RAW_BITS),
    ):
        grown, of = ports.grown(part), ports.grown(whole)
        for port in np.flatnonzero(np.isfinite(grown) & (np.nan_to_num(of) > 0)).tolist():
            yield _share(metric, title, ports.subject(port), ports.host[port], float(grown[port] / of[port]))


def _tcp_loss(evidence: Evidence) -> Iterator[Figure]:
    counters = evidence.counters
    again, sent = counters.grown.get("tcp/RetransSegs"), counters.grown.get("tcp/OutSegs")
    if again is None or sent is None:
        return
    names = tuple(dict.fromkeys(rank.host for rank in evidence.ranks))
    number = {name: index for index, name in enumerate(names)}
    host_of = np.array([number[rank.host] for rank in evidence.ranks], dtype=np.int64)
    known = np.isfinite(again) & np.isfinite(sent)
    host = host_of[counters.rank[known]]
    lost, of = (np.bincount(host, each[known], len(names)) for each in (again, sent))
    for index in np.flatnonzero(of > 0).tolist():
        yield _share("loss", "TCP segments sent again", names[index], names[index], float(lost[index] / of[index]))


def _share(metric: str, title: str, subject: str, host: str, value: float) -> Figure:
    return Figure(
        title=title, metric=metric, subject=subject, host=host, unit=Unit.RATIO, value=value, mad=None, samples=1
    )


def _collectives(evidence: Evidence) -> Iterator[Figure]:
    """Yield the bus bandwidth of each collective at its largest size, and the time of a barrier."""
    chosen: dict[tuple[str, Path, Memory, bool, str], GroupResult] = {}
    for each in evidence.groups:
        key = (each.probe, each.path, each.memory, each.in_place, each.dtype)
        if key not in chosen or each.size_bytes > chosen[key].size_bytes:
            chosen[key] = each
    figures = [_collective(each) for each in chosen.values()]
    titles = Counter(figure.title for figure in figures)
    for figure, result in zip(figures, chosen.values(), strict=True):
        yield figure if titles[figure.title] == 1 else replace(figure, title=f"{figure.title}, {result.dtype}")


def collective_title(result: GroupResult) -> str:
    """Return ``allreduce 128M``, with where and how where that is not the usual."""
    size = "" if result.probe == BARRIER else f" {size_title(result.size_bytes)}"
    memory = "" if result.memory is Memory.HOST else f", {result.memory.label} memory"
    place = ", in place" if result.in_place else ""
    return f"{probe_title(result.probe, result.path)}{size}{memory}{place}"


def _collective(result: GroupResult) -> Figure:
    busbw = busbw_gigabytes_per_s(result.probe, result.size_bytes, result.p50_ns, result.ranks)
    return Figure(
        title=collective_title(result),
        metric="barrier" if busbw is None else "busbw",
        subject=FLEET,
        host=None,
        unit=Unit.NS if busbw is None else Unit.GIGABYTES_PER_S,
        value=result.p50_ns if busbw is None else busbw,
        mad=None,
        samples=result.iterations,
    )


def units_by_title(figures: tuple[Figure, ...]) -> Mapping[str, Unit]:
    """Return the unit of each title."""
    return {figure.title: figure.unit for figure in figures}
