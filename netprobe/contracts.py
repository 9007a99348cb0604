"""The edges: what a transport, a control plane, a probe, a detector and a reporter must offer.

A new probe, source of counters, detector or reporter is one file with one upper-case constant (PROBE, SOURCE,
DETECTOR, REPORTER) that netprobe.registry finds. Transports and control planes are implemented twice, for MPI ranks
and for threads.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from netprobe.model.bursts import StepBin
from netprobe.model.collective import CollectiveShape
from netprobe.model.counters import DatagramCounts
from netprobe.model.evidence import Evidence
from netprobe.model.exhibits import Exhibits
from netprobe.model.finding import Finding, Gap
from netprobe.model.gpu import GpuCondition, GpuCount, GpuEndpoint, GpuLevels, GpuSurvey
from netprobe.model.history import History
from netprobe.model.inventory import QosSettings
from netprobe.model.limits import Limits
from netprobe.model.plan import Memory, Scope, Stage
from netprobe.model.plan import Path as Carrier
from netprobe.model.rdma import PairFailure
from netprobe.model.record import Record
from netprobe.model.report import Report
from netprobe.model.series import Series

Stamps = NDArray[np.int64]
T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Mismatch:
    """Bytes that are not what they should be."""

    first_offset_bytes: int
    """From the start of the slice that was compared."""
    wrong_bytes: int
    bit_counts: tuple[int, ...]
    """How often each bit differed, the lowest first: of all 8-byte words, or of all elements of a reduction."""

    @property
    def xor_mask(self) -> int:
        """Bits that differed at all."""
        return sum(1 << bit for bit, count in enumerate(self.bit_counts) if count)


class Buffer(Protocol):
    """Memory that a transport sends from or receives into; patterns are written and compared where it lies."""

    address: int
    size_bytes: int

    def fill_pattern(
        self, *, seed: int, rank: int, iteration: int, offset_bytes: int, size_bytes: int, first_word: int = 0
    ) -> None:
        """Write words ``first_word``… of the pattern (seed, rank, iteration) into a slice."""
        ...

    def verify_pattern(
        self, *, seed: int, rank: int, iteration: int, offset_bytes: int, size_bytes: int, first_word: int = 0
    ) -> Mismatch | None:
        """Compare a slice with the pattern; None when every byte is right."""
        ...

    def fill_contribution(
        self, *, dtype: str, op: str, seed: int, rank: int, iteration: int, ranks: int, count: int
    ) -> None:
        """Write ``count`` elements that this rank adds to a reduction over ``ranks`` ranks, exact in ``dtype``."""
        ...

    def verify_reduction(
        self, *, dtype: str, op: str, seed: int, iteration: int, ranks: int, count: int, first_element: int = 0
    ) -> Mismatch | None:
        """Compare ``count`` elements at the start with the reduction of all contributions from ``first_element``."""
        ...

    def poison(self) -> None:
        """Overwrite everything with bytes that no pattern expects, so that a message that never came is noticed."""
        ...


class Allocation(Protocol):
    """Memory that a GPU's driver gave; it is given back when nobody holds this any more."""

    address: int
    size_bytes: int


class Gpu(Protocol):
    """One GPU of this process. What is launched runs in order; memory is up to date once ``finish`` has returned.

    GpuError from every call when the GPU is out of memory, or no longer answers.
    """

    endpoint: GpuEndpoint

    def free_bytes(self) -> int:
        """Return the memory that it may still give."""
        ...

    def allocate(self, memory: Memory, size_bytes: int) -> Allocation:
        """Return memory of its own, managed, or of the host and pinned."""
        ...

    def launch(self, kernel: str, addresses: Sequence[int], numbers: Sequence[int], *, threads: int) -> None:
        """Begin a kernel of kernels/cuda: first the addresses it takes, then 64-bit numbers.

        ``threads``: how many there is work for; fewer may run, each for a longer time.
        """
        ...

    def set_bytes(self, address: int, value: int, size_bytes: int) -> None:
        """Begin to overwrite memory with one value."""
        ...

    def read(self, address: int, size_bytes: int) -> bytes:
        """Return what memory holds once everything begun is done."""
        ...

    def finish(self) -> None:
        """Wait for everything that was begun."""
        ...

    def copy(self, to: int, source: int, size_bytes: int) -> None:
        """Begin to copy; either side may be the GPU's, another GPU's, or pinned memory of the host."""
        ...

    def timed_ns(self, begin: Callable[[], None]) -> float:
        """Return how long what ``begin`` begins took, by the GPU's own clock; it is done on return."""
        ...

    def allocate_on(self, ordinal: int, size_bytes: int) -> Allocation:
        """Return memory of another GPU that this process sees, which copies reach straight where the host lets them."""
        ...

    def copier(self) -> int:
        """Return the address of a C function that copies: (to, from, bytes) as 64-bit words, 0 when it went well.

        Either side may be the host's or the GPU's; the copy is done when it returns.
        """
        ...

    def dma_buf(self, allocation: Allocation) -> int | None:
        """Return a file descriptor by which a NIC reaches memory of the GPU; None where the driver gives none.

        The caller closes it.
        """
        ...


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


class Control(Protocol):
    """Agreement between ranks, apart from the bytes under test. Every call is made by all ranks, in the same order."""

    rank: int
    size: int

    def barrier(self) -> None:
        """Wait for all ranks."""
        ...

    def gather(self, value: T) -> list[T] | None:
        """Return every rank's value, by rank, on rank 0; None elsewhere."""
        ...

    def collect(self, payload: bytes) -> Iterator[bytes] | None:
        """Return every rank's bytes, by rank, on rank 0; None elsewhere. Merged on their way up a tree of ranks."""
        ...

    def broadcast(self, value: T) -> T:
        """Return rank 0's value on every rank."""
        ...

    def allgather(self, value: T) -> list[T]:
        """Return every rank's value, by rank, on every rank."""
        ...

    def maximum(self, values: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the element-wise maximum over ranks, on every rank; shapes agree."""
        ...

    def minimum(self, values: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the element-wise minimum over ranks, on every rank; shapes agree."""
        ...

    def swap(self, peer: int, value: T) -> T:
        """Return the value that ``peer`` gave; only the two ends of a pair call, and both do."""
        ...


class Whereabouts(Protocol):
    """Where a rank notes its position, so that it can be read even when the rank never returns from a call."""

    def meets(self) -> None:
        """Note that the rank waits for the others to come."""
        ...

    def waits(self, stage: str, round_index: int, expected_ns: int) -> None:
        """Note that the rank waits for the others before or after a round that should take so long."""
        ...

    def measures(self, stage: str, round_index: int, peer: int | None) -> None:
        """Note that the rank is inside the probe; ``peer`` as the run numbers it."""
        ...

    def known_as(self, rank: int, host: str) -> None:
        """Note how the run numbers this rank, and what it calls the host."""
        ...

    def step(self) -> None:
        """Count one communication call."""
        ...


class Sink(Protocol):
    """Takes records from rank 0, in order."""

    def emit(self, record: Record) -> None:
        """Hand over one record; returns once it cannot be lost with this process."""
        ...


@dataclass(slots=True)
class Kept:
    """What a probe keeps on its rank from one round of a stage to the next; empty when a stage begins."""

    value: object = None
    is_over: bool = False
    """Set where the rounds that are left need not be run: on all ranks or none."""


class CpuMeter(Protocol):
    """What the calling thread sees of its own CPU while it sends nothing; the GIL is free meanwhile.

    Both return how many values they wrote, the CPU at the start and at the end (-1: not told), and a check value.
    """

    def quanta(self, steps: int, budget_ns: int, stamps: Stamps, /) -> tuple[int, int, int, int]:
        """Work in quanta of so many steps until the time or the array is spent; stamps as of a series."""
        ...

    def wakes(self, period_ns: int, budget_ns: int, late_ns: Stamps, /) -> tuple[int, int, int, int]:
        """Sleep again and again until the time or the array is spent, and write how late each sleep ended."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """What a probe works with on its rank."""

    transport: Transport
    control: Control
    seed: int
    memory: Callable[[str, int], Buffer]
    """Return this rank's buffer of a role ("send", "receive") with at least so many bytes; reused between calls."""
    to_reference_ns: Callable[[Stamps], NDArray[np.float64]]
    """This rank's stamps on rank 0's clock, as ns since ``epoch_ns`` of that clock."""
    datagrams: Datagrams | None = None
    """Where the stage goes over RDMA, and this rank has it."""
    undivided: Transport | None = None
    """The same transport, whose series have nothing between iterations and two stamps, before the first and after the
    last; None where a stamp after each costs what moves the data nothing."""
    kept: Kept = field(default_factory=Kept)
    meter: CpuMeter | None = None
    """Of this rank's CPU; None: the CPU itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Assignment:
    """What this rank does in one round: its peer and role, or nothing (an odd rank out)."""

    round_index: int
    peer: int | None
    leads: bool
    sends_to: tuple[int, ...] = ()
    """Whom this rank loads the fabric with, or is loaded by; none for all probes but those of load."""
    receives_from: tuple[int, ...] = ()
    has_flows: bool = False
    """Whether anybody loads the fabric in this round."""


ProbeResult = Series | Gap | PairFailure | DatagramCounts | StepBin
"""What a probe may tell of a round."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """A kind of measurement. ``run`` is called by every rank of the world for every round of a stage."""

    id: str
    title: str
    is_group: bool
    """True when all ranks work together; False for pairs."""
    both_directions: bool
    """Pair probes: whether (i, j) and (j, i) are different measurements."""
    scopes: tuple[Scope, ...]
    run: Callable[[Bench, Stage, Assignment], Sequence[ProbeResult]]
    paths: tuple[Carrier, ...] = (Carrier.MPI, Carrier.VERBS, Carrier.NCCL)
    """What may carry it; pair probes alone go over verbs."""
    is_load: bool = False
    """True when its rounds hold flows that load the fabric (plan.loads), beside pairs or without."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkSettings:
    """The part of model.inventory.NetDevice that ethtool tells."""

    speed_gbps: float | None = None
    autonegotiates: bool | None = None
    fec: str | None = None
    pause_receives: bool | None = None
    pause_sends: bool | None = None
    ring_receive: int | None = None
    ring_receive_most: int | None = None
    ring_send: int | None = None
    ring_send_most: int | None = None


class Netlink(Protocol):
    """What the kernel tells of interfaces over sockets. What it does not tell is empty or None; nothing raises."""

    def statistics(self, netdev: str) -> Mapping[str, int]:
        """Return the driver's own counters (``ethtool -S``), as it names them."""
        ...

    def link(self, netdev: str) -> LinkSettings:
        """Return how an interface is set (``ethtool``, ``-a``, ``-g``, ``--show-fec``)."""
        ...

    def qos(self, netdev: str) -> QosSettings | None:
        """Return its classes and which of them are lossless (``dcb``); None where the driver has none to tell."""
        ...


class GpuSystem(Protocol):
    """What the driver tells of this host's GPUs, by PCI address. What it does not tell is None or absent; none raises.

    Several threads may call at once.
    """

    def survey(self) -> GpuSurvey:
        """Return which GPUs there are, and of which nothing can be read."""
        ...

    def levels(self, pci: str) -> GpuLevels:
        """Return what a GPU shows now: a few calls, each of which takes some 10 µs."""
        ...

    def condition(self, pci: str) -> GpuCondition:
        """Return the state of its links and of its memory: a call for each link."""
        ...

    def counters(self, pci: str) -> Mapping[GpuCount, int]:
        """Return what it has counted since the driver was loaded."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class System:
    """The edges to the operating system, to be replaced in tests."""

    root: Path
    """Of its files; ``/``."""
    netlink: Netlink
    excluded: frozenset[str] = frozenset()
    """RDMA devices and interfaces that are not to be read: some answer with errors in the kernel's log."""
    addresses: Callable[[], Mapping[str, tuple[str, ...]]] = dict
    """Return the addresses of interfaces, with the length of their prefix."""
    neighbours: Callable[[], str | None] = lambda: None
    """Return what the LLDP daemon knows of the other ends of cables, as JSON; None where there is none to ask."""
    gpus: GpuSystem | None = None
    """None where NVIDIA's driver is not loaded."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Counters of a system, read on every rank around every round, or around every stage."""

    id: str
    title: str
    is_per_host: bool
    """True when all processes of a host read the same: then its first rank alone does."""
    read: Callable[[System], Mapping[str, int]]
    """Return counters by ``source/name``; what is not there is absent. Never raises."""
    in_rounds: bool = True
    """Whether it is read around rounds; else around stages and idle times alone."""
    in_stages: bool = False
    """Whether it is read around stages and idle times."""
    in_seconds: bool = False
    """Whether it is read once in each second of bursts, behind its steps."""
    probes: frozenset[str] | None = None
    """Around whose rounds it is read, where it costs too much to be read around all; None: around all."""
    settling_ns: Callable[[System], int] = lambda _system: 0
    """How long after the last packet its values are up to date: drivers keep what they asked the NIC for a while."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Detector:
    """One family of faults. ``detect`` is pure; no answer means examined and clean."""

    id: str
    title: str
    cause: str
    evidence: str
    remedy: str
    limits: tuple[str, ...]
    """Names of the fields of Limits it reads."""
    detect: Callable[[Evidence, Limits], Iterable[Finding | Gap]]
    audits: bool = False
    """Whether it answers from inventories alone, without anything being measured."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryDetector:
    """What many nights tell that no single one does; the same face as Detector's, on a History."""

    id: str
    title: str
    cause: str
    evidence: str
    remedy: str
    limits: tuple[str, ...]
    """Names of the fields of Limits it reads."""
    detect: Callable[[History, Limits], Iterable[Finding | Gap]]


@dataclass(frozen=True, slots=True, kw_only=True)
class RenderOptions:
    """How a text reporter may draw."""

    width: int = 80
    color: bool = False
    verbose: bool = False
    exhibits: Exhibits | None = None
    """What was measured, for reporters that draw it; None where a report alone is at hand."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reporter:
    """One output format. ``render`` is pure and returns the whole text, ending in a newline."""

    id: str
    title: str
    render: Callable[[Report, RenderOptions], str]
    draws_exhibits: bool = False
    """Whether it wants ``exhibits``, which cost a reading of the run."""
