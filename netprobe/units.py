"""Units, converted once at the edge: sizes as operators type them, durations, bits per nanosecond.

Sizes take binary suffixes (8M = 8 * 2^20 bytes), as users of nccl-tests, OSU and perftest type them. Bandwidth is
Gb/s (1e9 bit/s); GB/s (1e9 byte/s) only in the columns that readers of nccl-tests expect.
"""

import re
from typing import Final

NS_PER_US: Final = 1_000
NS_PER_MS: Final = 1_000_000
NS_PER_S: Final = 1_000_000_000

_SIZE_FACTORS: Final = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}
_SIZE_PATTERN: Final = re.compile(r"(\d+)\s*([KMGT]?)(?:i?B)?", re.IGNORECASE)
_RATE_PATTERN: Final = re.compile(r"(\d{1,9}(?:\.\d{1,9})?)\s*(?:([KMGT])(i)?)?B?(?:/s|ps)?", re.IGNORECASE)
_DURATION_FACTORS_NS: Final = {
    "us": NS_PER_US,
    "ms": NS_PER_MS,
    "s": NS_PER_S,
    "m": 60 * NS_PER_S,
    "h": 3600 * NS_PER_S,
    "d": 86_400 * NS_PER_S,
    "w": 7 * 86_400 * NS_PER_S,
}
_SLOW_PCIE_CODING: Final = 8 / 10  # of the first two generations
_LAST_SLOW_GTPS: Final = 5.0
_FAST_PCIE_CODING: Final = 128 / 130
_DURATION_PATTERN: Final = re.compile(r"(\d+(?:\.\d+)?)\s*(us|ms|s|m|h|d|w)?", re.IGNORECASE)


def parse_size(text: str) -> int:
    """Return the bytes meant by ``8``, ``8K``, ``8M``, ``8GiB``; raise ValueError for anything else."""
    match = _SIZE_PATTERN.fullmatch(text.strip())
    if match is None:
        raise ValueError(f"{text!r} is not a size; write bytes or a binary suffix, as in 8, 64K, 8M or 1G")
    return int(match[1]) * _SIZE_FACTORS[match[2].upper()]


def parse_rate(text: str) -> int:
    """Return the bytes a second meant by ``2GB/s``, ``500M``, ``1.5GiB/s``; raise ValueError for anything else.

    Decimal, as rates are told, but for ``GiB``.
    """
    match = _RATE_PATTERN.fullmatch(text.strip())
    if match is None:
        raise ValueError(f"{text!r} is not a rate; write bytes a second, as in 2GB/s or 500MB/s")
    power = "KMGT".find((match[2] or " ").upper()) + 1
    factor: int = (1024 if match[3] else 1000) ** power
    return round(float(match[1]) * factor)


def parse_duration_ns(text: str) -> int:
    """Return the nanoseconds meant by ``120``, ``120s``, ``2m``, ``500ms``; raise ValueError for anything else."""
    match = _DURATION_PATTERN.fullmatch(text.strip())
    if match is None:
        raise ValueError(f"{text!r} is not a duration; write seconds or a suffix, as in 120s, 2m or 500ms")
    return round(float(match[1]) * _DURATION_FACTORS_NS[(match[2] or "s").lower()])


def gbps(size_bytes: float, elapsed_ns: float) -> float:
    """Return Gb/s: eight bits a byte, and one bit a nanosecond is 1e9 bit/s."""
    return 8.0 * size_bytes / elapsed_ns


def pcie_gbps(speed_gtps: float | None, width: int | None) -> float | None:
    """Return what a PCI Express link carries one way, without what its coding takes; None where it is not known."""
    if speed_gtps is None or width is None:
        return None
    return speed_gtps * width * (_SLOW_PCIE_CODING if speed_gtps <= _LAST_SLOW_GTPS else _FAST_PCIE_CODING)


def gigabytes_per_s(size_bytes: float, elapsed_ns: float) -> float:
    """Return GB/s (1e9 byte/s), the unit of nccl-tests' columns."""
    return size_bytes / elapsed_ns


def format_size(size_bytes: int) -> str:
    """Return the shortest exact binary spelling: 8, 64K, 8M, 1G."""
    for suffix in ("T", "G", "M", "K"):
        factor = _SIZE_FACTORS[suffix]
        if size_bytes and size_bytes % factor == 0:
            return f"{size_bytes // factor}{suffix}"
    return str(size_bytes)


def format_duration(elapsed_ns: float) -> str:
    """Return a duration with three significant digits and its unit: 0.57 us, 12.3 ms, 1.50 s, 4 min 12 s."""
    if elapsed_ns >= 60 * NS_PER_S:
        minutes, seconds = divmod(round(elapsed_ns / NS_PER_S), 60)
        return f"{minutes} min {seconds:02d} s"
    for factor, unit in ((NS_PER_S, "s"), (NS_PER_MS, "ms"), (NS_PER_US, "µs")):
        if elapsed_ns >= factor:
            return f"{_three_digits(elapsed_ns / factor)} {unit}"
    return f"{_three_digits(elapsed_ns)} ns"


def format_count(value: int, unit: str) -> str:
    """Return what a counter shows, with its unit where that is not simply a number of something."""
    if unit == "ns":
        return format_duration(value)
    return f"{value:,} bytes" if unit == "bytes" else f"{value:,}"


def format_gbps(value_gbps: float) -> str:
    """Return a bandwidth with three significant digits and its unit: 392 Gb/s, 0.25 Gb/s, 1.60 Mb/s."""
    if value_gbps >= 0.1:
        return f"{_three_digits(value_gbps)} Gb/s"
    value_mbps = value_gbps * 1_000
    return f"{_three_digits(value_mbps)} Mb/s" if value_mbps >= 0.1 else f"{_three_digits(value_mbps * 1_000)} kb/s"


def _three_digits(value: float) -> str:
    if value >= 100:
        return f"{value:.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"
