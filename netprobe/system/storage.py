"""Reads one file in blocks, at a set rate, past the page cache where the file system lets it; never writes.

Several threads read at the same time, since one that waits for each block shows the latency of a parallel file system
and not its bandwidth. The GIL is free while they wait for the kernel. They move to CPUs other than the caller's, who
has better things to do with its own.

Does not handle: many files, small requests, writing.
"""

import errno
import mmap
import os
import re
import stat
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from netprobe.errors import UnavailableError
from netprobe.model.storage import BLOCK_BYTES
from netprobe.units import NS_PER_S, format_size

STREAMS: Final = 4
MOST_BYTES: Final = 256 << 30  # of one span
STUCK_S: Final = 5.0  # a read that has not come back by then is told of, and not waited for
DIRECT: Final = getattr(os, "O_DIRECT", 0)


MOUNTS: Final = "/proc/self/mountinfo"
OF_THE_HOST: Final = frozenset({"ext2", "ext3", "ext4", "xfs", "btrfs", "zfs", "f2fs", "overlay", "tmpfs", "ramfs"})
"""File systems whose blocks are the host's own, but for a device that is remote (NVMe over fabrics, iSCSI)."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Reading:
    """What one span of reading brought."""

    read_bytes: int
    elapsed_ns: int
    durations_ns: NDArray[np.int64]
    """Of each block, shape (blocks,), thread by thread."""
    problem: str | None
    """Why it ended early, or what has not come back."""


def unreadable(path: str) -> str | None:
    """Return why a file cannot be read beside all-reduces, in words that name it; None where it can."""
    try:
        descriptor, _ = _opened(path)
    except UnavailableError as error:
        return error.problem
    os.close(descriptor)
    return None


def own_file_system(path: str) -> str | None:
    """Return the kind of file system of a path, as in ``xfs``, where it is one of the host's own; else None."""
    try:
        kind = file_system_in(Path(MOUNTS).read_text(errors="surrogateescape"), os.path.realpath(path))
    except OSError:
        return None
    return kind if kind in OF_THE_HOST else None


def file_system_in(mounts: str, path: str) -> str | None:
    """Return the kind of file system that a path without links is on, by /proc/self/mountinfo (proc(5))."""
    best, kind = "", None
    for line in mounts.splitlines():
        fields, _, rest = line.partition(" - ")
        places = fields.split(" ")
        if len(places) < 5 or not rest:
            continue
        place = re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), places[4])
        inside = path == place or path.startswith(f"{place.rstrip('/')}/")
        if inside and len(place) >= len(best):  # what was mounted last lies on top
            best, kind = place, rest.split(" ")[0]
    return kind


def _opened(path: str, direct: int = DIRECT) -> tuple[int, bool]:
    """Return a descriptor of a file that is fit, and whether it passes the page cache."""
    try:
        found = os.stat(path)  # noqa: PTH116 - before it is opened: opening a tape or a pipe does things
        if stat.S_ISDIR(found.st_mode):
            raise UnavailableError(f"{path} is a directory", remedy="a large file in it")
        if not stat.S_ISREG(found.st_mode):
            raise UnavailableError(f"{path} is no file", remedy="a large file")
        if found.st_size < BLOCK_BYTES:
            size = "empty" if not found.st_size else f"smaller than one read of {format_size(BLOCK_BYTES)}"
            raise UnavailableError(f"{path} is {size}", remedy="a file of some gigabytes")
        return _descriptor(path, direct)
    except OSError as error:
        raise UnavailableError(f"{path} cannot be read: {error.strerror or error}") from error
    except ValueError as error:  # a NUL in the name
        raise UnavailableError(f"{path!r} is no path: {error}") from error


def _descriptor(path: str, direct: int) -> tuple[int, bool]:
    plain = os.O_RDONLY | os.O_CLOEXEC
    if direct:
        try:
            descriptor = os.open(path, plain | direct)
        except OSError as error:
            if error.errno != errno.EINVAL:
                raise
        else:
            if _takes_direct(descriptor):
                return descriptor, True
            os.close(descriptor)
    return os.open(path, plain), False


def _takes_direct(descriptor: int) -> bool:
    """Return whether a read past the page cache works: some file systems open such files, and refuse then."""
    with mmap.mmap(-1, mmap.PAGESIZE) as page:
        try:
            os.preadv(descriptor, [page], 0)
        except OSError as error:
            if error.errno != errno.EINVAL:
                os.close(descriptor)
                raise
            return False
    return True


@dataclass(slots=True)
class _Span:
    """What the threads of one span share."""

    begun_ns: int
    is_over: threading.Event = field(default_factory=threading.Event)
    durations_ns: list[int] = field(default_factory=list)
    sizes_bytes: list[int] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


class FileReads:
    """Reads a file again and again, from ``begin`` to ``end``; several spans may follow each other."""

    def __init__(
        self,
        path: str,
        *,
        rate_bytes_per_s: int | None = None,
        first_share: float = 0.0,
        direct: int = DIRECT,
        most_bytes: int = MOST_BYTES,
    ) -> None:
        """Open the file; UnavailableError says why that cannot be.

        ``first_share`` of it is skipped at first; ``direct`` is the flag that passes the page cache, 0 for none; a span
        of more than ``most_bytes`` has a problem, since its rate would be that of a part.
        """
        self.path = path
        self._descriptor, self.is_direct = _opened(path, direct)
        self._blocks = -(-os.fstat(self._descriptor).st_size // BLOCK_BYTES)
        self._first = int(first_share * self._blocks)
        self._interval_ns = 0 if rate_bytes_per_s is None else STREAMS * BLOCK_BYTES * NS_PER_S // rate_bytes_per_s
        self._most_bytes = most_bytes
        self._threads: list[threading.Thread] = []
        self._span = _Span(begun_ns=0)

    def begin(self) -> None:
        """Start reading."""
        span = self._span = _Span(begun_ns=time.monotonic_ns())
        self._threads = [
            threading.Thread(target=self._read, args=(span, index), name=f"netprobe-read-{index}", daemon=True)
            for index in range(STREAMS)
        ]
        for thread in self._threads:
            thread.start()

    def end(self) -> Reading:
        """Stop, and return what was read since ``begin``."""
        span = self._span
        span.is_over.set()
        until = time.monotonic() + STUCK_S
        for thread in self._threads:
            thread.join(max(until - time.monotonic(), 0.0))
        elapsed_ns = time.monotonic_ns() - span.begun_ns
        if any(thread.is_alive() for thread in self._threads):
            span.problems.append(f"a read of {self.path} has not come back for {STUCK_S:g} s")
        return Reading(
            read_bytes=sum(span.sizes_bytes),
            elapsed_ns=elapsed_ns,
            durations_ns=np.array(span.durations_ns, dtype=np.int64),
            problem=span.problems[0] if span.problems else None,
        )

    def close(self) -> None:
        """Give the file back, unless a read still waits for it."""
        if self._descriptor >= 0 and not any(thread.is_alive() for thread in self._threads):
            os.close(self._descriptor)
            self._descriptor = -1

    def _read(self, span: _Span, index: int) -> None:
        _leave_own_cpus()
        with mmap.mmap(-1, BLOCK_BYTES) as block:  # whose beginning is that of a page, as O_DIRECT asks
            for turn in range(self._most_bytes // BLOCK_BYTES // STREAMS):
                due_ns = span.begun_ns + turn * self._interval_ns + index * self._interval_ns // STREAMS
                if span.is_over.wait(max(due_ns - time.monotonic_ns(), 0) / NS_PER_S):
                    return
                at = (self._first + turn * STREAMS + index) % self._blocks * BLOCK_BYTES
                if not self._read_block(span, block, at):
                    return
        if not span.is_over.is_set():
            most = format_size(self._most_bytes)
            span.problems.append(f"{most} of {self.path} were read before the round was over: a shorter one is enough")

    def _read_block(self, span: _Span, block: mmap.mmap, offset_bytes: int) -> bool:
        """Read one block and note it; False where the file is gone, or shorter than it was."""
        try:
            if not self.is_direct:
                os.posix_fadvise(self._descriptor, offset_bytes, BLOCK_BYTES, os.POSIX_FADV_DONTNEED)
            began_ns = time.monotonic_ns()
            count = os.preadv(self._descriptor, [block], offset_bytes)
            elapsed_ns = time.monotonic_ns() - began_ns
        except OSError as error:
            span.problems.append(f"reading {self.path} failed: {error.strerror or error}")
            return False
        if not count:
            span.problems.append(f"{self.path} became shorter while it was read")
            return False
        span.durations_ns.append(elapsed_ns)
        span.sizes_bytes.append(count)
        return True


def _leave_own_cpus() -> None:
    """Let this thread run on all CPUs but those that the process is bound to; where there are no others, stay."""
    try:
        own = os.sched_getaffinity(0)
        os.sched_setaffinity(0, set(range(os.cpu_count() or 1)) - own)
    except (AttributeError, OSError):
        return
