"""The section about load: it reads at 80 columns, says what is not known, and is not there where nothing was loaded."""

from dataclasses import replace

import pytest
from sample_reports import healthy_laptop

from netprobe.contracts import RenderOptions
from netprobe.model.evidence import Background
from netprobe.model.plan import Scope
from netprobe.model.report import FanInSummary, LineBasis, LoadedSummary, StorageSummary, TogetherSummary, UnderLoad
from netprobe.registry import reporters

LONG = "a-host-with-a-name-of-some-length:12"
TOLD = UnderLoad(
    loaded=(
        LoadedSummary(
            scope=Scope.BETWEEN_HOSTS, size_bytes=8, background=Background.ALL_TO_ALL, pairs=16, idle_p50_ns=1800.0,
            loaded_p50_ns=2500.0, idle_p99_ns=2200.0, loaded_p99_ns=41_000.0, factor_p99=18.6, factor_p999=None,
            factor_max=120.0, worst_pair=(LONG, "node2:1"), worst_factor_p99=44.0,
        ),
    ),
    fan_ins=(
        FanInSummary(
            scope=Scope.BETWEEN_HOSTS, size_bytes=1 << 20, fan_in=4, receivers=8, hot_hosts=2, hosts=16,
            goodput_gbps=351.0, kept_ratio=None, jain=0.97, worst_receiver=LONG, worst_gbps=212.0,
            longest_window_ns=1.5e6, line_gbps=400.0, line_ratio=0.8775, line_basis=LineBasis.NIC,
        ),
    ),
    together=(
        TogetherSummary(
            probe="bisection", scope=Scope.BETWEEN_HOSTS, size_bytes=1 << 20, flows=16, total_gbps=3100.0,
            alone_gbps=5800.0, kept_ratio=0.53, worst_flow=(LONG, LONG), worst_gbps=120.0,
        ),
    ),
    storage=(
        StorageSummary(
            size_bytes=64 << 20, path="/scratch/\x1b[2Ja", rate_gbps=16.0, hosts=16,
            reduced_p50_ns=(2.1e6, 3.4e6, 2.2e6), reduced_p99_ns=(2.9e6, 8.4e6, None), reduced_lost_ratio=0.353,
            read_gbps=(16.0, 15.9, 16.0), read_p99_ns=(6.1e6, 9.4e6, 6.2e6), read_lost_ratio=-0.01,
            worst_host="node7", worst_read_gbps=14.2,
        ),
    ),
)  # fmt: skip


@pytest.fixture
def report():
    return replace(healthy_laptop(), under_load=TOLD)


def test_the_console_fits_80_columns_and_keeps_what_matters(report):
    text = reporters()["console"].render(report, RenderOptions(width=80))

    section = text[text.index("under load: latency") :]
    assert max(map(len, section.splitlines())) <= 80
    assert "18.6×" in section
    assert "many senders to one receiver (2 of 16 hosts in turn)" in section
    assert "53 %" in section
    assert "GPCNeT" in section


def test_markdown_has_every_figure_and_a_dash_for_what_is_not_known(report):
    text = reporters()["markdown"].render(report, RenderOptions())

    (row,) = [line for line in text.splitlines() if line.startswith("| all-to-all")]
    assert "2.20 µs → 41.0 µs" in row
    assert "| – | 120×" in row


def test_nothing_is_said_where_nothing_was_loaded(report):
    text = reporters()["console"].render(replace(report, under_load=UnderLoad()), RenderOptions())

    assert "under load" not in text


def test_goodput_is_a_share_of_the_nics_rate_which_heads_the_column(report):
    text = reporters()["markdown"].render(report, RenderOptions())

    assert "of 400 Gb/s" in text
    assert "| 351 Gb/s | 88 % |" in text


def test_of_nics_that_tell_no_rate_goodput_is_a_share_of_a_pair(report):
    (row,) = TOLD.fan_ins
    of_pair = replace(TOLD, fan_ins=(replace(row, line_basis=LineBasis.PAIR),))

    text = reporters()["console"].render(replace(report, under_load=of_pair), RenderOptions(width=80))

    assert "of a pair" in text
    assert "of 400 Gb/s" not in text


def test_reads_and_all_reduces_are_told_alone_together_and_alone_again(report):
    text = reporters()["console"].render(report, RenderOptions(width=80))

    section = text[text.index("under load: all-reduce of 64 MiB beside reads of 16 hosts, 16.0 Gb/s each") :]
    (reduces,) = [line for line in section.splitlines() if "all-reduce p50" in line]
    (reads,) = [line for line in section.splitlines() if "reads of a host" in line]
    assert "3.40 ms" in reduces
    assert "35 %" in reduces
    assert "0 %" in reads
    assert "-" not in reads
    assert "\x1b" not in text
    assert max(map(len, section.splitlines())) <= 80
