"""How many ranks this host can run at once, and to what they can be tied."""

import os
from dataclasses import dataclass
from pathlib import Path

from netprobe.errors import PlanError
from netprobe.launch.request import Binding


@dataclass(frozen=True, slots=True, kw_only=True)
class Cores:
    """The processors that this process may use."""

    hwthreads: int
    physical: int
    """Physical cores among them; equal to ``hwthreads`` where the system does not tell."""
    is_restricted: bool = False
    """True when an affinity mask withholds processors of this host."""


def local_cores(root: Path = Path("/")) -> Cores:
    """Return the processors of this host, by the affinity mask where the system has one."""
    total = os.cpu_count() or 1
    usable = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else set(range(total))
    return cores_of(usable, total, root)


def cores_of(usable: set[int], total: int, root: Path) -> Cores:
    """Return the processors ``usable`` out of ``total``, told into physical cores by the topology under ``root``."""
    siblings = {_siblings(cpu, root) for cpu in usable}
    return Cores(hwthreads=len(usable), physical=len(siblings), is_restricted=len(usable) < total)


def _siblings(cpu: int, root: Path) -> str:
    path = root / f"sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list"
    try:
        return path.read_text().strip()
    except OSError:
        return str(cpu)


def refuse_more_ranks_than_cores(ranks: int, cores: Cores) -> None:
    """Raise PlanError when ranks would have to take turns: their timings would tell of the scheduler."""
    if ranks > cores.hwthreads:
        plural = "core" if cores.hwthreads == 1 else "cores"
        fewer = f" or --ranks {cores.hwthreads}" if cores.hwthreads > 1 else ""
        raise PlanError(
            f"--ranks {ranks} asks for more ranks than the {cores.hwthreads} {plural} of this host",
            remedy=f"--oversubscribe{fewer}",
        )


def local_binding(ranks: int, cores: Cores, *, wanted: bool) -> Binding:
    """Return what ``ranks`` local ranks are tied to."""
    # Launchers number cores from the host's first one and would leave the mask, perhaps for a neighbour's cores.
    if not wanted or cores.is_restricted or ranks > cores.hwthreads:
        return Binding.NONE
    return Binding.CORE if ranks <= cores.physical else Binding.HWTHREAD
