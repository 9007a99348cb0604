"""Buffers in host memory, filled and compared by native code (kernels/host)."""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from netprobe import _native
from netprobe.contracts import Mismatch
from netprobe.errors import PlanError
from netprobe.model.plan import DTYPE_BYTES
from netprobe.units import format_size

PAGE_BYTES: Final = 4096
MEBIBYTE: Final = 1 << 20
POISON: Final = 0xFF  # as a float it is no number, as an integer -1 or one above every reduction's largest result


class HostBuffer:
    """contracts.Buffer in page-aligned memory of this process, every page of it written once."""

    def __init__(self, size_bytes: int, *, root: Path = Path("/")) -> None:
        """Take the memory; raise PlanError when the host or this job's share of it has not that much to give."""
        available = available_bytes(root)
        if available is not None and size_bytes > available:
            raise PlanError(
                f"no memory for a buffer of {format_size(size_bytes)}: {available // MEBIBYTE} MiB are available",
                remedy="a smaller size (-e), or fewer ranks on each host",
            )
        room = np.empty(size_bytes + PAGE_BYTES, dtype=np.uint8)
        start = -room.ctypes.data % PAGE_BYTES
        self.array: NDArray[np.uint8] = room[start : start + size_bytes]
        self.address: int = room.ctypes.data + start
        self.size_bytes = size_bytes
        # Memory that was never written is one shared page of zeros: sending it looks twice as fast as it is.
        self.poison()

    def fill_pattern(
        self, *, seed: int, rank: int, iteration: int, offset_bytes: int, size_bytes: int, first_word: int = 0
    ) -> None:
        """See contracts.Buffer."""
        address = self._address_of(offset_bytes, size_bytes)
        _native.pattern_fill(address, size_bytes, seed, rank, iteration, first_word)

    def verify_pattern(
        self, *, seed: int, rank: int, iteration: int, offset_bytes: int, size_bytes: int, first_word: int = 0
    ) -> Mismatch | None:
        """See contracts.Buffer."""
        address = self._address_of(offset_bytes, size_bytes)
        return _as_mismatch(_native.pattern_verify(address, size_bytes, seed, rank, iteration, first_word))

    def fill_contribution(  # noqa: PLR0913 - the protocol's signature
        self, *, dtype: str, op: str, seed: int, rank: int, iteration: int, ranks: int, count: int
    ) -> None:
        """See contracts.Buffer."""
        address = self._address_of(0, count * DTYPE_BYTES[dtype])
        _native.contribution_fill(address, count, dtype, op, seed, rank, iteration, ranks)

    def verify_reduction(  # noqa: PLR0913
        self, *, dtype: str, op: str, seed: int, iteration: int, ranks: int, count: int, first_element: int = 0
    ) -> Mismatch | None:
        """See contracts.Buffer."""
        address = self._address_of(0, count * DTYPE_BYTES[dtype])
        return _as_mismatch(_native.reduction_verify(address, count, first_element, dtype, op, seed, iteration, ranks))

    def poison(self) -> None:
        """See contracts.Buffer; a pattern may expect these bytes in a short message, once in 256 for each byte."""
        self.array.fill(POISON)

    def _address_of(self, offset_bytes: int, size_bytes: int) -> int:
        if offset_bytes < 0 or size_bytes < 0 or offset_bytes + size_bytes > self.size_bytes:
            raise ValueError(f"{size_bytes} bytes at {offset_bytes} are not within a buffer of {self.size_bytes} bytes")
        return self.address + offset_bytes


def available_bytes(root: Path = Path("/")) -> int | None:
    """Return the memory that this process may still take, on its host and in its control groups; None if untold."""
    told = [*_host_available_bytes(root), *_groups_available_bytes(root)]
    return min(told, default=None)


def _host_available_bytes(root: Path) -> Iterator[int]:
    for line in _text(root / "proc/meminfo").splitlines():
        name, _, value = line.partition(":")
        if name == "MemAvailable":
            yield int(value.split()[0]) * 1024  # always in kB


def _groups_available_bytes(root: Path) -> Iterator[int]:
    """Yield what each enclosing control group (version 2) has left: batch systems and pods set limits there."""
    top = root / "sys/fs/cgroup"
    for line in _text(root / "proc/self/cgroup").splitlines():
        hierarchy, _, path = line.partition("::")
        if hierarchy != "0":
            continue
        group = top / path.lstrip("/")
        for folder in (group, *group.parents):
            if folder.is_relative_to(top):
                yield from _group_available_bytes(folder)


def _group_available_bytes(group: Path) -> Iterator[int]:
    limit = _text(group / "memory.max").strip()  # "max" where there is none
    used = _text(group / "memory.current").strip()
    if limit.isdigit() and used.isdigit():
        yield max(0, int(limit) - int(used) + _unused_cache_bytes(group))


def _unused_cache_bytes(group: Path) -> int:
    """Return the page cache that counts as used, and that the kernel drops when memory is asked for."""
    for line in _text(group / "memory.stat").splitlines():
        name, _, value = line.partition(" ")
        if name == "inactive_file":
            return int(value)
    return 0


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii", errors="replace")
    except OSError:
        return ""


def _as_mismatch(found: tuple[int, int, tuple[int, ...]] | None) -> Mismatch | None:
    if found is None:
        return None
    first_offset_bytes, wrong_bytes, bit_counts = found
    return Mismatch(first_offset_bytes=first_offset_bytes, wrong_bytes=wrong_bytes, bit_counts=bit_counts)
