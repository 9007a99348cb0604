"""GPUs during a session with threads as ranks: from a driver that is made up to what the detectors say of it."""

import itertools
from datetime import UTC, datetime
from pathlib import Path

import pytest

from netprobe.contracts import System
from netprobe.judge.evidence import evidence_of
from netprobe.model.finding import Finding, Gap
from netprobe.model.gpu import GpuCondition, GpuCount, GpuDevice, GpuLevels, GpuSurvey, Hold, UnreadGpu
from netprobe.model.limits import Limits
from netprobe.model.plan import Plan, Scope, Stage
from netprobe.model.run import Launch, RunStatus
from netprobe.plan.task import Task
from netprobe.registry import detectors
from netprobe.session.threads import run_on_threads
from netprobe.store.files import GPUS_FILE
from netprobe.store.reader import read_run
from netprobe.store.writer import RunWriter
from netprobe.system.here import NoNetlink

PCI = "0000:18:00.0"


class HotGpus:
    """One GPU that is always hot, and counts an uncorrectable error whenever it is asked."""

    def __init__(self, survey):
        self._survey = survey
        self._errors = itertools.count()

    def survey(self):
        return self._survey

    def levels(self, pci):
        return GpuLevels(sm_clock_mhz=990, holds=frozenset({Hold.HARDWARE_THERMAL}), celsius=88)

    def condition(self, pci):
        return GpuCondition(links=18, links_active=18)

    def counters(self, pci):
        return {GpuCount.ECC_UNCORRECTED: next(self._errors)}


FOUND = GpuSurvey(driver="570", devices=(GpuDevice(pci=PCI, name="NVIDIA H100", sm_clock_target_mhz=1980),))
CLOSED = GpuSurvey(unread=(UnreadGpu(pci=None, reason="nvidia-ml-py is not installed"),))


def measured(tmp_path, gpus):
    stage = Stage(
        id="bandwidth", probe="bandwidth", scope=Scope.BETWEEN_HOSTS, sizes_bytes=(512,), iterations=4,
        warmup_iterations=1, window=2,
    )  # fmt: skip
    plan = Plan(profile="test", seed=3, stages=(stage,), transport="loopback")
    launch = Launch(method="loopback", argv=(), mpi="")
    writer = RunWriter.create(tmp_path, plan, launch, started=datetime(2026, 1, 1, tzinfo=UTC), run_id="test")
    system = System(root=tmp_path / "root", netlink=NoNetlink(), gpus=gpus)
    run_on_threads(Task(plan=plan), 4, writer, host_of=lambda rank: f"n{rank % 2}", system=system)
    writer.close(RunStatus.COMPLETE, None)
    return read_run(writer.directory)


def told(run, id):
    return list(detectors()[id].detect(evidence_of(run), Limits()))


def test_the_first_rank_of_each_host_tells_of_its_gpus_and_nobody_else_does(tmp_path):
    run = measured(tmp_path, HotGpus(FOUND))

    assert sorted((each.stage, each.rank, each.pci) for each in run.gpu_windows) == [
        ("bandwidth", 0, PCI),
        ("bandwidth", 1, PCI),
    ]
    assert all(each.samples == each.samples_held > 0 for each in run.gpu_windows)


def test_errors_of_memory_are_counted_over_the_stage_and_named(tmp_path):
    answers = told(measured(tmp_path, HotGpus(FOUND)), "gpu-throttle")

    found = [each for each in answers if isinstance(each, Finding) and "memory" in each.summary]
    assert [(each.severity, each.subjects) for each in found] == [
        ("blocks", (f"n0 {PCI}",)),
        ("blocks", (f"n1 {PCI}",)),
    ]


@pytest.mark.parametrize("id", ["gpu-throttle", "nvlink-degraded"])
def test_a_driver_that_cannot_be_asked_is_one_gap_for_all_hosts(tmp_path, id):
    (gap,) = told(measured(tmp_path, HotGpus(CLOSED)), id)

    assert isinstance(gap, Gap)
    assert gap.reason.endswith("(n0, n1): nvidia-ml-py is not installed")


def test_hosts_without_a_driver_write_no_table_of_gpus(tmp_path):
    run = measured(tmp_path, None)

    assert run.gpu_windows == ()
    assert not (Path(run.directory) / GPUS_FILE).exists()
