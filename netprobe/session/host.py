"""What a rank knows of itself and of its host."""

import os
import socket
from collections.abc import Callable, Collection
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from netprobe.contracts import Control, System
from netprobe.inventory.host import host_inventory
from netprobe.model.endpoint import Rank
from netprobe.model.finding import Gap
from netprobe.model.inventory import HostInventory
from netprobe.store.whereabouts import RANK_WORDS, position_of
from netprobe.telemetry._addresses import interfaces

LeafOf = Callable[[str], str | None]
"""The leaf switch of a host; None where it is unknown."""


def meet(control: Control, host: str | None = None, leaf_of: LeafOf = lambda _: None) -> tuple[Rank, ...]:
    """Return who takes part, by rank; all ranks call, each with the name its host goes by (the system's if None)."""
    name = host or socket.gethostname()
    own = Rank(
        rank=control.rank,
        host=name,
        local_index=0,
        cpus=usable_cpus(),
        pid=os.getpid(),
        interfaces=interfaces(),
        leaf=leaf_of(name),
    )
    places: dict[str, int] = {}
    ranks = []
    for rank in control.allgather(own):
        host, place = rank.host, places.get(rank.host, 0)
        ranks.append(replace(rank, local_index=place, interfaces=() if place else rank.interfaces))
        places[host] = places.get(host, 0) + 1
    return tuple(ranks)


def inventories_of(control: Control, ranks: tuple[Rank, ...], system: System) -> tuple[HostInventory, ...]:
    """Return what every host is made of, on rank 0 alone; all ranks call."""
    own = ranks[control.rank]
    told = control.gather(None if own.local_index else host_inventory(system, own.host))
    return tuple(inventory for inventory in told or () if inventory is not None)


def usable_cpus() -> tuple[int, ...]:
    """Return the CPUs this process may run on; empty where the system does not tell."""
    if not hasattr(os, "sched_getaffinity"):
        return ()
    return tuple(sorted(os.sched_getaffinity(0)))


def has_rdma_device(root: Path = Path("/")) -> bool:
    """Return whether the kernel knows an RDMA device."""
    folder = root / "sys/class/infiniband"
    return folder.is_dir() and any(folder.iterdir())


def has_gpu(root: Path = Path("/")) -> bool:
    """Return whether an NVIDIA or AMD driver shows a GPU."""
    nvidia = root / "proc/driver/nvidia/gpus"
    amd = root / "sys/class/kfd/kfd/topology/nodes"
    if any((root / "dev" / name).exists() for name in ("nvidiactl", "dxg")):  # also where a sandbox shows no /proc
        return True
    return (nvidia.is_dir() and any(nvidia.iterdir())) or (amd.is_dir() and len(list(amd.iterdir())) > 1)


def not_tested(
    control: Control,
    ranks: tuple[Rank, ...],
    rdma: tuple[Gap, ...] = (),
    gpu: tuple[Gap, ...] = (),
    root: Path = Path("/"),
) -> tuple[Gap, ...]:
    """Return what no stage of this run can test, for the whole job; all ranks call.

    ``rdma`` says who has no usable device, where there are any; ``gpu`` who has no GPU.
    """
    devices = control.allgather(has_rdma_device(root))
    gaps = []
    if len({rank.host for rank in ranks}) == 1:
        gaps.append(
            Gap(
                topic="between hosts",
                reason="all ranks ran on one host, so no network was crossed",
                remedy="netprobe check --hosts node[01-64], or run it inside a Slurm allocation",
            )
        )
    gaps.extend(_disturbed(control, ranks, root))
    has_rdma = any(devices)
    gaps.extend(rdma if has_rdma else [Gap(topic="rdma", reason="no RDMA device on any host: RDMA verbs not measured")])
    gaps.extend(gpu)
    return tuple(gaps)


def other_runs(own: Collection[int], root: Path = Path("/")) -> tuple[int, ...]:
    """Return the processes on this host that are ranks of another netprobe; ``own`` are this run's.

    What another user runs cannot be looked into: it is told by its command line, and counts as being on this host.
    """
    here = _namespaces(root / "proc/self")
    return tuple(
        int(process.name)
        for process in (root / "proc").glob("[0-9]*")
        if int(process.name) not in own and _is_rank(process) and _namespaces(process) in (here, None)
    )


def _is_rank(process: Path) -> bool:
    """Return whether a process was started as ranks are, or is a rank of a launcher that runs netprobe itself."""
    with suppress(OSError):
        words = (process / "cmdline").read_bytes().split(b"\0")
        if words[1:4] == list(RANK_WORDS):
            return True
        return any(b"netprobe" in word for word in words) and position_of(process) is not None
    return False


def _namespaces(process: Path) -> tuple[str, ...] | None:
    """Return which network and which host name a process sees; None when it may not be looked into.

    Containers of one machine are hosts of their own.
    """
    with suppress(OSError):
        return tuple(str((process / "ns" / kind).readlink()) for kind in ("net", "uts"))
    return None


def _disturbed(control: Control, ranks: tuple[Rank, ...], root: Path) -> tuple[Gap, ...]:
    """Return a gap where ranks of another netprobe share a host with this one; all ranks call."""
    me = ranks[control.rank]
    own = [rank.pid for rank in ranks if rank.host == me.host]
    found = control.allgather(() if me.local_index else other_runs(own, root))
    hosts = [rank.host for rank, pids in zip(ranks, found, strict=True) if pids]
    if not hosts:
        return ()
    first = next(pids for pids in found if pids)
    reason = f"another netprobe measures on {', '.join(hosts)} at the same time (process {first[0]} on {hosts[0]})"
    return (Gap(topic="alone", reason=f"{reason}, and each disturbs the other", remedy="one after the other"),)
