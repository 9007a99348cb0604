"""Spikes in time: moments that most pairs share, and those that chance makes."""

import numpy as np
import pytest

from netprobe.locate.placement import placement_of
from netprobe.locate.spikes import beat_of, poisson_tail, shared_moments
from netprobe.locate.timers import RNR_NS, ack_timeout_ns, rnr_step_of, timer_of
from netprobe.model.endpoint import Rank
from netprobe.model.evidence import NO_SPIKES, SpikeTable
from netprobe.model.limits import Limits
from netprobe.model.plan import Path
from netprobe.model.rdma import RdmaOptions

SPAN_NS = 1e8
ROUNDS = 18


def hosts(count):
    return placement_of(tuple(Rank(rank=i, host=f"n{i}", local_index=0, cpus=(0,), pid=1) for i in range(count)))


def spikes(count, *, rate=1.0, shared=(), only=None, beat_ns=None, seed=0):
    """Return rounds of disjoint pairs; at ``shared`` all spike, at a beat those with an end at ``only``."""
    random = np.random.default_rng(seed)
    ends, starts, at_ns, series = [], [], [], []
    for turn in range(ROUNDS):
        start = turn * 1.3 * SPAN_NS
        for a, b in random.permutation(count).reshape(-1, 2).tolist():
            told = [*(start + random.uniform(0, SPAN_NS, random.poisson(rate)))]
            told += [each + random.uniform(0, 5e4) for each in shared if start <= each < start + SPAN_NS]
            if beat_ns is not None and only in (a, b):
                told += [*(start + np.arange(random.uniform(0, beat_ns), SPAN_NS, beat_ns))]
            kept = random.permutation(told)[:8] if len(told) > 8 else told
            at_ns += [min(each, start + SPAN_NS) for each in kept]
            series += [len(ends)] * len(kept)
            ends.append((a, b))
            starts.append(start)
    return SpikeTable(
        src=np.array([a for a, _ in ends]), dst=np.array([b for _, b in ends]), started_ns=np.array(starts),
        ended_ns=np.array(starts) + SPAN_NS, p50_ns=np.full(len(ends), 4000.0),
        series=np.array(series, dtype=np.int64), at_ns=np.array(at_ns), elapsed_ns=np.full(len(at_ns), 80_000.0),
    )  # fmt: skip


MOMENTS = tuple(turn * 1.3 * SPAN_NS + 0.37 * SPAN_NS + turn * 1e5 for turn in range(0, ROUNDS, 3))


@pytest.mark.parametrize("count", [8, 32])
def test_moments_that_all_pairs_share_are_told_with_how_many_they_are(count):
    found = shared_moments(spikes(count, shared=MOMENTS), hosts(count), Limits())

    assert found is not None
    assert found.count == pytest.approx(len(MOMENTS), abs=1)
    assert (found.spiking, found.measured) == (count // 2, count // 2)


def test_one_moment_of_many_pairs_is_enough_and_one_of_four_is_not():
    assert shared_moments(spikes(32, rate=0.2, shared=MOMENTS[:1]), hosts(32), Limits()) is not None
    assert shared_moments(spikes(8, rate=0.2, shared=MOMENTS[:1]), hosts(8), Limits()) is None


@pytest.mark.parametrize("rate", [0.3, 2.0, 7.0])
@pytest.mark.parametrize("count", [4, 8, 24])
def test_spikes_that_come_at_random_share_no_moments(count, rate):
    for seed in range(6):
        assert shared_moments(spikes(count, rate=rate, seed=seed), hosts(count), Limits()) is None


def test_spikes_within_the_limits_of_a_tail_are_none():
    told = spikes(32, shared=MOMENTS)

    assert shared_moments(told, hosts(32), Limits(jitter_floor_ns=90_000.0)) is None


def test_a_beat_is_that_of_the_host_that_has_it():
    told = spikes(8, only=3, beat_ns=4e6)
    own = ((told.src == 3) | (told.dst == 3))[told.series]

    found = beat_of(told, own, Limits())

    assert found is not None
    assert found.period_ns == pytest.approx(4e6, rel=0.01)
    assert beat_of(told, ~own, Limits()) is None


def test_a_run_that_told_no_times_has_no_moments():
    assert shared_moments(NO_SPIKES, hosts(4), Limits()) is None
    assert beat_of(NO_SPIKES, np.zeros(0, dtype=bool), Limits()) is None


@pytest.mark.parametrize(
    ("least", "mean", "chance"), [(0, 3.0, 1.0), (1, 0.0, 0.0), (1, 1.0, 0.6321), (5, 0.5, 1.7e-4)]
)
def test_tails_of_a_poisson_count(least, mean, chance):
    assert poisson_tail(least, mean) == pytest.approx(chance, rel=0.02)


def test_timers_of_queue_pairs_that_netprobe_made_are_those_it_asked_for():
    made = RdmaOptions(ack_timeout=16)

    assert ack_timeout_ns(14) == pytest.approx(67.1e6, rel=1e-3)
    assert timer_of(1.05 * ack_timeout_ns(16), Path.VERBS, made) == "RoCE acknowledgement timeout 16"
    assert timer_of(1.05 * ack_timeout_ns(17), Path.VERBS, made) == "RoCE acknowledgement timeout 16, doubled"
    assert timer_of(1.05 * ack_timeout_ns(14), Path.VERBS, made) is None
    assert timer_of(1.05 * ack_timeout_ns(14), Path.VERBS) == "RoCE acknowledgement timeout 14"


def test_timeouts_as_short_as_much_else_tell_nothing_and_endless_ones_neither():
    assert timer_of(1.05 * ack_timeout_ns(8), Path.VERBS, RdmaOptions(ack_timeout=8)) is None
    assert timer_of(1e9, Path.VERBS, RdmaOptions(ack_timeout=0)) is None


@pytest.mark.parametrize(("stall_ms", "name"), [(0.63, None), (0.65, "RNR timer 12"), (0.75, None)])
def test_a_receiver_that_is_not_ready_stalls_for_its_own_timer(stall_ms, name):
    assert RNR_NS[12] == 640_000
    assert rnr_step_of(stall_ms * 1e6, RdmaOptions()) == name
