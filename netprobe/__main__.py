"""Run the command line, as ``python -m netprobe`` and as the installed ``netprobe``.

Hardly anything is imported before signals are heeded: to load the rest takes long enough for a Ctrl-C.
"""

import os
import signal
from collections.abc import Callable
from types import FrameType
from typing import Final

INTERRUPTED: Final = 130  # of model.verdict.ExitCode, which is part of the rest
_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def main() -> int:
    """Return the exit code of a command; whenever a signal asks to stop, that is 130, and no traceback."""
    _on_signal(_leave)
    try:
        from netprobe.cli.app import main as run

        # Whatever waits for a host or writes a file has to end it properly.
        _on_signal(signal.default_int_handler)
        return run()
    except KeyboardInterrupt:
        return INTERRUPTED
    finally:
        _on_signal(_leave)


def _on_signal(handler: Callable[[int, FrameType | None], object]) -> None:
    """Call ``handler`` for each signal that asks to stop; what was ignored before (nohup) stays ignored."""
    for each in _SIGNALS:
        if signal.getsignal(each) is not signal.SIG_IGN:
            signal.signal(each, handler)


def _leave(_number: int, _frame: FrameType | None) -> None:
    """End this process, in which nothing has begun or all is over: an exception might be lost among imports."""
    os._exit(INTERRUPTED)


if __name__ == "__main__":
    raise SystemExit(main())
