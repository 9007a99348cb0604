"""NCCL between the GPUs of all ranks: collectives, and send and receive between two of them.

Series run back to back with an event after each iteration, which tells every one of them. What nccl-tests times, a
pair of events around all of them, is ``undivided``: the same transport, which has nothing between iterations and stamps
a series twice. ``aligned_collective`` is host time around a launch and a wait, after a barrier of the
control plane: events of different GPUs have no clock in common, the hosts' clocks are compared.

NCCL has no barrier (one element is reduced instead) and no all-to-all in place: the buffer is copied first, in the
timed span, as any caller would have to. An error ends the communicator on every rank: it is not used again.
"""

import time
from collections.abc import Callable, Hashable, Iterator, Sequence
from contextlib import contextmanager, suppress
from copy import copy
from typing import Final

import numpy as np

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
from netprobe.model.plan import DTYPE_BYTES, Stage
from netprobe.transports._nccl_engine import Broken, Communicator, NcclLibrary
from netprobe.transports._nccl_series import GpuSeries, Work
from netprobe.transports._nccl_watch import PATIENCE_S, Watch

BYTE: Final = "uint8"
WORD_BYTES: Final = 8
OWN_WORDS: Final = 2 * WORD_BYTES
"""Scratch that is this transport's: one to send from, one to receive into."""


class _Room:
    """Memory that in-place all-to-alls are sent from."""

    def __init__(self, library: NcclLibrary) -> None:
        self._library = library
        self._size_bytes = 0
        self.address = 0

    def grow(self, size_bytes: int) -> None:
        """Make it so large; not within a capture."""
        if self._size_bytes < size_bytes:
            self._size_bytes, self.address = size_bytes, self._library.scratch(size_bytes)


class NcclTransport:
    """contracts.Transport over one communicator; all its ranks construct it. ``under`` carries what NCCL does not."""

    def __init__(
        self,
        under: Transport,
        control: Control,
        library: NcclLibrary,
        communicator: Communicator,
        step: Callable[[], None] = lambda: None,
        *,
        patience_s: float = PATIENCE_S,
    ) -> None:
        """``step`` is called before each series and after each of its batches; ``patience_s`` is for one batch."""
        self.rank = under.rank
        self.size = under.size
        self._under = under
        self._control = control
        self._library = library
        self._nccl = communicator
        self._step = step
        self._stream = library.stream()
        self._watch = Watch(communicator, patience_s=patience_s)
        self._series = GpuSeries(library, self._stream, moved=self._moved)
        self._run = self._series.run
        self._words = library.scratch(OWN_WORDS)
        self._room = _Room(library)
        self.description = library.description

    @property
    def no_graphs(self) -> str | None:
        """Why series are launched by Python, which small messages show; None where they are not."""
        return self._series.no_graphs

    def undivided(self) -> "NcclTransport":
        """Return this transport, with series that have nothing between iterations: see contracts.Bench.undivided."""
        twin = copy(self)
        twin._run = twin._series.run_undivided
        return twin

    def try_out(self) -> None:
        """Reduce a word over all ranks, alone and as a graph: connects them, and shows what works; all ranks call.

        TransportError where NCCL fails.
        """
        with self._watched(None):
            self._series.once(self._meet_all)
            try:
                self._series.run("try", 2, 0, self._meet_all, self._meet_all)
            except Broken as broken:
                if broken.call != "elapsed":
                    raise
                self._series.forget_graphs(str(broken))
        how = "CUDA graphs" if self.no_graphs is None else "launched one by one"
        self.description = f"{self._library.description} ({how})"

    def abandon(self, reason: str) -> None:
        """Abort the communicator, whatever is under way; whoever uses it afterwards is told why."""
        self._watch.end(reason)

    def close(self) -> None:
        """Give the communicator back."""
        if self._watch.verdict is None:
            with suppress(Broken):
                self._nccl.destroy()

    def connect(self, stage: Stage, peer: int, buffers: Sequence[Buffer]) -> None:  # noqa: ARG002 - the protocol's
        """See contracts.Transport: NCCL connects two ranks when they first talk, which is not to be timed."""
        with self._watched(peer):
            self._series.once(lambda: self._meet(peer))

    def disconnect(self) -> None:
        """See contracts.Transport; connections stay."""

    def pingpong(
        self, *, initiates: bool, peer: int, send: int, receive: int, size_bytes: int, iterations: int
    ) -> Stamps:
        """See contracts.Transport."""

        def round_trip() -> None:
            if initiates:
                self._nccl.send(send, size_bytes, BYTE, peer)
            self._nccl.receive(receive, size_bytes, BYTE, peer)
            if not initiates:
                self._nccl.send(send, size_bytes, BYTE, peer)

        key = ("pingpong", initiates, peer, send, receive, size_bytes)
        return self._run_pair(peer, key, iterations, 2 * size_bytes, round_trip)

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
        """See contracts.Transport; one group is a window, so that NCCL may run all of it at once."""
        move = self._nccl.send if sends else self._nccl.receive

        def one_window() -> None:
            with self._library.group():
                for message in range(window):
                    move(address + message * stride_bytes, size_bytes, BYTE, peer)
            if sends:
                self._nccl.receive(self._words + WORD_BYTES, 1, BYTE, peer)
            else:
                self._nccl.send(self._words, 1, BYTE, peer)

        key = ("stream", sends, peer, address, size_bytes, window, stride_bytes)
        return self._run_pair(peer, key, iterations, window * size_bytes, one_window)

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

        def one_window() -> None:
            with self._library.group():
                for message in range(window):
                    self._nccl.send(send + message * stride_bytes, size_bytes, BYTE, peer)
                    self._nccl.receive(receive + message * stride_bytes, size_bytes, BYTE, peer)

        key = ("exchange", peer, send, receive, size_bytes, window, stride_bytes)
        return self._run_pair(peer, key, iterations, 2 * window * size_bytes, one_window)

    def collective(self, call: Collective, *, iterations: int) -> Stamps:
        """See contracts.Transport."""
        with self._watched(None):
            operation = self._operation(call)
            key = (call.shape.id, call.send_address, call.receive_address, call.send_count, call.dtype, call.op,
                   call.root, call.in_place, self._room.address)  # fmt: skip
            stamps = self._run(key, iterations, self._size_bytes(call), self._meet_all, operation)
            self._put_in_place(call)
        return stamps

    def aligned_collective(self, call: Collective, *, iterations: int) -> tuple[Stamps, Stamps]:
        """See contracts.Transport; an exit is when the host knows that the data is there."""
        entries = np.zeros(iterations, dtype=np.int64)
        exits = np.zeros(iterations, dtype=np.int64)
        with self._watched(None):
            operation = self._operation(call)
            for index in range(iterations):
                self._control.barrier()
                entries[index] = time.monotonic_ns()
                self._series.once(operation)
                exits[index] = time.monotonic_ns()
        return entries, exits

    def traced_ring(self, call: Collective, *, iterations: int) -> RingTrace:  # noqa: ARG002 - as the protocol has it
        """Raise UnavailableError: NCCL makes its rings within one kernel, and tells nobody of their hops."""
        raise UnavailableError("NCCL does not let the hops of its rings be timed", remedy="--transport mpi")

    def bursts(self, call: Collective, pace: StepPace, *, steps: int) -> BurstSteps:  # noqa: ARG002 - as the protocol has it
        """Raise UnavailableError: a step computes on the CPU, which NCCL does not wait for."""
        raise UnavailableError("bursts do not go over NCCL", remedy="--transport mpi")

    def flows(self, load: FlowLoad) -> tuple[Stamps, ...]:  # noqa: ARG002 - as the protocol has it
        """Raise UnavailableError; see ``flows_refused``."""
        raise UnavailableError(self.flows_refused(), remedy="--transport mpi")

    def flows_refused(self) -> str:
        """Return why not."""
        return "NCCL has no flows from many ranks to one that end when their receiver says so"

    def clock_pings(self, *, serves: bool, peer: int, count: int) -> Stamps:
        """See contracts.Transport: clocks are those of hosts."""
        return self._under.clock_pings(serves=serves, peer=peer, count=count)

    def supports(self, dtype: str, op: str | None) -> str | None:
        """See contracts.Transport."""
        return self._library.lacks(dtype, op)

    def _run_pair(self, peer: int, key: Hashable, iterations: int, size_bytes: int, operation: Work) -> Stamps:
        with self._watched(peer):
            return self._run(key, iterations, size_bytes, lambda: self._meet(peer), operation)

    def _meet(self, peer: int) -> None:
        with self._library.group():
            self._nccl.send(self._words, 1, BYTE, peer)
            self._nccl.receive(self._words + WORD_BYTES, 1, BYTE, peer)

    def _meet_all(self) -> None:
        self._nccl.all_reduce(self._words, self._words + WORD_BYTES, 1, BYTE, "max")

    def _operation(self, call: Collective) -> Work:
        """Return one call, ready to be put onto the stream; memory that it needs is taken now."""
        nccl, count, dtype, op, root = self._nccl, call.send_count, call.dtype, call.op or "sum", call.root
        target, chunk_bytes = call.receive_address, count * DTYPE_BYTES[dtype]
        source = target if call.in_place else call.send_address
        own = self.rank * chunk_bytes
        match call.shape.id:
            case "allreduce":
                return lambda: nccl.all_reduce(source, target, count, dtype, op)
            case "allgather":
                return lambda: nccl.all_gather(source + own if call.in_place else source, target, count, dtype)
            case "reducescatter":
                return lambda: nccl.reduce_scatter(source, target + own if call.in_place else target, count, dtype, op)
            case "broadcast":
                return lambda: nccl.broadcast(target, target, count, dtype, root)
            case "reduce":
                return lambda: nccl.reduce(source, target, count, dtype, op, root)
            case "alltoall":
                return self._all_to_all(call, source, chunk_bytes)
            case "sendrecv":
                return lambda: self._shift(source, target, count, dtype)
        return self._meet_all  # a barrier

    def _all_to_all(self, call: Collective, source: int, chunk_bytes: int) -> Work:
        whole_bytes = self.size * chunk_bytes
        if call.in_place:
            self._room.grow(whole_bytes)

        def exchange_all() -> None:
            origin = source
            if call.in_place:
                origin = self._room.address
                self._stream.copy(origin, source, whole_bytes)
            with self._library.group():
                for peer in range(self.size):
                    at = peer * chunk_bytes
                    self._nccl.send(origin + at, call.send_count, call.dtype, peer)
                    self._nccl.receive(call.receive_address + at, call.send_count, call.dtype, peer)

        return exchange_all

    def _shift(self, source: int, target: int, count: int, dtype: str) -> None:
        with self._library.group():
            self._nccl.send(source, count, dtype, (self.rank + 1) % self.size)
            self._nccl.receive(target, count, dtype, (self.rank - 1) % self.size)

    def _put_in_place(self, call: Collective) -> None:
        """Move a result to where MPI leaves it: NCCL scatters in place to each rank's own part of the buffer."""
        own = self.rank * call.send_count * DTYPE_BYTES[call.dtype]
        if call.in_place and call.shape.id == "reducescatter" and own:
            target = call.receive_address
            self._series.once(lambda: self._stream.copy(target, target + own, own // self.rank))

    def _size_bytes(self, call: Collective) -> int:
        return call.send_count * DTYPE_BYTES[call.dtype] * (self.size if call.shape.chunked else 1)

    @contextmanager
    def _watched(self, peer: int | None) -> Iterator[None]:
        """Turn what goes wrong, and what goes on for too long, into TransportError; the communicator is gone then."""
        self._step()
        if self._watch.verdict is not None:
            raise self._error(peer)
        with self._watch.over():
            try:
                yield
            except Broken as broken:
                self._watch.end(str(broken))
        if self._watch.verdict is not None:
            raise self._error(peer)

    def _moved(self) -> None:
        self._step()
        self._watch.moved()

    def _error(self, peer: int | None) -> TransportError:
        towards = "" if peer is None else f" with rank {peer}"
        return TransportError(f"NCCL failed on rank {self.rank}{towards}: {self._watch.verdict}")
