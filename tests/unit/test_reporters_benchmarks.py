"""Figures in the layouts of OSU and perftest, read back by netprobe's own readers of those tools."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sample_reports import (
    GPU,
    SAMPLES,
    SEND,
    WRITE,
    collective,
    healthy_laptop,
    latency,
    nodes,
    over_rdma,
    report,
    streaming,
)

from netprobe.contracts import RenderOptions
from netprobe.errors import FormatError
from netprobe.ingest.recognise import read_text
from netprobe.model.plan import Path, Scope
from netprobe.model.rdma import Operation
from netprobe.registry import reporters
from netprobe.reporters.osu import COLLECTIVE_TITLES
from netprobe.sim.screening import Screening, screening_run

BETWEEN = Scope.BETWEEN_HOSTS
US = 1_000


def written(format, **rows):
    return reporters()[format].render(report(nodes(1, 2), **rows), RenderOptions())


def read(format, **rows):
    """Return the benchmarks in what a reporter makes of rows; every line has to be understood."""
    found = read_text(written(format, **rows), "ours")
    assert found.unread == 0
    assert {each.tool for each in found.benchmarks} == {format}
    return found.benchmarks


@pytest.mark.parametrize("format", ["osu", "perftest"])
@pytest.mark.parametrize("sample", SAMPLES)
def test_every_line_of_the_samples_is_understood(sample, format):
    text = reporters()[format].render(SAMPLES[sample](), RenderOptions())

    if text.startswith("# netprobe run") and text.count("\n") == 1:
        with pytest.raises(FormatError):
            read_text(text, "ours")
    else:
        assert read_text(text, "ours").unread == 0


def test_what_goes_over_mpi_is_in_osus_layout_and_what_goes_over_rdma_in_perftests():
    pairs = (latency(BETWEEN, 8, 1.5, 2.0, 9.0), over_rdma(latency(BETWEEN, 8, 1.0, 1.2, 5.0), SEND))

    [[mpi], [rdma]] = (read("osu", pairs=pairs)[0].rows, read("perftest", pairs=pairs)[0].rows)

    assert (mpi.p50_ns, rdma.p50_ns) == (1_500, 1_000)


@pytest.mark.parametrize("format", ["osu", "perftest"])
def test_a_run_that_measured_nothing_of_the_kind_says_so(format):
    text = written(format)

    assert text.startswith("# netprobe run ")
    assert "measured n" in text


def test_the_verb_and_the_direction_are_in_the_title():
    pairs = (
        over_rdma(streaming("bandwidth", BETWEEN, 8, 10), Operation.READ),
        over_rdma(streaming("bidirectional", BETWEEN, 8, 10), WRITE),
        over_rdma(latency(BETWEEN, 8, 1.0, 1.2, 5.0), SEND),
    )

    told = [(each.operation, each.is_one_way, each.is_two_way) for each in read("perftest", pairs=pairs)]

    assert told == [
        ("RDMA_Read BW", True, False),
        ("RDMA_Write Bidirectional BW", False, True),
        ("Send Latency", False, False),
    ]


def test_an_unknown_figure_has_no_column():
    unknown = replace(latency(BETWEEN, 8, 1.0, None, 5.0), mean_ns=None, min_ns=None)

    [[osu]] = (each.rows for each in read("osu", pairs=(unknown,)))
    [[perftest]] = (each.rows for each in read("perftest", pairs=(over_rdma(unknown, SEND),)))

    for row in (osu, perftest):
        assert (row.p50_ns, row.p99_ns, row.time_ns, row.min_ns) == (1_000, None, None, None)


def test_a_peak_that_nobody_looked_for_is_read_as_none():
    [benchmark] = read("perftest", pairs=(over_rdma(streaming("bandwidth", BETWEEN, 1 << 20, 700), WRITE),))

    assert benchmark.rows[0].peak_gbps is None


def test_collectives_are_counted_as_osu_counts_them():
    groups = tuple(collective(probe, 1 << 20, 100.0, 8) for probe in COLLECTIVE_TITLES)

    sizes = {each.operation: each.rows[0].size_bytes for each in read("osu", groups=groups)}

    assert sizes == {
        "Allreduce Latency": 1 << 20,
        "Allgather Latency": 1 << 17,
        "Reduce_scatter Latency": 1 << 20,
        "All-to-All Personalized Exchange Latency": 1 << 17,
        "Broadcast Latency": 1 << 20,
        "Reduce Latency": 1 << 20,
        "Barrier Latency": 0,
    }


def test_types_and_places_are_tables_of_their_own():
    groups = tuple(
        collective("allreduce", 1 << 20, 100.0, 8, dtype=dtype, in_place=in_place)
        for dtype in ("float32", "float64")
        for in_place in (False, True)
    )

    text = written("osu", groups=groups)

    assert len(read("osu", groups=groups)) == 4
    assert text.count("# Datatype: MPI_DOUBLE.") == 2
    assert text.count(", in place;") == 2


def test_memory_of_gpus_and_nccl_are_said():
    row = replace(latency(BETWEEN, 8, 1.0, 1.2, 5.0), send_memory=GPU[0], receive_memory=GPU[1])

    for path, title in ((Path.MPI, "# OSU MPI-CUDA Latency Test"), (Path.NCCL, "# OSU NCCL-CUDA Latency Test")):
        text = written("osu", pairs=(replace(row, path=path),))
        assert text.startswith(title)
        assert "# netprobe: memory device to device\n" in text


def test_a_simulated_run_is_read_back():
    from netprobe.judge.judge import judge
    from netprobe.model.limits import Limits

    of_report = judge(screening_run(Screening(hosts=6, seed=1)), Limits())

    found = read_text(reporters()["osu"].render(of_report, RenderOptions()), "ours")

    assert found.unread == 0
    told = [row.mean_ns for row in of_report.pairs if row.probe == "latency"]
    assert None not in told
    assert [row.time_ns for each in found.benchmarks if each.operation == "Latency" for row in each.rows] == [
        pytest.approx(each, abs=0.1) for each in told
    ]


TIMES_US = st.floats(0.05, 1e6)
SIZES = st.lists(st.integers(1, 1 << 33), unique=True, min_size=1, max_size=6)


@given(sizes=SIZES, times_us=st.lists(TIMES_US, min_size=6, max_size=6))
def test_latencies_come_back_from_both_layouts(sizes, times_us):
    rows = tuple(
        latency(BETWEEN, size, typical, typical * 2, typical * 3)
        for size, typical in zip(sizes, times_us, strict=False)
    )
    expected = {row.size_bytes: (row.typical_ns, row.p99_ns, row.mean_ns) for row in rows}

    for format, pairs in (("osu", rows), ("perftest", tuple(over_rdma(row, SEND) for row in rows))):
        [benchmark] = read(format, pairs=pairs)
        told = {row.size_bytes: (row.p50_ns, row.p99_ns, row.time_ns) for row in benchmark.rows}
        assert told == {size: pytest.approx(figures, abs=0.1) for size, figures in expected.items()}


@given(sizes=SIZES, times_us=st.lists(st.floats(1.0, 1e6), min_size=6, max_size=6), probe=st.sampled_from(
    ("bandwidth", "bidirectional")))  # fmt: skip
def test_rates_come_back_from_both_layouts(sizes, times_us, probe):
    rows = tuple(streaming(probe, BETWEEN, size, window) for size, window in zip(sizes, times_us, strict=False))
    expected = {row.size_bytes: pytest.approx(row.typical_gbps, rel=1e-4, abs=1e-6) for row in rows}

    for format, pairs in (("osu", rows), ("perftest", tuple(over_rdma(row, WRITE) for row in rows))):
        [benchmark] = read(format, pairs=pairs)
        assert {row.size_bytes: row.algbw_gbps for row in benchmark.rows} == expected


def test_the_laptops_barrier_has_its_percentiles():
    barrier = next(
        each for each in read_text(reporters()["osu"].render(healthy_laptop(), RenderOptions()), "ours").benchmarks
        if each.operation == "Barrier Latency"
    )  # fmt: skip

    [row] = barrier.rows
    assert (row.time_ns, row.p99_ns) == (pytest.approx(330), pytest.approx(429))
