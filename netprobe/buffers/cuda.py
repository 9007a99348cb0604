"""Buffers that a GPU fills and compares: its own memory, managed memory, and pinned memory of the host.

Kernels run on the GPU's own stream. Every call waits for them before it returns, so that whoever is handed the address
afterwards, MPI, verbs or NCCL on a stream of its own, finds the memory as it should be.
"""

from typing import Final

import numpy as np

from netprobe.buffers.host import POISON
from netprobe.buffers.patterns import WORD_BYTES, WORD_MASK, Reduction
from netprobe.contracts import Gpu, Mismatch
from netprobe.model.plan import DTYPE_BYTES, Memory

CHUNK_BYTES: Final = 16  # what one thread takes
WORD_BITS: Final = 8 * WORD_BYTES
REPORT_BYTES: Final = (2 + WORD_BITS) * WORD_BYTES
"""First wrong offset (all ones: none), wrong bytes, how often each bit of a word was wrong: kernels/cuda/chunks.cuh."""
OPS: Final = {"sum": 0, "prod": 1, "max": 2, "min": 3}
ENCODINGS: Final = {"float16": 1, "bfloat16": 2, "float32": 3, "float64": 4}
INTEGER: Final = 0


class CudaBuffer:
    """contracts.Buffer in memory that a GPU's driver gave; every byte of it is written once."""

    def __init__(self, gpu: Gpu, memory: Memory, size_bytes: int) -> None:
        """Take the memory; raise GpuError when there is not that much."""
        self._gpu = gpu
        self._allocation = gpu.allocate(memory, size_bytes)
        self._report = gpu.allocate(Memory.DEVICE, REPORT_BYTES)
        self.memory = memory
        self.address: int = self._allocation.address
        self.size_bytes = size_bytes
        self.poison()

    def fill_pattern(
        self, *, seed: int, rank: int, iteration: int, offset_bytes: int, size_bytes: int, first_word: int = 0
    ) -> None:
        """See contracts.Buffer."""
        address = self._address_of(offset_bytes, size_bytes)
        numbers = (size_bytes, seed, rank, iteration, first_word * WORD_BYTES)
        self._gpu.launch("pattern_fill", (address,), numbers, threads=_chunks(size_bytes))
        self._gpu.finish()

    def verify_pattern(
        self, *, seed: int, rank: int, iteration: int, offset_bytes: int, size_bytes: int, first_word: int = 0
    ) -> Mismatch | None:
        """See contracts.Buffer."""
        address = self._address_of(offset_bytes, size_bytes)
        numbers = (size_bytes, seed, rank, iteration, first_word * WORD_BYTES)
        return self._compare("pattern_verify", address, size_bytes, numbers, WORD_BYTES)

    def fill_contribution(  # noqa: PLR0913 - the protocol's signature
        self, *, dtype: str, op: str, seed: int, rank: int, iteration: int, ranks: int, count: int
    ) -> None:
        """See contracts.Buffer."""
        size_bytes = count * DTYPE_BYTES[dtype]
        address = self._address_of(0, size_bytes)
        reduction = Reduction(dtype=dtype, op=op, seed=seed, iteration=iteration, ranks=ranks)
        numbers = (size_bytes, rank, *_as_numbers(reduction))
        self._gpu.launch("contribution_fill", (address,), numbers, threads=_chunks(size_bytes))
        self._gpu.finish()

    def verify_reduction(  # noqa: PLR0913
        self, *, dtype: str, op: str, seed: int, iteration: int, ranks: int, count: int, first_element: int = 0
    ) -> Mismatch | None:
        """See contracts.Buffer."""
        lane_bytes = DTYPE_BYTES[dtype]
        address = self._address_of(0, count * lane_bytes)
        reduction = Reduction(dtype=dtype, op=op, seed=seed, iteration=iteration, ranks=ranks)
        numbers = (count * lane_bytes, first_element * lane_bytes, *_as_numbers(reduction))
        return self._compare("reduction_verify", address, count * lane_bytes, numbers, lane_bytes)

    def poison(self) -> None:
        """See contracts.Buffer."""
        self._gpu.set_bytes(self.address, POISON, self.size_bytes)
        self._gpu.finish()

    def dma_buf(self) -> int | None:
        """Return a file descriptor by which a NIC reaches this memory, to be closed; None where there is none."""
        return self._gpu.dma_buf(self._allocation) if self.memory is Memory.DEVICE else None

    def _compare(
        self, kernel: str, address: int, size_bytes: int, numbers: tuple[int, ...], lane_bytes: int
    ) -> Mismatch | None:
        report = self._report.address
        self._gpu.set_bytes(report, 0xFF, WORD_BYTES)
        self._gpu.set_bytes(report + WORD_BYTES, 0, REPORT_BYTES - WORD_BYTES)
        self._gpu.launch(kernel, (address, report), numbers, threads=_chunks(size_bytes))
        first_offset_bytes, wrong_bytes, *of_word = np.frombuffer(
            self._gpu.read(report, REPORT_BYTES), dtype="<u8"
        ).tolist()
        if wrong_bytes == 0:
            return None
        by_lane = np.array(of_word).reshape(-1, 8 * lane_bytes).sum(axis=0)
        return Mismatch(
            first_offset_bytes=first_offset_bytes, wrong_bytes=wrong_bytes, bit_counts=tuple(by_lane.tolist())
        )

    def _address_of(self, offset_bytes: int, size_bytes: int) -> int:
        if offset_bytes < 0 or size_bytes < 0 or offset_bytes + size_bytes > self.size_bytes:
            raise ValueError(f"{size_bytes} bytes at {offset_bytes} are not within a buffer of {self.size_bytes} bytes")
        return self.address + offset_bytes


def _chunks(size_bytes: int) -> int:
    """Return how many threads have something to do, the chunks at both ends included."""
    return size_bytes // CHUNK_BYTES + 2


def _as_numbers(reduction: Reduction) -> tuple[int, ...]:
    """Return what kernels/cuda/reduction.cu takes of a reduction, in its order: words hold a value in every lane."""
    bits, for_active, for_other = reduction.value_range()
    idle = reduction.ranks - reduction.active
    for_others = {"sum": idle * for_other, "prod": 1, "max": 0, "min": for_other}[reduction.op]
    lane_bits = 8 * DTYPE_BYTES[reduction.dtype]
    words = (_in_all_lanes(value, lane_bits) for value in (2**bits - 1, for_active, for_other, for_others))
    return (
        reduction.seed,
        reduction.iteration,
        reduction.ranks,
        reduction.active,
        *words,
        OPS[reduction.op],
        ENCODINGS.get(reduction.dtype, INTEGER),
        lane_bits,
    )


def _in_all_lanes(value: int, lane_bits: int) -> int:
    return sum(value << shift for shift in range(0, WORD_BITS, lane_bits)) & WORD_MASK
