"""What a plan measures in memory of GPUs: from what was asked for to stages, refused where it cannot be."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Final

from netprobe.errors import PlanError
from netprobe.model.plan import Carriers, GpuPlace, Memories, Memory, Path, Stage
from netprobe.model.rdma import Operation

PLACE: Final = re.compile(r"(?P<ordinal>[0-9]{1,3})(:(?P<nic>[\w./-]+))?", re.ASCII)
OTHER_MEMORY: Final = (Memories.PINNED, Memories.MANAGED)
BY_CPU: Final = (Operation.WRITE, Operation.ATOMIC)
"""Round trips of these end when the CPU sees a byte change, which it cannot in memory of a GPU."""


_PATHS_OF: Final = {Memory.PINNED: (Path.MPI, Path.VERBS), Memory.MANAGED: (Path.MPI,)}
"""What carries memory other than a GPU's own: pages of managed memory move away from what a NIC reads and writes."""


def in_gpu(stage: Stage, send: Memory = Memory.DEVICE, receive: Memory = Memory.DEVICE) -> Stage:
    """Return the stage that messages in a GPU's memory have beside it: at both ends, or at one of them."""
    side = {(True, False): "from-", (False, True): "to-"}.get((send.needs_gpu, receive.needs_gpu), "")
    rdma = None if stage.rdma is None else replace(stage.rdma, inline_bytes=0)  # a CPU copies what is inline
    return replace(stage, id=f"{side}gpu-{stage.id}", send_memory=send, receive_memory=receive, rdma=rdma)


def over_nccl(stage: Stage) -> Stage:
    """Return the stage over NCCL that another has beside it."""
    return replace(
        stage, id=f"nccl-{stage.id}", path=Path.NCCL, send_memory=Memory.DEVICE, receive_memory=Memory.DEVICE
    )


def in_memory(stages: Iterable[Stage], memories: Memories) -> tuple[Stage, ...]:
    """Return the stages whose messages lie where it was asked for; pinned and managed memory take a GPU's place."""
    if memories is Memories.AUTO:
        return tuple(stages)
    if memories is Memories.HOST:
        return tuple(stage for stage in stages if not stage.needs_gpu)
    on_gpus = (stage for stage in stages if stage.needs_gpu)
    if memories is Memories.DEVICE:
        return tuple(on_gpus)
    memory = Memory(memories.value)
    return tuple(_in_other_memory(stage, memory) for stage in on_gpus if stage.path in _PATHS_OF[memory])


def moved(stage: Stage, memories: Memories) -> Stage:
    """Return the one stage that was asked for, with messages where it was asked for."""
    if memories in (Memories.AUTO, Memories.HOST):
        return stage
    memory = Memory(memories.value)
    return in_gpu(stage, memory, memory)


def refuse_unfit(stages: Sequence[Stage], memories: Memories, carriers: Carriers) -> None:
    """Raise PlanError for memory that a carrier or a verb has no use for."""
    if carriers is Carriers.NCCL and memories not in (Memories.AUTO, Memories.DEVICE):
        raise PlanError(f"NCCL moves memory of GPUs, not --memory {memories}", remedy="--memory device")
    if memories is Memories.MANAGED and any(stage.path is Path.VERBS for stage in stages):
        raise PlanError("a NIC cannot follow managed memory, which moves", remedy="--transport mpi, or --memory device")
    for stage in stages:
        if stage.needs_gpu and stage.rdma is not None and stage.probe == "latency" and stage.rdma.operation in BY_CPU:
            raise PlanError(
                f"round trips of {stage.rdma.operation} end where a CPU sees a byte change, and memory of a GPU shows "
                "it none",
                remedy="--operation send or read, or --memory host",
            )


def parse_gpu_map(text: str) -> tuple[GpuPlace, ...]:
    """Return the GPU and the NIC of each rank of a host, from ``0:mlx5_0,1:mlx5_1``; PlanError says what is wrong.

    The NIC may be left away: the nearest is taken.
    """
    places = []
    for word in text.split(","):
        found = PLACE.fullmatch(word.strip())
        if found is None:
            raise PlanError(f"--gpu-map {text!r}: {word!r} is no GPU", remedy="--gpu-map 0:mlx5_0,1:mlx5_1")
        places.append(GpuPlace(ordinal=int(found["ordinal"]), nic=found["nic"]))
    return tuple(places)


def _in_other_memory(stage: Stage, memory: Memory) -> Stage:
    return replace(
        stage,
        id=stage.id.replace("gpu-", f"{memory.value}-", 1),
        send_memory=memory if stage.send_memory.needs_gpu else stage.send_memory,
        receive_memory=memory if stage.receive_memory.needs_gpu else stage.receive_memory,
    )
