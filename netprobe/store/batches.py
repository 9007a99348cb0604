"""What ranks tell rank 0, merged on its way up a binomial tree: rank 0 gets log2 N messages instead of N - 1.

A batch is the payloads of neighbouring ranks end to end, each with its length in front; whoever passes it on only puts
its own in front and looks into none. The tree is that of MPI_Gather in MPICH (Thakur et al., 2005,
https://doi.org/10.1177/1094342005051521), which MPI_Gatherv, and so mpi4py's gather of objects, does not use.
"""

import struct
from collections.abc import Callable, Iterator
from typing import Final

from netprobe.errors import FormatError

_LENGTH: Final = struct.Struct("<I")


def framed(payload: bytes) -> bytes:
    """Return the batch of one rank."""
    return _LENGTH.pack(len(payload)) + payload


def payloads_of(batch: bytes) -> Iterator[bytes]:
    """Yield the payloads of a batch, by rank; FormatError where it was cut short."""
    at = 0
    while at < len(batch):
        begin = at + _LENGTH.size
        if begin > len(batch):
            raise FormatError(f"a batch of {len(batch)} bytes ends within a length")
        at = begin + _LENGTH.unpack_from(batch, begin - _LENGTH.size)[0]
        if at > len(batch):
            raise FormatError(f"a batch of {len(batch)} bytes ends within a payload")
        yield batch[begin:at]


def up_the_tree(
    rank: int,
    size: int,
    payload: bytes,
    *,
    send: Callable[[int, bytes], None],
    receive: Callable[[int], bytes | bytearray],
) -> bytes | None:
    """Return the batch of all ranks, in their order, on rank 0; None elsewhere. All ranks call.

    ``send`` hands a batch to a rank, ``receive`` waits for the one of a rank.
    """
    merged = bytearray(framed(payload))
    step = 1
    while step < size:
        if rank & step:
            send(rank - step, bytes(merged))
            return None
        if rank + step < size:
            merged += receive(rank + step)  # of ranks rank + step to rank + 2 step - 1: the order is kept
        step *= 2
    return bytes(merged)
