"""What a reader gets (report.json): the verdict, its reasons, and the figures behind it."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from netprobe.model.endpoint import Calibration
from netprobe.model.evidence import Background, Coverage
from netprobe.model.finding import Finding, Gap
from netprobe.model.gpu import CopyRate
from netprobe.model.nccl import NcclChoice
from netprobe.model.plan import Memory, Path, Scope
from netprobe.model.rdma import Operation
from netprobe.model.run import Launch, RunStatus
from netprobe.model.sensitivity import Sensitivity
from netprobe.model.verdict import Verdict

REPORT_FORMAT: Final = 1
"""Raised when a field changes its meaning or disappears; new fields do not raise it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PairSummary:
    """All pairs of one probe, scope, path, memory and size in one row; latency is half a round trip."""

    probe: str
    scope: Scope
    size_bytes: int
    window: int
    pairs: int
    samples: int
    typical_ns: float
    """Median over pairs of each pair's median."""
    p99_ns: float | None
    """Median over pairs of each pair's 99th percentile."""
    max_ns: float
    typical_gbps: float | None
    """For streaming probes."""
    typical_messages_per_s: float | None
    worst_pair: tuple[str, str] | None
    """Names (host:rank) of the pair with the worst median; None with a single pair."""
    worst_ns: float | None
    worst_gbps: float | None
    path: Path = Path.MPI
    operation: Operation | None = None
    """What moved the messages over RDMA."""
    send_memory: Memory = Memory.HOST
    receive_memory: Memory = Memory.HOST
    pipelined_gbps: float | None = None
    """Over runs of iterations back to back with nothing between, the median over pairs; None where there were none."""
    mean_ns: float | None = None
    """Over all iterations of all pairs, as other tools average; None in reports that older versions wrote."""
    min_ns: float | None = None
    """The quickest iteration of any pair; None likewise."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupSummary:
    """One collective at one size, in the terms of nccl-tests; ``time_ns`` is the mean of the slowest rank's times."""

    probe: str
    size_bytes: int
    count: int
    dtype: str
    op: str | None
    root: int | None
    in_place: bool
    ranks: int
    iterations: int
    time_ns: float
    p50_ns: float
    p99_ns: float | None
    max_ns: float
    algbw_gigabytes_per_s: float | None
    """None for a barrier and for a single rank, where bandwidth has no meaning."""
    busbw_gigabytes_per_s: float | None
    wrong_bytes: int | None
    path: Path = Path.MPI
    memory: Memory = Memory.HOST
    pipelined_ns: float | None = None
    """Mean time of an iteration in runs back to back with nothing between, by the slowest rank of each run, as in
    nccl-tests; None where there were none."""
    pipelined_iterations: int | None = None
    pipelined_algbw_gigabytes_per_s: float | None = None
    pipelined_busbw_gigabytes_per_s: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class GpuSummary:
    """The GPU that one rank used, and the NIC beside it."""

    rank: int
    host: str
    ordinal: int
    pci: str
    name: str
    nic: str | None
    why: str
    """How it came to this NIC, where there was a choice."""
    takes_mpi: bool | None
    """False: MPI's messages were copied by way of the host's memory."""
    driver: str
    """The CUDA version that the driver goes up to."""
    copies: tuple[CopyRate, ...] = ()
    copies_are_slow: bool = False
    """Whether one of them is below copy_ratio of what carries it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EndpointSummary:
    """What one rank used for RDMA."""

    rank: int
    host: str
    device: str
    """``mlx5_0``, ``mlx5_0/2``."""
    netdev: str | None
    gid_kind: str | None
    gid_index: int
    gid: str
    mtu_bytes: int | None
    """Of RDMA packets, as far as its own interface lets them be; None where that is not known."""
    why: str
    """Why this one of several."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NcclSummary:
    """What NCCL's log says on hosts that are alike in it."""

    hosts: tuple[str, ...]
    ranks: int
    version: str | None
    network: str | None
    """``IB``, ``Socket``, or the name of a plug-in's; None where the log does not say."""
    is_gpu_direct: bool | None
    """Whether NICs reach GPUs by themselves on all connections to other hosts; None where none is known."""
    choices: tuple[NcclChoice, ...] = ()
    """The algorithms and protocols that were taken, by operation and size, as some of the ranks tell."""
    settings: tuple[tuple[str, str], ...] = ()
    """Variables of NCCL, netprobe's own included (NCCL_ALGO=RING between two hosts)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerSummary:
    """One layer on one kind of memory, between hosts, over the pairs it was compared on; latency is half a trip."""

    probe: str
    path: Path
    send_memory: Memory
    receive_memory: Memory
    size_bytes: int
    """Its own: the nearest, where it lacks the one that others have."""
    pairs: int
    """Of ranks, that both were measured with; where it is compared with nothing, all of its own."""
    typical_gbps: float | None
    """Median over these pairs; for streaming probes."""
    typical_ns: float | None
    """For latency."""
    ratio: float | None
    """Of the speed of what it is held against, the median over these pairs; None: nothing below it was measured."""
    of_path: Path | None = None
    """The fastest layer below it on the same memory; without one, itself on host memory."""
    of_send_memory: Memory | None = None
    of_receive_memory: Memory | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SlowStep:
    """The slowest step of one second of bursts."""

    began: str
    """UTC, ISO 8601, by the host of rank 0."""
    round_index: int
    elapsed_ns: int
    late: str
    """The rank (host:rank) that came last of its own doing, after the median of the others by ``late_ns``."""
    late_ns: int
    held: str
    """The rank that was off its CPU longest in it, by ``held_ns`` more than the others."""
    held_ns: int


@dataclass(frozen=True, slots=True, kw_only=True)
class StepSpan:
    """Some neighbouring seconds of bursts."""

    round_index: int
    """The first, counted from 0."""
    rounds: int
    began: str
    steps: int
    mean_ns: float
    max_ns: int


@dataclass(frozen=True, slots=True, kw_only=True)
class StepSummary:
    """One stage of bursts: a computation and an all-reduce in each step, timed by the slowest rank."""

    stage: str
    size_bytes: int
    period_ns: int
    compute_ratio: float
    is_free_running: bool
    ranks: int
    rounds: int
    """Seconds, or steps where those are longer."""
    steps: int
    mean_ns: float
    p50_ns: float
    p99_ns: float | None
    """None where the stage was cut short, or has too few steps; as ``p999_ns``."""
    p999_ns: float | None
    max_ns: int
    slowest: tuple[SlowStep, ...]
    """Of the seconds with the slowest steps, the slowest first."""
    timeline: tuple[StepSpan, ...]
    overlaps: bool = False
    """Whether steps computed while they communicated."""
    exposed_p50_ns: float | None = None
    """What communication cost a step beyond its computation, on the rank where that was least: there nobody was waited
    for. None in runs of older versions, as ``exposed_ratio``."""
    exposed_ratio: float | None = None
    """Of the time of all steps."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NoiseSummary:
    """What hosts took away from ranks that only computed."""

    ranks: int
    lost_ratio: float
    """Of its time, in detours: the median rank."""
    worst_lost_ratio: float
    worst_rank: int
    worst_cpu: int | None
    """Where that rank stayed; None: it moved, or nobody told."""
    longest_ns: float | None
    """The longest detour of any rank; None: there was none."""
    wake_late_ns: float | None
    """How late a sleeping rank woke: the median of all; None: not measured."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadedSummary:
    """Round trips alone and beside one kind of load, over all pairs; times are half a round trip, medians of pairs."""

    scope: Scope
    size_bytes: int
    background: Background
    pairs: int
    idle_p50_ns: float
    loaded_p50_ns: float
    idle_p99_ns: float | None
    """None where too few pairs had the 100 round trips that a 99th percentile needs; others likewise."""
    loaded_p99_ns: float | None
    factor_p99: float | None
    """Loaded over the mean of alone before and after, the median over pairs: GPCNeT's congestion impact factor."""
    factor_p999: float | None
    factor_max: float
    worst_pair: tuple[str, str] | None
    """The pair with the largest factor of its 99th percentile."""
    worst_factor_p99: float | None


class LineBasis(StrEnum):
    """What goodput is held against."""

    NIC = "nic"  # the rate that NICs tell, shared among the ranks that use one
    PAIR = "pair"  # of NICs that do not: what a typical pair carries one way


@dataclass(frozen=True, slots=True, kw_only=True)
class FanInSummary:
    """So many senders into one receiver, over all receivers that were hot; medians, but for what is called worst."""

    scope: Scope
    size_bytes: int
    fan_in: int
    receivers: int
    """Ranks that so many sent to."""
    hot_hosts: int
    """That they are on."""
    hosts: int
    """Of the run, whether they were hot or not."""
    goodput_gbps: float
    kept_ratio: float | None
    """Of the most that fewer senders brought the same receiver; None for the fewest."""
    jain: float
    worst_receiver: str | None
    """The one with the least goodput; None where there is but one."""
    worst_gbps: float | None
    longest_window_ns: float
    line_gbps: float | None = None
    """What a receiver could have at best, the median; None within hosts, and where nobody knows."""
    line_ratio: float | None = None
    """Goodput as a share of it, the median over receivers."""
    line_basis: LineBasis | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TogetherSummary:
    """All hosts at once (permutation, bisection), a flow beside an incast (victim), or all rails of a pair of hosts."""

    probe: str
    scope: Scope
    size_bytes: int
    flows: int
    """Under way at the same time; victims in all."""
    total_gbps: float
    """The median over rounds; of victims, that of one beside the incast."""
    alone_gbps: float | None
    """What as many flows carry pair by pair: as many times half of what the median pair carries both ways over MPI
    (or one way, where that alone was measured); of a victim, its own rate before and after; of rails, the sum of each
    alone, by pair of hosts."""
    kept_ratio: float | None
    worst_flow: tuple[str, str]
    worst_gbps: float


Three = tuple[float | None, float | None, float | None]
"""Before, together, after; None where that is not known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StorageSummary:
    """All-reduces and reads from a file: each alone, both together, each alone again."""

    size_bytes: int
    path: str
    rate_gbps: float | None
    """At which each host was to read; None: as fast as it goes."""
    hosts: int
    """That read."""
    reduced_p50_ns: Three
    reduced_p99_ns: Three
    reduced_lost_ratio: float | None
    """Of the rate of all-reduces, together, against the slower of before and after."""
    read_gbps: Three
    """Of a host, the median."""
    read_p99_ns: Three
    """Of one block, the median over hosts."""
    read_lost_ratio: float | None
    worst_host: str | None
    """The one that reads least beside all-reduces; None where there is but one."""
    worst_read_gbps: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class UnderLoad:
    """What was measured while the fabric was loaded on purpose."""

    loaded: tuple[LoadedSummary, ...] = ()
    fan_ins: tuple[FanInSummary, ...] = ()
    together: tuple[TogetherSummary, ...] = ()
    storage: tuple[StorageSummary, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """report.json."""

    format: int
    run_id: str
    netprobe: str
    started: str
    elapsed_ns: int | None
    verdict: Verdict
    exit_code: int
    profile: str
    transport: str
    launch: Launch
    run_status: RunStatus
    hosts: tuple[str, ...]
    ranks: int
    rank_hosts: tuple[str, ...]
    """The host of each rank."""
    rank_pids: tuple[int, ...]
    findings: tuple[Finding, ...]
    gaps: tuple[Gap, ...]
    """What could not be told, and why."""
    not_tested: tuple[Gap, ...]
    """What this run could not have tested anywhere."""
    coverage: Coverage
    healthy_hosts: tuple[str, ...]
    """Measured hosts that no finding asks to leave out, nor names as victims of another's fault."""
    pairs: tuple[PairSummary, ...]
    groups: tuple[GroupSummary, ...]
    calibration: Calibration | None
    clock_error_bound_ns: float | None
    """The largest over all ranks; None when the clocks were not compared."""
    endpoints: tuple[EndpointSummary, ...] = ()
    """What ranks used for RDMA."""
    gpus: tuple[GpuSummary, ...] = ()
    """Whose memory ranks used."""
    nccl: tuple[NcclSummary, ...] = ()
    """Which way NCCL took, where its log was read."""
    layers: tuple[LayerSummary, ...] = ()
    """The same pairs over verbs, MPI and NCCL, and on the memory of hosts and GPUs, where there are at least two."""
    steps: tuple[StepSummary, ...] = ()
    """Bursts, one for each stage of them."""
    sensitivity: Sensitivity | None = None
    """What was measured between hosts can tell so much; None where no two hosts met."""
    dropped: tuple[str, ...] = ()
    """What the plan left out to keep to its budget."""
    noise: NoiseSummary | None = None
    """None where no rank worked alone."""
    under_load: UnderLoad = UnderLoad()
    """Latency beside load, and what many senders bring one receiver; empty where nothing was loaded on purpose."""
