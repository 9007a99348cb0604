"""What slow-pair and asymmetry share: outlying pairs of all tables, gathered by the two hosts they join."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from netprobe.detectors._words import (
    MOST_FACTS,
    between_hosts,
    is_common,
    listed,
    percent,
    rate_at,
    retest,
    table_title,
    times,
)
from netprobe.locate.effects import Effects
from netprobe.locate.paths import PathOutliers, host_effects, is_latency, path_outliers
from netprobe.locate.placement import Placement
from netprobe.model.evidence import Evidence, IntArray, PairTable
from netprobe.model.finding import Confidence, Fact, Finding, Gap, Severity
from netprobe.model.limits import Limits
from netprobe.model.plan import Scope
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
        )


def fitted_tables(evidence: Evidence, placement: Placement, limits: Limits) -> Iterator[TablePaths]:
    """Fit every table between hosts."""
    for table in between_hosts(evidence):
        effects = host_effects(table, placement, limits)
        yield TablePaths(table=table, effects=effects, outliers=path_outliers(table, effects, limits))


def paths_by_hosts(
    tables: Iterator[TablePaths],
    placement: Placement,
    chosen: Callable[[TablePaths], IntArray],
    topic: str,
    largest: dict[tuple[str, Scope], int],
    limits: Limits,
) -> tuple[dict[tuple[str, str], list[SlowPath]], list[Finding | Gap]]:
    """Return the chosen rows of all tables by the two hosts they join; apart, what too many pairs have in common.

    ``largest`` are the sizes that tell of bandwidth (largest_sizes).
    """
    by_hosts: dict[tuple[str, str], list[SlowPath]] = {}
    shared: list[Finding | Gap] = []
    for fitted in tables:
        rows, table = chosen(fitted), fitted.table
        is_bandwidth = not is_latency(table) and table.size_bytes == largest[table.probe, table.scope]
        # Disjoint pairs should all have their bandwidth, however far apart, and distance explains not just any delay.
        may_be_far = np.full(len(rows), not is_bandwidth)
        may_be_far &= fitted.effects.residual[rows] > -excess_as_log(limits.distance_excess_ratio)
        for some, answer in ((rows[may_be_far], _distance), (rows[~may_be_far], _shared_loss)):
            if _is_class(table, some, placement):
                shared.append(answer(fitted, some, placement, topic))
                continue
            for path in (fitted.path(int(row)) for row in some):
                ends = sorted((placement.host(path.src), placement.host(path.dst)))
                by_hosts.setdefault((ends[0], ends[1]), []).append(path)
    return by_hosts, shared


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


def _distinct_pairs(src: IntArray, dst: IntArray, placement: Placement) -> int:
    """Return how many pairs of hosts there are, whatever their direction and rail."""
    ends = np.sort(np.stack([placement.host_of[src], placement.host_of[dst]]), axis=0)
    return int(np.unique(ends, axis=1).shape[1])


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
