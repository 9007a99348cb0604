"""Run a command on a host of the lab: as from its console, or as ssh would from the login host.

``main`` is what a launcher calls in ssh's place. Like ssh it joins the words after the host's name and hands them to a
shell there, knows nothing of the caller's environment, and exits with 255 when the host cannot be reached.
"""

import errno
import os
import signal
import socket
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import FrameType
from typing import Any, Final, NoReturn

from netlab import wire

UNREACHABLE: Final = 255
CONNECT_TIMEOUT_S: Final = 2.0
"""A live host refuses within a millisecond, or within some tens on a machine that is busy."""
_SSH_PORT: Final = 22
_WITH_VALUE: Final = frozenset("BbcDEeFIiJLlmOopQRSWw")  # ssh(1)
_FORWARDED: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2)


def run_at_console(path: Path, argv: Sequence[str], environ: Mapping[str, str], cwd: str) -> int:
    """Run a command on a host and return its exit code, 128 and more for a signal; signals are passed on to it."""
    with wire.connect(path) as connection:
        _request(connection, argv, environ, cwd, is_tied=True)

        def pass_on(number: int, _: FrameType | None) -> None:
            # An interrupt from the keyboard goes to all that were started together, a signal by number to one.
            with suppress(OSError):
                wire.send(connection, {"signal": number, "to_group": number == signal.SIGINT})

        for number in _FORWARDED:
            signal.signal(number, pass_on)
        code = _exit_code(connection)
    if code is None:
        print(f"lab: {path.stem} went down", file=sys.stderr)
        return UNREACHABLE
    return code if code >= 0 else 128 - code


def main() -> None:
    """Stand in for ssh: FOLDER [OPTION...] HOST WORD..."""
    folder, words = Path(sys.argv[1]), sys.argv[2:]
    host, command = split_ssh_words(words)
    if not host or not command:
        print("usage: agent [ssh options] HOST COMMAND...", file=sys.stderr)
        sys.exit(UNREACHABLE)
    sys.exit(_run_as_ssh(folder, host, command))


def split_ssh_words(words: Sequence[str]) -> tuple[str, str]:
    """Return the host and the command among ssh's words; its options say nothing here."""
    rest = list(words)
    while rest and rest[0].startswith("-") and len(rest[0]) > 1:
        option = rest.pop(0)
        if option == "--":
            break
        # -xl root and -lroot alike: the first letter that takes a value takes the rest of the word, or the next.
        taker = next((place for place, letter in enumerate(option) if letter in _WITH_VALUE), None)
        if taker == len(option) - 1 and rest:
            rest.pop(0)
    host = rest.pop(0).rpartition("@")[2] if rest else ""
    return host, " ".join(rest)


def _run_as_ssh(folder: Path, host: str, command: str) -> int:
    problem = _reach(host)
    if problem is not None:
        print(f"ssh: {problem}", file=sys.stderr)
        return UNREACHABLE
    home = str(Path.home())
    environ = {
        "HOME": home, "USER": "root", "LOGNAME": "root", "SHELL": "/bin/sh", "LANG": "C.UTF-8",
        "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    }  # fmt: skip
    try:
        with wire.connect(folder / f"{host}.sock") as connection:
            _request(connection, ("/bin/sh", "-c", command), environ, home, is_tied=False)
            code = _exit_code(connection)
    except OSError as error:
        print(f"ssh: connect to host {host} port {_SSH_PORT}: {error.strerror}", file=sys.stderr)
        return UNREACHABLE
    if code is None:
        _wait_as_ssh_does(host)
        print(f"Connection to {host} closed by remote host.", file=sys.stderr)
    return UNREACHABLE if code is None or code < 0 else code


def _wait_as_ssh_does(host: str) -> None:
    """Wait for a host that went silent: nothing tells ssh that the other end is gone until the host is back."""
    while _reach(host) is not None:
        time.sleep(1)


def _reach(host: str) -> str | None:
    """Return what is wrong with the way to a host; None when it answers, be it with a refusal: nothing listens."""
    try:
        address = socket.gethostbyname(host)
    except OSError:
        return f"Could not resolve hostname {host}: Name or service not known"
    try:
        socket.create_connection((address, _SSH_PORT), timeout=CONNECT_TIMEOUT_S).close()
    except ConnectionRefusedError:
        return None
    except TimeoutError:
        return f"connect to host {host} port {_SSH_PORT}: {os.strerror(errno.ETIMEDOUT)}"
    except OSError as error:
        return f"connect to host {host} port {_SSH_PORT}: {error.strerror}"
    return None


def _request(
    connection: socket.socket, argv: Sequence[str], environ: Mapping[str, str], cwd: str, *, is_tied: bool
) -> None:
    message: dict[str, Any] = {"argv": list(argv), "env": dict(environ), "cwd": cwd, "is_tied": is_tied}
    wire.send(connection, message, (0, 1, 2))


def _exit_code(connection: socket.socket) -> int | None:
    try:
        message, _ = wire.receive(connection)
    except (EOFError, OSError):
        return None
    return int(message["code"])


def console() -> NoReturn:
    """Run a command on a host: SOCKET WORD..."""
    path = Path(sys.argv[1])
    try:
        sys.exit(run_at_console(path, sys.argv[2:], os.environ, str(Path.cwd())))
    except OSError as error:
        print(f"lab: {path.stem} cannot be reached: {error.strerror}; try: lab revive, or lab up", file=sys.stderr)
        sys.exit(UNREACHABLE)
