"""Processes of a launch: started so that they can be found again, and ended so that none is left.

Signals to the launcher's process group are not enough. Hydra puts its proxy and each rank into a session of their own,
PRRTE each rank into a group of its own, and a launcher that is killed leaves its ranks behind. So every process of a
launch carries a mark in its environment, by which those on this host are found.
"""

import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from secrets import token_hex
from typing import Final

from netprobe.environment import JOB_VARIABLE, LAST_VARIABLE
from netprobe.errors import LaunchError

_PR_SET_PDEATHSIG: Final = 1  # linux/prctl.h
_SWEEPS: Final = 50
_SWEEP_PAUSE_S: Final = 0.02  # a killed process takes some ms to go; 50 sweeps are a second


class LauncherProcess:
    """A running launcher and, by their mark, its ranks on this host."""

    def __init__(self, popen: "subprocess.Popen[bytes]", name: str, mark: str) -> None:
        self.popen = popen
        self.name = name
        self.mark = mark

    def ask_to_end(self) -> None:
        """Send SIGTERM: launchers then end their ranks, on other hosts as well."""
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.popen.pid, signal.SIGTERM)

    def kill(self) -> None:
        """End the launcher and every process of the job on this host, at once."""
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.popen.pid, signal.SIGKILL)
        end_job(self.mark, self.popen.poll)
        self.popen.wait()


def end_job(mark: str, reap: Callable[[], object] = lambda: None) -> None:
    """Kill every process of the job with this mark that lives on this host, stopped ones too; but not this one."""
    for _ in range(_SWEEPS):
        reap()
        survivors = [pid for pid in processes_of(mark) if pid != os.getpid()]
        if not survivors:
            return
        for pid in survivors:
            with suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(_SWEEP_PAUSE_S)


def processes_of(mark: str, proc: Path = Path("/proc")) -> tuple[int, ...]:
    """Return the processes of a job that live on this host; empty where the system does not tell."""
    setting = f"{JOB_VARIABLE}={mark}".encode()
    return tuple(pid for pid, environ in _environments(proc) if setting in environ.split(b"\0"))


@contextmanager
def started(argv: Sequence[str], environ: Mapping[str, str]) -> Iterator[LauncherProcess]:
    """Yield the running launcher; however the block is left, no process of it stays. LaunchError: it cannot be run."""
    mark = token_hex(8)
    try:
        popen = subprocess.Popen(
            argv,
            env={**environ, JOB_VARIABLE: mark, LAST_VARIABLE: "1"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
            preexec_fn=_end_with_parent(),
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise LaunchError(
            f"{argv[0]} cannot be run: {error.strerror if isinstance(error, OSError) else error}",
            remedy="--mpiexec with another launcher",
        ) from error
    launcher = LauncherProcess(popen, argv[0], mark)
    with popen:
        try:
            yield launcher
        finally:
            launcher.kill()


def _end_with_parent() -> Callable[[], object] | None:
    """Return what makes the launcher get a SIGTERM when this process is killed; None where the system cannot."""
    if sys.platform != "linux":
        return None
    return partial(ctypes.CDLL(None).prctl, _PR_SET_PDEATHSIG, int(signal.SIGTERM), 0, 0, 0)


def _environments(proc: Path) -> Iterator[tuple[int, bytes]]:
    for path in proc.glob("[0-9]*/environ"):
        with suppress(OSError):  # ended meanwhile, or somebody else's
            yield int(path.parent.name), path.read_bytes()
