"""Pairs of ranks that are slower than expected: by what a site says, by the table, or by the rate of their ports."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from netprobe.detectors._line_rates import line_rates_gbps
from netprobe.locate.expected import Lack, cited, key_words
from netprobe.locate.paths import is_latency
from netprobe.model.evidence import Evidence, FloatArray, PairTable
from netprobe.model.expectation import Expectation, Kind
from netprobe.model.limits import Limits
from netprobe.stats.rates import loss_as_log

WINDOW_NS: Final = 10_000.0
"""What a window of a stream may take beyond its bytes: the round trip that ends it, at the latency that OCI gates."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shortfall:
    """A pair of ranks that is slower than expected by more than its limit."""

    table: PairTable
    src: int
    dst: int
    p50_ns: float
    expected_ns: float
    """A sample of a pair that does just what is expected."""
    blocks: bool
    basis: str = "what the limits say to expect"
    said_by: str = ""
    """Who published the figure, where it is from the table."""

    @property
    def ratio(self) -> float:
        """How many times longer than expected."""
        return self.p50_ns / self.expected_ns


def below_limits(table: PairTable, limits: Limits) -> Iterator[Shortfall]:
    """Yield the rows that are beyond the limit of a pair: as a rate for bandwidth, as a time for latency."""
    if is_latency(table):
        expected_ns = 2 * limits.expected_latency_ns
        felt_ns = expected_ns + 2 * limits.latency_excess_floor_ns
        slow_ns = max(expected_ns * (1 + limits.latency_excess_ratio), felt_ns)
        blocked_ns = max(expected_ns * (1 + limits.distance_excess_ratio), felt_ns)
    else:
        expected_ns = 8 * table.bytes_per_iteration / limits.expected_bandwidth_gbps
        slow_ns = expected_ns * math.exp(loss_as_log(limits.pair_loss_ratio))
        blocked_ns = expected_ns * math.exp(loss_as_log(limits.host_block_ratio))
    for row in np.flatnonzero(table.p50_ns > min(slow_ns, blocked_ns)).tolist():
        p50_ns = float(table.p50_ns[row])
        yield Shortfall(
            table=table,
            src=int(table.src[row]),
            dst=int(table.dst[row]),
            p50_ns=p50_ns,
            expected_ns=expected_ns,
            blocks=p50_ns > blocked_ns,
        )


def below_table(
    evidence: Evidence, table: PairTable, expected: Sequence[Expectation | Lack], limits: Limits
) -> Iterator[Shortfall]:
    """Yield the rows that do not reach their figure of the table of expectations; ``expected`` has one for each row."""
    line_gbps = line_rates_gbps(evidence, table)
    entries = {id(each): each for each in expected if isinstance(each, Expectation)}
    held_by = np.array([id(each) for each in expected])
    for identity, entry in entries.items():
        rows = np.flatnonzero(held_by == identity)
        if entry.latency_ns is None:
            least_ns = 8 * table.bytes_per_iteration / (line_gbps[rows] * (entry.line_ratio or 1.0))
            bounds = _stream_bounds(least_ns, entry.kind, limits)
        else:
            bounds = _latency_bounds(np.full(len(rows), 2 * entry.latency_ns), entry.kind, limits)
        p50_ns = table.p50_ns[rows]
        for at in np.flatnonzero(p50_ns > np.minimum(bounds.slow_ns, bounds.blocked_ns)).tolist():
            yield Shortfall(
                table=table,
                src=int(table.src[rows[at]]),
                dst=int(table.dst[rows[at]]),
                p50_ns=float(p50_ns[at]),
                expected_ns=float(bounds.expected_ns[at]),
                blocks=bool(p50_ns[at] > bounds.blocked_ns[at]),
                basis=f"{cited(entry)} ({key_words(entry)})",
                said_by=cited(entry),
            )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Bounds:
    """Times of a sample, by row: at its figure, beyond which it is slow, and beyond which it blocks."""

    expected_ns: FloatArray
    slow_ns: FloatArray
    blocked_ns: FloatArray


def _stream_bounds(least_ns: FloatArray, kind: Kind, limits: Limits) -> _Bounds:
    """Return the bounds of a window that takes ``least_ns`` at its figure.

    A gate is where its publisher takes hosts out; what is typical or was seen once has the margin of a pair.
    """
    margin = 1.0 if kind is Kind.GATE else math.exp(loss_as_log(limits.pair_loss_ratio))
    blocked_ns = least_ns * math.exp(loss_as_log(limits.host_block_ratio)) + WINDOW_NS
    return _Bounds(expected_ns=least_ns, slow_ns=least_ns * margin + WINDOW_NS, blocked_ns=blocked_ns)


def _latency_bounds(expected_ns: FloatArray, kind: Kind, limits: Limits) -> _Bounds:
    """Return the bounds of a round trip; none blocks, as nobody said how far apart the hosts are."""
    excess = 1.0 if kind is Kind.GATE else 1.0 + limits.latency_excess_ratio
    return _Bounds(
        expected_ns=expected_ns, slow_ns=expected_ns * excess, blocked_ns=np.full(len(expected_ns), math.inf)
    )


def below_line_rate(
    evidence: Evidence, table: PairTable, expected: Sequence[Expectation | Lack], limits: Limits
) -> Iterator[Shortfall]:
    """Yield the rows without a figure that leave most of their ports' rate unused; how much is lost, nobody said."""
    expected_ns = 8 * table.bytes_per_iteration / line_rates_gbps(evidence, table)
    unsaid = np.array([isinstance(each, Lack) for each in expected], dtype=bool)
    for row in np.flatnonzero(unsaid & (table.p50_ns > expected_ns / limits.line_rate_ratio)).tolist():
        yield Shortfall(
            table=table,
            src=int(table.src[row]),
            dst=int(table.dst[row]),
            p50_ns=float(table.p50_ns[row]),
            expected_ns=float(expected_ns[row]),
            blocks=False,
            basis="the rate of the slower port, shared by the ranks that use it",
        )
