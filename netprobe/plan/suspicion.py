"""Who looks bad after a first pass, leniently: by the same fits as the verdict, at half of its limits.

Being measured again costs seconds and clears whom chance has singled out. Does not handle: crowded hosts; they are
suspected like any other, and it is the verdict that knows better.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, fields, replace
from itertools import chain
from typing import Final

import numpy as np
from numpy.typing import NDArray

from netprobe.locate.loss import blame_loss, is_lossy, loss_rows
from netprobe.locate.paths import host_effects, is_latency, path_outliers
from netprobe.locate.placement import Placement
from netprobe.model.counters import CounterWindow
from netprobe.model.evidence import CounterTable, PairTable
from netprobe.model.limits import Limits
from netprobe.model.plan import Memory, Path, Scope, Stage
from netprobe.model.series import Metric, Phase, Series
from netprobe.registry import probes
from netprobe.stats.quantiles import FlatHistograms, quantile_ns

LENIENT: Final = 0.5  # of the detectors' limits
HALVED: Final = ("host_loss", "pair_loss", "latency_excess", "asymmetry", "outlier", "loss_")
DISTANCE_RATIO: Final = 0.1  # of all hosts or pairs; what so many have in common in latency is where they are
DISTANCE_COUNT: Final = 2
PAIR_METRICS: Final = (Metric.ROUND_TRIP, Metric.WINDOW)

HostPair = tuple[int, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Suspicion:
    """What looks bad by one kind of measurement: hosts, and pairs of hosts in order; with log units, worst negative."""

    hosts: dict[int, float] = field(default_factory=dict)
    pairs: dict[HostPair, float] = field(default_factory=dict)

    def worsen_host(self, host: int, loss: float) -> None:
        """Hold a loss against a host."""
        self.hosts[host] = min(loss, self.hosts.get(host, 0.0))

    def worsen_pair(self, a: int, b: int, loss: float) -> None:
        """Hold a loss against what lies between two hosts."""
        pair = (min(a, b), max(a, b))
        self.pairs[pair] = min(loss, self.pairs.get(pair, 0.0))

    def touched(self) -> set[int]:
        """Return all hosts that anything is held against, however little; a pair with a suspect tells of that one."""
        unexplained = (pair for pair in self.pairs if not self.hosts.keys() & set(pair))
        return {*self.hosts, *chain.from_iterable(unexplained)}


def suspicions(
    tables: tuple[PairTable, ...], windows: Sequence[CounterWindow], placement: Placement, path: Path = Path.MPI
) -> tuple[Suspicion, Suspicion]:
    """Return what looks bad over a path in bandwidth or loses packets, and what looks bad in latency."""
    limits = lenient()
    bandwidth, latency = Suspicion(), Suspicion()
    for table in tables:
        if table.path is path:
            _suspect_slow(latency if is_latency(table) else bandwidth, table, placement, limits)
    if path is Path.MPI:
        _suspect_lossy(bandwidth, tables, windows, placement, limits)
    return bandwidth, latency


def lenient() -> Limits:
    """Return the limits beyond which something is measured again."""
    shipped = Limits()
    halved = {
        each.name: LENIENT * getattr(shipped, each.name) for each in fields(Limits) if each.name.startswith(HALVED)
    }
    return replace(shipped, **halved)


def _suspect_slow(suspicion: Suspicion, table: PairTable, placement: Placement, limits: Limits) -> None:
    found = Suspicion()
    effects = host_effects(table, placement, limits)
    worst = np.minimum(effects.sender, effects.receiver)
    for rank in np.flatnonzero(worst < 0).tolist():
        found.worsen_host(int(placement.host_of[rank]), float(worst[rank]))
    # Of hundreds of pairs some lie beyond half as many deviations by chance, and repeating a pair adds no witness.
    outliers = path_outliers(table, effects, replace(limits, outlier_mads=Limits().outlier_mads))
    for rows, loss in ((outliers.slow, effects.residual), (outliers.one_sided, outliers.gap_to_reverse)):
        for row in rows.tolist():
            a, b = (int(placement.host_of[end[row]]) for end in (table.src, table.dst))
            found.worsen_pair(a, b, float(loss[row]))
    may_be_far = is_latency(table)
    if not (may_be_far and _is_common(len(found.hosts), len(placement.hosts))):
        for host, loss_of_host in found.hosts.items():
            suspicion.worsen_host(host, loss_of_host)
    if not (may_be_far and _is_common(len(found.pairs), len(table.src))):
        for pair, loss_of_pair in found.pairs.items():
            suspicion.worsen_pair(*pair, loss_of_pair)


def _is_common(count: int, total: int) -> bool:
    return count > max(DISTANCE_COUNT, DISTANCE_RATIO * total)


def _suspect_lossy(
    suspicion: Suspicion,
    tables: tuple[PairTable, ...],
    windows: Sequence[CounterWindow],
    placement: Placement,
    limits: Limits,
) -> None:
    if not any(window.grown.get("tcp/RetransSegs") for window in windows):
        return
    rows = loss_rows(_counter_table(windows), tables, placement)
    lossy = is_lossy(rows, smallest_ratio=limits.loss_ratio, fewest=limits.loss_floor_segments)
    blame = blame_loss(rows, lossy)
    # A lost segment stops a stream for as long as hundreds take: the share that is lost outranks any slowness.
    for host in blame.hosts:
        suspicion.worsen_host(host.host, -1.0 - float(rows.ratio[host.rows].max()))
    for row in blame.paths.tolist():
        suspicion.worsen_pair(int(rows.src[row]), int(rows.dst[row]), -1.0 - float(rows.ratio[row]))


def tables_of(series: Iterable[Series], stages: Iterable[Stage], placement: Placement) -> tuple[PairTable, ...]:
    """Return the timed series between hosts as tables, as the judges have them; only medians are known."""
    stage_of = {stage.id: stage for stage in stages}
    by_key: dict[tuple[str, str, int, int], list[Series]] = {}
    host_of = placement.host_of.tolist()
    for each in series:
        if each.phase is not Phase.TIMED or each.dst is None or each.metric not in PAIR_METRICS or not each.iterations:
            continue
        if host_of[each.src] != host_of[each.dst] and each.histogram.bins:
            by_key.setdefault((each.stage, each.probe, each.size_bytes, each.window), []).append(each)
    return tuple(_table(rows, stage_of.get(rows[0].stage)) for rows in by_key.values())


def _table(rows: list[Series], stage: Stage | None) -> PairTable:
    first = rows[0]
    unknown = np.full(len(rows), np.nan)
    known = probes().get(first.probe)
    return PairTable(
        stage=first.stage,
        probe=first.probe,
        metric=first.metric,
        scope=Scope.BETWEEN_HOSTS,
        size_bytes=first.size_bytes,
        bytes_per_iteration=first.bytes_per_iteration,
        window=first.window,
        directed=known is not None and known.both_directions,
        src=_integers(each.src for each in rows),
        dst=_integers(each.dst for each in rows if each.dst is not None),
        round_index=_integers(each.round_index for each in rows),
        samples=_integers(each.iterations for each in rows),
        min_ns=np.array([each.min_ns for each in rows], dtype=np.float64),
        p50_ns=_medians_ns(rows),
        p99_ns=unknown,
        p999_ns=unknown,
        max_ns=unknown,
        total_ns=unknown,
        path=Path.MPI if stage is None else stage.path,
        operation=None if stage is None or stage.rdma is None else stage.rdma.operation,
        send_memory=Memory.HOST if stage is None else stage.send_memory,
        receive_memory=Memory.HOST if stage is None else stage.receive_memory,
    )


def _integers(values: Iterable[int]) -> NDArray[np.int64]:
    return np.fromiter(values, dtype=np.int64)


def _medians_ns(rows: list[Series]) -> NDArray[np.float64]:
    return quantile_ns(
        FlatHistograms(
            bins=_integers(chain.from_iterable(each.histogram.bins for each in rows)),
            counts=_integers(chain.from_iterable(each.histogram.counts for each in rows)),
            lengths=_integers(len(each.histogram.bins) for each in rows),
            min_ns=_integers(each.min_ns for each in rows).astype(np.float64),
            max_ns=_integers(each.max_ns for each in rows).astype(np.float64),
        ),
        0.5,
    )


def _counter_table(windows: Sequence[CounterWindow]) -> CounterTable:
    """Return the windows that tell of TCP; the others cannot tell of loss."""
    telling = [window for window in windows if "tcp/RetransSegs" in window.grown]
    names = dict.fromkeys(name for window in telling for name in window.grown if name.startswith("tcp/"))
    return CounterTable(
        stage=tuple(window.stage for window in telling),
        round_index=_integers(window.round_index or 0 for window in telling),
        rank=_integers(window.rank for window in telling),
        elapsed_ns=_integers(window.elapsed_ns for window in telling).astype(np.float64),
        grown={name: np.array([window.grown.get(name, np.nan) for window in telling]) for name in names},
    )
