"""One timed series over queue pairs of pyverbs: plain Python loops, to compare the native ones with.

Messages are counted from 0 in each direction. They go to the queue pairs in turn, ``signal_every`` of them at a time,
and both ends count alike. A completion's ``wr_id`` is the number of messages that it stands for.
"""

import ctypes
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

from netprobe.contracts import Stamps
from netprobe.model.rdma import Operation
from netprobe.transports._pyverbs_bindings import Bindings, Foreign, reason_of, status_of
from netprobe.transports._verbs_engine import Broken, Flow

POLLED_AT_ONCE: Final = 16
SPIN_NS: Final = 100_000
"""Whoever waits for longer lets others have the core."""
TWO_SIDED: Final = (Operation.SEND, Operation.WRITE_IMMEDIATE)
ASKING: Final = (Operation.READ, Operation.ATOMIC)
"""Who asks gets the data; the other end's device answers, and its host knows nothing of it."""
OPCODES: Final = {
    Operation.SEND: "IBV_WR_SEND",
    Operation.WRITE: "IBV_WR_RDMA_WRITE",
    Operation.WRITE_IMMEDIATE: "IBV_WR_RDMA_WRITE_WITH_IMM",
    Operation.READ: "IBV_WR_RDMA_READ",
    Operation.ATOMIC: "IBV_WR_ATOMIC_FETCH_AND_ADD",
}
ADDED: Final = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Queues:
    """Connected queue pairs with one completion queue."""

    bindings: Bindings
    pairs: tuple[Foreign, ...]
    completions: Foreign
    depth: int
    """Requests that each holds, each way."""
    inline_bytes: int


class PyverbsSeries:
    """How far a series is, and what moves it on; for as many receives as messages will come."""

    def __init__(self, queues: Queues, flow: Flow, expected: int) -> None:
        self.flow = flow
        self._queues = queues
        self._bindings = queues.bindings
        self._opcode = getattr(queues.bindings.enums, OPCODES[flow.operation])
        is_inline = flow.operation not in ASKING and flow.size_bytes <= queues.inline_bytes
        self._flags = int(queues.bindings.enums.IBV_SEND_INLINE) if is_inline else 0
        self._expected = expected
        self._receives = 0
        self._posted = 0
        self._completed = 0
        self._received = 0
        self._quiet_since_ns: int | None = None

    def post_receives(self) -> None:
        """Post receives as far as the series needs them and the queue holds them."""
        flow = self.flow
        while self._receives < self._expected and self._receives - self._received < self._queues.depth:
            place = flow.receive + self._receives % flow.window * flow.stride_bytes
            with self._broken_by("ibv_post_recv"):
                # With room even for what tells itself where it goes: older releases refuse a receive without.
                room = self._bindings.wr.SGE(place, flow.size_bytes, flow.receive_key)
                request = self._bindings.wr.RecvWR(num_sge=1, sg=[room])
                self._queue_pair_of(self._receives).post_recv(request)
            self._receives += 1

    def pingpong(self, *, initiates: bool, stamps: Stamps) -> None:
        """Run round trips; a stamp is taken when a message has been posted, while it is under way."""
        messages = len(stamps)
        if self.flow.operation in ASKING:
            if initiates:
                self._ask(stamps)
            return
        came = 0
        if not initiates:
            self._await_message(came)
            came = 1
        for index in range(messages):
            if index > 0:
                self._await_message(came)
                came += 1
            self._post_next(messages)
            stamps[index] = time.monotonic_ns()
        if initiates:
            self._await_message(came)
        self._drain()

    def stream(self, *, sends: bool, receives: bool, stamps: Stamps) -> None:
        """Stream; messages stay in flight from one iteration to the next, at most a window of them."""
        iterations = len(stamps) - 1
        last = self.flow.window * iterations if sends else 0
        most = min(self.flow.window, self._queues.depth)
        if not sends and not receives:
            return
        stamps[0] = time.monotonic_ns()
        finished = 0
        while finished < iterations:
            while self._posted < last and self._in_flight < most:
                self._post_some(most - self._in_flight, last)
            self._look()
            self.post_receives()
            counts = ([self._completed] if sends else []) + ([self._received] if receives else [])
            done = min(min(counts) // self.flow.window, iterations)
            stamps[finished + 1 : done + 1] = time.monotonic_ns()
            finished = done

    @property
    def _in_flight(self) -> int:
        return self._posted - self._completed

    def _ask(self, stamps: Stamps) -> None:
        for index in range(len(stamps)):
            self._post_some(1, len(stamps))
            self._drain()
            stamps[index] = time.monotonic_ns()

    def _post_next(self, last: int) -> None:
        flow = self.flow
        while self._in_flight >= self._queues.depth:
            self._look()
        if flow.operation is Operation.WRITE:
            _last_byte(flow.send, flow.size_bytes).value = flow.own_first_mark ^ (self._posted & 1)
        self._post_some(1, last)
        self.post_receives()

    def _await_message(self, number: int) -> None:
        """Wait for a message by its completion, or by its last byte where it comes without one."""
        flow = self.flow
        if flow.operation in TWO_SIDED:
            while self._received <= number:
                self._look()
            return
        last_byte = _last_byte(flow.receive, flow.size_bytes)
        while last_byte.value != flow.first_mark ^ (number & 1):
            self._look()
        self._quiet_since_ns = None

    def _drain(self) -> None:
        while self._in_flight > 0:
            self._look()

    def _queue_pair_of(self, number: int) -> Foreign:
        return self._queues.pairs[number // self.flow.signal_every % len(self._queues.pairs)]

    def _post_some(self, most: int, last: int) -> None:
        """Post messages of one turn of a queue pair, at most a list; ``last`` is how many the series has."""
        first, every = self._posted, self.flow.signal_every
        turn_ends = (first // every + 1) * every
        end = min(first + most, first + self.flow.post_list, turn_ends, last)
        requests: list[Foreign] = []  # each points at the next, and does not keep it alive
        with self._broken_by("ibv_post_send"):
            for number in reversed(range(first, end)):
                stands_for = number + 1 - (turn_ends - every) if number + 1 in (turn_ends, last) else 0
                requests.append(self._request(number, stands_for, requests[-1:]))
            self._queue_pair_of(first).post_send(requests[-1])
        self._posted = end

    def _request(self, number: int, stands_for: int, following: list[Foreign]) -> Foreign:
        """Return the request that moves a message; its completion, if it is to have one, stands for so many."""
        flow = self.flow
        offset = number % flow.window * flow.stride_bytes
        asks = flow.operation in ASKING
        place, key = (flow.receive, flow.receive_key) if asks else (flow.send, flow.send_key)
        request = self._bindings.wr.SendWR(
            wr_id=stands_for,
            opcode=self._opcode,
            num_sge=1,
            sg=[self._bindings.wr.SGE(place + offset, flow.size_bytes, key)],
            send_flags=self._flags | (int(self._bindings.enums.IBV_SEND_SIGNALED) if stands_for else 0),
            next_wr=following[0] if following else None,
        )
        if flow.operation is Operation.ATOMIC:
            request.set_wr_atomic(flow.remote_key, flow.remote, ADDED)
        elif flow.operation is not Operation.SEND:
            request.set_wr_rdma(flow.remote_key, flow.remote + offset)
        return request

    def _look(self) -> None:
        """Take note of what has completed; Broken where something failed, or nothing came for too long."""
        enums = self._bindings.enums
        with self._broken_by("ibv_poll_cq"):
            count, completions = self._queues.completions.poll(POLLED_AT_ONCE)
        if not count:
            self._wait()
            return
        self._quiet_since_ns = None
        failed = [each for each in completions if each.status != enums.IBV_WC_SUCCESS]
        for each in completions:
            if each.status == enums.IBV_WC_SUCCESS:
                self._note(each)
        if failed:  # a flush is the consequence of another's error
            cause = min(failed, key=lambda each: bool(each.status == enums.IBV_WC_WR_FLUSH_ERR))
            status = status_of(self._bindings, cause.status)
            raise self._broken("ibv_poll_cq", status=status, vendor_error=cause.vendor_err)

    def _note(self, completion: Foreign) -> None:
        if completion.opcode & self._bindings.enums.IBV_WC_RECV:
            self._received += 1
        else:
            self._completed += completion.wr_id

    def _wait(self) -> None:
        now_ns = time.monotonic_ns()
        if self._quiet_since_ns is None:
            self._quiet_since_ns = now_ns
        quiet_ns = now_ns - self._quiet_since_ns
        if quiet_ns > self.flow.patience_ns:
            raise self._broken("ibv_poll_cq", waited_ns=quiet_ns)
        if quiet_ns > SPIN_NS:
            os.sched_yield()

    @contextmanager
    def _broken_by(self, call: str) -> Iterator[None]:
        try:
            yield
        except self._bindings.pyverbs_error.PyverbsError as error:
            raise self._broken(call, error=reason_of(error)) from error

    def _broken(self, call: str, **facts: Any) -> Broken:  # noqa: ANN401
        return Broken(call, messages=self._completed + self._received, **facts)


def _last_byte(address: int, size_bytes: int) -> ctypes.c_ubyte:
    return ctypes.c_ubyte.from_address(address + size_bytes - 1)
