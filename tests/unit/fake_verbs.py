"""An engine of verbs in memory: bytes move between the two ends of a link, which a test may break at one end."""

import ctypes
import itertools
import queue
import threading
import time
from dataclasses import dataclass, field

import numpy as np

from netprobe.model.rdma import Operation, RdmaEndpoint
from netprobe.transports._verbs_engine import Broken, Counted, DatagramFacts, LinkFacts, NoDatagrams, Region

GONE = object()
"""In an inbox: the other end broke, and nothing more will come."""
PATIENCE_S = 60.0


def endpoint(rank):
    """Return the port that a rank of a test uses."""
    return RdmaEndpoint(
        rank=rank, device="fake0", port=1, link_layer="Ethernet", gid_index=3, gid=":".join(["0000"] * 8),
        gid_kind="RoCE v2", netdev="eth0", rate_gbps=400.0,
    )  # fmt: skip


@dataclass
class Fabric:
    """What all devices of a test share, and what they have open."""

    links: dict[int, "FakeLink"] = field(default_factory=dict)
    regions: set[tuple[int, int]] = field(default_factory=set)
    """(rank, local key) of memory that is registered."""
    made: list[int] = field(default_factory=list)
    """The rank of each link that was ever made."""
    numbers: itertools.count = field(default_factory=lambda: itertools.count(1))
    closed: list[int] = field(default_factory=list)
    """The rank of each device that was closed."""
    lock: threading.Lock = field(default_factory=threading.Lock)

    def next_number(self):
        with self.lock:
            return next(self.numbers)


@dataclass
class Sending:
    """How a device sends datagrams."""

    loses: object = lambda number, size_bytes: False
    """Tells of each datagram whether it vanishes."""
    largest_bytes: int = 4096
    clock: object = None
    missing: str | None = None
    """Why there are none."""


class FakeDevice:
    """EngineDevice; ``breaks_at`` is the message after which its first link fails, ``fails`` maps calls to errors."""

    def __init__(self, fabric, rank, *, breaks_at=None, fails=None, error=None, datagrams=None):
        self.name = "fake0"
        self.most_messages = 1024
        self.fabric, self.rank = fabric, rank
        self.breaks_at = breaks_at
        self.fails = fails or {}
        self.error = error or {"status": "RETRY_EXC_ERR", "vendor_error": 129}
        self.depths = []
        self.sends = datagrams or Sending()

    def register(self, address, size_bytes, dmabuf=None):
        self.may_fail("ibv_reg_mr")
        number = self.fabric.next_number()
        self.fabric.regions.add((self.rank, number))
        return Region(address=address, size_bytes=size_bytes, local_key=number, remote_key=number + 1_000_000)

    def release(self, region):
        self.fabric.regions.remove((self.rank, region.local_key))

    def link(self, endpoint, options, depth):
        self.may_fail("ibv_create_qp")
        self.depths.append(depth)
        return FakeLink(self)

    def datagrams(self, endpoint):
        self.may_fail("ibv_reg_mr")
        if self.sends.missing is not None:
            raise NoDatagrams(self.sends.missing)
        return FakeDatagrams(self)

    def close(self):
        self.fabric.closed.append(self.rank)

    def may_fail(self, call):
        if call in self.fails:
            raise Broken(call, error=self.fails[call])


class FakeLink:
    """EngineLink."""

    inline_bytes = 220

    def __init__(self, device):
        self.device = device
        self.number = device.fabric.next_number()
        self.facts = LinkFacts(
            queue_pairs=(self.number,), packet_numbers=(0,), mtu_bytes=4096, gid=bytes(16), lid=0, most_reads=16
        )
        self.inbox = queue.SimpleQueue()
        self.receives = 0
        self.done = 0
        self.left = device.breaks_at
        device.breaks_at = None  # the next link works again
        device.fabric.links[self.number] = self
        device.fabric.made.append(device.rank)

    def join(self, theirs, options):
        self.device.may_fail("ibv_modify_qp to RTR")
        self.peer = self.device.fabric.links[theirs.queue_pairs[0]]

    def expect(self, flow, messages):
        assert self.receives == 0, "receives are left over from the series before"
        self.receives = messages

    def pingpong(self, flow, *, initiates, stamps):
        self.done = 0
        one_sided = flow.operation in (Operation.READ, Operation.ATOMIC)
        if one_sided and not initiates:
            return
        for index in range(len(stamps)):
            if initiates:
                self.post(flow, 0)
            if not one_sided:
                self.take(flow, 0)
            if not initiates:
                self.post(flow, 0)
            stamps[index] = time.monotonic_ns()

    def stream(self, flow, *, sends, receives, stamps):
        self.done = 0
        stamps[0] = time.monotonic_ns()
        for index in range(1, len(stamps)):
            for message in range(flow.window):
                if sends:
                    self.post(flow, message * flow.stride_bytes)
                if receives:
                    self.take(flow, message * flow.stride_bytes)
            stamps[index] = time.monotonic_ns()

    def post(self, flow, offset):
        if self.left is not None and self.left == 0:
            self.peer.inbox.put(GONE)
            raise Broken("ibv_poll_cq", messages=self.done, **self.device.error)
        if self.left is not None:
            self.left -= 1
        if flow.operation is Operation.READ:
            ctypes.memmove(flow.receive + offset, flow.remote + offset, flow.size_bytes)
        elif flow.operation is Operation.ATOMIC:
            ctypes.memmove(flow.receive, flow.remote, 8)
            ctypes.c_int64.from_address(flow.remote).value += 1
        else:
            if flow.operation in (Operation.WRITE, Operation.WRITE_IMMEDIATE):
                ctypes.memmove(flow.remote + offset, flow.send + offset, flow.size_bytes)
            self.peer.inbox.put(ctypes.string_at(flow.send + offset, flow.size_bytes))
        self.done += 1

    def take(self, flow, offset):
        came = self.inbox.get(timeout=PATIENCE_S)
        if came is GONE:
            raise Broken("ibv_poll_cq", messages=self.done, waited_ns=1_000_000_000)
        if flow.operation in (Operation.SEND, Operation.WRITE_IMMEDIATE):
            assert self.receives > 0, "a message came, and no receive was posted"
            self.receives -= 1
        if flow.operation is Operation.SEND:
            ctypes.memmove(flow.receive + offset, came, len(came))

    def close(self):
        del self.device.fabric.links[self.number]


class FakeDatagrams:
    """EngineDatagrams: 100 ticks from NIC to NIC, 40 within the host that answers."""

    def __init__(self, device):
        self.device = device
        self.inbox = queue.SimpleQueue()
        number = device.fabric.next_number()
        self.facts = DatagramFacts(
            queue_pair=number, key=number + 5, largest_bytes=device.sends.largest_bytes, gid=bytes(16), lid=0,
            clock=device.sends.clock,
        )  # fmt: skip
        device.fabric.links[number] = self

    def join(self, theirs, options):
        self.device.may_fail("ibv_create_ah")
        self.peer = self.device.fabric.links[theirs.queue_pair]
        assert theirs.key == self.peer.facts.key

    def ping(self, series, *, size_bytes, most, budget_ns):
        for number in range(most):
            self.send(number, size_bytes)
        self.peer.inbox.put(GONE)
        came = self.take_all()
        round_trips_ns = np.full(most, -1, dtype=np.int64)
        round_trips_ns[came] = 1_000
        left, back = np.zeros(most, dtype=np.int64), np.full(most, 240, dtype=np.int64)
        return Counted(
            sent=most, received=len(came), round_trips_ns=round_trips_ns, left_ticks=left, came_ticks=back
        )  # fmt: skip

    def echo(self, series, *, size_bytes, most):
        came = self.take_all()
        for number in came:
            self.send(number, size_bytes)
        self.peer.inbox.put(GONE)
        there, left = np.full(most, -1, dtype=np.int64), np.full(most, -1, dtype=np.int64)
        there[came], left[came] = 7, 47
        return Counted(sent=len(came), received=len(came), left_ticks=left, came_ticks=there)

    def send(self, number, size_bytes):
        if not self.device.sends.loses(number, size_bytes):
            self.peer.inbox.put(number)

    def take_all(self):
        return list(iter(lambda: self.inbox.get(timeout=PATIENCE_S), GONE))

    def close(self):
        del self.device.fabric.links[self.facts.queue_pair]
