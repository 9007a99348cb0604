"""Can the launcher get to these hosts, and is netprobe there? Asked of all hosts at once, before anything is started.

A launcher asked to start ranks on a dead host says so after minutes, in words that name no host, or not at all.
"""

import os
import shlex
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from shutil import which
from typing import Any, Final

from netprobe.errors import LaunchError, UnavailableError
from netprobe.launch.hosts import folded

CONNECT_TIMEOUT_S: Final = 5
COMMAND_TIMEOUT_S: Final = 30  # Python's first start from a busy network file system
AT_ONCE: Final = 64

# Each of these makes the launcher reach hosts by something else than the ssh that is tried here.
_AGENT_VARIABLES: Final = ("HYDRA_LAUNCHER", "HYDRA_LAUNCHER_EXEC", "HYDRA_BOOTSTRAP", "HYDRA_BOOTSTRAP_EXEC",
                           "I_MPI_HYDRA_BOOTSTRAP", "I_MPI_HYDRA_BOOTSTRAP_EXEC", "OMPI_MCA_plm_rsh_agent",
                           "PRTE_MCA_plm_ssh_agent")  # fmt: skip

Reach = Callable[[Sequence[str], str], Mapping[str, str]]
"""Run a shell command on all hosts; return the failed ones, each with the last line it said."""


def refuse_unreachable(hosts: Sequence[str], python: str, environ: Mapping[str, str], reach: Reach) -> None:
    """Raise LaunchError when ssh does not get to a host, or ``python`` there cannot import netprobe.

    Nothing is asked when the launcher is set to reach hosts in another way.
    """
    if not hosts or any(name in environ for name in _AGENT_VARIABLES):
        return
    failures = reach(hosts, remote_command(python, environ.get("PYTHONPATH")))
    if failures:
        names = [host for host in hosts if host in failures]
        raise LaunchError(
            f"{folded(names)} cannot be used: {names[0]} says {failures[names[0]]!r}",
            remedy=f"ssh {names[0]} {shlex.quote(python)} -c 'import netprobe', which must work without a password",
        )


def remote_command(python: str, python_path: str | None) -> str:
    """Return the command that succeeds where a rank could start: the same Python, with netprobe."""
    home = str(Path(__file__).parents[2])
    code = f"import sys; sys.path.append({home!r}); import netprobe"
    settings = [] if python_path is None else [f"PYTHONPATH={python_path}"]
    # ssh hands its words to the remote user's shell, so this is the one place that has to quote.
    return shlex.join(["env", *settings, python, "-c", code])


def reach_over_ssh(hosts: Sequence[str], command: str) -> Mapping[str, str]:
    """Run a command on all hosts over ssh; return the failed ones, each with the last line it said.

    UnavailableError when this host has no ssh client.
    """
    if which("ssh", path=os.environ.get("PATH")) is None:
        raise UnavailableError(
            f"{folded(hosts)} cannot be reached: this host has no ssh client",
            remedy="install ssh, or run inside a Slurm allocation",
        )
    from ClusterShell.NodeSet import RESOLVER_NOGROUP, NodeSet
    from ClusterShell.Task import task_self
    from ClusterShell.Worker.Ssh import WorkerSsh

    task = task_self()
    task.set_info("connect_timeout", CONNECT_TIMEOUT_S)
    task.set_info("fanout", AT_ONCE)
    nodes = NodeSet.fromlist(list(hosts), resolver=RESOLVER_NOGROUP)
    worker = WorkerSsh(nodes, handler=None, timeout=COMMAND_TIMEOUT_S, command=command, stderr=True)
    task.schedule(worker)
    task.resume()
    failures = dict.fromkeys(worker.iter_keys_timeout(), f"nothing for {COMMAND_TIMEOUT_S} s")
    for code, failed in worker.iter_retcodes():
        if code != 0:
            failures.update({host: _last_line(worker, host) or f"exit code {code}" for host in failed})
    return failures


def _last_line(worker: Any, host: str) -> str:  # noqa: ANN401 - ClusterShell has no types
    said = bytes(worker.node_error(host) or b"") + b"\n" + bytes(worker.node_buffer(host) or b"")
    lines = said.decode("utf-8", "replace").split("\n")
    return next((line.strip() for line in reversed(lines) if line.strip()), "")
