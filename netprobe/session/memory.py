"""The buffers of a rank, and what of a sweep fits into its host."""

from collections.abc import Callable, Sequence
from dataclasses import replace

from netprobe.buffers.host import HostBuffer, available_bytes
from netprobe.contracts import Buffer, Control
from netprobe.model.endpoint import Rank
from netprobe.model.finding import Gap
from netprobe.model.plan import Stage
from netprobe.units import format_size

BUFFERS_PER_RANK = 2
USABLE_SHARE = 0.8  # the rest is for the MPI library's own buffers and everybody else on the host


class BufferPool:
    """One buffer for each role, grown when a larger one is asked for."""

    def __init__(self, allocate: Callable[[int], Buffer] = HostBuffer) -> None:
        self._allocate = allocate
        self._buffers: dict[str, Buffer] = {}

    def __call__(self, role: str, size_bytes: int) -> Buffer:
        """Return the role's buffer, with at least so many bytes."""
        held = self._buffers.get(role)
        if held is None or held.size_bytes < size_bytes:
            self._buffers.pop(role, None)  # let the old one go before the larger one is taken
            self._buffers[role] = self._allocate(size_bytes)
        return self._buffers[role]


def fitting(
    stage: Stage,
    control: Control,
    ranks: Sequence[Rank],
    available: Callable[[], int | None] = available_bytes,
) -> tuple[Stage, tuple[Gap, ...]]:
    """Return the stage without the sizes that do not fit every host's memory, and a gap naming them; all ranks call."""
    own_host = ranks[control.rank].host
    neighbours = sum(rank.host == own_host for rank in ranks)
    free = available()
    limit = None if free is None else int(free * USABLE_SHARE) // (BUFFERS_PER_RANK * neighbours)
    limits = [each for each in control.allgather(limit) if each is not None]
    if not limits:
        return stage, ()
    smallest = min(limits)
    kept = tuple(size for size in stage.sizes_bytes if size <= smallest)
    left_out = [size for size in stage.sizes_bytes if size > smallest]
    if not left_out:
        return stage, ()
    names = ", ".join(format_size(size) for size in left_out)
    reason = f"{names} left out: {format_size(smallest)} is the most that every rank's host has memory for"
    return replace(stage, sizes_bytes=kept), (
        Gap(topic=stage.id, reason=reason, remedy="a smaller -e, or fewer ranks on each host", undermines=True),
    )
