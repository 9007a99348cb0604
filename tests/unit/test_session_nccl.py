"""Opening NCCL on all ranks or on none, and a whole run over it: plan, data, facts, gaps."""

import os
import tempfile
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from fake_gpu import COMPILER, FakeGpu
from fake_nccl import FakeWorld
from nccl_logs import rank_log

from netprobe.contracts import RenderOptions
from netprobe.errors import UnavailableError
from netprobe.judge.judge import judge
from netprobe.model.collective import CALLS
from netprobe.model.endpoint import Rank
from netprobe.model.gpu import GpuEndpoint
from netprobe.model.limits import Limits
from netprobe.model.plan import Memory, Plan, Scope, Stage
from netprobe.model.plan import Path as Carrier
from netprobe.model.record import StageFinished
from netprobe.model.run import Launch, RunStatus
from netprobe.plan.profiles import PROFILES, plan_for
from netprobe.plan.task import Task
from netprobe.registry import reporters
from netprobe.session import nccl as opening
from netprobe.session.gpu import GpuEdge
from netprobe.session.nccl import ordinal_of, settings_for, shared_gpus
from netprobe.session.nccl_says import own_log
from netprobe.session.threads import run_on_threads
from netprobe.store.reader import read_run
from netprobe.store.writer import RunWriter
from netprobe.system.here import recorded_system
from netprobe.transports._nccl_engine import Broken

FEW = {
    "iterations": 4, "warmup_iterations": 1, "window": 2, "path": Carrier.NCCL, "send_memory": Memory.DEVICE,
    "receive_memory": Memory.DEVICE,
}  # fmt: skip
GPUS = GpuEdge(count=lambda _environ: 8, open=lambda _ordinal: FakeGpu(hides=False))
ALLREDUCE = Stage(
    id="nccl-allreduce", probe="allreduce", scope=Scope.WORLD, sizes_bytes=(1024,), dtype="float32", **FEW
)
PAIRS = tuple(
    Stage(id=f"nccl-{probe}", probe=probe, scope=Scope.BETWEEN_HOSTS, sizes_bytes=(512,), **FEW)
    for probe in ("latency", "bandwidth", "bidirectional")
)
GROUPS = tuple(
    replace(ALLREDUCE, id=f"nccl-{kind}", probe=kind, sizes_bytes=(8, 1000), in_place=(False, True)) for kind in CALLS
)
BY_MPI = Stage(
    id="latency", probe="latency", scope=Scope.BETWEEN_HOSTS, sizes_bytes=(8,), iterations=4, warmup_iterations=1
)


@pytest.fixture(autouse=True)
def compiler(need):
    need("cxx", COMPILER is not None, "no C++ compiler; try: apt-get install g++")


def with_driver(root):
    """A system whose driver shows a GPU."""
    (root / "proc/driver/nvidia/gpus/0000:18:00.0").mkdir(parents=True)
    return recorded_system(root)


@pytest.fixture
def measured(tmp_path):
    """Return a function that runs stages on so many threads, a host each, and returns the run."""

    def run(stages, ranks, world):
        plan = Plan(profile="test", seed=3, stages=tuple(stages), transport="loopback")
        launch = Launch(method="loopback", argv=(), mpi="")
        writer = RunWriter.create(tmp_path, plan, launch, started=datetime(2026, 1, 1, tzinfo=UTC), run_id="test")
        run_on_threads(
            Task(plan=plan),
            ranks,
            writer,
            host_of=lambda rank: f"n{rank}",
            system=with_driver(tmp_path),
            opens_nccl=world.opens,
            gpu_edge=GPUS,
        )
        writer.close(RunStatus.COMPLETE, None)
        return read_run(writer.directory)

    return run


def host_rank(number, host, local_index=0):
    return Rank(rank=number, host=host, local_index=local_index, cpus=(), pid=100 + number)


def plan_of(*stages):
    return Plan(profile="test", seed=0, stages=stages)


@pytest.mark.parametrize("ranks", [2, 3])
def test_every_probe_runs_over_nccl_and_its_data_is_right(measured, ranks):
    run = measured([*PAIRS, *GROUPS], ranks, FakeWorld())

    assert {outcome.stage for outcome in run.header.outcomes} == {stage.id for stage in (*PAIRS, *GROUPS)}
    assert set(run.series["probe"].unique()) == {*CALLS, "latency", "bandwidth", "bidirectional"}
    assert sum(len(faults) for faults in run.series["faults"]) == 0
    timed = run.series.filter((run.series["phase"] == "timed") & (run.series["checked_iterations"] > 0))
    assert set(timed["probe"].unique()) >= {*CALLS, "latency", "bandwidth", "bidirectional"} - {"barrier"}


def test_collectives_and_streams_are_run_undivided_as_well_and_told_beside_the_others(measured):
    report = judge(measured([*PAIRS, ALLREDUCE, replace(BY_MPI, probe="bandwidth")], 2, FakeWorld()), Limits())

    [group] = report.groups
    assert group.iterations == group.pipelined_iterations == FEW["iterations"]
    assert group.pipelined_ns > 0
    assert group.pipelined_busbw_gigabytes_per_s == pytest.approx(group.size_bytes / group.pipelined_ns)  # of two ranks
    undivided = {row.probe for row in report.pairs if row.pipelined_gbps is not None}
    assert undivided == {"bandwidth", "bidirectional"}
    assert {row.pipelined_gbps for row in report.pairs if row.path is Carrier.MPI} == {None}
    for format in ("console", "markdown", "json", "nccl-tests"):
        assert "pipelined" in reporters()[format].render(report, RenderOptions(width=200)).lower()


def test_what_nccl_says_is_kept_by_rank_and_host_and_judged(measured):
    world = FakeWorld(log=lambda host, rank, ranks: rank_log(host, rank, ranks=ranks, suffix="" if rank else "/GDRDMA"))

    run = measured([ALLREDUCE], 2, world)
    report = judge(run, Limits())

    assert [(each.rank, each.host, each.network) for each in run.header.nccl] == [(0, "n0", "IB"), (1, "n1", "IB")]
    assert [each.subjects for each in report.findings if each.detector == "nccl-fallback"] == [("n1",)]


def test_what_the_measured_sizes_took_is_known_once_they_were_measured(measured):
    run = measured([replace(ALLREDUCE, sizes_bytes=(1024, 65536))], 2, FakeWorld())

    first, other = run.header.nccl
    taken = {(each.operation, each.size_bytes, each.algorithm, each.protocol) for each in first.choices}
    assert taken == {
        ("AllReduce", 1, "RING", "LL"), ("AllReduce", 1024, "RING", "LL"), ("AllReduce", 65536, "RING", "SIMPLE"),
    }  # fmt: skip
    assert other.choices == ()
    assert (first.version, other.version) == ("2.21.5", "2.21.5")


def test_reports_tell_which_way_nccl_took(measured):
    report = judge(measured([replace(ALLREDUCE, sizes_bytes=(1024, 2048, 65536))], 2, FakeWorld()), Limits())

    line = (
        "NCCL 2.21.5 on n[0-1] (2 ranks): IB, GPUDirect · AllReduce RING LL 1 KiB to 2 KiB · "
        "AllReduce RING SIMPLE 64 KiB · "
        "forced: NCCL_ALGO=RING"
    )
    console = reporters()["console"]
    assert line in console.render(report, RenderOptions(width=300, verbose=True))
    assert line not in console.render(report, RenderOptions(width=300))
    assert "AllReduce RING SIMPLE 64 KiB" in reporters()["markdown"].render(report, RenderOptions())
    assert '"algorithm":"RING"' in reporters()["json"].render(report, RenderOptions()).replace(": ", ":")


def test_nothing_is_opened_where_no_stage_asks_for_it(measured):
    world = FakeWorld()

    run = measured([BY_MPI], 2, world)

    assert world.settings == []
    assert run.header.nccl == ()


def test_one_rank_without_nccl_keeps_all_from_it_and_the_rest_is_measured(measured):
    refusal = UnavailableError("CuPy finds no NCCL", remedy="pip install nvidia-nccl-cu12")
    # Each thread is the first rank of a host of its own, and so would open the GPU 0.
    world = FakeWorld(refusals={0: refusal})

    run = measured([BY_MPI, ALLREDUCE], 2, world)

    assert [stage.id for stage in run.header.plan.stages] == ["latency"]
    [gap] = [each for each in run.header.not_tested if each.topic == "nccl"]
    assert gap.reason == "NCCL cannot be used on any host: CuPy finds no NCCL"
    assert gap.remedy == "pip install nvidia-nccl-cu12"


def test_a_plan_of_nothing_else_is_an_error_with_what_to_try(measured):
    world = FakeWorld(refusals={0: UnavailableError("there is no NVIDIA driver", remedy="nvidia-smi")})

    with pytest.raises(UnavailableError, match="there is no NVIDIA driver; try: nvidia-smi"):
        measured([ALLREDUCE], 2, world)


def test_a_communicator_that_cannot_be_made_is_told_in_nccls_words(measured):
    class Refusing(FakeWorld):
        def opens(self, ordinal, settings):
            library = super().opens(ordinal, settings)

            def communicator(_ranks, _identity, rank):
                Path(settings["NCCL_DEBUG_FILE"]).write_text(
                    "n0:1:2 [0] misc/socket.cc:50 NCCL WARN socketStartConnect: Connect to 192.0.2.9<1> failed\n"
                )
                raise Broken("ncclCommInitRank", f"NCCL_ERROR_SYSTEM_ERROR on {rank}")

            library.communicator = communicator
            return library

    run = measured([BY_MPI, ALLREDUCE], 2, Refusing())

    reasons = [each.reason for each in run.header.not_tested if each.topic == "nccl"]
    assert "NCCL_ERROR_SYSTEM_ERROR" in reasons[0]
    assert "socketStartConnect: Connect to 192.0.2.9<1> failed" in reasons[0]


def test_ranks_that_do_not_meet_are_given_up():
    class Deaf:
        def communicator(self, _ranks, _identity, _rank):
            opening.threading.Event().wait(5)

        def unique_id(self):
            return b"1"

    class Alone:
        rank, size = 0, 1

        def broadcast(self, value):
            return value

    how = opening._Meeting(None, {}, lambda: None, 0.05)

    told = opening._communicator(Alone(), Deaf(), how)

    assert told.problem == "the ranks did not meet within 0 s"


def test_what_goes_wrong_in_the_first_reduction_keeps_all_from_it(measured):
    world = FakeWorld(errors=dict.fromkeys((0, 1), "NCCL_ERROR_REMOTE_ERROR: remote process exited"))
    world.silent = {0, 1}

    run = measured([BY_MPI, ALLREDUCE], 2, world)

    assert [stage.id for stage in run.header.plan.stages] == ["latency"]
    assert any("REMOTE_ERROR" in each.reason for each in run.header.not_tested)
    assert sorted(world.aborted) == [0, 1]


def test_without_graphs_that_is_told_with_the_run(measured):
    run = measured([ALLREDUCE], 2, FakeWorld(captures=False))

    assert any("no CUDA graphs on n[0-1]" in each.reason for each in run.header.not_tested)


def test_two_hosts_reduce_in_a_ring_and_that_is_recorded(measured):
    world = FakeWorld()

    run = measured([ALLREDUCE], 2, world)

    assert ("NCCL_ALGO", "RING") in run.header.environment
    assert all(each["NCCL_ALGO"] == "RING" for each in world.settings)


@pytest.mark.parametrize("profile", PROFILES)
def test_every_profile_reduces_in_a_ring_between_two_hosts(profile):
    ranks = (host_rank(0, "a"), host_rank(1, "b"))

    assert settings_for(plan_for(profile), ranks, {})["NCCL_ALGO"] == "RING"


def test_more_hosts_reduce_as_nccl_likes(measured):
    run = measured([ALLREDUCE], 3, FakeWorld())

    assert "NCCL_ALGO" not in dict(run.header.environment)


def test_what_the_user_set_stays():
    ranks = (host_rank(0, "a"), host_rank(1, "b"))

    assert settings_for(plan_of(ALLREDUCE), ranks, {}) == {"NCCL_ALGO": "RING", "NCCL_GRAPH_REGISTER": "0"}
    assert settings_for(plan_of(ALLREDUCE), ranks, {"NCCL_ALGO": "TREE"}) == {"NCCL_GRAPH_REGISTER": "0"}
    assert settings_for(plan_of(*PAIRS), ranks, {}) == {"NCCL_GRAPH_REGISTER": "0"}
    assert settings_for(plan_of(*PAIRS), ranks, {"NCCL_GRAPH_REGISTER": "1"}) == {}


def test_the_log_of_each_rank_has_a_file_of_its_own_that_does_not_stay(measured):
    world = FakeWorld()

    measured([ALLREDUCE], 2, world)

    files = {each["NCCL_DEBUG_FILE"] for each in world.settings}
    assert len(files) == 2
    assert not any(Path(name).exists() for name in files)
    assert all(name.startswith(tempfile.gettempdir() + os.sep) for name in files)
    assert all(each["NCCL_DEBUG"] == "INFO" for each in world.settings)


@pytest.mark.parametrize("variable", ["NCCL_DEBUG", "NCCL_DEBUG_FILE"])
def test_a_log_that_the_user_wants_somewhere_is_left_there(variable):
    assert own_log({variable: "WARN"}) is None
    [gap] = opening._unlogged(None)
    assert "was not read" in gap.reason


def test_ranks_that_share_a_gpu_are_named_with_it():
    ranks = (host_rank(0, "a"), host_rank(1, "a", 1), host_rank(2, "b"))
    pci = "0000:18:00.0"

    gap = shared_gpus([(0, pci), (1, pci), (2, pci)], ranks)

    assert gap.reason == f"NCCL cannot be used: ranks 0 and 1 share the GPU {pci} of a"
    assert shared_gpus([(0, pci), (1, "0000:2a:00.0"), (2, pci)], ranks) is None


def test_ranks_that_share_a_gpu_do_not_try():
    class Both(FakeWorld):
        def opens(self, ordinal, settings):
            library = super().opens(ordinal, settings)
            library.communicator = None
            return library

    world = Both(gpus={0: "0000:18:00.0", 1: "0000:18:00.0"})
    plan = Plan(profile="test", seed=3, stages=(ALLREDUCE,), transport="loopback")

    with pytest.raises(UnavailableError, match=r"ranks 0 and 1 share the GPU 0000:18:00.0 of one"):
        run_on_threads(Task(plan=plan), 2, NoSink(), host_of=lambda _rank: "one", opens_nccl=world.opens, gpu_edge=GPUS)


class NoSink:
    def emit(self, record):
        """Keep nothing."""


def test_a_rank_takes_the_gpu_it_was_given_else_the_one_in_its_place():
    given = GpuEndpoint(
        rank=1, ordinal=5, pci="0000:18:00.0", name="H100", memory_bytes=1, driver="12.8", runtime="12.8"
    )

    assert ordinal_of(1, host_rank(1, "a", 1), [given]) == 5
    assert ordinal_of(0, host_rank(0, "a", 3), [given]) == 3


def test_a_later_launch_without_nccl_leaves_its_stages_out_and_says_so(tmp_path):
    world = FakeWorld(refusals={0: UnavailableError("CuPy finds no NCCL")})
    kept = Kept()
    task = Task(plan=plan_of(BY_MPI, ALLREDUCE), roster=(("n0", (0,)), ("n1", (1,))))

    run_on_threads(
        task,
        2,
        kept,
        host_of=lambda rank: f"n{rank}",
        system=with_driver(tmp_path),
        opens_nccl=world.opens,
        gpu_edge=GPUS,
    )

    outcomes = {each.outcome.stage: each.outcome for each in kept.records if isinstance(each, StageFinished)}
    assert outcomes["latency"].rounds > 0
    assert outcomes["nccl-allreduce"].rounds == 0
    [gap] = outcomes["nccl-allreduce"].gaps
    assert gap.undermines
    assert "CuPy finds no NCCL" in gap.reason


class Kept:
    def __init__(self):
        self.records = []

    def emit(self, record):
        self.records.append(record)
