"""Signals that would end this process at once, turned into an orderly way out."""

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Any, Final, NoReturn

_ENDING: Final = (signal.SIGTERM, signal.SIGHUP)


@contextmanager
def ended_by_signals() -> Iterator[None]:
    """Leave the block by SystemExit when a signal ends this process; a second one does not disturb the clearing up."""
    before: dict[signal.Signals, Any] = {}
    with suppress(ValueError):  # not the main thread: whoever runs it looks after its signals
        for number in _ENDING:
            before[number] = signal.signal(number, _leave)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _leave(number: int, _: FrameType | None) -> NoReturn:
    for each in _ENDING:
        signal.signal(each, signal.SIG_IGN)
    sys.exit(128 + number)
