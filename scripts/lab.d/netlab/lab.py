"""A lab as an object: bring it up, run commands in it, do it harm, take it down."""

import os
import signal
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, Self

from netlab import groups, harm, wire
from netlab.building import build, raise_host, remove_traces
from netlab.commands import require_tools
from netlab.errors import LabError
from netlab.faults import Fault, check_target
from netlab.processes import ranks_of, send_to_all
from netlab.shape import DATA_DEVICE, DATA_NETWORK, LOGIN, MANAGEMENT_DEVICE, MANAGEMENT_NETWORK, Shape, checked_name
from netlab.signals import ended_by_signals
from netlab.state import State, folder_of, locked, names

DEFAULT_NAME: Final = "default"

# Makes launchers and MPI libraries use the lab's hosts and cables, and not that all of them share one machine.
_SETTINGS: Final = {
    "HYDRA_LAUNCHER": "ssh",
    "HYDRA_IFACE": MANAGEMENT_DEVICE,
    "UCX_TLS": "tcp,self",  # else MPICH's UCX talks through shared memory, and nothing crosses a cable
    "UCX_NET_DEVICES": DATA_DEVICE,
    "PRTE_MCA_prte_if_include": MANAGEMENT_NETWORK,
    "OMPI_MCA_pml": "ob1",
    "OMPI_MCA_btl": "tcp,self",
    "OMPI_MCA_btl_tcp_if_include": DATA_NETWORK,
    # Hosts share this machine's cores: waiting ranks must give way, as with netprobe's --oversubscribe.
    "MPIR_CVAR_ENABLE_HEAVY_YIELD": "1",
    "MPIR_CVAR_CH4_PROGRESS_THROTTLE": "1",
    "MPIR_CVAR_CH4_PROGRESS_THROTTLE_NO_PROGRESS_COUNT": "100",
    "OMPI_MCA_mpi_yield_when_idle": "1",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Lab:
    """An emulated cluster that is up, or was."""

    name: str

    @classmethod
    def up(cls, shape: Shape, name: str = DEFAULT_NAME, *, outlives_maker: bool = True) -> tuple[Self, bool]:
        """Bring a lab up and return it, and whether it is new; LabError when it is up with another shape.

        Unless it outlives its maker, the end of this process is its end, even when the process is killed.
        """
        require_tools()
        lab = cls(name=checked_name(name))
        with ended_by_signals(), locked(name):
            state = State.read(name)
            if state is not None and state.fabric.is_alive:
                if state.shape != shape:
                    raise LabError(f"lab {name} is up with {state.shape}", remedy=f"lab down --name {name}, or --name")
                return lab, False
            remove_traces(name)
            build(name, shape, outlives_maker=outlives_maker)
        return lab, True

    def down(self) -> bool:
        """Take it down, complete or not; return whether there was anything."""
        with locked(self.name):
            return remove_traces(self.name)

    @property
    def state(self) -> State:
        """What it is now; LabError when it is not up."""
        state = State.read(self.name)
        if state is None or not state.fabric.is_alive:
            raise LabError(f"lab {self.name} is not up", remedy=f"lab up --name {self.name}")
        return state

    @property
    def shape(self) -> Shape:
        """What it looks like."""
        return self.state.shape

    @property
    def agent(self) -> Path:
        """What launchers call in ssh's place."""
        return folder_of(self.name) / "agent"

    def environment(self, environ: Mapping[str, str] = os.environ) -> dict[str, str]:
        """Return an environment in which launchers and MPI libraries use the lab; what is set already stays."""
        agents = dict.fromkeys(("HYDRA_LAUNCHER_EXEC", "PRTE_MCA_plm_ssh_agent"), str(self.agent))
        return {**_SETTINGS, **agents, **environ}

    def command(self, host: str, argv: Sequence[str]) -> tuple[str, ...]:
        """Return the command that runs another one at a host's console, the login host's too, from outside."""
        self.state.shape.host(host)
        return wire.python_argv("client", str(folder_of(self.name) / f"{host}.sock"), *argv, function="console")

    def popen(self, argv: Sequence[str], host: str = LOGIN, **options: Any) -> "subprocess.Popen[Any]":  # noqa: ANN401
        """Start a command in the lab; signals to the process reach the command, and its death is the command's."""
        environ = self.environment(options.pop("env", None) or os.environ)
        return subprocess.Popen(self.command(host, argv), env=environ, **options)

    def run(self, argv: Sequence[str], host: str = LOGIN, **options: Any) -> "subprocess.CompletedProcess[Any]":  # noqa: ANN401
        """Run a command in the lab to its end; options are those of subprocess.run."""
        environ = self.environment(options.pop("env", None) or os.environ)
        options.setdefault("check", False)
        return subprocess.run(self.command(host, argv), env=environ, **options)

    def inject(self, fault: Fault) -> None:
        """Put a fault in place; one of the same kind at the same place is replaced.

        It is on record before it is in place: whatever ends this process, ``clear`` knows of it.
        """
        with self._changed() as change:
            check_target(fault.target, change.state.shape)
            others = tuple(each for each in change.faults if not fault.replaces(each))
            change.faults = (*others, fault)
            change.write()
            try:
                harm.apply(change.state, fault)
            except BaseException:
                harm.lift(change.state, fault)
                change.faults = others
                raise

    def clear(self, host: str | None = None) -> None:
        """Take faults away, of one host or all; hosts that were killed stay dead."""
        with self._changed() as change:
            for fault in change.faults:
                if host is None or fault.concerns(host):
                    harm.lift(change.state, fault)
                    change.faults = tuple(each for each in change.faults if each != fault)

    def faults(self) -> tuple[tuple[Fault, int | None], ...]:
        """Return each fault, and how many packets it has taken so far; None where it takes none."""
        state = self.state
        return tuple((fault, harm.taken_packets(state, fault)) for fault in map(Fault.from_json, state.faults))

    def kill_host(self, host: str) -> None:
        """Switch a host off: all its processes and its cables go, without a word to anybody."""
        with self._changed() as change:
            change.state.holder(change.state.shape.host(host).name)
            for fault in change.faults:
                if fault.target == host:
                    harm.lift(change.state, fault)
                    change.faults = tuple(each for each in change.faults if each != fault)
            change.state.holders[host].end()
            change.state = replace(change.state, killed=(*change.state.killed, host))

    def revive(self, host: str | None = None) -> tuple[str, ...]:
        """Switch hosts that are down on again, one or all; return which."""
        with self._changed() as change:
            wanted = change.state.shape.host_names() if host is None else (change.state.shape.host(host).name,)
            dead = tuple(name for name in wanted if not change.state.holders[name].is_alive)
            for name in dead:
                held = raise_host(change.state.name, change.state.fabric, change.state.shape, name)
                change.state = change.state.with_holder(name, held)
            change.state = replace(change.state, killed=tuple(each for each in change.state.killed if each not in dead))
            harm.reapply(change.state, change.faults, dead)
        return dead

    def kill_rank(self, host: str) -> int:
        """Kill one rank of netprobe on a host, and return its process number; LabError when there is none."""
        pid = self._rank_on(host)
        os.kill(pid, signal.SIGKILL)
        return pid

    def resume(self, host: str) -> None:
        """Let a host's processes go on."""
        with self._changed() as change:
            for fault in change.faults:
                if fault.target == host and fault.kind in harm.OF_PROCESSES:
                    harm.lift(change.state, fault)
                    change.faults = tuple(each for each in change.faults if each != fault)

    def ranks(self, host: str) -> tuple[int, ...]:
        """Return the process numbers of netprobe's ranks on a host, as this machine counts."""
        return ranks_of(self.state.holder(host))

    def members(self, host: str) -> tuple[int, ...]:
        """Return the process numbers of all that runs on a host, the login host too, as this machine counts."""
        return self.state.holder(host).members()

    def send_to_all(self, host: str, number: signal.Signals) -> int:
        """Send a signal to every process on a host, and return how many got it."""
        return send_to_all(self.state.holder(host), number)

    def _rank_on(self, host: str) -> int:
        ranks = self.ranks(host)
        if not ranks:
            raise LabError(f"no rank of netprobe runs on {host}", remedy="lab run -- netprobe check --hosts …")
        return ranks[0]

    @contextmanager
    def _changed(self) -> "Iterator[_Change]":
        """Hold the lock, and write what changed even when the block fails half way."""
        with ended_by_signals(), locked(self.name):
            state = self.state
            change = _Change(state, tuple(map(Fault.from_json, state.faults)))
            try:
                yield change
            finally:
                change.write()


@dataclass(slots=True)
class _Change:
    state: State
    faults: tuple[Fault, ...]

    def write(self) -> None:
        replace(self.state, faults=tuple(fault.to_json() for fault in self.faults)).write()


def all_labs() -> tuple[tuple[str, State | None], ...]:
    """Return every lab that left anything, and its state if it is up."""
    found = []
    for name in sorted({*names(), *groups.labs()}):
        state = State.read(name)
        found.append((name, state if state is not None and state.fabric.is_alive else None))
    return tuple(found)
