"""Clocks of different ranks on one time line."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from netprobe.session.clock import REFERENCE, clock_from, to_reference, with_drift

DAYS_NS = 86_400 * 10**9


@given(
    st.integers(-200 * DAYS_NS, 200 * DAYS_NS),
    st.lists(st.tuples(st.integers(100, 50_000), st.integers(100, 50_000)), min_size=1, max_size=50),
)
def test_the_offset_is_right_to_within_the_stated_bound_whatever_the_asymmetry(offset_ns, trips):
    start = 300 * DAYS_NS
    pings = np.array([(start, start + there + offset_ns, start + there + back) for there, back in trips])

    clock = clock_from(pings)

    assert abs(clock.offset_ns - offset_ns) <= clock.error_bound_ns + 1
    assert clock.error_bound_ns == min(there + back for there, back in trips) / 2


def test_a_drift_of_20_ppm_is_found_from_two_exchanges_and_taken_out():
    drift, offset_ns = 20e-6, 5_000

    def pings_at(local):
        served = local + 50 + offset_ns + drift * local
        return np.array([(local, int(served), local + 100)])

    clock = with_drift(clock_from(pings_at(0)), clock_from(pings_at(10 * 10**9)))

    later = 60 * 10**9
    common = to_reference(np.array([later]), clock, epoch_ns=0)[0]
    assert abs(common - (later + offset_ns + drift * later)) < 100
    assert abs(clock.drift_ratio - drift) < 1e-8


def test_two_exchanges_close_together_claim_no_drift():
    early = clock_from(np.array([(0, 60, 100)]))
    late = clock_from(np.array([(1000, 1060, 1100)]))

    assert with_drift(early, late).drift_ratio == 0.0


def test_nanoseconds_survive_a_long_uptime():
    local = np.array([400 * DAYS_NS + 1, 400 * DAYS_NS + 2])

    common = to_reference(local, REFERENCE, epoch_ns=400 * DAYS_NS)

    assert common.tolist() == [1.0, 2.0]
