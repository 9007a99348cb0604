"""Ranks that only compute, on threads: what a CPU does to them is recorded, judged, and told from the fabric."""

from datetime import UTC, datetime

import numpy as np
import pytest

from netprobe.judge.evidence import evidence_of
from netprobe.judge.judge import judge
from netprobe.model.limits import Limits
from netprobe.model.plan import HOST_NOISE, Plan, Scope, Stage
from netprobe.model.run import Launch, RunStatus
from netprobe.plan.task import Task
from netprobe.probes.host_noise import QUANTUM_NS
from netprobe.session.threads import run_on_threads
from netprobe.store.reader import read_run
from netprobe.store.writer import RunWriter

NOISE = Stage(id=HOST_NOISE, probe=HOST_NOISE, scope=Scope.WORLD, sizes_bytes=(8,), series_budget_ns=20_000_000)
LATENCY = Stage(
    id="latency-between-hosts", probe="latency", scope=Scope.BETWEEN_HOSTS, sizes_bytes=(8,), iterations=4,
    warmup_iterations=1,
)  # fmt: skip


class FakeCpus:
    """CPUs that do what they are told: so many steps take so long, and every so many quanta somebody interrupts."""

    def __init__(self, *, detour_ns=0, every=100, step_ns=1.0):
        self.detour_ns, self.every, self.step_ns = detour_ns, every, step_ns

    def quanta(self, steps, budget_ns, stamps):
        elapsed = np.full(len(stamps) - 1, round(steps * self.step_ns))
        elapsed[self.every - 1 :: self.every] += self.detour_ns
        at_ns = np.concatenate([[0], np.cumsum(elapsed)])
        count = min(int(np.searchsorted(at_ns, budget_ns)) + 1, len(stamps))
        stamps[:count] = at_ns[:count]
        return count, 3, 3, 0

    def wakes(self, period_ns, budget_ns, late_ns):
        count = min(budget_ns // period_ns, len(late_ns))
        late_ns[:count] = 55_000
        return count, 3, 3, 0


def measured(tmp_path, ranks, meter, *stages):
    plan = Plan(profile="test", seed=3, stages=stages or (NOISE,), transport="loopback")
    launch = Launch(method="loopback", argv=(), mpi="")
    writer = RunWriter.create(tmp_path, plan, launch, started=datetime(2026, 1, 1, tzinfo=UTC), run_id="test")
    run_on_threads(Task(plan=plan), ranks, writer, host_of=lambda rank: f"n{rank}", meter=meter)
    writer.close(RunStatus.COMPLETE, None)
    return read_run(writer.directory, lists=False)


@pytest.mark.parametrize("ranks", [1, 3])
def test_what_a_rank_loses_is_what_its_detours_take(tmp_path, ranks):
    noise = evidence_of(measured(tmp_path, ranks, FakeCpus(detour_ns=50_000))).noise

    assert noise.rank.tolist() == list(range(ranks))
    assert noise.cpu.tolist() == [3] * ranks
    assert noise.quantum_ns == pytest.approx(QUANTUM_NS, rel=0.01)
    assert noise.ratio == pytest.approx(50_000 / (100 * QUANTUM_NS + 50_000), rel=0.05)
    assert noise.detour_max_ns == pytest.approx(50_000, rel=0.01)
    assert noise.beat_ns == pytest.approx(100 * QUANTUM_NS + 50_000, rel=0.01)
    assert noise.wake_p50_ns == pytest.approx(55_000, rel=0.01)


def test_a_cpu_that_nobody_takes_away_loses_nothing(tmp_path):
    noise = evidence_of(measured(tmp_path, 2, FakeCpus())).noise

    assert noise.ratio.tolist() == [0.0, 0.0]
    assert noise.detours.tolist() == [0, 0]
    assert np.isnan(noise.detour_max_ns).all()


def test_the_cpus_themselves_are_asked_where_nobody_stands_for_them(tmp_path):
    noise = evidence_of(measured(tmp_path, 2, None)).noise

    assert (noise.quantum_ns > 0).all()
    assert (noise.total_ns > 0).all()
    assert (noise.ratio <= 1).all()


def test_pairs_tell_when_their_slowest_iterations_began(tmp_path):
    run = measured(tmp_path, 2, FakeCpus(), NOISE, LATENCY)
    pairs = run.series.filter((run.series["probe"] == "latency") & (run.series["phase"] == "timed"))

    assert pairs["started_ns"].null_count() == 0


def test_a_run_without_messages_is_inconclusive_and_blames_nobody(tmp_path):
    report = judge(measured(tmp_path, 4, FakeCpus(detour_ns=2_000_000)), Limits())

    assert [each.hosts for each in report.findings] == []
