"""What a rank tells of a round, as bytes, and what rank 0 makes of it."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

import msgspec

from netprobe.contracts import ProbeResult
from netprobe.errors import FormatError
from netprobe.model.bursts import StepBin
from netprobe.model.counters import CounterWindow
from netprobe.model.finding import Gap
from netprobe.model.rdma import PairFailure
from netprobe.model.series import Series
from netprobe.store.encoding import packed_document
from netprobe.store.packed import Unpacked, packed, unpacked


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """One rank's part of a round."""

    series: tuple[Series, ...]
    gaps: tuple[Gap, ...]
    failures: tuple[PairFailure, ...]
    window: CounterWindow
    steps: tuple[StepBin, ...] = ()


class _Parts(msgspec.Struct, array_like=True):
    series: list[bytes]
    gaps: tuple[Gap, ...]
    failures: tuple[PairFailure, ...]
    window: CounterWindow
    steps: tuple[StepBin, ...] = ()


_DECODER: Final = msgspec.msgpack.Decoder(_Parts)


def payload_of(results: Sequence[ProbeResult], window: CounterWindow) -> bytes:
    """Return what a rank found in a round as bytes; counts of datagrams are in the window already."""
    parts = _Parts(
        series=[packed(each) for each in results if isinstance(each, Series)],
        gaps=tuple(each for each in results if isinstance(each, Gap)),
        failures=tuple(each for each in results if isinstance(each, PairFailure)),
        window=window,
        steps=tuple(each for each in results if isinstance(each, StepBin)),
    )
    return packed_document(parts)


def told_by(payload: bytes) -> Told:
    """Return what a rank told; FormatError where it did not come from ``payload_of``."""
    try:
        parts = _DECODER.decode(payload)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise FormatError(f"what a rank told of a round cannot be read: {error}") from error
    arrived = [unpacked(each) for each in parts.series]
    return Told(
        series=tuple(each.series for each in arrived),
        gaps=(*parts.gaps, *_coarse(arrived)),
        failures=parts.failures,
        window=parts.window,
        steps=parts.steps,
    )


def _coarse(arrived: Iterable[Unpacked]) -> Iterable[Gap]:
    """Yield that percentiles are not as sharp as usual, where times were spread too widely for that."""
    coarse = [each for each in arrived if each.halvings]
    if coarse:
        worst = max(each.error_ratio for each in coarse)
        yield Gap(
            topic="resolution",
            reason=f"times of some series are spread so widely that their percentiles are known to {worst:.1%} only; "
            "their shortest, longest and mean times are exact",
            remedy="nothing, unless a percentile is close to a limit: then the stage alone, with fewer iterations",
        )
