"""On the ranks: messages in memory that only a GPU may touch, copied by way of the host's.

The GPU is one of the tests: its memory lies where the process dies of a touch, so that no byte can take another way.
"""

import pytest
from fake_gpu import COMPILER, FakeGpu

from netprobe.model.collective import SHAPES, TRACED_RING
from netprobe.model.endpoint import Calibration
from netprobe.model.plan import Memory, Plan, Scope, Stage
from netprobe.model.record import RanksReady, RoundFinished
from netprobe.plan.gpu import in_gpu
from netprobe.plan.task import Task
from netprobe.session.cuda_trial import tried
from netprobe.session.devices import DeviceEdges
from netprobe.session.gpu import GpuEdge
from netprobe.session.worker import Session

FEW = {"iterations": 3, "warmup_iterations": 1, "window": 4, "check_iterations": 2}
ODD_BYTES = (1, 8, 1003, 70_001)  # and past what MPI sends eagerly


class Kept:
    """A Sink that keeps every record."""

    def __init__(self):
        self.records = []

    def emit(self, record):
        self.records.append(record)

    def of(self, kind):
        return [each for each in self.records if isinstance(each, kind)]


@pytest.fixture
def run(need, transport, control):
    """Run stages with a GPU on every rank; return what rank 0 was told, and this rank's GPU."""
    need("cxx", COMPILER is not None, "no C++ compiler; try: apt-get install g++")

    def on_gpus(stages, *, refuses=True):
        gpu = FakeGpu(pci=f"0000:{control.rank:02x}:00.0")
        # Which way MPI takes is known here; the trial itself is tried in tests/mpi/test_gpu_trial.py.
        trial = ["false" if refuses else "true"]
        sink = Kept()
        session = Session(
            transport=transport,
            control=control,
            sink=sink if control.rank == 0 else None,
            calibration=Calibration(clock_read_ns=25.0, empty_iteration_ns=1.0),
            environment=(),
            host=f"n{control.rank}",
            pause=lambda _seconds: None,
            edges=DeviceEdges(
                gpu=GpuEdge(count=lambda _environ: 8, open=lambda _ordinal: gpu, trial=lambda _ordinal: trial)
            ),
        )
        session.run(Task(plan=Plan(profile="test", seed=3, stages=tuple(stages))))
        return control.broadcast(sink), gpu

    return on_gpus


def pair_stage(probe, *, size_bytes=ODD_BYTES):
    return Stage(id=probe, probe=probe, scope=Scope.BETWEEN_HOSTS, sizes_bytes=size_bytes, **FEW)


def series_of(sink):
    return [each for round_ in sink.of(RoundFinished) for each in round_.series]


def wrong_in(sink):
    return [fault for each in series_of(sink) for fault in each.faults]


def checked_stages(sink):
    return {each.stage for each in series_of(sink) if each.checked_iterations}


def test_pairs_carry_a_gpus_memory_whole_by_way_of_the_host(run, together, control):
    if control.size == 1:
        pytest.skip("one rank: pairs of GPUs need two")
    host, device = Memory.HOST, Memory.DEVICE
    ends = ((device, device), (device, host), (host, device))
    stages = [in_gpu(pair_stage(probe), *each) for probe in ("latency", "bandwidth", "bidirectional") for each in ends]

    # In one session: ranks that share CPUs take long to agree.
    sink, gpu = run(stages)

    together(not wrong_in(sink), wrong_in(sink))
    together(checked_stages(sink) == {stage.id for stage in stages}, checked_stages(sink))
    meets_somebody = control.size % 2 == 0
    together(gpu.copied or not meets_somebody, "nothing was copied")


def test_collectives_carry_a_gpus_memory_whole_by_way_of_the_host(run, together, control):
    stages = [
        in_gpu(
            Stage(
                id=probe,
                probe=probe,
                scope=Scope.WORLD,
                sizes_bytes=(60, 6000),
                dtype="bfloat16" if shape.reduces else "uint8",
                in_place=(False, True),
                **FEW,
            )
        )
        for probe, shape in SHAPES.items()
        if probe not in ("barrier", TRACED_RING)
    ]

    sink, gpu = run(stages)

    together(not wrong_in(sink), wrong_in(sink))
    together(control.size == 1 or checked_stages(sink) == {stage.id for stage in stages}, checked_stages(sink))
    together(gpu.copied or control.size == 1, "nothing was copied")


def test_that_messages_are_copied_is_told_with_the_reason(run, together, control):
    if control.size == 1:
        pytest.skip("one rank: pairs of GPUs need two")

    sink, _ = run([in_gpu(pair_stage("bandwidth", size_bytes=(8,)))])

    (ready,) = sink.of(RanksReady)
    together(any("by way of the host's" in gap.reason for gap in ready.not_tested), ready.not_tested)
    together([each.takes_mpi for each in ready.gpus] == [False] * control.size, ready.gpus)


def test_the_trial_is_a_process_of_this_python(together):
    together(tried(3)[-1] == "3")
