"""What ``netprobe ingest`` prints: findings, what cannot be told, and the figures. Names in files may be hostile."""

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Final

from netprobe.contracts import RenderOptions
from netprobe.judge.ingested import Ingested, Total
from netprobe.model.benchmark import Benchmark, BenchmarkRow
from netprobe.model.verdict import ExitCode
from netprobe.reporters._wording import (
    ABSENT,
    NOTHING_WRONG,
    TOO_LITTLE,
    counted,
    duration,
    fold,
    message_size,
    visible,
)
from netprobe.units import format_count, format_gbps

if TYPE_CHECKING:
    from rich.console import Console

BITS: Final = 8
MOST_ROWS: Final = 12
"""Of a table or of history, unless all are wanted: the largest sizes say most."""

MOST_NOTES: Final = 40


def drawn(found: Ingested, options: RenderOptions) -> str:
    """Return the text for a terminal, a pipe or a mail."""
    from rich.text import Text

    from netprobe.reporters.console import console_for, print_findings, print_gaps, without_trailing_spaces

    console = console_for(options)
    with console.capture() as captured:
        console.print(Text(_headline(found), style="bold"), soft_wrap=True)
        _lines(console, found.files)
        console.print()
        print_findings(console, found.findings, options)
        print_gaps(console, "not told", found.gaps)
        if found.gaps:
            console.print()
        _notes(console, found, options)
        _history(console, found.history, options)
        for benchmark in found.benchmarks:
            _figures(console, benchmark, options)
            _lines(console, (each.text for each in found.notes if each.subject == benchmark.title))
            console.print()
    return without_trailing_spaces(captured.get())


def _headline(found: Ingested) -> str:
    told = []
    if found.benchmarks:
        told.append(counted(len(found.benchmarks), "benchmark"))
    if found.hosts:
        told.append(f"counters or settings of {fold(found.hosts)}")
    if found.nccl_hosts:
        told.append(f"NCCL's log of {fold(found.nccl_hosts)}")
    if found.links:
        told.append(f"{counted(found.links, 'link')} of an InfiniBand subnet")
    if found.switches:
        count = len(found.switches)
        told.append(f"counters of {count:,} switch{'es' * (count > 1)}")
    if found.findings:
        result = counted(len(found.findings), "finding")
    elif not found.is_judged:
        result = "nothing could be judged"
    else:
        result = NOTHING_WRONG if found.exit_code is ExitCode.HEALTHY else TOO_LITTLE
    return ": ".join((*((", ".join(told),) if told else ()), result))


def _lines(console: "Console", lines: Iterable[str]) -> None:
    from rich.text import Text

    for line in lines:
        console.print(Text(f"  {visible(line)}"), soft_wrap=True)


def _notes(console: "Console", found: Ingested, options: RenderOptions) -> None:
    tables = {each.title for each in found.benchmarks}
    notes = [each for each in found.notes if each.subject not in tables]
    if notes:
        console.print("notes")
        shown = notes if options.verbose else notes[:MOST_NOTES]
        _lines(console, (f"{each.subject}  {each.text}" for each in shown))
        if len(notes) > len(shown):
            _lines(console, [f"… and {len(notes) - len(shown)} more; -v shows all"])
        console.print()


def _history(console: "Console", totals: tuple[Total, ...], options: RenderOptions) -> None:
    if not totals:
        return
    shown = totals if options.verbose else totals[:MOST_ROWS]
    console.print("history: totals since the counters were reset, which may be long ago")
    for total in shown:
        more = "at least " if total.is_at_least else ""
        _lines(console, [f"{total.host} {total.port}  {total.counter} {more}{_total(total)}"])
    if len(totals) > len(shown):
        _lines(console, [f"… and {len(totals) - len(shown)} more; -v shows all"])
    console.print()


def _total(total: Total) -> str:
    return f"{format_count(total.value, total.unit)} ({total.title})"


def _figures(console: "Console", benchmark: Benchmark, options: RenderOptions) -> None:
    from rich.table import Table
    from rich.text import Text

    console.print(Text(visible(benchmark.title), style="bold"), soft_wrap=True)
    columns = {**COLUMNS, **(OF_NCCL if benchmark.tool.endswith("ccl-tests") else {})}
    told = [name for name, cell in columns.items() if any(cell(row) is not None for row in benchmark.rows)]
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False)
    for name in ("size", *told):
        table.add_column(name, justify="right", no_wrap=True)
    rows = benchmark.rows if options.verbose else benchmark.rows[-MOST_ROWS:]
    for row in rows:
        cells = [columns[name](row) or ABSENT for name in told]
        table.add_row(message_size(row.size_bytes) + (" in place" if row.in_place else ""), *cells)
    console.print(table)
    if len(rows) < len(benchmark.rows):
        _lines(console, [f"the last {len(rows)} of {len(benchmark.rows)} rows; -v shows all"])


def _rate(value_gbps: float | None) -> str | None:
    return None if value_gbps is None else format_gbps(value_gbps)


def _gigabytes(value_gbps: float | None) -> str | None:
    return None if value_gbps is None else f"{value_gbps / BITS:.2f} GB/s"


def _time(value_ns: float | None) -> str | None:
    return None if value_ns is None else duration(value_ns)


def _count(row: BenchmarkRow) -> str | None:
    return None if row.wrong is None else f"{row.wrong:,}"


COLUMNS: Final[dict[str, Callable[[BenchmarkRow], str | None]]] = {
    "time": lambda row: _time(row.time_ns),
    "median": lambda row: _time(row.p50_ns),
    "p99": lambda row: _time(row.p99_ns),
    "max": lambda row: _time(row.max_ns),
    "bandwidth": lambda row: _rate(row.algbw_gbps),
    "busbw": lambda row: _rate(row.busbw_gbps),
    "peak": lambda row: _rate(row.peak_gbps),
    "wrong": _count,
}
OF_NCCL: Final[dict[str, Callable[[BenchmarkRow], str | None]]] = {
    "bandwidth": lambda row: _gigabytes(row.algbw_gbps),
    "busbw": lambda row: _gigabytes(row.busbw_gbps),
}
"""In the unit that its readers expect."""
