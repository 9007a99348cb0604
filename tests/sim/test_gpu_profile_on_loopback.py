"""The whole profile quick on threads as ranks, each with a GPU of the tests: MPI and NCCL, host and GPU memory."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from fake_gpu import COMPILER, FakeGpu
from fake_nccl import FakeWorld

from netprobe.contracts import RenderOptions
from netprobe.judge.judge import judge
from netprobe.model.limits import Limits
from netprobe.model.plan import Path
from netprobe.model.run import Launch, RunStatus
from netprobe.model.verdict import Verdict
from netprobe.plan.profiles import plan_for
from netprobe.plan.task import Task
from netprobe.registry import reporters
from netprobe.session.gpu import GpuEdge
from netprobe.session.threads import run_on_threads
from netprobe.store.reader import read_run
from netprobe.store.writer import RunWriter
from netprobe.system.here import recorded_system

RANKS = 4
LARGEST_BYTES = 16 << 10


@pytest.fixture(scope="module")
def run(need, tmp_path_factory):
    """What was measured; small messages, for the GPU is a CPU."""
    need("cxx", COMPILER is not None, "no C++ compiler; try: apt-get install g++")
    root = tmp_path_factory.mktemp("gpus")
    (root / "proc/driver/nvidia/gpus/0000:18:00.0").mkdir(parents=True)
    stages = tuple(
        replace(
            stage, iterations=12, window=2, sizes_bytes=tuple(min(size, LARGEST_BYTES) for size in stage.sizes_bytes)
        )
        for stage in plan_for("quick").stages
    )
    plan = replace(plan_for("quick"), stages=stages, transport="loopback")
    launch = Launch(method="loopback", argv=(), mpi="")
    writer = RunWriter.create(root / "runs", plan, launch, started=datetime(2026, 1, 1, tzinfo=UTC), run_id="test")
    run_on_threads(
        Task(plan=plan),
        RANKS,
        writer,
        host_of=lambda rank: f"node{rank}",
        system=recorded_system(root),
        opens_nccl=FakeWorld().opens,
        gpu_edge=GpuEdge(
            count=lambda _environ: 8, open=lambda _ordinal: FakeGpu(hides=False), trial=lambda _ordinal: ["true"]
        ),
    )
    writer.close(RunStatus.COMPLETE, None)
    return read_run(writer.directory)


def test_every_stage_is_measured_and_every_byte_of_every_memory_is_right(run):
    assert {outcome.stage for outcome in run.header.outcomes} == {stage.id for stage in run.header.plan.stages}
    assert {stage.path for stage in run.header.plan.stages} == {Path.MPI, Path.NCCL}  # there is no RDMA device
    assert sum(len(faults) for faults in run.series["faults"]) == 0
    # Who is slow is the scheduler's doing here: four ranks share this machine, and each is a host of its own.
    assert judge(run, Limits()).verdict is not Verdict.INCONCLUSIVE


def test_a_reader_sees_the_layers_the_memory_and_the_gpu_of_each_rank(run):
    text = reporters()["console"].render(judge(run, Limits()), RenderOptions(width=80, verbose=True))

    for words in (
        "layer by layer, the same pairs",
        "bandwidth, one way, GPU memory",
        "NCCL bandwidth, one way, GPU memory",
        "NCCL collectives of 4 ranks, GPU memory",
        "gpus: Fake H200",
        "node3:3  GPU 0 · 0000:18:00.0 · Fake H200",
    ):
        assert words in text
    # What noise may bring: commands are not broken, so that they can be copied.
    assert max(len(line) for line in text.splitlines() if "netprobe run" not in line) <= 80


def test_nccls_own_layout_tells_gpus_from_host_memory(run):
    text = reporters()["nccl-tests"].render(judge(run, Limits()), RenderOptions())

    assert "# Devices are ranks with buffers in host memory" in text
    assert "# Devices are GPUs; nccl moves memory of kind device" in text
    assert "device  0 [0000:18:00] Fake H200" in text
