"""The guest's first file system: what it needs until this machine's root is its own, and what to do then."""

import shlex
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from rdmalab.archive import Entry, archive
from rdmalab.kernel import Kernel, plain_module

GUEST: Final = Path(__file__).parent / "guest"
TOOLS: Final = ("init", "hosts", "host", "agent", "fault")
"""Found in the guest below /run/rdma-lab."""
_EARLY_MODULES: Final = ("virtio_pci", "virtio_console", "9pnet_virtio", "9p", "overlay")
_DIRECTORIES: Final = ("bin", "proc", "sys", "dev", "lower", "memory", "new", "modules", "tools")


@dataclass(frozen=True, slots=True, kw_only=True)
class Errand:
    """What the guest is for."""

    hosts: int
    mtu_bytes: int
    command: tuple[str, ...]
    path: str
    """Where programs are looked for."""
    is_shared: bool
    """Whether /job is a directory of this machine's, or in memory."""


def build(kernel: Kernel, busybox: Path, errand: Errand) -> bytes:
    """Return the archive that the kernel unpacks."""
    modules = [plain_module(path) for path in kernel.module_files(_EARLY_MODULES)]
    return archive(
        [
            *(Entry(path=each) for each in _DIRECTORIES),
            Entry(path="init", content=(GUEST / "first").read_bytes()),
            Entry(path="bin/busybox", content=busybox.read_bytes()),
            *(Entry(path=f"modules/{name}", content=content) for name, content in modules),
            Entry(path="modules/order", content=_lines(name for name, _ in modules)),
            *(Entry(path=f"tools/{tool}", content=(GUEST / tool).read_bytes()) for tool in TOOLS),
            Entry(path="tools/settings", content=settings(kernel, errand)),
            Entry(path="tools/command", content=command(errand.command)),
        ]
    )


def settings(kernel: Kernel, errand: Errand) -> bytes:
    """Return what the guest's scripts read, as assignments of a shell."""
    values = {
        "HOSTS": str(errand.hosts),
        "MTU": str(errand.mtu_bytes),
        "MODULES": str(kernel.modules),
        "IS_SHARED": "yes" if errand.is_shared else "",
        "PATH": errand.path,
    }
    return _lines(f"{name}={shlex.quote(value)}" for name, value in values.items())


def command(words: Sequence[str]) -> bytes:
    """Return the script that becomes the command."""
    return _lines(("#!/bin/sh", f"exec {shlex.join(words)}"))


def _lines(lines: Iterable[str]) -> bytes:
    return "".join(f"{line}\n" for line in lines).encode()
