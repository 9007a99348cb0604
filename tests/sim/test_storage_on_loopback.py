"""All-reduces beside reads: on threads with a real file, and on fabrics that do not exist."""

import os
from dataclasses import replace

import numpy as np
import pytest
from test_pipeline_on_loopback import measured

from netprobe.judge.evidence import evidence_of
from netprobe.judge.judge import judge
from netprobe.model.limits import Limits
from netprobe.model.plan import Plan
from netprobe.model.storage import BLOCK_BYTES, PHASES
from netprobe.plan.storage import StorageWish, storage_stage
from netprobe.sim.condition import healthy
from netprobe.sim.fabric import default_topology, fabric_of
from netprobe.sim.play import play

SIZE = 4096
PHASE_NS = 20_000_000


def stage_of(path, **wish):
    return storage_stage(StorageWish(path=str(path), **wish), size_bytes=SIZE, phase_ns=PHASE_NS)


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "data"
    path.write_bytes(os.urandom(2 * BLOCK_BYTES))
    return path


def test_both_are_measured_alone_together_and_alone_again(tmp_path, file):
    run = measured(tmp_path, [stage_of(file)], 3)

    (table,) = evidence_of(run).storage
    report = judge(run, Limits())
    (outcome,) = run.header.outcomes
    assert outcome.rounds == PHASES
    assert (table.path, table.rank.tolist()) == (str(file), [0])
    assert np.isfinite(table.reduced_p50_ns).all()
    assert np.isfinite(table.read_gbps).all()
    assert report.coverage.untested_ranks == ()
    assert report.coverage.checked_iterations == 1
    assert report.coverage.bytes_moved > 0
    assert report.groups == ()
    (row,) = report.under_load.storage
    assert (row.hosts, row.worst_host) == (1, None)


@pytest.mark.parametrize("make", [lambda path: None, lambda path: path.mkdir(), lambda path: path.touch()])
def test_a_file_that_hosts_cannot_read_is_one_gap_that_undermines_and_the_rest_goes_on(tmp_path, file, make):
    make(tmp_path / "other")
    stages = [replace(stage_of(tmp_path / "other"), id="first"), stage_of(file)]

    run = measured(tmp_path, stages, 2)

    (gap,) = [each for each in evidence_of(run).gaps if each.undermines]
    assert str(tmp_path / "other") in gap.reason
    assert [outcome.rounds for outcome in run.header.outcomes] == [1, PHASES]
    assert judge(run, Limits()).exit_code == 3


def test_one_rank_alone_says_so(tmp_path, file):
    run = measured(tmp_path, [stage_of(file)], 1)

    assert any("nobody to exchange data with" in gap.reason for gap in evidence_of(run).gaps)


def played(**faults):
    fabric = fabric_of(default_topology(64))
    condition = healthy(fabric, np.random.default_rng(1))
    for name, value in faults.items():
        setattr(condition, name, value)
    stage = storage_stage(StorageWish(path="/scratch/data", rate_bytes_per_s=2_000_000_000))
    return judge(play(fabric, condition, Plan(profile="x", seed=1, stages=(stage,)), 1), Limits())


def named(report):
    return [(each.detector, each.subjects, each.hosts) for each in report.findings]


def test_on_a_fabric_where_all_is_well_neither_suffers():
    report = played()

    assert report.findings == ()
    (row,) = report.under_load.storage
    assert row.read_gbps[0] == pytest.approx(16.0, rel=0.1)


@pytest.mark.parametrize("fault", ["storage_slows_ratio", "storage_starves_ratio"])
def test_on_a_fabric_that_does_not_keep_them_apart_the_fabric_is_named(fault):
    assert named(played(**{fault: 0.5})) == [("storage-interference", ("fabric",), ())]
