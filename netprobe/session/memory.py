"""The buffers of a rank, and what of a sweep fits into its host."""

from collections.abc import Callable, Sequence
from dataclasses import replace

from netprobe.buffers.cuda import CudaBuffer
from netprobe.buffers.host import HostBuffer, available_bytes
from netprobe.contracts import Buffer, Control, Gpu
from netprobe.model.endpoint import Rank
from netprobe.model.finding import Gap
from netprobe.model.plan import Memory, Stage
from netprobe.units import format_size

BUFFERS_PER_RANK = 2
USABLE_SHARE = 0.8  # the rest is for the MPI library's own buffers and everybody else on the host


class BufferPool:
    """One buffer for each role and kind of memory, grown when a larger one is asked for."""

    def __init__(self, allocate: Callable[[Memory, int], Buffer]) -> None:
        self._allocate = allocate
        self._buffers: dict[tuple[str, Memory], Buffer] = {}

    def of(self, stage: Stage) -> Callable[[str, int], Buffer]:
        """Return where a stage's buffers come from, by role."""
        memory_of = {"send": stage.send_memory, "receive": stage.receive_memory}
        return lambda role, size_bytes: self._buffer((role, memory_of[role]), size_bytes)

    @property
    def on_gpu_bytes(self) -> int:
        """What it holds of a GPU's memory, which the next stage uses again."""
        return sum(held.size_bytes for (_, memory), held in self._buffers.items() if memory is Memory.DEVICE)

    def _buffer(self, key: tuple[str, Memory], size_bytes: int) -> Buffer:
        held = self._buffers.get(key)
        if held is None or held.size_bytes < size_bytes:
            self._buffers.pop(key, None)  # let the old one go before the larger one is taken
            self._buffers[key] = self._allocate(key[1], size_bytes)
        return self._buffers[key]


def allocator(gpu: Gpu | None) -> Callable[[Memory, int], Buffer]:
    """Return what takes memory on a rank with this GPU."""

    def allocate(memory: Memory, size_bytes: int) -> Buffer:
        if not memory.needs_gpu:
            return HostBuffer(size_bytes)
        assert gpu is not None  # stages for which a rank has none leave it out
        return CudaBuffer(gpu, memory, size_bytes)

    return allocate


def fitting(
    stage: Stage,
    control: Control,
    ranks: Sequence[Rank],
    available: Callable[[], int | None] = available_bytes,
    on_gpu: Callable[[], int | None] = lambda: None,
) -> tuple[Stage, tuple[Gap, ...]]:
    """Return the stage without the sizes that do not fit every rank's memory, and a gap naming them; all ranks call.

    ``on_gpu`` tells this rank's share of its GPU, which counts where messages lie there.
    """
    own_host = ranks[control.rank].host
    neighbours = sum(rank.host == own_host for rank in ranks)
    own_bytes = _room_bytes(neighbours, available(), on_gpu() if stage.needs_gpu else None)
    limits = [each for each in control.allgather(own_bytes) if each is not None]
    if not limits:
        return stage, ()
    smallest = min(limits)
    kept = tuple(size for size in stage.sizes_bytes if size <= smallest)
    left_out = [size for size in stage.sizes_bytes if size > smallest]
    if not left_out:
        return stage, ()
    names = ", ".join(format_size(size) for size in left_out)
    whose = "GPU" if stage.needs_gpu else "host"
    reason = f"{names} left out: {format_size(smallest)} is the most that every rank's {whose} has memory for"
    return replace(stage, sizes_bytes=kept), (
        Gap(topic=stage.id, reason=reason, remedy="a smaller -e, or fewer ranks on each host", undermines=True),
    )


def _room_bytes(neighbours: int, of_host: int | None, of_gpu: int | None) -> int | None:
    """Return the largest buffer that this rank can have; None where nobody tells."""
    shares = (None if of_host is None else of_host / neighbours, of_gpu)
    told = [each for each in shares if each is not None]
    return int(min(told) * USABLE_SHARE) // BUFFERS_PER_RANK if told else None
