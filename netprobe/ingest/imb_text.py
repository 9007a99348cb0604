"""Blocks of the Intel MPI Benchmarks (IMB-MPI1 and its kin). Mbytes are 1e6 bytes; rates are of the slowest rank.

Source: the user guide of intel/mpi-benchmarks, "Output", and src_c/IMB_output.c.
"""

import re
from collections.abc import Iterator
from typing import Final

from netprobe.ingest.pasted import Line
from netprobe.ingest.told import Place, Table, Told, as_count, as_float, benchmarks
from netprobe.model.benchmark import Benchmark, BenchmarkRow
from netprobe.units import NS_PER_US

TITLE: Final = re.compile(r"#\s*Benchmarking\s+(\S{1,60})")
PROCESSES: Final = re.compile(r"#\s*#processes\s*=\s*(\d{1,7})")
REMARK: Final = re.compile(r"#?\s*(?:-{8,}|\(\s*\d+ additional process|\( \d+ groups? of)|#\s*$")
GBPS_OF_MB: Final = 8e-3
ONE_WAY: Final = frozenset({"PingPong", "PingPongSpecificSource", "Uniband", "Unirandom"})
TWO_WAY: Final = frozenset({"Sendrecv", "Biband", "Birandom"})
COLUMNS: Final = {
    "t[usec]": ("time_ns", NS_PER_US),
    "t_avg[usec]": ("time_ns", NS_PER_US),
    "t_ovrl[usec]": ("time_ns", NS_PER_US),
    "t_min[usec]": ("min_ns", NS_PER_US),
    "t_max[usec]": ("max_ns", NS_PER_US),
    "Mbytes/sec": ("algbw_gbps", GBPS_OF_MB),
    "Msg/sec": ("messages_per_s", 1.0),
}


class Imb:
    """Reads the blocks of one stream."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self._name: str | None = None
        self._ranks: int | None = None
        self._columns: tuple[str, ...] = ()
        self._done: list[Table] = []

    def take(self, line: Line) -> bool:
        """Note a title, a heading or a row."""
        text = line.text.strip()
        if match := TITLE.match(text):
            self._name, self._ranks, self._columns = match[1], None, ()
            return True
        if self._name is None:
            return False
        if match := PROCESSES.match(text):
            self._ranks, self._columns = int(match[1]), ()
            return True
        return self._heading(line, text) or self._row(text) or bool(REMARK.match(text))

    def take_json(self, line: Line, value: dict[str, object]) -> bool:  # noqa: ARG002
        """Return False: there is none."""
        return False

    def told(self) -> Iterator[Told]:
        """Yield one benchmark a block."""
        return benchmarks(self._done)

    def _heading(self, line: Line, text: str) -> bool:
        columns = tuple(text.split())
        if "#repetitions" not in columns or not any(column in COLUMNS for column in columns):
            return False
        self._columns = columns
        about = Benchmark(
            tool="imb",
            operation=self._name,
            source=self._place.line(line.number),
            rows=(),
            ranks=self._ranks,
            is_one_way=self._name in ONE_WAY,
            is_two_way=self._name in TWO_WAY,
        )
        self._done.append(Table(about=about))
        return True

    def _row(self, text: str) -> bool:
        words = text.split()
        if not self._columns or len(words) != len(self._columns):
            return False
        told = dict(zip(self._columns, words, strict=True))
        size_bytes = as_count(told.get("#bytes", "0"))  # a barrier has no size
        figures = {column: as_float(word) for column, word in told.items() if column in COLUMNS}
        if size_bytes is None or any(figure is None for figure in figures.values()):
            return False
        values = {COLUMNS[name][0]: figure * COLUMNS[name][1] for name, figure in figures.items() if figure is not None}
        defects = as_float(told.get("defects"))
        wrong = None if defects is None else int(defects > 0)
        row = BenchmarkRow(size_bytes=size_bytes, wrong=wrong, **values)  # type: ignore[arg-type]
        self._done[-1].rows.append(row)
        return True
