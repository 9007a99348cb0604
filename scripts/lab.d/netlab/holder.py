"""The first process of a host: holds its namespaces, reaps its orphans, and starts what it is asked to start.

Runs as process 1 of a PID namespace of its own, so that its death is the death of everything on the host. Asked over a
Unix socket, because that works from every other namespace.
"""

import os
import selectors
import signal
import socket
import subprocess
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from netlab import wire

KEEP: Final = b"k"
"""Written to a lifeline: the lab is complete, and lives on without the one that made it."""
CANNOT_START: Final = 127
TEMPORARY: Final = "/dev/shm/tmp"
"""Of each host alone: Open MPI names files after process numbers, which other hosts of the machine have as well."""
LIFELINE: Final = 0
"""Standard input of the fabric's holder: its end before KEEP is the end of the lab."""


@dataclass(slots=True)
class _Command:
    """A running command, and who waits for it."""

    connection: socket.socket
    is_tied: bool
    """True when it is to be killed once nobody waits for it; what ssh started lives on."""


class Holder:
    """Waits for requests, ended children and the end of its lifeline."""

    def __init__(self, path: Path) -> None:
        self._selector = selectors.DefaultSelector()
        self._commands: dict[int, _Command] = {}
        woken, self._wake = socket.socketpair()
        for each in (woken, self._wake):
            each.setblocking(False)
        signal.set_wakeup_fd(self._wake.fileno())
        signal.signal(signal.SIGCHLD, lambda *_: None)
        self._selector.register(woken, selectors.EVENT_READ, lambda: self._reap(woken))
        listener = wire.listen(path)
        self._selector.register(listener, selectors.EVENT_READ, lambda: self._accept(listener))

    def depend_on(self, lifeline: int) -> None:
        """End when this file ends without having said KEEP."""
        self._selector.register(lifeline, selectors.EVENT_READ, lambda: self._check(lifeline))

    def serve(self) -> None:
        """Serve until killed."""
        while True:
            for key, _ in self._selector.select():
                key.data()

    def _check(self, lifeline: int) -> None:
        if os.read(lifeline, 1) != KEEP:
            os._exit(1)
        self._selector.unregister(lifeline)

    def _accept(self, listener: socket.socket) -> None:
        connection, _ = listener.accept()
        self._selector.register(connection, selectors.EVENT_READ, lambda: self._take(connection))

    def _take(self, connection: socket.socket) -> None:
        try:
            message, files = wire.receive(connection)
        except (EOFError, OSError, ValueError):
            self._leave(connection)
            return
        pid = self._command_of(connection)
        if "argv" in message and pid is None:
            self._start(connection, message, files)
        elif "signal" in message and pid is not None:
            with suppress(ProcessLookupError):
                (os.killpg if message.get("to_group") else os.kill)(pid, message["signal"])
        for each in files:
            os.close(each)

    def _command_of(self, connection: socket.socket) -> int | None:
        return next((pid for pid, command in self._commands.items() if command.connection is connection), None)

    def _start(self, connection: socket.socket, message: dict[str, Any], files: list[int]) -> None:
        pid = os.fork()
        if pid == 0:
            _become(message, files)
        self._commands[pid] = _Command(connection, bool(message.get("is_tied")))

    def _leave(self, connection: socket.socket) -> None:
        self._selector.unregister(connection)
        connection.close()
        pid = self._command_of(connection)
        if pid is not None and self._commands.pop(pid).is_tied:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def _reap(self, woken: socket.socket) -> None:
        with suppress(BlockingIOError):
            woken.recv(4096)
        with suppress(ChildProcessError):
            while True:
                pid, status = os.waitpid(-1, os.WNOHANG)
                if pid == 0:
                    return
                self._tell(pid, os.waitstatus_to_exitcode(status))

    def _tell(self, pid: int, code: int) -> None:
        command = self._commands.pop(pid, None)
        if command is not None:
            with suppress(OSError):
                wire.send(command.connection, {"code": code})


def _become(message: dict[str, Any], files: list[int]) -> None:
    """Turn this fresh child into the command; never returns."""
    try:
        os.setsid()
        for number in (signal.SIGCHLD, signal.SIGPIPE, signal.SIGINT):
            signal.signal(number, signal.SIG_DFL)
        for target, source in enumerate(files):
            os.dup2(source, target)
        os.chdir(message["cwd"])
        os.execvpe(message["argv"][0], message["argv"], {**message["env"], "TMPDIR": TEMPORARY})
    except (OSError, LookupError) as error:
        os.write(2, f"{message['argv'][:1]}: {error}\n".encode())
    finally:
        os._exit(CANNOT_START)


def _settle(name: str, hosts_file: Path) -> None:
    """Make this namespace look like a host's: its name, its /sys, its shared memory, its names of others."""
    socket.sethostname(name)
    for argv in (
        ("mount", "--bind", str(hosts_file), "/etc/hosts"),
        ("mount", "-t", "tmpfs", "-o", "mode=1777", "shm", "/dev/shm"),
        ("ip", "link", "set", "lo", "up"),
    ):
        subprocess.run(argv, check=True)
    _mount_own_sysfs()
    Path(TEMPORARY).mkdir(mode=0o700)
    # Neighbour discovery and router solicitation would be traffic that nobody asked for.
    _set("net/ipv6/conf/all/disable_ipv6", "1")
    _set("net/ipv6/conf/default/disable_ipv6", "1")
    # What all hosts together may have under way to one fits the queue of its port: a healthy fabric loses nothing.
    _set("net/ipv4/tcp_rmem", "4096 131072 524288")
    _set("net/ipv4/tcp_wmem", "4096 65536 1048576")
    _choose_congestion_control()
    # Routes and windows that one test learned are not the next one's.
    _set("net/ipv4/tcp_no_metrics_save", "1")


def _choose_congestion_control() -> None:
    """Take what heeds a loss: BBR, some kernels' default, hardly does, and halves what goes both ways at once."""
    for name in ("cubic", "reno"):
        # Kernels let a namespace choose only what they list as allowed; reno always is.
        with suppress(OSError):
            (Path("/proc/sys/net/ipv4/tcp_congestion_control")).write_text(name)
            return


def _mount_own_sysfs() -> None:
    """Show this network namespace's devices in /sys, and the control groups as before."""
    groups = Path("/sys/fs/cgroup")
    keep = Path("/dev/shm/cgroup")
    keep.mkdir()
    subprocess.run(("mount", "--rbind", str(groups), str(keep)), check=True)
    subprocess.run(("mount", "-t", "sysfs", "sysfs", "/sys"), check=True)
    subprocess.run(("mount", "--move", str(keep), str(groups)), check=True)
    keep.rmdir()


def _set(name: str, value: str) -> None:
    with suppress(FileNotFoundError):  # a kernel without IPv6
        (Path("/proc/sys") / name).write_text(value)


def main() -> None:
    """Hold a host: NAME FOLDER, the lab's folder with its hosts file and sockets."""
    name, folder = sys.argv[1], Path(sys.argv[2])
    is_fabric = name == "fabric"
    if is_fabric:
        socket.sethostname(name)
        _set("net/bridge/bridge-nf-call-iptables", "0")
        _set("net/ipv6/conf/all/disable_ipv6", "1")
        _set("net/ipv6/conf/default/disable_ipv6", "1")
    else:
        _settle(name, folder / "hosts")
    holder = Holder(folder / f"{name}.sock")
    if is_fabric:
        holder.depend_on(LIFELINE)
    holder.serve()
