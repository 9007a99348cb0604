"""Bursts on MPI ranks: exact sums, stamps in the order of events, and a second that all ranks agree on."""

import time

import numpy as np

from netprobe.buffers.host import HostBuffer
from netprobe.contracts import Collective, StepPace
from netprobe.model.collective import SHAPES
from netprobe.model.plan import Plan
from netprobe.model.record import RoundFinished, StageFinished
from netprobe.model.series import Metric
from netprobe.plan.bursts import BurstWish, burst_stage
from netprobe.plan.task import Task
from netprobe.session.worker import Session
from netprobe.units import NS_PER_MS, NS_PER_S

COUNT = 1003


def sum_of(transport):
    send, receive = (HostBuffer(COUNT * 4 + 8) for _ in range(2))
    send.fill_contribution(
        dtype="float32", op="sum", seed=5, rank=transport.rank, iteration=0, ranks=transport.size, count=COUNT
    )
    receive.poison()
    call = Collective(
        shape=SHAPES["allreduce"], send_address=send.address, receive_address=receive.address, send_count=COUNT,
        receive_count=COUNT, dtype="float32", op="sum", root=0, in_place=False,
    )  # fmt: skip
    return call, receive, send


def test_steps_in_buckets_reduce_everything_and_stamp_it_in_order(transport, together):
    call, receive, _send = sum_of(transport)
    pace = StepPace(start_ns=time.monotonic_ns(), period_ns=NS_PER_MS, work=1000, work_limit_ns=NS_PER_S, buckets=7)

    steps = transport.bursts(call, pace, steps=5)

    found = receive.verify_reduction(dtype="float32", op="sum", seed=5, iteration=0, ranks=transport.size, count=COUNT)
    together(found is None, "the sum is wrong")
    in_order = np.stack([steps.began, steps.entered, steps.left], axis=1).ravel()
    together(bool((np.diff(in_order) >= 0).all()), f"stamps out of order: {in_order}")
    due = pace.start_ns + np.arange(5) * NS_PER_MS
    together(bool((steps.began >= due).all()), "a step began before it was due")


def test_steps_that_compute_beside_their_all_reduces_reduce_everything_and_end_with_both(transport, together):
    call, receive, _send = sum_of(transport)
    pace = StepPace(
        start_ns=time.monotonic_ns(), period_ns=0, work=1 << 20, work_limit_ns=NS_PER_S, buckets=3, overlaps=True
    )

    steps = transport.bursts(call, pace, steps=4)

    found = receive.verify_reduction(dtype="float32", op="sum", seed=5, iteration=0, ranks=transport.size, count=COUNT)
    together(found is None, "the sum is wrong")
    together(bool((steps.ended >= steps.computed).all() and (steps.ended >= steps.left).all()), "a step ended early")
    together(bool((steps.began[1:] >= steps.ended[:-1]).all()), "a step began before the one before had ended")


class Records:
    def __init__(self):
        self.told = []

    def emit(self, record):
        self.told.append(record)


def test_a_soak_on_ranks_tells_a_bin_for_each_round_and_series_of_all_ranks(transport, control, together):
    records = Records() if transport.rank == 0 else None
    wish = BurstWish(period_ns=20 * NS_PER_MS, compute_ratio=0.1, size_bytes=65536, length_ns=2 * NS_PER_S)
    plan = Plan(profile="test", seed=1, stages=(burst_stage(wish, length_ns=NS_PER_S),))

    session = Session(transport=transport, control=control, sink=records, calibration=None, environment=())
    session.run(Task(plan=plan))

    if records is None or transport.size == 1:
        together(True, "")
        return
    rounds = [each for each in records.told if isinstance(each, RoundFinished)]
    (finished,) = [each.outcome for each in records.told if isinstance(each, StageFinished)]
    arrivals = {each.src for one in rounds for each in one.series if each.metric is Metric.ARRIVAL}
    is_whole = (
        1 <= finished.rounds == len(rounds) <= 2
        and all(len(each.steps) == 1 and each.steps[0].steps > 0 for each in rounds)
        and arrivals == set(range(transport.size))
    )
    together(is_whole, f"{finished.rounds} rounds, {len(rounds)} told, lateness of {sorted(arrivals)}")
