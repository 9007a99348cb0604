"""Pairs and collectives in the layout of the OSU micro-benchmarks 7.4, for tools that read their output.

Layout from util/osu_util_mpi.c of OMB. What goes over RDMA alone is in perftest's. What is ours and not theirs is said
in comment lines: a table is of all pairs, and has the columns that every row knows. OMB counts an all-gather by what
each rank sends, an all-to-all by what it sends each other rank.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Final, TypeVar

from netprobe.contracts import RenderOptions, Reporter
from netprobe.model.plan import Memory, Path
from netprobe.model.report import GroupSummary, PairSummary, Report
from netprobe.reporters._wording import counted, short_name, visible
from netprobe.units import NS_PER_US

Row = TypeVar("Row", PairSummary, GroupSummary)
Column = tuple[str, Callable[[Row], float | None]]

VERSION: Final = "7.4"
SIZE_WIDTH: Final = 10
FIGURE_WIDTH: Final = 18
MEGABYTES_PER_GIGABIT: Final = 125.0

BANDWIDTH: Final = "Bandwidth (MB/s)"
PAIR_TITLES: Final = {
    "latency": "Latency",
    "bandwidth": "Bandwidth",
    "bidirectional": "Bi-Directional Bandwidth",
}
COLLECTIVE_TITLES: Final = {
    "allreduce": "Allreduce Latency",
    "allgather": "Allgather Latency",
    "reducescatter": "Reduce_scatter Latency",
    "alltoall": "All-to-All Personalized Exchange Latency",
    "broadcast": "Broadcast Latency",
    "reduce": "Reduce Latency",
    "barrier": "Barrier Latency",
}
SIZED_BY_CHUNK: Final = ("allgather", "alltoall")
BARRIER: Final = "barrier"
TYPE_NAMES: Final = {"uint8": "MPI_CHAR", "int32": "MPI_INT", "float32": "MPI_FLOAT", "float64": "MPI_DOUBLE"}


def render(report: Report, _options: RenderOptions) -> str:
    """Return a table for each probe between or within hosts, and for each collective."""
    blocks = [*_pair_blocks(report), *_collective_blocks(report)]
    if not blocks:
        return f"# netprobe run {short_name(report.run_id)} measured nothing over MPI or NCCL; see --format perftest\n"
    return "\n".join("".join(f"{line}\n" for line in block) for block in blocks)


def _pair_blocks(report: Report) -> Iterator[list[str]]:
    rows = [row for row in report.pairs if row.probe in PAIR_TITLES and row.path is not Path.VERBS]
    for own in _grouped(rows, lambda row: (row.probe, row.scope, row.path, row.window, *_ends(row))):
        first = own[0]
        columns: tuple[Column[PairSummary], ...] = (
            ("Avg Latency(us)", lambda row: _us(row.mean_ns)),
            ("P50 Tail Lat(us)", lambda row: _us(row.typical_ns)),
            ("P99 Tail Lat(us)", lambda row: _us(row.p99_ns)),
        )
        if first.typical_gbps is not None:
            columns = ((BANDWIDTH, lambda row: _megabytes(row.typical_gbps)),)
        about = (f"{first.scope.value}: {counted(first.pairs, 'pair')} of ranks in one table", _meaning(first))
        title = PAIR_TITLES[first.probe]
        yield [
            *_head(report, first.path, _ends(first), title, about),
            *_table(own, columns, lambda row: row.size_bytes),
        ]


def _meaning(row: PairSummary) -> str:
    if row.typical_gbps is None:
        return "an average is over all of them; other figures are the median over pairs of each pair's own"
    return f"a rate is the median over pairs of each pair's own, with {counted(row.window, 'message')} in flight"


def _collective_blocks(report: Report) -> Iterator[list[str]]:
    rows = [row for row in report.groups if row.probe in COLLECTIVE_TITLES]
    columns: tuple[Column[GroupSummary], ...] = (
        ("Avg Latency(us)", lambda row: _us(row.time_ns)),
        ("P50 Tail Lat(us)", lambda row: _us(row.p50_ns)),
        ("P99 Tail Lat(us)", lambda row: _us(row.p99_ns)),
    )
    for own in _grouped(
        rows, lambda row: (row.probe, row.path, row.memory, row.dtype, row.op, row.root, row.in_place, row.ranks)
    ):
        first = own[0]
        place = "in place" if first.in_place else "out of place"
        about = (
            f"{counted(first.ranks, 'rank')}, {place}; a time is that of the slowest rank, iteration by iteration",
            *((f"operator {visible(first.op)}",) if first.op else ()),
            *((f"root {first.root}",) if first.root is not None else ()),
        )
        head = _head(report, first.path, (first.memory, first.memory), COLLECTIVE_TITLES[first.probe], about)
        datatype = () if first.probe == BARRIER else (f"# Datatype: {_type_name(first.dtype)}.",)
        yield [*head, *datatype, *_table(own, columns, _size_in_osu)]


def _size_in_osu(row: GroupSummary) -> int | None:
    if row.probe == BARRIER:
        return None
    return row.size_bytes // row.ranks if row.probe in SIZED_BY_CHUNK else row.size_bytes


def _type_name(dtype: str) -> str:
    return TYPE_NAMES.get(dtype, visible(dtype))


def _grouped(rows: Iterable[Row], key: Callable[[Row], tuple[object, ...]]) -> Iterable[list[Row]]:
    groups: dict[tuple[object, ...], list[Row]] = {}
    for row in rows:
        groups.setdefault(key(row), []).append(row)
    return [sorted(own, key=lambda row: row.size_bytes) for own in groups.values()]


def _ends(row: PairSummary) -> tuple[Memory, Memory]:
    return row.send_memory, row.receive_memory


def _head(report: Report, path: Path, memory: tuple[Memory, Memory], title: str, about: Iterable[str]) -> Iterator[str]:
    on_gpus = "-CUDA" if any(each is not Memory.HOST for each in memory) else ""
    yield f"# OSU {'NCCL' if path is Path.NCCL else 'MPI'}{on_gpus} {title} Test v{VERSION}"
    yield f"# netprobe {short_name(report.netprobe)} run {short_name(report.run_id)}, laid out as OMB {VERSION}"
    if on_gpus:
        yield f"# netprobe: memory {memory[0].value} to {memory[1].value}"
    yield from (f"# netprobe: {line}" for line in about)


def _table(rows: Sequence[Row], columns: Sequence[Column[Row]], size_of: Callable[[Row], int | None]) -> Iterator[str]:
    """Yield a heading and rows; without a size, as for a barrier, the figures alone."""
    known = [column for column in columns if all(column[1](row) is not None for row in rows)]
    has_size = size_of(rows[0]) is not None
    yield _line("# Size" if has_size else "#", [name for name, _ in known])
    for row in rows:
        figures = [f"{value:.4f}" for _, figure in known if (value := figure(row)) is not None]
        yield _line(str(size_of(row)) if has_size else "", figures)


def _line(start: str, cells: Iterable[str]) -> str:
    # Two spaces at least, for headings hold single ones.
    return f"{start:<{SIZE_WIDTH}}" + "".join(f"  {cell:>{FIGURE_WIDTH}}" for cell in cells)


def _us(elapsed_ns: float | None) -> float | None:
    return None if elapsed_ns is None else elapsed_ns / NS_PER_US


def _megabytes(gbps: float | None) -> float | None:
    """Return MB/s, of 1e6 bytes."""
    return None if gbps is None else gbps * MEGABYTES_PER_GIGABIT


REPORTER = Reporter(id="osu", title="pairs and collectives as the OSU benchmarks print them", render=render)
