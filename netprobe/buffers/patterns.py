"""What kernels/host/pattern.c and reduce.c write and expect, in NumPy: the oracle of the tests, not meant to be fast.

The two are written apart on purpose. The native code works on whole words and computes a result from the few active
ranks; here every rank's values are made and really reduced. kernels/host explains the patterns and the value ranges.
"""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from netprobe.contracts import Mismatch
from netprobe.model.plan import DTYPE_BYTES

Bytes = NDArray[np.uint8]
Words = NDArray[np.uint64]

GOLDEN: Final = 0x9E3779B97F4A7C15
WORD_MASK: Final = (1 << 64) - 1
WORD_BYTES: Final = 8
BLOCK_BYTES: Final = 64
MOST_ACTIVE: Final = 3
LARGEST_EXACT: Final = {
    "int8": 2**7 - 1, "uint8": 2**8 - 1, "int32": 2**31 - 1, "uint32": 2**32 - 1, "int64": 2**63 - 1,
    "uint64": 2**64 - 1, "float16": 2**11, "bfloat16": 2**8, "float32": 2**24, "float64": 2**53,
}  # fmt: skip
REDUCERS: Final = {"sum": np.add, "prod": np.multiply, "max": np.maximum, "min": np.minimum}


def pattern_words(*, seed: int, rank: int, iteration: int, first_word: int, count: int) -> Words:
    """Return words ``first_word``... of the pattern; shape (count,)."""
    index = np.arange(count, dtype=np.uint64) + _word(first_word)
    x = _word(_base(seed, rank, iteration)) + index * _word(GOLDEN)
    x = (x ^ (x >> _word(32))) * _word(0xD6E8FEB86659FD93)
    words: Words = x ^ (x >> _word(32))
    return words


def pattern_bytes(*, seed: int, rank: int, iteration: int, first_word: int, size_bytes: int) -> Bytes:
    """Return the pattern as it lies in memory; a last incomplete word gives its low bytes."""
    count = -(-size_bytes // WORD_BYTES)
    words = pattern_words(seed=seed, rank=rank, iteration=iteration, first_word=first_word, count=count)
    return words.astype("<u8").view(np.uint8)[:size_bytes]


def mismatch(found: Bytes, expected: Bytes, *, offset_bytes: int = 0, lane_bytes: int = WORD_BYTES) -> Mismatch | None:
    """Compare a slice that starts ``offset_bytes`` into its stream; bits are counted by lane of ``lane_bytes``."""
    differing = found ^ expected
    (places,) = np.nonzero(differing)
    if places.size == 0:
        return None
    flips = np.unpackbits(differing[places, np.newaxis], axis=1, bitorder="little")
    counts = np.zeros((lane_bytes, 8), dtype=np.int64)
    np.add.at(counts, (offset_bytes + places) % lane_bytes, flips)
    return Mismatch(
        first_offset_bytes=int(places[0]), wrong_bytes=int(places.size), bit_counts=tuple(counts.ravel().tolist())
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Reduction:
    """One reduction over ``ranks`` ranks; elements of bfloat16 are given as the uint16 that hold them."""

    dtype: str
    op: str
    seed: int
    iteration: int
    ranks: int

    def contribution(self, rank: int, count: int) -> NDArray[Any]:
        """Return what a rank adds; shape (count,)."""
        return _encoded(self._values(rank, count), self.dtype)

    def result(self, count: int) -> NDArray[Any]:
        """Return the reduction of all ranks' contributions; shape (count,)."""
        total = REDUCERS[self.op].reduce([self._values(rank, count) for rank in range(self.ranks)])
        return _encoded(total, self.dtype)

    @property
    def active(self) -> int:
        """Ranks that give more than the others in each block."""
        return min(self.ranks, MOST_ACTIVE)

    def _values(self, rank: int, count: int) -> Words:
        """Return a rank's contribution as exact integers."""
        bits, for_active, for_other = self.value_range()
        lane_bytes = DTYPE_BYTES[self.dtype]
        pattern = pattern_bytes(
            seed=self.seed, rank=rank, iteration=self.iteration, first_word=0, size_bytes=count * lane_bytes
        )
        values = (pattern.view(f"<u{lane_bytes}").astype(np.uint64) & _word(2**bits - 1)) + _word(for_active)
        block = np.arange(count) * lane_bytes // BLOCK_BYTES
        first_active = _base(self.seed, self.ranks, self.iteration) % self.ranks
        after_leader = (rank - first_active - block * self.active) % self.ranks
        return np.where(after_leader < self.active, values, _word(for_other))

    def value_range(self) -> tuple[int, int, int]:
        """Return the bits of an active rank's pattern, what is added to it, and what the other ranks give."""
        largest = LARGEST_EXACT[self.dtype]
        all_bits = largest.bit_length() - 1
        match self.op:
            case "sum":
                roll = 1 if 2 * self.ranks <= largest else 0
                return ((largest - roll * self.ranks) // self.active).bit_length() - 1, roll, roll
            case "prod":
                return all_bits // MOST_ACTIVE, 1, 1
            case "max":
                return all_bits, 0, 0
        return all_bits, 0, 2**all_bits


def accumulated(target: NDArray[Any], source: NDArray[Any], dtype: str, op: str) -> NDArray[Any]:
    """Return a step of a ring: elements reduced into others by sum, max or min, each result rounded once.

    Elements of bfloat16 are given as the uint16 that hold them. Sums of integers wrap round.
    """
    if dtype != "bfloat16":
        reduced: NDArray[Any] = REDUCERS[op](target, source)
        return reduced.astype(target.dtype)
    one, other = ((each.astype(np.uint32) << np.uint32(16)).view(np.float32) for each in (target, source))
    bits = REDUCERS[op](one, other).view(np.uint32)
    to_even = np.uint32(0x7FFF) + (bits >> np.uint32(16) & np.uint32(1))
    rounded: NDArray[Any] = ((bits + to_even) >> np.uint32(16)).astype(np.uint16)
    return rounded


def spun(seed: int, steps: int) -> int:
    """Return what so many steps of Knuth's MMIX generator make of a seed."""
    x = _cut(seed)
    for _ in range(steps):
        x = _cut(x * 6364136223846793005 + 1442695040888963407)
    return x


def _encoded(values: Words, dtype: str) -> NDArray[Any]:
    if dtype == "bfloat16":
        bits: NDArray[np.uint32] = values.astype(np.float32).view(np.uint32) >> np.uint32(16)
        return bits.astype(np.uint16)
    return values.astype(dtype)


def _base(seed: int, rank: int, iteration: int) -> int:
    of_iteration = _mix_strongly(_mix_strongly(seed + GOLDEN) + iteration)
    return _mix_strongly(of_iteration + (rank + 1) * GOLDEN)


def _mix_strongly(x: int) -> int:
    x = _cut(x)
    x = _cut((x ^ (x >> 30)) * 0xBF58476D1CE4E5B9)
    x = _cut((x ^ (x >> 27)) * 0x94D049BB133111EB)
    return x ^ (x >> 31)


def _cut(x: int) -> int:
    return x & WORD_MASK


def _word(x: int) -> np.uint64:
    return np.uint64(_cut(x))
