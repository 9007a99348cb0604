"""The header of a run directory (run.json): what was planned, where it ran, how far it came."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from netprobe.model.endpoint import Calibration, Clock, Rank
from netprobe.model.finding import Gap
from netprobe.model.gpu import GpuEndpoint
from netprobe.model.nccl import NcclFacts
from netprobe.model.plan import Plan
from netprobe.model.rdma import PairFailure, RdmaEndpoint
from netprobe.model.standing import Benched, PathAnswer, StuckPair

RUN_FORMAT: Final = 1
"""Raised when an older netprobe could misread the directory; every older format stays readable."""


class RunStatus(StrEnum):
    """How the measuring ended."""

    RUNNING = "running"  # also what a killed program leaves behind
    COMPLETE = "complete"
    INTERRUPTED = "interrupted"
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class StageOutcome:
    """A stage whose rounds were gathered and written."""

    stage: str
    rounds: int
    planned_pairs: tuple[tuple[int, int], ...]
    """Directed (src, dst) rank pairs that the rounds held, distinct; empty for collectives."""
    elapsed_ns: int
    gaps: tuple[Gap, ...] = ()
    is_complete: bool = True
    """False when the run ended within the stage: what its finished rounds measured is there."""
    ranks: tuple[int, ...] = ()
    """Who took part in its last round; empty: all ranks."""
    failures: tuple[PairFailure, ...] = ()
    """Pairs that could not go on over RDMA."""


HISTORY: Final = "history"
"""How a report on many runs says that it was launched."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Launch:
    """How the ranks were started."""

    method: str
    """``local``, ``hosts``, ``hostfile``, ``slurm``, ``external`` (already under mpirun or srun) or ``loopback``."""
    argv: tuple[str, ...]
    mpi: str
    """The MPI library's own version line; empty when it never came up."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunHeader:
    """run.json."""

    format: int
    id: str
    netprobe: str
    started: str
    """UTC, ISO 8601."""
    status: RunStatus
    plan: Plan
    launch: Launch
    finished: str | None = None
    error: str | None = None
    """Why the run failed, in one line."""
    ranks: tuple[Rank, ...] = ()
    clocks: tuple[Clock | None, ...] = ()
    """By rank, None for one that was lost on the way; empty when the clocks were not compared."""
    calibration: Calibration | None = None
    environment: tuple[tuple[str, str], ...] = ()
    """Allow-listed variables only: a run directory is handed around."""
    endpoints: tuple[RdmaEndpoint, ...] = ()
    """What ranks use for RDMA; ranks without are absent."""
    gpus: tuple[GpuEndpoint, ...] = ()
    """Whose memory ranks use; ranks without are absent."""
    nccl: tuple[NcclFacts, ...] = ()
    """What NCCL's log says on each rank that opened it, or in a file of somebody else."""
    outcomes: tuple[StageOutcome, ...] = ()
    not_tested: tuple[Gap, ...] = ()
    """What this run could not have tested anywhere: no GPU, no RDMA device, one host."""
    benched: tuple[Benched, ...] = ()
    """Hosts that were taken out, in the order in which that happened."""
    paths: tuple[PathAnswer, ...] = ()
    """What was asked of paths when the run came to a halt; empty when it never did."""
    stuck_pairs: tuple[StuckPair, ...] = ()
    gaps: tuple[Gap, ...] = ()
    """What went wrong on the way that no stage tells."""
