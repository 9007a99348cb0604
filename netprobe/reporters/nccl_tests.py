"""Collectives in the layout of nccl-tests 2.19, for tools that read its output: a whole output for each collective.

Layout from nccl-tests' src/util.cu at 2.19.6. What is ours and not theirs is said in comment lines: devices are ranks
with host memory, and a time is the mean over iterations of the slowest rank's time (theirs is the mean over ranks).
"""

import re
from collections.abc import Iterable, Iterator
from itertools import pairwise
from typing import Final

from netprobe.contracts import RenderOptions, Reporter
from netprobe.model.collective import SHAPES
from netprobe.model.plan import DTYPE_BYTES, Memory
from netprobe.model.report import GroupSummary, Report
from netprobe.reporters._wording import short_name, visible
from netprobe.units import NS_PER_US

TYPE_NAMES: Final = {"float16": "half", "float32": "float", "float64": "double"}
ABSENT: Final = "N/A"
TIME_WIDTH: Final = 7
BANDWIDTH_WIDTH: Final = 6
NO_ROOT: Final = -1

_OTHER_FORMATS: Final = "pairs are in --format console, markdown and json"

Halves = dict[bool, GroupSummary]
"""What one printed row holds, by whether it is in place; at least one of the two."""


def render(report: Report, _options: RenderOptions) -> str:
    """Return an output of nccl-tests for each collective that was measured."""
    blocks: dict[tuple[object, ...], list[GroupSummary]] = {}
    for row in report.groups:
        blocks.setdefault((row.probe, row.path, row.memory), []).append(row)
    if not blocks:
        return f"# netprobe run {short_name(report.run_id)} measured no collectives; {_OTHER_FORMATS}\n"
    return "".join(f"{line}\n" for rows in blocks.values() for line in _block(report, rows))


def shrunk(value: float, width: int) -> str:
    """Return a number with as many of two decimals as fit ``width``, in e notation where its digits do not."""
    for decimals in (2, 1, 0):
        text = f"{value:{width}.{decimals}f}"
        if len(text) <= width:
            return text
    return f"{value:{width}.{1 if width >= TIME_WIDTH else 0}e}"


def _block(report: Report, rows: list[GroupSummary]) -> Iterator[str]:
    name = SHAPES[rows[0].probe].nccl_name
    yield f"# Collective test starting: {name}"
    yield _banner(rows)
    yield f"# netprobe {short_name(report.netprobe)} run {short_name(report.run_id)}, laid out as nccl-tests 2.19"
    yield "# A time is the mean over iterations of the slowest rank's time"
    yield "#"
    yield "# Using devices"
    if rows[0].memory is Memory.HOST:
        yield "# Devices are ranks with buffers in host memory"
    else:
        yield f"# Devices are GPUs; {rows[0].path.value} moves memory of kind {rows[0].memory.value}"
    yield from _devices(report, on_gpus=rows[0].memory is not Memory.HOST)
    yield from _HEADER
    yield from (_row(halves) for halves in _halves(rows))
    yield from (_undivided(row) for row in rows if row.pipelined_ns is not None)
    yield from _footer(rows, name)


def _banner(rows: list[GroupSummary]) -> str:
    sizes = sorted({row.size_bytes for row in rows})
    iterations = {row.iterations for row in rows}
    shown_iterations = f"{min(iterations)}" if len(iterations) == 1 else f"{min(iterations)}-{max(iterations)}"
    is_checked = any(row.wrong_bytes is not None for row in rows)
    return (
        f"# nThread 1 nGpus 1 minBytes {sizes[0]} maxBytes {sizes[-1]} step: {_step(sizes)} warmup iters: {ABSENT} "
        f"iters: {shown_iterations} agg iters: 1 validation: {int(is_checked)} graph: 0 unalign: 0"
    )


def _step(sizes: list[int]) -> str:
    """Return the factor or the bytes between all neighbouring sizes; N/A where they differ."""
    factors = {larger / smaller if smaller else 0.0 for smaller, larger in pairwise(sizes)}
    if len(factors) == 1 and min(factors) > 1 and min(factors).is_integer():
        return f"{factors.pop():.0f}(factor)"
    steps = {larger - smaller for smaller, larger in pairwise(sizes)}
    return f"{steps.pop()}(bytes)" if len(steps) == 1 else ABSENT


def _devices(report: Report, *, on_gpus: bool) -> Iterator[str]:
    seen: dict[str, int] = {}
    gpu_of = {each.rank: each for each in report.gpus} if on_gpus else {}
    for rank, (host, pid) in enumerate(zip(report.rank_hosts, report.rank_pids, strict=True)):
        device = seen.get(host, 0)
        seen[host] = device + 1
        word = re.sub(r"\s", "_", short_name(host))
        gpu = gpu_of.get(rank)
        shown = device if gpu is None else gpu.ordinal
        what = "[0000:00:00] host memory" if gpu is None else f"[{gpu.pci.rpartition('.')[0]}] {visible(gpu.name)}"
        yield f"#  Rank {rank:2d} Group  0 Pid {pid:6d} on {word:>10} device {shown:2d} {what}"


def _columns(*cells: str) -> str:
    widths = (10, 12, 8, 6, 6, *(TIME_WIDTH, BANDWIDTH_WIDTH, BANDWIDTH_WIDTH, 6) * 2)
    return "# " + "  ".join(f"{cell:>{width}}" for cell, width in zip(cells, widths, strict=True)) + " "


_HEADER: Final = (
    "#",
    "# " + "  ".join(" " * width for width in (10, 12, 8, 6, 6))
    + "           out-of-place                       in-place          ",
    _columns("size", "count", "type", "redop", "root", *("time", "algbw", "busbw", "#wrong") * 2),
    _columns("(B)", "(elements)", "", "", "", *("(us)", "(GB/s)", "(GB/s)", "") * 2),
)  # fmt: skip


def _halves(rows: Iterable[GroupSummary]) -> Iterable[Halves]:
    """Return the two halves of each printed row, in the order in which either was first seen."""
    found: dict[tuple[object, ...], Halves] = {}
    for row in rows:
        found.setdefault((row.size_bytes, row.dtype, row.op, row.root), {})[row.in_place] = row
    return found.values()


def _row(halves: Halves) -> str:
    row = next(iter(halves.values()))
    root = NO_ROOT if row.root is None else row.root
    dtype = TYPE_NAMES.get(row.dtype, row.dtype)
    start = f"{row.size_bytes:12d}  {row.count:12d}  {dtype:>8}  {row.op or 'none':>6}  {root:6d}"
    return start + _half(halves.get(False)) + _half(halves.get(True))


def _undivided(row: GroupSummary) -> str:
    """Return a comment on what runs took that nothing divides, which is what nccl-tests itself times."""
    place = "in-place" if row.in_place else "out-of-place"
    return (
        f"# Pipelined, {row.pipelined_iterations} iterations {place}, {row.size_bytes} B of {row.dtype}: "
        f"{shrunk((row.pipelined_ns or 0.0) / NS_PER_US, TIME_WIDTH).strip()} us, "
        f"algbw {_bandwidth(row.pipelined_algbw_gigabytes_per_s).strip()} GB/s, "
        f"busbw {_bandwidth(row.pipelined_busbw_gigabytes_per_s).strip()} GB/s"
    )


def _half(row: GroupSummary | None) -> str:
    if row is None:
        return f"  {ABSENT:>7}  {ABSENT:>6}  {ABSENT:>6}  {ABSENT:>6}"
    wrong = _wrong_elements(row)
    return (
        f"  {shrunk(row.time_ns / NS_PER_US, TIME_WIDTH):>7}  {_bandwidth(row.algbw_gigabytes_per_s)}"
        f"  {_bandwidth(row.busbw_gigabytes_per_s)}  {ABSENT if wrong is None else f'{wrong:g}':>6}"
    )


def _bandwidth(value: float | None) -> str:
    return f"{ABSENT:>6}" if value is None else f"{shrunk(value, BANDWIDTH_WIDTH):>6}"


def _wrong_elements(row: GroupSummary) -> int | None:
    """Return at least how many elements hold the wrong bytes."""
    return None if row.wrong_bytes is None else -(-row.wrong_bytes // DTYPE_BYTES[row.dtype])


def _footer(rows: list[GroupSummary], name: str) -> Iterator[str]:
    failed = sum(1 for row in rows if row.wrong_bytes)
    bandwidths = [row.busbw_gigabytes_per_s for row in rows if row.busbw_gigabytes_per_s is not None]
    average = f"{sum(bandwidths) / len(bandwidths):g}" if bandwidths else ABSENT
    yield f"# {'Out of bounds values':<20} : {failed} {'FAILED' if failed else 'OK'}"
    yield f"# {'Avg bus bandwidth':<20} : {average} "
    yield "#"
    yield f"# Collective test concluded: {name}"
    yield "#"
    yield ""


REPORTER = Reporter(id="nccl-tests", title="collectives as nccl-tests prints them, for its parsers", render=render)
