"""What rank 0 tells while it measures, one record at a time; whoever writes the run directory applies them in order."""

from dataclasses import dataclass

from netprobe.model.endpoint import Calibration, Clock, Rank
from netprobe.model.finding import Gap
from netprobe.model.plan import Plan
from netprobe.model.run import StageOutcome
from netprobe.model.series import Series


@dataclass(frozen=True, slots=True, kw_only=True)
class RanksReady:
    """All ranks have met: sent once, before the first stage."""

    ranks: tuple[Rank, ...]
    plan: Plan
    """The plan as fitted to these ranks and the budget; replaces the one that was asked for."""
    mpi: str
    calibration: Calibration
    environment: tuple[tuple[str, str], ...]
    not_tested: tuple[Gap, ...]


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
class StageFinished:
    """A stage's results, complete."""

    outcome: StageOutcome
    series: tuple[Series, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class RanksDone:
    """The last record; ``error`` says why measuring ended early, and is None when it did not."""

    clocks: tuple[Clock, ...]
    error: str | None


Record = RanksReady | RoundStarted | StageFinished | RanksDone
