"""How a buffer is cut for a ring all-reduce: a chunk for each rank, and pieces that go on one after the other.

kernels/host/ring.c cuts in the same way.
"""

from dataclasses import dataclass
from typing import Final

from netprobe.model.plan import DTYPE_BYTES

PIECE_BYTES: Final = 512 << 10
"""Small enough to be reduced out of the second-level cache, large enough to hide what a message costs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RingCut:
    """A buffer of ``count`` elements on a ring of ``ranks`` ranks, two or more."""

    count: int
    ranks: int
    dtype: str

    @property
    def piece_count(self) -> int:
        """Elements of a whole piece."""
        return PIECE_BYTES // DTYPE_BYTES[self.dtype]

    @property
    def pieces(self) -> int:
        """Messages that a chunk is cut into: of the largest chunk, so that all agree; the last may be empty."""
        return max(-(-self.span(0)[1] // self.piece_count), 1)

    @property
    def messages(self) -> int:
        """Messages that each rank sends, and receives, in one all-reduce."""
        return 2 * (self.ranks - 1) * self.pieces

    def span(self, chunk: int) -> tuple[int, int]:
        """Return the first element of a chunk and how many it has; the first chunks have one more than the last."""
        whole, larger = divmod(self.count, self.ranks)
        return chunk * whole + min(chunk, larger), whole + (chunk < larger)

    def piece(self, rank: int, message: int) -> tuple[int, int]:
        """Return first element and number of the ``message``-th that ``rank`` sends; it receives its predecessor's."""
        start, length = self.span((rank - message // self.pieces) % self.ranks)
        offset = min(message % self.pieces * self.piece_count, length)
        return start + offset, min(length - offset, self.piece_count)

    def hop_bytes(self, rank: int) -> int:
        """Return what ``rank`` receives in one all-reduce, in bytes: two chunks are its own to begin or end with."""
        kept = self.span(rank)[1] + self.span((rank + 1) % self.ranks)[1]
        return (2 * self.count - kept) * DTYPE_BYTES[self.dtype]
