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

def pattern_fill(address: int, size_bytes: int, seed: int, rank: int, iteration: int, first_word: int, /) -> None:
    """Write words ``first_word``... of the pattern (seed, rank, iteration); a tail takes the low bytes of its word."""

def pattern_verify(
    address: int, size_bytes: int, seed: int, rank: int, iteration: int, first_word: int, /
) -> tuple[int, int, int] | None:
    """Compare; None when all is right, else (first offset in bytes, wrong bytes, differing bits over all words)."""

def contribution_fill(
    address: int, count: int, dtype: str, op: str, seed: int, rank: int, iteration: int, ranks: int, /
) -> None:
    """Write the ``count`` elements that a rank adds to a reduction over ``ranks`` ranks."""

def reduction_verify(
    address: int, count: int, first_element: int, dtype: str, op: str, seed: int, iteration: int, ranks: int, /
) -> tuple[int, int, int] | None:
    """Compare elements ``first_element``... of the result; the last figure is the differing bits over all elements."""

def user_reduction(dtype: str, op: str, /) -> int:
    """Return the address of an MPI_User_function for float16 or bfloat16, rounding to nearest even."""
