"""Plays a plan on a simulated fabric: the same rounds, the same second pass, the same run as ranks would leave behind.

Pure: the same fabric, condition, plan and seed give the same run.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from netprobe import __version__
from netprobe.contracts import Probe
from netprobe.model.bursts import StepBin
from netprobe.model.counters import IDLE_AFTER, IDLE_BEFORE
from netprobe.model.endpoint import Calibration, Clock, Rank
from netprobe.model.finding import Gap
from netprobe.model.plan import HOST_NOISE, Path, Plan, Scope, Stage
from netprobe.model.run import RUN_FORMAT, Launch, RunHeader, RunStatus, StageOutcome
from netprobe.model.series import LOAD_METRICS
from netprobe.model.standing import Benched, Fate
from netprobe.plan.pairing import Round
from netprobe.plan.rounds import planned_pairs, rounds_of
from netprobe.plan.second_pass import second_pass
from netprobe.registry import pick, probes
from netprobe.sim.bursts import play_bursts
from netprobe.sim.collectives import ALL_AT_ONCE, play_collective
from netprobe.sim.condition import Condition
from netprobe.sim.fabric import Fabric
from netprobe.sim.flow_control import count_idle, count_stage
from netprobe.sim.loads import play_loads
from netprobe.sim.made import Made
from netprobe.sim.noise import play_noise
from netprobe.sim.pairs import play_pairs
from netprobe.sim.settings import endpoints_of, inventories_of
from netprobe.sim.storage import play_storage
from netprobe.sim.tally import Tally, round_rows, span_rows
from netprobe.store.counters_table import counters_schema
from netprobe.store.reader import Run
from netprobe.store.series_table import series_of, series_schema
from netprobe.units import NS_PER_MS, NS_PER_S

if TYPE_CHECKING:
    import polars as pl

IntArray = NDArray[np.int64]

EMPTY_STAGE_NS: Final = 5 * NS_PER_MS  # counters settle, also where there was nothing to measure
IDLE_NS: Final = 2 * NS_PER_S
STARTED: Final = "2026-01-01T00:00:00.000Z"
FINISHED: Final = "2026-01-01T00:05:00.000Z"
NO_GPU: Final = Gap(topic="gpu", reason="the simulated fabric has no GPUs: memory of GPUs and NCCL not measured")
CLOCK_ERROR_NS: Final = 1_000.0
DEATH_SHARE: Final = 0.5  # of the stages, after which a host that dies has died
FLAPS_IN: Final = "rdma-bandwidth-between-hosts"
SILENCE_NS: Final = 15 * NS_PER_S


def play(fabric: Fabric, condition: Condition, plan: Plan, seed: int) -> Run:
    """Return the run that a plan leaves behind on a fabric in this condition."""
    plan = replace(plan, stages=tuple(stage for stage in plan.stages if not stage.needs_gpu), transport="simulated")
    if condition.never_met is not None:
        return _never_met(plan, seed, condition.never_met)
    course = _Course(fabric, condition, plan, seed)
    course.idle(IDLE_BEFORE)
    for stage in plan.stages:
        course.run_stage(stage)
    course.run_second_pass()
    course.idle(IDLE_AFTER)
    return course.run()


def ranks_of(fabric: Fabric) -> tuple[Rank, ...]:
    """Return one rank for each NIC, each with the leaf of its own."""
    return tuple(
        Rank(
            rank=nic,
            host=fabric.hosts[fabric.host[nic]],
            local_index=int(fabric.rail[nic]),
            cpus=(int(fabric.rail[nic]),),
            pid=1000 + int(fabric.rail[nic]),
            leaf=fabric.leaves[fabric.told_leaf[nic]],
        )
        for nic in range(fabric.nics)
    )


class _Course:
    """The way through a plan, and what it has left behind so far."""

    def __init__(self, fabric: Fabric, condition: Condition, plan: Plan, seed: int) -> None:
        self._fabric, self._condition, self._plan, self._seed = fabric, condition, plan, seed
        self._random = np.random.default_rng([seed, 1])
        self._random_of_bursts = np.random.default_rng([seed, 2])
        self._ranks = ranks_of(fabric)
        self._series: list[pl.DataFrame] = []
        self._counters: list[pl.DataFrame] = []
        self._outcomes: list[StageOutcome] = []
        self._steps: list[StepBin] = []
        self._gone: frozenset[int] = frozenset()
        self._benched: tuple[Benched, ...] = ()

    def idle(self, span: str) -> None:
        """Count what NICs do while nothing runs."""
        tally = Tally.of_shape(1, self._fabric.nics)
        count_idle(tally, self._condition, IDLE_NS, is_after=span == IDLE_AFTER)
        self._counters.append(self._present(span_rows(tally, self._fabric, self._condition, span, IDLE_NS)))

    def run_stage(self, stage: Stage) -> None:
        """Play a stage, and keep what it leaves behind."""
        if len(self._outcomes) >= DEATH_SHARE * len(self._plan.stages):
            self._bury(stage)
        probe = pick("probe", probes(), stage.probe)
        rounds = rounds_of(stage, probe, self._ranks, self._plan.seed)
        here = set(range(self._fabric.nics)) - self._gone
        able = here - set(np.flatnonzero(self._condition.missing).tolist())
        if stage.path is Path.VERBS:
            rounds = [each.among(able | self._gone) for each in rounds]
        present = [each.among(here) for each in rounds]
        if not rounds or (not probe.is_group and not any(len(each.ends) or len(each.flows) for each in present)):
            tally = Tally.of_shape(1, self._fabric.nics)
            self._counters.append(
                self._present(span_rows(tally, self._fabric, self._condition, stage.id, EMPTY_STAGE_NS))
            )
            self._outcomes.append(_outcome(stage, rounds, EMPTY_STAGE_NS, sorted(here)))
            return
        random = self._random_of(stage, probe)
        made = self._played(stage, present, np.array(sorted(here)), probe, random)
        elapsed_ns = int(made.rounds_ns.sum())
        count_stage(
            made.tally, self._condition, elapsed_ns, random,
            is_crowded=probe.is_load or stage.probe in ALL_AT_ONCE, has_flap=stage.id == FLAPS_IN,
        )  # fmt: skip
        self._keep(stage, made, elapsed_ns)
        self._outcomes.append(_outcome(stage, rounds, elapsed_ns, sorted(here), made))

    def run_second_pass(self) -> None:
        """Measure suspects again, as ranks do."""
        import polars as pl

        absent = frozenset(self._ranks[rank].host for rank in self._gone)
        told = pl.concat(self._series).filter(pl.col("dst").is_not_null() & (pl.col("phase") == "timed"))
        told = told.filter(~pl.col("metric").is_in(list(LOAD_METRICS)))
        told = told.with_columns(slowest=pl.col("slowest").list.head(0))  # nobody asks for it, and it takes time
        added = second_pass(self._plan, self._ranks, series_of(told), (), absent=absent)
        self._plan = replace(self._plan, stages=(*self._plan.stages, *added))
        for stage in added:
            self.run_stage(stage)

    def run(self) -> Run:
        """Return all that was left behind."""
        import polars as pl

        fabric = self._fabric
        inventories = self._condition.inventories or inventories_of(fabric)
        header = RunHeader(
            format=RUN_FORMAT,
            id=f"simulated-{fabric.nics}-{self._seed}",
            netprobe=__version__,
            started=STARTED,
            finished=FINISHED,
            status=RunStatus.COMPLETE,
            plan=self._plan,
            launch=Launch(method="simulated", argv=(), mpi="simulated"),
            ranks=self._ranks,
            clocks=tuple(None if nic in self._gone else _clock() for nic in range(fabric.nics)),
            calibration=Calibration(clock_read_ns=20.0, empty_iteration_ns=25.0),
            endpoints=endpoints_of(fabric, inventories),
            outcomes=tuple(self._outcomes),
            not_tested=(NO_GPU,),
            benched=self._benched,
        )
        return Run(
            header=header,
            series=pl.concat(self._series) if self._series else pl.DataFrame(schema=series_schema()),
            counters=pl.concat(self._counters),
            inventories=inventories,
            steps=tuple(self._steps),
        )

    def _played(
        self, stage: Stage, rounds: Sequence[Round], ranks: IntArray, probe: Probe, random: np.random.Generator
    ) -> Made:
        if stage.bursts is not None:
            return play_bursts(self._fabric, self._condition, stage, ranks, random, self._seed)
        began_ns = sum(outcome.elapsed_ns for outcome in self._outcomes)
        if stage.storage is not None:
            return play_storage(self._fabric, self._condition, stage, ranks, random, self._seed)
        if stage.probe == HOST_NOISE:
            return play_noise(self._fabric, self._condition, stage, ranks, random, began_ns)
        if probe.is_load:
            return play_loads(self._fabric, self._condition, stage, rounds, random, self._seed)
        if probe.is_group:
            return play_collective(self._fabric, self._condition, stage, ranks, random, self._seed)
        return play_pairs(self._fabric, self._condition, stage, rounds, random, self._seed, began_ns)

    def _random_of(self, stage: Stage, probe: Probe) -> np.random.Generator:
        """Return what draws for a stage: bursts and loads draw from their own, so that all else is alike without."""
        if probe.is_load or stage.storage is not None:
            return np.random.default_rng([self._seed, 3, len(self._outcomes)])
        return self._random if stage.bursts is None else self._random_of_bursts

    def _keep(self, stage: Stage, made: Made, elapsed_ns: int) -> None:
        self._series.append(made.frame)
        self._steps += made.steps
        own = [
            round_rows(made.tally, self._fabric, self._condition, stage.id, made.rounds_ns),
            *made.rank_counters,
            span_rows(made.tally, self._fabric, self._condition, stage.id, elapsed_ns),
        ]
        self._counters += [self._present(each) for each in own]

    def _present(self, counters: "pl.DataFrame") -> "pl.DataFrame":
        import polars as pl

        return counters.filter(~pl.col("rank").is_in(sorted(self._gone))) if self._gone else counters

    def _bury(self, stage: Stage) -> None:
        """Take out the hosts that died, once."""
        if self._benched or not self._condition.dead:
            return
        before = self._outcomes[-1]
        hosts = self._condition.dead
        self._gone = frozenset(np.flatnonzero(np.isin(self._fabric.host, list(hosts))).tolist())
        self._benched = tuple(
            Benched(
                host=self._fabric.hosts[host],
                fate=Fate(fate),
                detail="nothing answers",
                ranks=tuple(np.flatnonzero(self._fabric.host == host).tolist()),
                stage=stage.id,
                round_index=0,
                last_stage=before.stage,
                last_round_index=max(before.rounds - 1, 0),
                waited_ns=SILENCE_NS,
            )
            for host, fate in hosts.items()
        )


def _outcome(
    stage: Stage, rounds: Sequence[Round], elapsed_ns: int, ranks: Sequence[int], made: Made | None = None
) -> StageOutcome:
    return StageOutcome(
        stage=stage.id,
        rounds=len(rounds),
        planned_pairs=planned_pairs(list(rounds)) if stage.scope is not Scope.WORLD else (),
        elapsed_ns=elapsed_ns,
        ranks=tuple(ranks),
        failures=() if made is None else made.failures,
    )


def _clock() -> Clock:
    return Clock(offset_ns=0, drift_ratio=0.0, at_ns=0, error_bound_ns=CLOCK_ERROR_NS)


def _never_met(plan: Plan, seed: int, why: str) -> Run:
    import polars as pl

    header = RunHeader(
        format=RUN_FORMAT, id=f"simulated-none-{seed}", netprobe=__version__, started=STARTED, finished=FINISHED,
        status=RunStatus.FAILED, plan=plan, launch=Launch(method="simulated", argv=(), mpi=""), error=why,
    )  # fmt: skip
    return Run(
        header=header, series=pl.DataFrame(schema=series_schema()), counters=pl.DataFrame(schema=counters_schema())
    )
