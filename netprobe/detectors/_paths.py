"""What slow-pair and asymmetry share: outlying pairs of all tables, gathered by the two hosts they join."""

from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from netprobe.detectors._crowded import without_crowded
from netprobe.detectors._words import (
    MOST_FACTS,
    is_common,
    listed,
    percent,
    rate_at,
    retest,
    table_title,
    times,
)
from netprobe.locate.effects import Effects
from netprobe.locate.passes import STEADY_SHARE, is_second, steady_rows
from netprobe.locate.paths import PathOutliers, host_effects, is_latency, path_outliers
from netprobe.locate.placement import Placement
from netprobe.model.evidence import Evidence, IntArray, PairTable, Sweep
from netprobe.model.finding import Confidence, Fact, Finding, Gap, Severity
from netprobe.model.limits import Limits
from netprobe.model.plan import Scope
from netprobe.stats.distinct import count_distinct
from netprobe.stats.rates import excess_as_log, log_speed, loss_ratio


@dataclass(frozen=True, slots=True, kw_only=True)
class SlowPath:
    """One row that its ends do not explain."""

    table: PairTable
    src: int
    dst: int
    observed: float
    """Log speed."""
    expected: float
    """Log speed of a pair with these two ends."""
    reverse: float | None
    """Log speed of the other direction; None when it was not measured."""
    is_confirmed: bool
    """Whether it was measured again in a second pass, and was slow again."""

    @property
    def loss_ratio(self) -> float:
        """The share of the rate that is lost (for a latency: of the rate of round trips)."""
        return loss_ratio(self.observed - self.expected)


@dataclass(frozen=True, slots=True, kw_only=True)
class TablePaths:
    """One table between hosts, fitted."""

    table: PairTable
    effects: Effects
    outliers: PathOutliers

    def path(self, row: int) -> SlowPath:
        """Return one row as a record."""
        observed = float(log_speed(self.table.p50_ns[row : row + 1])[0])
        expected = observed - float(self.effects.residual[row])
        back = np.flatnonzero((self.table.src == self.table.dst[row]) & (self.table.dst == self.table.src[row]))
        reverse = float(log_speed(self.table.p50_ns[back[:1]])[0]) if self.table.directed and len(back) else None
        return SlowPath(
            table=self.table,
            src=int(self.table.src[row]),
            dst=int(self.table.dst[row]),
            observed=observed,
            expected=expected,
            reverse=reverse,
            is_confirmed=bool(is_second(self.table)[self.of_pair(row)].any()),
        )

    def of_pair(self, row: int) -> IntArray:
        """Return the rows that measured the same: the direction, or the pair where directions are not told apart."""
        src, dst = self.table.src, self.table.dst
        same = (src == src[row]) & (dst == dst[row])
        if not self.table.directed:
            same |= (src == dst[row]) & (dst == src[row])
        return np.flatnonzero(same)

    def is_steady(self, row: int) -> bool:
        """Return whether a pair that was measured again was slow every time; True for all others."""
        same = self.of_pair(row)
        if not is_second(self.table)[same].any():
            return True
        return bool(self.effects.residual[same].max() <= STEADY_SHARE * self.effects.residual[row])


def fitted_tables(evidence: Evidence, placement: Placement, limits: Limits) -> Iterator[TablePaths]:
    """Fit every table between hosts, without pairs of crowded hosts: their pace is the scheduler's."""
    for table in without_crowded(evidence, placement, keeps_streams=False):
        if table.scope is not Scope.BETWEEN_HOSTS:
            continue
        steady = steady_rows(table, placement, limits)
        effects = host_effects(steady, placement, limits)
        yield TablePaths(table=steady, effects=effects, outliers=path_outliers(steady, effects, limits))


def paths_by_hosts(  # noqa: PLR0913 - what is looked at, how, and what is told elsewhere
    tables: Iterator[TablePaths],
    placement: Placement,
    chosen: Callable[[TablePaths], IntArray],
    topic: str,
    largest: dict[Sweep, int],
    limits: Limits,
    decided: Collection[tuple[str, str]] = (),
) -> tuple[dict[tuple[str, str], list[SlowPath]], list[Finding | Gap]]:
    """Return the chosen rows of all tables by the two hosts they join; apart, what is not held against any of them.

    ``largest`` are the sizes that tell of bandwidth (largest_sizes). Of the hosts of ``decided`` something else tells.
    """
    by_hosts: dict[tuple[str, str], list[SlowPath]] = {}
    once: dict[tuple[str, str], SlowPath] = {}
    shared: list[Finding | Gap] = []
    for fitted in tables:
        rows, table = _once_each(fitted, chosen(fitted)), fitted.table
        steady = np.array([fitted.is_steady(row) for row in rows.tolist()], dtype=bool)
        for path in (fitted.path(row) for row in rows[~steady].tolist()):
            once.setdefault(_ends(path, placement), path)
        rows = rows[steady]
        is_bandwidth = not is_latency(table) and table.size_bytes == largest[table.sweep]
        # Disjoint pairs should all have their bandwidth, however far apart, and distance explains not just any delay.
        may_be_far = np.full(len(rows), not is_bandwidth)
        may_be_far &= fitted.effects.residual[rows] > -excess_as_log(limits.distance_excess_ratio)
        for some, answer in ((rows[may_be_far], _distance), (rows[~may_be_far], _shared_loss)):
            if _is_class(table, some, placement):
                shared.append(answer(fitted, some, placement, topic))
                continue
            for path in (fitted.path(row) for row in some.tolist()):
                by_hosts.setdefault(_ends(path, placement), []).append(path)
    shared += [_unsteady(path, placement, topic) for ends, path in once.items() if ends not in {*by_hosts, *decided}]
    return by_hosts, shared


def confirmed(paths: Iterable[SlowPath]) -> tuple[str, ...]:
    """Return what the second pass excludes."""
    is_confirmed = any(path.is_confirmed for path in paths)
    return ("a passing disturbance (confirmed in a second pass)",) if is_confirmed else ()


def path_fact(path: SlowPath, placement: Placement) -> Fact:
    """Return a row as the figure behind a finding."""
    arrow = "->" if path.table.directed else "<->"
    return Fact(
        metric=f"{table_title(path.table)}, {placement.name(path.src)} {arrow} {placement.name(path.dst)}",
        observed=rate_at(path.table, path.observed),
        expected=rate_at(path.table, path.expected),
        basis="what these two ends do with others",
    )


def retest_path(path: SlowPath, placement: Placement) -> str:
    """Return the command that measures the two hosts with each other again."""
    return retest(path.table, [placement.host(path.src), placement.host(path.dst)], placement)


def _ends(path: SlowPath, placement: Placement) -> tuple[str, str]:
    first, second = sorted((placement.host(path.src), placement.host(path.dst)))
    return first, second


def _once_each(fitted: TablePaths, rows: IntArray) -> IntArray:
    """Return the first of the rows that measured the same."""
    seen: set[int] = set()
    kept: list[int] = []
    for row in rows.tolist():
        if row not in seen:
            kept.append(row)
            seen.update(fitted.of_pair(row).tolist())
    return np.array(kept, dtype=np.int64)


def _unsteady(path: SlowPath, placement: Placement, topic: str) -> Gap:
    src, dst = placement.host(path.src), placement.host(path.dst)
    arrow = "->" if path.table.directed else "<->"
    return Gap(
        topic=topic,
        reason=f"{src} {arrow} {dst} was slow once ({rate_at(path.table, path.observed)} where its ends suggest "
        f"{rate_at(path.table, path.expected)}, {table_title(path.table)}) and not when it was measured again: "
        "no path is blamed",
        remedy=retest_path(path, placement),
    )


def _distinct_pairs(src: IntArray, dst: IntArray, placement: Placement) -> int:
    """Return how many pairs of hosts there are, whatever their direction and rail."""
    one, other = placement.host_of[src], placement.host_of[dst]
    hosts = len(placement.hosts)
    return count_distinct(np.minimum(one, other) * hosts + np.maximum(one, other), below=hosts * hosts)


def _is_class(table: PairTable, rows: IntArray, placement: Placement) -> bool:
    if not len(rows):
        return False
    some = _distinct_pairs(table.src[rows], table.dst[rows], placement)
    return is_common(some, _distinct_pairs(table.src, table.dst, placement))


def _share(fitted: TablePaths, rows: IntArray, placement: Placement) -> str:
    table = fitted.table
    slow = _distinct_pairs(table.src[rows], table.dst[rows], placement)
    pairs = _distinct_pairs(table.src, table.dst, placement)
    return f"{slow} of {pairs} pairs of hosts are slower than the rest at {table_title(table)}"


def _distance(fitted: TablePaths, rows: IntArray, placement: Placement, topic: str) -> Gap:
    """Return the answer for small excesses of time: a fabric has near and far pairs, and nothing is lost."""
    ends = zip(fitted.table.src[rows].tolist(), fitted.table.dst[rows].tolist(), strict=True)
    names = dict.fromkeys(f"{placement.host(src)}-{placement.host(dst)}" for src, dst in ends)
    return Gap(
        topic=topic,
        reason=f"{_share(fitted, rows, placement)} ({listed(names)}): so many share it that it is probably "
        "their distance, and no path is blamed",
        remedy="compare hosts of one leaf with each other: netprobe check --hosts",
    )


def _shared_loss(fitted: TablePaths, rows: IntArray, placement: Placement, topic: str) -> Finding:
    """Return the answer for what distance cannot explain: something is wrong, whoever is to blame."""
    paths = [fitted.path(int(row)) for row in rows]
    typical = float(np.median([path.loss_ratio for path in paths]))
    figure = f"{times(1 / (1 - typical))} the time" if is_latency(fitted.table) else f"by {percent(typical)}"
    return Finding(
        detector=topic,
        severity=Severity.WARNS,
        confidence=Confidence.MEDIUM,
        subjects=("fabric",),
        hosts=(),
        summary=f"{_share(fitted, rows, placement)}, typically {figure}: no single host or path",
        facts=tuple(path_fact(path, placement) for path in paths[:MOST_FACTS]),
        excluded=("single hosts and paths (too many pairs share it)",),
        next_action="look for what they share: colliding flows (ECMP), an oversubscribed layer, another job's traffic",
    )
