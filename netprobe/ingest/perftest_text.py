"""Reports of perftest (ib_write_bw, ib_send_lat, …): tables as text, and ``--out_json``.

MB/sec has always meant 2^20 bytes there. Both ends print a report; where their outputs are mixed, rows go to the first
report that they continue. Source: src/perftest_parameters.{c,h} of linux-rdma/perftest.
"""

import re
from collections.abc import Iterator
from typing import Final

from netprobe.ingest.pasted import Line
from netprobe.ingest.told import Place, Table, Told, as_count, as_float, as_name, benchmarks
from netprobe.model.benchmark import Benchmark, BenchmarkRow
from netprobe.units import NS_PER_S, NS_PER_US, gbps

TITLE: Final = re.compile(r"\s*([A-Z]\w{1,30}(?: \w{1,20}){0,4}) Test\s*$")
COLUMN: Final = re.compile(
    r"#bytes|#iterations|BW (?:peak|average)\[[^\]]{1,20}\]|MsgRate\[[^\]]{1,20}\]|CPU_Util\[%\]|t_\w{1,20}\[usec\]"
    r"|\d[\d.]{0,6}% percentile\[usec\]|tps average"
)
REMARK: Final = re.compile(
    r"\s*(?:-{8,}|\*{8,}|\* Waiting for client|Dual-port|Number of qps|Connection type|PCIe relax|ibv_wr|TX depth"
    r"|RX depth|CQ Moderation|Mtu\s*:|Link type|Max inline|rdma_cm QPs|Data ex\. method|GID|Outstand reads|Using SRQ"
    r"|Conflicting CPU frequency|WARNING: BW peak|Use CUDA|Device\s*:|Transport type"
    r"|initializing CUDA|Listing all CUDA)"
)
WAITING: Final = re.compile(r"\s*(?:\*{30,}|-{80,}|\* Waiting for client to connect\.* \*)\s*$")
ADDRESS: Final = re.compile(r"\s*(local|remote) address:\s*LID\s+(0x[0-9a-fA-F]{1,4}|0{1,4})\b")
GID: Final = re.compile(r"\s*GID:\s*([\d:a-fA-F]{2,64})\s*$")
GBPS_OF: Final = {"MB/sec": gbps(1 << 20, NS_PER_S), "MiB/sec": gbps(1 << 20, NS_PER_S), "Gb/sec": 1.0}
"""One of a unit in Gb/s."""
MOST_OPEN: Final = 8  # reports whose outputs are mixed: there are two ends
LATENCIES: Final = {
    "t_min[usec]": "min_ns",
    "t_max[usec]": "max_ns",
    "t_typical[usec]": "p50_ns",
    "t_avg[usec]": "time_ns",
    "99% percentile[usec]": "p99_ns",
    "99.9% percentile[usec]": "p999_ns",
}


class Perftest:
    """Reads the reports of one stream."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self._title: str | None = None
        self._columns: tuple[str, ...] = ()
        self._ends: dict[str, str] = {}
        """Address by ``local`` and ``remote``, of the report whose banner is read."""
        self._end: str | None = None
        self._open: list[Table] = []
        self._done: list[Table] = []

    def take(self, line: Line) -> bool:
        """Note a title, an address, a heading or a row."""
        text = line.text
        if (match := TITLE.match(text)) and match[1].split()[-1] in ("BW", "Latency"):
            self._begin(match[1])
            return True
        if match := ADDRESS.match(text):
            self._end = match[1]
            self._ends[self._end] = match[2] if match[2].strip("0x") else ""
            return True
        if (match := GID.match(text)) and self._end is not None:
            self._ends[self._end] = match[1]
            return True
        is_remark = WAITING.match(text) or (self._title is not None and REMARK.match(text))
        return self._heading(line) or self._row(text) or bool(is_remark)

    def take_json(self, line: Line, value: dict[str, object]) -> bool:
        """Note what ``--out_json`` wrote: of a sweep, only the last size."""
        info, results = value.get("test_info"), value.get("results")
        if not isinstance(info, dict) or not isinstance(results, dict) or "MsgSize" not in results:
            return False
        row = _json_row(results)
        if row is None:
            return False
        title = as_name(info.get("test"))
        self._done.append(
            Table(about=_benchmark(title and title.removesuffix(" Test"), self._place.line(line.number)), rows=[row])
        )
        return True

    def told(self) -> Iterator[Told]:
        """Yield one benchmark a report."""
        self._close()
        return benchmarks(self._done)

    def _begin(self, title: str) -> None:
        if all(each.rows for each in self._open):
            self._close()
        if not self._open:
            self._ends = {}
        self._title, self._end = title, None

    def _close(self) -> None:
        self._done += self._open
        self._open = []

    def _heading(self, line: Line) -> bool:
        columns = tuple(COLUMN.findall(line.text))
        if columns[:2] != ("#bytes", "#iterations") or len(columns) < 3:
            return False
        if self._open and all(each.rows for each in self._open):
            self._close()
        self._columns = columns
        ends = self._ends
        is_loopback = len(ends) == 2 and len(set(ends.values())) == 1 and all(ends.values())
        about = _benchmark(self._title, self._place.line(line.number), is_loopback=is_loopback)
        self._open.append(Table(about=about))
        return True

    def _row(self, text: str) -> bool:
        words = text.split()
        if not self._columns or len(words) != len(self._columns) or not (self._open or self._done):
            return False
        row = _row_of(dict(zip(self._columns, words, strict=True)))
        if row is None:
            return False
        open_now = self._open[-MOST_OPEN:]
        table = next((each for each in open_now if each.last_size_bytes < row.size_bytes), None)
        if table is None:  # the same size again: the other end's summary
            table = Table(about=(self._open or self._done)[-1].about)
            self._open.append(table)
        table.rows.append(row)
        return True


def _benchmark(title: str | None, source: str, *, is_loopback: bool = False) -> Benchmark:
    streams = title is not None and title.split()[-1] == "BW"
    both = title is not None and "Bidirectional" in title.split()
    return Benchmark(
        tool="perftest",
        operation=title,
        source=source,
        rows=(),
        ranks=2,
        is_one_way=streams and not both,
        is_two_way=streams and both,
        is_loopback=is_loopback,
    )


def _row_of(told: dict[str, str]) -> BenchmarkRow | None:
    size_bytes, iterations = as_count(told["#bytes"]), as_count(told["#iterations"])
    figures = {column: as_float(word) for column, word in told.items()}
    if size_bytes is None or iterations is None or any(figure is None for figure in figures.values()):
        return None
    values: dict[str, float | None] = {}
    for column, figure in figures.items():
        if figure is None:
            continue
        kind, _, unit = column.removesuffix("]").partition("[")
        if kind in ("BW peak", "BW average"):
            name = "peak_gbps" if kind == "BW peak" else "algbw_gbps"
            factor = GBPS_OF.get(unit)
            # A peak of 0 was not looked for (-D, or many iterations).
            values[name] = None if factor is None or (name == "peak_gbps" and not figure) else figure * factor
        elif kind == "MsgRate":
            values["messages_per_s"] = figure * 1e6
        elif column in LATENCIES:
            values[LATENCIES[column]] = figure * NS_PER_US
    return BenchmarkRow(size_bytes=size_bytes, **values)  # type: ignore[arg-type]


def _json_row(results: dict[str, object]) -> BenchmarkRow | None:
    size_bytes = as_count(results.get("MsgSize"))
    if size_bytes is None:
        return None
    rate, average, peak = (as_float(results.get(key)) for key in ("MsgRate", "BW_average", "BW_peak"))
    factor = _factor(size_bytes, rate, average)
    figures = {
        "min_ns": "t_min", "max_ns": "t_max", "p50_ns": "t_typical", "time_ns": "t_avg", "p99_ns": "percentile_99",
        "p999_ns": "percentile_99.9",
    }  # fmt: skip
    times = {name: as_float(results.get(key)) for name, key in figures.items()}
    return BenchmarkRow(
        size_bytes=size_bytes,
        algbw_gbps=None if average is None or factor is None else average * factor,
        peak_gbps=None if not peak or factor is None else peak * factor,
        messages_per_s=None if rate is None else rate * 1e6,
        **{name: None if time_us is None else time_us * NS_PER_US for name, time_us in times.items()},  # type: ignore[arg-type]
    )


def _factor(size_bytes: int, rate: float | None, average: float | None) -> float | None:
    """Return what one of the unit of a rate is in Gb/s; the file does not say, but messages times size do."""
    if not rate or not average or not size_bytes:
        return None
    told_gbps = rate * 1e6 * size_bytes * 8 / NS_PER_S
    return min(GBPS_OF.values(), key=lambda factor: abs(average * factor / told_gbps - 1.0))
