"""What slow-host and slow-link share: what each host loses against the fleet, table by table, and of which kind."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from enum import Enum, auto
from typing import Final

import numpy as np
from numpy.typing import NDArray

from netprobe.detectors._crowded import latencies_by_quickest, without_crowded
from netprobe.detectors._words import is_common, largest_sizes, listed, table_title, typical_gbps
from netprobe.locate.effects import FEWEST_PARTNERS, Effects
from netprobe.locate.passes import cleared_rows, is_second, rows_of, steady_rows
from netprobe.locate.paths import host_effects, host_limit, is_latency
from netprobe.locate.placement import Placement
from netprobe.model.evidence import Evidence, PairTable
from netprobe.model.finding import Gap
from netprobe.model.limits import Limits
from netprobe.model.plan import Path, Scope
from netprobe.stats.rates import excess_as_log, log_speed, loss_ratio
from netprobe.stats.spread import outlier_distance

BoolArray = NDArray[np.bool_]

FEWEST_HOSTS: Final = 3
TWICE_AS_LONG: Final = 0.5  # of the speed is lost: the quickest round trip against what is typical
PLATEAU_SHARE: Final = 0.5  # of the rate at the largest size (Hockney's n-half): above it the link sets the pace


class Kind(Enum):
    """What a table tells of."""

    LINK = auto()
    """Streams between hosts that are large enough for the link to set the pace."""
    RATE = auto()
    """Streams of messages so small that a CPU sets the pace."""
    LATENCY = auto()
    WITHIN = auto()
    """Anything that stays within a host."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Loss:
    """One table's word against one host in one role."""

    host: str
    verb: str
    """``sends``, ``receives``, ``streams both ways``, ``answers`` or ``moves data within itself``."""
    table: PairTable
    kind: Kind
    effect: float
    """Of its worst rank, in log units; negative."""
    expected: float
    """Log speed of a normal pair."""
    ranks: tuple[int, ...]
    partners: tuple[str, ...]
    """Hosts that this host was measured with in this role; peers for a comparison within hosts."""
    is_bandwidth: bool
    """Whether it is of the largest size, and tells of bandwidth rather than of latency or of the rate of messages."""
    confirmed_by: tuple[str, ...] = ()
    """Partners of a second pass that agree."""
    cleared_by: tuple[str, ...] = ()
    """Partners of a second pass with which the host was normal again."""
    by_quickest: bool = False
    """Whether a crowded host was judged by its quickest round trips."""

    @property
    def loss_ratio(self) -> float:
        """The share of the rate that is lost."""
        return loss_ratio(self.effect)

    @property
    def expected_ns(self) -> float:
        """What a sample of a normal pair takes."""
        return float(np.exp(-self.expected))

    @property
    def observed_ns(self) -> float:
        """What a sample of this host takes."""
        return float(np.exp(-self.expected - self.effect))


@dataclass(frozen=True, slots=True, kw_only=True)
class Losses:
    """What hosts lose, and what could have told of more."""

    by_host: dict[str, tuple[Loss, ...]]
    looked_at: dict[str, frozenset[tuple[Path, Kind]]]
    """By host: what it could be judged by, over which path."""
    far: tuple[Gap, ...]
    """Tables in which so many hosts are late that it is their distance."""
    unsteady: tuple[Loss, ...]
    """Losses that the second pass did not find again."""
    had_partners: bool
    """Whether any host met two others, so that somebody could be told from its partner; or nobody met anybody."""


def host_losses(topic: str, evidence: Evidence, placement: Placement, limits: Limits) -> Losses:
    """Return the losses of all hosts; ``topic`` is the detector in whose name gaps are."""
    quickest = latencies_by_quickest(evidence, placement)
    crowded = set(evidence.crowded_hosts)
    replaced = {(table.stage, table.size_bytes) for table in quickest}
    quiet = without_crowded(evidence, placement)
    tables = (*(table for table in quiet if (table.stage, table.size_bytes) not in replaced), *quickest)
    largest = largest_sizes(evidence.pairs)
    reached_gbps = {table.sweep: typical_gbps(table) for table in tables if table.size_bytes == largest[table.sweep]}
    found: list[Loss] = []
    far: list[Gap] = []
    looked_at: dict[str, set[tuple[Path, Kind]]] = {}
    had_partners = all(table.scope is Scope.WITHIN_HOST for table in tables)
    for table in tables:
        kind = _kind(table, reached_gbps.get(table.sweep, 0.0))
        is_bandwidth = not is_latency(table) and table.size_bytes == largest[table.sweep]
        judge = _losses_within if kind is Kind.WITHIN else _losses_between
        losses, judged = judge(table, kind, placement, limits, is_bandwidth=is_bandwidth)
        had_partners |= kind is not Kind.WITHIN and bool(judged)
        late = {loss.host for loss in losses if kind is Kind.LATENCY and _may_be_distance(loss, limits)}
        if is_common(len(late), len(placement.hosts)):
            far.append(_distance_class(topic, table, sorted(late), len(placement.hosts)))
            losses = [loss for loss in losses if loss.host not in late]
        found += [replace(loss, by_quickest=kind is Kind.LATENCY and loss.host in crowded) for loss in losses]
        for host in judged if kind is not Kind.LATENCY else judged - crowded:
            looked_at.setdefault(host, set()).add((table.path, kind))
    by_host: dict[str, list[Loss]] = {}
    for loss in found:
        if not loss.cleared_by and (loss.host not in crowded or _is_beyond_waiting(loss, limits)):
            by_host.setdefault(loss.host, []).append(loss)
    return Losses(
        by_host={host: tuple(losses) for host, losses in by_host.items()},
        looked_at={host: frozenset(kinds) for host, kinds in looked_at.items()},
        far=tuple(far),
        unsteady=tuple(loss for loss in found if loss.cleared_by),
        had_partners=had_partners,
    )


def _is_beyond_waiting(loss: Loss, limits: Limits) -> bool:
    """Return whether a crowded host loses more than it could by waiting for a CPU."""
    return loss.loss_ratio > (TWICE_AS_LONG if loss.by_quickest else limits.host_block_ratio)


def _kind(table: PairTable, reached_gbps: float) -> Kind:
    if table.scope is Scope.WITHIN_HOST:
        return Kind.WITHIN
    if is_latency(table):
        return Kind.LATENCY
    return Kind.RATE if typical_gbps(table) < PLATEAU_SHARE * reached_gbps else Kind.LINK


def _losses_between(
    table: PairTable, kind: Kind, placement: Placement, limits: Limits, *, is_bandwidth: bool
) -> tuple[list[Loss], set[str]]:
    """Return the losses of one table between hosts, and the hosts that met enough others to be judged."""
    cleared = cleared_rows(table, placement, limits)
    steady = steady_rows(table, placement, limits)
    effects = host_effects(steady, placement, limits)
    losses = list(_losses_of(steady, kind, effects, placement, limits, is_bandwidth=is_bandwidth))
    if cleared.any():
        first = rows_of(table, ~is_second(table))
        once = _losses_of(
            first, kind, host_effects(first, placement, limits), placement, limits, is_bandwidth=is_bandwidth
        )
        losses += _not_again(list(once), table, cleared, placement)
    partners = np.maximum(effects.sender_partners, effects.receiver_partners)
    return losses, {placement.host(rank) for rank in np.flatnonzero(partners >= FEWEST_PARTNERS).tolist()}


def _losses_of(
    table: PairTable, kind: Kind, effects: Effects, placement: Placement, limits: Limits, *, is_bandwidth: bool
) -> Iterator[Loss]:
    for role in _roles(table, effects):
        for loss in _losses_of_role(table, kind, effects, role, placement, is_bandwidth=is_bandwidth):
            if _is_felt(loss, limits):
                yield loss


def _not_again(losses: list[Loss], table: PairTable, cleared: BoolArray, placement: Placement) -> Iterator[Loss]:
    """Return the losses of the first pass whose rows the second has cleared, with the partners that it met there."""
    second = is_second(table)
    for loss in losses:
        src, dst = (np.isin(ends, loss.ranks) for ends in (table.src, table.dst))
        own = {"sends": src, "receives": dst}.get(loss.verb, src | dst)
        if (own & cleared).any():
            others = np.where(src, table.dst, table.src)[own & second]
            yield replace(loss, confirmed_by=(), cleared_by=_hosts_of(others, placement))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Role:
    verb: str
    effect: NDArray[np.float64]
    own: NDArray[np.int64]
    """The rank in this role, of each row."""
    other: NDArray[np.int64]


def _roles(table: PairTable, effects: Effects) -> Iterable[_Role]:
    if table.directed:
        return (
            _Role(verb="sends", effect=effects.sender, own=table.src, other=table.dst),
            _Role(verb="receives", effect=effects.receiver, own=table.dst, other=table.src),
        )
    verb = "answers" if is_latency(table) else "streams both ways"
    both, others = np.concatenate([table.src, table.dst]), np.concatenate([table.dst, table.src])
    return (_Role(verb=verb, effect=effects.sender, own=both, other=others),)


def _losses_of_role(
    table: PairTable, kind: Kind, effects: Effects, role: _Role, placement: Placement, *, is_bandwidth: bool
) -> Iterator[Loss]:
    slow = np.flatnonzero(role.effect < 0)
    if not len(slow):
        return
    baseline, second = (np.concatenate([each, each]) for each in (effects.baseline, is_second(table)))
    for host in dict.fromkeys(placement.host_of[slow].tolist()):
        ranks = slow[placement.host_of[slow] == host]
        worst = ranks[np.argmin(role.effect[ranks])]
        rows = np.flatnonzero(role.own == worst)
        again = rows[second[rows]]
        yield Loss(
            host=placement.hosts[host],
            verb=role.verb,
            table=table,
            kind=kind,
            effect=float(role.effect[worst]),
            expected=float(baseline[rows[0]]),
            ranks=tuple(ranks.tolist()),
            partners=_hosts_of(role.other[rows], placement),
            is_bandwidth=is_bandwidth,
            confirmed_by=_hosts_of(role.other[again], placement),
        )


def _hosts_of(ranks: NDArray[np.int64], placement: Placement) -> tuple[str, ...]:
    return tuple(dict.fromkeys(placement.host(rank) for rank in ranks.tolist()))


def _losses_within(
    table: PairTable, kind: Kind, placement: Placement, limits: Limits, *, is_bandwidth: bool
) -> tuple[list[Loss], set[str]]:
    """Compare hosts by what their own ranks do with each other."""
    owner = placement.host_of[table.src]
    hosts = np.unique(owner)
    if len(hosts) < FEWEST_HOSTS:
        return [], set()
    speeds = np.array([np.median(log_speed(table.p50_ns[owner == host])) for host in hosts])
    expected = float(np.median(speeds))
    limit = outlier_distance(speeds, mads=limits.outlier_mads, floor=host_limit(table, limits))
    losses = [
        Loss(
            host=placement.hosts[hosts[at]],
            verb="moves data within itself",
            table=table,
            kind=kind,
            effect=float(speeds[at] - expected),
            expected=expected,
            ranks=placement.ranks_on(placement.hosts[hosts[at]]),
            partners=tuple(placement.hosts[each] for each in hosts if each != hosts[at]),
            is_bandwidth=is_bandwidth,
        )
        for at in np.flatnonzero(speeds - expected < -limit).tolist()
    ]
    return [loss for loss in losses if _is_felt(loss, limits)], {placement.hosts[host] for host in hosts.tolist()}


def _is_felt(loss: Loss, limits: Limits) -> bool:
    """Return whether an excess of latency is long enough for a job to notice; a loss of bandwidth always is."""
    if not is_latency(loss.table):
        return True
    return (loss.observed_ns - loss.expected_ns) / 2 > limits.latency_excess_floor_ns


def _may_be_distance(loss: Loss, limits: Limits) -> bool:
    return is_latency(loss.table) and -loss.effect < excess_as_log(limits.distance_excess_ratio)


def _distance_class(topic: str, table: PairTable, hosts: list[str], total: int) -> Gap:
    return Gap(
        topic=topic,
        reason=f"{len(hosts)} of {total} hosts answer later than the rest at {table_title(table)} ({listed(hosts)}): "
        "so many share it that they probably sit behind more switch hops, and no host is blamed",
        remedy="compare hosts of one leaf with each other: netprobe check --hosts",
    )
