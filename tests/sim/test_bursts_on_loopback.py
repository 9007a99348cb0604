"""Bursts on threads and on a simulated fabric: from the plan to the run directory to what is said of steps."""

import time
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np

from netprobe.judge.evidence import evidence_of
from netprobe.judge.judge import judge
from netprobe.model.limits import Limits
from netprobe.model.plan import Plan
from netprobe.model.run import Launch, RunStatus
from netprobe.plan.bursts import BurstWish, burst_stage
from netprobe.plan.task import Task
from netprobe.registry import detectors
from netprobe.session.threads import run_on_threads
from netprobe.sim.condition import healthy
from netprobe.sim.fabric import default_topology, fabric_of
from netprobe.sim.play import play
from netprobe.store.reader import read_run
from netprobe.store.writer import RunWriter
from netprobe.transports.loopback import clean_wire
from netprobe.units import NS_PER_MS, NS_PER_S

SHORT = BurstWish(period_ns=20 * NS_PER_MS, compute_ratio=0.1, size_bytes=4096, length_ns=2 * NS_PER_S)


def measured(tmp_path, ranks, wish=SHORT, wire=clean_wire):
    stage = burst_stage(wish, length_ns=NS_PER_S)
    plan = Plan(profile="test", seed=3, stages=(stage,), transport="loopback")
    launch = Launch(method="loopback", argv=(), mpi="")
    writer = RunWriter.create(tmp_path, plan, launch, started=datetime(2026, 1, 1, tzinfo=UTC), run_id="test")
    run_on_threads(Task(plan=plan), ranks, writer, wire=wire, host_of=lambda rank: f"n{rank}")
    writer.close(RunStatus.COMPLETE, None)
    return read_run(writer.directory)


def test_every_second_is_told_with_its_steps_and_all_ranks_lateness_by_part(tmp_path):
    run = measured(tmp_path, 3)
    (table,) = evidence_of(run).steps

    assert 1 <= len(table.bins) <= 2
    assert table.steps == int(table.part_steps.sum())
    assert table.rank.tolist() == [0, 1, 2]
    assert np.isfinite(table.arrival_p50_ns).all()
    assert table.p50_ns >= 0.1 * 20 * NS_PER_MS * 0.2  # it computes; how fast is the machine's business
    assert abs(table.bins[0].began_ns - time.time_ns()) < 3600 * NS_PER_S


def test_bursts_count_as_measured_and_have_a_section_in_the_report(tmp_path):
    report = judge(measured(tmp_path, 2), Limits())

    assert report.coverage.untested_ranks == ()
    assert not any("nothing was measured" in gap.reason for gap in report.gaps)
    (steps,) = report.steps
    assert steps.steps == sum(each.steps for each in steps.timeline)
    assert steps.slowest[0].elapsed_ns == steps.max_ns
    assert report.coverage.bytes_moved == 4096 * (steps.steps + 5)


def test_messages_that_are_held_up_once_are_nobodys_lateness(tmp_path):
    held = iter([False] * 160 + [True])

    def wire(src, dst, payload):
        if len(payload) == 4096 and src == 1 and next(held, False):
            time.sleep(0.8)
        return payload

    run = measured(tmp_path, 3, replace(SHORT, length_ns=6 * NS_PER_S), wire=wire)
    evidence = replace(evidence_of(run), waiting_ratio={})
    limits = Limits(step_stall_ratio=2.0, step_stall_floor_ns=5e8, outlier_mads=0.0)
    answers = list(detectors()["stalled-step"].detect(evidence, limits))

    assert [each.subjects for each in answers if each.subjects] == [("fabric",)]


def test_steps_free_to_run_need_no_phase(tmp_path):
    run = measured(tmp_path, 2, replace(SHORT, is_free_running=True, length_ns=NS_PER_S))

    assert evidence_of(run).steps[0].steps > 1


def test_bursts_of_one_rank_are_a_gap_and_end_at_once(tmp_path):
    run = measured(tmp_path, 1, replace(SHORT, length_ns=60 * NS_PER_S))

    (outcome,) = run.header.outcomes
    assert outcome.rounds == 1
    assert any("nobody to exchange" in gap.reason for gap in outcome.gaps)


def test_a_healthy_simulated_fabric_stalls_no_step_and_drifts_nowhere():
    random = np.random.default_rng(1)
    fabric = fabric_of(default_topology(64))
    plan = Plan(profile="test", seed=1, stages=(burst_stage(SHORT, length_ns=NS_PER_S),))
    evidence = evidence_of(play(fabric, healthy(fabric, random), plan, 1))

    assert evidence.steps
    for id in ("stalled-step", "step-drift"):
        answers = detectors()[id].detect(evidence, Limits())
        assert [each for each in answers if hasattr(each, "severity")] == []


def test_what_is_exposed_of_communication_is_told_in_phase_and_beside_a_computation(tmp_path):
    one, other = (
        evidence_of(measured(tmp_path / name, 2, replace(SHORT, overlaps=overlaps, length_ns=NS_PER_S))).steps[0]
        for name, overlaps in (("alone", False), ("beside", True))
    )

    assert (one.overlaps, other.overlaps) == (False, True)
    for table in (one, other):
        assert 0 <= table.exposed_p50_ns < table.p50_ns
        assert 0 <= table.exposed_mean_ns < table.total_ns / table.steps


def test_on_a_simulated_fabric_communication_hides_behind_what_takes_longer():
    fabric = fabric_of(default_topology(64))

    def exposed(overlaps, ratio):
        wish = replace(SHORT, overlaps=overlaps, compute_ratio=ratio, size_bytes=64 << 20)
        plan = Plan(profile="test", seed=1, stages=(burst_stage(wish, length_ns=NS_PER_S),))
        (steps,) = judge(play(fabric, healthy(fabric, np.random.default_rng(1)), plan, 1), Limits()).steps
        return steps.exposed_p50_ns

    assert exposed(True, 0.9) < NS_PER_MS / 1000 < exposed(True, 0.1) < exposed(False, 0.1)
