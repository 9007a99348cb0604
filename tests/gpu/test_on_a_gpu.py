"""On a machine with an NVIDIA GPU: kernels, buffers, copies, the trial of MPI, NVML, NCCL, a NIC, and a whole run."""

import ctypes
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from netprobe import _native
from netprobe.buffers._cupy import open_gpu, visible_gpus
from netprobe.buffers.cuda import CudaBuffer
from netprobe.buffers.host import HostBuffer
from netprobe.buffers.patterns import accumulated, spun
from netprobe.contracts import Collective
from netprobe.errors import GpuError, NetprobeError
from netprobe.model.collective import SHAPES
from netprobe.model.endpoint import Rank
from netprobe.model.gpu import CopyWay
from netprobe.model.plan import DTYPES, OPS, Memory
from netprobe.session.copies import measure_copies
from netprobe.session.cuda_trial import tried, try_in_child
from netprobe.system.nvml import nvml_here
from netprobe.transports._nccl_engine import open_library
from netprobe.transports._verbs_engine import Broken
from netprobe.transports._verbs_native import NativeDevice
from netprobe.transports.loopback import LoopbackControl, LoopbackTransport, LoopbackWorld
from netprobe.transports.nccl import NcclTransport

pytestmark = pytest.mark.gpu
SIZES = (1, 7, 8, 63, 1000, 4097, 1_000_003)
SUMMED = {"float32": "f4", "float16": "f2", "bfloat16": "u2", "int32": "i4", "uint8": "u1"}
LONGEST_S = 180
HERE = Rank(rank=0, host="here", local_index=0, cpus=(), pid=1)


@pytest.fixture(scope="module")
def count(need):
    try:
        found, reason = visible_gpus(os.environ), ""
    except NetprobeError as error:
        found, reason = 0, str(error)
    need("gpu", found > 0, reason)
    return found


@pytest.fixture(scope="module")
def gpu(count):
    return open_gpu(0)


@pytest.mark.parametrize("memory", [Memory.DEVICE, Memory.PINNED, Memory.MANAGED])
@pytest.mark.parametrize("offset_bytes", [0, 1, 8, 13])
def test_patterns_are_those_of_the_host_in_every_memory_and_at_every_offset(gpu, memory, offset_bytes):
    for size_bytes in SIZES:
        on_gpu, on_host = CudaBuffer(gpu, memory, size_bytes + 64), HostBuffer(size_bytes + 64)
        truth = {"seed": 5, "rank": 3, "iteration": 2, "first_word": 11, "size_bytes": size_bytes}
        for buffer in (on_gpu, on_host):
            buffer.fill_pattern(**truth, offset_bytes=offset_bytes)

        assert gpu.read(on_gpu.address, on_gpu.size_bytes) == on_host.array.tobytes()
        assert on_gpu.verify_pattern(**truth, offset_bytes=offset_bytes) is None


def test_damage_is_told_as_the_host_tells_it(gpu):
    on_gpu, on_host = CudaBuffer(gpu, Memory.DEVICE, 1 << 20), HostBuffer(1 << 20)
    truth = {"seed": 5, "rank": 3, "iteration": 2, "offset_bytes": 0, "size_bytes": 1 << 20}
    on_gpu.fill_pattern(**truth)
    for place in (0, 77, 4096, (1 << 20) - 1):
        gpu.set_bytes(on_gpu.address + place, 0xA5, 1)
    on_host.array[:] = np.frombuffer(gpu.read(on_gpu.address, 1 << 20), dtype=np.uint8)

    told = on_gpu.verify_pattern(**truth)

    assert told is not None
    assert told == on_host.verify_pattern(**truth)


@pytest.mark.parametrize("op", OPS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_contributions_and_results_are_those_of_the_host(gpu, dtype, op):
    on_gpu, on_host = CudaBuffer(gpu, Memory.DEVICE, 8 * 1001), HostBuffer(8 * 1001)
    for ranks in (1, 2, 5, 1024):
        shared = {"dtype": dtype, "op": op, "seed": 9, "iteration": 4, "ranks": ranks}
        for buffer in (on_gpu, on_host):
            buffer.poison()
            buffer.fill_contribution(**shared, rank=ranks - 1, count=1001)
        assert gpu.read(on_gpu.address, on_gpu.size_bytes) == on_host.array.tobytes()
        assert on_gpu.verify_reduction(**shared, count=1001) == on_host.verify_reduction(**shared, count=1001)


@pytest.mark.parametrize("op", ["sum", "max", "min"])
@pytest.mark.parametrize("dtype", sorted(SUMMED))
def test_a_step_of_a_ring_is_that_of_the_host(gpu, dtype, op):
    kind = np.dtype(SUMMED[dtype])
    numbers = np.random.default_rng(3).integers(0, 100, size=(2, 5003)).astype(np.float32)
    as_stored = (numbers.view(np.uint32) >> 16).astype(np.uint16) if dtype == "bfloat16" else numbers.astype(kind)
    there, came = as_stored[0].copy(), as_stored[1].copy()
    target, source, pinned = (
        gpu.allocate(memory, there.nbytes) for memory in (Memory.DEVICE, Memory.DEVICE, Memory.PINNED)
    )
    for memory, values in ((target, there), (source, came)):
        ctypes.memmove(pinned.address, values.ctypes.data, values.nbytes)
        gpu.copy(memory.address, pinned.address, values.nbytes)
        gpu.finish()

    gpu.launch(f"accumulate_{dtype}_{op}", (target.address, source.address), (there.size,), threads=there.size)

    found = np.frombuffer(gpu.read(target.address, there.nbytes), dtype=kind)
    assert np.array_equal(found, accumulated(there, came, dtype, op))


def test_spinning_takes_every_step_and_longer_for_more(gpu):
    values = gpu.allocate(Memory.DEVICE, 8 * 256)

    def spin(steps):
        return gpu.timed_ns(lambda: gpu.launch("spin", (values.address,), (256, 7, steps), threads=256))

    spin(1000)
    assert spin(4_000_000) > 2 * spin(1_000_000)
    spin(1000)
    assert np.frombuffer(gpu.read(values.address, 8), dtype=np.uint64)[0] == spun(7, 1000) == _native.spin(7, 1000)


def test_more_memory_than_there_is_is_one_line(gpu):
    with pytest.raises(GpuError) as refused:
        gpu.allocate(Memory.DEVICE, 1 << 44)

    assert "\n" not in str(refused.value)


def test_whether_mpi_takes_a_gpus_memory_is_found_out_without_harm(count):
    trial = try_in_child(tried(0), os.environ)

    assert trial.is_aware or trial.why


def test_nvml_tells_of_the_gpu_that_cuda_uses(gpu):
    nvml = nvml_here(Path("/"))

    assert nvml is not None
    assert gpu.endpoint.pci in [each.pci for each in nvml.survey().devices]


@pytest.mark.parametrize("memory", ["device", "pinned", "managed"])
def test_a_run_in_a_gpus_memory_checks_its_data(count, tmp_path, memory):
    command = [sys.executable, "-m", "netprobe", "run", "bandwidth", "-b", "64K", "-e", "4M", "-f", "8"]
    ended = subprocess.run(
        [*command, "--memory", memory, "--out", str(tmp_path), "--format", "json"],
        capture_output=True,
        text=True,
        timeout=LONGEST_S,
        check=False,
    )

    report = json.loads(ended.stdout)
    assert report["findings"] == []
    assert report["coverage"]["checked_iterations"] > 0
    assert {row["send_memory"] for row in report["pairs"]} == {memory}
    assert len(report["gpus"]) == 2


@pytest.fixture
def nccl(gpu):
    """NCCL with one rank, which has nobody to send to: its calls, events and graphs are those of many."""
    library = open_library(gpu.endpoint.ordinal, {})
    shared = LoopbackWorld(1)
    communicator = library.communicator(1, library.unique_id(), 0)
    transport = NcclTransport(LoopbackTransport(shared, 0), LoopbackControl(shared, 0), library, communicator)
    yield transport
    transport.close()


def summed(gpu, count):
    """Return two buffers of a GPU, and the all-reduce from one to the other."""
    send, receive = (CudaBuffer(gpu, Memory.DEVICE, 4 * count) for _ in range(2))
    truth = {"dtype": "float32", "op": "sum", "seed": 3, "iteration": 0, "ranks": 1, "count": count}
    send.fill_contribution(**truth, rank=0)
    receive.poison()
    call = Collective(
        shape=SHAPES["allreduce"], send_address=send.address, receive_address=receive.address, send_count=count,
        receive_count=count, dtype="float32", op="sum", root=0, in_place=False,
    )  # fmt: skip
    return send, receive, call, truth


def test_a_communicator_of_one_rank_reduces_by_graphs_and_tells_each_iteration(gpu, nccl):
    _send, receive, call, truth = summed(gpu, 1 << 20)
    nccl.try_out()

    stamps = nccl.collective(call, iterations=200)

    assert nccl.no_graphs is None
    assert len(stamps) == 201
    assert (np.diff(stamps) > 0).all()
    assert receive.verify_reduction(**truth) is None


def test_nothing_between_iterations_takes_no_longer_than_an_event_after_each(gpu, nccl):
    _send, _receive, call, _truth = summed(gpu, 1 << 20)
    nccl.try_out()
    for transport in (nccl, nccl.undivided()):  # captured once, before anything is compared
        transport.collective(call, iterations=100)

    divided = min(int(stamps[-1] - stamps[0]) for stamps in (nccl.collective(call, iterations=100) for _ in range(5)))
    whole = min(int(np.ptp(nccl.undivided().collective(call, iterations=100))) for _ in range(5))

    assert 0 < whole < 1.2 * divided


def test_copies_of_every_way_are_measured_and_within_the_gpu_is_quicker_than_over_its_bus(gpu, count):
    rates, gaps = measure_copies(LoopbackControl(LoopbackWorld(1), 0), [HERE], gpu, count)

    told = {each.way: each.gbps for each in rates}
    assert gaps == ()
    assert {CopyWay.TO_GPU, CopyWay.FROM_GPU, CopyWay.WITHIN_GPU} <= set(told)
    assert (CopyWay.TO_PEER in told) == (count > 1)
    assert told[CopyWay.WITHIN_GPU] > told[CopyWay.TO_GPU] > 0


def test_a_nic_registers_memory_of_the_gpu_by_its_address_or_by_a_dma_buf(gpu, need):
    names = sorted(each.name for each in Path("/sys/class/infiniband").glob("*"))
    need("rdma-device", bool(names), "no device below /sys/class/infiniband")
    device = NativeDevice(names[0])
    memory = gpu.allocate(Memory.DEVICE, 1 << 20)
    try:
        try:
            region = device.register(memory.address, memory.size_bytes)
        except Broken:
            file = gpu.dma_buf(memory)
            assert file is not None, "neither nvidia_peermem nor a dma-buf of the driver (CUDA 11.7, Linux 5.12)"
            region = device.register(memory.address, memory.size_bytes, file)
            os.close(file)
        device.release(region)
    finally:
        device.close()
