"""Many runs of one fabric, night after night: what was measured of whom, what was found, and what hosts were made of.

In arrays NaN stands for "not measured that night", never 0.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType
from typing import Final

import numpy as np
from numpy.typing import NDArray

from netprobe.model.finding import Gap, Severity
from netprobe.model.run import RunStatus
from netprobe.model.verdict import Verdict

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

FLEET: Final = "fleet"
"""The subject of what all hosts do together; no host, since it is told without one."""


class Kind(StrEnum):
    """What a row of a digest is."""

    RUN = "run"  # the first row; samples: how many figures follow
    FIGURE = "figure"
    FACT = "fact"
    FINDING = "finding"
    BASELINE = "baseline"


class Unit(StrEnum):
    """What a figure is in."""

    GBPS = "Gb/s"
    GIGABYTES_PER_S = "GB/s"
    NS = "ns"
    RATIO = "ratio"

    @property
    def is_rate(self) -> bool:
        """Whether more is better; of the others, less."""
        return self in (Unit.GBPS, Unit.GIGABYTES_PER_S)


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One figure of one run: of a NIC, a host, or the fleet."""

    title: str
    """What was measured, the same in all runs: ``RDMA bandwidth 8M, sends``."""
    metric: str
    """Its family, to choose by: ``bandwidth``, ``latency``, ``latency-p99``, ``loss``, ``busbw``, …"""
    subject: str
    """``node17 mlx5_3``, ``node17`` or ``fleet``."""
    host: str | None
    """None of the fleet."""
    unit: Unit
    value: float
    mad: float | None
    """Median distance of the samples from ``value``; None of a single one."""
    samples: int
    """What ``value`` is the median of: series with partners; of a collective, its iterations."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HostFact:
    """One fact of a host that makes its figures comparable or not, as in (``nic firmware``, ``28.40.1000``)."""

    host: str
    name: str
    value: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Sighting:
    """A finding of one run, for one of its subjects."""

    detector: str
    severity: Severity
    subject: str
    host: str | None
    """The host to leave out because of it."""
    summary: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Digest:
    """A run in some thousand rows (digest.parquet): all that history and baselines keep of it."""

    run: str
    started: datetime
    status: RunStatus
    profile: str
    verdict: Verdict | None
    """None: it was never judged."""
    figures: tuple[Figure, ...] = ()
    facts: tuple[HostFact, ...] = ()
    """Of every host that took part."""
    sightings: tuple[Sighting, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Baseline:
    """What later runs are held against: a run's digest with a name."""

    name: str
    set_at: datetime
    digest: Digest


@dataclass(frozen=True, slots=True, kw_only=True)
class Night:
    """One run of a history."""

    run: str
    started: datetime
    status: RunStatus
    profile: str
    verdict: Verdict | None
    label: str
    """Its date in UTC, with the time where another run has the same."""

    @property
    def is_complete(self) -> bool:
        """Whether it was measured to its end: figures of others do not count."""
        return self.status is RunStatus.COMPLETE


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Trend:
    """One figure of all its subjects over all nights."""

    title: str
    metric: str
    unit: Unit
    subjects: tuple[str, ...]
    hosts: tuple[str | None, ...]
    """Of each subject."""
    values: FloatArray
    """Shape (nights, subjects)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """A finding, and the nights in which it was there."""

    detector: str
    subject: str
    host: str | None
    severity: Severity
    """The worst of all nights."""
    summary: str
    """Of the last night."""
    nights: tuple[int, ...]
    """Ascending."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Acknowledgement:
    """Somebody knows of a finding; what is seen of it later opens it again."""

    detector: str
    subject: str
    at: datetime
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class History:
    """The runs of one profile on one fabric, in order of time."""

    nights: tuple[Night, ...]
    trends: tuple[Trend, ...]
    seen: tuple[Seen, ...]
    hosts: tuple[str, ...]
    """All that took part in any night."""
    fingerprints: IntArray
    """Shape (nights, hosts): which of ``facts`` a host had; -1 where it took no part, or nobody knows."""
    facts: tuple[Mapping[str, str], ...] = ()
    """Values by name of each distinct fingerprint."""
    acknowledged: Mapping[tuple[str, str], datetime] = field(default_factory=lambda: MappingProxyType({}))
    """When, by detector and subject."""
    gaps: tuple[Gap, ...] = ()
    """Runs that are not in it, and why."""

    @property
    def last(self) -> int | None:
        """The newest night that was measured to its end; None where none was."""
        ended = (index for index in range(len(self.nights) - 1, -1, -1) if self.nights[index].is_complete)
        return next(ended, None)

    def is_acknowledged(self, detector: str, subject: str, night: int) -> bool:
        """Return whether somebody knew of what happened that night."""
        at = self.acknowledged.get((detector, subject))
        return at is not None and self.nights[night].started <= at

    def until(self, night: int) -> "History":
        """Return what was known after this night."""
        kept = night + 1
        seen = (replace(each, nights=tuple(n for n in each.nights if n < kept)) for each in self.seen)
        return replace(
            self,
            nights=self.nights[:kept],
            trends=tuple(replace(each, values=each.values[:kept]) for each in self.trends),
            seen=tuple(each for each in seen if each.nights),
            fingerprints=self.fingerprints[:kept],
        )
