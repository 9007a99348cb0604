"""Threads as ranks: the whole path from plan to verdict without MPI, for tests and for ``doctor``.

Bytes really move (memmove between the ranks' buffers, through a wire that a test may slow down or corrupt), and times
are real, but they are Python's: no figure of this transport says anything about a fabric.
"""

import ctypes
import queue
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final, TypeVar

import numpy as np
from numpy.typing import NDArray

from netprobe import _native
from netprobe.buffers.rings import RingCut
from netprobe.contracts import Buffer, BurstSteps, Collective, FlowLoad, RingTrace, Stamps, StepPace
from netprobe.errors import TransportError
from netprobe.model.collective import TRACED_RING
from netprobe.model.plan import DTYPE_BYTES, Stage
from netprobe.store.batches import payloads_of, up_the_tree
from netprobe.transports._loopback_flows import LoopbackFlows
from netprobe.units import NS_PER_S

T = TypeVar("T")
Wire = Callable[[int, int, bytes], bytes]
"""What happens to a message from src to dst on its way; may sleep, or return other bytes."""

PATIENCE_S: Final = 60.0  # a thread that waits longer than this has lost its peer: fail instead of hanging the tests
LOOK_UP_S: Final = 0.1  # how often a waiting thread asks whether the others still run
REDUCERS: Final = {"sum": np.add, "prod": np.multiply, "max": np.maximum, "min": np.minimum}


def clean_wire(_src: int, _dst: int, payload: bytes) -> bytes:
    """Deliver what was sent."""
    return payload


class LoopbackWorld:
    """What the ranks share: mailboxes, a barrier and a table for collective exchanges."""

    def __init__(self, size: int, *, wire: Wire = clean_wire) -> None:
        self.size = size
        self.wire = wire
        self.barrier = threading.Barrier(size, timeout=PATIENCE_S)
        self.table: list[Any] = [None] * size
        self._mail: defaultdict[tuple[str, int, int], queue.SimpleQueue[Any]] = defaultdict(queue.SimpleQueue)
        self._mail_lock = threading.Lock()

    def post(self, kind: str, src: int, dst: int, value: object) -> None:
        """Leave a value for ``dst``."""
        self._box(kind, src, dst).put(value)

    def fetch(self, kind: str, src: int, dst: int) -> Any:  # noqa: ANN401
        """Wait for the next value from ``src``."""
        box = self._box(kind, src, dst)
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline:
            try:
                return box.get(timeout=LOOK_UP_S)
            except queue.Empty:
                if self.barrier.broken:
                    raise TransportError("another rank of this process failed") from None
        raise TransportError(f"rank {dst} waited {PATIENCE_S:.0f} s for rank {src} in vain")

    def try_fetch(self, kind: str, src: int, dst: int) -> Any:  # noqa: ANN401
        """Return the next value from ``src``, None where none has come."""
        if self.barrier.broken:
            raise TransportError("another rank of this process failed")
        try:
            return self._box(kind, src, dst).get_nowait()
        except queue.Empty:
            return None

    def fail(self) -> None:
        """Let every rank that waits, now or later, give up."""
        self.barrier.abort()

    def share(self, rank: int, value: T) -> list[T]:
        """Return every rank's value, by rank; all ranks call."""
        self.table[rank] = value
        self._wait()
        values = list(self.table)
        self._wait()
        return values

    def _wait(self) -> None:
        try:
            self.barrier.wait()
        except threading.BrokenBarrierError:
            raise TransportError("another rank of this process failed") from None

    def _box(self, kind: str, src: int, dst: int) -> queue.SimpleQueue[Any]:
        with self._mail_lock:
            return self._mail[kind, src, dst]


class LoopbackControl:
    """contracts.Control between threads."""

    def __init__(self, world: LoopbackWorld, rank: int) -> None:
        self._world = world
        self.rank = rank
        self.size = world.size

    def barrier(self) -> None:
        """See contracts.Control."""
        self._world.share(self.rank, None)

    def gather(self, value: T) -> list[T] | None:
        """See contracts.Control."""
        values = self._world.share(self.rank, value)
        return values if self.rank == 0 else None

    def collect(self, payload: bytes) -> Iterator[bytes] | None:
        """See contracts.Control."""
        batch = up_the_tree(
            self.rank,
            self.size,
            payload,
            send=lambda rank, batch: self._world.post("batch", self.rank, rank, batch),
            receive=lambda rank: self._world.fetch("batch", rank, self.rank),
        )
        return None if batch is None else payloads_of(batch)

    def broadcast(self, value: T) -> T:
        """See contracts.Control."""
        return self._world.share(self.rank, value)[0]

    def allgather(self, value: T) -> list[T]:
        """See contracts.Control."""
        return self._world.share(self.rank, value)

    def maximum(self, values: NDArray[np.int64]) -> NDArray[np.int64]:
        """See contracts.Control."""
        largest: NDArray[np.int64] = np.maximum.reduce(self._world.share(self.rank, values))
        return largest

    def minimum(self, values: NDArray[np.int64]) -> NDArray[np.int64]:
        """See contracts.Control."""
        smallest: NDArray[np.int64] = np.minimum.reduce(self._world.share(self.rank, values))
        return smallest

    def swap(self, peer: int, value: T) -> T:
        """See contracts.Control."""
        self._world.post("control", self.rank, peer, value)
        theirs: T = self._world.fetch("control", peer, self.rank)
        return theirs


class LoopbackTransport:
    """contracts.Transport between threads; ``clock`` gives this rank's ns."""

    def __init__(self, world: LoopbackWorld, rank: int, *, clock: Callable[[], int] = time.monotonic_ns) -> None:
        self._world = world
        self._clock = clock
        self.rank = rank
        self.size = world.size
        self.description = "loopback (threads of one process)"

    def connect(self, stage: Stage, peer: int, buffers: Sequence[Buffer]) -> None:
        """See contracts.Transport; there is nothing to make."""

    def disconnect(self) -> None:
        """See contracts.Transport."""

    def pingpong(
        self, *, initiates: bool, peer: int, send: int, receive: int, size_bytes: int, iterations: int
    ) -> Stamps:
        """See contracts.Transport."""

        def round_trip() -> None:
            if initiates:
                self._send(peer, send, size_bytes)
            self._receive(peer, receive)
            if not initiates:
                self._send(peer, send, size_bytes)

        return self._timed(iterations, round_trip)

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

        def one_window() -> None:
            for message in range(window):
                if sends:
                    self._send(peer, address + message * stride_bytes, size_bytes)
                else:
                    self._receive(peer, address + message * stride_bytes)
            if sends:
                self._world.fetch("ack", peer, self.rank)
            else:
                self._world.post("ack", self.rank, peer, None)

        return self._timed(iterations, one_window)

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
            for message in range(window):
                self._send(peer, send + message * stride_bytes, size_bytes)
            for message in range(window):
                self._receive(peer, receive + message * stride_bytes)

        return self._timed(iterations, one_window)

    def flows(self, load: FlowLoad) -> tuple[Stamps, ...]:
        """See contracts.Transport."""
        return LoopbackFlows(
            load=load,
            clock=self._clock,
            send=self._post,
            answer=lambda peer, kind, value: self._world.post(kind, self.rank, peer, value),
            take=lambda peer, kind: self._world.try_fetch(kind, peer, self.rank),
        ).run()

    def flows_refused(self) -> str | None:
        """See contracts.Transport."""
        return None

    def collective(self, call: Collective, *, iterations: int) -> Stamps:
        """See contracts.Transport."""
        return self._timed(iterations, lambda: self._run_collective(call))

    def aligned_collective(self, call: Collective, *, iterations: int) -> tuple[Stamps, Stamps]:
        """See contracts.Transport."""
        entries = np.zeros(iterations, dtype=np.int64)
        exits = np.zeros(iterations, dtype=np.int64)
        for index in range(iterations):
            self._world.share(self.rank, None)
            entries[index] = self._clock()
            self._run_collective(call)
            exits[index] = self._clock()
        return entries, exits

    def traced_ring(self, call: Collective, *, iterations: int) -> RingTrace:
        """See contracts.Transport."""
        shape = iterations, RingCut(count=call.send_count, ranks=self.size, dtype=call.dtype).messages
        entries, exits = np.zeros(iterations, dtype=np.int64), np.zeros(iterations, dtype=np.int64)
        sent, ready, done = (np.zeros(shape, dtype=np.int64) for _ in range(3))
        for index in range(iterations):
            self._world.share(self.rank, None)
            entries[index] = self._clock()
            self._run_ring(call, sent[index], ready[index], done[index])
            exits[index] = self._clock()
        return RingTrace(entries=entries, exits=exits, sent=sent, ready=ready, done=done)

    def bursts(self, call: Collective, pace: StepPace, *, steps: int) -> BurstSteps:
        """See contracts.Transport; buckets move as one."""
        rows = np.zeros((steps, 5), dtype=np.int64)
        for index in range(steps):
            due_ns = pace.start_ns + index * pace.period_ns if pace.period_ns or not index else 0
            time.sleep(max(due_ns - self._clock(), 0) / NS_PER_S)
            cpu_ns, began_ns = time.thread_time_ns(), self._clock()
            companion = threading.Thread(target=self._compute, args=(pace, rows[index])) if pace.overlaps else None
            if companion is not None:
                companion.start()
            else:
                self._compute(pace, rows[index])
            entered_ns = self._clock()
            self._run_collective(call)
            left_ns = self._clock()
            if companion is not None:
                companion.join()
            off_cpu_ns = max(left_ns - began_ns - (time.thread_time_ns() - cpu_ns), 0)
            rows[index, :4] = began_ns, entered_ns, left_ns, off_cpu_ns
        began, entered, left, off_cpu, computed = np.ascontiguousarray(rows.T)
        return BurstSteps(began=began, entered=entered, left=left, off_cpu_ns=off_cpu, computed=computed)

    def _compute(self, pace: StepPace, row: Stamps) -> None:
        _native.compute(pace.work, pace.work_limit_ns)
        row[4] = self._clock()

    def clock_pings(self, *, serves: bool, peer: int, count: int) -> Stamps:
        """See contracts.Transport."""
        triples = np.zeros((count, 3), dtype=np.int64)
        for index in range(count):
            if serves:
                self._world.fetch("clock", peer, self.rank)
                self._world.post("clock", self.rank, peer, self._clock())
                continue
            triples[index, 0] = self._clock()
            self._world.post("clock", self.rank, peer, None)
            triples[index, 1] = self._world.fetch("clock", peer, self.rank)
            triples[index, 2] = self._clock()
        return triples

    def supports(self, dtype: str, op: str | None) -> str | None:
        """See contracts.Transport."""
        if dtype == "bfloat16" and op is not None:
            return "NumPy, which reduces for this transport, has no bfloat16"
        return None

    def _timed(self, iterations: int, operation: Callable[[], None]) -> Stamps:
        stamps = np.zeros(iterations + 1, dtype=np.int64)
        stamps[0] = self._clock()
        for index in range(iterations):
            operation()
            stamps[index + 1] = self._clock()
        return stamps

    def _send(self, peer: int, address: int, size_bytes: int) -> None:
        self._post(peer, "bytes", address, size_bytes)

    def _post(self, peer: int, kind: str, address: int, size_bytes: int) -> None:
        payload = self._world.wire(self.rank, peer, ctypes.string_at(address, size_bytes))
        self._world.post(kind, self.rank, peer, payload)

    def _receive(self, peer: int, address: int) -> None:
        payload: bytes = self._world.fetch("bytes", peer, self.rank)
        ctypes.memmove(address, payload, len(payload))

    def _run_ring(self, call: Collective, sent: Stamps, ready: Stamps, done: Stamps) -> None:
        """Send to the next rank what came from the one before, reduced on the first half of the way (ring.c)."""
        cut = RingCut(count=call.send_count, ranks=self.size, dtype=call.dtype)
        previous, following = (self.rank - 1) % self.size, (self.rank + 1) % self.size
        own, result = (_elements(call, address) for address in (call.send_address, call.receive_address))
        halfway = cut.messages // 2

        def hand_over(message: int) -> None:
            source = own if message < cut.pieces else result
            sent[message] = self._clock()
            payload = self._world.wire(self.rank, following, source[_slice(cut, self.rank, message)].tobytes())
            self._world.post("ring", self.rank, following, payload)

        for message in range(cut.pieces):
            hand_over(message)
        for message in range(cut.messages):
            ready[message] = self._clock()
            payload: bytes = self._world.fetch("ring", previous, self.rank)
            done[message] = self._clock()
            place = _slice(cut, previous, message)
            came = np.frombuffer(payload, dtype=call.dtype)
            result[place] = _joined(call, own[place], came) if message < halfway else came
            if message + cut.pieces < cut.messages:
                hand_over(message + cut.pieces)

    def _run_collective(self, call: Collective) -> None:
        if call.shape.id == TRACED_RING:
            self._run_ring(
                call,
                *np.zeros(
                    (3, RingCut(count=call.send_count, ranks=self.size, dtype=call.dtype).messages), dtype=np.int64
                ),
            )
            return
        chunk_bytes = call.send_count * DTYPE_BYTES[call.dtype]
        inputs = self._world.share(self.rank, self._input(call, chunk_bytes))
        output = _output(call, self.rank, self.size, chunk_bytes, inputs)
        if output is not None:
            source = call.root if call.shape.id == "broadcast" else (self.rank - 1) % self.size
            output = self._world.wire(source, self.rank, output)
            ctypes.memmove(call.receive_address, output, len(output))
        self._world.share(self.rank, None)

    def _input(self, call: Collective, chunk_bytes: int) -> bytes:
        """Return this rank's contribution, from where the MPI standard would read it."""
        kind = call.shape.id
        if kind == "barrier":
            return b""
        if kind == "broadcast":
            return ctypes.string_at(call.receive_address, chunk_bytes)
        address = call.receive_address if call.in_place else call.send_address
        if kind == "allgather":
            return ctypes.string_at(address + (self.rank * chunk_bytes if call.in_place else 0), chunk_bytes)
        shares = self.size if kind in ("alltoall", "reducescatter") else 1
        return ctypes.string_at(address, shares * chunk_bytes)


def _elements(call: Collective, address: int) -> NDArray[Any]:
    memory = (ctypes.c_char * (call.send_count * DTYPE_BYTES[call.dtype])).from_address(address)
    return np.frombuffer(memoryview(memory).cast("B"), dtype=call.dtype)


def _slice(cut: RingCut, sender: int, message: int) -> slice:
    first, length = cut.piece(sender, message)
    return slice(first, first + length)


def _joined(call: Collective, own: NDArray[Any], came: NDArray[Any]) -> NDArray[Any]:
    assert call.op is not None
    with np.errstate(over="ignore", invalid="ignore"):
        joined: NDArray[Any] = REDUCERS[call.op](own, came, dtype=call.dtype)
    return joined


def _output(call: Collective, rank: int, ranks: int, chunk_bytes: int, inputs: list[bytes]) -> bytes | None:
    """Return what this rank receives; None when nothing."""
    mine = slice(rank * chunk_bytes, (rank + 1) * chunk_bytes)
    match call.shape.id:
        case "barrier":
            return None
        case "broadcast":
            return inputs[call.root]
        case "sendrecv":
            return inputs[(rank - 1) % ranks]
        case "allgather":
            return b"".join(inputs)
        case "alltoall":
            return b"".join(each[mine] for each in inputs)
        case "reduce" if rank != call.root:
            return None
        case "reducescatter":
            return _reduced(call, [each[mine] for each in inputs])
    return _reduced(call, inputs)


def _reduced(call: Collective, inputs: list[bytes]) -> bytes:
    assert call.op is not None
    arrays = [np.frombuffer(each, dtype=call.dtype) for each in inputs]
    with np.errstate(over="ignore", invalid="ignore"):  # in place, results feed on themselves; MPI is silent as well
        result: NDArray[Any] = REDUCERS[call.op].reduce(arrays, dtype=call.dtype)
    return result.tobytes()
