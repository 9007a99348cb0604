import pytest
from judge_samples import collective, run_of, series

from netprobe.judge.judge import judge
from netprobe.model.limits import Limits
from netprobe.model.series import Metric


def summary_of(rows, **options):
    return judge(run_of(rows, **options), Limits())


def test_a_latency_is_half_of_the_round_trip():
    traits = {"probe": "latency", "metric": Metric.ROUND_TRIP, "size_bytes": 8, "bytes_per_iteration": 16, "window": 1}

    (row,) = summary_of([series(0, 1, [200] * 100, **traits), series(2, 3, [240] * 100, **traits)]).pairs

    assert (row.typical_ns, row.p99_ns, row.max_ns) == (110.0, 110.0, 120.0)
    assert (row.worst_pair, row.worst_ns) == (("n2:2", "n3:3"), 120.0)
    assert row.typical_gbps is row.worst_gbps is row.typical_messages_per_s is None


def test_streaming_has_gigabits_and_messages():
    traits = {"size_bytes": 1_000_000, "bytes_per_iteration": 16_000_000}

    (row,) = summary_of([series(0, 1, [320_000] * 3, **traits), series(1, 0, [640_000] * 3, **traits)]).pairs

    assert row.typical_gbps == pytest.approx(8 * 16_000_000 / 480_000, rel=0.005)
    assert row.typical_messages_per_s == pytest.approx(16 / 480e-6, rel=0.005)
    assert row.worst_gbps == pytest.approx(200.0, rel=0.005)
    assert row.p99_ns is None


def test_a_single_pair_has_no_worst():
    (row,) = summary_of([series(0, 1, [320_000])]).pairs

    assert row.worst_pair is row.worst_ns is row.worst_gbps is None


def test_a_p99_that_most_pairs_lack_is_not_given():
    rows = [series(0, 1, [100] * 100), series(1, 0, [9000] * 5), series(2, 3, [9000] * 5)]

    assert summary_of(rows).pairs[0].p99_ns is None


@pytest.mark.parametrize(
    ("probe", "dtype", "size_bytes", "count"),
    [("allreduce", "float32", 4096, 1024), ("allgather", "uint8", 4096, 1024)],
)
def test_a_collective_reads_as_in_nccl_tests(probe, dtype, size_bytes, count):
    row = collective(Metric.OPERATION, 0, [2048], probe=probe, dtype=dtype, size_bytes=size_bytes)

    (group,) = summary_of([row], stages=("allreduce",)).groups

    assert group.count == count
    assert group.algbw_gigabytes_per_s == pytest.approx(2.0)
    assert group.busbw_gigabytes_per_s == pytest.approx(3.0 if probe == "allreduce" else 1.5)


def test_a_barrier_has_a_time_and_no_bandwidth():
    (group,) = summary_of([collective(Metric.OPERATION, 0, [900], probe="barrier", size_bytes=0)]).groups

    assert group.time_ns == 900.0
    assert group.algbw_gigabytes_per_s is group.busbw_gigabytes_per_s is None
