"""Series as bytes for the way to rank 0: at most 2 KiB each, whatever their histogram looks like.

A histogram is two rows of numbers of one to ten bytes (LEB128): the distance of each bin to the one before, and its
count. Where that is too long, neighbouring bins are made one until it fits: samples, total, extremes and the slowest
iterations stay exact, percentiles get coarser, and how much is told with the series. Faults are what a run is for, and
none is ever left out: a series with more than MOST_FAULTS of them is longer.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import accumulate
from typing import Final

import msgspec

from netprobe.errors import FormatError
from netprobe.model.histogram import OCTAVE_BITS, Histogram
from netprobe.model.series import Fault, Metric, Phase, Series, SlowSample

LARGEST_BYTES: Final = 2048
MOST_FAULTS: Final = 4
"""As many as one check at both ends of a pair, before and after, can find."""
MOST_HALVINGS: Final = OCTAVE_BITS
"""Then an octave is one bin, and 64 of those hold any time."""

_EDGE_RATIO: Final = 1.0 / (1 << OCTAVE_BITS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Unpacked:
    """A series as it arrived."""

    series: Series
    halvings: int
    """How often neighbouring bins of its histogram were made one."""

    @property
    def error_ratio(self) -> float:
        """How far its percentiles may be from a time that was measured."""
        return _EDGE_RATIO / 2 * (1 << self.halvings)


class _Packed(msgspec.Struct, array_like=True):
    """The fields of model.series.Series; array-like, since names would be longer than values."""

    stage: str
    probe: str
    metric: Metric
    phase: Phase
    round_index: int
    src: int
    dst: int | None
    size_bytes: int
    bytes_per_iteration: int
    window: int
    dtype: str
    op: str | None
    root: int | None
    in_place: bool
    iterations: int
    total_ns: int
    min_ns: int
    max_ns: int
    checked_iterations: int
    started_ns: int | None
    cpu: int | None
    slowest: bytes
    slowest_at: bytes
    quarters: bytes
    faults: list[Fault]
    halvings: int
    bins: bytes
    counts: bytes


_ENCODER: Final = msgspec.msgpack.Encoder()
_DECODER: Final = msgspec.msgpack.Decoder(_Packed)


def packed(series: Series) -> bytes:
    """Return a series as bytes: at most LARGEST_BYTES with names of up to 64 bytes and MOST_FAULTS faults."""
    slowest = [number for each in series.slowest for number in (each.iteration, each.elapsed_ns)]
    told = _Packed(
        **{name: getattr(series, name) for name in _Packed.__struct_fields__[:_OWN_FIELDS]},
        slowest=_numbers(slowest),
        slowest_at=_numbers(_times_told(series)),
        quarters=_numbers(series.quarters_ns),
        faults=list(series.faults),
        halvings=0,
        bins=b"",
        counts=b"",
    )
    for halvings in range(MOST_HALVINGS + 1):
        histogram = coarser(series.histogram, halvings)
        told.halvings = halvings
        told.bins = _numbers([b - a for a, b in zip((0, *histogram.bins), histogram.bins, strict=False)])
        told.counts = _numbers(histogram.counts)
        body = _ENCODER.encode(told)
        if len(body) <= LARGEST_BYTES:
            break
    return body


def unpacked(body: bytes) -> Unpacked:
    """Return what ``packed`` made of a series; FormatError for anything else."""
    try:
        told = _DECODER.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise FormatError(f"a series of {len(body)} bytes cannot be read: {error}") from error
    slowest = _numbers_of(told.slowest)
    if len(slowest) % 2:
        raise FormatError("a slow iteration has no time")
    times: list[int] | list[None] = list(_numbers_of(told.slowest_at)) or [None] * (len(slowest) // 2)
    if len(times) * 2 != len(slowest):
        raise FormatError("of the slowest iterations, not all tell when they began")
    series = Series(
        **{name: getattr(told, name) for name in _Packed.__struct_fields__[:_OWN_FIELDS]},
        histogram=Histogram(bins=tuple(accumulate(_numbers_of(told.bins))), counts=tuple(_numbers_of(told.counts))),
        slowest=tuple(
            SlowSample(iteration=iteration, elapsed_ns=elapsed_ns, at_ns=at_ns)
            for iteration, elapsed_ns, at_ns in zip(slowest[::2], slowest[1::2], times, strict=True)
        ),
        quarters_ns=tuple(_numbers_of(told.quarters)),
        faults=tuple(told.faults),
    )
    return Unpacked(series=series, halvings=told.halvings)


_OWN_FIELDS: Final = _Packed.__struct_fields__.index("slowest")


def _times_told(series: Series) -> list[int]:
    """Return when the slowest began; nothing where that is not told of all."""
    times = [each.at_ns for each in series.slowest]
    return [each for each in times if each is not None] if None not in times else []


def coarser(histogram: Histogram, halvings: int) -> Histogram:
    """Return a histogram with 2^halvings neighbouring bins made one, that of their middle; samples stay as many."""
    if not halvings:
        return histogram
    counts: dict[int, int] = {}
    for index, count in zip(histogram.bins, histogram.counts, strict=True):
        middle = (index >> halvings << halvings) + (1 << halvings - 1)
        counts[middle] = counts.get(middle, 0) + count
    return replace(histogram, bins=tuple(counts), counts=tuple(counts.values()))


def _numbers(values: Sequence[int]) -> bytes:
    """Return non-negative numbers as LEB128, seven bits a byte, the lowest first."""
    if max(values, default=0) <= 0x7F:  # as most are: each is its own byte then
        return bytes(values)
    body = bytearray()
    for value in values:
        left = value
        while left > 0x7F:
            body.append(left & 0x7F | 0x80)
            left >>= 7
        body.append(left)
    return bytes(body)


def _numbers_of(body: bytes) -> list[int]:
    """Return the numbers that ``_numbers`` made bytes of."""
    if body.isascii():
        return list(body)
    # A loop: rows are a hundred bytes long, and numpy takes as long to begin as this to end.
    told, value, shift = [], 0, 0
    for byte in body:
        if byte > 0x7F:
            value |= (byte & 0x7F) << shift
            shift += 7
        else:
            told.append(value | byte << shift)
            value = shift = 0
    if shift:
        raise FormatError("a row of numbers ends within one")
    return told
