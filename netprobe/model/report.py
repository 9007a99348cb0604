"""What a reader gets (report.json): the verdict, its reasons, and the figures behind it."""

from dataclasses import dataclass
from typing import Final

from netprobe.model.endpoint import Calibration
from netprobe.model.evidence import Coverage
from netprobe.model.finding import Finding, Gap
from netprobe.model.plan import Path, Scope
from netprobe.model.rdma import Operation
from netprobe.model.run import Launch, RunStatus
from netprobe.model.verdict import Verdict

REPORT_FORMAT: Final = 1
"""Raised when a field changes its meaning or disappears; new fields do not raise it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PairSummary:
    """All pairs of one probe, scope, path and size in one row; latency is half a round trip."""

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
    """Measured hosts that no finding asks to leave out."""
    pairs: tuple[PairSummary, ...]
    groups: tuple[GroupSummary, ...]
    calibration: Calibration | None
    clock_error_bound_ns: float | None
    """The largest over all ranks; None when the clocks were not compared."""
    endpoints: tuple[EndpointSummary, ...] = ()
    """What ranks used for RDMA."""
