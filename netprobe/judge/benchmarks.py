"""What can be said of other tools' figures: wrong results, rates below what is expected, and dents in a sweep."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from netprobe.model.benchmark import Benchmark, BenchmarkRow
from netprobe.model.finding import Confidence, Fact, Finding, Gap, Severity
from netprobe.model.limits import Limits
from netprobe.units import format_gbps, format_size

DENT_RATIO: Final = 0.20
"""A rate so far below that of a neighbouring size is no noise of a sweep."""
LEAST_GBPS: Final = 1.0
"""Below, two decimals of GB/s are too few to compare."""
MOST_SHOWN: Final = 4
LINE_RATES_GBPS: Final = (10.0, 25.0, 40.0, 50.0, 56.0, 100.0, 200.0, 400.0, 800.0)
NEAR_LINE: Final = (0.94, 1.02)
"""Share of a line rate: above, the packets' own headers leave no room; a little over 1, since a loop has no wire."""
TOPIC: Final = "benchmarks"


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """Something worth knowing that is neither a fault nor a gap."""

    subject: str
    text: str


def judged(benchmark: Benchmark, limits: Limits) -> Iterator[Finding | Gap | Note]:
    """Yield what one table tells."""
    yield from _wrong(benchmark)
    yield from _expected(benchmark, limits)
    yield from _dents(benchmark)
    yield from _uneven(benchmark)
    yield from _line_rate(benchmark)
    if len(benchmark.hosts or ()) == 1 or benchmark.is_loopback:
        where = (
            "both ends are one port" if benchmark.is_loopback else f"all ranks ran on {(benchmark.hosts or ('',))[0]}"
        )
        yield Note(subject=benchmark.title, text=f"{where}: no network was involved, so it says nothing of the fabric")


def rate_gbps(row: BenchmarkRow) -> float | None:
    """Return what a row reached: what its tool calls bandwidth, or size over time."""
    return row.algbw_gbps if row.busbw_gbps is None else row.busbw_gbps


def _wrong(benchmark: Benchmark) -> Iterator[Finding | Gap]:
    bad = [row for row in benchmark.rows if row.wrong]
    total = benchmark.out_of_bounds or 0
    if bad or total:
        sizes = ", ".join(dict.fromkeys(format_size(row.size_bytes) for row in bad)) or "not told"
        yield Finding(
            detector="corruption",
            severity=Severity.BLOCKS,
            confidence=Confidence.HIGH,
            subjects=(benchmark.title,),
            hosts=(),
            summary=f"wrong results: {max(total, sum(row.wrong or 0 for row in bad)):,} elements; sizes: {sizes}",
            facts=tuple(
                Fact(
                    metric=f"wrong elements at {format_size(row.size_bytes)}",
                    observed=f"{row.wrong:,}",
                    expected="0",
                    basis="compared by the tool itself",
                )
                for row in bad[:MOST_SHOWN]
            ),
            next_action="halve the list of hosts again and again until one half is right: the tool names no rank",
        )
    elif benchmark.tool.endswith("ccl-tests") and all(row.wrong is None for row in benchmark.rows):
        yield Gap(
            topic="corruption",
            reason=f"{benchmark.title} did not compare its data",
            remedy="the same with -c 1",
        )


def _expected(benchmark: Benchmark, limits: Limits) -> Iterator[Finding | Gap]:
    rows = [row for row in benchmark.rows if row.algbw_gbps is not None]
    if not rows or not (benchmark.is_one_way or benchmark.is_two_way):
        if rows:
            yield Gap(
                topic="expectation",
                reason=f"{benchmark.title} was not judged against a rate: that of a collective is not one of a link",
                remedy="netprobe check, or a benchmark of pairs",
            )
        return
    if benchmark.is_loopback:
        return
    if not limits.expected_bandwidth_gbps:
        yield Gap(
            topic="expectation",
            reason="absolute rates were not judged: nobody said what to expect",
            remedy="expected_bandwidth_gbps in --limits",
        )
        return
    largest = max(rows, key=lambda row: row.size_bytes)
    ways = 2 if benchmark.is_two_way else 1
    seen_gbps = (largest.algbw_gbps or 0.0) / ways
    missing = 1 - seen_gbps / limits.expected_bandwidth_gbps
    if missing > limits.pair_loss_ratio:
        blocks = missing > limits.host_block_ratio
        expected = format_gbps(limits.expected_bandwidth_gbps)
        yield Finding(
            detector="expectation",
            severity=Severity.BLOCKS if blocks else Severity.DEGRADES,
            confidence=Confidence.MEDIUM,  # one table, made with who knows what options
            subjects=(benchmark.title,),
            hosts=(),
            summary=f"{format_gbps(seen_gbps)} at {format_size(largest.size_bytes)} is {missing:.0%} below the "
            f"expected {expected}",
            facts=(
                Fact(
                    metric=f"{'each way of two' if ways > 1 else 'one way'}, {format_size(largest.size_bytes)}",
                    observed=format_gbps(seen_gbps),
                    expected=expected,
                    basis="what the limits say to expect",
                ),
            ),
            next_action="repeat it with several queue pairs (-q 8) and with the memory of the right NUMA node",
        )


def _dents(benchmark: Benchmark) -> Iterator[Note]:
    """Note sizes that are slower than the next smaller one by more than a sweep's noise."""
    for in_place in (False, True):
        rows = [row for row in benchmark.rows if row.in_place is in_place]
        dents = [
            f"{format_gbps(rate)} at {format_size(row.size_bytes)} after {format_gbps(before)}"
            for previous, row in pairwise(rows)
            if (before := rate_gbps(previous)) is not None
            and (rate := rate_gbps(row)) is not None
            and before >= LEAST_GBPS
            and row.size_bytes > previous.size_bytes
            and rate < (1 - DENT_RATIO) * before
        ]
        if dents:
            half = " in place" if in_place else ""
            yield Note(subject=benchmark.title, text=f"slower with a larger size{half}: {_listed(dents)}")


def _uneven(benchmark: Benchmark) -> Iterator[Note]:
    """Note sizes whose average stays far below their own peak: something stopped the stream now and then."""
    uneven = [
        f"{format_size(row.size_bytes)} ({format_gbps(row.algbw_gbps)} of {format_gbps(row.peak_gbps)})"
        for row in benchmark.rows
        if row.peak_gbps is not None
        and row.algbw_gbps is not None
        and row.peak_gbps >= LEAST_GBPS
        and row.algbw_gbps < (1 - DENT_RATIO) * row.peak_gbps
    ]
    if uneven:
        yield Note(subject=benchmark.title, text=f"the average is far below the peak at {_listed(uneven)}")


def _line_rate(benchmark: Benchmark) -> Iterator[Note]:
    if not benchmark.is_one_way:
        return
    best_gbps = max((row.algbw_gbps or 0.0 for row in benchmark.rows), default=0.0)
    for line_gbps in LINE_RATES_GBPS:
        if NEAR_LINE[0] <= best_gbps / line_gbps <= NEAR_LINE[1]:
            text = f"{format_gbps(best_gbps)} is about the line rate of a port of {line_gbps:g} Gb/s"
            yield Note(subject=benchmark.title, text=text)


def _listed(texts: Sequence[str]) -> str:
    more = f" and {len(texts) - MOST_SHOWN} more" if len(texts) > MOST_SHOWN else ""
    return ", ".join(texts[:MOST_SHOWN]) + more
