"""What kernels/host builds: addresses and handles are integers, series are written into the caller's int64 arrays.

Every loop releases the GIL for the whole series and raises MpiError when an MPI call fails. Of n iterations it writes
n + 1 stamps (CLOCK_MONOTONIC, ns): one before the first and one after each.
"""

import numpy as np
from numpy.typing import NDArray

class MpiError(Exception):
    """An MPI call failed; args are (call name, MPI error code, iteration)."""

    args: tuple[str, int, int]

def mpi_bind(addresses: dict[str, int], *, request_bytes: int, status_ignore: int, statuses_ignore: int) -> None:
    """Take the function addresses ("Send", "Recv", ...) of the MPI library that this process has loaded."""

def mpi_stage(
    send: int,
    send_host: int,
    send_bytes: int,
    receive: int,
    receive_host: int,
    receive_bytes: int,
    copier: int,
    element_bytes: int,
    ranks: int,
    rank: int,
    /,
) -> None:
    """Let the loops copy what they send and receive to and from memory of the host, until ``mpi_unstage``.

    Each region is memory of a GPU, the host's that stands in for it, and their size; 0: the host's own, not copied.
    ``copier`` as contracts.Gpu.copier gives it.
    """

def mpi_unstage() -> None:
    """Hand addresses to MPI as they are."""

def empty_series(stamps: NDArray[np.int64], /) -> None:
    """Run the timed loop with no operation in it."""

def clock_series(reads: int, /) -> float:
    """Return the ns that one clock read takes, averaged over ``reads``."""

def pingpong(
    initiates: bool,
    send: int,
    receive: int,
    count: int,
    datatype: int,
    peer: int,
    tag: int,
    comm: int,
    stamps: NDArray[np.int64],
    /,
) -> None:
    """Run round trips, and one more that is not timed: an iteration begins and ends when a message has been sent."""

def stream(
    sends: bool,
    address: int,
    count: int,
    datatype: int,
    peer: int,
    tag: int,
    comm: int,
    window: int,
    stride_bytes: int,
    ack_address: int,
    stamps: NDArray[np.int64],
    /,
) -> None:
    """Stream one way: ``window`` messages under ``tag``, then an empty acknowledgement under ``tag + 1``.

    Each message lies ``stride_bytes`` after the one before; 0: all use the same memory.
    """

def flows(
    outgoing: int,
    incoming: int,
    peers: NDArray[np.int64],
    send: int,
    receive: int,
    stride_bytes: int,
    count: int,
    datatype: int,
    byte: int,
    tag: int,
    comm: int,
    window: int,
    duration_ns: int,
    most_stamps: int,
    stamps: NDArray[np.int64],
    counts: NDArray[np.int64],
    /,
) -> None:
    """Stream windows to ``outgoing`` and from ``incoming`` peers at once, until each receiver stops its own.

    ``peers`` are those that are sent to, then those that send; the latter have ``stride_bytes`` of ``receive`` each,
    a row of ``most_stamps`` stamps, and how many were written in ``counts``: one before, and one after each window.
    """

def exchange(
    send: int,
    receive: int,
    count: int,
    datatype: int,
    peer: int,
    tag: int,
    comm: int,
    window: int,
    stride_bytes: int,
    stamps: NDArray[np.int64],
    /,
) -> None:
    """Stream both ways at once: ``window`` messages each way an iteration."""

def clock_pings(
    serves: bool, peer: int, tag: int, comm: int, byte: int, count: int, triples: NDArray[np.int64], /
) -> None:
    """Write (sent, served, returned) for each of ``count`` pings; the server's array is left alone."""

def collective(
    kind: str,
    send: int,
    receive: int,
    send_count: int,
    receive_count: int,
    datatype: int,
    op: int,
    root: int,
    comm: int,
    size: int,
    rank: int,
    stamps: NDArray[np.int64],
    /,
) -> None:
    """Run a collective of model.collective.SHAPES back to back; ``send`` may be MPI_IN_PLACE's address."""

def aligned_collective(
    kind: str,
    send: int,
    receive: int,
    send_count: int,
    receive_count: int,
    datatype: int,
    op: int,
    root: int,
    comm: int,
    size: int,
    rank: int,
    entries: NDArray[np.int64],
    exits: NDArray[np.int64],
    /,
) -> None:
    """Run a collective with a barrier before each; write when it was entered and left."""

def ring(
    send: int,
    receive: int,
    count: int,
    piece_count: int,
    window: int,
    datatype: int,
    dtype: str,
    op: str,
    comm: int,
    size: int,
    rank: int,
    stamps: NDArray[np.int64],
    /,
) -> None:
    """Run a ring all-reduce back to back, in pieces of ``piece_count`` elements, with ``window`` receives ahead."""

def traced_ring(
    send: int,
    receive: int,
    count: int,
    piece_count: int,
    window: int,
    datatype: int,
    dtype: str,
    op: str,
    comm: int,
    size: int,
    rank: int,
    entries: NDArray[np.int64],
    exits: NDArray[np.int64],
    sent: NDArray[np.int64],
    ready: NDArray[np.int64],
    done: NDArray[np.int64],
    /,
) -> None:
    """Run it with a barrier before each iteration; the last three take a stamp for every message of each."""

def bursts(
    send: int,
    receive: int,
    count: int,
    buckets: int,
    element_bytes: int,
    datatype: int,
    op: int,
    comm: int,
    start_ns: int,
    period_ns: int,
    work: int,
    limit_ns: int,
    overlaps: bool,
    stamps: NDArray[np.int64],
    /,
) -> None:
    """Run steps: a computation, then all-reduces of ``buckets`` parts of ``count`` elements, one after the other.

    ``stamps`` has shape (steps, 5): began, entered the all-reduce, left it, for how many ns of that the thread had no
    CPU, and had computed. ``overlaps``: another thread computes meanwhile, on CPUs that this one is not bound to where
    there are any; a step ends when both are done. Steps begin ``period_ns`` apart from ``start_ns`` (CLOCK_MONOTONIC)
    on, or as soon as the one before has ended where that is later; 0: always then. ``work`` as in ``compute``.
    """

def compute(work: int, limit_ns: int, /) -> int:
    """Return how long ``work`` steps of arithmetic took, in ns; it stops when ``limit_ns`` are over."""

def pattern_fill(address: int, size_bytes: int, seed: int, rank: int, iteration: int, first_word: int, /) -> None:
    """Write words ``first_word``... of the pattern (seed, rank, iteration); a tail takes the low bytes of its word."""

def pattern_verify(
    address: int, size_bytes: int, seed: int, rank: int, iteration: int, first_word: int, /
) -> tuple[int, int, tuple[int, ...]] | None:
    """Compare; None when right, else (first offset in bytes, wrong bytes, how often each bit of a word differed)."""

def contribution_fill(
    address: int, count: int, dtype: str, op: str, seed: int, rank: int, iteration: int, ranks: int, /
) -> None:
    """Write the ``count`` elements that a rank adds to a reduction over ``ranks`` ranks."""

def reduction_verify(
    address: int, count: int, first_element: int, dtype: str, op: str, seed: int, iteration: int, ranks: int, /
) -> tuple[int, int, tuple[int, ...]] | None:
    """Compare elements ``first_element``... of the result; the last tells how often each bit of an element differed."""

def user_reduction(dtype: str, op: str, /) -> int:
    """Return the address of an MPI_User_function for float16 or bfloat16, rounding to nearest even."""

def accumulate(target: int, source: int, count: int, dtype: str, op: str, /) -> None:
    """Reduce ``count`` elements at one address into those at another: sum, max or min.

    Of float32, float16, bfloat16, int32 and uint8; sums of integers wrap round.
    """

def spin(seed: int, steps: int, /) -> int:
    """Return what so many steps of a generator make of a seed: arithmetic that cannot be hurried, and nothing else."""

def quanta(steps: int, budget_ns: int, stamps: NDArray[np.int64], /) -> tuple[int, int, int, int]:
    """Run quanta of so many steps of ``spin`` until the time is spent or the array is full.

    It writes a stamp before the first and one after each; the first begins with the length of the array for a seed.
    Return (stamps written, CPU at the start, CPU at the end, what the last quantum made); CPUs are -1 where the system
    does not tell.
    """

def wakes(period_ns: int, budget_ns: int, late_ns: NDArray[np.int64], /) -> tuple[int, int, int, int]:
    """Sleep for ``period_ns`` again and again, and write how much later than asked for each sleep ended.

    Return (sleeps, CPU at the start, CPU at the end, 0). OSError when the system cannot sleep so.
    """

class VerbsError(Exception):
    """A verb failed: (call, completion status, vendor error, errno or 0, messages before, ns without a completion)."""

    args: tuple[str, int | None, int, int, int, int]

def verbs_load(path: str, /) -> None:
    """Open libibverbs; OSError when it is not there or lacks something. A second call does nothing."""

def verbs_open(name: str, /) -> tuple[object, int, int]:
    """Return (device, requests that a queue pair holds, enum ibv_atomic_cap)."""

def verbs_close(device: object, /) -> None:
    """Close a device."""

def verbs_reg(device: object, address: int, size_bytes: int, dmabuf: int, /) -> tuple[object, int, int]:
    """Return (region, local key, remote key); ``dmabuf`` is a file descriptor, -1 for plain memory."""

def verbs_dereg(region: object, /) -> None:
    """Take a registration back."""

def verbs_link(
    device: object, port: int, gid_index: int, queue_pairs: int, depth: int, inline_bytes: int, /
) -> tuple[object, tuple[int, ...], int, int, bytes, int, int]:
    """Return (link, queue pair numbers, inline bytes it got, enum ibv_mtu, GID, LID, reads at once)."""

def verbs_join(
    link: object,
    queue_pairs: tuple[int, ...],
    flow_labels: tuple[int, ...],
    gid: bytes,
    lid: int,
    mtu: int,
    is_routed: bool,
    hop_limit: int,
    traffic_class: int,
    service_level: int,
    timeout: int,
    retry_count: int,
    rnr_retry_count: int,
    min_rnr_timer: int,
    reads: int,
    receive_packet_number: int,
    send_packet_number: int,
    /,
) -> None:
    """Bring queue pairs from INIT to RTS, towards those of the other end."""

def verbs_unlink(link: object, /) -> None:
    """Destroy the queue pairs of a link."""

def verbs_expect(flow: tuple[object, ...], messages: int, /) -> None:
    """Post the first receives of so many messages; ``flow``: a link, and the fields of _verbs_engine.Flow."""

def verbs_pingpong(flow: tuple[object, ...], initiates: bool, stamps: NDArray[np.int64], /) -> None:
    """Run round trips, and one more that is not timed; of reads and atomics the other end returns at once."""

def verbs_stream(flow: tuple[object, ...], sends: bool, receives: bool, stamps: NDArray[np.int64], /) -> None:
    """Stream: one window an iteration, at most a window in flight each way."""

def verbs_datagrams(
    device: object, port: int, gid_index: int, key: int, /
) -> tuple[object, int, int, bytes, int, int, int]:
    """Return (datagrams, queue pair number, largest in bytes, GID, LID, bits of its clock, kHz); no clock: 0 bits."""

def verbs_address(
    datagrams: object,
    queue_pair: int,
    key: int,
    gid: bytes,
    lid: int,
    is_routed: bool,
    flow_label: int,
    hop_limit: int,
    traffic_class: int,
    service_level: int,
    /,
) -> None:
    """Tell to which queue pair of which port datagrams go."""

def verbs_pings(
    datagrams: object,
    series: int,
    size_bytes: int,
    budget_ns: int,
    patience_ns: int,
    grace_ns: int,
    round_trips_ns: NDArray[np.int64],
    left_ticks: NDArray[np.int64],
    came_ticks: NDArray[np.int64],
    /,
) -> tuple[int, int, int]:
    """Send at most as many pings as the arrays have room for; return how many were sent, came back, and came late.

    A round trip is 0 where the echo came late, and negative where none did.
    """

def verbs_echoes(
    datagrams: object,
    series: int,
    size_bytes: int,
    patience_ns: int,
    came_ticks: NDArray[np.int64],
    left_ticks: NDArray[np.int64],
    /,
) -> tuple[int, int]:
    """Send back what comes until the series ends or nothing comes any more; return how many were sent and came.

    ``came_ticks`` is negative for pings that never came.
    """

def verbs_end_datagrams(datagrams: object, /) -> None:
    """Destroy the queue pair."""
