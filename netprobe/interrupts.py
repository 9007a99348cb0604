"""Ctrl-C and SIGTERM as something to wait for, instead of an exception in the middle of a write."""

import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Final

_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_open: Final[list[socket.socket]] = []
"""The socket of the outermost ``interrupts`` that the main thread is in; empty outside of it."""


@contextmanager
def interrupts() -> Iterator[socket.socket | None]:
    """Yield a socket from which one byte can be read for each signal that asks to stop.

    None outside of the main thread, where signals cannot be taken. What was ignored before (nohup) stays ignored.
    Inside of another call the socket is that of the outermost: what came between two inner ones is not lost.
    """
    if threading.current_thread() is not threading.main_thread():
        yield None
        return
    if _open:
        yield _open[0]
        return
    reading, writing = socket.socketpair()
    reading.setblocking(False)
    writing.setblocking(False)
    before = {each: signal.getsignal(each) for each in _SIGNALS}
    taken = [each for each, handler in before.items() if handler is not signal.SIG_IGN]
    wakeup = signal.set_wakeup_fd(writing.fileno(), warn_on_full_buffer=False)
    for each in taken:
        signal.signal(each, _only_wake)
    _open.append(reading)
    try:
        yield reading
    finally:
        _open.clear()
        for each in taken:
            signal.signal(each, before[each] or signal.SIG_DFL)
        signal.set_wakeup_fd(wakeup)
        reading.close()
        writing.close()


@contextmanager
def mortal() -> Iterator[None]:
    """Let each signal that asks to stop end this process on the spot, inside of calls that Python cannot leave too.

    Outside of the main thread, where signals cannot be taken, it changes nothing; what was ignored stays ignored.
    """
    is_main = threading.current_thread() is threading.main_thread()
    before = {each: signal.getsignal(each) for each in _SIGNALS} if is_main else {}
    taken = {each: handler for each, handler in before.items() if handler not in (signal.SIG_IGN, None)}
    for each in taken:
        signal.signal(each, signal.SIG_DFL)
    try:
        yield
    finally:
        for each, handler in taken.items():
            signal.signal(each, handler)


def asked_to_stop(signals: socket.socket | None) -> bool:
    """Return whether signals have come that nobody has read; they count as read then."""
    try:
        return signals is not None and bool(signals.recv(64))
    except BlockingIOError:
        return False


def _only_wake(_number: int, _frame: FrameType | None) -> None:
    """Do nothing: the interpreter has written the byte already."""
