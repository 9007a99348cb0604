"""Sweeps and sizes as they are typed."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netprobe.errors import PlanError
from netprobe.plan.sizes import sweep
from netprobe.units import format_duration, format_gbps, format_size, gbps, parse_duration_ns, parse_rate, parse_size


@pytest.mark.parametrize(
    ("text", "size_bytes"), [("8", 8), ("64K", 65536), ("8M", 8 << 20), ("1GiB", 1 << 30), ("2 kb", 2048), ("0", 0)]
)
def test_sizes_take_binary_suffixes(text, size_bytes):
    assert parse_size(text) == size_bytes


@pytest.mark.parametrize("text", ["", "8X", "-1", "1.5M", "M", "8 8"])
def test_what_is_no_size_is_refused_with_an_example(text):
    with pytest.raises(ValueError, match="8M"):
        parse_size(text)


@given(st.integers(0, 2**50))
def test_a_formatted_size_reads_back_as_itself(size_bytes):
    assert parse_size(format_size(size_bytes)) == size_bytes


@pytest.mark.parametrize(
    ("text", "ns"), [("120", 120e9), ("120s", 120e9), ("2m", 120e9), ("500ms", 5e8), ("1h", 36e11)]
)
def test_durations_take_suffixes_and_are_seconds_without(text, ns):
    assert parse_duration_ns(text) == ns


def test_one_megabyte_in_20_us_is_400_gigabits_a_second():
    assert gbps(1e6, 20_000) == 400.0


@pytest.mark.parametrize(
    ("ns", "text"),
    [(570, "570 ns"), (1234, "1.23 µs"), (12_340_000, "12.3 ms"), (1.5e9, "1.50 s"), (252e9, "4 min 12 s")],
)
def test_durations_print_three_digits_and_their_unit(ns, text):
    assert format_duration(ns) == text


@pytest.mark.parametrize(
    ("gbps_value", "text"),
    [(391.8, "392 Gb/s"), (12.34, "12.3 Gb/s"), (0.25, "0.25 Gb/s"), (0.0016, "1.60 Mb/s"), (2e-6, "2.00 kb/s")],
)
def test_bandwidths_print_three_digits_however_small(gbps_value, text):
    assert format_gbps(gbps_value) == text


def test_a_sweep_doubles_by_default_and_includes_both_ends():
    assert sweep(8, 64) == (8, 16, 32, 64)


def test_a_step_adds_and_a_factor_multiplies():
    assert sweep(100, 400, step_bytes=100) == (100, 200, 300, 400)
    assert sweep(8, 600, factor=8) == (8, 64, 512)


@given(st.integers(1, 10_000), st.floats(1.0001, 16))
def test_a_geometric_sweep_always_grows_and_ends(begin, factor):
    sizes = sweep(begin, begin * 64, factor=factor)

    assert list(sizes) == sorted(set(sizes))
    assert sizes[0] == begin
    assert sizes[-1] <= begin * 64


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ({"begin_bytes": 0, "end_bytes": 8}, "measures nothing"),
        ({"begin_bytes": 64, "end_bytes": 8}, "ends .* before it begins"),
        ({"begin_bytes": 8, "end_bytes": 1 << 40}, "1T does not fit"),
        ({"begin_bytes": 8, "end_bytes": 64, "factor": 1.0}, "never ends"),
        ({"begin_bytes": 8, "end_bytes": 64, "factor": float("nan")}, "never ends"),
        ({"begin_bytes": 8, "end_bytes": 64, "factor": float("inf")}, "never ends"),
        ({"begin_bytes": 8, "end_bytes": 64, "step_bytes": 0}, "never ends"),
        ({"begin_bytes": 1, "end_bytes": 1 << 30, "step_bytes": 1}, "sizes"),
    ],
)
def test_a_sweep_that_makes_no_sense_says_what_to_type_instead(arguments, complaint):
    with pytest.raises(PlanError, match=complaint) as caught:
        sweep(**arguments)

    assert "try:" in str(caught.value)


@pytest.mark.parametrize(
    ("text", "bytes_per_s"),
    [("2GB/s", 2_000_000_000), ("1.5 GiB/s", 3 << 29), ("500M", 500_000_000), ("100", 100), ("3TB", 3 * 10**12)],
)
def test_rates_are_decimal_but_for_binary_suffixes(text, bytes_per_s):
    assert parse_rate(text) == bytes_per_s


@pytest.mark.parametrize("text", ["", "fast", "-1G", "2Gb it", "1e9", "2GB/h"])
def test_what_is_no_rate_is_refused(text):
    with pytest.raises(ValueError, match="is not a rate"):
        parse_rate(text)
