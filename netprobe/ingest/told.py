"""What readers of pasted text hand over, and what a reader is."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Final, Protocol

from netprobe.catalogue.keys import Origin
from netprobe.ingest.pasted import Line
from netprobe.model.benchmark import Benchmark, BenchmarkRow
from netprobe.model.nccl import NcclFacts
from netprobe.model.subnet import SubnetLink
from netprobe.system.files import LARGEST_COUNT, count_of

LONGEST_NAME: Final = 253
"""What DNS allows a host."""


@dataclass(slots=True, kw_only=True)
class Sample:
    """Counters of one port at one moment."""

    source: str
    """The file, and the line where it begins."""
    origin: Origin
    host: str | None = None
    """None where the text does not say whose they are."""
    device: str | None = None
    """RDMA device or interface; None where the text does not say."""
    port: int = 1
    at_ns: int | None = None
    """Wall-clock time, where the text tells it."""
    values: dict[str, int] = field(default_factory=dict)
    """By name, as the driver calls it."""


@dataclass(slots=True, kw_only=True)
class Table:
    """A benchmark whose rows are still being read."""

    about: Benchmark
    rows: list[BenchmarkRow] = field(default_factory=list)

    @property
    def last_size_bytes(self) -> int:
        """Of the last row; -1 without any."""
        return self.rows[-1].size_bytes if self.rows else -1


def benchmarks(tables: Iterable[Table]) -> Iterator[Benchmark]:
    """Yield the benchmarks that have rows."""
    return (replace(each.about, rows=tuple(each.rows)) for each in tables if each.rows)


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """An RDMA port and its interface."""

    host: str | None
    device: str
    port: int
    state: str | None
    physical_state: str | None
    netdev: str | None
    link_layer: str | None = None
    rate_gbps: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Unjudged:
    """Lines of a kind that is known and of which nothing is judged."""

    file: str
    what: str
    lines: int
    remedy: str = ""


Told = Sample | Benchmark | Link | NcclFacts | SubnetLink | Unjudged


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a stream of lines comes from."""

    file: str
    host: str | None

    def line(self, number: int) -> str:
        """Return how reports refer to a line."""
        return f"{self.file} line {number}"


class Reader(Protocol):
    """Reads one format, line after line; lines of others may lie between."""

    def take(self, line: Line) -> bool:
        """Note what a line says; False when it is of another format, or damaged."""
        ...

    def take_json(self, line: Line, value: dict[str, object]) -> bool:
        """Note what an object says that begins on this line; False when it is of another format."""
        ...

    def told(self) -> Iterator[Told]:
        """Yield what was read, at the end."""
        ...


def as_name(value: object) -> str | None:
    """Return a name in one line, cut where it is longer than any real one; None for what is no text, or empty."""
    return " ".join(value[:LONGEST_NAME].split()) or None if isinstance(value, str) else None


def as_float(value: object) -> float | None:
    """Return a finite number; None for anything else, such as ``N/A``, ``nan`` or a boolean."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if abs(number) < 1e30 else None


def as_count(value: object) -> int | None:
    """Return a whole number from 0 up to what counters.parquet holds; None for anything else."""
    if isinstance(value, str):
        return count_of(value)
    if not isinstance(value, int) or isinstance(value, bool):
        return None
    return value if 0 <= value <= LARGEST_COUNT else None
