"""Run a command on many hosts at once and get their answers, each within a bound; whatever way there is to reach them.

Nothing listens anywhere: hosts are reached as the MPI launcher reaches them, over ssh or its stand-in, or by srun.
"""

import os
import resource
import shlex
import subprocess
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from shutil import which
from typing import Any, Final

from netprobe.environment import launcher_environment
from netprobe.errors import UnavailableError
from netprobe.launch.hosts import folded

MOST_AT_ONCE: Final = 512  # ssh clients; each takes a few MB and ms of this host's processors
STEPS_AT_ONCE: Final = 64  # job steps of Slurm, whose controller is everybody's
SSH_DESCRIPTORS: Final = 4  # of this process for each ssh client: its three streams, and some room
THREAD_DESCRIPTORS: Final = 10  # for each thread that asks in its own words: those, and a loop of events
TIMED_OUT: Final = 124  # the exit code of an answer that did not come in time, as of timeout(1)
CONNECT_TIMEOUT_S: Final = 3  # a live host's ssh accepts in ms, a loaded one's within a second

# What makes launchers reach hosts by something that takes ssh's words.
_AGENTS: Final = ("HYDRA_LAUNCHER_EXEC", "HYDRA_BOOTSTRAP_EXEC", "I_MPI_HYDRA_BOOTSTRAP_EXEC", "PRTE_MCA_plm_ssh_agent",
                  "PRTE_MCA_plm_rsh_agent", "OMPI_MCA_plm_rsh_agent")  # fmt: skip
# What makes Hydra reach hosts by something else altogether.
_BOOTSTRAPS: Final = ("HYDRA_LAUNCHER", "HYDRA_BOOTSTRAP", "I_MPI_HYDRA_BOOTSTRAP")


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a host said."""

    code: int
    """The command's exit code; 255 where the host could not be reached, 124 where it took too long."""
    lines: tuple[str, ...] = ()
    error: str = ""
    """Its last words; empty when it said none."""

    @property
    def why(self) -> str:
        """Why there is no better answer, in a few words."""
        return self.error or (self.lines[-1] if self.lines else f"exit code {self.code}")


Ask = Callable[[Sequence[str], Sequence[str], int], Mapping[str, Answer]]
"""Run an argument list on all hosts, each for at most so many seconds; every host has an answer."""


def at_once(hosts: int, descriptors: int = SSH_DESCRIPTORS, *, allowed: int | None = None) -> int:
    """Return how many hosts to ask at the same time: all, as far as descriptors go.

    ``descriptors`` are taken for each; ``allowed`` is how many this process may have, by default its limit.
    """
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0] if allowed is None else allowed
    room = MOST_AT_ONCE if limit == resource.RLIM_INFINITY else limit // descriptors
    return max(1, min(hosts, MOST_AT_ONCE, room))


def agent_of(environ: Mapping[str, str]) -> str | None:
    """Return what the launcher is set to use for ssh; None when it is something that does not take ssh's words."""
    if any(environ.get(name, "ssh") not in ("ssh", "rsh") for name in _BOOTSTRAPS):
        return None
    chosen = next((name for name in _AGENTS if environ.get(name, "").strip()), None)
    if chosen is None:
        return "ssh"
    if not chosen.endswith(("ssh_agent", "rsh_agent")):
        return environ[chosen].strip()
    alternatives = (each.strip() for each in environ[chosen].split(":"))  # Open MPI takes several
    return next((each for each in alternatives if each), "ssh")


def by_ssh(agent: str = "ssh") -> Ask:
    """Return a way to ask over ssh, or over a program that takes the same words."""

    def ask(hosts: Sequence[str], argv: Sequence[str], timeout_s: int) -> Mapping[str, Answer]:
        # ssh hands its words to the remote user's shell, so this is the one place that has to quote.
        return _ask_over_ssh(agent, hosts, shlex.join(argv), timeout_s) if hosts else {}

    return ask


def ask_here(hosts: Sequence[str], argv: Sequence[str], timeout_s: int) -> Mapping[str, Answer]:
    """Run the command on this host, once, in the name of all."""
    answer = _ask_here(argv, timeout_s)
    return dict.fromkeys(hosts, answer)


def by_srun(path: str) -> Ask:
    """Return a way to ask inside a Slurm allocation, where ssh may not be allowed."""

    def ask(hosts: Sequence[str], argv: Sequence[str], timeout_s: int) -> Mapping[str, Answer]:
        def one(host: str) -> Answer:
            options = (f"--nodelist={host}", "--nodes=1", "--ntasks=1", "--overlap", "--mpi=none", "--export=ALL")
            return _ask_here((path, *options, *argv), timeout_s)

        with ThreadPoolExecutor(max_workers=min(len(hosts) or 1, STEPS_AT_ONCE)) as pool:
            return dict(zip(hosts, pool.map(one, hosts), strict=True))

    return ask


def local_or(remote: Ask, others: Iterable[str]) -> Ask:
    """Return a way to ask that uses ``remote`` only for ``others``; all the rest is this host."""
    away = frozenset(others)

    def ask(hosts: Sequence[str], argv: Sequence[str], timeout_s: int) -> Mapping[str, Answer]:
        near = [host for host in hosts if host not in away]
        far = [host for host in hosts if host in away]
        return {**(ask_here(near, argv, timeout_s) if near else {}), **remote(far, argv, timeout_s)}

    return ask


def _ask_here(argv: Sequence[str], timeout_s: int) -> Answer:
    environ = launcher_environment(os.environ, {})
    try:
        done = subprocess.run(
            argv, env=environ, stdin=subprocess.DEVNULL, capture_output=True, timeout=timeout_s, check=False
        )
    except subprocess.TimeoutExpired:
        return Answer(code=TIMED_OUT, error=f"no answer for {timeout_s} s")
    except OSError as error:
        return Answer(code=127, error=str(error.strerror))
    return Answer(code=done.returncode, lines=_lines(done.stdout), error=_last(done.stderr))


def _ask_over_ssh(agent: str, hosts: Sequence[str], command: str, timeout_s: int) -> Mapping[str, Answer]:
    if which(shlex.split(agent)[0], path=os.environ.get("PATH")) is None:
        raise UnavailableError(
            f"{folded(hosts)} cannot be reached: this host has no {agent} client",
            remedy="install ssh, or run inside a Slurm allocation",
        )
    from ClusterShell.Task import task_self, task_terminate

    task = task_self()  # of this thread
    try:
        return _answers(task, agent, hosts, command, timeout_s)
    finally:
        task_terminate()  # else each thread that ever asked keeps its descriptors


def _answers(task: Any, agent: str, hosts: Sequence[str], command: str, timeout_s: int) -> Mapping[str, Answer]:  # noqa: ANN401
    from ClusterShell.NodeSet import RESOLVER_NOGROUP, NodeSet
    from ClusterShell.Worker.Ssh import WorkerSsh

    task.set_info("ssh_path", agent)
    task.set_info("connect_timeout", CONNECT_TIMEOUT_S)
    task.set_info("fanout", at_once(len(hosts)))
    nodes = NodeSet.fromlist(list(hosts), resolver=RESOLVER_NOGROUP)
    worker = WorkerSsh(nodes, handler=None, timeout=timeout_s, command=command, stderr=True)
    task.schedule(worker)
    task.resume()
    answers = {host: Answer(code=TIMED_OUT, error=f"no answer for {timeout_s} s") for host in hosts}
    for code, answering in worker.iter_retcodes():
        for host in answering:
            answers[host] = Answer(
                code=code, lines=_lines(_bytes(worker.node_buffer(host))), error=_last(_bytes(worker.node_error(host)))
            )
    return answers


def _bytes(said: Any) -> bytes:  # noqa: ANN401 - ClusterShell has no types
    return bytes(said or b"")


def _lines(said: bytes) -> tuple[str, ...]:
    return tuple(line.strip() for line in said.decode("utf-8", "replace").split("\n") if line.strip())


def _last(said: bytes) -> str:
    lines = _lines(said)
    return lines[-1] if lines else ""
