"""What a rank knows of itself and of its host."""

import os
import socket
from collections.abc import Collection
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from netprobe.contracts import Control
from netprobe.model.endpoint import Rank
from netprobe.model.finding import Gap
from netprobe.store.whereabouts import RANK_WORDS, position_of
from netprobe.telemetry._addresses import interfaces


def meet(control: Control, host: str | None = None) -> tuple[Rank, ...]:
    """Return who takes part, by rank; all ranks call, each with the name its host goes by (the system's if None)."""
    own = Rank(
        rank=control.rank,
        host=host or socket.gethostname(),
        local_index=0,
        cpus=usable_cpus(),
        pid=os.getpid(),
        interfaces=interfaces(),
    )
    places: dict[str, int] = {}
    ranks = []
    for rank in control.allgather(own):
        host, place = rank.host, places.get(rank.host, 0)
        ranks.append(replace(rank, local_index=place, interfaces=() if place else rank.interfaces))
        places[host] = places.get(host, 0) + 1
    return tuple(ranks)


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
    return (nvidia.is_dir() and any(nvidia.iterdir())) or (amd.is_dir() and len(list(amd.iterdir())) > 1)


def not_tested(control: Control, ranks: tuple[Rank, ...], root: Path = Path("/")) -> tuple[Gap, ...]:
    """Return what no stage of this run can test, for the whole job; all ranks call."""
    devices = control.allgather((has_rdma_device(root), has_gpu(root)))
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
    gaps.append(_device_gap("rdma", any(rdma for rdma, _ in devices), "RDMA device", "RDMA verbs"))
    gaps.append(_device_gap("gpu", any(gpu for _, gpu in devices), "GPU", "GPU memory"))
    return tuple(gaps)


def other_runs(own: Collection[int], root: Path = Path("/")) -> tuple[int, ...]:
    """Return the processes on this host that are ranks of another netprobe; ``own`` are this run's."""
    here = _namespaces(root / "proc/self")
    return tuple(
        int(process.name)
        for process in (root / "proc").glob("[0-9]*")
        if int(process.name) not in own and _names_netprobe(process) and _namespaces(process) == here
        and (position_of(process) is not None or _is_anothers_rank(process))
    )  # fmt: skip


def _names_netprobe(process: Path) -> bool:
    with suppress(OSError):
        return b"netprobe" in (process / "cmdline").read_bytes()
    return False


def _is_anothers_rank(process: Path) -> bool:
    """Return whether a process that may not be looked into was started as ranks are."""
    with suppress(OSError):
        words = (process / "cmdline").read_bytes().split(b"\0")
        return words[1:4] == list(RANK_WORDS) and not os.access(process / "fd", os.R_OK)
    return False


def _namespaces(process: Path) -> tuple[str, ...]:
    """Return which network and which host name a process sees: containers of one machine are hosts of their own."""
    with suppress(OSError):
        return tuple(str((process / "ns" / kind).readlink()) for kind in ("net", "uts"))
    return ()


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


def _device_gap(topic: str, is_present: bool, device: str, path: str) -> Gap:
    if is_present:
        return Gap(topic=topic, reason=f"{device}s are present, but this version measures MPI with host memory only")
    return Gap(topic=topic, reason=f"no {device} on any host: {path} not measured")
