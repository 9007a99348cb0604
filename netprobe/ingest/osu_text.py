"""Tables of the OSU micro-benchmarks, in C and in Python. MB/s are 1e6 bytes/s.

Source: util/osu_util_mpi.c and osu_util_graph.c of OMB 7.4; older releases print ``Latency (us)`` for the average.
"""

import re
from collections.abc import Iterator
from typing import Final

from netprobe.ingest.pasted import Line
from netprobe.ingest.told import Place, Table, Told, as_count, as_float, benchmarks
from netprobe.model.benchmark import Benchmark, BenchmarkRow
from netprobe.units import NS_PER_US

TITLE: Final = re.compile(r"#\s*(?:OSU|OMB)\b.{0,60}?\b(?:MPI|Python|XCCL|NCCL|RCCL)\S*\s+(\S.{0,60}?) Test\b")
APART: Final = re.compile(r"\s{2,}|\t")
GBPS_OF_MB: Final = 8e-3
COLUMNS: Final = {
    "Latency (us)": ("time_ns", NS_PER_US),
    "Avg Latency(us)": ("time_ns", NS_PER_US),
    "Avg Lat(us)": ("time_ns", NS_PER_US),
    "Overall(us)": ("time_ns", NS_PER_US),
    "Min Latency(us)": ("min_ns", NS_PER_US),
    "Max Latency(us)": ("max_ns", NS_PER_US),
    "P50 Tail Lat(us)": ("p50_ns", NS_PER_US),
    "P99 Tail Lat(us)": ("p99_ns", NS_PER_US),
    "P99.9 Tail Lat(us)": ("p999_ns", NS_PER_US),
    "Bandwidth (MB/s)": ("algbw_gbps", GBPS_OF_MB),
    "MB/s": ("algbw_gbps", GBPS_OF_MB),
    "Messages/s": ("messages_per_s", 1.0),
}
OTHERS: Final = frozenset({"Iterations", "Validation"})


class Osu:
    """Reads the tables of one stream."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self._title: str | None = None
        self._columns: tuple[str, ...] = ()
        self._has_size = True
        """A barrier has none."""
        self._done: list[Table] = []

    def take(self, line: Line) -> bool:
        """Note a title, a heading or a row."""
        text = line.text.strip()
        if match := TITLE.match(text):
            self._title, self._columns = match[1], ()
            return True
        if text.startswith("#"):
            return self._heading(line, text.lstrip("#").strip()) or (
                self._title is not None and text.startswith(("# Datatype", "# [", "# Warmup"))
            )
        return self._row(text)

    def take_json(self, line: Line, value: dict[str, object]) -> bool:  # noqa: ARG002
        """Return False: there is none."""
        return False

    def told(self) -> Iterator[Told]:
        """Yield one benchmark a table."""
        return benchmarks(self._done)

    def _heading(self, line: Line, text: str) -> bool:
        columns = tuple(APART.split(text.replace("Size (B)", "Size")))
        if self._title is None or not any(column in COLUMNS for column in columns):
            return False
        self._has_size = columns[0] == "Size"
        self._columns = columns if self._has_size else ("Size", *columns)
        name = self._title
        about = Benchmark(
            tool="osu",
            operation=name,
            source=self._place.line(line.number),
            rows=(),
            is_one_way=name == "Bandwidth",
            is_two_way=name == "Bi-Directional Bandwidth",
        )
        self._done.append(Table(about=about))
        return True

    def _row(self, text: str) -> bool:
        words = text.split()
        if not self._has_size:
            words = ["0", *words]
        if not self._columns or len(words) != len(self._columns):
            return False
        size_bytes = as_count(words[0])
        told = dict(zip(self._columns[1:], words[1:], strict=True))
        figures = {column: as_float(word) for column, word in told.items() if column in COLUMNS}
        if size_bytes is None or any(figure is None for figure in figures.values()):
            return False
        values = {COLUMNS[name][0]: figure * COLUMNS[name][1] for name, figure in figures.items() if figure is not None}
        wrong = {"Pass": 0, "Fail": 1}.get(told.get("Validation", ""))
        row = BenchmarkRow(size_bytes=size_bytes, wrong=wrong, **values)  # type: ignore[arg-type]
        self._done[-1].rows.append(row)
        return True
