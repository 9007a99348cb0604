"""What can be drawn of a run: from the run alone, with nothing that was not measured."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest
from judge_samples import all_pairs, run_of

from netprobe.errors import StoreError
from netprobe.judge.evidence import evidence_of
from netprobe.judge.exhibited_spreads import BINS, density_of
from netprobe.judge.exhibits import exhibits_of
from netprobe.launch.topology import read_topology
from netprobe.model.exhibits import Figure, Witness
from netprobe.model.limits import Limits
from netprobe.model.plan import Path as Carrier
from netprobe.model.plan import Scope
from netprobe.model.topology import Topology
from netprobe.plan.profiles import plan_for
from netprobe.sim.fabric import fabric_of
from netprobe.sim.faults import read_faults
from netprobe.sim.night import night
from netprobe.store.histograms import read_histograms
from netprobe.store.reader import read_run
from netprobe.store.whole import write_whole

TOPOLOGY = """
[[leaf]]
switch = "leaf1"
hosts = "node[1-2]"
rail = 0
[[leaf]]
switch = "leaf2"
hosts = "node[3-4]"
rail = 0
"""
LOSSY = """
id = "lossy"
title = "a lossy host link"
detectors = ["packet-loss"]
[[fault]]
kind = "lossy-link"
at = "node3 mlx5_0"
direction = "out"
loss = 1e-3
"""


@pytest.fixture(scope="module")
def directory(tmp_path_factory):
    """The run of four hosts below two leaves, one of which loses what it sends."""
    folder = tmp_path_factory.mktemp("runs")
    (folder / "topology.toml").write_text(TOPOLOGY)
    (folder / "lossy.toml").write_text(LOSSY)
    fabric = fabric_of(Topology(leaves=read_topology(folder / "topology.toml")), 400.0)
    run, _ = night(fabric, [read_faults(folder / "lossy.toml")], plan_for("quick"), 0)
    return write_whole(run, folder)


@pytest.fixture(scope="module")
def exhibits(directory):
    return exhibited(read_run(directory, lists=False), read_histograms(directory))


def exhibited(run, merged=None):
    nothing = read_histograms(Path("/nowhere/at/all"))
    return exhibits_of(run, evidence_of(run), nothing if merged is None else merged, Limits())


def test_each_way_of_measuring_has_its_map_the_fabric_before_mpi(exhibits):
    told = [(each.figure, each.path) for each in exhibits.maps if each.figure is not Figure.LOSS]

    assert told == [
        (Figure.BANDWIDTH, Carrier.VERBS),
        (Figure.BANDWIDTH, Carrier.MPI),
        (Figure.LATENCY, Carrier.VERBS),
        (Figure.LATENCY, Carrier.MPI),
    ]


def test_the_lossy_sender_is_where_the_map_of_losses_is_worst(exhibits):
    losses = next(each for each in exhibits.maps if each.witness is Witness.NICS)
    worst = int(np.argmax(losses.value))

    assert exhibits.places.hosts[exhibits.places.host_of[losses.src[worst]]] == "node3"
    assert 1e-4 < losses.value[worst] < 1e-2


def test_each_pair_is_in_a_map_once_however_often_it_was_measured(exhibits):
    for each in exhibits.maps:
        pairs = list(zip(each.src.tolist(), each.dst.tolist(), strict=True))
        assert len(pairs) == len(set(pairs))


def test_counters_of_trouble_are_told_stage_by_stage_and_add_up(exhibits):
    growth = next(each for each in exhibits.growths if each.meaning == "sequence-nak")

    assert (growth.host, growth.port) == ("node3", "mlx5_0")
    assert len(growth.by_stage) == len(exhibits.counted_stages)
    assert sum(value or 0.0 for value in growth.by_stage) == growth.total


def test_a_distribution_holds_every_sample_between_its_extremes(exhibits):
    spread = next(each for each in exhibits.spreads if each.probe == "latency" and each.scope is Scope.BETWEEN_HOSTS)

    assert sum(spread.density) == spread.samples
    assert spread.min_ns <= spread.at(0.5) <= spread.max_ns
    assert [each.elapsed_ns for each in spread.points] == sorted(each.elapsed_ns for each in spread.points)


def test_leaves_and_nics_of_ranks_are_told(exhibits):
    assert exhibits.places.leaves == ("leaf1", "leaf2")
    assert set(exhibits.places.nics) == {"mlx5_0"}


def test_a_run_without_nics_or_histograms_has_its_map_and_leaves_the_rest_out():
    exhibits = exhibited(run_of(all_pairs()))

    assert [each.figure for each in exhibits.maps] == [Figure.BANDWIDTH]
    assert exhibits.spreads == exhibits.growths == exhibits.counted_stages == ()
    assert exhibits.ports_read == exhibits.hosts_told == 0


def test_a_run_that_measured_nothing_has_no_map():
    assert exhibited(run_of([], planned={})).maps == ()


def test_of_several_measurements_of_a_pair_the_middle_one_is_drawn():
    rows = [row for elapsed_ns in (100_000, 300_000, 900_000) for row in all_pairs(elapsed_ns=elapsed_ns)]

    rates = exhibited(run_of(rows)).maps[0]

    assert np.allclose(rates.value, 8 * rows[0].bytes_per_iteration / 300_000, rtol=0.01)


def test_a_density_has_a_bin_for_the_only_value_there_is():
    assert density_of(np.array([7.0]), np.array([42])) == (42, *(0,) * (BINS - 1))


def test_damaged_series_are_an_error_of_one_line(tmp_path):
    (tmp_path / "series.parquet").write_bytes(b"PAR1 no more")

    with pytest.raises(StoreError, match="damaged"):
        read_histograms(tmp_path)


def test_histograms_of_other_columns_are_an_error_of_one_line(tmp_path):
    pl.DataFrame({"a": [1]}).write_parquet(tmp_path / "series.parquet")

    with pytest.raises(StoreError, match="damaged"):
        read_histograms(tmp_path)
