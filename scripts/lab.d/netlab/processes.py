"""Processes of a lab: told from others by start time and namespace, so that a recycled number is never touched."""

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from netlab.errors import LabError

PROC: Final = Path("/proc")
_PATIENCE_S: Final = 20.0
"""For a killed PID namespace to empty itself: some ms for each process, more on a busy machine."""
_PAUSE_S: Final = 0.01
_SWEEPS: Final = 5
"""A process may start another while a sweep looks elsewhere."""

_LONGEST_TEXT: Final = 120


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """A holder, and the namespaces by which what it holds is known."""

    pid: int
    start_ticks: int
    net: int
    """Inode of its network namespace."""
    pids: int
    """Inode of its PID namespace."""

    @property
    def is_alive(self) -> bool:
        """True while this very process lives."""
        return _start_ticks(self.pid) == self.start_ticks

    def members(self) -> tuple[int, ...]:
        """Return every process of its PID namespace but itself."""
        return tuple(pid for pid in all_pids() if pid != self.pid and _inode(pid, "pid") == self.pids)

    def network(self) -> int:
        """Return an open file of its network namespace, for the caller to close; LabError when it is gone."""
        with suppress(OSError):
            opened = os.open(PROC / str(self.pid) / "ns/net", os.O_RDONLY | os.O_CLOEXEC)
            if os.fstat(opened).st_ino == self.net:
                return opened
            os.close(opened)
        raise LabError(f"the namespaces of process {self.pid} are gone", remedy="lab revive, or lab down and lab up")

    def end(self) -> None:
        """Kill it, and with it all that it holds; return when all of it has gone."""
        if self.is_alive:
            with suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)
        wait_until(lambda: not self.is_alive and not self.members(), f"process {self.pid} does not die")


def held_by(pid: int) -> Held | None:
    """Return the holder with this number; None when it has ended."""
    start, net, pids = _start_ticks(pid), _inode(pid, "net"), _inode(pid, "pid")
    if start is None or net is None or pids is None:
        return None
    return Held(pid=pid, start_ticks=start, net=net, pids=pids)


def send_to_all(held: Held, number: signal.Signals) -> int:
    """Send a signal to every process of a host but its holder, and return how many got it."""
    reached: set[int] = set()
    for _ in range(_SWEEPS):
        fresh = set(held.members()) - reached
        if not fresh:
            break
        for pid in fresh:
            with suppress(ProcessLookupError):
                os.kill(pid, number)
        reached |= fresh
    return len(reached)


def ranks_of(held: Held) -> tuple[int, ...]:
    """Return the processes of a host that are ranks of netprobe."""
    return tuple(pid for pid in held.members() if is_rank(pid))


def wait_until(is_done: Callable[[], bool], otherwise: str) -> None:
    """Return when it is done; LabError when that takes too long."""
    deadline = time.monotonic() + _PATIENCE_S
    while not is_done():
        if time.monotonic() > deadline:
            raise LabError(f"{otherwise} within {_PATIENCE_S:g} s", remedy="lab down, then the same again")
        time.sleep(_PAUSE_S)


def words_of(pid: int) -> tuple[bytes, ...]:
    """Return a process' command line; empty when it has ended."""
    with suppress(OSError):
        return tuple((PROC / str(pid) / "cmdline").read_bytes().split(b"\0")[:-1])
    return ()


def described(pid: int) -> str:
    """Return a process' number and command line, for a reader."""
    return f"process {pid} ({b' '.join(words_of(pid)).decode(errors='replace')[:_LONGEST_TEXT]})"


def is_rank(pid: int) -> bool:
    """Return whether a process is a rank of netprobe."""
    with suppress(OSError):
        marks = (PROC / str(pid) / "environ").read_bytes().split(b"\0")
        return b"netprobe.session" in words_of(pid) and any(mark.startswith(b"NETPROBE_JOB=") for mark in marks)
    return False


def all_pids() -> Iterator[int]:
    """Yield every process of this machine."""
    return (int(path.name) for path in PROC.iterdir() if path.name.isdigit())


def has_ended(pid: int) -> bool:
    """Return whether a process has ended, be it that a stopped parent has not taken notice of it yet."""
    return (_stat(pid) or ["X"])[0] in "ZX"


def is_stopped(pid: int) -> bool:
    """Return whether a process was stopped by a signal, and does nothing until another one lets it go on."""
    return (_stat(pid) or [""])[0] == "T"


def _inode(pid: int, kind: str) -> int | None:
    with suppress(OSError):
        return (PROC / str(pid) / "ns" / kind).stat().st_ino
    return None


def _start_ticks(pid: int) -> int | None:
    fields = _stat(pid)
    return None if fields is None or fields[0] in "ZX" else int(fields[19])


def _stat(pid: int) -> list[str] | None:
    """Return the fields of a process' state from the state itself on; the start time is the 19th behind it."""
    with suppress(OSError):
        # The name between the brackets may hold anything.
        return (PROC / str(pid) / "stat").read_text(errors="replace").rpartition(")")[2].split()
    return None
