"""How a holder is spoken to: one packet of JSON each way over a Unix socket, with the caller's three standard files.

A Unix socket with a path is reached from any network namespace, and a file handed over it needs no copying: the command
writes to the caller's own output.
"""

import array
import json
import os
import socket
import struct
import sys
from pathlib import Path
from typing import Any, Final

LONGEST_BYTES: Final = 1 << 20
"""Of a request: arguments and environment; Linux itself allows 2 MiB for both."""
_CREDENTIALS: Final = struct.Struct("3i")  # pid, uid, gid of linux/socket.h


def connect(path: Path) -> socket.socket:
    """Return a connection to the holder that listens there; OSError when none does."""
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, LONGEST_BYTES)
    try:
        connection.connect(str(path))
    except OSError:
        connection.close()
        raise
    return connection


def listen(path: Path) -> socket.socket:
    """Return a socket on which requests arrive."""
    path.unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    listener.bind(str(path))
    listener.listen(128)
    return listener


def holder_pid(path: Path) -> int | None:
    """Return the holder that listens there, as this PID namespace numbers it; None when none does."""
    try:
        with connect(path) as connection:
            raw = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    except OSError:
        return None
    return int(_CREDENTIALS.unpack(raw)[0]) or None


def send(connection: socket.socket, message: dict[str, Any], files: tuple[int, ...] = ()) -> None:
    """Send one message, and open files with it."""
    rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", files))] if files else []
    connection.sendmsg([json.dumps(message).encode()], rights)


def receive(connection: socket.socket) -> tuple[dict[str, Any], list[int]]:
    """Return the next message and its files; EOFError when the other side has gone."""
    files = array.array("i")
    raw, ancillary, _, _ = connection.recvmsg(
        LONGEST_BYTES, socket.CMSG_SPACE(3 * files.itemsize), socket.MSG_CMSG_CLOEXEC
    )
    for level, kind, payload in ancillary:
        if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
            files.frombytes(payload[: len(payload) - len(payload) % files.itemsize])
    if not raw:
        raise EOFError
    return json.loads(raw), files.tolist()


def python_argv(module: str, *arguments: str, function: str = "main") -> tuple[str, ...]:
    """Return the command that runs a function of one of this package's modules, without site packages: a fast start."""
    folder = str(Path(__file__).parents[1])
    code = f"import sys; sys.path.insert(0, {folder!r}); from netlab.{module} import {function}; {function}()"
    return (os.path.realpath(sys.executable), "-E", "-S", "-c", code, *arguments)
