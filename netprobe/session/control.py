"""Agreement between MPI ranks, on a communicator of its own so that it never meets the bytes under test."""

import time
from collections.abc import Callable, Iterator
from typing import Any, Final, TypeVar

import numpy as np
from numpy.typing import NDArray

from netprobe.store.batches import payloads_of, up_the_tree

T = TypeVar("T")

BATCH_TAG: Final = 1  # swaps have 0
SPIN_S: Final = 1e-3  # longer than a swap takes where the peer is ready
NAP_RATIO: Final = 0.1  # of the wait so far, and so the most that naps add to it
LONGEST_NAP_S: Final = 2e-2


def uncounted() -> None:
    """Count nothing."""


class MpiControl:
    """contracts.Control over mpi4py; all ranks of ``comm`` construct it; ``step`` is called before each call."""

    def __init__(self, mpi: Any, comm: Any, step: Callable[[], None] = uncounted) -> None:  # noqa: ANN401 - mpi4py has no types
        self._step = step
        self._mpi = mpi
        self._comm = comm
        self.rank: int = comm.Get_rank()
        self.size: int = comm.Get_size()

    def barrier(self) -> None:
        """See contracts.Control."""
        self._step()
        self._comm.Barrier()

    def gather(self, value: T) -> list[T] | None:
        """See contracts.Control."""
        self._step()
        values: list[T] | None = self._comm.gather(value, root=0)
        return values

    def collect(self, payload: bytes) -> Iterator[bytes] | None:
        """See contracts.Control."""
        self._step()
        byte = self._mpi.BYTE

        def send(rank: int, batch: bytes) -> None:
            self._comm.Send([batch, byte], dest=rank, tag=BATCH_TAG)

        def receive(rank: int) -> bytearray:
            status = self._mpi.Status()
            self._comm.Probe(source=rank, tag=BATCH_TAG, status=status)
            batch = bytearray(status.Get_count(byte))
            self._comm.Recv([batch, byte], source=rank, tag=BATCH_TAG)
            return batch

        batch = up_the_tree(self.rank, self.size, payload, send=send, receive=receive)
        return None if batch is None else payloads_of(batch)

    def broadcast(self, value: T) -> T:
        """See contracts.Control."""
        self._step()
        received: T = self._comm.bcast(value, root=0)
        return received

    def allgather(self, value: T) -> list[T]:
        """See contracts.Control."""
        self._step()
        values: list[T] = self._comm.allgather(value)
        return values

    def maximum(self, values: NDArray[np.int64]) -> NDArray[np.int64]:
        """See contracts.Control."""
        return self._reduced(values, self._mpi.MAX)

    def minimum(self, values: NDArray[np.int64]) -> NDArray[np.int64]:
        """See contracts.Control."""
        return self._reduced(values, self._mpi.MIN)

    def swap(self, peer: int, value: T) -> T:
        """See contracts.Control."""
        self._step()
        sending = self._comm.isend(value, dest=peer)
        self._await_message(peer)
        theirs: T = self._comm.recv(source=peer)
        sending.wait()
        return theirs

    def _await_message(self, peer: int) -> None:
        """Wait without holding a core: whoever only receives may wait for a whole series, in which others need it."""
        began = time.monotonic()
        while not self._comm.iprobe(source=peer):
            waited_s = time.monotonic() - began
            time.sleep(min(NAP_RATIO * waited_s, LONGEST_NAP_S) if waited_s > SPIN_S else 0)

    def _reduced(self, values: NDArray[np.int64], operator: Any) -> NDArray[np.int64]:  # noqa: ANN401
        self._step()
        result = np.empty_like(values)
        self._comm.Allreduce(np.ascontiguousarray(values), result, op=operator)
        return result
