"""Bring a lab up so that its maker can be killed at any moment, and take away whatever is left of one.

The fabric's holder lives at the end of a pipe until it is told that the lab is complete: when its maker dies before,
the holder does too, and everything with it.
"""

import os
import shlex
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from netlab import groups, wire
from netlab.errors import LabError
from netlab.holder import KEEP
from netlab.network import lay, plug, unplug
from netlab.processes import Held, held_by, wait_until
from netlab.shape import FABRIC, LOGIN, Shape
from netlab.state import State, folder_of, remove_folder

_NEW_NAMESPACES: Final = (
    "unshare", "--pid", "--fork", "--kill-child=SIGKILL", "--mount", "--mount-proc", "--net", "--uts", "--ipc", "--"
)  # fmt: skip


def build(name: str, shape: Shape, *, outlives_maker: bool) -> None:
    """Bring up a lab of which nothing is there yet."""
    folder = folder_of(name)
    folder.mkdir(parents=True, mode=0o700)  # whoever may connect to a host's socket is root there
    (folder / "hosts").write_text(shape.hosts_file())
    _write_agent(name)
    try:
        with _fabric(name) as (fabric, lifeline):
            lay(fabric, shape)
            holders = _raise_all(name, fabric, shape)
            State(name=name, shape=shape, holders={FABRIC: fabric, **holders}).write()
            if outlives_maker:
                os.write(lifeline, KEEP)
            else:
                os.dup(lifeline)  # open, with nothing said, until this process ends in whatever way
    except BaseException:
        remove_traces(name)
        raise


def raise_host(name: str, fabric: Held, shape: Shape, host: str) -> Held:
    """Start one host, the login host too, and connect it."""
    # A dead host's cables go with its namespace, which stays as long as one of its connections waits for an answer.
    unplug(fabric, shape.host(host))
    _start(name, (host,))
    return _connect(name, fabric, shape, host)


def remove_traces(name: str) -> bool:
    """End a lab's processes and remove its groups and files, as far as there are any; return whether there were."""
    folder = folder_of(name)
    is_there = folder.exists() or name in groups.labs()
    state = State.read(name)
    if state is not None:
        for host in state.shape.host_names():
            groups.thaw(name, host)
        state.fabric.end()
    pid = wire.holder_pid(folder / f"{FABRIC}.sock")
    half_built = None if pid is None else held_by(pid)
    if half_built is not None:
        half_built.end()
    groups.remove(name)
    remove_folder(name)
    return is_there


@contextmanager
def _fabric(name: str) -> Iterator[tuple[Held, int]]:
    """Yield the fabric's holder and the pipe that it hangs on; it dies unless told otherwise."""
    reading, lifeline = os.pipe()
    with (folder_of(name) / "log").open("ab") as log:
        # In a session and with a parent of its own: it outlives its maker, who need not wait for it.
        subprocess.run(
            ("setsid", "--fork", *_NEW_NAMESPACES, *wire.python_argv("holder", FABRIC, str(folder_of(name)))),
            stdin=reading, stdout=log, stderr=log, cwd="/", check=True,
        )  # fmt: skip
    os.close(reading)
    try:
        yield _awaited(name, FABRIC), lifeline
    finally:
        os.close(lifeline)


def _raise_all(name: str, fabric: Held, shape: Shape) -> dict[str, Held]:
    hosts = (LOGIN, *shape.host_names())
    _start(name, hosts)
    return {host: _connect(name, fabric, shape, host) for host in hosts}


def _start(name: str, hosts: tuple[str, ...]) -> None:
    """Have the fabric's holder start other holders, as children of its own."""
    folder = folder_of(name)
    with (folder / "log").open("ab") as log, Path(os.devnull).open("rb") as nothing:
        for host in hosts:
            argv = (*_NEW_NAMESPACES, *wire.python_argv("holder", host, str(folder)))
            message = {"argv": argv, "env": dict(os.environ), "cwd": "/"}
            with wire.connect(folder / f"{FABRIC}.sock") as connection:
                wire.send(connection, message, (nothing.fileno(), log.fileno(), log.fileno()))


def _connect(name: str, fabric: Held, shape: Shape, host: str) -> Held:
    held = _awaited(name, host)
    if host != LOGIN:
        groups.join(name, host, held.pid)
    plug(fabric, held, shape.host(host), shape)
    return held


def _awaited(name: str, host: str) -> Held:
    """Return a holder once it listens."""
    path = folder_of(name) / f"{host}.sock"
    try:
        wait_until(lambda: wire.holder_pid(path) is not None, f"{host} does not come up")
    except LabError as error:
        said = (folder_of(name) / "log").read_text(errors="replace").strip().splitlines()
        raise LabError(f"{host} does not come up: {said[-1] if said else 'it said nothing'}") from error
    held = held_by(wire.holder_pid(path) or 0)
    if held is None:
        raise LabError(f"{host} came up and died", remedy="lab up again")
    return held


def _write_agent(name: str) -> None:
    agent = folder_of(name) / "agent"
    command = shlex.join(wire.python_argv("client", str(folder_of(name))))
    agent.write_text(f'#!/bin/sh\n# Stands in for ssh on the login host of lab {name}.\nexec {command} "$@"\n')
    agent.chmod(0o755)
