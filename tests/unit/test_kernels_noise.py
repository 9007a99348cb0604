"""Quanta of fixed work and a beat of sleeps: how many, what they compute, and that both end when they should."""

import os
import time

import numpy as np
import pytest

from netprobe import _native

LONG_NS = 60_000_000_000
MULTIPLIER, INCREMENT = 6364136223846793005, 1442695040888963407


def spun(value, steps):
    """The twin: Knuth's MMIX generator, step by step."""
    for _ in range(steps):
        value = (value * MULTIPLIER + INCREMENT) % 2**64
    return value


@pytest.mark.parametrize(("steps", "quanta"), [(1, 1), (7, 5), (100, 3)])
def test_every_step_of_every_quantum_is_taken(steps, quanta):
    stamps = np.zeros(quanta + 1, dtype=np.int64)

    written, _, _, value = _native.quanta(steps, LONG_NS, stamps)

    assert written == quanta + 1
    assert value == spun(quanta + 1, steps * quanta)
    assert (np.diff(stamps) >= 0).all()


def test_quanta_end_with_their_budget_and_leave_the_rest_of_the_array_alone():
    stamps = np.full(50_000, -1, dtype=np.int64)

    written, *_ = _native.quanta(100_000, 2_000_000, stamps)

    assert 2 <= written < len(stamps)
    assert stamps[written - 1] - stamps[0] >= 2_000_000
    assert stamps[written - 2] - stamps[0] < 2_000_000
    assert (stamps[:written] > 0).all()
    assert (stamps[written:] == -1).all()


def test_a_rank_is_told_on_which_cpu_it_was():
    allowed = os.sched_getaffinity(0)
    own = min(allowed)
    os.sched_setaffinity(0, {own})
    try:
        _, first, last, _ = _native.quanta(10, LONG_NS, np.zeros(4, dtype=np.int64))
    finally:
        os.sched_setaffinity(0, allowed)

    assert (first, last) == (own, own)


def test_nobody_wakes_before_the_time_that_was_asked_for():
    late_ns = np.full(20, -1, dtype=np.int64)
    before = time.monotonic_ns()

    woken, *_ = _native.wakes(100_000, LONG_NS, late_ns)

    assert woken == 20
    assert (late_ns >= 0).all()
    assert time.monotonic_ns() - before >= 20 * 100_000


def test_sleeping_ends_with_its_budget():
    late_ns = np.full(10_000, -1, dtype=np.int64)

    woken, *_ = _native.wakes(500_000, 3_000_000, late_ns)

    assert 1 <= woken <= 6
    assert (late_ns[woken:] == -1).all()


@pytest.mark.parametrize("call", [_native.quanta, _native.wakes])
@pytest.mark.parametrize(
    ("length", "budget_ns", "stamps"),
    [
        (0, 1000, np.zeros(4, dtype=np.int64)),
        (-5, 1000, np.zeros(4, dtype=np.int64)),
        (2**40, 1000, np.zeros(4, dtype=np.int64)),
        (10, -1, np.zeros(4, dtype=np.int64)),
        (10, 2**62, np.zeros(4, dtype=np.int64)),
        (10, 1000, np.zeros(0, dtype=np.int64)),
        (10, 1000, np.zeros(4, dtype=np.float64)),
    ],
)
def test_what_cannot_be_is_refused(call, length, budget_ns, stamps):
    with pytest.raises(ValueError, match=r"quanta|wakes"):
        call(length, budget_ns, stamps)
