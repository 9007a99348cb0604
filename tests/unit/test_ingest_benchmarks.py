"""Tables of other benchmarks, as they are printed, in netprobe's units."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ingest_samples import read, row_of, text_of

from netprobe.cli.app import main
from netprobe.errors import FormatError
from netprobe.ingest.recognise import read_text
from netprobe.model.verdict import ExitCode

KIB, MIB, GIB = 1 << 10, 1 << 20, 1 << 30

NCCL_WITH_ROOT = """\
#    size    count    type   redop    root     time   algbw   busbw  #wrong     time   algbw   busbw  #wrong
#     (B)  (elements)                          (us)  (GB/s)  (GB/s)             (us)  (GB/s)  (GB/s)
     1048576        262144     float     sum      -1    74.78   14.02   24.54       0    76.17   13.77   24.09       3
     2097152        524288     float     sum      -1  1.0e+08    0.00    0.00     N/A    1e+08    0.00    0.00     N/A
# Out of bounds values : 3 FAILED
# Collective test concluded: all_reduce_perf
"""
NCCL_TIMED = """# out-of-place in-place
#  size count type redop root cputime algbw busbw #wrong i_min i_max i_p99 i_cv% cputime algbw busbw \
#wrong i_min i_max i_p99 i_cv% timestamp
 1024 256 float sum -1 10.0 0.10 0.18 0 9.0 20.0 19.0 3.1 11.0 0.09 0.16 0 9.5 21.0 20.0 3.2 2026-11-24 01:02:03
"""
LATENCY = """                    RDMA_Write Latency Test
 Dual-port       : OFF		Device         : mlx5_0
 local address: LID 0000 QPN 0x092f PSN 0x3ff1bc
 GID: 00:00:00:00:00:00:00:00:00:00:255:255:10:00:00:01
 remote address: LID 0000 QPN 0x092e PSN 0x3eb82d
 GID: 00:00:00:00:00:00:00:00:00:00:255:255:10:00:00:02
 #bytes #iterations    t_min[usec]    t_max[usec]  t_typical[usec]    t_avg[usec]    t_stdev[usec]   99% percentile[usec]   99.9% percentile[usec]
 2       1000          1.91           8.05         1.95               1.97           0.15            2.31                   8.05
"""  # noqa: E501
BANDWIDTH_GBPS = """                    RDMA_Write Bidirectional BW Test
 #bytes     #iterations    BW peak[Gb/sec]    BW average[Gb/sec]   MsgRate[Mpps]
 65536      5000             0.00               783.94             1.495247
"""
OSU_BW = """# OSU MPI-CUDA Bandwidth Test v7.4
# Datatype: MPI_CHAR.
# Size      Bandwidth (MB/s)
1                       2.50
4194304             24600.12
"""
OSU_FULL = """# OSU MPI Allreduce Latency Test v7.4
# Datatype: MPI_FLOAT.
# Size       Avg Latency(us)   Min Latency(us)   Max Latency(us)  Iterations  P50 Tail Lat(us)  P99 Tail Lat(us)
4                       3.62              3.05              4.19        1000              3.50              9.75
"""
OSU_PYTHON = """# OMB Python MPI Latency Test
# Size (B)          Latency (us)
8                           1.29
"""
IMB = """#---------------------------------------------------
# Benchmarking PingPong
# #processes = 2
# ( 30 additional processes waiting in MPI_Barrier)
#---------------------------------------------------
       #bytes #repetitions      t[usec]   Mbytes/sec
            0         1000         1.53         0.00
      4194304           10       170.10     24657.91

#----------------------------------------------------------------
# Benchmarking Allreduce
# #processes = 32
#----------------------------------------------------------------
       #bytes #repetitions  t_min[usec]  t_max[usec]  t_avg[usec]      defects
            4         1000         9.10        10.20         9.80         0.00
"""


def only(text):
    [benchmark] = read_text(text, "log").benchmarks
    return benchmark


HEADING = "#  size  count  type  redop  root  time  algbw  busbw  #wrong\n"


def sweep(*sizes, kind="float"):
    return [f"{size} {size // 4} {kind} sum -1 10.0 0.10 0.18 0\n" for size in sizes]


@pytest.mark.parametrize(
    "rows",
    [
        sweep(8, 16, 32, 64),
        sweep(8, 16, 32, 8, 16, 32, 8),
        sweep(8, 8, 8),
        sweep(0, 0, 32, 64, 64),
        sweep(8, 16, kind="half") + sweep(4, 8, 16),
    ],
    ids=["one sweep", "cycles", "cycles of one size", "rounded sizes", "types"],
)
def test_rows_that_one_table_has_in_this_order_are_one_table(rows):
    (table,) = read_text(HEADING + "".join(rows), "f").benchmarks

    assert len(table.rows) == len(rows)


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        (HEADING + "".join(sweep(8, 16, 8, 32, 16, 64)), 6),
        (HEADING + "".join(sweep(32, 8, 64, 16)), 4),
        (HEADING * 2 + "".join(sweep(8, 8, 16, 16)), 4),
        (HEADING + "".join(sweep(8)) + HEADING + "".join(sweep(8, 16, 16, 32, 32)), 5),
        (HEADING + "".join(sweep(8, 8, 16, 16, 32, 32)), 6),
    ],
    ids=[
        "one job ahead",
        "the first is further",
        "in step, behind both headings",
        "in step, the first began earlier",
        "in step, behind one heading",
    ],
)
def test_rows_of_two_jobs_in_one_file_are_told_and_not_judged(text, lines):
    found = read_text(text, "f")

    assert sum(len(each.rows) for each in found.benchmarks) == text.count(" sum ") - lines
    assert [(each.lines, "jobs wrote into one file at once" in each.what) for each in found.unjudged] == [(lines, True)]


@pytest.mark.parametrize("headings", [1, 2])
def test_rows_of_two_jobs_that_differ_in_type_are_told_apart_and_whose_the_heading_is_is_not_known(headings):
    pairs = zip(sweep(8, 16, 32), sweep(8, 16, 32, kind="half"), strict=True)
    ranks = "#  Rank  0 Group  0 Pid   1 on n1 device  0 [00] H100\n"

    found = read_text(ranks + HEADING * headings + "".join(row for pair in pairs for row in pair), "f")

    assert [[row.size_bytes for row in each.rows] for each in found.benchmarks] == [[8, 16, 32]] * 2
    assert [each.source for each in found.benchmarks] == [f"f line {headings + 2}", f"f line {headings + 3}"]
    assert {(each.hosts, each.ranks, each.operation) for each in found.benchmarks} == {(None, None, None)}
    assert found.unjudged == ()


def test_types_that_come_round_again_in_cycles_are_one_table():
    rows = (sweep(8, 16) + sweep(8, 16, kind="half")) * 2

    assert [len(each.rows) for each in read_text(HEADING + "".join(rows), "f").benchmarks] == [8]


def test_that_rows_are_mixed_is_told_with_how_to_avoid_it(tmp_path, capsys):
    (tmp_path / "f").write_text(HEADING + "".join(sweep(8, 8, 16, 16, 32, 32)))

    code = main(["ingest", str(tmp_path / "f")])

    out = " ".join(capsys.readouterr().out.split())
    assert code == ExitCode.INCONCLUSIVE
    assert "6 rows of several tables of nccl-tests" in out
    assert "a file for each job (srun -o job-%j.txt" in out


def test_wrong_elements_are_wrong_whichever_job_had_them():
    rows = [*sweep(8, 16, 8), "32 8 float sum -1 10.0 0.10 0.18 7\n", *sweep(16)]

    (table,) = read_text(HEADING + "".join(rows), "f").benchmarks

    assert [(row.size_bytes, row.wrong, row.time_ns) for row in table.rows] == [(32, 7, None)]


def test_behind_a_table_that_ended_sizes_that_repeat_were_rounded_alike():
    end = "# Avg bus bandwidth    : 0.18\n"
    text = HEADING + "".join(sweep(8, 16)) + end + HEADING + "".join(sweep(32, 64, 64))

    assert [len(each.rows) for each in read_text(text, "f").benchmarks] == [2, 3]


def test_a_table_that_was_begun_again_is_one_table():
    (table,) = read_text(HEADING * 2 + "".join(sweep(8, 16)), "f").benchmarks

    assert len(table.rows) == 2


def test_a_table_of_nccl_tests_is_read_around_its_log_lines_and_rows_of_size_0():
    [benchmark] = read("nccl-allreduce.txt").benchmarks

    largest = row_of(benchmark, 8 * GIB)
    assert len(benchmark.rows) == 2 * 34
    assert (benchmark.ranks, benchmark.hosts) == (8, ("localhost",))
    assert largest.time_ns == 63_896_000
    assert largest.algbw_gbps == pytest.approx(134.44 * 8)
    assert largest.busbw_gbps == pytest.approx(235.26 * 8)
    assert largest.wrong is None
    assert row_of(benchmark, 2 * MIB).time_ns == pytest.approx(93_480)
    assert row_of(benchmark, 2 * GIB, in_place=True).time_ns == pytest.approx(16_203_000)


def test_the_factor_between_its_two_bandwidths_tells_allreduce():
    assert read("nccl-allreduce.txt").benchmarks[0].operation == "all_reduce_perf"
    assert read("nccl-alltoall.txt").benchmarks[0].operation is None


def test_a_table_without_reduction_has_no_value_in_that_column():
    [benchmark] = read("nccl-alltoall.txt").benchmarks

    assert len(benchmark.rows) == 2 * 34
    assert row_of(benchmark, 8 * GIB, in_place=True).busbw_gbps == pytest.approx(226.16 * 8)


def test_newer_tables_have_a_root_and_count_wrong_elements():
    benchmark = only(NCCL_WITH_ROOT)

    assert benchmark.operation == "all_reduce_perf"
    assert benchmark.out_of_bounds == 3
    assert [row.wrong for row in benchmark.rows] == [0, 3, None, None]
    assert benchmark.rows[2].time_ns == pytest.approx(1e8 * 1000)


def test_an_error_column_is_a_difference_and_not_a_count_of_wrong_elements():
    text = NCCL_WITH_ROOT.replace("#wrong", " error").replace("     3\n", " 1e-06\n")

    assert all(row.wrong is None for row in only(text).rows)


def test_columns_are_found_by_their_names():
    out_of_place, in_place = only(NCCL_TIMED).rows

    assert (out_of_place.time_ns, out_of_place.p99_ns, out_of_place.wrong) == (10_000, 19_000, 0)
    assert (in_place.time_ns, in_place.max_ns, in_place.in_place) == (11_000, 21_000, True)


def test_a_table_that_breaks_off_has_the_rows_before():
    text = NCCL_WITH_ROOT[: NCCL_WITH_ROOT.index("2097152") + 40]

    read = read_text(text, "log")
    assert len(read.benchmarks[0].rows) == 2
    assert (read.unread, read.first_unread) == (1, 4)


@pytest.mark.parametrize("prefix", ["[1,0]<stdout>:", "[1,0]<stdout>: ", "0: ", "node3: "])
def test_what_a_launcher_puts_before_every_line_is_no_part_of_it(prefix):
    text = "".join(f"{prefix}{line}\r\n" for line in NCCL_WITH_ROOT.splitlines())

    assert [row.wrong for row in only(text).rows] == [0, 3, None, None]


def test_colours_are_no_part_of_a_line():
    assert len(only(NCCL_WITH_ROOT.replace("float", "\x1b[1;31mfloat\x1b[0m")).rows) == 4


def test_what_nccl_tests_writes_as_json_is_read_without_its_environment():
    half = {"time": 100.0, "alg_bw": 10.0, "bus_bw": 17.5, "nwrong": "0"}
    text = json.dumps(
        {
            "version": 3,
            "args": ["/opt/all_reduce_perf", "-J", "x"],
            "env": {"SECRET": "hunter2"},
            "nccl_version": "2.27.7",
            "config": {"devices": [{"rank": 0, "hostname": "n1"}, {"rank": 1, "hostname": "n2"}]},
            "results": [{"size": 1024, "out_of_place": half, "in_place": {**half, "alg_bw": "nan"}}],
            "out_of_bounds": {"count": 0, "okay": "true"},
        },
        indent=1,
    )

    benchmark = only(text)
    assert (benchmark.operation, benchmark.hosts, benchmark.ranks) == ("all_reduce_perf", ("n1", "n2"), 2)
    assert benchmark.rows[0].busbw_gbps == 140
    assert benchmark.rows[0].wrong == 0
    assert benchmark.rows[1].algbw_gbps is None
    assert "hunter2" not in repr(read_text(text, "log"))


def test_rows_of_rccl_tests_are_one_table():
    row = {"name": "AllReduce", "ranks": 16, "size": 8, "time": 20.0, "algBw": 0.5, "busBw": 0.75, "inPlace": 0}
    text = "\n".join(json.dumps({**row, "size": size, "#wrong": 0}) for size in (8, 16, 32))

    benchmark = only(text)
    assert (benchmark.tool, benchmark.operation, benchmark.ranks) == ("rccl-tests", "AllReduce", 16)
    assert [row.size_bytes for row in benchmark.rows] == [8, 16, 32]


def test_two_reports_of_perftest_that_are_mixed_are_told_apart():
    sweep, summary = read("perftest-sweep.txt").benchmarks

    assert len(sweep.rows) == 23
    assert [row.size_bytes for row in summary.rows] == [8 * MIB]
    assert row_of(sweep, 8 * KIB).algbw_gbps == pytest.approx(12782.56 * MIB * 8 / 1e9)
    assert row_of(sweep, 8 * KIB).peak_gbps == pytest.approx(18620.51 * MIB * 8 / 1e9)
    assert row_of(sweep, 2).messages_per_s == pytest.approx(2_778_732)
    assert sweep.is_loopback
    assert sweep.is_one_way


def test_megabytes_of_perftest_are_binary():
    client, server = read("perftest-8M.txt").benchmarks

    assert client.rows[0].algbw_gbps == pytest.approx(201.8, abs=0.01)
    assert server.rows == client.rows
    for unit in ("MB/sec", "MiB/sec"):
        text = text_of("perftest-8M.txt").replace("MB/sec", unit)
        assert read_text(text, "log").benchmarks[0].rows == client.rows


def test_latencies_of_perftest_are_read_with_their_percentiles():
    benchmark = only(LATENCY)

    [row] = benchmark.rows
    assert (row.time_ns, row.p50_ns, row.p99_ns, row.p999_ns) == pytest.approx((1970, 1950, 2310, 8050))
    assert (row.min_ns, row.max_ns) == pytest.approx((1910, 8050))
    assert row.algbw_gbps is None
    assert not benchmark.is_loopback


def test_a_peak_of_0_was_not_looked_for():
    benchmark = only(BANDWIDTH_GBPS)

    assert benchmark.is_two_way
    assert not benchmark.is_one_way
    assert benchmark.rows[0].algbw_gbps == pytest.approx(783.94)
    assert benchmark.rows[0].peak_gbps is None


@pytest.mark.parametrize(("average", "gbps"), [(391.8, 391.8), (46706.2, 391.8)])
def test_json_of_perftest_does_not_tell_its_unit_but_its_messages_do(average, gbps):
    results = {"MsgSize": 65536, "n_iterations": 5000, "BW_peak": 0, "BW_average": average, "MsgRate": 0.747299}
    text = json.dumps({"test_info": {"test": "RDMA_Write BW Test"}, "results": results})

    assert only(text).rows[0].algbw_gbps == pytest.approx(gbps, rel=1e-3)
    assert only(text).is_one_way


def test_bandwidth_of_osu_is_in_decimal_megabytes():
    benchmark = only(OSU_BW)

    assert (benchmark.operation, benchmark.is_one_way) == ("Bandwidth", True)
    assert benchmark.rows[-1].algbw_gbps == pytest.approx(24600.12 * 8e-3)


def test_full_statistics_of_osu_are_read():
    [row] = only(OSU_FULL).rows

    assert (row.time_ns, row.min_ns, row.max_ns, row.p50_ns, row.p99_ns) == pytest.approx(
        (3620, 3050, 4190, 3500, 9750)
    )


def test_the_python_version_of_osu_is_read():
    assert only(OSU_PYTHON).rows[0].time_ns == pytest.approx(1290)


def test_blocks_of_imb_are_read_one_by_one():
    pingpong, allreduce = read_text(IMB, "log").benchmarks

    assert (pingpong.operation, pingpong.ranks, pingpong.is_one_way) == ("PingPong", 2, True)
    assert pingpong.rows[-1].algbw_gbps == pytest.approx(24657.91 * 8e-3)
    assert pingpong.rows[0].time_ns == pytest.approx(1530)
    assert (allreduce.ranks, allreduce.rows[0].max_ns, allreduce.rows[0].wrong) == (32, pytest.approx(10_200), 0)


def test_several_reports_in_one_file_are_all_read():
    text = "some log\n" + NCCL_WITH_ROOT + OSU_BW + LATENCY + IMB

    assert [each.tool for each in read_text(text, "log").benchmarks] == ["nccl-tests", "osu", "perftest", "imb", "imb"]


SAMPLES = (NCCL_WITH_ROOT, NCCL_TIMED, LATENCY, BANDWIDTH_GBPS, OSU_BW, OSU_FULL, OSU_PYTHON, IMB)


@given(st.sampled_from(SAMPLES), st.integers(0, 1500), st.text(max_size=12), st.integers(0, 1500))
def test_a_damaged_table_is_read_as_far_as_it_goes(sample, at, inserted, end):
    damaged = (sample[:at] + inserted + sample[at:])[: max(at, end)]

    try:
        read = read_text(damaged, "log")
    except FormatError as error:
        assert str(error).startswith("log ")
        assert len(str(error).splitlines()) == 1
    else:
        figures = [figure for each in read.benchmarks for row in each.rows for figure in (row.time_ns, row.algbw_gbps)]
        assert all(figure is None or abs(figure) < 1e40 for figure in figures)


@given(st.text())
def test_any_text_is_read_or_refused_in_one_line_with_the_name_of_the_file(text):
    try:
        read_text(text, "log")
    except FormatError as error:
        assert str(error).startswith("log ")
        assert len(str(error).splitlines()) == 1
