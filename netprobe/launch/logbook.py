"""A sink that follows a run over all of its launches: who took part, how far it came, what is left of it."""

from collections.abc import Sequence
from dataclasses import replace

from netprobe.contracts import Sink
from netprobe.launch.request import LaunchPlan
from netprobe.launch.start import OpenSink
from netprobe.model.endpoint import Rank, ranks_by_host
from netprobe.model.plan import Plan
from netprobe.model.record import (
    PlanExtended,
    RanksDone,
    RanksReady,
    Record,
    RoundFinished,
    RoundStarted,
    RunHalted,
    StageFinished,
)
from netprobe.model.standing import Benched
from netprobe.plan.task import RankLeaves, Roster, Task


class Logbook:
    """Hands every record on to the sink, which it opens once."""

    def __init__(self, open_sink: OpenSink, benched: Sequence[Benched] = ()) -> None:
        self.benched: list[Benched] = list(benched)
        """All hosts that were taken out so far."""
        self.plan: LaunchPlan | None = None
        """The launch that brought the ranks together, without the hosts that were taken out since."""
        self.ranks: tuple[Rank, ...] = ()
        """Those of the launch that runs, by the run's numbers, in MPI's order."""
        self.is_done = False
        self.last_stage: str | None = None
        self.last_round_index: int | None = None
        self._open_sink = open_sink
        self._sink: Sink | None = None
        self._untold: list[RunHalted] = [RunHalted(benched=tuple(benched))] if benched else []
        self._measured: Plan | None = None
        self._roster: Roster = ()
        self._rank_leaves: RankLeaves = ()
        self._stage_index = 0
        self._round_index = 0

    @property
    def has_begun(self) -> bool:
        """Whether ranks ever met."""
        return bool(self._roster)

    def opened(self, plan: LaunchPlan) -> Sink:
        """Return this sink, now that the ranks of a plan have met; what was found out before is told first."""
        self.plan = plan
        if self._sink is None:
            self._sink = self._open_sink(plan)
            for halted in self._untold:
                self._sink.emit(halted)
        return self

    def emit(self, record: Record) -> None:
        """See contracts.Sink."""
        if self._sink is not None:
            self._sink.emit(record)
        elif isinstance(record, RunHalted):
            self._untold.append(record)
        self._follow(record)

    def rest_of(self, task: Task, avoided: Sequence[tuple[str, str]], *, skips_round: bool) -> Task:
        """Return what is left of a task, from the round that was not finished, or from the one behind it."""
        if self._measured is None:
            return task
        return replace(
            task,
            plan=self._measured,
            roster=self._roster,
            rank_leaves=self._rank_leaves,
            first_stage=self._stage_index,
            first_round=self._round_index + skips_round,
            avoided=(*task.avoided, *avoided),
        )

    def _follow(self, record: Record) -> None:
        match record:
            case RanksReady():
                self._follow_meeting(record)
            case PlanExtended():
                self._measured = record.plan
            case RoundStarted():
                self._stage_index, self._round_index = record.stage_index, record.round_index
            case RoundFinished():
                self.last_stage, self.last_round_index = record.stage, record.round_index
                self._round_index = record.round_index + 1
            case StageFinished():
                self._stage_index, self._round_index = self._index_of(record.outcome.stage) + 1, 0
            case RunHalted():
                self.benched.extend(record.benched)
            case RanksDone():
                self.is_done = True

    def _follow_meeting(self, record: RanksReady) -> None:
        self.ranks = record.ranks
        self._measured = record.plan
        if not self._roster:
            self._roster, self._rank_leaves = _roster_of(record.ranks), _leaves_of(record.ranks)

    def _index_of(self, stage: str) -> int:
        stages = () if self._measured is None else self._measured.stages
        return next((index for index, each in enumerate(stages) if each.id == stage), self._stage_index)


def _roster_of(ranks: tuple[Rank, ...]) -> Roster:
    return tuple((host, tuple(numbers)) for host, numbers in ranks_by_host(ranks).items())


def _leaves_of(ranks: tuple[Rank, ...]) -> RankLeaves:
    """Return the leaf of each rank; nothing where none is known, for a task travels in one argument."""
    by_number = tuple(rank.leaf for rank in sorted(ranks, key=lambda each: each.rank))
    return by_number if any(by_number) else ()
