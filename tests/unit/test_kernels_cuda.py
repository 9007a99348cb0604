"""The GPU's kernels, run on a CPU, against their twins in C and in NumPy; and NVIDIA's own compiler over all."""

import ctypes
import importlib.util
from pathlib import Path

import fake_gpu
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from netprobe import _native
from netprobe.buffers.cuda import CudaBuffer
from netprobe.buffers.host import HostBuffer
from netprobe.buffers.patterns import Reduction, accumulated, mismatch, pattern_bytes, spun
from netprobe.model.plan import DTYPE_BYTES, DTYPES, OPS, Memory

KERNELS = Path(__file__).parents[2] / "kernels" / "cuda"
LARGEST_SLICE = 5000
OLDEST_ARCHITECTURE = b"sm_75"  # Turing: the oldest that is compiled for without a warning
NEWEST_ARCHITECTURE = b"sm_90"  # Hopper
SUMMED = {"float32": "f4", "float16": "f2", "bfloat16": "u2", "int32": "i4", "uint8": "u1"}

seeds = st.integers(0, 2**64 - 1)
iterations = st.integers(0, 2**40)
rank_counts = st.sampled_from([1, 2, 3, 4, 5, 63, 64, 127, 128, 1024, 1025])


@pytest.fixture(scope="module", autouse=True)
def compiler(request):
    request.getfixturevalue("need")("cxx", fake_gpu.COMPILER is not None, "no C++ compiler; try: apt-get install g++")


@pytest.fixture(scope="module")
def gpu():
    return fake_gpu.FakeGpu()


def buffers(gpu, size_bytes):
    """Return the same room on the GPU and on the host, and the GPU's as an array."""
    on_gpu = CudaBuffer(gpu, Memory.DEVICE, size_bytes)
    return on_gpu, HostBuffer(size_bytes), gpu.array(on_gpu.address, size_bytes)


@given(
    seed=seeds,
    rank=st.integers(0, 2**20),
    iteration=iterations,
    first_word=st.integers(0, 2**40),
    size_bytes=st.integers(0, LARGEST_SLICE),
    offset_bytes=st.integers(0, 63),
)
def test_a_gpu_fills_what_the_host_and_numpy_do_and_nothing_beside_it(
    gpu, seed, rank, iteration, first_word, size_bytes, offset_bytes
):
    on_gpu, on_host, found = buffers(gpu, LARGEST_SLICE + 200)
    truth = {"seed": seed, "rank": rank, "iteration": iteration, "first_word": first_word, "size_bytes": size_bytes}

    for buffer in (on_gpu, on_host):
        buffer.fill_pattern(**truth, offset_bytes=offset_bytes)

    assert np.array_equal(found, on_host.array)
    assert np.array_equal(found[offset_bytes : offset_bytes + size_bytes], pattern_bytes(**truth))
    assert on_gpu.verify_pattern(**truth, offset_bytes=offset_bytes) is None


@given(data=st.data(), size_bytes=st.integers(1, LARGEST_SLICE), offset_bytes=st.integers(0, 63))
def test_damage_is_told_as_the_host_and_numpy_tell_it(gpu, data, size_bytes, offset_bytes):
    on_gpu, on_host, found = buffers(gpu, LARGEST_SLICE + 64)
    truth = {"seed": 3, "rank": 1, "iteration": 2, "first_word": 5, "size_bytes": size_bytes}
    on_gpu.fill_pattern(**truth, offset_bytes=offset_bytes)
    for place in data.draw(st.lists(st.integers(0, size_bytes - 1), min_size=1, max_size=30)):
        found[offset_bytes + place] = data.draw(st.integers(0, 255))
    on_host.array[:] = found

    told = on_gpu.verify_pattern(**truth, offset_bytes=offset_bytes)

    assert told == on_host.verify_pattern(**truth, offset_bytes=offset_bytes)
    assert told == mismatch(found[offset_bytes : offset_bytes + size_bytes], pattern_bytes(**truth))


@given(
    data=st.data(),
    dtype=st.sampled_from(DTYPES),
    op=st.sampled_from(OPS),
    seed=seeds,
    iteration=iterations,
    count=st.integers(0, 600),
    ranks=rank_counts,
)
def test_what_a_rank_adds_and_the_result_are_those_of_the_host_and_of_numpy(
    gpu, data, dtype, op, seed, iteration, count, ranks
):
    size_bytes = count * DTYPE_BYTES[dtype]
    on_gpu, on_host, found = buffers(gpu, size_bytes)
    reduction = Reduction(dtype=dtype, op=op, seed=seed, iteration=iteration, ranks=ranks)
    shared = {"dtype": dtype, "op": op, "seed": seed, "iteration": iteration, "ranks": ranks}
    rank = data.draw(st.integers(0, ranks - 1))
    first_element = data.draw(st.integers(0, count))
    left = count - first_element

    for buffer in (on_gpu, on_host):
        buffer.fill_contribution(**shared, rank=rank, count=count)

    assert np.array_equal(found, on_host.array)
    assert np.array_equal(found, reduction.contribution(rank, count).view(np.uint8))
    part = found[: left * DTYPE_BYTES[dtype]]
    part[:] = reduction.result(count)[first_element:].view(np.uint8)
    assert on_gpu.verify_reduction(**shared, count=left, first_element=first_element) is None
    if part.size:
        part[data.draw(st.integers(0, part.size - 1))] ^= 1 << data.draw(st.integers(0, 7))
        on_host.array[:] = found
        told = on_gpu.verify_reduction(**shared, count=left, first_element=first_element)
        assert told is not None
        assert told == on_host.verify_reduction(**shared, count=left, first_element=first_element)


@given(
    data=st.data(),
    dtype=st.sampled_from(sorted(SUMMED)),
    op=st.sampled_from(["sum", "max", "min"]),
    count=st.integers(0, 600),
    target_at=st.integers(0, 20),
    source_at=st.integers(0, 20),
)
def test_a_step_of_a_ring_gives_what_the_host_and_numpy_give(gpu, data, dtype, op, count, target_at, source_at):
    kind = np.dtype(SUMMED[dtype])
    largest = 2**7 if dtype in ("bfloat16", "uint8") else 2**10  # whose sums every type holds exactly
    numbers = st.lists(st.integers(0, largest - 1), min_size=count, max_size=count)
    there, came = (_elements(data.draw(numbers), dtype) for _ in range(2))
    room = 700 * kind.itemsize
    target, source = (gpu.allocate(Memory.DEVICE, room) for _ in range(2))
    found = gpu.array(target.address, room).view(kind)[target_at : target_at + count]
    found[:] = there
    gpu.array(source.address, room).view(kind)[source_at : source_at + count] = came
    on_host = there.copy()

    places = (target.address + target_at * kind.itemsize, source.address + source_at * kind.itemsize)
    gpu.launch(f"accumulate_{dtype}_{op}", places, (count,), threads=count)
    _native.accumulate(on_host.ctypes.data, came.ctypes.data, count, dtype, op)

    assert np.array_equal(found, on_host)
    assert np.array_equal(found, accumulated(there, came, dtype, op))


def test_a_ring_without_such_a_type_or_operator_is_refused():
    memory = np.zeros(8, dtype=np.uint8)
    for dtype, op in (("float64", "sum"), ("float32", "prod"), ("bfloat16", "prod"), ("uint8", "xor")):
        with pytest.raises(ValueError, match=f"{dtype} cannot be accumulated by {op}"):
            _native.accumulate(memory.ctypes.data, memory.ctypes.data, 1, dtype, op)


@given(seed=seeds, steps=st.integers(0, 300))
def test_spinning_takes_every_step(gpu, seed, steps):
    threads = 100
    values = gpu.allocate(Memory.DEVICE, 8 * threads)

    gpu.launch("spin", (values.address,), (threads, seed, steps), threads=threads)

    found = gpu.array(values.address, 8 * threads).view(np.uint64).tolist()
    assert found == [spun(seed + thread, steps) for thread in range(threads)]
    assert found[0] == _native.spin(seed, steps)


def test_fewer_threads_than_values_spin_all_of_them(gpu):
    values = gpu.allocate(Memory.DEVICE, 8 * 5000)

    gpu.launch("spin", (values.address,), (5000, 7, 3), threads=1)

    found = gpu.array(values.address, 8 * 5000).view(np.uint64).tolist()
    assert found == [spun(7 + value, 3) for value in range(5000)]


def _elements(numbers, dtype):
    values = np.array(numbers, dtype=np.float32)
    if dtype == "bfloat16":
        return (values.view(np.uint32) >> np.uint32(16)).astype(np.uint16)
    return values.astype(SUMMED[dtype])


@pytest.fixture(scope="module")
def nvrtc(request):
    """NVIDIA's compiler for the run time; it needs no GPU."""
    found = importlib.util.find_spec("nvidia")
    places = found.submodule_search_locations if found is not None else ()
    libraries = [each for place in places for each in Path(place).glob("cuda_nvrtc/lib/libnvrtc.so.*")]
    request.getfixturevalue("need")("nvrtc", bool(libraries), "no NVRTC; try: pip install nvidia-cuda-nvrtc-cu12")
    return ctypes.CDLL(str(libraries[0]))


@pytest.mark.parametrize("architecture", [OLDEST_ARCHITECTURE, NEWEST_ARCHITECTURE])
@pytest.mark.parametrize("source", sorted(KERNELS.glob("*.cu")), ids=lambda path: path.stem)
def test_every_kernel_is_compiled_by_nvidias_compiler_without_a_word(nvrtc, source, architecture):
    program, length = ctypes.c_void_p(), ctypes.c_size_t()
    options = [b"-I" + bytes(KERNELS), b"-std=c++17", b"-arch=" + architecture]
    nvrtc.nvrtcCreateProgram(ctypes.byref(program), source.read_bytes(), bytes(source), 0, None, None)

    outcome = nvrtc.nvrtcCompileProgram(program, len(options), (ctypes.c_char_p * len(options))(*options))

    nvrtc.nvrtcGetProgramLogSize(program, ctypes.byref(length))
    log = ctypes.create_string_buffer(length.value)
    nvrtc.nvrtcGetProgramLog(program, log)
    assert (outcome, log.value) == (0, b"")
