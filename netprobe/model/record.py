"""What rank 0 tells while it measures, one record at a time; whoever writes the run directory applies them in order."""

from dataclasses import dataclass

from netprobe.model.bursts import StepBin
from netprobe.model.counters import CounterWindow
from netprobe.model.endpoint import Calibration, Clock, Rank
from netprobe.model.finding import Gap
from netprobe.model.gpu import GpuEndpoint, GpuWindow
from netprobe.model.inventory import HostInventory
from netprobe.model.nccl import NcclFacts
from netprobe.model.plan import Plan
from netprobe.model.rdma import PairFailure, RdmaEndpoint
from netprobe.model.run import StageOutcome
from netprobe.model.series import Series
from netprobe.model.standing import Benched, PathAnswer, StuckPair


@dataclass(frozen=True, slots=True, kw_only=True)
class RanksReady:
    """All ranks have met: sent once for each launch, before its first round."""

    ranks: tuple[Rank, ...]
    """Those of this launch; a later launch keeps the numbers of the first, with some missing."""
    plan: Plan
    """The plan as fitted to these ranks and the budget; replaces the one that was asked for."""
    mpi: str
    calibration: Calibration
    environment: tuple[tuple[str, str], ...]
    not_tested: tuple[Gap, ...]
    inventories: tuple[HostInventory, ...] = ()
    """Of every host, in order of its first rank."""
    endpoints: tuple[RdmaEndpoint, ...] = ()
    """What ranks use for RDMA."""
    gpus: tuple[GpuEndpoint, ...] = ()
    """Whose memory ranks use; ranks without are absent."""
    nccl: tuple[NcclFacts, ...] = ()
    """What NCCL's log says on each rank that opened it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RoundStarted:
    """Sent before each round, so that whoever waits knows what hangs."""

    stage: str
    stage_index: int
    stages: int
    round_index: int
    rounds: int
    expected_ns: int
    """How long the round should take; a deadline is a multiple of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RoundFinished:
    """A round's results, complete."""

    stage: str
    round_index: int
    series: tuple[Series, ...]
    gaps: tuple[Gap, ...] = ()
    counters: tuple[CounterWindow, ...] = ()
    failures: tuple[PairFailure, ...] = ()
    steps: tuple[StepBin, ...] = ()
    """Of bursts: the second that this round was. Its counters then lack what did not grow, but in a launch's first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SpanCounted:
    """What NICs counted over a whole stage, before that is told to be finished, or in an idle time."""

    windows: tuple[CounterWindow, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class GpusSampled:
    """What GPUs showed during a whole stage, before that is told to be finished."""

    windows: tuple[GpuWindow, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class StageFinished:
    """All rounds of a stage have been told; the gaps of its outcome come in addition to those of its rounds."""

    outcome: StageOutcome


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanExtended:
    """Stages were added at the end of the plan, because of what the others showed."""

    plan: Plan


@dataclass(frozen=True, slots=True, kw_only=True)
class RunHalted:
    """Told by whoever launched the ranks: the run came to a halt, and what was found out about it."""

    benched: tuple[Benched, ...] = ()
    paths: tuple[PathAnswer, ...] = ()
    stuck_pairs: tuple[StuckPair, ...] = ()
    gaps: tuple[Gap, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class RanksDone:
    """The last record of a launch; ``error`` says why measuring ended early, and is None when it did not."""

    ranks: tuple[int, ...]
    clocks: tuple[Clock, ...]
    """Of ``ranks``, in their order."""
    error: str | None
    nccl: tuple[NcclFacts, ...] = ()
    """What NCCL had said on each rank by the end; in place of what it said before the first round."""


Record = (
    RanksReady
    | RoundStarted
    | RoundFinished
    | SpanCounted
    | GpusSampled
    | StageFinished
    | PlanExtended
    | RunHalted
    | RanksDone
)
