"""What is known of a lab between two commands: one JSON file in a folder of its own under /run, and a lock."""

import fcntl
import json
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Final, Self

from netlab.errors import LabError
from netlab.processes import Held
from netlab.shape import FABRIC, Shape, checked_name

ROOT: Final = Path("/run/netprobe-lab")
_STATE: Final = "state.json"
_LOCK_PATIENCE_S: Final = 60.0
"""Bringing up two hundred hosts takes some tens of seconds."""
_LOCK_PAUSE_S: Final = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """A lab that was brought up."""

    name: str
    shape: Shape
    holders: dict[str, Held]
    """By host name; the login host and the fabric are among them."""
    faults: tuple[dict[str, Any], ...] = ()
    """As ``netlab.faults.Fault`` writes them."""
    killed: tuple[str, ...] = field(default=())
    """Hosts that were killed on purpose."""

    @property
    def fabric(self) -> Held:
        """The process that everything hangs on."""
        return self.holders[FABRIC]

    def holder(self, host: str) -> Held:
        """Return a live holder; LabError for a host that is down or that the lab does not have."""
        if host not in (FABRIC, self.shape.host(host).name):
            raise LabError(f"there is no host {host!r} in lab {self.name}")
        held = self.holders[host]
        if not held.is_alive:
            raise LabError(f"{host} of lab {self.name} is down", remedy=f"lab revive --host {host}")
        return held

    def write(self) -> None:
        """Write it, whole or not at all."""
        path = folder_of(self.name) / _STATE
        fresh = path.with_suffix(".new")
        fresh.write_text(json.dumps(self._to_json(), indent=1))
        fresh.replace(path)

    def _to_json(self) -> dict[str, Any]:
        holders = {name: asdict(held) for name, held in self.holders.items()}
        return {
            "shape": self.shape.to_json(), "holders": holders, "faults": list(self.faults), "killed": list(self.killed)
        }  # fmt: skip

    @classmethod
    def read(cls, name: str) -> Self | None:
        """Return what was written; None when the lab is not there, or was never complete."""
        try:
            fields = json.loads((folder_of(name) / _STATE).read_text())
        except FileNotFoundError:
            return None
        return cls(
            name=name,
            shape=Shape.from_json(fields["shape"]),
            holders={host: Held(**held) for host, held in fields["holders"].items()},
            faults=tuple(fields["faults"]),
            killed=tuple(fields["killed"]),
        )

    def with_holder(self, host: str, held: Held) -> Self:
        """Return it with another holder of a host."""
        return replace(self, holders={**self.holders, host: held})


def folder_of(name: str) -> Path:
    """Return a lab's folder: its state, its sockets, its hosts file and its agent."""
    return ROOT / checked_name(name)


def names() -> tuple[str, ...]:
    """Return the labs that have a folder."""
    return tuple(sorted(path.name for path in ROOT.glob("*") if path.is_dir()))


def remove_folder(name: str) -> None:
    """Remove a lab's folder, if it has one."""
    shutil.rmtree(folder_of(name), ignore_errors=True)


@contextmanager
def locked(name: str) -> Iterator[None]:
    """Keep other commands on this lab out; LabError when one stays too long."""
    checked_name(name)
    path = ROOT / f"{name}.lock"
    opened = _taken(path, name)
    try:
        yield
        if not folder_of(name).exists():
            path.unlink()
    finally:
        os.close(opened)


def _taken(path: Path, name: str) -> int:
    """Return the lock's file once it is ours, and still the one that others see."""
    deadline = time.monotonic() + _LOCK_PATIENCE_S
    while time.monotonic() < deadline:
        path.parent.mkdir(parents=True, exist_ok=True)
        opened = os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        with suppress(BlockingIOError, FileNotFoundError):
            fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if path.stat().st_ino == os.fstat(opened).st_ino:
                return opened
        os.close(opened)
        time.sleep(_LOCK_PAUSE_S)
    raise LabError(f"another command works on lab {name}", remedy="again when it has ended")
