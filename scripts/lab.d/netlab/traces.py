"""What a run or a lab may leave behind: processes, namespaces, control groups, mounts, files, open descriptors."""

import time
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from statistics import median_low
from typing import Final

from netlab import groups
from netlab.processes import PROC, Held, all_pids, has_ended
from netlab.state import State, folder_of

SETTLE_S: Final = 10.0
"""For what was killed to go, and for the last answers to come: some ms each, more on a busy machine."""
_PAUSE_S: Final = 0.1
FEWEST_LOOKS: Final = 3
"""By which the descriptors of a launch are known: one or two may have met a file that was open for a moment."""
_KINDS: Final = ("ipc", "mnt", "net", "pid", "uts")


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """How many descriptors netprobe had at a moment when its ranks were at work, and in which launch, from 1."""

    launch: int
    descriptors: int


def growth(looks: Sequence[Look]) -> int | None:
    """Return by how many descriptors netprobe grew from its first launch to its last, or within its only one.

    By the median: a file may be open while it is written, and a launch that dies has closed some before it is told.
    None when there are too few looks to tell.
    """
    by_launch: dict[int, list[int]] = {}
    for look in looks:
        by_launch.setdefault(look.launch, []).append(look.descriptors)
    told = [counts for counts in by_launch.values() if len(counts) >= FEWEST_LOOKS]
    if len(told) == 1:
        middle = len(told[0]) // 2
        told = [counts for counts in (told[0][:middle], told[0][middle:]) if len(counts) >= FEWEST_LOOKS]
    return max(0, median_low(told[-1]) - median_low(told[0])) if len(told) > 1 else None


def descriptors_of(pid: int) -> int | None:
    """Return how many files, pipes and sockets a process has open; None when it has ended.

    Without what it waits by: polars opens such for itself when it first writes a table, once for all.
    """
    try:
        opened = list((PROC / str(pid) / "fd").iterdir())
    except OSError:
        return None
    return sum(1 for each in opened if not _target(each).startswith("anon_inode:[event"))


def _target(link: Path) -> str:
    with suppress(OSError):  # closed meanwhile
        return str(link.readlink())
    return ""


def left_on(holders: dict[str, Held], excused: Callable[[str, int], bool]) -> dict[str, tuple[int, ...]]:
    """Return the processes that stay on hosts that are up, besides their holders and those that are excused."""
    deadline = time.monotonic() + SETTLE_S
    while True:
        found = {
            host: tuple(pid for pid in held.members() if not has_ended(pid) and not excused(host, pid))
            for host, held in holders.items()
            if held.is_alive
        }
        left = {host: pids for host, pids in found.items() if pids}
        if not left or time.monotonic() > deadline:
            return left
        time.sleep(_PAUSE_S)


def namespaces_of(state: State) -> frozenset[str]:
    """Return the namespaces that a lab has of its own, as ``net:[4026531840]``; whatever runs in them is the lab's."""
    machine = set(_namespaces_of("self"))
    processes = {pid for held in state.holders.values() for pid in (held.pid, *held.members())}
    return frozenset(each for pid in processes for each in _namespaces_of(pid)) - machine


def remains_of(name: str, namespaces: Collection[str]) -> Counter[str]:
    """Return what is left of a lab that was taken down, given the namespaces that it had."""
    deadline = time.monotonic() + SETTLE_S
    while (found := _remains_of(name, namespaces)).total() and time.monotonic() < deadline:
        time.sleep(_PAUSE_S)
    return found


def _remains_of(name: str, namespaces: Collection[str]) -> Counter[str]:
    folder = folder_of(name)
    inside = {pid: set(_namespaces_of(pid)) & set(namespaces) for pid in all_pids()}
    # /proc/self/mountinfo names a namespace that is kept by a mount alone.
    mounts = [line for line in (PROC / "self/mountinfo").read_text().splitlines() if _is_of(line, name, namespaces)]
    held = {each for found in inside.values() for each in found}
    held |= {each for each in namespaces if any(each in line.split() for line in mounts)}
    return Counter(
        {
            "processes": sum(1 for pid, found in inside.items() if found or _names(pid, folder)),
            "namespaces": len(held),
            "mounts": len(mounts),
            "control groups": int(name in groups.labs()),
            "folders": int(folder.exists()),
        }
    )


def _is_of(mount: str, name: str, namespaces: Collection[str]) -> bool:
    return name in mount or not set(mount.split()).isdisjoint(namespaces)


def _names(pid: int, folder: Path) -> bool:
    """Return whether a process was started for a lab: its words or its environment hold the lab's folder."""
    with suppress(OSError):
        words = (PROC / str(pid) / "cmdline").read_bytes() + (PROC / str(pid) / "environ").read_bytes()
        return str(folder).encode() in words
    return False


def _namespaces_of(pid: int | str) -> Iterator[str]:
    for kind in _KINDS:
        with suppress(OSError):  # ended meanwhile
            yield str((PROC / str(pid) / "ns" / kind).readlink())
