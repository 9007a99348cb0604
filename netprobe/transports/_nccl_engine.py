"""What the NCCL transport needs of a GPU and of NCCL: implemented over CuPy, and by a fake that moves host memory.

Everything is put onto one stream and happens later: nothing has been moved until the stream was synchronised. Whatever
fails raises Broken; only ``UnavailableError`` says that there is nothing to begin with.
"""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from typing import Protocol

LIBRARY = "libnccl.so.2"
Identity = bytes | tuple[int, ...]
"""Of a communicator; CuPy gives numbers up to version 13."""


class Broken(Exception):
    """A call of CUDA or NCCL failed; the words are the library's own."""

    def __init__(self, call: str, words: str) -> None:
        super().__init__(f"{call}: {words}")
        self.call = call
        self.words = words


class Event(Protocol):
    """A moment on a stream."""


class Graph(Protocol):
    """Work that was captured, and is launched as a whole."""

    def launch(self) -> None:
        """Put all of it onto the stream that captured it."""
        ...


class Stream(Protocol):
    """Work of one GPU, in order."""

    def record(self, event: Event) -> None:
        """Note the moment at which everything before is done; in a capture, whenever the graph passes there."""
        ...

    def copy(self, target: int, source: int, size_bytes: int) -> None:
        """Copy within the memory of the GPU."""
        ...

    def synchronize(self) -> None:
        """Wait until everything is done, off the GIL."""
        ...

    def begin_capture(self) -> None:
        """From now on, keep work instead of doing it."""
        ...

    def end_capture(self) -> Graph:
        """Return what was kept; Broken where something of it cannot be kept."""
        ...


class Communicator(Protocol):
    """NCCL between all ranks; counts are elements, addresses memory of this rank's GPU, all on one stream."""

    def all_reduce(self, send: int, receive: int, count: int, dtype: str, op: str) -> None:
        """Reduce over all ranks, to all."""
        ...

    def all_gather(self, send: int, receive: int, count: int, dtype: str) -> None:
        """Gather ``count`` elements of each rank; in place where ``send`` is this rank's part of ``receive``."""
        ...

    def reduce_scatter(self, send: int, receive: int, count: int, dtype: str, op: str) -> None:
        """Reduce, ``count`` elements to each rank; in place where ``receive`` is this rank's part of ``send``."""
        ...

    def broadcast(self, send: int, receive: int, count: int, dtype: str, root: int) -> None:
        """Send the root's elements to all."""
        ...

    def reduce(self, send: int, receive: int, count: int, dtype: str, op: str, root: int) -> None:
        """Reduce over all ranks, to the root."""
        ...

    def send(self, address: int, count: int, dtype: str, peer: int) -> None:
        """Send to one rank."""
        ...

    def receive(self, address: int, count: int, dtype: str, peer: int) -> None:
        """Receive from one rank."""
        ...

    def async_error(self) -> str | None:
        """Return what went wrong meanwhile, in NCCL's words; from any thread."""
        ...

    def abort(self) -> None:
        """End everything that is under way, from any thread; nothing else may be called afterwards, on any rank."""
        ...

    def destroy(self) -> None:
        """Give everything back, in peace."""
        ...


class NcclLibrary(Protocol):
    """NCCL and the one GPU that this rank uses."""

    description: str
    """``NCCL 2.21.5``."""
    gpu_pci: str
    """As in ``0000:18:00.0``."""

    def unique_id(self) -> Identity:
        """Return what all ranks of a communicator need to find each other."""
        ...

    def communicator(self, ranks: int, identity: Identity, rank: int) -> Communicator:
        """Meet the others; returns when all have come, or never: call it where that can be waited for."""
        ...

    def group(self) -> AbstractContextManager[None]:
        """Start the calls within at once, when the last has been made."""
        ...

    def stream(self) -> Stream:
        """Return the stream on which communicators work."""
        ...

    def event(self) -> Event:
        """Make an event."""
        ...

    def elapsed_ns(self, earlier: Event, later: Event) -> int:
        """Return the time between two events that have happened; Broken where they have not."""
        ...

    def scratch(self, size_bytes: int) -> int:
        """Return the address of so much memory of the GPU, which stays until the end; not within a capture."""
        ...

    def lacks(self, dtype: str, op: str | None) -> str | None:
        """Return why this NCCL cannot carry a type, or reduce it so; None where it can."""
        ...


OpenLibrary = Callable[[int, Mapping[str, str]], NcclLibrary]
"""Open NCCL on a GPU, by CUDA's number, with these variables in its environment; UnavailableError where it cannot."""


def open_library(ordinal: int, settings: Mapping[str, str]) -> NcclLibrary:
    """Open NCCL over CuPy; see OpenLibrary."""
    from netprobe.transports._nccl_cupy import open_cupy_nccl

    return open_cupy_nccl(ordinal, settings)
