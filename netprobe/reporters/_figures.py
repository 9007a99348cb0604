"""The figures of a report as small tables of text; the reporters only draw them."""

from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass, replace
from functools import partial
from typing import Final, TypeVar

from netprobe.model.endpoint import Calibration
from netprobe.model.plan import REACH, Memory, Scope, memory_title
from netprobe.model.report import GroupSummary, NoiseSummary, PairSummary, Report
from netprobe.reporters._wording import (
    ABSENT,
    counted,
    decimal_amount,
    duration,
    message_size,
    short_name,
    three_digits,
)
from netprobe.units import format_gbps

T = TypeVar("T")

LATENCY: Final = "latency"
TITLES: Final = {
    LATENCY: "latency, half a round trip",
    REACH: "datagrams, half a round trip",
    "reach-wire": "datagrams, between the NICs, there and back",
    "reach-responding": "datagrams, in the host that answers",
    "reach-probing": "datagrams, in the host that asks",
    "bandwidth": "bandwidth, one way",
    "bidirectional": "bandwidth, both ways at once, summed",
}
STREAMS: Final = ("bandwidth", "bidirectional")
OVERHEAD_LIMIT_RATIO: Final = 0.2  # above this the figure tells as much of measuring as of the fabric
OVERHEAD_MARK: Final = "*"
PIPELINED: Final = "pipelined"
PIPELINED_BUSBW: Final = "pipelined\nGB/s"
PIPELINED_NOTE: Final = (
    "pipelined: runs of iterations back to back that nothing divides, the mean of an iteration, its busbw in GB/s; the "
    "other figures are of iterations with an event after each"
)
SMALLEST_GIGABYTES_PER_S: Final = 0.01  # small messages tell of latency; their bandwidth is noise in these columns

_SCOPES: Final = {Scope.WITHIN_HOST: "within", Scope.BETWEEN_HOSTS: "between", Scope.WORLD: "all"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """One table; columns named in ``words`` hold words, all others figures. The last may be cut where room is short."""

    title: str
    columns: tuple[str, ...]
    words: frozenset[str]
    rows: tuple[tuple[str, ...], ...]
    dispensable: tuple[str, ...] = ()
    """Columns to leave out where room is short, the first ones first."""

    def without(self, column: str) -> "Figures":
        """Return the table without one of its columns."""
        at = self.columns.index(column)
        rows = tuple((*row[:at], *row[at + 1 :]) for row in self.rows)
        return replace(self, columns=(*self.columns[:at], *self.columns[at + 1 :]), rows=rows)


def figures_of(report: Report, *, samples: bool = False) -> tuple[Figures, ...]:
    """Return the tables of a report: for each pair probe, path, memory and window, and for collectives in and out
    of place.

    ``samples``: say how many there are behind each row.
    """
    pairs = _grouped(report.pairs, _kind_of_pairs)
    groups = _grouped(report.groups, lambda each: (each.ranks, each.in_place, each.path, each.memory))
    return (
        *(_counted(_pair_figures(rows, report.calibration), [row.samples for row in rows], samples) for rows in pairs),
        *(
            _counted(_group_figures(rows, report.calibration), [row.iterations for row in rows], samples)
            for rows in groups
        ),
    )


def notes_on(report: Report) -> tuple[str, ...]:
    """Return what must be read beside the figures: what they are of, and what measuring itself costs, if known."""
    notes = []
    if any(row.busbw_gigabytes_per_s is not None for row in report.groups):
        notes.append("typical is the median; algbw and busbw are of the mean, as in nccl-tests")
    if any(row.pipelined_ns for row in report.groups) or any(row.pipelined_gbps for row in report.pairs):
        notes.append(PIPELINED_NOTE)
    if report.calibration is not None:
        clock, empty = report.calibration.clock_read_ns, report.calibration.empty_iteration_ns
        notes.append(f"an empty iteration costs {duration(empty)} (one clock read: {duration(clock)}); not taken off")
        if any(_is_marked(report)):
            notes.append(f"{OVERHEAD_MARK} an empty iteration is more than 20 % of this figure")
    if report.clock_error_bound_ns is not None and report.ranks > 1:
        notes.append(f"the ranks' clocks are compared to within {duration(report.clock_error_bound_ns)}")
    if report.noise is not None:
        notes.append(_noise_note(report.noise))
    return tuple(notes)


def _noise_note(noise: NoiseSummary) -> str:
    """Return what ranks lost while they only computed: nothing of it is a fabric's."""
    longest = "" if noise.longest_ns is None else f", longest detour {duration(noise.longest_ns)}"
    if noise.ranks == 1:
        return f"work alone: a rank that only computes loses {_share(noise.lost_ratio)}{longest}"
    cpu = "" if noise.worst_cpu is None else f" on CPU {noise.worst_cpu}"
    worst = f"most: {_share(noise.worst_lost_ratio)}, rank {noise.worst_rank}{cpu}"
    return f"work alone: ranks that only compute lose {_share(noise.lost_ratio)} (median; {worst}){longest}"


def _share(ratio: float) -> str:
    return f"{100 * ratio:.2g} %"


def _kind_of_pairs(row: PairSummary) -> Hashable:
    return row.path, row.probe, row.window, row.operation, row.send_memory, row.receive_memory


def _counted(figures: Figures, samples: list[int], wanted: bool) -> Figures:
    """Return a table with its numbers of samples in front of its figures, where they are wanted."""
    if not wanted:
        return figures
    at = figures.columns.index("typical")
    rows = zip(figures.rows, samples, strict=True)
    return replace(
        figures,
        columns=(*figures.columns[:at], "samples", *figures.columns[at:]),
        rows=tuple((*row[:at], f"{count:,}", *row[at:]) for row, count in rows),
    )


def _grouped(rows: Iterable[T], key: Callable[[T], Hashable]) -> list[list[T]]:
    groups: dict[Hashable, list[T]] = {}
    for row in rows:
        groups.setdefault(key(row), []).append(row)
    return list(groups.values())


def _pair_figures(rows: list[PairSummary], calibration: Calibration | None) -> Figures:
    first = rows[0]
    title = _pair_title(first)
    is_latency = first.probe not in STREAMS
    if not is_latency:
        title = f"{title}, {counted(first.window, 'message')} in flight"
    is_undivided = any(row.pipelined_gbps is not None for row in rows)
    pipelined = ("pipelined",) if is_undivided else ()
    figures = ("typical", "p99", "max") if is_latency else ("typical", *pipelined, "messages")
    cells = _latency_cells if is_latency else partial(_streaming_cells, is_undivided=is_undivided)
    has_worst = any(row.worst_pair for row in rows)
    return Figures(
        title=title,
        columns=("size", "hosts", "pairs", *figures, *(("worst", "from → to") if has_worst else ())),
        words=frozenset({"hosts", "from → to"}),
        rows=tuple(
            (
                message_size(row.size_bytes),
                _SCOPES[row.scope],
                f"{row.pairs:,}",
                *cells(row, _mark(_pair_iteration_ns(row), calibration)),
                *(_worst(row) if has_worst else ()),
            )
            for row in rows
        ),
    )


def _pair_title(row: PairSummary) -> str:
    """Return what a table is of: ``RDMA bandwidth, one way (write), GPU memory`` where verbs moved the data."""
    title = TITLES.get(row.probe, row.probe)
    by = f" ({row.operation})" if row.operation is not None and not row.probe.startswith(REACH) else ""
    is_of_host = row.send_memory is row.receive_memory is Memory.HOST
    memory = "" if is_of_host else f", {memory_title(row.send_memory, row.receive_memory)}"
    return f"{row.path.prefix}{title}{by}{memory}"


def _latency_cells(row: PairSummary, mark: str) -> tuple[str, ...]:
    return duration(row.typical_ns) + mark, duration(row.p99_ns), duration(row.max_ns)


def _streaming_cells(row: PairSummary, mark: str, *, is_undivided: bool) -> tuple[str, ...]:
    pipelined = (ABSENT if row.pipelined_gbps is None else format_gbps(row.pipelined_gbps),) if is_undivided else ()
    bandwidth = ABSENT if row.typical_gbps is None else format_gbps(row.typical_gbps) + mark
    rate = ABSENT if row.typical_messages_per_s is None else decimal_amount(row.typical_messages_per_s, "/s")
    return bandwidth, *pipelined, rate


def _worst(row: PairSummary) -> tuple[str, str]:
    if row.worst_pair is None:
        return ABSENT, ABSENT
    value = duration(row.worst_ns) if row.worst_gbps is None else format_gbps(row.worst_gbps)
    return value, "→".join(short_name(name) for name in row.worst_pair)


def _group_figures(rows: list[GroupSummary], calibration: Calibration | None) -> Figures:
    first = rows[0]
    kinds = {_kind(row) for row in rows} - {ABSENT}
    one_kind = f", {kinds.pop()}" if len(kinds) == 1 else ""
    memory = "" if first.memory is Memory.HOST else f", {memory_title(first.memory, first.memory)}"
    is_undivided = any(row.pipelined_ns is not None for row in rows)
    return Figures(
        title=(
            f"{first.path.prefix}collectives of {counted(first.ranks, 'rank')}"
            f"{', in place' if first.in_place else ''}{memory}{one_kind}, slowest rank of each iteration"
        ),
        columns=(
            "operation", *(() if one_kind else ("type",)), "size", "typical", "p99", "max",
            "mean", "algbw\nGB/s", "busbw\nGB/s", *((PIPELINED, PIPELINED_BUSBW) if is_undivided else ()), "wrong",
        ),
        words=frozenset({"operation", "type"}),
        dispensable=("algbw\nGB/s", "mean", *((PIPELINED,) if is_undivided else ()), "max", "p99"),
        rows=tuple(
            (
                row.probe,
                *(() if one_kind else (_kind(row),)),
                message_size(row.size_bytes) if row.size_bytes else ABSENT,
                duration(row.p50_ns) + _mark(row.p50_ns, calibration),
                duration(row.p99_ns),
                duration(row.max_ns),
                duration(row.time_ns),
                _gigabytes(row.algbw_gigabytes_per_s),
                _gigabytes(row.busbw_gigabytes_per_s),
                *_undivided_cells(row, is_undivided=is_undivided),
                ABSENT if row.wrong_bytes is None else f"{row.wrong_bytes:,} B",
            )
            for row in rows
        ),
    )  # fmt: skip


def _undivided_cells(row: GroupSummary, *, is_undivided: bool) -> tuple[str, ...]:
    if not is_undivided:
        return ()
    time = ABSENT if row.pipelined_ns is None else duration(row.pipelined_ns)
    return time, _gigabytes(row.pipelined_busbw_gigabytes_per_s)


def _kind(row: GroupSummary) -> str:
    if not row.size_bytes:
        return ABSENT
    return row.dtype if row.op in (None, "sum") else f"{row.dtype} {row.op}"


def _gigabytes(value: float | None) -> str:
    if value is None:
        return ABSENT
    return three_digits(value) if value >= SMALLEST_GIGABYTES_PER_S else f"<{SMALLEST_GIGABYTES_PER_S}"


def _pair_iteration_ns(row: PairSummary) -> float:
    """Return the time between two clock reads, which for latency is a whole round trip."""
    return 2 * row.typical_ns if row.probe in (LATENCY, REACH) else row.typical_ns


def _is_marked(report: Report) -> Iterable[bool]:
    iterations_ns = [_pair_iteration_ns(row) for row in report.pairs] + [row.p50_ns for row in report.groups]
    return (bool(_mark(each, report.calibration)) for each in iterations_ns)


def _mark(iteration_ns: float, calibration: Calibration | None) -> str:
    if calibration is None or calibration.empty_iteration_ns <= OVERHEAD_LIMIT_RATIO * iteration_ns:
        return ""
    return OVERHEAD_MARK
