"""Standard output and standard error, which may be closed, full, or read by nobody any more."""

import os
import sys
from contextlib import suppress
from typing import TextIO


def print_text(text: str) -> str | None:
    """Write to standard output; return why it could not be, None when it was or when its reader has seen enough."""
    if sys.stdout is None:
        return "standard output is closed"
    # A terminal or log that cannot show µ or – gets a question mark, not a traceback.
    encoding = sys.stdout.encoding or "utf-8"
    try:
        sys.stdout.write(text.encode(encoding, errors="replace").decode(encoding))
        sys.stdout.flush()
    except BrokenPipeError:  # ``netprobe report RUN | head``
        _abandon(sys.stdout)
    except OSError as error:
        _abandon(sys.stdout)
        return f"standard output: {error.strerror}"
    return None


def tell(line: str) -> None:
    """Write a line to standard error; when nobody can read it, that changes nothing."""
    if sys.stderr is None:
        return
    try:
        print(line, file=sys.stderr, flush=True)
    except OSError:
        _abandon(sys.stderr)


def _abandon(stream: TextIO) -> None:
    """Let what the stream still holds go nowhere: Python would try again at exit, and end with its own exit code."""
    with suppress(OSError, ValueError):
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, stream.fileno())
        os.close(null)
