"""The whole path on threads as ranks: plan, measure, run directory, verdict; on a wire that we spoil."""

import time
from datetime import UTC, datetime

import pytest

from netprobe.judge.judge import judge
from netprobe.model.bursts import BURSTS
from netprobe.model.collective import SHAPES
from netprobe.model.limits import Limits
from netprobe.model.plan import HOST_NOISE, LOADS, REACH, Plan, Scope, Stage
from netprobe.model.run import Launch, RunStatus
from netprobe.model.storage import STORAGE
from netprobe.model.verdict import Verdict
from netprobe.plan.task import Task
from netprobe.registry import probes
from netprobe.session.threads import run_on_threads
from netprobe.store.reader import read_run
from netprobe.store.writer import RunWriter
from netprobe.transports.loopback import clean_wire

FEW = {"iterations": 4, "warmup_iterations": 1, "window": 2}
PAIR_PROBES = ("latency", "bandwidth", "bidirectional")


def pair_stages(*names, scope=Scope.BETWEEN_HOSTS, size_bytes=512, **traits):
    return tuple(
        Stage(id=f"{name}-{scope.value}", probe=name, scope=scope, sizes_bytes=(size_bytes,), **{**FEW, **traits})
        for name in names
    )


def group_stages(*names, **traits):
    return tuple(
        Stage(id=name, probe=name, scope=Scope.WORLD, sizes_bytes=(8, 1000), **{**FEW, "dtype": "float32", **traits})
        for name in names
    )


def measured(tmp_path, stages, ranks, *, wire=clean_wire, host_of=lambda rank: f"n{rank}"):
    plan = Plan(profile="test", seed=3, stages=tuple(stages), transport="loopback")
    launch = Launch(method="loopback", argv=(), mpi="")
    writer = RunWriter.create(tmp_path, plan, launch, started=datetime(2026, 1, 1, tzinfo=UTC), run_id="test")
    run_on_threads(Task(plan=plan), ranks, writer, wire=wire, host_of=host_of)
    writer.close(RunStatus.COMPLETE, None)
    return read_run(writer.directory)


@pytest.mark.parametrize("ranks", [1, 2, 3, 5])
def test_every_probe_measures_and_checks_its_data_at_any_rank_count(tmp_path, ranks):
    run = measured(tmp_path, [*pair_stages(*PAIR_PROBES), *group_stages(*SHAPES)], ranks)

    assert {outcome.stage for outcome in run.header.outcomes} == {stage.id for stage in run.header.plan.stages}
    assert set(run.series["probe"].unique()) == ({*SHAPES, *PAIR_PROBES} if ranks > 1 else set())
    timed = run.series.filter(
        (run.series["phase"] == "timed") & run.series["metric"].is_in(["arrival_ns", "exit_ns", "transfer_ns"]).not_()
    )
    checked = dict(zip(timed["probe"], timed["checked_iterations"], strict=True))
    assert all(count > 0 for probe, count in checked.items() if probe != "barrier")
    assert sum(len(faults) for faults in timed["faults"]) == 0


@pytest.mark.parametrize("iterations", [4, 5])
@pytest.mark.parametrize("probe", SHAPES)
def test_right_data_in_place_are_right_after_any_number_of_iterations(tmp_path, probe, iterations):
    run = measured(tmp_path, group_stages(probe, iterations=iterations, in_place=(False, True)), 3)

    assert sum(len(faults) for faults in run.series["faults"]) == 0


@pytest.mark.parametrize(
    "dtype", ["int8", "uint8", "int32", "uint32", "int64", "uint64", "float16", "float32", "float64"]
)
@pytest.mark.parametrize("op", ["sum", "prod", "max", "min"])
def test_reductions_are_exact_in_every_type_and_operator(tmp_path, dtype, op):
    stages = group_stages("allreduce", "reduce", "reducescatter", dtype=dtype, op=op, in_place=(False, True))

    run = measured(tmp_path, stages, 3)

    assert judge(run, Limits()).findings == () or not [
        finding for finding in judge(run, Limits()).findings if finding.detector == "corruption"
    ]


@pytest.mark.parametrize("probe", [*PAIR_PROBES, *(name for name in SHAPES if name != "barrier")])
def test_one_flipped_bit_on_the_wire_is_reported_with_offset_and_mask(tmp_path, probe):
    def flips_a_bit(src, dst, payload):
        if dst != 2 or len(payload) < 300:
            return payload
        return payload[:100] + bytes([payload[100] ^ 0x10]) + payload[101:]

    stages = pair_stages(probe) if probe in PAIR_PROBES else group_stages(probe, root=2 if probe == "reduce" else 0)
    report = judge(measured(tmp_path, stages, 3, wire=flips_a_bit), Limits())

    assert report.verdict is Verdict.FAULTY
    finding = next(finding for finding in report.findings if finding.detector == "corruption")
    assert "n2" in " ".join(finding.subjects)
    facts = " ".join(f"{fact.metric} {fact.observed}" for fact in finding.facts) + finding.summary
    assert "100" in facts


def test_a_host_that_sends_slowly_is_named_and_its_partners_are_not(tmp_path):
    def slow_from_3(src, dst, payload):
        if len(payload) > 400:
            # Far above what the scheduler adds to a thread's turn, so that only the wire tells hosts apart.
            time.sleep(0.02 if src == 3 else 0.002)
        return payload

    stages = pair_stages("bandwidth", matchings=3, iterations=6)
    report = judge(measured(tmp_path, stages, 8, wire=slow_from_3), Limits())

    slow = [finding for finding in report.findings if finding.detector == "slow-link"]
    assert [finding.hosts for finding in slow] == [("n3",)]
    assert report.verdict is Verdict.FAULTY


@pytest.mark.parametrize("probe", ["bandwidth", "bidirectional"])
def test_every_message_of_a_window_is_compared_and_not_just_its_last(tmp_path, probe):
    carried = {"messages": 0}

    def spoils_the_first_message(src, dst, payload):
        if dst != 1:
            return payload
        carried["messages"] += 1
        return b"\x00" * len(payload) if carried["messages"] == 1 else payload

    run = measured(tmp_path, pair_stages(probe), 2, wire=spoils_the_first_message)

    assert sum(len(faults) for faults in run.series["faults"]) == 1


def test_a_single_rank_measures_nothing_and_is_never_healthy(tmp_path):
    report = judge(measured(tmp_path, [*pair_stages("latency"), *group_stages("allreduce")], 1), Limits())

    assert report.verdict is Verdict.INCONCLUSIVE
    assert "nobody to exchange data with" in " ".join(gap.reason for gap in report.gaps)


def test_ranks_of_one_host_are_paired_within_it_and_between_hosts_is_said_to_be_untested(tmp_path):
    stages = [*pair_stages("latency", scope=Scope.WITHIN_HOST), *pair_stages("latency")]

    run = measured(tmp_path, stages, 2, host_of=lambda _rank: "laptop")

    assert set(run.series["stage"].unique()) == {"latency-within-host"}
    assert "between hosts" in {gap.topic for gap in judge(run, Limits()).not_tested}


def test_a_rank_that_fails_ends_the_run_with_its_own_error(tmp_path):
    def breaks(src, dst, payload):
        raise ZeroDivisionError("the wire broke")

    with pytest.raises(ZeroDivisionError, match="the wire broke"):
        measured(tmp_path, pair_stages("latency"), 3, wire=breaks)


def test_every_registered_probe_has_a_stage_here():
    # Of tests/unit/test_reach_judged, test_bursts_on_loopback, test_host_noise_on_loopback, test_loads_on_loopback.
    elsewhere = {REACH, BURSTS, HOST_NOISE, STORAGE, *LOADS}
    assert set(probes()) == {*PAIR_PROBES, *SHAPES, *elsewhere}
