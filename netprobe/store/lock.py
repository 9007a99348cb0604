"""One at a time in a folder: a lock that the kernel drops when its holder ends, however that happens.

The file stays and means nothing by itself: what counts is flock(2), so no lock is ever stale. On NFS the server keeps
the lock for all hosts, except where a mount says ``nolock`` or ``local_lock``: there only processes of one host exclude
each other.
"""

import fcntl
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from netprobe.errors import FormatError, StoreError
from netprobe.store.encoding import from_json, json_line

MOST_BYTES = 4096  # a holder is some hundred; whatever else lies there is not read to its end


@dataclass(frozen=True, slots=True, kw_only=True)
class Holder:
    """Who has a lock, since when."""

    host: str
    pid: int
    since: datetime


def holder_here() -> Holder:
    """Return this process as a holder."""
    return Holder(host=socket.gethostname(), pid=os.getpid(), since=datetime.now(UTC))


@contextmanager
def locked(file: Path, holder: Holder) -> Iterator[None]:
    """Hold a lock; StoreError at once where somebody else does, or where the file system cannot lock."""
    try:
        # Open for writing: NFS makes an exclusive lock of no other. Children do not inherit it (PEP 446).
        descriptor = os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except OSError as error:
        raise StoreError(f"{file} cannot be opened: {error.strerror}", remedy="the rights of its folder") from error
    try:
        _take(descriptor, file)
        try:
            _note(descriptor, json_line(holder))
            yield
        finally:
            _note(descriptor, b"")
            # By itself, closing would not do while a child that was just started still has its copy.
            fcntl.flock(descriptor, fcntl.LOCK_UN)
    finally:
        os.close(descriptor)


def _take(descriptor: int, file: Path) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        remedy = "again when that has ended, or another folder"
        raise StoreError(f"{file.parent} is in use: {_told(descriptor)}", remedy=remedy) from error
    except OSError as error:
        raise StoreError(
            f"{file} cannot be locked: {error.strerror}", remedy="a folder on a file system that can lock"
        ) from error


def _note(descriptor: int, text: bytes) -> None:
    """Write down who holds it, for whoever comes next; a full disk is no reason not to go on."""
    with suppress(OSError):
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, text, 0)


def _told(descriptor: int) -> str:
    """Return who holds it, as far as that is written there."""
    try:
        holder = from_json(os.pread(descriptor, MOST_BYTES, 0), Holder)
    except (OSError, FormatError):
        return "another process holds its lock"
    # Its own host is said as well: a process number means nothing on another one.
    return f"process {holder.pid} on {holder.host!a} has held its lock since {holder.since:%Y-%m-%d %H:%M:%S %Z}"
