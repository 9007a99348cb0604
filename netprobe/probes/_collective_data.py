"""What each rank puts into a collective and what it must find afterwards, for every kind.

Moved data are patterns of the sending rank; the part for receiver d starts at word d * words(chunk), so that a chunk
delivered to the wrong place is noticed. Reduced data are exact contributions (kernels/host/reduce.c).
"""

from dataclasses import dataclass

from netprobe.contracts import Buffer, Collective, Mismatch
from netprobe.model.collective import CollectiveShape
from netprobe.model.plan import DTYPE_BYTES


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupCall:
    """One collective at one size on this rank, with its buffers and the coordinates of its patterns."""

    shape: CollectiveShape
    size_bytes: int
    """The nccl-tests size (model.collective), rounded down to what n ranks of this dtype can share."""
    dtype: str
    op: str | None
    root: int
    in_place: bool
    rank: int
    ranks: int
    seed: int
    send: Buffer
    receive: Buffer

    @property
    def chunk_bytes(self) -> int:
        """One rank's share of a chunked collective, else the whole size."""
        return self.size_bytes // self.ranks if self.shape.chunked else self.size_bytes

    @property
    def count(self) -> int:
        """Elements of one chunk."""
        return self.chunk_bytes // DTYPE_BYTES[self.dtype]

    @property
    def chunk_words(self) -> int:
        """8-byte pattern words of one chunk, the last one possibly cut."""
        return -(-self.chunk_bytes // 8)


def usable_size(shape: CollectiveShape, size_bytes: int, dtype: str, ranks: int) -> int:
    """Return the size rounded down to whole elements (for each rank, where the size is shared); 0 if none is left."""
    unit = DTYPE_BYTES[dtype] * (ranks if shape.chunked else 1)
    return size_bytes // unit * unit


def as_collective(call: GroupCall) -> Collective:
    """Return the transport's view of the call."""
    # Only the root of a reduce may pass MPI_IN_PLACE; the others send from their buffer as always.
    in_place = call.in_place and (call.shape.id != "reduce" or call.rank == call.root)
    return Collective(
        shape=call.shape,
        send_address=call.send.address,
        receive_address=call.receive.address,
        send_count=call.count,
        receive_count=call.count,
        dtype=call.dtype,
        op=call.op if call.shape.reduces else None,
        root=call.root,
        in_place=in_place,
    )


def fill(call: GroupCall, iteration: int) -> None:
    """Write this rank's input, and poison what it expects to receive."""
    call.receive.poison()
    if call.shape.id == "barrier":
        return
    if call.shape.reduces:
        _fill_reduction(call, iteration)
    elif call.shape.id == "alltoall":
        for receiver in range(call.ranks):
            _fill_chunk(call, _source(call), iteration, receiver, at_chunk=receiver)
    elif call.shape.id == "allgather":
        _fill_chunk(call, _source(call), iteration, 0, at_chunk=call.rank if call.in_place else 0)
    elif call.shape.id == "broadcast":
        if call.rank == call.root:
            _fill_chunk(call, call.receive, iteration, 0, at_chunk=0)
    else:
        _fill_chunk(call, call.send, iteration, 0, at_chunk=0)


def compare(call: GroupCall, iteration: int) -> Mismatch | None:
    """Compare what this rank received; None when every byte is right, or when it receives nothing."""
    if call.shape.id == "barrier":
        return None
    if call.shape.reduces:
        return _compare_reduction(call, iteration)
    if call.shape.id in ("allgather", "alltoall"):
        mine = call.rank if call.shape.id == "alltoall" else 0
        found = [_compare_chunk(call, iteration, sender, mine, at_chunk=sender) for sender in range(call.ranks)]
        return _first([mismatch for mismatch in found if mismatch is not None])
    sender = call.root if call.shape.id == "broadcast" else (call.rank - 1) % call.ranks
    return _compare_chunk(call, iteration, sender, 0, at_chunk=0)


def _source(call: GroupCall) -> Buffer:
    return call.receive if call.in_place else call.send


def _fill_reduction(call: GroupCall, iteration: int) -> None:
    assert call.op is not None
    into_receive = call.in_place and (call.shape.id != "reduce" or call.rank == call.root)
    (call.receive if into_receive else call.send).fill_contribution(
        dtype=call.dtype,
        op=call.op,
        seed=call.seed,
        rank=call.rank,
        iteration=iteration,
        ranks=call.ranks,
        count=call.count * (call.ranks if call.shape.chunked else 1),
    )


def _compare_reduction(call: GroupCall, iteration: int) -> Mismatch | None:
    assert call.op is not None
    if call.shape.id == "reduce" and call.rank != call.root:
        return None
    return call.receive.verify_reduction(
        dtype=call.dtype,
        op=call.op,
        seed=call.seed,
        iteration=iteration,
        ranks=call.ranks,
        count=call.count,
        first_element=call.count * call.rank if call.shape.chunked else 0,
    )


def _fill_chunk(call: GroupCall, buffer: Buffer, iteration: int, receiver: int, *, at_chunk: int) -> None:
    buffer.fill_pattern(
        seed=call.seed,
        rank=call.rank,
        iteration=iteration,
        offset_bytes=at_chunk * call.chunk_bytes,
        size_bytes=call.chunk_bytes,
        first_word=receiver * call.chunk_words,
    )


def _compare_chunk(call: GroupCall, iteration: int, sender: int, receiver: int, *, at_chunk: int) -> Mismatch | None:
    offset_bytes = at_chunk * call.chunk_bytes
    mismatch = call.receive.verify_pattern(
        seed=call.seed,
        rank=sender,
        iteration=iteration,
        offset_bytes=offset_bytes,
        size_bytes=call.chunk_bytes,
        first_word=receiver * call.chunk_words,
    )
    if mismatch is None:
        return None
    return Mismatch(
        first_offset_bytes=offset_bytes + mismatch.first_offset_bytes,
        wrong_bytes=mismatch.wrong_bytes,
        bit_counts=mismatch.bit_counts,
    )


def _first(found: list[Mismatch]) -> Mismatch | None:
    if not found:
        return None
    return Mismatch(
        first_offset_bytes=min(mismatch.first_offset_bytes for mismatch in found),
        wrong_bytes=sum(mismatch.wrong_bytes for mismatch in found),
        bit_counts=tuple(map(sum, zip(*(mismatch.bit_counts for mismatch in found), strict=True))),
    )
