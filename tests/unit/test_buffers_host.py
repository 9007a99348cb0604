"""Host buffers: where they lie, what they refuse, and that their slices are the ones asked for."""

import numpy as np
import pytest

from netprobe.buffers.host import PAGE_BYTES, HostBuffer, available_bytes
from netprobe.contracts import Mismatch
from netprobe.errors import PlanError

PATTERN = {"seed": 1, "rank": 2, "iteration": 3}
REDUCTION = {"seed": 1, "iteration": 3, "ranks": 4}


def host_with(root, available_kb, groups=None, group="/"):
    """Lay out what the kernel tells about memory; ``groups`` maps a control group to (limit, used, cache) in bytes."""
    (root / "proc/self").mkdir(parents=True)
    (root / "proc/meminfo").write_text(f"MemTotal: 9999999 kB\nMemFree: 1 kB\nMemAvailable: {available_kb} kB\n")
    (root / "proc/self/cgroup").write_text(f"4:memory:/old\n0::{group}\n")
    for path, (limit, used, cache) in (groups or {}).items():
        folder = root / "sys/fs/cgroup" / path
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "memory.max").write_text(f"{limit}\n")
        (folder / "memory.current").write_text(f"{used}\n")
        (folder / "memory.stat").write_text(f"anon 5\ninactive_file {cache}\nfile 7\n")
    return root


@pytest.mark.parametrize("size_bytes", [0, 1, 4095, 4096, 1_000_003])
def test_a_buffer_starts_on_a_page_and_has_the_size_asked_for(size_bytes):
    buffer = HostBuffer(size_bytes)

    assert buffer.address % PAGE_BYTES == 0
    assert buffer.size_bytes == buffer.array.size == size_bytes
    assert size_bytes == 0 or buffer.array.ctypes.data == buffer.address


def test_a_pattern_goes_to_the_slice_and_nowhere_else():
    buffer = HostBuffer(1000)

    buffer.fill_pattern(**PATTERN, offset_bytes=100, size_bytes=301, first_word=7)

    assert buffer.verify_pattern(**PATTERN, offset_bytes=100, size_bytes=301, first_word=7) is None
    assert np.all(buffer.array[:100] == 0xFF)
    assert np.all(buffer.array[401:] == 0xFF)


def test_a_wrong_byte_is_told_from_the_start_of_the_slice():
    buffer = HostBuffer(1000)
    buffer.fill_pattern(**PATTERN, offset_bytes=100, size_bytes=300)

    buffer.array[100 + 21] ^= 0x42

    found = buffer.verify_pattern(**PATTERN, offset_bytes=100, size_bytes=300)
    flipped = tuple(int(bit in (41, 46)) for bit in range(64))
    assert found == Mismatch(first_offset_bytes=21, wrong_bytes=1, bit_counts=flipped)
    assert found.xor_mask == 0x42 << 40


def test_a_single_contribution_is_its_own_reduction():
    buffer = HostBuffer(400)
    alone = {**REDUCTION, "ranks": 1}

    buffer.fill_contribution(dtype="float32", op="sum", rank=0, count=100, **alone)

    assert buffer.verify_reduction(dtype="float32", op="sum", count=100, **alone) is None
    assert buffer.verify_reduction(dtype="float32", op="max", count=100, **alone) is not None


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int32", "float16", "bfloat16", "float64"])
@pytest.mark.parametrize("op", ["sum", "prod", "max", "min"])
def test_poison_is_no_element_of_any_result(dtype, op):
    buffer = HostBuffer(4096)
    buffer.fill_pattern(**PATTERN, offset_bytes=0, size_bytes=4096)

    buffer.poison()

    found = buffer.verify_reduction(dtype=dtype, op=op, count=512, **REDUCTION)
    assert found is not None
    assert found.first_offset_bytes == 0
    assert np.all(buffer.array == 0xFF)


@pytest.mark.parametrize(("offset_bytes", "size_bytes"), [(-1, 1), (0, 101), (100, 1), (50, 51), (0, -1)])
def test_no_slice_reaches_outside_the_buffer(offset_bytes, size_bytes):
    buffer = HostBuffer(100)

    with pytest.raises(ValueError, match="not within a buffer of 100 bytes"):
        buffer.fill_pattern(**PATTERN, offset_bytes=offset_bytes, size_bytes=size_bytes)
    with pytest.raises(ValueError, match="not within a buffer of 100 bytes"):
        buffer.verify_pattern(**PATTERN, offset_bytes=offset_bytes, size_bytes=size_bytes)


def test_more_elements_than_fit_are_refused():
    with pytest.raises(ValueError, match="404 bytes at 0"):
        HostBuffer(400).fill_contribution(dtype="float32", op="sum", rank=0, count=101, **REDUCTION)


def test_a_buffer_beyond_available_memory_is_refused_with_both_figures(tmp_path):
    root = host_with(tmp_path, available_kb=512 * 1024)

    with pytest.raises(PlanError, match=r"a buffer of 1G: 512 MiB are available; try: a smaller"):
        HostBuffer(1 << 30, root=root)


def test_a_terabyte_is_refused_before_it_is_touched():
    with pytest.raises(PlanError, match="a buffer of 1024T"):
        HostBuffer(1 << 50)


def test_the_tightest_limit_around_the_process_counts(tmp_path):
    groups = {"": ("max", 0, 0), "job": (1000, 300, 100), "job/step": (5000, 4900, 0)}

    assert available_bytes(host_with(tmp_path, available_kb=10, groups=groups, group="/job/step")) == 100


def test_page_cache_counts_as_available(tmp_path):
    root = host_with(tmp_path, available_kb=10, groups={"": (1000, 900, 400)})

    assert available_bytes(root) == 500


def test_without_a_limit_the_host_decides(tmp_path):
    assert available_bytes(host_with(tmp_path, available_kb=10, groups={"": ("max", 9, 0)})) == 10 * 1024


def test_a_system_that_tells_nothing_leaves_it_unknown(tmp_path):
    assert available_bytes(tmp_path) is None
    assert HostBuffer(10, root=tmp_path).size_bytes == 10
