"""What every rank runs: meet, compare clocks, then stage by stage and round by round; rank 0 tells the sink.

A round ends with its results gathered on rank 0 and handed to the sink, so that whatever happens later, they are kept.
"""

import time
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from functools import partial

from netprobe.contracts import (
    Assignment,
    Bench,
    Buffer,
    Control,
    CpuMeter,
    Kept,
    Probe,
    ProbeResult,
    Sink,
    System,
    Transport,
    Whereabouts,
)
from netprobe.model.counters import IDLE_AFTER, IDLE_BEFORE, CounterWindow, DatagramCounts
from netprobe.model.endpoint import Calibration, Rank
from netprobe.model.finding import Gap
from netprobe.model.gpu import GpuWindow
from netprobe.model.plan import Path, Plan, Stage
from netprobe.model.record import (
    GpusSampled,
    PlanExtended,
    RanksDone,
    RanksReady,
    RoundFinished,
    RoundStarted,
    SpanCounted,
    StageFinished,
)
from netprobe.model.run import StageOutcome
from netprobe.model.series import Phase, Series
from netprobe.plan.budget import RoundCount, expected_round_ns, fitted
from netprobe.plan.budget import expected_ns as plan_expected_ns
from netprobe.plan.flows import can_vary_ports
from netprobe.plan.pairing import Round, each_of
from netprobe.plan.rounds import Drawing, assignment_of, planned_pairs, refuse_missing_root
from netprobe.plan.screening import screened
from netprobe.plan.second_pass import SECOND_PASS, second_pass
from netprobe.plan.task import Task
from netprobe.registry import pick, probes
from netprobe.session.clock import Clocks
from netprobe.session.counting import Counting, with_datagrams, without_zeros
from netprobe.session.crew import Crew, crew_of
from netprobe.session.devices import DeviceEdges, Devices, feasible_plan, open_devices
from netprobe.session.gpu import with_nics
from netprobe.session.gpu_watch import GpuWatch
from netprobe.session.host import has_gpu, inventories_of, meet, not_tested
from netprobe.session.leaf import leaf_by_slurm, placed, refuse_foreign
from netprobe.session.memory import BufferPool, allocator, fitting
from netprobe.session.saturation import saturated_gaps
from netprobe.session.telling import payload_of, told_by
from netprobe.store.whereabouts import OPENING, Unwatched
from netprobe.system.here import this_system
from netprobe.units import NS_PER_S, format_duration

COMPARED_EVERY = 10  # rounds of bursts: clocks drift by some µs meanwhile, once their drift is known
IDLE_NS = 2 * NS_PER_S  # drivers ask their NICs once a second; a watch dog for pause storms looks every 0.2 s
OPENING_NS = 60 * NS_PER_S  # CUDA's context, the compiler, the trial of MPI, and NCCL's search of all hosts
OVERRUN_RATIO = 1.25  # estimates are no better; a smaller excess is not worth a line


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
    edges: DeviceEdges = field(default_factory=DeviceEdges)
    meter: CpuMeter | None = None
    """In place of this rank's CPU."""

    def run(self, task: Task) -> None:
        """Measure what the task asks for; all ranks call. TransportError from any rank: the job must be aborted."""
        find_leaf = partial(leaf_by_slurm, environ=dict(self.environment))
        met = placed(meet(self.control, self.host, find_leaf), task.leaves)
        if not task.roster:
            refuse_foreign(met, task.leaves)
        crew = crew_of(met, task.roster, task.rank_leaves)
        own = crew.here[self.control.rank]
        self.whereabouts.known_as(own.rank, own.host)
        system = replace(self.system, excluded=self.system.excluded | set(task.excluded))
        step = self.whereabouts.step
        known = dict(self.environment)
        if any(stage.needs_gpu for stage in task.plan.stages) and has_gpu(system.root):
            self.whereabouts.waits(OPENING, 0, OPENING_NS)
        devices = open_devices(self.transport, self.control, crew.here, task.plan, system, known, self.edges, step)
        self.whereabouts.meets()
        with closing(devices):
            self._measure(task, crew, system, devices)

    def _measure(self, task: Task, crew: Crew, system: System, devices: Devices) -> None:
        """Go through the plan."""
        plan = task.plan if task.roster else _begun(task.plan, crew, devices)
        refuse_missing_root(plan, len(crew.everyone))
        self._tell_who_met(plan, crew, system, devices)
        clocks = Clocks(self.transport, self.control)
        bench = Bench(
            transport=self.transport,
            control=self.control,
            seed=plan.seed,
            memory=_no_memory,
            to_reference_ns=clocks.to_reference_ns,
            meter=self.meter,
        )
        course = _Course(replace(self, system=system), replace(task, plan=plan), crew, bench, clocks, devices)
        course.idle(IDLE_BEFORE)
        for index in range(task.first_stage, len(plan.stages)):
            course.run_stage(index)
        course.run_second_pass()
        course.idle(IDLE_AFTER)
        clocks.compare()
        told = self.control.gather((clocks.latest, devices.nccl.told(crew.here[self.control.rank])))
        if self.sink is not None and told is not None:
            facts = tuple(each for _, each in told if each is not None)
            every_clock = tuple(clock for clock, _ in told)
            self.sink.emit(RanksDone(ranks=crew.numbers, clocks=every_clock, error=None, nccl=facts))

    def _tell_who_met(self, plan: Plan, crew: Crew, system: System, devices: Devices) -> None:
        rdma, gpus = devices.rdma, devices.gpus
        missing = (
            *not_tested(self.control, crew.here, rdma.gaps, gpus.gaps, system.root),
            *devices.nccl.gaps,
            *saturated_gaps(self.control, crew.here, system),
            *_over_budget(plan, crew.everyone),
        )
        inventories = inventories_of(self.control, crew.here, system)
        if self.sink is not None:
            self.sink.emit(
                RanksReady(
                    ranks=crew.here,
                    plan=plan,
                    mpi=self.transport.description,
                    calibration=self.calibration,
                    environment=tuple(sorted((*self.environment, *devices.nccl.settings))),
                    not_tested=missing,
                    inventories=inventories,
                    endpoints=tuple(replace(each, rank=crew.numbers[each.rank]) for each in rdma.endpoints),
                    nccl=devices.nccl.facts,
                    gpus=tuple(replace(each, rank=crew.numbers[each.rank]) for each in with_nics(gpus, rdma.endpoints)),
                )
            )


def _no_memory(role: str, _size_bytes: int) -> Buffer:
    raise AssertionError(f"no stage says where {role} lies")


class _Course:
    """The way through a plan, from where the task says it begins."""

    def __init__(
        self, session: Session, task: Task, crew: Crew, bench: Bench, clocks: Clocks, devices: Devices
    ) -> None:
        rdma = devices.rdma
        self._session = session
        self._devices = devices
        self._pool = BufferPool(allocator(devices.gpus.own))
        absent = set(range(len(crew.everyone))) - set(crew.numbers)
        """Of those nobody knows what they can use."""
        self._with_rdma = {crew.numbers[rank] for rank in rdma.ranks} | absent
        self._with_gpu = {crew.numbers[rank] for rank in devices.gpus.ranks} | absent
        """Ranks by the run's numbers."""
        self._control = session.control
        self._task = task
        self._plan = task.plan
        self._crew = crew
        self._drawing = Drawing(crew.everyone, task.plan.seed)
        by_rdma = (
            bench if rdma.transport is None else replace(bench, transport=rdma.transport, datagrams=rdma.datagrams)
        )
        self._benches = {Path.MPI: bench, Path.VERBS: by_rdma}
        if devices.nccl.transport is not None:
            nccl = devices.nccl.transport
            self._benches[Path.NCCL] = replace(bench, transport=nccl, undivided=nccl.undivided())
        self._clocks = clocks
        self._avoided = frozenset(frozenset(pair) for pair in task.avoided)
        self._series: list[Series] = []
        """What pairs of this launch told, for the second pass; on rank 0 alone."""
        self._windows: list[CounterWindow] = []
        is_first = crew.here[session.control.rank].local_index == 0
        self._counting = Counting(is_first_on_host=is_first, system=session.system, settle=session.pause)
        own = crew.here[session.control.rank].host
        ranks_cpus = {cpu for rank in crew.here if rank.host == own for cpu in rank.cpus}
        self._kept = Kept()
        self._gpus = GpuWatch(session.system.gpus if is_first else None, ranks_cpus=ranks_cpus)

    def idle(self, span: str) -> None:
        """Count what NICs do while no probe runs, where a fabric is crossed and some NIC counts; all ranks call."""
        has_counters = any(self._control.allgather(self._counting.begin_stage()))
        if not has_counters or len({rank.host for rank in self._crew.here}) == 1:
            return
        self._session.whereabouts.waits(span, 0, IDLE_NS)
        self._session.pause(IDLE_NS / NS_PER_S)
        self._tell_span(span)

    def _tell_span(self, span: str, gpus: tuple[GpuWindow, ...] = ()) -> None:
        """Gather what was counted over a stage or an idle time, and what GPUs showed; all ranks call."""
        number = self._crew.numbers[self._control.rank]
        told = self._control.gather((self._counting.end_stage(span, number), gpus)) or ()
        counted = tuple(window for window, _ in told if window.grown)
        sampled = tuple(window for _, windows in told for window in windows)
        if self._session.sink is not None and counted:
            self._session.sink.emit(SpanCounted(windows=counted))
        if self._session.sink is not None and sampled:
            self._session.sink.emit(GpusSampled(windows=sampled))

    def run_second_pass(self) -> None:
        """Measure suspects again with partners that did well, unless that was done before; rank 0 says who they are."""
        if any(stage.id.startswith(SECOND_PASS) for stage in self._plan.stages):
            return
        added: tuple[Stage, ...] = ()
        if self._session.sink is not None:
            everyone = self._crew.everyone
            absent = {rank.host for rank in everyone} - {rank.host for rank in self._crew.here}
            added = second_pass(
                self._plan,
                everyone,
                self._series,
                self._windows,
                absent=frozenset(absent),
                varies_ports=can_vary_ports([each.link_layer for each in self._devices.rdma.endpoints]),
            )
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
        stage, gaps = fitting(self._plan.stages[index], self._control, self._crew.here, on_gpu=self._room_on_gpu)
        stage = replace(stage, root=self._crew.root_of(stage.root))
        rounds = self._rounds(stage) if stage.sizes_bytes else []
        if stage.path not in self._benches or not self._devices.serve(stage, len(self._crew.here)):
            why = self._devices.without(stage.path)  # of a launch that goes on without it
            rounds, gaps = [], (*gaps, *(replace(gap, undermines=True) for gap in why))
        first = self._task.first_round if index == self._task.first_stage else 0
        self._counting.begin_stage()
        self._gpus.begin()
        self._kept = Kept()
        if stage.bursts is not None:
            self._counting.begin_seconds()
        for round_index in range(first, len(rounds)):
            self._announce(index, round_index, len(rounds))
            self._run_round(stage, rounds[round_index], round_index, first)
            if self._kept.is_over:
                rounds = rounds[: round_index + 1]
                break
        self._tell_span(stage.id, self._gpus.end(stage.id, self._crew.numbers[self._control.rank]))
        self._emit_outcome(
            StageOutcome(
                stage=stage.id,
                rounds=len(rounds),
                planned_pairs=() if self._session.sink is None else planned_pairs(rounds),
                elapsed_ns=time.monotonic_ns() - started_ns,
                gaps=gaps,
                ranks=self._crew.numbers,
            )
        )

    def _rounds(self, stage: Stage) -> Sequence[Round]:
        rounds = self._drawing.rounds(stage, pick("probe", probes(), stage.probe))
        if stage.path is Path.VERBS:
            rounds = each_of(rounds, lambda each: each.among(self._with_rdma))
        return each_of(rounds, lambda each: each.among(self._with_gpu)) if stage.needs_gpu else rounds

    def _room_on_gpu(self) -> int | None:
        free_bytes = self._devices.gpus.free_bytes()
        return None if free_bytes is None else free_bytes + self._pool.on_gpu_bytes

    def _run_round(self, stage: Stage, planned: Round, round_index: int, first: int) -> None:
        probe = pick("probe", probes(), stage.probe)
        each = self._crew.present(planned, self._avoided)
        assignment = assignment_of(each, round_index, self._control.rank)
        whereabouts, expected_ns = self._session.whereabouts, expected_round_ns(stage)
        whereabouts.waits(stage.id, round_index, expected_ns)
        is_compared = round_index % COMPARED_EVERY == 0 if stage.bursts is not None else probe.is_group
        if is_compared or (probe.is_load and round_index == first):
            self._clocks.compare()
        self._control.barrier()
        is_busy = probe.is_group or bool(assignment.sends_to or assignment.receives_from)
        if is_busy or assignment.peer is not None:
            whereabouts.measures(stage.id, round_index, self._number(assignment.peer))
        is_first = self._kept.value is None
        results, window = self._measure(probe, stage, assignment)
        if stage.bursts is not None and not is_first:
            window = without_zeros(window)
        whereabouts.waits(stage.id, round_index, expected_ns)
        collected = self._control.collect(payload_of(results, window))
        if self._session.sink is not None and collected is not None:
            told = [told_by(payload) for payload in collected]
            finished = RoundFinished(
                stage=stage.id,
                round_index=round_index,
                series=tuple(self._crew.numbered(result) for each in told for result in each.series),
                gaps=tuple(gap for each in told for gap in each.gaps),
                counters=tuple(each.window for each in told),
                failures=tuple(self._crew.numbered_failure(failure) for each in told for failure in each.failures),
                steps=tuple(self._crew.numbered_bin(each) for one in told for each in one.steps),
            )
            self._session.sink.emit(finished)
            if not probe.is_group and not probe.is_load:
                self._series.extend(each for each in finished.series if each.phase is Phase.TIMED)
                self._windows.extend(finished.counters)

    def _measure(
        self, probe: Probe, stage: Stage, assignment: Assignment
    ) -> tuple[tuple[ProbeResult, ...], CounterWindow]:
        self._counting.begin(probe.id)
        results = tuple(probe.run(self._bench(stage), stage, assignment))
        number = self._crew.numbers[self._control.rank]
        window = self._counting.end(stage.id, assignment.round_index, number)
        if stage.bursts is not None:
            window = self._counting.with_second(window)
            slow = self._counting.too_slow()
            results = results if slow is None else (*results, slow)
        counted = (each for each in results if isinstance(each, DatagramCounts))
        return results, with_datagrams(window, counted, self._crew.numbers)

    def _bench(self, stage: Stage) -> Bench:
        bench = replace(self._benches[stage.path], memory=self._pool.of(stage), kept=self._kept)
        if stage.path is not Path.MPI:
            return bench
        return replace(bench, transport=self._devices.gpus.under_mpi(bench.transport, stage))

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


def _begun(plan: Plan, crew: Crew, devices: Devices) -> Plan:
    """Return what a first launch measures of a plan; later launches number stages as this one did."""
    feasible = feasible_plan(plan, devices, len(crew.here))
    hosts = len({rank.host for rank in crew.everyone})
    return fitted(screened(feasible, hosts), _round_count(plan, crew.everyone))


def _over_budget(plan: Plan, ranks: tuple[Rank, ...]) -> tuple[Gap, ...]:
    """Say beforehand that a budget cannot be kept: the plan is as short as it gets."""
    if plan.budget_ns is None:
        return ()
    needed_ns = plan_expected_ns(plan, _round_count(plan, ranks))
    if needed_ns <= plan.budget_ns * OVERRUN_RATIO:
        return ()
    needed, budget = format_duration(needed_ns), format_duration(plan.budget_ns)
    reason = f"the plan needs about {needed}, more than the budget of {budget}, and cannot be shortened further"
    return (Gap(topic="budget", reason=reason, remedy="a smaller profile, or a larger --budget"),)


def _round_count(plan: Plan, ranks: tuple[Rank, ...]) -> RoundCount:
    drawing = Drawing(ranks, plan.seed)
    return lambda stage: drawing.count(stage, pick("probe", probes(), stage.probe))
