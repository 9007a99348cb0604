"""What moves bytes between ranks, and what it is asked to move."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

from netprobe.contracts.memory import Buffer
from netprobe.model.collective import CollectiveShape
from netprobe.model.plan import Stage

Stamps = NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Collective:
    """One collective call, ready to run: sizes are in elements of ``dtype``."""

    shape: CollectiveShape
    send_address: int
    receive_address: int
    send_count: int
    receive_count: int
    dtype: str
    op: str | None
    root: int
    in_place: bool


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RingTrace:
    """What a rank saw of a ring all-reduce, by its own clock in ns; messages in the order in which they travel."""

    entries: Stamps
    """When it began, after a barrier; shape (iterations,)."""
    exits: Stamps
    sent: Stamps
    """When each message was handed over, to the next rank; shape (iterations, messages), as the others below."""
    ready: Stamps
    """When it had nothing to do but to wait for each message of the rank before."""
    done: Stamps
    """When it had each."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StepPace:
    """When the steps of a rank begin, and what each does before it communicates."""

    start_ns: int
    """Of the first step, by this rank's clock."""
    period_ns: int
    """From one to the next, or later where the one before has not ended; 0: as soon as it has."""
    work: int
    """Steps of arithmetic (``_native.compute``)."""
    work_limit_ns: int
    """When a computation gives up."""
    buckets: int
    overlaps: bool = False
    """Whether a thread of its own computes while this one all-reduces."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class BurstSteps:
    """What a rank saw of steps, by its own clock in ns; all of shape (steps,)."""

    began: Stamps
    entered: Stamps
    """When it had computed, and entered the first all-reduce."""
    left: Stamps
    """When it left the last."""
    off_cpu_ns: Stamps
    """For how long its thread had no CPU in between; where a transport sleeps while it waits, that counts."""
    computed: Stamps
    """When it had computed: as ``entered``, but where that goes on beside the all-reduces."""

    @property
    def ended(self) -> Stamps:
        """When it had done both."""
        return np.maximum(self.left, self.computed)


@dataclass(frozen=True, slots=True, kw_only=True)
class FlowLoad:
    """The flows of one rank: each is a stream of windows of messages, every window answered by its receiver."""

    sends_to: tuple[int, ...]
    receives_from: tuple[int, ...]
    """Ranks, none of them twice."""
    send: int
    """Address of the message that all flows out send."""
    receive: int
    """Address of ``size_bytes`` for each flow in, one behind the other."""
    size_bytes: int
    window: int
    duration_ns: int


MOST_FLOW_STAMPS: Final = 1 << 16  # of one flow: half a megabyte
SHORTEST_WINDOW_NS: Final = 1_000  # of what a flow carries: not even shared memory answers sooner


def most_stamps(load: FlowLoad) -> int:
    """Return how many stamps a flow may take: a flow that needs more is stopped early."""
    return min(max(load.duration_ns // SHORTEST_WINDOW_NS, 0) + 2, MOST_FLOW_STAMPS)


class Transport(Protocol):
    """Moves bytes between ranks; every timed operation is a whole series in one native call, off the GIL.

    A series of n iterations returns n + 1 stamps of the local monotonic clock in ns: one before the first iteration
    and one after each, so stamps[i + 1] - stamps[i] is iteration i, with one clock read an iteration. Both ends of a
    pair must call with the same arguments, the roles swapped; collectives are called by all ranks. Failures of the
    library raise TransportError; where only this pair is lost, PairError on both of its ends.
    """

    rank: int
    size: int
    description: str

    def connect(self, stage: Stage, peer: int, buffers: Sequence[Buffer]) -> None:
        """Make ready for one round of a pair: queue pairs, and the buffers it will use; both ends call.

        PairError on both ends where either cannot. MPI needs nothing.
        """
        ...

    def disconnect(self) -> None:
        """Give back what ``connect`` made, whatever became of it; both ends call."""
        ...

    def pingpong(
        self, *, initiates: bool, peer: int, send: int, receive: int, size_bytes: int, iterations: int
    ) -> Stamps:
        """Run round trips with ``peer``; the initiator sends first, ``send`` and ``receive`` are addresses."""
        ...

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
        """Stream one way: ``window`` messages are in flight, then one acknowledgement; one window is an iteration.

        Each message of a window lies ``stride_bytes`` after the one before; 0: all use the same memory.
        """
        ...

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
        """Stream both ways at once: ``window`` messages each way are an iteration; ``stride_bytes`` as in stream."""
        ...

    def flows(self, load: "FlowLoad") -> tuple[Stamps, ...]:
        """Load the fabric: flows out and in at once, in one call; returns when each has been stopped by its receiver.

        Return of each flow in, in the order of ``receives_from``, a stamp from before it and one after each window;
        the receiver stops it with the first window that is complete after ``duration_ns`` of its own clock. All ends
        of flows call, and are with nobody twice in the same role.
        """
        ...

    def flows_refused(self) -> str | None:
        """Return None where ``flows`` can be called, else the reason why not."""
        ...

    def collective(self, call: Collective, *, iterations: int) -> Stamps:
        """Run a collective back to back; all ranks call."""
        ...

    def aligned_collective(self, call: Collective, *, iterations: int) -> tuple[Stamps, Stamps]:
        """Run a collective with a barrier before each; return entry and exit stamps, each of shape (iterations,)."""
        ...

    def traced_ring(self, call: Collective, *, iterations: int) -> RingTrace:
        """Run a ring all-reduce with a barrier before each, and time every message; all ranks call.

        Every rank sends and receives ``buffers.rings.RingCut.messages`` messages in each iteration. UnavailableError
        where messages are not the transport's own.
        """
        ...

    def bursts(self, call: Collective, pace: StepPace, *, steps: int) -> BurstSteps:
        """Run steps that compute and then all-reduce in buckets; all ranks call, with the same work and buckets.

        UnavailableError where the loop is not the transport's own.
        """
        ...

    def clock_pings(self, *, serves: bool, peer: int, count: int) -> Stamps:
        """Exchange clock readings with ``peer``, which must serve if this rank does not.

        Return (sent, served, returned) per ping, shape (count, 3); meaningless on the serving rank.
        """
        ...

    def supports(self, dtype: str, op: str | None) -> str | None:
        """Return None when the library carries this type (and reduces it with ``op``), else the reason why not."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Flights:
    """A series of datagrams there and back, as one end saw it; times are the initiator's, one for each in time."""

    sent: int
    """Pings of the initiator, echoes of the other end."""
    received: int
    late: int
    """Echoes that came too late for their round trip to tell anything."""
    is_stamped: bool
    """Whether this end's NIC stamps completions."""
    round_trips_ns: Stamps
    """By the host's clock."""
    wire_ns: Stamps
    """Between the NICs, there and back; empty, as the others, where not both NICs stamp."""
    responding_ns: Stamps
    """Within the other host."""
    probing_ns: Stamps
    """Within the initiator's host."""


class Datagrams(Protocol):
    """Sends what nobody sends again when it is lost; only the two ends of a pair call, and both do."""

    def meet(self, stage: Stage, peer: int) -> int:
        """Make ready for one round of a pair; return the largest datagram that both ends carry, in bytes.

        PairError on both ends where either cannot; UnavailableError on both where an end has no datagrams at all.
        """
        ...

    def series(self, *, initiates: bool, size_bytes: int, most: int, budget_ns: int) -> Flights:
        """Send pings of one size, each of which the other end sends back, until the time or the count is spent."""
        ...

    def part(self) -> None:
        """Give back what ``meet`` made, whatever became of it."""
        ...
