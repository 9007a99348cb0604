"""What tools that parse nccl-tests read in ours; the parser here goes by the documented layout alone."""

import re
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sample_reports import SAMPLES, collective, corruption, inconclusive, report, slow_link

from netprobe.contracts import RenderOptions
from netprobe.model.collective import SHAPES
from netprobe.reporters.nccl_tests import REPORTER, shrunk

# A loaded machine is no failure.
UNHURRIED = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])

DEVICE = re.compile(r"#  Rank +(\d+) Group +(\d+) Pid +(\d+) on +(\S+) device +(\d+) \[([^\]]*)\] (.*)")
ROW = re.compile(r" *\d+ ")


def parse(text):
    """Return the tests in an output: name, devices, rows as dicts by column, footer."""
    tests = []
    for line in text.splitlines():
        if line.startswith("# Collective test starting: "):
            tests.append({"name": line.split(": ")[1], "devices": [], "rows": [], "footer": {}})
        elif match := DEVICE.fullmatch(line):
            tests[-1]["devices"].append(match.groups())
        elif line.startswith("# ") and " size " in line:
            tests[-1]["columns"] = named_columns(line)
        elif ROW.match(line):
            tests[-1]["rows"].append(dict(zip(tests[-1]["columns"], line.split(), strict=True)))
        elif match := re.fullmatch(r"# (Out of bounds values|Avg bus bandwidth) +: (.*?) *", line):
            tests[-1]["footer"][match[1]] = match[2]
        elif line.startswith("# Collective test concluded: "):
            tests[-1]["concluded"] = line.split(": ")[1]
    return tests


def named_columns(line):
    names = line.removeprefix("#").split()
    half = (len(names) - 5) // 2
    return [*names[:5], *(f"out {name}" for name in names[5 : 5 + half]), *(f"in {name}" for name in names[5 + half :])]


def parsed(*rows, **changes):
    return parse(REPORTER.render(report(("node01", "node02"), groups=rows, **changes), RenderOptions()))


@pytest.mark.parametrize("sample", ["healthy-laptop", "slow-link", "corruption"])
def test_each_collective_is_an_output_of_its_own(sample):
    given_report = SAMPLES[sample]()

    tests = parse(REPORTER.render(given_report, RenderOptions()))

    names = [SHAPES[probe].nccl_name for probe in dict.fromkeys(row.probe for row in given_report.groups)]
    assert [test["name"] for test in tests] == [test["concluded"] for test in tests] == names


def test_a_row_holds_both_halves():
    (test,) = parsed(
        collective("allreduce", 1 << 20, 512.0, 4, wrong_bytes=5),
        collective("allreduce", 1 << 20, 256.0, 4, in_place=True),
    )

    assert test["rows"] == [
        {
            "size": "1048576",
            "count": "262144",
            "type": "float",
            "redop": "sum",
            "root": "-1",
            "out time": "512.00",
            "out algbw": "2.05",
            "out busbw": "3.07",
            "out #wrong": "2",
            "in time": "256.00",
            "in algbw": "4.10",
            "in busbw": "6.14",
            "in #wrong": "0",
        }
    ]
    assert test["footer"] == {"Out of bounds values": "1 FAILED", "Avg bus bandwidth": "4.608"}


def test_columns_stand_where_nccl_tests_puts_them():
    text = REPORTER.render(report(("a",), groups=(collective("allreduce", 8, 14.1, 64),)), RenderOptions())
    header = next(line for line in text.splitlines() if " size " in line)
    row = next(line for line in text.splitlines() if ROW.match(line))

    assert header == (
        "#       size         count      type   redop    root     time   algbw   busbw  #wrong"
        "     time   algbw   busbw  #wrong "
    )
    assert row == (
        "           8             2     float     sum      -1    14.10    0.00    0.00       0"
        "      N/A     N/A     N/A     N/A"
    )


@pytest.mark.parametrize("in_place", [False, True])
def test_a_half_that_was_not_measured_is_not_available(in_place):
    (test,) = parsed(collective("allreduce", 4096, 10.0, 2, in_place=in_place))

    absent = "out" if in_place else "in"
    assert {test["rows"][0][f"{absent} {name}"] for name in ("time", "algbw", "busbw", "#wrong")} == {"N/A"}


def test_data_that_was_not_checked_is_not_called_right():
    (test,) = parsed(collective("allgather", 4096, 10.0, 2, wrong_bytes=None))

    assert test["rows"][0]["out #wrong"] == "N/A"


def test_bandwidth_that_has_no_meaning_is_not_a_number():
    (test,) = parsed(collective("barrier", 0, 9.4, 2, dtype="uint8"))

    assert (test["rows"][0]["out time"], test["rows"][0]["out busbw"]) == ("9.40", "N/A")
    assert test["footer"]["Avg bus bandwidth"] == "N/A"


@pytest.mark.parametrize(
    ("dtype", "name"),
    [("float16", "half"), ("float32", "float"), ("float64", "double"), ("bfloat16", "bfloat16"), ("uint8", "uint8")],
)
def test_types_have_the_names_that_nccl_gives_them(dtype, name):
    (test,) = parsed(collective("allreduce", 4096, 10.0, 2, dtype=dtype))

    assert test["rows"][0]["type"] == name


def test_rooted_collectives_name_their_root_and_others_minus_one():
    reduce, gather = parsed(
        collective("reduce", 4096, 10.0, 2, root=1, op="max"), collective("allgather", 4096, 10.0, 2)
    )

    assert (reduce["rows"][0]["root"], reduce["rows"][0]["redop"]) == ("1", "max")
    assert (gather["rows"][0]["root"], gather["rows"][0]["redop"]) == ("-1", "none")


def test_devices_are_the_ranks_on_their_hosts():
    tests = parse(REPORTER.render(corruption(), RenderOptions()))

    devices = tests[0]["devices"]
    assert len(devices) == 32
    assert devices[3] == ("3", "0", "21003", "node02", "1", "0000:00:00", "host memory")


def test_a_host_name_with_spaces_stays_one_word():
    given_report = report(("my laptop\x1b[1m",), groups=(collective("allreduce", 8, 1.0, 2),))

    (test,) = parse(REPORTER.render(given_report, RenderOptions()))

    assert test["devices"][0][3] == "my_laptop\\x1b[1m"


@pytest.mark.parametrize(
    ("sizes", "told"),
    [
        ((8, 64, 512), "minBytes 8 maxBytes 512 step: 8(factor)"),
        ((100, 150, 200), "minBytes 100 maxBytes 200 step: 50(bytes)"),
        ((8, 100, 120), "minBytes 8 maxBytes 120 step: N/A"),
        ((8,), "minBytes 8 maxBytes 8 step: N/A"),
    ],
)
def test_the_banner_tells_the_sweep(sizes, told):
    rows = tuple(collective("allreduce", size, 10.0, 2) for size in sizes)

    text = REPORTER.render(report(("a",), groups=rows), RenderOptions())

    assert told in text


def test_iterations_that_differ_by_size_are_a_range():
    few = collective("allreduce", 8, 10.0, 2, iterations=20)
    text = REPORTER.render(report(("a",), groups=(few, replace(few, size_bytes=16, iterations=90))), RenderOptions())

    assert " iters: 20-90 " in text


def test_a_report_without_collectives_says_so_in_one_comment():
    text = REPORTER.render(inconclusive(), RenderOptions())

    assert text.startswith("# netprobe run 2026-11-23T02-00-00Z-7f3a measured no collectives; pairs are in --format ")
    assert text.count("\n") == 1


def test_all_lines_that_are_no_rows_are_comments():
    lines = REPORTER.render(slow_link(), RenderOptions()).splitlines()

    assert all(line == "" or line.startswith("#") or ROW.match(line) for line in lines)


@pytest.mark.parametrize(
    ("value", "width", "shown"),
    [
        (14.1, 7, "  14.10"),
        (9999.99, 7, "9999.99"),
        (12345.67, 7, "12345.7"),
        (123456.7, 7, " 123457"),
        (1234567.8, 7, "1234568"),
        (123456789.0, 7, "1.2e+08"),
        (456.789, 6, "456.79"),
        (4567.89, 6, "4567.9"),
        (1234567.0, 6, " 1e+06"),
        (0.0, 6, "  0.00"),
    ],
)
def test_numbers_lose_decimals_before_they_lose_their_place(value, width, shown):
    assert shrunk(value, width) == shown


@UNHURRIED
@given(st.floats(min_value=0, max_value=1e60), st.sampled_from([6, 7]))
def test_a_number_always_fits_and_stays_near_its_value(value, width):
    text = shrunk(value, width)

    assert len(text) == width
    assert float(text) == pytest.approx(value, rel=0.5, abs=0.0051)
    assert float(text) == pytest.approx(value, rel=0.051, abs=0.0051) or width == 6
