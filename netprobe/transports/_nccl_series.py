"""Time a series on a GPU: an event after each iteration, all of a batch launched at once as a CUDA graph; or one event
before all and one after.

Python enqueues nothing while a batch runs: its launches take longer than a small message does. Before each batch the
ranks meet on the stream, untimed, so that the first iteration does not contain how late the others were launched.

Stamps are ns of the host's clock, read when the first batch had been waited for, less what the GPU says that the batch
took: as a moment it is late by the waking up of a thread. Later batches follow on without the time between
them: differences are the GPU's, whose events tell about half a microsecond apart.
"""

import time
from collections.abc import Callable, Hashable
from contextlib import suppress
from functools import partial
from typing import Final

import numpy as np

from netprobe.contracts import Stamps
from netprobe.transports._nccl_engine import Broken, Event, Graph, NcclLibrary, Stream

BATCH: Final = 128  # iterations in a graph: enough that meeting before each costs little, few enough to capture soon
BATCH_BYTES: Final = 4 << 30  # what takes longer need not be launched ahead of
MOST_GRAPHS: Final = 8
UNDIVIDED: Final = "undivided"

Work = Callable[[], None]


class GpuSeries:
    """Runs series on one stream; all ranks that take part run the same."""

    def __init__(
        self, library: NcclLibrary, stream: Stream, *, moved: Work, clock: Callable[[], int] = time.monotonic_ns
    ) -> None:
        self._library = library
        self._stream = stream
        self._moved = moved
        self._clock = clock
        self._events: list[Event] = []
        self._graphs: dict[Hashable, Graph] = {}
        self.no_graphs: str | None = None
        """Why work is launched piece by piece, by Python; None where graphs do."""

    def run(self, key: Hashable, iterations: int, size_bytes: int, meet: Work, operation: Work) -> Stamps:
        """Run an operation so many times and return its stamps; ``key`` names it, with all of its addresses."""
        durations = np.zeros(iterations, dtype=np.int64)
        ended_ns, first, start = 0, 0, 0
        while start < iterations:
            count = min(batch_of(size_bytes), iterations - start)
            self._launch((key, count), count, partial(self._enqueue, count, meet, operation), may_capture=count > 1)
            self._stream.synchronize()
            if not start:
                ended_ns, first = self._clock(), count
            self._moved()
            durations[start : start + count] = self._durations(count)
            start += count
        began_ns = ended_ns - int(durations[:first].sum())
        return np.concatenate([[began_ns], began_ns + np.cumsum(durations)]).astype(np.int64)

    def run_undivided(self, key: Hashable, iterations: int, size_bytes: int, meet: Work, operation: Work) -> Stamps:  # noqa: ARG002 - as of ``run``
        """Run an operation so many times with no event between, as one graph; return two stamps: before and after."""

        def enqueue() -> None:
            meet()
            self._stream.record(self._events[0])
            for _ in range(iterations):
                operation()
            self._stream.record(self._events[1])

        self._launch((key, iterations, UNDIVIDED), 1, enqueue, may_capture=iterations > 1)
        self._stream.synchronize()
        ended_ns = self._clock()
        self._moved()
        (elapsed_ns,) = self._durations(1)
        return np.array([ended_ns - elapsed_ns, ended_ns], dtype=np.int64)

    def once(self, work: Work) -> None:
        """Do something untimed, and wait for it."""
        work()
        self._stream.synchronize()
        self._moved()

    def forget_graphs(self, reason: str) -> None:
        """From now on, launch piece by piece."""
        self.no_graphs = reason
        self._graphs.clear()

    def _durations(self, count: int) -> list[int]:
        events = self._events
        return [self._library.elapsed_ns(events[index], events[index + 1]) for index in range(count)]

    def _launch(self, key: Hashable, spans: int, enqueue: Work, *, may_capture: bool) -> None:
        """Put work with so many spans between events onto the stream, as a graph where that can be."""
        while len(self._events) <= spans:
            self._events.append(self._library.event())
        # One iteration alone has nothing to be launched ahead of; and it is what connects the ranks, not in a capture.
        if not may_capture or self.no_graphs is not None:
            enqueue()
            return
        if key not in self._graphs:
            graph = self._capture(enqueue)
            if graph is None:
                enqueue()
                return
            if len(self._graphs) >= MOST_GRAPHS:
                self._graphs.clear()
            self._graphs[key] = graph
        self._graphs[key].launch()

    def _enqueue(self, count: int, meet: Work, operation: Work) -> None:
        meet()
        self._stream.record(self._events[0])
        for index in range(count):
            operation()
            self._stream.record(self._events[index + 1])

    def _capture(self, work: Work) -> Graph | None:
        """Return the work as a graph; None where it cannot be captured: then nothing of it has been done."""
        try:
            self._stream.begin_capture()
            try:
                work()
            except Broken:
                with suppress(Broken):
                    self._stream.end_capture()
                raise
            return self._stream.end_capture()
        except Broken as broken:
            self.forget_graphs(str(broken))
            return None


def batch_of(size_bytes: int) -> int:
    """Return how many iterations are launched at once; the same on all ranks, whatever they have measured."""
    return max(1, min(BATCH, BATCH_BYTES // max(size_bytes, 1)))
