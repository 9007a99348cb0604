"""Loads on threads as ranks: every probe measures, compares its data, and says what it could not."""

import time
from dataclasses import replace

import numpy as np
import pytest
from test_pipeline_on_loopback import measured

from netprobe.contracts import Assignment, Bench
from netprobe.judge.evidence import evidence_of
from netprobe.judge.judge import judge
from netprobe.model.limits import Limits
from netprobe.model.plan import LOADED_LATENCY, LOADS, RAILS, Plan, Scope, Stage
from netprobe.probes._loads import measure_load
from netprobe.sim.condition import healthy
from netprobe.sim.fabric import default_topology, fabric_of
from netprobe.sim.play import play
from netprobe.transports.loopback import clean_wire

SIZE = 2048
FEWEST_OF = {"loaded_latency": 4, "incast": 4, "victim": 5, "permutation": 3, "bisection": 4, RAILS: 4}
RANKS_OF = {RAILS: 2}


def load_stage(probe, **traits):
    return Stage(
        id=f"{probe}-between-hosts", probe=probe, scope=Scope.BETWEEN_HOSTS,
        sizes_bytes=(8,) if probe == LOADED_LATENCY else (SIZE,), load_bytes=SIZE,
        **{"window": 2, "matchings": 1, "series_budget_ns": 30_000_000, **traits},
    )  # fmt: skip


def run_of(tmp_path, probe, ranks, **options):
    stage = load_stage(probe, **options.pop("traits", {}))
    return measured(tmp_path, [stage], ranks, **options)


@pytest.mark.parametrize("probe", LOADS)
def test_every_load_measures_all_that_it_planned_with_its_data_compared(tmp_path, probe):
    many = RANKS_OF.get(probe, 1)
    run = run_of(tmp_path, probe, FEWEST_OF[probe], host_of=lambda rank: f"n{rank // many}")

    report = judge(run, Limits())
    assert set(run.series["metric"]) == (
        {"alone_ns", "loaded_ns", "flow_ns"} if probe == LOADED_LATENCY else {"flow_ns"}
    )
    assert (run.series["checked_iterations"] == 1).all()
    assert sum(map(len, run.series["faults"])) == 0
    assert report.coverage.pairs_measured == report.coverage.pairs_planned > 0
    told = report.under_load
    assert (told.loaded, told.fan_ins, told.together).count(()) == 2


def test_idle_and_loaded_round_trips_are_of_the_same_pairs_in_the_same_turn(tmp_path):
    (table,) = evidence_of(run_of(tmp_path, LOADED_LATENCY, 6)).loaded

    assert len(table.src) == len(set(zip(table.turn.tolist(), table.src.tolist(), strict=True))) == 3
    assert (table.alone_ns[:, 0] > 0).all()
    assert (table.again_ns[:, 0] > 0).all()


def test_a_bit_that_flips_on_the_way_to_a_hot_receiver_is_found(tmp_path):
    def flips(_src, dst, payload):
        return (
            payload[:100] + bytes([payload[100] ^ 1]) + payload[101:] if dst == 0 and len(payload) == SIZE else payload
        )

    report = judge(run_of(tmp_path, "bisection", 4, wire=flips), Limits())

    (finding,) = [each for each in report.findings if each.detector == "corruption"]
    assert "n0" in " ".join(finding.subjects)


def test_too_few_hosts_are_said_to_be_too_few(tmp_path):
    report = judge(run_of(tmp_path, "victim", 4), Limits())

    assert "victim takes 5 hosts, and 4 came" in {gap.reason for gap in report.gaps}


def test_what_never_overlapped_is_a_gap_and_no_figure(tmp_path):
    def one_is_late(src, _dst, payload):
        if len(payload) == SIZE and src == 1:
            time.sleep(0.1)  # each message takes longer than all others are under way
        return payload

    run = run_of(tmp_path, "permutation", 3, wire=one_is_late)

    reasons = {gap.reason for outcome in run.header.outcomes for gap in outcome.gaps}
    assert any("too few windows" in reason for reason in reasons)
    assert not (run.series["src"] == 1).any()


class Refusing:
    rank = 0

    def flows_refused(self):
        return "no flows here"


class Alone:
    def allgather(self, value):
        return [value]


def test_a_stage_whose_flows_a_transport_refuses_is_left_out_and_said_so():
    bench = Bench(transport=Refusing(), control=Alone(), seed=1, memory=None, to_reference_ns=None)

    (gap,) = measure_load(bench, load_stage("incast"), Assignment(round_index=0, peer=None, leads=False))

    assert (gap.reason, gap.undermines) == ("no flows here", True)


def test_loads_follow_each_other_without_leftovers(tmp_path):
    stages = [load_stage("incast", series_budget_ns=10_000_000), replace(load_stage("permutation"), id="again")]

    run = measured(tmp_path, stages, 4, wire=clean_wire)

    assert sum(map(len, run.series["faults"])) == 0
    assert set(run.series["stage"]) == {"incast-between-hosts", "again"}


def test_on_a_simulated_fabric_rails_take_nothing_from_each_other():
    fabric = fabric_of(default_topology(64))
    plan = Plan(profile="x", seed=1, stages=(load_stage(RAILS, series_budget_ns=200_000_000, matchings=2),))
    plan = replace(plan, stages=(replace(plan.stages[0], sizes_bytes=(1 << 20,)),))

    report = judge(play(fabric, healthy(fabric, np.random.default_rng(1)), plan, 1), Limits())

    (row,) = report.under_load.together
    assert (row.probe, row.flows) == (RAILS, 2 * fabric.rails)
    assert row.kept_ratio == pytest.approx(1, abs=0.05)
    assert report.findings == ()
