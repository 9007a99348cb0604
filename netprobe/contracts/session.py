"""What ranks agree by, where they note where they are, and who takes what they measured."""

from collections.abc import Iterator
from typing import Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from netprobe.model.record import Record

T = TypeVar("T")


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
