"""Everything that can happen to a running launch, as one sequence of events in one thread.

Nothing wakes it while nothing happens: a supervisor that polled would steal time from the ranks it shares a host with.
"""

import os
import selectors
import socket
import subprocess
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import Enum, auto
from typing import Final

from netprobe.units import NS_PER_S

_READ_BYTES: Final = 1 << 16  # a pipe holds no more
_POLL_S: Final = 1.0  # where the system cannot be asked to tell when a process ends
_LONGEST_WAIT_S: Final = 86_400.0  # the kernel takes no more than 24 days; to wake once a day costs nothing


class Source(Enum):
    """Which of the launcher's streams a line came on."""

    OUTPUT = auto()
    ERRORS = auto()


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """The launcher, or a rank through it, wrote a line."""

    source: Source
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Exited:
    """The launcher ended; lines may still follow."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Interrupted:
    """Somebody asked this process to stop."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Expired:
    """The time that the consumer allows is over."""


Happening = Line | Exited | Interrupted | Expired


def happenings(
    popen: "subprocess.Popen[bytes]", signals: socket.socket | None, left_ns: Callable[[], int]
) -> Iterator[Happening]:
    """Yield what happens, until the launcher has ended and its streams are closed.

    ``signals`` yields a byte for each signal (interrupts). ``left_ns`` is asked before each wait; Expired comes when it
    returns nothing above zero, again and again until it returns more.
    """
    with selectors.DefaultSelector() as selector, _exit_descriptor(popen.pid) as exit_descriptor:
        pipes = _Pipes(selector, popen)
        if signals is not None:
            selector.register(signals, selectors.EVENT_READ)
        if exit_descriptor is not None:
            selector.register(exit_descriptor, selectors.EVENT_READ)
        longest_s = _POLL_S if exit_descriptor is None else _LONGEST_WAIT_S
        has_exited = False
        while pipes.are_open or not has_exited:
            wait_s = min(longest_s, max(0.0, left_ns() / NS_PER_S))
            ready = [key.fd for key, _ in selector.select(wait_s)]
            yield from pipes.read(ready)
            if signals is not None and signals.fileno() in ready:
                yield from (Interrupted() for _ in signals.recv(64))
            if not has_exited and popen.poll() is not None:
                has_exited = True
                if exit_descriptor is not None:
                    selector.unregister(exit_descriptor)
                yield Exited()
            if left_ns() <= 0:
                yield Expired()


class _Pipes:
    """Both streams of a launcher, read as far as they are."""

    def __init__(self, selector: selectors.BaseSelector, popen: "subprocess.Popen[bytes]") -> None:
        self._selector = selector
        self._open: dict[int, tuple[Source, LineCutter]] = {}
        for source, stream in ((Source.OUTPUT, popen.stdout), (Source.ERRORS, popen.stderr)):
            if stream is not None:
                selector.register(stream, selectors.EVENT_READ)
                self._open[stream.fileno()] = (source, LineCutter())

    @property
    def are_open(self) -> bool:
        """Whether more may come."""
        return bool(self._open)

    def read(self, ready: Iterable[int]) -> Iterator[Line]:
        """Yield the lines that can be read now."""
        for descriptor in ready:
            if descriptor not in self._open:
                continue
            source, cutter = self._open[descriptor]
            data = os.read(descriptor, _READ_BYTES)
            if not data:
                self._selector.unregister(descriptor)
                del self._open[descriptor]
            yield from (Line(source=source, text=text) for text in cutter.feed(data))


class LineCutter:
    """Bytes as they come, cut into lines."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []

    def feed(self, data: bytes) -> list[str]:
        """Return the lines that ``data`` completes; empty data is the end of the stream, and completes the last one."""
        self._pieces.append(data)
        if data and b"\n" not in data:
            return []
        *lines, rest = b"".join(self._pieces).split(b"\n")
        if not data and rest:
            lines.append(rest)
        self._pieces = [rest] if data else []
        return [line.decode("utf-8", "replace") for line in lines]


@contextmanager
def _exit_descriptor(pid: int) -> Iterator[int | None]:
    """Yield a descriptor that becomes readable when the process ends; None where the system has none."""
    try:
        descriptor = os.pidfd_open(pid)
    except (AttributeError, OSError):
        yield None
        return
    try:
        yield descriptor
    finally:
        os.close(descriptor)
