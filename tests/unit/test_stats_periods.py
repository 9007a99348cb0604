"""Beats of events: found with their period, and not where chance, bursts or the windows make them."""

import numpy as np
import pytest

from netprobe.stats.detours import DETOUR_FLOOR_NS, beats, detours_in
from netprobe.stats.periods import Window, period_of

SPAN_NS = 1e8


def windows(count, draw, *, apart_ns=1.3e8, most=8, seed=0):
    """Return series of 100 ms that come at a beat themselves, each with at most as many events as a series keeps."""
    random = np.random.default_rng(seed)
    made = []
    for number in range(count):
        start = number * apart_ns
        at_ns = np.sort(draw(random))
        at_ns = at_ns[(at_ns >= 0) & (at_ns < SPAN_NS)]
        kept = at_ns if len(at_ns) <= most else np.sort(random.choice(at_ns, most, replace=False))
        made.append(Window(at_ns=start + kept, start_ns=start, end_ns=start + SPAN_NS))
    return made


def beat(period_ns, jitter_ns=20_000.0, others=0):
    def draw(random):
        at_ns = np.arange(random.uniform(0, period_ns), SPAN_NS, period_ns)
        return np.concatenate([at_ns + random.normal(0, jitter_ns, len(at_ns)), random.uniform(0, SPAN_NS, others)])

    return draw


@pytest.mark.parametrize("period_ns", [1e6, 4e6, 1e7, 1.5e7])
@pytest.mark.parametrize("seed", range(3))
def test_a_beat_is_found_whatever_its_phase_in_each_window(period_ns, seed):
    found = period_of(windows(10, beat(period_ns), seed=seed))

    assert found is not None
    assert found.period_ns == pytest.approx(period_ns, rel=1e-3)
    assert found.chance < 1e-9


def test_a_beat_is_found_among_events_that_have_none():
    found = period_of(windows(12, beat(4e6, others=4)))

    assert found is not None
    assert found.period_ns == pytest.approx(4e6, rel=5e-3)
    assert found.chance < 1e-6


def bursts(random):
    starts = random.uniform(0, SPAN_NS, random.integers(1, 4))
    return np.concatenate([start + random.exponential(2e5, 4).cumsum() for start in starts])


NO_BEATS = {
    "anywhere": lambda random: random.uniform(0, SPAN_NS, 8),
    "few": lambda random: random.uniform(0, SPAN_NS, random.poisson(4)),
    "in bursts": bursts,
    "at the beginning": lambda random: SPAN_NS * random.beta(1, 6, 8),
    "never soon after another": lambda random: np.cumsum(1e6 + random.exponential(1e7, 40)),
}


@pytest.mark.parametrize("kind", NO_BEATS)
@pytest.mark.parametrize("count", [1, 6])
def test_events_without_a_beat_have_none_in_windows_that_have_one(kind, count):
    chances = [period_of(windows(count, NO_BEATS[kind], seed=seed)) for seed in range(5)]

    assert all(each is None or each.chance > 1e-4 for each in chances)


@pytest.mark.parametrize("events", [0, 1, 2])
def test_too_few_events_have_no_beat(events):
    assert period_of([Window(at_ns=np.arange(events) * 1e6, start_ns=0.0, end_ns=SPAN_NS)] * 3) is None


def test_a_window_of_no_length_says_nothing():
    assert period_of([Window(at_ns=np.zeros(8), start_ns=5.0, end_ns=5.0)]) is None


def test_detours_are_quanta_beyond_the_median_by_more_than_a_core_varies():
    elapsed_ns = np.full(1000, 5000)
    elapsed_ns[[3, 7, 9]] = 5000 + DETOUR_FLOOR_NS, 5001 + DETOUR_FLOOR_NS, 900_000

    assert detours_in(elapsed_ns).tolist() == [7, 9]
    assert detours_in(np.full(50, 5000)).tolist() == []
    assert detours_in(np.zeros(0, dtype=np.int64)).tolist() == []


def test_gaps_of_one_length_are_a_beat_and_those_of_chance_are_none():
    random = np.random.default_rng(0)
    even, uneven = 4e6 + random.normal(0, 1e4, 50), random.exponential(4e6, 50)
    quartiles = [np.array([np.quantile(gaps, share) for gaps in (even, uneven, even)]) for share in (0.25, 0.5, 0.75)]

    found = beats(*quartiles, np.array([50, 50, 15]))

    assert found[0] == pytest.approx(4e6, rel=0.01)
    assert np.isnan(found[1:]).all()
