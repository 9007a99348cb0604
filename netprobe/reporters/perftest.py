"""Pairs over RDMA in the layout of perftest (ib_write_bw, ib_send_lat, …), for tools that read its output.

Layout from src/perftest_parameters.h of linux-rdma/perftest, with --report_gbits, and more digits. What is ours and not
theirs is said in comment lines: a table is of all pairs, and has no column of what was not measured, such as t_stdev.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Final

from netprobe.contracts import RenderOptions, Reporter
from netprobe.model.plan import Memory, Path
from netprobe.model.rdma import Operation
from netprobe.model.report import PairSummary, Report
from netprobe.reporters._wording import counted, short_name
from netprobe.units import NS_PER_US

Column = tuple[str, Callable[[PairSummary], float | None]]

RULE: Final = "-" * 87
SIZE_WIDTH: Final = 10
COLUMN_GAP: Final = 3
MEGA: Final = 1e6

OPERATIONS: Final = {
    Operation.SEND: "Send",
    Operation.WRITE: "RDMA_Write",
    Operation.WRITE_IMMEDIATE: "RDMA_Write",
    Operation.READ: "RDMA_Read",
    Operation.ATOMIC: "Atomic",
}
TESTS: Final = {"latency": "Latency", "bandwidth": "BW", "bidirectional": "Bidirectional BW"}
LATENCIES: Final[tuple[Column, ...]] = (
    ("t_min[usec]", lambda row: _us(row.min_ns)),
    ("t_max[usec]", lambda row: _us(row.max_ns)),
    ("t_typical[usec]", lambda row: _us(row.typical_ns)),
    ("t_avg[usec]", lambda row: _us(row.mean_ns)),
    ("99% percentile[usec]", lambda row: _us(row.p99_ns)),
)
STREAMS: Final[tuple[Column, ...]] = (
    ("BW peak[Gb/sec]", lambda _row: 0.0),  # as perftest writes where it did not look for one
    ("BW average[Gb/sec]", lambda row: row.typical_gbps),
    ("MsgRate[Mpps]", lambda row: None if row.typical_messages_per_s is None else row.typical_messages_per_s / MEGA),
)


def render(report: Report, _options: RenderOptions) -> str:
    """Return a report for each verb, probe and memory."""
    blocks: dict[tuple[Operation, *tuple[object, ...]], list[PairSummary]] = {}
    for row in report.pairs:
        if row.path is Path.VERBS and row.operation is not None and row.probe in TESTS:
            key = (row.operation, row.probe, row.scope, row.window, row.send_memory, row.receive_memory)
            blocks.setdefault(key, []).append(row)
    if not blocks:
        return f"# netprobe run {short_name(report.run_id)} measured no pairs over RDMA; see --format osu\n"
    return "".join(f"{line}\n" for key, rows in blocks.items() for line in _block(report, key[0], rows))


def _block(report: Report, operation: Operation, rows: list[PairSummary]) -> Iterator[str]:
    first = min(rows, key=lambda row: row.size_bytes)
    yield RULE
    yield f"                    {OPERATIONS[operation]} {TESTS[first.probe]} Test"
    yield f"# netprobe {short_name(report.netprobe)} run {short_name(report.run_id)}, laid out as perftest"
    yield f"# netprobe: {first.scope.value}: {counted(first.pairs, 'pair')} of ranks in one table"
    yield f"# netprobe: {_meaning(first)}"
    if operation is Operation.WRITE_IMMEDIATE:
        yield "# netprobe: writes with immediate data"
    memory: tuple[Memory, Memory] = (first.send_memory, first.receive_memory)
    if any(each is not Memory.HOST for each in memory):
        yield f"# netprobe: memory {memory[0].value} to {memory[1].value}"
    yield RULE
    is_stream = first.typical_gbps is not None
    yield from _table(sorted(rows, key=lambda row: row.size_bytes), STREAMS if is_stream else LATENCIES)
    yield RULE


def _meaning(row: PairSummary) -> str:
    if row.typical_gbps is None:
        return "t_min, t_max and t_avg are over all of them; other figures are the median over pairs of each pair's own"
    in_flight = counted(row.window, "message")
    return f"a rate is the median over pairs of each pair's own, {in_flight} in flight; no peak was looked for: 0"


def _table(rows: Sequence[PairSummary], columns: Sequence[Column]) -> Iterator[str]:
    known = [column for column in columns if all(column[1](row) is not None for row in rows)]
    gap = " " * COLUMN_GAP
    yield f" {'#bytes':<{SIZE_WIDTH}} {'#iterations':<12}" + "".join(f"{gap}{name}" for name, _ in known)
    for row in rows:
        cells = (f"{gap}{value:<{len(name)}.6f}" for name, figure in known if (value := figure(row)) is not None)
        yield (f" {row.size_bytes:<{SIZE_WIDTH}} {_iterations(row):<12}" + "".join(cells)).rstrip()


def _iterations(row: PairSummary) -> int:
    """Return how many messages a pair sent, of the one as of the others: perftest counts messages, not windows."""
    return row.samples * row.window // max(row.pairs, 1)


def _us(elapsed_ns: float | None) -> float | None:
    return None if elapsed_ns is None else elapsed_ns / NS_PER_US


REPORTER = Reporter(id="perftest", title="pairs over RDMA as perftest prints them", render=render)
