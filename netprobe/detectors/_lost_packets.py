"""What findings of packet loss are made of: the case, its figures and its facts."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from netprobe.detectors._words import MOST_FACTS, percent, table_title
from netprobe.locate.loss import LossRows, Stall
from netprobe.locate.placement import Placement
from netprobe.model.evidence import Evidence, PairTable
from netprobe.model.finding import Fact
from netprobe.model.limits import Limits
from netprobe.units import format_duration

IntArray = NDArray[np.int64]

DROPS: Final = ("rx_errors", "rx_dropped", "rx_fifo", "rx_frame", "tx_errors", "tx_dropped", "tx_fifo", "tx_carrier")
OWN_DROPS: Final = ("tcp/TCPBacklogDrop", "tcp/TCPRcvQDrop", "tcp/TCPZeroWindowDrop", "tcp/InCsumErrors")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LossCase:
    """What all findings are made from."""

    evidence: Evidence
    limits: Limits
    placement: Placement
    rows: LossRows
    lossy: NDArray[np.bool_]
    tables: tuple[PairTable, ...]
    stalls: tuple[Stall, ...]


def figures(rows: LossRows, at: IntArray, of: str = "its segments") -> str:
    """Return ``0.1 % of its segments: 412 of 398,233 segments, 31 timeouts``."""
    lost, sent, timeouts = (float(values[at].sum()) for values in (rows.lost, rows.sent, rows.timeouts))
    stops = f", {timeouts:,.0f} timeout{'s' if timeouts > 1 else ''}" if timeouts else ""
    return f"{share(lost / max(sent, 1.0))} of {of}: {lost:,.0f} of {sent:,.0f} segments{stops}"


def share(ratio: float) -> str:
    """Return ``0.1 %``: two digits however small, for losses matter far below a tenth of a percent."""
    return percent(ratio) if ratio >= 0.01 else f"{100 * ratio:.2g} %"


def receivers_agree(rows: LossRows, at: IntArray) -> bool:
    """Return whether most receivers saw something missing; an unknown count does not agree."""
    return bool(2 * (rows.out_of_order[at] > 0).sum() > len(at))


def row_facts(case: LossCase, at: IntArray) -> Iterator[Fact]:
    """Tell what the worst directions lost, as sender and receiver saw it."""
    rows, hosts = case.rows, case.placement.hosts
    for row in at[np.argsort(-rows.ratio[at], kind="stable")][: MOST_FACTS // 2].tolist():
        early = rows.out_of_order[row]
        seen = "" if np.isnan(early) else f", {early:,.0f} arrived out of order"
        needless = rows.retransmitted[row] - rows.lost[row]
        yield Fact(
            metric=f"{hosts[int(rows.src[row])]} to {hosts[int(rows.dst[row])]}, segments lost",
            observed=f"{figures(rows, np.array([row]))}{seen}"
            + (f", {needless:,.0f} more sent again needlessly" if needless else ""),
            expected=f"below {share(case.limits.loss_ratio)}",
            basis="limit loss_ratio",
        )


def host_facts(case: LossCase, host: int) -> Iterator[Fact]:
    """Tell what the host's own interfaces and queues dropped, and what it lost in collectives."""
    drops = [name for name in case.evidence.counters.grown if name.rpartition("/")[2] in DROPS or name in OWN_DROPS]
    for name in sorted(drops):
        if count := sum_of(case.evidence, name, host=host, placement=case.placement):
            yield Fact(metric=name, observed=f"{count:,.0f}", expected="0", basis="counted by the host itself")
    paired = {table.stage for table in case.evidence.pairs}
    # Where queues are filled on purpose TCP loses: that is nobody's fault.
    paired |= {table.stage for table in case.evidence.loaded}
    paired |= {table.stage for table in case.evidence.flows_together}
    collective = np.array([stage not in paired for stage in case.evidence.counters.stage], dtype=bool)
    lost = sum_of(case.evidence, "tcp/RetransSegs", host=host, placement=case.placement, rows=collective)
    if lost:
        yield Fact(metric="segments sent again in collectives", observed=f"{lost:,.0f}", expected="0", basis="TCP")


def stall_facts(case: LossCase, at: IntArray) -> Iterator[Fact]:
    """Tell the longest stalls of these directions."""
    hosts = case.placement.hosts
    pairs = {(hosts[int(case.rows.src[row])], hosts[int(case.rows.dst[row])]) for row in at.tolist()}
    own = [s for s in case.stalls if (s.src, s.dst) in pairs or (not s.table.directed and (s.dst, s.src) in pairs)]
    return (stall_fact(stall) for stall in own[: MOST_FACTS // 2])


def stall_fact(stall: Stall) -> Fact:
    """Tell a stall, and which timer is as long."""
    return Fact(
        metric=f"{table_title(stall.table)}, {stall.src} to {stall.dst}, slowest beyond the median",
        observed=format_duration(stall.stall_ns),
        expected="no stall",
        basis=f"as long as a {stall.timer}",
    )


def sum_of(
    evidence: Evidence,
    name: str,
    *,
    host: int | None = None,
    placement: Placement | None = None,
    rows: NDArray[np.bool_] | None = None,
) -> float | None:
    """Return the growth of a counter over all windows, or those of a host; None when nobody counted it."""
    grown = evidence.counters.grown.get(name)
    if grown is None:
        return None
    chosen = np.isfinite(grown)
    if placement is not None and host is not None:
        chosen &= placement.host_of[evidence.counters.rank] == host
    if rows is not None:
        chosen &= rows
    return float(grown[chosen].sum()) if chosen.any() else None
