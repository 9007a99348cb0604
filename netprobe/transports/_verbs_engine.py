"""What an engine of verbs must offer to the transport: devices, registered memory, queue pairs, and timed series.

Two engines do: netprobe._native (transports._verbs_native), and rdma-core's own Python bindings as the reference
(transports._verbs_pyverbs). An engine talks to no peer: the transport carries facts from one end to the other.
A call that fails raises Broken.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from netprobe.contracts import Stamps
from netprobe.model.rdma import Operation, RdmaEndpoint, RdmaOptions


class Broken(Exception):
    """A verb failed; ``messages`` had gone well on these queue pairs in this series."""

    def __init__(
        self,
        call: str,
        *,
        status: str | None = None,
        vendor_error: int | None = None,
        error: str | None = None,
        messages: int = 0,
        waited_ns: int = 0,
    ) -> None:
        super().__init__(f"{call}: {status or error or 'nothing came'}")
        self.call = call
        self.status = status
        self.vendor_error = vendor_error
        self.error = error
        self.messages = messages
        self.waited_ns = waited_ns


@dataclass(frozen=True, slots=True, kw_only=True)
class Region:
    """Registered memory."""

    address: int
    size_bytes: int
    local_key: int
    remote_key: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkFacts:
    """What the other end has to know of a link, in the order in which its queue pairs are joined."""

    queue_pairs: tuple[int, ...]
    """Their numbers."""
    packet_numbers: tuple[int, ...]
    """The first of each."""
    mtu_bytes: int
    """The active MTU of the port."""
    gid: bytes
    lid: int
    most_reads: int
    """Reads and atomics that it answers at once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Flow:
    """One timed series on a link, as one end sees it. A message is the same size both ways."""

    operation: Operation
    size_bytes: int
    send: int
    """Address; within a registered region."""
    send_key: int
    receive: int
    receive_key: int
    remote: int
    """Address at the other end that is written or read."""
    remote_key: int
    window: int = 1
    stride_bytes: int = 0
    """From one message of a window to the next, at both ends."""
    signal_every: int = 1
    post_list: int = 1
    patience_ns: int
    """Nothing completes for so long: Broken."""
    first_mark: int = 0
    """Round trips by writing: what the last byte of the first message from the peer will be, 0 to 255; each further
    one flips its lowest bit."""
    own_first_mark: int = 0
    """The same of what is sent."""


class EngineLink(Protocol):
    """Connected queue pairs with one peer."""

    facts: LinkFacts
    inline_bytes: int
    """The largest message that is copied into the request."""

    def join(self, theirs: LinkFacts, options: RdmaOptions) -> None:
        """Bring the queue pairs up towards theirs."""
        ...

    def expect(self, flow: Flow, messages: int) -> None:
        """Post the first receives of a series of so many messages; before either end starts."""
        ...

    def pingpong(self, flow: Flow, *, initiates: bool, stamps: Stamps) -> None:
        """Run round trips as contracts.Transport.pingpong does: one message more than there are iterations."""
        ...

    def stream(self, flow: Flow, *, sends: bool, receives: bool, stamps: Stamps) -> None:
        """Move one window an iteration, out, in, or both; at most ``window`` messages are in flight each way."""
        ...

    def close(self) -> None:
        """Destroy the queue pairs."""
        ...


class NoDatagrams(Exception):
    """Neither device nor engine could send unreliable datagrams; the message says which."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NicClock:
    """The counter that a NIC stamps completions with: it runs freely, and wraps."""

    mask: int
    """Its bits, all set."""
    khz: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DatagramFacts:
    """What the other end has to know to send datagrams here."""

    queue_pair: int
    key: int
    """Without it a datagram is not taken (Q_Key)."""
    largest_bytes: int
    """What one datagram carries: the active MTU of the port."""
    gid: bytes
    lid: int
    clock: NicClock | None
    """None where completions are not stamped."""


def _no_stamps() -> Stamps:
    return np.zeros(0, dtype=np.int64)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Counted:
    """A series of pings as one end saw it; arrays have shape (n,) and are indexed by the number of the ping.

    A tick is -1 where that completion was not seen, and means nothing without a clock.
    """

    sent: int
    """Pings, or echoes."""
    received: int
    """Each counts once."""
    late: int = 0
    """Echoes that came when nobody waited for them any more."""
    round_trips_ns: Stamps = field(default_factory=_no_stamps)
    """Of who pings; 0: the echo came late; negative: none came."""
    left_ticks: Stamps
    """When the NIC had sent it."""
    came_ticks: Stamps


class EngineDatagrams(Protocol):
    """A queue pair for unreliable datagrams with one peer; its receives are posted all the time."""

    facts: DatagramFacts

    def join(self, theirs: DatagramFacts, options: RdmaOptions) -> None:
        """Resolve the way to the other end."""
        ...

    def ping(self, series: int, *, size_bytes: int, most: int, budget_ns: int) -> Counted:
        """Send pings one at a time until ``most`` are sent, the budget is spent, or nothing comes back any more.

        Each waits for its echo for some milliseconds at most. ``series`` tells it from those before; both ends count.
        """
        ...

    def echo(self, series: int, *, size_bytes: int, most: int) -> Counted:
        """Send back what comes until the other end has sent its last, or nothing came for a second."""
        ...

    def close(self) -> None:
        """Destroy the queue pair."""
        ...


class EngineDevice(Protocol):
    """An open device."""

    name: str
    most_messages: int
    """Requests that a queue pair holds."""

    def register(self, address: int, size_bytes: int, dmabuf: int | None = None) -> Region:
        """Register memory: the host's, a GPU's by the peer-memory module, or by a dma-buf's file descriptor."""
        ...

    def release(self, region: Region) -> None:
        """Take a registration back."""
        ...

    def link(self, endpoint: RdmaEndpoint, options: RdmaOptions, depth: int) -> EngineLink:
        """Make the queue pairs of one pair, each with room for ``depth`` requests each way."""
        ...

    def datagrams(self, endpoint: RdmaEndpoint) -> EngineDatagrams:
        """Make a queue pair for datagrams; NoDatagrams where there are none."""
        ...

    def close(self) -> None:
        """Close the device."""
        ...


OpenDevice = Callable[[RdmaEndpoint, RdmaOptions], EngineDevice]
"""Opens a rank's device with the engine that the options ask for; raises UnavailableError with the reason."""
