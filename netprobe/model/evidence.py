"""What the judges read: a run as typed arrays, without files, polars or histograms.

In the arrays NaN stands for "not known" (too few samples for that percentile); a row that was not measured is absent.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import Final

import numpy as np
from numpy.typing import NDArray

from netprobe.model.bursts import StepBin
from netprobe.model.endpoint import Clock, Rank
from netprobe.model.expectation import Expectation
from netprobe.model.finding import Gap
from netprobe.model.gpu import GpuEndpoint, GpuGrowth, GpuWindow
from netprobe.model.inventory import HostInventory
from netprobe.model.nccl import NcclFacts
from netprobe.model.plan import Memory, Path, Plan, Scope
from netprobe.model.ports import NO_PORTS, PortTable, UnreadPort
from netprobe.model.rdma import Operation, PairFailure, RdmaEndpoint
from netprobe.model.series import Fault, Metric
from netprobe.model.standing import Benched, PathAnswer, StuckPair

IntArray = NDArray[np.int64]
FloatArray = NDArray[np.float64]

Sweep = tuple[str, Scope, Path, Memory, Memory]
"""Probe, scope, path, and the memory of both ends: what tables have in common that differ in size alone."""

CROWDED_RATIO: Final = 0.10
"""Ranks that wait for a CPU for so much of the time are crowded, whoever crowds them: a tenth moves a median."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PairTable:
    """All timed pair series of one probe, scope, path and size; arrays have shape (n,), one row a series."""

    stage: str
    probe: str
    metric: Metric
    scope: Scope
    size_bytes: int
    bytes_per_iteration: int
    window: int
    directed: bool
    """Whether (i, j) and (j, i) are different measurements; False for round trips and two-way streams."""
    src: IntArray
    dst: IntArray
    """Rank numbers."""
    round_index: IntArray
    samples: IntArray
    min_ns: FloatArray
    p50_ns: FloatArray
    p99_ns: FloatArray
    p999_ns: FloatArray
    max_ns: FloatArray
    total_ns: FloatArray
    path: Path = Path.MPI
    operation: Operation | None = None
    """What moved the messages over RDMA; None over MPI."""
    send_memory: Memory = Memory.HOST
    receive_memory: Memory = Memory.HOST
    pipelined_ns: FloatArray | None = None
    """Mean time of an iteration in runs that nothing divides; None where no row has it."""

    @property
    def sweep(self) -> Sweep:
        """What it shares with the tables of other sizes."""
        return self.probe, self.scope, self.path, self.send_memory, self.receive_memory

    @property
    def is_of_host(self) -> bool:
        """Whether no GPU has a part in it."""
        return not (self.send_memory.needs_gpu or self.receive_memory.needs_gpu)


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupResult:
    """One collective at one size: each sample is the slowest rank of an iteration."""

    stage: str
    probe: str
    size_bytes: int
    dtype: str
    op: str | None
    root: int | None
    in_place: bool
    ranks: int
    iterations: int
    mean_ns: float
    p50_ns: float
    p99_ns: float | None
    max_ns: float
    wrong_bytes: int | None
    """Over all ranks and checked iterations; None when the data was not checked."""
    path: Path = Path.MPI
    memory: Memory = Memory.HOST
    pipelined_ns: float | None = None
    """Mean time of an iteration in runs that nothing divides; None where there were none."""
    pipelined_iterations: int | None = None
    """Of all these runs."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ArrivalTable:
    """How late each rank entered and left one collective; arrays have shape (ranks,), indexed like ``rank``."""

    stage: str
    probe: str
    size_bytes: int
    iterations: int
    rank: IntArray
    arrival_p50_ns: FloatArray
    arrival_p99_ns: FloatArray
    exit_p50_ns: FloatArray
    operation_p50_ns: float
    """The whole collective, for scale; NaN when unknown."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CounterRise:
    """A counter that grew in a second of bursts by far more than in others."""

    round_index: int
    rank: int
    """The first of its host, but for counters of processes."""
    counter: str
    growth: int
    usual: float
    """In so long a time, over all other seconds."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class StepTable:
    """The steps of one stage of bursts; what was told for parts of it has shape (parts,) or (parts, ranks)."""

    stage: str
    size_bytes: int
    compute_ratio: float
    period_ns: int
    is_free_running: bool
    bins: tuple[StepBin, ...]
    """In order; at least one."""
    p50_ns: float
    """Of all steps; where the stage was cut short of what its parts and seconds tell."""
    p99_ns: float
    """NaN where not all steps are in one histogram, or they are too few; as ``p999_ns``."""
    p999_ns: float
    part_p50_ns: FloatArray
    part_steps: IntArray
    rank: IntArray
    arrival_p50_ns: FloatArray
    """How long after the first rank each entered, by part; NaN where it did not take part."""
    rises: tuple[CounterRise, ...] = ()
    """In the rounds of slowest steps whose counters are kept by themselves."""
    waited_ns: Mapping[tuple[int, int], float] = field(default_factory=dict)
    """For how much longer than usual a rank waited for a CPU in such a round, by (round, rank)."""
    overlaps: bool = False
    exposed_p50_ns: float = float("nan")
    """What communication cost beyond computing; NaN where nobody tells, as ``exposed_mean_ns``."""
    exposed_mean_ns: float = float("nan")

    @property
    def steps(self) -> int:
        """How many there were."""
        return sum(each.steps for each in self.bins)

    @property
    def total_ns(self) -> int:
        """Of all steps, by the slowest rank of each."""
        return sum(each.total_ns for each in self.bins)

    @property
    def max_ns(self) -> int:
        """The slowest of all."""
        return max(each.max_ns for each in self.bins)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class HopTable:
    """What the hops of a traced ring held up, at one size; arrays have shape (hops,)."""

    stage: str
    probe: str
    size_bytes: int
    iterations: int
    messages: int
    """That each hop carried in one iteration."""
    src: IntArray
    dst: IntArray
    """Rank numbers: each rank and the one after it."""
    bytes_per_iteration: IntArray
    p50_ns: FloatArray
    """Of an iteration: what the hop kept its receiver waiting for (stats.hops)."""
    operation_p50_ns: float
    """The whole all-reduce, for scale; NaN when unknown."""


class Background(StrEnum):
    """What loads the fabric beside pairs that are measured."""

    ALL_TO_ALL = "all-to-all"  # each host sends to several
    INCAST = "incast"  # many send to one
    STREAMS = "streams"  # each sends to one, and receives from one


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LoadedTable:
    """Round trips alone, beside load, and alone again; a row for each pair and turn, shape (n,) where not told.

    Times have shape (n, 4): median, 99th and 99.9th percentile, and the longest; NaN where too few samples tell.
    """

    stage: str
    scope: Scope
    size_bytes: int
    turn: IntArray
    src: IntArray
    dst: IntArray
    """Rank numbers."""
    background: tuple[Background, ...]
    alone_ns: FloatArray
    loaded_ns: FloatArray
    again_ns: FloatArray

    @property
    def idle_ns(self) -> FloatArray:
        """The mean of before and after; NaN where either is not known."""
        mean: FloatArray = (self.alone_ns + self.again_ns) / 2
        return mean

    @property
    def factor(self) -> FloatArray:
        """How many times as long beside load: the congestion impact factor of GPCNeT, shape (n, 4)."""
        ratio: FloatArray = self.loaded_ns / np.maximum(self.idle_ns, 1.0)
        return ratio


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LoadFlows:
    """Flows that were under way together, by round; arrays have shape (n,), one row a flow."""

    stage: str
    probe: str
    scope: Scope
    size_bytes: int
    round_index: IntArray
    src: IntArray
    dst: IntArray
    """Rank numbers."""
    gbps: FloatArray
    """Over the time that all flows of the round were under way."""
    p99_ns: FloatArray
    """Of a window; NaN where too few tell."""
    max_ns: FloatArray


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class StorageTable:
    """All-reduces and reads from a file: each alone, both together, each alone again; NaN where that is not known."""

    stage: str
    size_bytes: int
    """Of an all-reduce."""
    path: str
    rate_gbps: float | None
    """At which each host was to read; None: as fast as it goes."""
    reduced_p50_ns: FloatArray
    """By the slowest rank of each; shape (3,): before, together, after."""
    reduced_p99_ns: FloatArray
    rank: IntArray
    """Who reads for its host, shape (n,)."""
    read_gbps: FloatArray
    """Shape (n, 3)."""
    read_p99_ns: FloatArray
    """Of one block, shape (n, 3)."""
    read_blocks: FloatArray
    """How many there were, shape (n, 3)."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CounterTable:
    """What the ranks' systems counted; arrays have shape (n,), one row for each rank in each round."""

    stage: tuple[str, ...]
    round_index: IntArray
    rank: IntArray
    elapsed_ns: FloatArray
    grown: Mapping[str, FloatArray]
    """By ``source/name``; NaN in rows whose system does not have the counter."""


NO_COUNTERS = CounterTable(
    stage=(),
    round_index=np.zeros(0, dtype=np.int64),
    rank=np.zeros(0, dtype=np.int64),
    elapsed_ns=np.zeros(0),
    grown=MappingProxyType({}),
)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class DatagramTable:
    """Unreliable datagrams over RDMA; arrays have shape (n,), one row for each direction, size and round of a pair."""

    stage: tuple[str, ...]
    round_index: IntArray
    src: IntArray
    dst: IntArray
    """Rank numbers."""
    size_bytes: IntArray
    sent: IntArray
    """As the source counted."""
    arrived: IntArray
    """As the destination counted; each datagram once."""
    source_stamps: NDArray[np.bool_]
    """Whether the NIC of the source stamps what it completes; True where nothing came that it could have stamped."""


NO_DATAGRAMS = DatagramTable(
    stage=(),
    round_index=np.zeros(0, dtype=np.int64),
    src=np.zeros(0, dtype=np.int64),
    dst=np.zeros(0, dtype=np.int64),
    size_bytes=np.zeros(0, dtype=np.int64),
    sent=np.zeros(0, dtype=np.int64),
    arrived=np.zeros(0, dtype=np.int64),
    source_stamps=np.zeros(0, dtype=np.bool_),
)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FlowTable:
    """Pairs that were measured over RDMA with several UDP source ports; arrays have shape (n,), one row a series."""

    src: IntArray
    dst: IntArray
    """Rank numbers."""
    source_port: IntArray
    bytes_per_iteration: IntArray
    p50_ns: FloatArray


NO_FLOWS = FlowTable(
    src=np.zeros(0, dtype=np.int64),
    dst=np.zeros(0, dtype=np.int64),
    source_port=np.zeros(0, dtype=np.int64),
    bytes_per_iteration=np.zeros(0, dtype=np.int64),
    p50_ns=np.zeros(0),
)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class NoiseTable:
    """What hosts took away from ranks that only computed, and slept; arrays have shape (n,), one row a rank."""

    stage: tuple[str, ...]
    rank: IntArray
    cpu: IntArray
    """Where it stayed; -1: it moved, or its system does not tell."""
    quantum_ns: FloatArray
    """Median of a fixed amount of work, the same for all ranks."""
    total_ns: FloatArray
    """For how long it worked."""
    lost_ns: FloatArray
    """Of that, what detours took."""
    detours: IntArray
    detour_max_ns: FloatArray
    """NaN where there was none, as ``beat_ns``."""
    beat_ns: FloatArray
    """From one detour to the next, where they come at a beat."""
    wake_p50_ns: FloatArray
    wake_p99_ns: FloatArray
    """How late it woke from sleep; NaN: not measured."""

    @property
    def ratio(self) -> FloatArray:
        """The share of its time that each rank lost."""
        ratio: FloatArray = self.lost_ns / np.maximum(self.total_ns, 1.0)
        return ratio


_NONE: Final = np.zeros(0)
_NONE_INT: Final = np.zeros(0, dtype=np.int64)
NO_NOISE = NoiseTable(
    stage=(), rank=_NONE_INT, cpu=_NONE_INT, quantum_ns=_NONE, total_ns=_NONE, lost_ns=_NONE, detours=_NONE_INT,
    detour_max_ns=_NONE, beat_ns=_NONE, wake_p50_ns=_NONE, wake_p99_ns=_NONE,
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SpikeTable:
    """Iterations of pairs that took far longer than the median, and when; times since the ranks met.

    Of each series the slowest eight at most. Arrays of series have shape (m,), of spikes (n,).
    """

    src: IntArray
    dst: IntArray
    """Rank numbers."""
    started_ns: FloatArray
    ended_ns: FloatArray
    p50_ns: FloatArray
    series: IntArray
    """The series of each spike, by index."""
    at_ns: FloatArray
    elapsed_ns: FloatArray


NO_SPIKES = SpikeTable(
    src=_NONE_INT, dst=_NONE_INT, started_ns=_NONE, ended_ns=_NONE, p50_ns=_NONE, series=_NONE_INT, at_ns=_NONE,
    elapsed_ns=_NONE,
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """A series of a pair between hosts that has two speeds, or that slows down from quarter to quarter."""

    probe: str
    path: Path
    memory: tuple[Memory, Memory]
    size_bytes: int
    metric: Metric
    bytes_per_iteration: int
    src: int
    dst: int
    """Rank numbers."""
    modes_ns: tuple[float, float] | None = None
    high_share: float | None = None
    """Of its iterations, those at the slower speed."""
    quarters_ns: tuple[float, float] | None = None
    """Medians of the first and the last, where each was slower than the one before."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Coverage:
    """What was planned and what was measured."""

    ranks: int
    hosts: int
    stages_planned: tuple[str, ...]
    stages_finished: tuple[str, ...]
    pairs_planned: int
    """Directed pairs, distinct, over all finished stages."""
    pairs_measured: int
    untested_ranks: tuple[int, ...]
    """Ranks that no finished stage measured."""
    bytes_moved: int
    checked_iterations: int
    stages_empty: int = 0
    """Finished stages that had nothing to measure: no pair of ranks is in their scope."""
    pairs_failed: int = 0
    """Planned, tried, and not measured: they could not go on with each other, which is an answer too."""

    @property
    def ratio(self) -> float | None:
        """The share of planned work that was measured or failed (pairs times stages); None if nothing was planned."""
        if not self.stages_planned:
            return None
        stages = len(self.stages_finished) / len(self.stages_planned)
        answered = self.pairs_measured + self.pairs_failed
        pairs = answered / self.pairs_planned if self.pairs_planned else 1.0
        return stages * pairs


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Evidence:
    """Everything a detector may look at."""

    plan: Plan
    ranks: tuple[Rank, ...]
    clocks: tuple[Clock | None, ...]
    """By rank, None for one that was lost on the way; empty when the clocks were not compared."""
    pairs: tuple[PairTable, ...]
    groups: tuple[GroupResult, ...]
    arrivals: tuple[ArrivalTable, ...]
    faults: tuple[Fault, ...]
    coverage: Coverage
    gaps: tuple[Gap, ...]
    """What the ranks said they could not measure."""
    run_error: str | None
    """Why measuring ended early; None when it did not."""
    fault_paths: tuple[Path, ...] = ()
    """What carried the bytes of each of ``faults``; empty where that is not told."""
    counters: CounterTable = NO_COUNTERS
    benched: tuple[Benched, ...] = ()
    """Hosts that were taken out of the run, in order."""
    paths: tuple[PathAnswer, ...] = ()
    """What was asked of paths when the run came to a halt."""
    stuck_pairs: tuple[StuckPair, ...] = ()

    inventories: Mapping[str, HostInventory] = field(default_factory=dict)
    """By host; hosts that did not tell are absent."""
    ports: PortTable = NO_PORTS
    """What NICs counted."""
    unread: tuple[UnreadPort, ...] = ()
    """Of the NICs that could be used, those of which nobody knows what they counted."""

    failures: tuple[PairFailure, ...] = ()
    """Pairs that could not go on over RDMA."""
    endpoints: tuple[RdmaEndpoint, ...] = ()
    """What ranks use for RDMA."""
    gpus: tuple[GpuEndpoint, ...] = ()
    """Whose memory ranks use."""
    nccl: tuple[NcclFacts, ...] = ()
    """What NCCL's log says, by process."""
    gpu_windows: tuple[GpuWindow, ...] = ()
    """What GPUs showed while stages ran; hosts without NVIDIA's driver are absent."""
    gpu_growths: tuple[GpuGrowth, ...] = ()
    """What their counters grew by."""
    datagrams: DatagramTable = NO_DATAGRAMS
    flows: FlowTable = NO_FLOWS
    """Slow pairs, by the UDP source port that their packets had."""
    spans: tuple[PairTable, ...] = ()
    """What parts of round trips took, where NICs stamp; of no use to compare hosts by."""

    hops: tuple[HopTable, ...] = ()
    """What hops of traced rings held up."""
    loaded: tuple[LoadedTable, ...] = ()
    """Round trips beside flows of other hosts."""
    flows_together: tuple[LoadFlows, ...] = ()
    """What flows carried that were under way together."""

    storage: tuple[StorageTable, ...] = ()
    """All-reduces beside reads from a file."""
    steps: tuple[StepTable, ...] = ()
    """Bursts, one for each stage of them."""
    noise: NoiseTable = NO_NOISE
    spikes: SpikeTable = NO_SPIKES
    shapes: tuple[Shape, ...] = ()
    """Series between hosts whose times are no single hump that stays where it is."""

    waiting_ratio: Mapping[str, float] = field(default_factory=dict)
    """By host: the share of the measured time that its ranks waited for a CPU; hosts that do not tell are absent."""

    expectations: tuple[Expectation, ...] = ()
    """What measurements of such systems should reach, a site's own first; chosen by whoever judges, not measured."""

    @property
    def has_collectives(self) -> bool:
        """Whether all ranks did something together that was measured."""
        return bool(self.groups or self.steps or self.storage)

    @property
    def crowded_hosts(self) -> tuple[str, ...]:
        """Hosts whose ranks wait for CPUs, or have fewer than there are ranks: timings there tell of the scheduler.

        A host whose system tells neither is not among them.
        """
        cpus: dict[str, set[int]] = {}
        ranks: dict[str, int] = {}
        for rank in self.ranks:
            cpus.setdefault(rank.host, set()).update(rank.cpus)
            ranks[rank.host] = ranks.get(rank.host, 0) + 1
        return tuple(
            host
            for host, count in ranks.items()
            if 0 < len(cpus[host]) < count or self.waiting_ratio.get(host, 0.0) > CROWDED_RATIO
        )
