"""MPI for messages in a GPU's memory that the MPI library must not touch: copied through pinned memory of the host.

The copies belong to what is timed: it is what a program has to do whose MPI knows no GPU.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from netprobe import _native
from netprobe.contracts import (
    Allocation,
    Buffer,
    BurstSteps,
    Collective,
    FlowLoad,
    Gpu,
    RingTrace,
    Stamps,
    StepPace,
    Transport,
)
from netprobe.errors import UnavailableError
from netprobe.model.plan import DTYPE_BYTES, Memory, Stage


@dataclass(frozen=True, slots=True, kw_only=True)
class _Part:
    """Memory that a series uses: where it lies, how much, and for what."""

    role: str
    address: int
    size_bytes: int


class PinnedRooms:
    """Pinned memory of the host, a room for each role, grown when more is asked for."""

    def __init__(self, gpu: Gpu) -> None:
        self.gpu = gpu
        self._rooms: dict[str, Allocation] = {}

    def __call__(self, role: str, size_bytes: int) -> int:
        """Return the address of a role's room, with at least so many bytes; GpuError where there is no memory left."""
        held = self._rooms.get(role)
        if held is None or held.size_bytes < size_bytes:
            self._rooms.pop(role, None)  # let the old one go before the larger one is taken
            held = self._rooms[role] = self.gpu.allocate(Memory.PINNED, size_bytes)
        return held.address


class StagedMpi:
    """contracts.Transport of one stage, over another that takes memory of the host alone."""

    def __init__(self, under: Transport, rooms: PinnedRooms, stage: Stage) -> None:
        self._under = under
        self._rooms = rooms
        memory_of = {"send": stage.send_memory, "receive": stage.receive_memory}
        self._copied = frozenset(role for role, memory in memory_of.items() if memory is Memory.DEVICE)
        self.rank = under.rank
        self.size = under.size
        self.description = under.description

    def connect(self, stage: Stage, peer: int, buffers: Sequence[Buffer]) -> None:
        """See contracts.Transport."""
        self._under.connect(stage, peer, buffers)

    def disconnect(self) -> None:
        """See contracts.Transport."""
        self._under.disconnect()

    def pingpong(
        self, *, initiates: bool, peer: int, send: int, receive: int, size_bytes: int, iterations: int
    ) -> Stamps:
        """See contracts.Transport."""
        with self._staged(_sent(send, size_bytes), _received(receive, size_bytes)):
            return self._under.pingpong(
                initiates=initiates, peer=peer, send=send, receive=receive, size_bytes=size_bytes, iterations=iterations
            )

    def stream(
        self,
        *,
        sends: bool,
        peer: int,
        address: int,
        size_bytes: int,
        window: int,
        iterations: int,
        stride_bytes: int = 0,
    ) -> Stamps:
        """See contracts.Transport."""
        span_bytes = stride_bytes * (window - 1) + size_bytes
        with self._staged((_sent if sends else _received)(address, span_bytes)):
            return self._under.stream(
                sends=sends,
                peer=peer,
                address=address,
                size_bytes=size_bytes,
                window=window,
                iterations=iterations,
                stride_bytes=stride_bytes,
            )

    def exchange(
        self,
        *,
        peer: int,
        send: int,
        receive: int,
        size_bytes: int,
        window: int,
        iterations: int,
        stride_bytes: int = 0,
    ) -> Stamps:
        """See contracts.Transport."""
        span_bytes = stride_bytes * (window - 1) + size_bytes
        with self._staged(_sent(send, span_bytes), _received(receive, span_bytes)):
            return self._under.exchange(
                peer=peer,
                send=send,
                receive=receive,
                size_bytes=size_bytes,
                window=window,
                iterations=iterations,
                stride_bytes=stride_bytes,
            )

    def collective(self, call: Collective, *, iterations: int) -> Stamps:
        """See contracts.Transport."""
        with self._staged(*self._parts(call), element_bytes=DTYPE_BYTES[call.dtype]):
            return self._under.collective(call, iterations=iterations)

    def aligned_collective(self, call: Collective, *, iterations: int) -> tuple[Stamps, Stamps]:
        """See contracts.Transport."""
        with self._staged(*self._parts(call), element_bytes=DTYPE_BYTES[call.dtype]):
            return self._under.aligned_collective(call, iterations=iterations)

    def traced_ring(self, call: Collective, *, iterations: int) -> RingTrace:  # noqa: ARG002 - as the protocol has it
        """Raise UnavailableError: the ring is reduced by the CPU, which cannot reach memory of a GPU."""
        raise UnavailableError("a traced ring is reduced in the host's memory alone", remedy="--memory host")

    def bursts(self, call: Collective, pace: StepPace, *, steps: int) -> BurstSteps:  # noqa: ARG002 - as the protocol has it
        """Raise UnavailableError: a step computes on the CPU, and its buckets would be copied one by one."""
        raise UnavailableError("bursts go over the host's memory alone", remedy="--memory host")

    def flows(self, load: FlowLoad) -> tuple[Stamps, ...]:  # noqa: ARG002 - as the protocol has it
        """Raise UnavailableError; see ``flows_refused``."""
        raise UnavailableError(self.flows_refused(), remedy="--memory host")

    def flows_refused(self) -> str:
        """Return why not: what many flows receive at once would have to be copied while others are under way."""
        return "many flows at once are not copied between GPU and host, and this MPI takes no memory of GPUs"

    def clock_pings(self, *, serves: bool, peer: int, count: int) -> Stamps:
        """See contracts.Transport."""
        return self._under.clock_pings(serves=serves, peer=peer, count=count)

    def supports(self, dtype: str, op: str | None) -> str | None:
        """See contracts.Transport."""
        return self._under.supports(dtype, op)

    def _parts(self, call: Collective) -> tuple[_Part, _Part]:
        """Return both buffers as far as any collective reaches into them: every rank's part, where they are shared."""
        element_bytes = DTYPE_BYTES[call.dtype] * (self.size if call.shape.chunked else 1)
        return (
            _sent(call.send_address, call.send_count * element_bytes),
            _received(call.receive_address, call.receive_count * element_bytes),
        )

    @contextmanager
    def _staged(self, *parts: _Part, element_bytes: int = 1) -> Iterator[None]:
        """Let the native loops copy what of these parts lies on the GPU."""
        send, receive = (self._region(parts, role) for role in ("send", "receive"))
        _native.mpi_stage(*send, *receive, self._rooms.gpu.copier(), element_bytes, self.size, self.rank)
        try:
            yield
        finally:
            _native.mpi_unstage()

    def _region(self, parts: Sequence[_Part], role: str) -> tuple[int, int, int]:
        """Return where a role's memory lies, what of the host's stands in for it, and how much; zeros for none."""
        for part in parts:
            if part.role == role and role in self._copied and part.size_bytes:
                return part.address, self._rooms(role, part.size_bytes), part.size_bytes
        return 0, 0, 0


def _sent(address: int, size_bytes: int) -> _Part:
    return _Part(role="send", address=address, size_bytes=size_bytes)


def _received(address: int, size_bytes: int) -> _Part:
    return _Part(role="receive", address=address, size_bytes=size_bytes)
