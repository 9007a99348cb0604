"""Ctrl-C and SIGTERM as something to wait for, instead of an exception in the middle of a write."""

import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Final

_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@contextmanager
def interrupts() -> Iterator[socket.socket | None]:
    """Yield a socket from which one byte can be read for each signal that asks to stop.

    None outside of the main thread, where signals cannot be taken. What was ignored before (nohup) stays ignored.
    """
    if threading.current_thread() is not threading.main_thread():
        yield None
        return
    reading, writing = socket.socketpair()
    reading.setblocking(False)
    writing.setblocking(False)
    before = {each: signal.getsignal(each) for each in _SIGNALS}
    taken = [each for each, handler in before.items() if handler is not signal.SIG_IGN]
    wakeup = signal.set_wakeup_fd(writing.fileno(), warn_on_full_buffer=False)
    for each in taken:
        signal.signal(each, _only_wake)
    try:
        yield reading
    finally:
        for each in taken:
            signal.signal(each, before[each] or signal.SIG_DFL)
        signal.set_wakeup_fd(wakeup)
        reading.close()
        writing.close()


def _only_wake(_number: int, _frame: FrameType | None) -> None:
    """Do nothing: the interpreter has written the byte already."""
