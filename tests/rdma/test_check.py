"""``netprobe check`` as on a cluster: MPI itself over RDMA beside verbs, and a rank that dies with its queue pairs."""

import json

import polars as pl
import pytest

from netprobe.model.verdict import ExitCode
from netprobe.store.reader import read_run

PACKET_BYTES = 4096  # at most


@pytest.fixture(scope="module")
def seen(guest_results):
    """What the scenario left."""
    return guest_results("80-check")


@pytest.fixture(scope="module")
def run(seen):
    [folder] = (seen.folder / "out").iterdir()
    return folder


@pytest.fixture(scope="module")
def report(run):
    return json.loads((run / "report.json").read_text())


def test_mpi_over_rdma_is_measured_beside_verbs(report):
    assert {each["path"] for each in report["pairs"]} == {"mpi", "verbs"}


def test_what_mpi_moved_went_over_the_rdma_devices(run):
    found = read_run(run)
    of_mpi = pl.col("stage") == "bandwidth-between-hosts"
    moved = found.series.filter(of_mpi).select((pl.col("bytes_per_iteration") * pl.col("iterations")).sum()).item()

    sent = found.counters.filter(of_mpi & pl.col("counter").str.ends_with("/sent_pkts"))["growth"].sum()

    assert sent >= moved / PACKET_BYTES > 0


def test_a_rank_that_dies_in_the_life_of_its_queue_pairs_is_named_and_the_run_comes_to_its_end(seen, report):
    assert len(seen.text("victims").split()) == 1
    assert [(each["detector"], each["subjects"]) for each in report["findings"]] == [("dead-host", ["h2"])]
    assert int(seen.text("code")) == ExitCode.FAULTY
    assert report["run_status"] == "complete"
