"""What a report can draw beside its words: pairs as maps, latencies as distributions, counters over a run.

Reports hold verdicts and summaries; these are the measured tables behind them, small enough for one page. Missing is
absent (a pair that is not there, a percentile that is None), never 0.
"""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

import numpy as np
from numpy.typing import NDArray

from netprobe.model.plan import Memory, Path, Scope
from netprobe.model.rdma import Operation

IntArray = NDArray[np.int64]
FloatArray = NDArray[np.float64]

UNKNOWN_LEAF: Final = -1


class Figure(StrEnum):
    """What a map of pairs is of."""

    BANDWIDTH = "bandwidth"
    """Gb/s; more is better."""
    LATENCY = "latency"
    """ns, half a round trip; less is better."""
    LOSS = "loss"
    """Lost packets over sent ones."""


class Witness(StrEnum):
    """Who counted what was lost."""

    NICS = "packets of RDMA, counted by NICs"
    DATAGRAMS = "datagrams of RDMA, counted at both ends"
    TCP = "segments of TCP, counted by kernels"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Places:
    """Where ranks are; arrays have shape (ranks,)."""

    hosts: tuple[str, ...]
    host_of: IntArray
    nics: tuple[str | None, ...]
    """The RDMA port of each rank; None where it uses none."""
    leaves: tuple[str, ...] = ()
    leaf_of: IntArray = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    """UNKNOWN_LEAF where nobody tells; empty without leaves."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PairMap:
    """One figure of pairs of ranks; arrays have shape (n,), each pair once."""

    figure: Figure
    probe: str
    scope: Scope
    path: Path
    size_bytes: int | None
    """None: all sizes together."""
    src: IntArray
    dst: IntArray
    """Rank numbers."""
    value: FloatArray
    """Gb/s, ns or a ratio; the middle one where a pair was measured several times."""
    typical: float | None
    """The median over pairs; None for loss, of which none is typical."""
    directed: bool
    """Whether (i, j) and (j, i) are different measurements."""
    operation: Operation | None = None
    send_memory: Memory = Memory.HOST
    receive_memory: Memory = Memory.HOST
    weight: FloatArray | None = None
    """For loss: what was sent, shape (n,)."""
    witness: Witness | None = None
    """For loss."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Percentile:
    """One point of a distribution."""

    share: float
    elapsed_ns: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """All timed iterations of one probe at one size, all pairs or ranks together; latencies are half a round trip."""

    probe: str
    scope: Scope
    path: Path
    size_bytes: int
    samples: int
    min_ns: float
    max_ns: float
    points: tuple[Percentile, ...]
    """Ascending; those that the samples support (stats.quantiles)."""
    density: tuple[int, ...]
    """Samples in bins of equal width in the logarithm, from the smallest to the largest."""
    send_memory: Memory = Memory.HOST
    receive_memory: Memory = Memory.HOST

    def at(self, share: float) -> float | None:
        """Return a percentile in ns; None where the samples are too few for it."""
        return next((each.elapsed_ns for each in self.points if abs(each.share - share) < 1e-9), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class ExpectedRate:
    """What the table of expectations asks of a collective, or why it asks nothing."""

    probe: str
    path: Path
    memory: Memory
    from_bytes: int | None
    busbw_gigabytes_per_s: float | None
    """None: no figure fits."""
    source: str
    """Who published it; or what the table lacks."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PortGrowth:
    """What one counter of one port grew by, from stage to stage."""

    host: str
    port: str
    meaning: str
    unit: str
    total: float
    """Under load, all stages together."""
    by_stage: tuple[float | None, ...]
    """As ``Exhibits.counted_stages``; None where it was not read."""
    idle_before: float | None
    idle_after: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SettingDifference:
    """A setting that is not the same on all hosts."""

    part: str
    """A device, ``system`` or ``environment``."""
    topic: str
    usual: str | None
    """None: most hosts do not have it, or no value is that of most."""
    agreeing: int
    """Hosts with the usual value; 0 where no value is."""
    others: tuple[tuple[str | None, tuple[str, ...]], ...]
    """(value, hosts); None: these hosts do not have it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StageCoverage:
    """What one stage was to do, and did."""

    stage: str
    pairs_planned: int
    """0 for collectives, which have no pairs."""
    pairs_failed: int
    rounds: int
    is_finished: bool


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Exhibits:
    """Everything that can be drawn of one run."""

    places: Places
    maps: tuple[PairMap, ...] = ()
    spreads: tuple[Spread, ...] = ()
    expected: tuple[ExpectedRate, ...] = ()
    growths: tuple[PortGrowth, ...] = ()
    """Of what tells of trouble; counters that did not grow are left out."""
    counted_stages: tuple[str, ...] = ()
    """Stages around which NICs were read, in order; none where no NIC was."""
    ports_read: int = 0
    settings: tuple[SettingDifference, ...] = ()
    hosts_told: int = 0
    """Hosts whose settings are known."""
    stages: tuple[StageCoverage, ...] = ()
