"""Playing a plan: pure given the seed, tables as the store has them, counters that agree with what was lost."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from netprobe.model.histogram import bin_of
from netprobe.plan.profiles import plan_for
from netprobe.sim.condition import healthy
from netprobe.sim.fabric import default_topology, fabric_of
from netprobe.sim.night import night
from netprobe.sim.play import play
from netprobe.sim.samples import drawn_times, series_frame
from netprobe.store.counters_table import counters_schema
from netprobe.store.reader import read_run
from netprobe.store.series_table import series_of, series_schema
from netprobe.store.whole import write_whole

PLAN = plan_for("quick")


@pytest.fixture(scope="module")
def clean():
    return night(fabric_of(default_topology(8)), (), PLAN, 5)[0]


def test_the_same_seed_gives_the_same_run_and_another_one_does_not(clean):
    again, other = (night(fabric_of(default_topology(8)), (), PLAN, seed)[0] for seed in (5, 6))

    assert_frame_equal(again.series, clean.series)
    assert_frame_equal(again.counters, clean.counters)
    assert again.header == clean.header
    assert not other.series["total_ns"].equals(clean.series["total_ns"])


def test_tables_are_those_of_the_store_and_survive_being_written(clean, tmp_path):
    read = read_run(write_whole(clean, tmp_path))

    assert clean.series.schema == series_schema()
    assert clean.counters.schema == counters_schema()
    assert_frame_equal(read.series, clean.series)
    assert read.inventories == clean.inventories


def test_a_row_is_a_series_whose_parts_agree(clean):
    for each in series_of(clean.series):
        assert each.histogram.total == each.iterations
        assert list(each.histogram.bins) == sorted(set(each.histogram.bins))
        assert each.min_ns * each.iterations <= each.total_ns <= each.max_ns * each.iterations
        assert each.slowest[0].elapsed_ns == each.max_ns
        assert bin_of(np.array([each.max_ns]))[0] == each.histogram.bins[-1]


def test_rounds_are_those_of_the_plan(clean):
    planned = [stage.id for stage in PLAN.stages if not stage.needs_gpu]

    assert [outcome.stage for outcome in clean.header.outcomes] == planned
    for outcome in clean.header.outcomes:
        own = clean.series.filter((pl.col("stage") == outcome.stage) & pl.col("dst").is_not_null())
        assert set(own.select("src", "dst").unique().iter_rows()) == set(outcome.planned_pairs)


def test_what_is_lost_on_the_way_to_a_nic_is_missing_there():
    fabric = fabric_of(default_topology(8))
    condition = healthy(fabric, np.random.default_rng(0))
    condition.loss_in[3] = 1e-3

    run = play(fabric, condition, PLAN, 1)

    rounds = run.counters.filter(pl.col("round_index").is_not_null())
    grown = rounds.group_by("rank", "counter").agg(pl.col("growth").sum())
    of = {(rank, counter.rpartition("/")[2]): growth for rank, counter, growth in grown.iter_rows()}
    sent, arrived = (sum(of[rank, name] for rank in range(8)) for name in ("port_xmit_packets", "port_rcv_packets"))
    assert of[3, "out_of_sequence"] > 0
    assert sum(of[rank, "out_of_sequence"] for rank in range(8) if rank != 3) == 0
    assert sum(of[rank, "packet_seq_err"] for rank in range(8)) == of[3, "out_of_sequence"]
    assert sent - arrived >= of[3, "out_of_sequence"]


def test_an_idle_fabric_counts_nothing(clean):
    idle = clean.counters.filter(pl.col("stage").str.starts_with("idle"))

    assert idle.height > 0
    assert idle["growth"].sum() == 0


def test_a_host_that_dies_is_missing_from_then_on():
    fabric = fabric_of(default_topology(8))
    condition = healthy(fabric, np.random.default_rng(0))
    condition.dead[2] = "host unreachable"

    run = play(fabric, condition, PLAN, 1)

    [benched] = run.header.benched
    last = run.header.outcomes[-1]
    assert benched.host == fabric.hosts[2]
    assert 2 not in last.ranks
    assert run.header.clocks[2] is None


def test_who_never_met_left_an_error_and_no_series():
    fabric = fabric_of(default_topology(8))
    condition = replace(healthy(fabric, np.random.default_rng(0)), never_met="no route to host")

    run = play(fabric, condition, PLAN, 1)

    assert run.header.error == "no route to host"
    assert run.series.is_empty()


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 5000), st.floats(1e2, 1e9), st.integers(0, 50))
def test_times_are_as_many_as_there_were_iterations(iterations, median_ns, late):
    count = np.array([iterations])
    times = drawn_times(
        np.random.default_rng(0), np.array([median_ns]), count, spread_ratio=0.02,
        delays_ns=(np.array([1e6]),), delayed=(np.array([late]),),
    )  # fmt: skip

    assert times.counts.sum() == iterations
    assert (np.diff(times.times_ns[0]) >= 0).all()


def test_a_frame_has_the_columns_of_the_store():
    times = drawn_times(np.random.default_rng(0), np.array([100.0, 200.0]), np.array([5, 7]), spread_ratio=0.0)
    columns = {"round_index": [0, 1], "src": [0, 1], "dst": [1, 0], "size_bytes": [8, 8], "bytes_per_iteration": [8, 8]}
    constant = {
        "stage": "s", "probe": "latency", "metric": "round_trip_ns", "phase": "timed", "window": 1, "dtype": "uint8",
        "op": None, "root": None, "in_place": False, "checked_iterations": 0,
    }  # fmt: skip

    frame = series_frame(times, columns, constant, np.random.default_rng(0))

    assert frame.schema == series_schema()
    assert frame["iterations"].to_list() == [5, 7]
    assert frame["min_ns"].to_list() == frame["max_ns"].to_list() == [100, 200]
