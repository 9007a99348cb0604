"""Memory that is sent from and received into, and the GPU that may hold it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from netprobe.model.gpu import GpuEndpoint
from netprobe.model.plan import Memory


@dataclass(frozen=True, slots=True, kw_only=True)
class Mismatch:
    """Bytes that are not what they should be."""

    first_offset_bytes: int
    """From the start of the slice that was compared."""
    wrong_bytes: int
    bit_counts: tuple[int, ...]
    """How often each bit differed, the lowest first: of all 8-byte words, or of all elements of a reduction."""

    @property
    def xor_mask(self) -> int:
        """Bits that differed at all."""
        return sum(1 << bit for bit, count in enumerate(self.bit_counts) if count)


class Buffer(Protocol):
    """Memory that a transport sends from or receives into; patterns are written and compared where it lies."""

    address: int
    size_bytes: int

    def fill_pattern(
        self, *, seed: int, rank: int, iteration: int, offset_bytes: int, size_bytes: int, first_word: int = 0
    ) -> None:
        """Write words ``first_word``… of the pattern (seed, rank, iteration) into a slice."""
        ...

    def verify_pattern(
        self, *, seed: int, rank: int, iteration: int, offset_bytes: int, size_bytes: int, first_word: int = 0
    ) -> Mismatch | None:
        """Compare a slice with the pattern; None when every byte is right."""
        ...

    def fill_contribution(
        self, *, dtype: str, op: str, seed: int, rank: int, iteration: int, ranks: int, count: int
    ) -> None:
        """Write ``count`` elements that this rank adds to a reduction over ``ranks`` ranks, exact in ``dtype``."""
        ...

    def verify_reduction(
        self, *, dtype: str, op: str, seed: int, iteration: int, ranks: int, count: int, first_element: int = 0
    ) -> Mismatch | None:
        """Compare ``count`` elements at the start with the reduction of all contributions from ``first_element``."""
        ...

    def poison(self) -> None:
        """Overwrite everything with bytes that no pattern expects, so that a message that never came is noticed."""
        ...


class Allocation(Protocol):
    """Memory that a GPU's driver gave; it is given back when nobody holds this any more."""

    address: int
    size_bytes: int


class Gpu(Protocol):
    """One GPU of this process. What is launched runs in order; memory is up to date once ``finish`` has returned.

    GpuError from every call when the GPU is out of memory, or no longer answers.
    """

    endpoint: GpuEndpoint

    def free_bytes(self) -> int:
        """Return the memory that it may still give."""
        ...

    def allocate(self, memory: Memory, size_bytes: int) -> Allocation:
        """Return memory of its own, managed, or of the host and pinned."""
        ...

    def launch(self, kernel: str, addresses: Sequence[int], numbers: Sequence[int], *, threads: int) -> None:
        """Begin a kernel of kernels/cuda: first the addresses it takes, then 64-bit numbers.

        ``threads``: how many there is work for; fewer may run, each for a longer time.
        """
        ...

    def set_bytes(self, address: int, value: int, size_bytes: int) -> None:
        """Begin to overwrite memory with one value."""
        ...

    def read(self, address: int, size_bytes: int) -> bytes:
        """Return what memory holds once everything begun is done."""
        ...

    def finish(self) -> None:
        """Wait for everything that was begun."""
        ...

    def copy(self, to: int, source: int, size_bytes: int) -> None:
        """Begin to copy; either side may be the GPU's, another GPU's, or pinned memory of the host."""
        ...

    def timed_ns(self, begin: Callable[[], None]) -> float:
        """Return how long what ``begin`` begins took, by the GPU's own clock; it is done on return."""
        ...

    def allocate_on(self, ordinal: int, size_bytes: int) -> Allocation:
        """Return memory of another GPU that this process sees, which copies reach straight where the host lets them."""
        ...

    def copier(self) -> int:
        """Return the address of a C function that copies: (to, from, bytes) as 64-bit words, 0 when it went well.

        Either side may be the host's or the GPU's; the copy is done when it returns.
        """
        ...

    def dma_buf(self, allocation: Allocation) -> int | None:
        """Return a file descriptor by which a NIC reaches memory of the GPU; None where the driver gives none.

        The caller closes it.
        """
        ...
