"""How many iterations are run again with nothing between them."""

from hypothesis import given
from hypothesis import strategies as st

from netprobe.probes._recording import MOST_PIPELINED, MOST_PIPELINED_BYTES, MOST_RUNS, pipelined_runs


def test_half_of_the_iterations_are_run_again():
    assert pipelined_runs(80, 8) == (1, 40)
    assert pipelined_runs(600, 8) == (2, MOST_PIPELINED)
    assert pipelined_runs(100_000, 8) == (MOST_RUNS, MOST_PIPELINED)


def test_few_iterations_are_run_again_all_the_same():
    assert pipelined_runs(4, 8) == (1, 4)


def test_one_iteration_is_no_pipeline():
    assert pipelined_runs(80, MOST_PIPELINED_BYTES) == (0, 0)
    assert pipelined_runs(80, MOST_PIPELINED_BYTES // 2) == (5, 2)


@given(timed=st.integers(1, 10**6), size_bytes=st.integers(0, 1 << 40))
def test_no_run_moves_more_than_a_watch_waits_for(timed, size_bytes):
    runs, length = pipelined_runs(timed, size_bytes)

    assert 0 <= runs <= MOST_RUNS
    assert length * size_bytes <= MOST_PIPELINED_BYTES
    assert (runs == 0) == (length == 0)
