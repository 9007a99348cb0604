"""Tables of nccl-tests and rccl-tests, and what newer versions write as JSON.

A half of the table begins with ``time``; the first is out-of-place. GB/s are 1e9 bytes/s, sizes are bytes.
Does not handle: rccl-tests ``-Z csv``. Source: src/common.cu, src/util.cu of NVIDIA/nccl-tests 2.19.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

from netprobe.ingest.pasted import Line
from netprobe.ingest.row_order import is_interleaved, is_mixed
from netprobe.ingest.told import Place, Table, Told, Unjudged, as_count, as_float, as_name, benchmarks
from netprobe.model.benchmark import Benchmark, BenchmarkRow
from netprobe.units import NS_PER_US

BITS: Final = 8
RANK: Final = re.compile(r"#\s+Rank\s+(\d{1,7})\s.*?\bon\s+(\S+)\s+device\b")
NAMED: Final = re.compile(r"\b(\w{1,40}_perf)\b")
OUT_OF_BOUNDS: Final = re.compile(r"#\s*Out of bounds values\s*:\s*(\d{1,18})\b")
AVERAGE: Final = re.compile(r"#\s*Avg bus bandwidth\b")
STAMP: Final = re.compile(r"\s\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d\S*\s*$")
REMARK: Final = re.compile(
    r"#\s*($|nThread|Using devices|Rank\s|Avg bus bandwidth|Collective test|Out of bounds|Reducing)"
)
TIMES: Final = ("time", "cputime")
SAME_RATIO: Final = 0.01
MIXED: Final = "rows of several tables of nccl-tests that jobs wrote into one file at once"
ONE_FILE_EACH: Final = (
    "a file for each job (srun -o job-%j.txt, mpirun --output-filename DIR), or a prefix on each line (srun --label, "
    "mpirun --tag-output)"
)
FEWEST_NAMES, MOST_NAMES = 3, 5  # size, count, type, and where there are: redop, root


@dataclass(frozen=True, slots=True, kw_only=True)
class _RowLine:
    """A line of a table."""

    number: int
    names: tuple[str, ...]
    """Type, redop and root: what is measured one after the other."""
    size_bytes: int
    rows: tuple[BenchmarkRow, ...]
    """Out-of-place and in-place."""


class NcclTests:
    """Reads the tables of one stream."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self._columns: tuple[str, ...] = ()
        """Those behind size, count, type, redop and root."""
        self._is_in_place_only = False
        self._operation: str | None = None
        self._hosts: dict[str, str] = {}
        """By rank."""
        self._done: list[Table] = []
        self._lines: dict[int, list[_RowLine]] = {}
        """Of each table."""
        self._unfinished: set[int] = set()
        """Tables whose end was not seen."""

    def take(self, line: Line) -> bool:
        """Note a heading, a remark or a row."""
        text = line.text.strip()
        if text.startswith("#"):
            return self._heading(line, text) or self._remark(text)
        if match := NAMED.search(text):
            self._operation = match[1]
        return self._row(line, text)

    def take_json(self, line: Line, value: dict[str, object]) -> bool:
        """Note a whole run of nccl-tests ``-J``, or one row of rccl-tests ``-Z json``."""
        found = _run(value, self._place.line(line.number)) or _rccl_row(value, self._place.line(line.number))
        if found is None:
            return False
        last = self._done[-1] if self._done else None
        is_next = last is not None and found.tool == "rccl-tests" == last.about.tool
        if last is not None and is_next and found.operation == last.about.operation:
            last.rows += found.rows
        else:
            self._done.append(Table(about=found, rows=list(found.rows)))
        return True

    def told(self) -> Iterator[Told]:
        """Yield one benchmark a table; a table does not say what it is of, but the factor of all-reduce is its own."""
        tables: list[Table] = []
        mixed = 0
        for index, table in enumerate(self._done):
            lines = self._lines.get(index, [])
            if self._is_mixed(index):
                mixed += len(lines)
                tables.append(Table(about=table.about, rows=[_wrong_alone(row) for row in table.rows if row.wrong]))
            elif is_interleaved([(line.names, line.size_bytes) for line in lines]):
                tables += self._divided(table.about, lines)
            else:
                tables.append(table)
        if mixed:
            yield Unjudged(file=self._place.file, what=MIXED, lines=mixed, remedy=ONE_FILE_EACH)
        for each in benchmarks(tables):
            is_reduced = each.operation is None and _has_factor_of_allreduce(each)
            yield replace(each, operation="all_reduce_perf") if is_reduced else each

    def _is_mixed(self, index: int) -> bool:
        sweeps: dict[tuple[str, ...], list[int]] = {}
        for line in self._lines.get(index, ()):
            sweeps.setdefault(line.names, []).append(line.size_bytes)
        return any(is_mixed(sizes, follows_unfinished=index - 1 in self._unfinished) for sizes in sweeps.values())

    def _divided(self, about: Benchmark, lines: Sequence[_RowLine]) -> Iterator[Table]:
        """Yield a table for each type, redop and root; whose the heading and the ranks above them are is not known."""
        by_names: dict[tuple[str, ...], list[_RowLine]] = {}
        for line in lines:
            by_names.setdefault(line.names, []).append(line)
        for own in by_names.values():
            unknown = replace(
                about,
                operation=None,
                ranks=None,
                hosts=None,
                source=self._place.line(own[0].number),
                out_of_bounds=None,
            )
            yield Table(about=unknown, rows=[row for line in own for row in line.rows])

    def _heading(self, line: Line, text: str) -> bool:
        words = text.lstrip("#").split()
        if words in (["out-of-place", "in-place"], ["out-of-place"], ["in-place"]):
            self._is_in_place_only = words == ["in-place"]
            return True
        if words[:2] == ["(B)", "(elements)"]:
            return True
        start = next((index for index, word in enumerate(words) if word in TIMES), None)
        if words[:3] != ["size", "count", "type"] or start is None or "algbw" not in words:
            return False
        self._columns = tuple(words[start:])
        hosts = tuple(dict.fromkeys(self._hosts.values()))
        about = Benchmark(
            tool="nccl-tests",
            operation=self._operation,
            source=self._place.line(line.number),
            rows=(),
            ranks=len(self._hosts) or None,
            hosts=hosts or None,
        )
        self._unfinished.add(len(self._done))
        self._done.append(Table(about=about))
        return True

    def _remark(self, text: str) -> bool:
        if match := RANK.match(text):
            if match[1] in self._hosts and self._columns:  # the next run begins
                self._hosts, self._operation, self._columns = {}, None, ()
            self._hosts[match[1]] = match[2]
        elif (match := OUT_OF_BOUNDS.match(text)) and self._done:
            self._done[-1].about = replace(self._done[-1].about, out_of_bounds=int(match[1]))
        elif AVERAGE.match(text):
            self._unfinished.discard(len(self._done) - 1)
        elif text.startswith("# Collective test concluded:") and self._done and (match := NAMED.search(text)):
            self._done[-1].about = replace(self._done[-1].about, operation=match[1])
        return REMARK.match(text) is not None

    def _row(self, line: Line, text: str) -> bool:
        if not self._columns:
            return False
        columns = self._columns
        if columns[-1] == "timestamp":
            columns, text = columns[:-1], STAMP.sub("", text)
        words = text.split()
        names, figures = words[: -len(columns)], words[-len(columns) :]
        if not FEWEST_NAMES <= len(names) <= MOST_NAMES:
            return False
        size_bytes = as_count(names[0])
        if size_bytes is None or as_count(names[1]) is None:
            return False
        halves = list(_halves(columns, figures))
        if not halves or any(as_float(half[0][1]) is None for half in halves):
            return False
        rows = tuple(
            _row_of(size_bytes, dict(half), in_place=index > 0 or self._is_in_place_only)
            for index, half in enumerate(halves)
        )
        told = _RowLine(number=line.number, names=tuple(names[2:]), size_bytes=size_bytes, rows=rows)
        self._lines.setdefault(len(self._done) - 1, []).append(told)
        self._done[-1].rows += rows
        return True


def _halves(columns: Sequence[str], figures: Sequence[str]) -> Iterator[list[tuple[str, str]]]:
    """Yield column names with figures for each half of a row."""
    half: list[tuple[str, str]] = []
    for column, figure in zip(columns, figures, strict=True):
        if column in TIMES and half:
            yield half
            half = []
        half.append((column, figure))
    yield half


def _row_of(size_bytes: int, half: dict[str, str], *, in_place: bool) -> BenchmarkRow:
    time_us = as_float(half.get("time", half.get("cputime")))
    return BenchmarkRow(
        size_bytes=size_bytes,
        time_ns=_scaled(time_us, NS_PER_US),
        algbw_gbps=_scaled(as_float(half.get("algbw")), BITS),
        busbw_gbps=_scaled(as_float(half.get("busbw")), BITS),
        wrong=_wrong(half.get("#wrong")),  # not "error": the largest difference, which need not be wrong
        min_ns=_scaled(as_float(half.get("i_min")), NS_PER_US),
        max_ns=_scaled(as_float(half.get("i_max")), NS_PER_US),
        p99_ns=_scaled(as_float(half.get("i_p99")), NS_PER_US),
        in_place=in_place,
    )


def _wrong_alone(row: BenchmarkRow) -> BenchmarkRow:
    """Return what is wrong in a row whichever table it is of."""
    return BenchmarkRow(size_bytes=row.size_bytes, wrong=row.wrong, in_place=row.in_place)


def _run(value: dict[str, object], source: str) -> Benchmark | None:
    """Return what a file of nccl-tests says; its environment is not looked at."""
    config, results = value.get("config"), value.get("results")
    if not (isinstance(config, dict) and isinstance(results, list) and "nccl_version" in value):
        return None
    devices = config.get("devices")
    ranks = [each for each in devices if isinstance(each, dict)] if isinstance(devices, list) else []
    hosts = dict.fromkeys(name for each in ranks if (name := as_name(each.get("hostname"))) is not None)
    told = [each for each in results if isinstance(each, dict)]
    bounds = value.get("out_of_bounds")
    arguments = value.get("args")
    words = " ".join(map(str, arguments)) if isinstance(arguments, list) else str(arguments)
    operation = NAMED.search(words[:4096])
    return Benchmark(
        tool="nccl-tests",
        operation=None if operation is None else operation[1],
        source=source,
        rows=tuple(row for each in told for row in _json_rows(each)),
        ranks=len(ranks) or None,
        hosts=tuple(hosts) or None,
        out_of_bounds=as_count(bounds.get("count")) if isinstance(bounds, dict) else None,
    )


def _json_rows(result: dict[str, object]) -> Iterator[BenchmarkRow]:
    size_bytes = as_count(result.get("size"))
    for name in ("out_of_place", "in_place"):
        half, samples = result.get(name), result.get(f"{name}_per_iter")
        if size_bytes is None or not isinstance(half, dict):
            continue
        times = samples if isinstance(samples, dict) else {}
        yield BenchmarkRow(
            size_bytes=size_bytes,
            time_ns=_scaled(as_float(half.get("time", half.get("cpu_time"))), NS_PER_US),
            algbw_gbps=_scaled(as_float(half.get("alg_bw")), BITS),
            busbw_gbps=_scaled(as_float(half.get("bus_bw")), BITS),
            wrong=_wrong(half.get("nwrong")),
            min_ns=_scaled(as_float(times.get("min_us")), NS_PER_US),
            max_ns=_scaled(as_float(times.get("max_us")), NS_PER_US),
            p50_ns=_scaled(as_float(times.get("p50_us")), NS_PER_US),
            p99_ns=_scaled(as_float(times.get("p99_us")), NS_PER_US),
            in_place=name == "in_place",
        )


def _rccl_row(value: dict[str, object], source: str) -> Benchmark | None:
    size_bytes, name = as_count(value.get("size")), as_name(value.get("name"))
    if size_bytes is None or name is None or not {"algBw", "busBw"} <= value.keys():
        return None
    row = BenchmarkRow(
        size_bytes=size_bytes,
        time_ns=_scaled(as_float(value.get("time")), NS_PER_US),
        algbw_gbps=_scaled(as_float(value["algBw"]), BITS),
        busbw_gbps=_scaled(as_float(value["busBw"]), BITS),
        wrong=_wrong(value.get("#wrong", value.get("wrong"))),
        in_place=value.get("inPlace") in (1, True, "1", "true"),
    )
    return Benchmark(
        tool="rccl-tests", operation=name, source=source, rows=(row,), ranks=as_count(value.get("ranks")),
    )  # fmt: skip


def _has_factor_of_allreduce(benchmark: Benchmark) -> bool:
    """Return whether busbw is 2 (n-1) / n of algbw at the largest size, as of no other operation of three or more."""
    row, ranks = max(benchmark.rows, key=lambda row: row.size_bytes), benchmark.ranks
    if ranks is None or ranks <= 2 or not row.algbw_gbps or not row.busbw_gbps:
        return False
    return abs(row.busbw_gbps / row.algbw_gbps * ranks / (2 * (ranks - 1)) - 1) < SAME_RATIO


def _wrong(told: object) -> int | None:
    number = as_float(told)
    return None if number is None or number < 0 else int(number)


def _scaled(value: float | None, factor: float) -> float | None:
    return None if value is None else value * factor
