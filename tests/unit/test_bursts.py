"""Bursts without ranks: rounds and parts of a stage, bins made one, what is kept of a soak, who was late to a step."""

import ctypes
from ctypes import CFUNCTYPE, c_int, c_int64, c_void_p
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from store_samples import LAUNCH, ranks, window

from netprobe import _native
from netprobe.contracts import BurstSteps, StepPace
from netprobe.errors import FormatError, PlanError
from netprobe.model.bursts import BurstOptions, StepBin
from netprobe.model.endpoint import Calibration
from netprobe.model.plan import Plan
from netprobe.model.record import RanksReady, RoundFinished, RoundStarted
from netprobe.plan.bursts import NO_BURSTS, BurstWish, burst_stage, with_soak
from netprobe.plan.profiles import plan_for
from netprobe.probes.bursts import ready_at, slowest_of
from netprobe.stats.steps import MOST_PARTS, fewer, part_of, rounds_in
from netprobe.store.reader import read_run
from netprobe.store.soak import MOST_KEPT, Soak
from netprobe.store.steps_table import bins_of, steps_frame_of
from netprobe.store.writer import RunWriter
from netprobe.units import NS_PER_MS, NS_PER_S

STARTED = datetime(2026, 11, 23, 2, 0, 0, tzinfo=UTC)


def second(round_index=0, max_ns=66 * NS_PER_MS, **changes):
    told = StepBin(
        stage="bursts", round_index=round_index, rounds=1, began_ns=round_index * NS_PER_S, elapsed_ns=NS_PER_S,
        steps=10, total_ns=600 * NS_PER_MS, max_ns=max_ns, slowest_round=round_index,
        slowest_began_ns=round_index * NS_PER_S, late_rank=1, late_ns=5, held_rank=0, held_ns=3,
    )  # fmt: skip
    return replace(told, **changes)


def options(seconds, **changes):
    return replace(BurstOptions(period_ns=100 * NS_PER_MS, compute_ratio=0.5, length_ns=seconds * NS_PER_S), **changes)


@given(st.integers(1, 100_000))
def test_a_stage_of_whatever_length_has_at_most_a_dozen_parts_in_order_and_its_last_round_ends_one(seconds):
    rounds = rounds_in(options(seconds))
    parts = [part_of(options(seconds), each) for each in {0, rounds // 2, rounds - 1}]

    assert rounds == seconds
    assert all(0 <= number < MOST_PARTS for number, _ in parts)
    assert part_of(options(seconds), rounds - 1)[1]


def test_steps_longer_than_a_second_have_a_round_each():
    assert rounds_in(options(60, period_ns=7 * NS_PER_S)) == 9


@given(st.lists(st.integers(1, 10**12), min_size=1, max_size=300), st.integers(1, 40))
def test_bins_made_one_keep_every_step_all_time_and_the_slowest_step(slowest_ns, most):
    bins = [second(index, max_ns) for index, max_ns in enumerate(slowest_ns)]

    kept = fewer(bins, most)

    assert len(kept) <= max(most, 1)
    assert sum(each.steps for each in kept) == sum(each.steps for each in bins)
    assert sum(each.total_ns for each in kept) == sum(each.total_ns for each in bins)
    assert sum(each.rounds for each in kept) == len(bins)
    worst = max(kept, key=lambda each: each.max_ns)
    assert worst.max_ns == max(slowest_ns)
    assert slowest_ns[worst.slowest_round] == max(slowest_ns)
    assert [each.round_index for each in kept] == sorted({each.round_index for each in kept})


def test_a_soak_of_a_day_is_kept_in_bounded_memory_and_its_counters_add_up():
    soak, rounds = Soak(), 5_000
    for index in range(rounds):
        grown = {"tcp/RetransSegs": 1, "tcp/TCPTimeouts": 0} if index == 0 else {"tcp/RetransSegs": 1}
        told = window("bursts", index, elapsed_ns=NS_PER_S, grown=grown)
        soak.add(second(index, max_ns=1000 + (index * 7919) % rounds), (told,))

    windows = list(soak.windows())

    assert len(soak.bins) <= 3600
    assert len(windows) == MOST_KEPT + 1
    assert sum(each.grown.get("tcp/RetransSegs", 0) for each in windows) == rounds
    assert sum(each.elapsed_ns for each in windows) == rounds * NS_PER_S
    assert windows[-1].grown["tcp/TCPTimeouts"] == 0
    assert windows[-1].round_index == rounds


def test_the_counters_of_the_slowest_seconds_stay_by_themselves():
    soak = Soak()
    for index in range(200):
        slow_ns = 10**9 if index == 77 else 1000 + index
        soak.add(second(index, slow_ns), (window("bursts", index, grown={"tcp/RetransSegs": index}),))

    (own,) = [each for each in soak.windows() if each.round_index == 77]

    assert own.grown == {"tcp/RetransSegs": 77}


def writer_of_bursts(root):
    stage = burst_stage(NO_BURSTS, length_ns=3600 * NS_PER_S)
    plan = Plan(profile="run bursts", seed=1, stages=(stage,))
    writer = RunWriter.create(root, plan, LAUNCH, started=STARTED, run_id="run", now=lambda: STARTED)
    calibration = Calibration(clock_read_ns=20.0, empty_iteration_ns=25.0)
    writer.emit(RanksReady(ranks=ranks(), plan=plan, mpi="MPI", calibration=calibration, environment=(), not_tested=()))
    return writer


def emit_seconds(writer, count):
    for index in range(count):
        writer.emit(
            RoundStarted(stage="bursts", stage_index=0, stages=1, round_index=index, rounds=3600, expected_ns=NS_PER_S)
        )
        told = RoundFinished(stage="bursts", round_index=index, series=(), steps=(second(index),))
        writer.emit(replace(told, counters=(window("bursts", index),)))


def test_a_soak_that_is_killed_can_be_read_up_to_its_last_ten_seconds(tmp_path):
    writer = writer_of_bursts(tmp_path)
    emit_seconds(writer, 37)  # and then nothing more is ever heard

    run = read_run(writer.directory)

    assert [each.round_index for each in run.steps] == list(range(31))


def test_the_log_of_a_soak_has_a_line_for_each_minute_and_not_for_each_second(tmp_path):
    writer = writer_of_bursts(tmp_path)
    emit_seconds(writer, 125)

    lines = (writer.directory / "events.jsonl").read_text().splitlines()

    assert sum('"round-finished"' in line for line in lines) == 3


def test_an_interrupted_soak_keeps_its_counters_and_all_seconds(tmp_path):
    from netprobe.model.run import RunStatus

    writer = writer_of_bursts(tmp_path)
    emit_seconds(writer, 14)
    writer.close(RunStatus.INTERRUPTED, "interrupted")

    run = read_run(writer.directory)

    assert len(run.steps) == 14
    assert run.counters["growth"].sum() == 14 * 3


@given(st.integers(1, 5))
def test_seconds_come_back_from_a_table_as_they_were_written(count):
    bins = tuple(second(index) for index in range(count))

    assert bins_of(steps_frame_of(bins)) == bins


@pytest.mark.parametrize("changes", [{"steps": 0}, {"late_ns": -1}, {"elapsed_ns": 0}])
def test_a_table_of_seconds_that_cannot_be_is_refused(changes):
    with pytest.raises(FormatError):
        bins_of(steps_frame_of([second(**changes)]))


def test_the_last_to_enter_is_late_only_by_what_it_took_itself():
    # (after the first, own doing, off its CPU): rank 2 was let go late by the step before, and computed as ever.
    inherited = slowest_of(np.array([[0, 50, 0], [2, 51, 0], [300, 50, 0]]))
    own = slowest_of(np.array([[0, 50, 0], [2, 51, 0], [300, 350, 0]]))

    assert inherited.late_ns <= 2
    assert (own.late_rank, own.late_ns) == (2, 298)


def test_a_rank_without_a_cpu_is_told_beyond_what_all_sleep():
    told = slowest_of(np.array([[0, 0, 100], [0, 0, 420], [0, 0, 120]]))

    assert (told.held_rank, told.held_ns) == (1, 300)


def test_a_step_could_begin_when_it_was_due_or_when_the_one_before_let_go():
    steps = BurstSteps(
        began=np.array([100, 200]), entered=np.array([150, 250]), left=np.array([230, 300]),
        off_cpu_ns=np.zeros(2, dtype=np.int64), computed=np.array([150, 250]),
    )  # fmt: skip
    pace = StepPace(start_ns=100, period_ns=100, work=0, work_limit_ns=0, buckets=1)

    assert ready_at(steps, pace, 0) == 100
    assert ready_at(steps, pace, 1) == 230
    assert ready_at(steps, replace(pace, period_ns=0), 1) == 230
    assert ready_at(steps, replace(pace, period_ns=150), 1) == 250


@pytest.mark.parametrize(
    ("wish", "says"),
    [
        (BurstWish(period_ns=10), "--period"),
        (BurstWish(compute_ratio=1.0), "--duty"),
        (BurstWish(compute_ratio=-0.1), "--duty"),
        (BurstWish(length_ns=NS_PER_MS), "--soak"),
        (BurstWish(size_bytes=3), "--size"),
        (BurstWish(size_bytes=1 << 40), "--size"),
        (BurstWish(buckets=0), "--buckets"),
        (BurstWish(size_bytes=8, buckets=3), "--buckets"),
        (BurstWish(compute_ratio=float("nan")), "--duty"),
    ],
)
def test_bursts_that_cannot_be_are_refused_by_the_name_of_the_option(wish, says):
    with pytest.raises(PlanError, match=says):
        burst_stage(wish, length_ns=10 * NS_PER_S)


def test_a_soak_takes_the_place_of_the_bursts_of_a_profile_and_comes_last():
    plan = with_soak(plan_for("nightly"), BurstWish(length_ns=1200 * NS_PER_S))

    assert [stage.id for stage in plan.stages].count("bursts") == 1
    assert rounds_in(plan.stages[-1].bursts) == 1200
    assert with_soak(plan, NO_BURSTS) is plan


def test_options_of_bursts_without_a_length_are_refused_by_check():
    with pytest.raises(PlanError, match="how long"):
        with_soak(plan_for("quick"), BurstWish(period_ns=NS_PER_S))


CALLS = []


@CFUNCTYPE(c_int, c_void_p, c_void_p, c_int, c_int64, c_int64, c_int64)
def _allreduce(send, receive, count, _datatype, _op, _comm):
    CALLS.append((send, receive, count))
    return 0


def bind_fake_mpi():
    names = (
        "Send", "Recv", "Isend", "Irecv", "Waitall", "Testall", "Barrier", "Allreduce", "Allgather",
        "Reduce_scatter_block", "Alltoall", "Bcast", "Reduce",
    )  # fmt: skip
    address = ctypes.cast(_allreduce, c_void_p).value
    _native.mpi_bind(dict.fromkeys(names, address), request_bytes=8, status_ignore=0, statuses_ignore=0)


def test_each_step_reduces_all_elements_in_buckets_and_stamps_its_parts_in_order():
    bind_fake_mpi()
    CALLS.clear()
    rows = np.full((3, 5), -1, dtype=np.int64)

    _native.bursts(0x1000, 0x9000, 10, 3, 4, 7, 8, 9, 0, 0, 1000, NS_PER_S, False, rows)

    assert CALLS == [(0x1000, 0x9000, 3), (0x100C, 0x900C, 3), (0x1018, 0x9018, 4)] * 3
    assert (np.diff(rows[:, :3].ravel()) >= 0).all()
    assert (rows[:, 3] >= 0).all()


def test_steps_in_phase_never_begin_before_they_are_due():
    import time

    bind_fake_mpi()
    rows = np.full((3, 5), -1, dtype=np.int64)
    start_ns = time.monotonic_ns() + NS_PER_MS

    _native.bursts(0x1000, 0x9000, 10, 1, 4, 7, 8, 9, start_ns, 2 * NS_PER_MS, 0, NS_PER_S, False, rows)

    assert (rows[:, 0] >= start_ns + np.arange(3) * 2 * NS_PER_MS).all()


def test_a_computation_ends_at_its_limit():
    assert _native.compute(10**15, NS_PER_MS) < 60 * NS_PER_S


def test_more_buckets_than_elements_are_refused():
    bind_fake_mpi()
    with pytest.raises(ValueError, match="do not make 11 buckets"):
        _native.bursts(0x1000, 0x9000, 10, 11, 4, 7, 8, 9, 0, 0, 0, 0, False, np.zeros((1, 5), dtype=np.int64))


def test_what_is_computed_first_is_computed_when_the_all_reduce_is_entered():
    bind_fake_mpi()
    rows = np.full((3, 5), -1, dtype=np.int64)

    _native.bursts(0x1000, 0x9000, 10, 1, 4, 7, 8, 9, 0, 0, 1000, NS_PER_S, False, rows)

    assert (rows[:, 4] == rows[:, 1]).all()


def test_a_computation_beside_the_all_reduce_is_done_in_every_step_and_none_begins_before():
    bind_fake_mpi()
    CALLS.clear()
    rows = np.full((5, 5), -1, dtype=np.int64)
    quickest_ns = min(_native.compute(1 << 20, NS_PER_S) for _ in range(5))

    _native.bursts(0x1000, 0x9000, 10, 1, 4, 7, 8, 9, 0, 0, 1 << 20, NS_PER_S, True, rows)

    began, entered, left, _, computed = rows.T
    assert len(CALLS) == 5
    assert (computed - began > quickest_ns / 2).all()
    assert (entered < computed).all()
    assert (left < computed).all()  # these all-reduces take no time
    assert (began[1:] >= computed[:-1]).all()


def test_a_step_ends_when_both_its_parts_have():
    steps = BurstSteps(
        began=np.array([0, 0]), entered=np.array([0, 0]), left=np.array([30, 50]), computed=np.array([40, 20]),
        off_cpu_ns=np.zeros(2, dtype=np.int64),
    )  # fmt: skip

    assert steps.ended.tolist() == [40, 50]
