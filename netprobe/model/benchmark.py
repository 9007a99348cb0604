"""What other benchmarks printed, in netprobe's units."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class BenchmarkRow:
    """One line of a table, or the half of it that is about one placement; None where the tool has no such column."""

    size_bytes: int
    time_ns: float | None = None
    """Of one operation, on average; half a round trip for ping-pong."""
    algbw_gbps: float | None = None
    """Size over time; of streams, what they reached on average."""
    busbw_gbps: float | None = None
    peak_gbps: float | None = None
    min_ns: float | None = None
    max_ns: float | None = None
    p50_ns: float | None = None
    p99_ns: float | None = None
    p999_ns: float | None = None
    messages_per_s: float | None = None
    wrong: int | None = None
    """Elements that were not as expected; None where nothing was compared."""
    in_place: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Benchmark:
    """One table of one tool."""

    tool: str
    """``nccl-tests``, ``perftest``, ``osu``, ``imb``."""
    operation: str | None
    """As the tool calls it; None where its output does not say."""
    source: str
    """The file, and the line where it begins."""
    rows: tuple[BenchmarkRow, ...]
    """In order of the output."""
    ranks: int | None = None
    hosts: tuple[str, ...] | None = None
    """Those that took part; None where the output does not say."""
    is_one_way: bool = False
    """Whether its bandwidth is what one sender gives to one receiver."""
    is_two_way: bool = False
    """Whether its bandwidth is that of both directions together."""
    is_loopback: bool = False
    """Whether both ends were the same port."""
    out_of_bounds: int | None = None
    """Wrong elements of all rows together, as the tool sums them up."""

    @property
    def title(self) -> str:
        """``ib_write_bw (perftest, FILE line 3)``."""
        return f"{self.operation or 'unnamed operation'} ({self.tool}, {self.source})"
