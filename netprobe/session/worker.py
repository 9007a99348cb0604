"""What every rank runs: meet, compare clocks, then stage by stage and round by round; rank 0 tells the sink.

A stage ends with its results gathered on rank 0 and handed to the sink, so that whatever happens later, they are kept.
"""

import time
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from netprobe.contracts import Bench, Control, Probe, Sink, Stamps, Transport
from netprobe.model.endpoint import Calibration, Rank
from netprobe.model.finding import Gap
from netprobe.model.plan import Plan, Stage
from netprobe.model.record import RanksDone, RanksReady, RoundStarted, StageFinished
from netprobe.model.run import StageOutcome
from netprobe.model.series import Series
from netprobe.plan.budget import expected_ns, expected_round_ns, fitted
from netprobe.plan.pairing import Round
from netprobe.plan.rounds import assignment_of, planned_pairs, refuse_missing_root, rounds_of
from netprobe.registry import pick, probes
from netprobe.session.clock import compare_clocks, to_reference, with_drift
from netprobe.session.host import meet, not_tested
from netprobe.session.memory import BufferPool, fitting
from netprobe.units import format_duration

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

    def run(self, plan: Plan) -> None:
        """Measure the whole plan; all ranks call. TransportError from any rank means that the job must be aborted."""
        ranks = meet(self.control, self.host)
        plan = fitted(plan, lambda stage: len(_rounds(stage, ranks, plan.seed)))
        refuse_missing_root(plan, len(ranks))
        missing = (*not_tested(self.control, ranks), *_over_budget(plan, ranks))
        if self.sink is not None:
            self.sink.emit(
                RanksReady(
                    ranks=ranks,
                    plan=plan,
                    mpi=self.transport.description,
                    calibration=self.calibration,
                    environment=self.environment,
                    not_tested=missing,
                )
            )
        clocks = _Clocks(self.transport, self.control)
        bench = Bench(
            transport=self.transport,
            control=self.control,
            seed=plan.seed,
            memory=BufferPool(),
            to_reference_ns=clocks.to_reference_ns,
        )
        for index in range(len(plan.stages)):
            self._run_stage(plan, index, ranks, bench, clocks)
        clocks.compare()
        every_clock = self.control.gather(clocks.latest)
        if self.sink is not None and every_clock is not None:
            self.sink.emit(RanksDone(clocks=tuple(every_clock), error=None))

    def _run_stage(self, plan: Plan, index: int, ranks: tuple[Rank, ...], bench: Bench, clocks: _Clocks) -> None:
        started_ns = time.monotonic_ns()
        stage, gaps = fitting(plan.stages[index], self.control, ranks)
        probe = pick("probe", probes(), stage.probe)
        rounds = _rounds(stage, ranks, plan.seed) if stage.sizes_bytes else []
        results: list[Series | Gap] = []
        for round_index, each in enumerate(rounds):
            self._announce(plan, index, round_index, len(rounds))
            if probe.is_group:
                clocks.compare()
            results.extend(self._run_round(bench, probe, stage, each, round_index))
        if self.sink is not None:
            outcome = StageOutcome(
                stage=stage.id,
                rounds=len(rounds),
                planned_pairs=planned_pairs(rounds),
                elapsed_ns=time.monotonic_ns() - started_ns,
                gaps=(*gaps, *(each for each in results if isinstance(each, Gap))),
            )
            series = tuple(each for each in results if isinstance(each, Series))
            self.sink.emit(StageFinished(outcome=outcome, series=series))

    def _run_round(self, bench: Bench, probe: Probe, stage: Stage, each: Round, round_index: int) -> list[Series | Gap]:
        """Return every rank's results on rank 0, nothing elsewhere."""
        assignment = assignment_of(each, round_index, self.control.rank)
        self.control.barrier()
        gathered = self.control.gather(tuple(probe.run(bench, stage, assignment)))
        return [] if gathered is None else [result for results in gathered for result in results]

    def _announce(self, plan: Plan, index: int, round_index: int, rounds: int) -> None:
        if self.sink is not None:
            self.sink.emit(
                RoundStarted(
                    stage=plan.stages[index].id,
                    stage_index=index,
                    stages=len(plan.stages),
                    round_index=round_index,
                    rounds=rounds,
                    expected_ns=expected_round_ns(plan.stages[index]),
                )
            )


def _over_budget(plan: Plan, ranks: tuple[Rank, ...]) -> tuple[Gap, ...]:
    """Say beforehand that a budget cannot be kept: the plan is as short as it gets."""
    needed_ns = expected_ns(plan, lambda stage: len(_rounds(stage, ranks, plan.seed)))
    if plan.budget_ns is None or needed_ns <= plan.budget_ns * OVERRUN_RATIO:
        return ()
    needed, budget = format_duration(needed_ns), format_duration(plan.budget_ns)
    reason = f"the plan needs about {needed}, more than the budget of {budget}, and cannot be shortened further"
    return (Gap(topic="budget", reason=reason, remedy="a smaller profile, or a larger --budget"),)


def _rounds(stage: Stage, ranks: tuple[Rank, ...], seed: int) -> list[Round]:
    return rounds_of(stage, pick("probe", probes(), stage.probe), ranks, seed)
