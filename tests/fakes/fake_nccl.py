"""NCCL between threads that are ranks: nothing moves before a stream is synchronised, then host memory really does.

What a rank puts onto its stream waits there, as on a GPU; captured work is kept and launched as a whole; an abort ends
what waits for a peer that never comes, without an error of the stream, as kernels of NCCL do.
"""

import ctypes
import itertools
import os
import threading
import time
import weakref
from collections import defaultdict
from contextlib import contextmanager
from queue import Empty, SimpleQueue

import numpy as np
from nccl_logs import rank_log, tuning

from netprobe.model.plan import DTYPE_BYTES
from netprobe.transports._nccl_engine import Broken
from netprobe.transports.loopback import REDUCERS

POLL_S = 0.002


class FakeWorld:
    """What the ranks share, and what is wrong with it."""

    def __init__(self, *, captures=True, records_in_graphs=True, errors=None, gpus=None, log=rank_log, refusals=None):
        self.captures = captures
        self.records_in_graphs = records_in_graphs
        self.errors = {} if errors is None else errors
        """What ranks are told by NCCL, by rank; may be set while it runs."""
        self.gpus = {} if gpus is None else gpus
        """Addresses of GPUs by ordinal, where they are not made up."""
        self.refusals = {} if refusals is None else refusals
        """What opening a GPU raises, by ordinal."""
        self.silent = set()
        """Ranks from which nothing arrives."""
        self.log = log
        self.settings = []
        self.aborted = []
        self.destroyed = []
        self.meetings = threading.Lock()
        self._boxes = defaultdict(SimpleQueue)
        self._lock = threading.Lock()

    def opens(self, ordinal, settings):
        """Open a GPU; see _nccl_engine.OpenLibrary."""
        self.settings.append(dict(settings))
        if ordinal in self.refusals:
            raise self.refusals[ordinal]
        return FakeNccl(self, ordinal, settings)

    def box(self, *key):
        with self._lock:
            return self._boxes[key]


class FakeEvent:
    def __init__(self):
        self.at_ns = None


class FakeGraph:
    def __init__(self, stream, work):
        self._stream = stream
        self._work = work

    def launch(self):
        self._stream.put(lambda: [each() for each in self._work])


class FakeStream:
    def __init__(self, world):
        self._world = world
        self._pending = []
        self._captured = None
        self.launches = 0

    def put(self, work):
        """Keep work until it is waited for, or captured."""
        if self._captured is None:
            self.launches += 1
            self._pending.append(work)
        else:
            self._captured.append(work)

    def record(self, event):
        is_lost = self._captured is not None and not self._world.records_in_graphs

        def note():
            event.at_ns = None if is_lost else time.monotonic_ns()

        self.put(note)

    def copy(self, target, source, size_bytes):
        self.put(lambda: ctypes.memmove(target, source, size_bytes))

    def synchronize(self):
        try:
            while self._pending:
                self._pending.pop(0)()
        except _Aborted:
            self._pending.clear()

    def begin_capture(self):
        self._captured = []

    def end_capture(self):
        captured, self._captured = self._captured, None
        if not self._world.captures:
            raise Broken("cudaStreamEndCapture", "operation not permitted when stream is capturing")
        return FakeGraph(self, captured)


class _Aborted(Exception):
    pass


class FakeNccl:
    """_nccl_engine.NcclLibrary."""

    def __init__(self, world, ordinal, settings):
        self.world = world
        self.description = "NCCL 2.21.5"
        self.gpu_pci = world.gpus.get(ordinal, f"0000:{0x18 + ordinal:02x}:00.0")
        self._settings = settings
        self._stream = FakeStream(world)
        self._memory = []
        self._group = None
        self._log = None

    def unique_id(self):
        return b"\x17" * 128

    def communicator(self, ranks, identity, rank):
        assert identity == b"\x17" * 128
        path = self._settings.get("NCCL_DEBUG_FILE")
        if path is not None:
            # As NCCL: opened by its name once, and kept open.
            self._log = os.open(path, os.O_WRONLY | os.O_TRUNC | os.O_CREAT)
            weakref.finalize(self, os.close, self._log)
            os.write(self._log, self.world.log("elsewhere", rank, ranks=ranks).encode())
        return FakeCommunicator(self, ranks, rank)

    def tell(self, line):
        """Log what a call that is put onto the stream takes, where the log was asked for that."""
        if self._log is not None and "TUNING" in self._settings.get("NCCL_DEBUG_SUBSYS", ""):
            os.write(self._log, line.encode())

    @contextmanager
    def group(self):
        self._group = []
        try:
            yield
        finally:
            group, self._group = self._group, None
            sends = [work for is_send, work in group if is_send]
            receives = [work for is_send, work in group if not is_send]
            self._stream.put(lambda: [work() for work in (*sends, *receives)])

    def put(self, work, *, is_send=False):
        if self._group is None:
            self._stream.put(work)
        else:
            self._group.append((is_send, work))

    def stream(self):
        return self._stream

    def event(self):
        return FakeEvent()

    def elapsed_ns(self, earlier, later):
        if earlier.at_ns is None or later.at_ns is None:
            raise Broken("elapsed", "cudaErrorInvalidValue: invalid argument")
        return later.at_ns - earlier.at_ns

    def scratch(self, size_bytes):
        memory = np.zeros(size_bytes, dtype=np.uint8)
        self._memory.append(memory)
        return memory.ctypes.data

    def lacks(self, dtype, op):
        return "NumPy, which reduces here, has no bfloat16" if dtype == "bfloat16" and op is not None else None


class FakeCommunicator:
    """_nccl_engine.Communicator."""

    def __init__(self, library, ranks, rank):
        self._library = library
        self._world = library.world
        self._ranks = ranks
        self._rank = rank
        self._numbers = itertools.count()
        self._is_aborted = False

    def all_reduce(self, send, receive, count, dtype, op):
        size_bytes = count * DTYPE_BYTES[dtype]
        if self._rank == 0:
            self._library.tell(tuning("elsewhere", size_bytes))
        self._together(send, size_bytes, lambda told: _write(receive, _reduced(told, dtype, op)))

    def all_gather(self, send, receive, count, dtype):
        self._together(send, count * DTYPE_BYTES[dtype], lambda told: _write(receive, b"".join(told)))

    def reduce_scatter(self, send, receive, count, dtype, op):
        size_bytes = count * DTYPE_BYTES[dtype]
        mine = slice(self._rank * size_bytes, (self._rank + 1) * size_bytes)
        self._together(
            send,
            size_bytes * self._ranks,
            lambda told: _write(receive, _reduced([each[mine] for each in told], dtype, op)),
        )

    def broadcast(self, send, receive, count, dtype, root):
        self._together(send, count * DTYPE_BYTES[dtype], lambda told: _write(receive, told[root]))

    def reduce(self, send, receive, count, dtype, op, root):
        def at_root(told):
            if self._rank == root:
                _write(receive, _reduced(told, dtype, op))

        self._together(send, count * DTYPE_BYTES[dtype], at_root)

    def send(self, address, count, dtype, peer):
        size_bytes = count * DTYPE_BYTES[dtype]
        self._library.put(lambda: self._post("p2p", peer, ctypes.string_at(address, size_bytes)), is_send=True)

    def receive(self, address, count, dtype, peer):
        size_bytes = count * DTYPE_BYTES[dtype]

        def fetch():
            told = self._fetch("p2p", peer)
            assert len(told) == size_bytes
            _write(address, told)

        self._library.put(fetch)

    def async_error(self):
        return self._world.errors.get(self._rank)

    def abort(self):
        self._is_aborted = True
        self._world.aborted.append(self._rank)

    def destroy(self):
        assert not self._is_aborted
        self._world.destroyed.append(self._rank)

    def _together(self, address, size_bytes, finish):
        assert self._library._group is None

        def exchange():
            own = ctypes.string_at(address, size_bytes)
            for peer in range(self._ranks):
                self._post("all", peer, own)
            finish([self._fetch("all", peer) for peer in range(self._ranks)])

        self._library.put(exchange)

    def _post(self, kind, peer, payload):
        if self._rank not in self._world.silent:
            self._world.box(kind, self._rank, peer).put(payload)

    def _fetch(self, kind, peer):
        box = self._world.box(kind, peer, self._rank)
        while not self._is_aborted:
            try:
                return box.get(timeout=POLL_S)
            except Empty:
                continue
        raise _Aborted


def _write(address, payload):
    ctypes.memmove(address, payload, len(payload))


def _reduced(told, dtype, op):
    with np.errstate(over="ignore", invalid="ignore"):
        return REDUCERS[op].reduce([np.frombuffer(each, dtype=dtype) for each in told], dtype=dtype).tobytes()
