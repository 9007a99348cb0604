"""Control groups of a lab's hosts: a share of the processors, and a freezer; in both layouts that Linux has.

Version 1 has one tree for each controller, version 2 one for all. A machine may have a tree of version 2 without
controllers beside those of version 1: it still freezes, and what it freezes can be killed.
"""

import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from netlab.errors import UNSUPPORTED, LabError
from netlab.processes import wait_until

_PERIOD_US: Final = 100_000
"""Linux' own; the noise that tests look for comes at this beat."""
_MOUNTS: Final = Path("/proc/self/mounts")
_STALLED: Final = "stalled"
_PREFIX: Final = "netprobe-lab-"


@dataclass(frozen=True, slots=True, kw_only=True)
class Trees:
    """Where groups are made; None for what this machine has not."""

    cpu: Path | None
    is_cpu_unified: bool
    freezer: Path | None


def trees_here() -> Trees:
    """Return this machine's trees."""
    unified, cpu = None, None
    for line in _MOUNTS.read_text().splitlines():
        _, path, kind, options, *_ = line.split()
        if kind == "cgroup2":
            unified = unified or Path(path)
        elif kind == "cgroup" and "cpu" in options.split(","):
            cpu = cpu or Path(path)
    if cpu is not None:
        return Trees(cpu=cpu, is_cpu_unified=False, freezer=unified)
    has_cpu = unified is not None and "cpu" in (unified / "cgroup.controllers").read_text().split()
    return Trees(cpu=unified if has_cpu else None, is_cpu_unified=has_cpu, freezer=unified)


def join(lab: str, host: str, pid: int) -> None:
    """Make a host's groups and put its holder there: what it starts later is born into them."""
    trees = trees_here()
    if trees.is_cpu_unified and trees.cpu is not None:
        (trees.cpu / _name(lab)).mkdir(exist_ok=True)
        for parent in (trees.cpu, trees.cpu / _name(lab)):
            (parent / "cgroup.subtree_control").write_text("+cpu")
    for tree in _distinct(trees):
        # In a tree of version 2 processes live in leaves only, and the stalled ones need a leaf of their own.
        group = tree / _name(lab) / host / "all"
        group.mkdir(parents=True, exist_ok=True)
        (group / "cgroup.procs").write_text(str(pid))


def set_share(lab: str, host: str, share: float | None) -> None:
    """Give a host this many processors' time, in slices of a tenth of a second; None for all it can get."""
    trees = trees_here()
    if trees.cpu is None:
        raise LabError("this machine has no cpu control group", remedy="mount -t cgroup -o cpu", exit_code=UNSUPPORTED)
    group = trees.cpu / _name(lab) / host
    quota_us = None if share is None else max(1_000, round(share * _PERIOD_US))
    if trees.is_cpu_unified:
        (group / "cpu.max").write_text(f"{'max' if quota_us is None else quota_us} {_PERIOD_US}")
        return
    (group / "cpu.cfs_period_us").write_text(str(_PERIOD_US))
    (group / "cpu.cfs_quota_us").write_text(str(-1 if quota_us is None else quota_us))


def stall(lab: str, host: str, pid: int) -> None:
    """Freeze one process: it is not stopped, looks asleep, does nothing, and can be killed."""
    tree = trees_here().freezer
    if tree is None:
        raise LabError("this machine has no cgroup2 to freeze in", remedy="mount -t cgroup2", exit_code=UNSUPPORTED)
    group = tree / _name(lab) / host / _STALLED
    group.mkdir(exist_ok=True)
    (group / "cgroup.freeze").write_text("1")
    (group / "cgroup.procs").write_text(str(pid))
    wait_until(lambda: "frozen 1" in (group / "cgroup.events").read_text(), f"process {pid} does not freeze")


def thaw(lab: str, host: str) -> None:
    """Let everything that was stalled go on."""
    tree = trees_here().freezer
    group = None if tree is None else tree / _name(lab) / host / _STALLED
    if group is None or not group.exists():
        return
    (group / "cgroup.freeze").write_text("0")
    for pid in (group / "cgroup.procs").read_text().split():
        with suppress(ProcessLookupError):
            (group.parent / "all/cgroup.procs").write_text(pid)
    with suppress(OSError):  # a zombie holds its group; the lab's end removes it
        group.rmdir()


def remove(lab: str) -> None:
    """Remove a lab's groups, whose processes have ended."""
    for tree in _distinct(trees_here()):
        wait_until(lambda tree=tree: _is_removed(tree / _name(lab)), f"control group {_name(lab)} stays")  # type: ignore[misc]


def labs() -> tuple[str, ...]:
    """Return the labs that have groups."""
    found = {path.name for tree in _distinct(trees_here()) for path in tree.glob(f"{_PREFIX}*")}
    return tuple(sorted(name.removeprefix(_PREFIX) for name in found))


def _is_removed(group: Path) -> bool:
    with suppress(OSError):  # its processes are on their way out
        for folder, _, _ in os.walk(group, topdown=False):
            Path(folder).rmdir()
    return not group.exists()


def _distinct(trees: Trees) -> Iterator[Path]:
    return iter(dict.fromkeys(tree for tree in (trees.cpu, trees.freezer) if tree is not None))


def _name(lab: str) -> str:
    return f"{_PREFIX}{lab}"
