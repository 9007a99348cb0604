"""What every rank runs: meet, compare clocks, then stage by stage and round by round; rank 0 tells the sink.

A round ends with its results gathered on rank 0 and handed to the sink, so that whatever happens later, they are kept.
"""

import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from netprobe.contracts import (
    Assignment,
    Bench,
    Control,
    Probe,
    ProbeResult,
    Sink,
    Stamps,
    System,
    Transport,
    Whereabouts,
)
from netprobe.model.counters import IDLE_AFTER, IDLE_BEFORE, CounterWindow, DatagramCounts
from netprobe.model.endpoint import Calibration, Rank
from netprobe.model.finding import Gap
from netprobe.model.plan import Path, Plan, Stage
from netprobe.model.rdma import PairFailure
from netprobe.model.record import (
    PlanExtended,
    RanksDone,
    RanksReady,
    RoundFinished,
    RoundStarted,
    SpanCounted,
    StageFinished,
)
from netprobe.model.run import StageOutcome
from netprobe.model.series import Series
from netprobe.plan.budget import expected_ns as plan_expected_ns
from netprobe.plan.budget import expected_round_ns, fitted
from netprobe.plan.pairing import Round
from netprobe.plan.rounds import assignment_of, planned_pairs, refuse_missing_root, rounds_of
from netprobe.plan.second_pass import SECOND_PASS, second_pass
from netprobe.plan.task import Task
from netprobe.registry import pick, probes
from netprobe.session.clock import compare_clocks, to_reference, with_drift
from netprobe.session.counting import Counting, with_datagrams
from netprobe.session.crew import Crew, crew_of
from netprobe.session.host import inventories_of, meet, not_tested
from netprobe.session.leaf import leaf_of
from netprobe.session.memory import BufferPool, fitting
from netprobe.session.rdma import Rdma, feasible, open_rdma, refuse_hopeless
from netprobe.store.whereabouts import Unwatched
from netprobe.system.here import this_system
from netprobe.transports._verbs_engine import OpenDevice
from netprobe.transports.verbs import open_device
from netprobe.units import NS_PER_S, format_duration

IDLE_NS = 2 * NS_PER_S  # drivers ask their NICs once a second; a watch dog for pause storms looks every 0.2 s
OVERRUN_RATIO = 1.25  # estimates are no better; a smaller excess is not worth a line


class _Clocks:
    """The clock of this rank against rank 0's, compared again before every collective; the only state of a session."""

    def __init__(self, transport: Transport, control: Control) -> None:
        self._transport = transport
        self._control = control
        self._epoch_ns = control.broadcast(time.monotonic_ns())
        self._first = compare_clocks(transport, control)
        self.latest = self._first

    def compare(self) -> None:
        """Compare again; all ranks call. The drift is taken from the first comparison on, the longest span there is."""
        self.latest = with_drift(self._first, compare_clocks(self._transport, self._control))

    def to_reference_ns(self, stamps: Stamps) -> NDArray[np.float64]:
        """Return local stamps as ns of rank 0's clock, since the session began."""
        return to_reference(stamps, self.latest, self._epoch_ns)


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """Everything a rank needs to run a plan; ``sink`` is None on all ranks but 0."""

    transport: Transport
    control: Control
    sink: Sink | None
    calibration: Calibration
    environment: tuple[tuple[str, str], ...]
    host: str | None = None
    """A name to go by instead of the system's."""
    whereabouts: Whereabouts = field(default_factory=Unwatched)
    system: System = field(default_factory=this_system)
    pause: Callable[[float], None] = time.sleep
    """Waits for so many seconds: for idle NICs, and for counters to settle."""
    open_device: OpenDevice = open_device

    def run(self, task: Task) -> None:
        """Measure what the task asks for; all ranks call. TransportError from any rank: the job must be aborted."""
        find_leaf = partial(leaf_of, leaves=task.leaves, environ=dict(self.environment))
        crew = crew_of(meet(self.control, self.host, find_leaf), task.roster)
        own = crew.here[self.control.rank]
        self.whereabouts.known_as(own.rank, own.host)
        system = replace(self.system, excluded=self.system.excluded | set(task.excluded))
        step = self.whereabouts.step
        rdma = open_rdma(self.transport, self.control, crew.here, task.plan, system, self.open_device, step)
        with closing(rdma):
            self._measure(task, crew, system, rdma)

    def _measure(self, task: Task, crew: Crew, system: System, rdma: Rdma) -> None:
        """Go through the plan."""
        plan = task.plan if task.roster else _begun(task.plan, crew, rdma)
        refuse_missing_root(plan, len(crew.everyone))
        self._tell_who_met(plan, crew, system, rdma)
        clocks = _Clocks(self.transport, self.control)
        bench = Bench(
            transport=self.transport,
            control=self.control,
            seed=plan.seed,
            memory=BufferPool(),
            to_reference_ns=clocks.to_reference_ns,
        )
        course = _Course(replace(self, system=system), replace(task, plan=plan), crew, bench, clocks, rdma)
        course.idle(IDLE_BEFORE)
        for index in range(task.first_stage, len(plan.stages)):
            course.run_stage(index)
        course.run_second_pass()
        course.idle(IDLE_AFTER)
        clocks.compare()
        every_clock = self.control.gather(clocks.latest)
        if self.sink is not None and every_clock is not None:
            self.sink.emit(RanksDone(ranks=crew.numbers, clocks=tuple(every_clock), error=None))

    def _tell_who_met(self, plan: Plan, crew: Crew, system: System, rdma: Rdma) -> None:
        missing = (*not_tested(self.control, crew.here, rdma.gaps, system.root), *_over_budget(plan, crew.everyone))
        inventories = inventories_of(self.control, crew.here, system)
        if self.sink is not None:
            self.sink.emit(
                RanksReady(
                    ranks=crew.here,
                    plan=plan,
                    mpi=self.transport.description,
                    calibration=self.calibration,
                    environment=self.environment,
                    not_tested=missing,
                    inventories=inventories,
                    endpoints=tuple(replace(each, rank=crew.numbers[each.rank]) for each in rdma.endpoints),
                )
            )


class _Course:
    """The way through a plan, from where the task says it begins."""

    def __init__(self, session: Session, task: Task, crew: Crew, bench: Bench, clocks: _Clocks, rdma: Rdma) -> None:
        self._session = session
        self._able = {crew.numbers[rank] for rank in rdma.ranks} | set(range(len(crew.everyone))) - set(crew.numbers)
        """Ranks that can use RDMA, by the run's numbers; of those that are not here nobody knows."""
        self._control = session.control
        self._task = task
        self._plan = task.plan
        self._crew = crew
        by_rdma = (
            bench if rdma.transport is None else replace(bench, transport=rdma.transport, datagrams=rdma.datagrams)
        )
        self._benches = {Path.MPI: bench, Path.VERBS: by_rdma}
        self._clocks = clocks
        self._avoided = frozenset(frozenset(pair) for pair in task.avoided)
        self._series: list[Series] = []
        """What pairs of this launch told, for the second pass; on rank 0 alone."""
        self._windows: list[CounterWindow] = []
        is_first = crew.here[session.control.rank].local_index == 0
        self._counting = Counting(is_first_on_host=is_first, system=session.system, settle=session.pause)

    def idle(self, span: str) -> None:
        """Count what NICs do while no probe runs, where a fabric is crossed and some NIC counts; all ranks call."""
        has_counters = any(self._control.allgather(self._counting.begin_stage()))
        if not has_counters or len({rank.host for rank in self._crew.here}) == 1:
            return
        self._session.whereabouts.waits(span, 0, IDLE_NS)
        self._session.pause(IDLE_NS / NS_PER_S)
        self._tell_span(span)

    def _tell_span(self, span: str) -> None:
        """Gather what was counted over a stage or an idle time; all ranks call."""
        number = self._crew.numbers[self._control.rank]
        windows = self._control.gather(self._counting.end_stage(span, number))
        counted = tuple(window for window in windows or () if window.grown)
        if self._session.sink is not None and counted:
            self._session.sink.emit(SpanCounted(windows=counted))

    def run_second_pass(self) -> None:
        """Measure suspects again with partners that did well, unless that was done before; rank 0 says who they are."""
        if any(stage.id.startswith(SECOND_PASS) for stage in self._plan.stages):
            return
        added: tuple[Stage, ...] = ()
        if self._session.sink is not None:
            everyone = self._crew.everyone
            absent = {rank.host for rank in everyone} - {rank.host for rank in self._crew.here}
            added = second_pass(self._plan, everyone, self._series, self._windows, absent=frozenset(absent))
        added = self._control.broadcast(added)
        if not added:
            return
        first = len(self._plan.stages)
        self._plan = replace(self._plan, stages=(*self._plan.stages, *added))
        if self._session.sink is not None:
            self._session.sink.emit(PlanExtended(plan=self._plan))
        for index in range(first, len(self._plan.stages)):
            self.run_stage(index)

    def run_stage(self, index: int) -> None:
        """Run what is left of a stage."""
        started_ns = time.monotonic_ns()
        stage, gaps = fitting(self._plan.stages[index], self._control, self._crew.here)
        stage = replace(stage, root=self._crew.root_of(stage.root))
        rounds = _rounds(stage, self._crew.everyone, self._plan.seed) if stage.sizes_bytes else []
        if stage.path is Path.VERBS:
            rounds = [each.among(self._able) for each in rounds]
        first = self._task.first_round if index == self._task.first_stage else 0
        self._counting.begin_stage()
        for round_index in range(first, len(rounds)):
            self._announce(index, round_index, len(rounds))
            self._run_round(stage, rounds[round_index], round_index)
        self._tell_span(stage.id)
        self._emit_outcome(
            StageOutcome(
                stage=stage.id,
                rounds=len(rounds),
                planned_pairs=planned_pairs(rounds),
                elapsed_ns=time.monotonic_ns() - started_ns,
                gaps=gaps,
                ranks=self._crew.numbers,
            )
        )

    def _run_round(self, stage: Stage, planned: Round, round_index: int) -> None:
        probe = pick("probe", probes(), stage.probe)
        each = self._crew.present(planned, self._avoided)
        assignment = assignment_of(each, round_index, self._control.rank)
        whereabouts, expected_ns = self._session.whereabouts, expected_round_ns(stage)
        whereabouts.waits(stage.id, round_index, expected_ns)
        if probe.is_group:
            self._clocks.compare()
        self._control.barrier()
        if probe.is_group or assignment.peer is not None:
            whereabouts.measures(stage.id, round_index, self._number(assignment.peer))
        results, window = self._measure(probe, stage, assignment)
        whereabouts.waits(stage.id, round_index, expected_ns)
        gathered = self._control.gather((results, window))
        if self._session.sink is not None and gathered is not None:
            told = [result for results, _ in gathered for result in results]
            finished = RoundFinished(
                stage=stage.id,
                round_index=round_index,
                series=tuple(self._crew.numbered(result) for result in told if isinstance(result, Series)),
                gaps=tuple(result for result in told if isinstance(result, Gap)),
                counters=tuple(window for _, window in gathered),
                failures=tuple(self._crew.numbered_failure(each) for each in told if isinstance(each, PairFailure)),
            )
            self._session.sink.emit(finished)
            if not probe.is_group:
                self._series.extend(finished.series)
                self._windows.extend(finished.counters)

    def _measure(
        self, probe: Probe, stage: Stage, assignment: Assignment
    ) -> tuple[tuple[ProbeResult, ...], CounterWindow]:
        self._counting.begin()
        results = tuple(probe.run(self._benches[stage.path], stage, assignment))
        number = self._crew.numbers[self._control.rank]
        window = self._counting.end(stage.id, assignment.round_index, number)
        counted = (each for each in results if isinstance(each, DatagramCounts))
        return results, with_datagrams(window, counted, self._crew.numbers)

    def _number(self, peer: int | None) -> int | None:
        return None if peer is None else self._crew.numbers[peer]

    def _emit_outcome(self, outcome: StageOutcome) -> None:
        if self._session.sink is not None:
            self._session.sink.emit(StageFinished(outcome=outcome))

    def _announce(self, index: int, round_index: int, rounds: int) -> None:
        stage = self._plan.stages[index]
        if self._session.sink is not None:
            self._session.sink.emit(
                RoundStarted(
                    stage=stage.id,
                    stage_index=index,
                    stages=len(self._plan.stages),
                    round_index=round_index,
                    rounds=rounds,
                    expected_ns=expected_round_ns(stage),
                )
            )


def _begun(plan: Plan, crew: Crew, rdma: Rdma) -> Plan:
    """Return what a first launch measures of a plan; later launches number stages as this one did."""
    refuse_hopeless(plan, rdma)
    return _fitted(feasible(plan, rdma), crew)


def _fitted(plan: Plan, crew: Crew) -> Plan:
    return fitted(plan, lambda stage: len(_rounds(stage, crew.everyone, plan.seed)))


def _over_budget(plan: Plan, ranks: tuple[Rank, ...]) -> tuple[Gap, ...]:
    """Say beforehand that a budget cannot be kept: the plan is as short as it gets."""
    needed_ns = plan_expected_ns(plan, lambda stage: len(_rounds(stage, ranks, plan.seed)))
    if plan.budget_ns is None or needed_ns <= plan.budget_ns * OVERRUN_RATIO:
        return ()
    needed, budget = format_duration(needed_ns), format_duration(plan.budget_ns)
    reason = f"the plan needs about {needed}, more than the budget of {budget}, and cannot be shortened further"
    return (Gap(topic="budget", reason=reason, remedy="a smaller profile, or a larger --budget"),)


def _rounds(stage: Stage, ranks: tuple[Rank, ...], seed: int) -> list[Round]:
    return rounds_of(stage, pick("probe", probes(), stage.probe), ranks, seed)
