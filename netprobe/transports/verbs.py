"""RDMA between two ranks over reliable connections; collectives and everything that is not timed stay with MPI.

Queue pairs live for one round of a pair. What each end must know of the other goes over MPI, so nothing listens, and a
pair that breaks is found broken by both ends at the same point of the round.
"""

import ctypes
import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Final

import numpy as np

from netprobe.buffers.cuda import CudaBuffer
from netprobe.contracts import (
    Buffer,
    BurstSteps,
    Collective,
    Control,
    FlowLoad,
    RingTrace,
    Stamps,
    StepPace,
    Transport,
)
from netprobe.errors import TransportError, UnavailableError
from netprobe.model.plan import Stage
from netprobe.model.rdma import Engine, Operation, RdmaEndpoint, RdmaOptions
from netprobe.transports._agreement import Agreement
from netprobe.transports._verbs_engine import (
    Broken,
    EngineDevice,
    EngineLink,
    Flow,
    LinkFacts,
    Region,
)
from netprobe.units import NS_PER_S

SLOWEST_BYTES_PER_S: Final = 10_000_000  # below soft-RoCE on a busy machine
SHALLOWEST: Final = 128  # requests of a queue pair
TWO_SIDED: Final = (Operation.SEND, Operation.WRITE_IMMEDIATE)
"""What takes a receive at the other end."""


def open_device(endpoint: RdmaEndpoint, options: RdmaOptions) -> EngineDevice:
    """Open a rank's device; UnavailableError tells why it cannot be used."""
    device: EngineDevice
    if options.engine is Engine.PYVERBS:
        from netprobe.transports._verbs_pyverbs import PyverbsDevice

        device = PyverbsDevice(endpoint.device)
    else:
        from netprobe.transports._verbs_native import NativeDevice

        device = NativeDevice(endpoint.device)
    return device


class VerbsTransport:
    """contracts.Transport whose messages between two ranks are RDMA; every rank with an endpoint constructs it."""

    def __init__(
        self,
        under: Transport,
        control: Control,
        endpoint: RdmaEndpoint,
        device: EngineDevice,
        step: Callable[[], None] = lambda: None,
    ) -> None:
        """Work on an open device; ``under`` carries the rest, ``step`` is called before each series."""
        self._under = under
        self._control = control
        self._endpoint = endpoint
        self._device = device
        self._step = step
        self._link: EngineLink | None = None
        self._regions: list[Region] = []
        self._pair = Agreement(control)
        self._options = RdmaOptions()
        self.rank = under.rank
        self.size = under.size
        self.description = under.description

    def connect(self, stage: Stage, peer: int, buffers: Sequence[Buffer]) -> None:
        """See contracts.Transport."""
        self._pair.meet(peer)
        self._options = stage.rdma or RdmaOptions()
        facts = self._pair.both(lambda: self._prepare(stage, buffers))
        link = self._link
        assert link is not None
        theirs = self._control.swap(self._pair.peer, facts)
        self._pair.both(lambda: link.join(theirs, self._options))

    def disconnect(self) -> None:
        """See contracts.Transport."""
        link, self._link = self._link, None
        regions, self._regions = self._regions, []
        with suppress(Broken):
            if link is not None:
                link.close()
        for region in regions:
            with suppress(Broken):
                self._device.release(region)

    def pingpong(
        self, *, initiates: bool, peer: int, send: int, receive: int, size_bytes: int, iterations: int
    ) -> Stamps:
        """See contracts.Transport; of reads and atomics only the initiator's stamps tell something."""
        stamps = _stamps(iterations)
        link = self._require(peer)
        messages = iterations + 1
        flow = self._flow(send, receive, size_bytes, window=1, messages=messages)
        receives = self._options.operation in TWO_SIDED
        self._run(
            flow, messages, lambda: link.pingpong(flow, initiates=initiates, stamps=stamps), receives=receives
        )  # fmt: skip
        return stamps

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
        """See contracts.Transport. Messages stay in flight from one iteration to the next; who receives by reading
        hands its stamps to the sender.
        """
        stamps = _stamps(iterations)
        link = self._require(peer)
        flow = self._flow(address, address, size_bytes, window=window, stride_bytes=stride_bytes)
        is_read = self._options.operation is Operation.READ
        posts = sends is not is_read  # the receiver of data fetches it by reading
        receives = not posts and self._options.operation in TWO_SIDED
        self._run(
            flow, window * iterations,
            lambda: link.stream(flow, sends=posts, receives=receives, stamps=stamps), receives=receives,
        )  # fmt: skip
        if is_read:
            theirs: Stamps = self._control.swap(self._pair.peer, stamps)
            return theirs if sends else stamps
        return stamps

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
        stamps = _stamps(iterations)
        link = self._require(peer)
        flow = self._flow(send, receive, size_bytes, window=window, stride_bytes=stride_bytes)
        receives = self._options.operation in TWO_SIDED
        self._run(
            flow, window * iterations,
            lambda: link.stream(flow, sends=True, receives=receives, stamps=stamps), receives=receives,
        )  # fmt: skip
        return stamps

    def collective(self, call: Collective, *, iterations: int) -> Stamps:
        """See contracts.Transport; MPI's."""
        return self._under.collective(call, iterations=iterations)

    def aligned_collective(self, call: Collective, *, iterations: int) -> tuple[Stamps, Stamps]:
        """See contracts.Transport; MPI's."""
        return self._under.aligned_collective(call, iterations=iterations)

    def traced_ring(self, call: Collective, *, iterations: int) -> RingTrace:
        """See contracts.Transport; MPI's."""
        return self._under.traced_ring(call, iterations=iterations)

    def bursts(self, call: Collective, pace: StepPace, *, steps: int) -> BurstSteps:
        """See contracts.Transport; MPI's."""
        return self._under.bursts(call, pace, steps=steps)

    def flows(self, load: FlowLoad) -> tuple[Stamps, ...]:  # noqa: ARG002 - as the protocol has it
        """Raise UnavailableError; see ``flows_refused``."""
        raise UnavailableError(self.flows_refused(), remedy="--transport mpi")

    def flows_refused(self) -> str:
        """Return why not."""
        return "queue pairs of many flows at once are not made yet: over RDMA MPI makes them"

    def clock_pings(self, *, serves: bool, peer: int, count: int) -> Stamps:
        """See contracts.Transport; MPI's."""
        return self._under.clock_pings(serves=serves, peer=peer, count=count)

    def supports(self, dtype: str, op: str | None) -> str | None:
        """See contracts.Transport; MPI's."""
        return self._under.supports(dtype, op)

    def _prepare(self, stage: Stage, buffers: Sequence[Buffer]) -> LinkFacts:
        self._regions = []
        for buffer in buffers:
            self._regions.append(self._registered(buffer))
        depth = min(max(2 * stage.window, SHALLOWEST), self._device.most_messages)
        self._link = self._device.link(self._endpoint, self._options, depth)
        return self._link.facts

    def _registered(self, buffer: Buffer) -> Region:
        """Register memory by its address; a GPU's, where no peer-memory module knows it, by its dma-buf."""
        try:
            return self._device.register(buffer.address, buffer.size_bytes)
        except Broken:
            file = buffer.dma_buf() if isinstance(buffer, CudaBuffer) else None
            if file is None:
                raise
        try:
            return self._device.register(buffer.address, buffer.size_bytes, file)
        finally:
            os.close(file)

    def _flow(
        self, send: int, receive: int, size_bytes: int, *, window: int, stride_bytes: int = 0, messages: int = 0
    ) -> Flow:
        """Tell the peer where our memory is, and return the series as this end sees it."""
        own_send, own_receive = self._region_of(send), self._region_of(receive)
        # A CPU that waits for a write to end sees the last byte change; memory of a GPU it must not touch.
        is_watched = messages > 0 and self._options.operation is Operation.WRITE
        last = ctypes.string_at(send + size_bytes - 1, 1)[0] if is_watched else 0
        told = ((send, own_send.remote_key), (receive, own_receive.remote_key), last)
        their_send, their_receive, their_last = self._control.swap(self._pair.peer, told)
        reads = self._options.operation is Operation.READ
        remote, remote_key = their_send if reads else their_receive
        flips = (messages - 1) & 1  # so that the last message of a series ends as the data does
        return Flow(
            operation=self._options.operation,
            size_bytes=size_bytes,
            send=send,
            send_key=own_send.local_key,
            receive=receive,
            receive_key=own_receive.local_key,
            remote=remote,
            remote_key=remote_key,
            window=window,
            stride_bytes=stride_bytes,
            signal_every=self._signal_every(window),
            post_list=min(self._options.post_list, window),
            patience_ns=self._patience_ns(size_bytes * window),
            first_mark=their_last ^ flips,
            own_first_mark=last ^ flips,
        )

    def _signal_every(self, window: int) -> int:
        """Return after how many messages a completion is asked for: seldom costs less, but must refill the window."""
        most = max(min(window, self._device.most_messages) // (2 * self._options.queue_pairs), 1)
        wanted = self._options.signal_every or max(window // 4, 1)
        return min(wanted, most)

    def _patience_ns(self, span_bytes: int) -> int:
        """Return how long a connection may try before it has to say that it failed, and a little more."""
        return NS_PER_S + self._options.longest_retry_ns + NS_PER_S * span_bytes // SLOWEST_BYTES_PER_S

    def _run(self, flow: Flow, messages: int, series: Callable[[], None], *, receives: bool) -> None:
        """Run a series once both ends are ready for it, and go on only if it went well at both."""
        link = self._link
        assert link is not None
        self._step()
        self._pair.both(lambda: link.expect(flow, messages if receives else 0))
        self._pair.both(series)
        self._pair.messages += messages

    def _require(self, peer: int) -> EngineLink:
        if self._link is None or peer != self._pair.peer:
            raise TransportError(f"rank {self.rank} has no connection to rank {peer}")
        return self._link

    def _region_of(self, address: int) -> Region:
        for region in self._regions:
            if region.address <= address < region.address + region.size_bytes:
                return region
        raise TransportError(f"rank {self.rank} has not registered the memory at {address:#x}")


def _stamps(iterations: int) -> Stamps:
    stamps = np.empty(iterations + 1, dtype=np.int64)
    stamps.fill(-1)
    return stamps
