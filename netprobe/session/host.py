"""What a rank knows of itself and of its host."""

import os
import socket
from pathlib import Path

from netprobe.contracts import Control
from netprobe.model.endpoint import Rank
from netprobe.model.finding import Gap


def meet(control: Control, host: str | None = None) -> tuple[Rank, ...]:
    """Return who takes part, by rank; all ranks call, each with the name its host goes by (the system's if None)."""
    names = control.allgather((host or socket.gethostname(), os.getpid(), usable_cpus()))
    places: dict[str, int] = {}
    ranks = []
    for number, (host, pid, cpus) in enumerate(names):
        ranks.append(Rank(rank=number, host=host, local_index=places.get(host, 0), cpus=cpus, pid=pid))
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
    gaps.append(_device_gap("rdma", any(rdma for rdma, _ in devices), "RDMA device", "RDMA verbs"))
    gaps.append(_device_gap("gpu", any(gpu for _, gpu in devices), "GPU", "GPU memory"))
    return tuple(gaps)


def _device_gap(topic: str, is_present: bool, device: str, path: str) -> Gap:
    if is_present:
        return Gap(topic=topic, reason=f"{device}s are present, but this version measures MPI with host memory only")
    return Gap(topic=topic, reason=f"no {device} on any host: {path} not measured")
