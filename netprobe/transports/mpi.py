"""MPI between ranks: the loops are native, and reach the MPI library that mpi4py has loaded by function address.

Why not mpi4py's own calls in a Python loop: they add 0.2 to 0.3 µs to every message, which doubles the latency of a
shared-memory ping-pong. Why not link the extension against MPI: one wheel then serves every MPI.
"""

import ctypes
import os
from collections.abc import Callable, MutableMapping, Sequence
from typing import Any, Final

import numpy as np

from netprobe import _native
from netprobe.buffers.rings import RingCut
from netprobe.contracts import Buffer, BurstSteps, Collective, FlowLoad, RingTrace, Stamps, StepPace, most_stamps
from netprobe.environment import launch_settings
from netprobe.errors import GpuError, TransportError, UnavailableError
from netprobe.model.collective import TRACED_RING
from netprobe.model.plan import DTYPE_BYTES, Stage

FUNCTIONS: Final = (
    "Send", "Recv", "Isend", "Irecv", "Waitall", "Testall", "Barrier", "Allreduce", "Allgather",
    "Reduce_scatter_block", "Alltoall", "Bcast", "Reduce",
)  # fmt: skip
LOCAL_SIZES: Final = ("MPI_LOCALNRANKS", "OMPI_COMM_WORLD_LOCAL_SIZE", "SLURM_NTASKS_PER_NODE")
DATA_TAG: Final = 17  # any tag will do on a communicator of our own
LARGEST_COUNT: Final = 2**31 - 1  # MPI counts are C ints
RING_WINDOW: Final = 4  # receives of a ring that are posted ahead of the one that is reduced
CARRIED_BY: Final = {
    "int8": "INT8_T", "uint8": "UINT8_T", "int32": "INT32_T", "uint32": "UINT32_T", "int64": "INT64_T",
    "uint64": "UINT64_T", "float32": "FLOAT", "float64": "DOUBLE",
    "float16": "UINT16_T", "bfloat16": "UINT16_T",
}  # fmt: skip
COPY_FAILED: Final = -7001  # what kernels/host/staging.c answers instead of an MPI error
OWN_REDUCTIONS: Final = ("float16", "bfloat16")  # no MPI predefines them under one name: reduced by operators of ours


def open_mpi() -> Any:  # noqa: ANN401 - mpi4py.MPI is a module without types
    """Return mpi4py.MPI, initialised; raise UnavailableError when mpi4py or its MPI library is missing."""
    try:
        import mpi4py

        # One thread calls MPI here. The default, "multiple", makes MPICH take locks that cost 0.06 µs a message, and
        # from "funneled" on Open MPI 4.1 is slower by a sixth at 8 bytes.
        mpi4py.rc.thread_level = "single"
        _give_way_if_crowded(os.environ)
        from mpi4py import MPI
    except (ImportError, RuntimeError) as error:
        raise UnavailableError(
            f"MPI could not be loaded: {str(error).splitlines()[0]}",
            remedy="pip install 'netprobe[mpi]', or load an MPI module",
        ) from error
    return MPI


def _give_way_if_crowded(environ: MutableMapping[str, str]) -> None:
    """Let waiting ranks yield where somebody else's launcher put more of them on this host than it has CPUs."""
    local_ranks = max((int(environ[name]) for name in LOCAL_SIZES if environ.get(name, "").isdigit()), default=1)
    if local_ranks > (os.cpu_count() or local_ranks):
        environ.update(launch_settings(None, environ, oversubscribe=True))


class MpiTransport:
    """contracts.Transport over one communicator; all its ranks construct it."""

    def __init__(self, mpi: Any, comm: Any, step: Callable[[], None] = lambda: None) -> None:  # noqa: ANN401
        """Bind the native loops to the library behind ``mpi``; ``comm`` must carry nothing else meanwhile.

        ``step`` is called before each series.
        """
        self._step = step
        self._mpi = mpi
        self._comm = mpi._handleof(comm)
        self.rank: int = comm.Get_rank()
        self.size: int = comm.Get_size()
        self.description: str = short_version(mpi.Get_library_version())
        # The extension module of mpi4py depends on the MPI library, so its handle finds the library's symbols.
        self._library = ctypes.CDLL(mpi.__file__)
        is_open_mpi = "Open MPI" in self.description
        ignored = 0 if is_open_mpi else 1  # MPI_STATUS_IGNORE: a null pointer there, (MPI_Status *)1 in MPICH's family
        _native.mpi_bind(
            {name: self._address_of(name) for name in FUNCTIONS},
            request_bytes=mpi._sizeof(mpi.Request),
            status_ignore=ignored,
            statuses_ignore=ignored,
        )
        self._byte: int = mpi._handleof(mpi.BYTE)
        self._own_ops: dict[tuple[str, str], int] = {}

    def _address_of(self, name: str) -> int:
        address = ctypes.cast(getattr(self._library, f"MPI_{name}"), ctypes.c_void_p).value
        if address is None:
            raise UnavailableError(f"the MPI library has no MPI_{name}: {self.description}")
        return address

    def connect(self, stage: Stage, peer: int, buffers: Sequence[Buffer]) -> None:
        """See contracts.Transport; there is nothing to make."""

    def disconnect(self) -> None:
        """See contracts.Transport."""

    def pingpong(
        self, *, initiates: bool, peer: int, send: int, receive: int, size_bytes: int, iterations: int
    ) -> Stamps:
        """See contracts.Transport."""
        stamps = _stamps(iterations)
        count = _checked_count(size_bytes)
        with _Translated(self, peer):
            _native.pingpong(initiates, send, receive, count, self._byte, peer, DATA_TAG, self._comm, stamps)
        return stamps

    def stream(
        self,
        *,
        sends: bool,
        peer: int,
        address: int,
        size_bytes: int,
        window: int,
        iterations: int,
        stride_bytes: int = 0,
    ) -> Stamps:
        """See contracts.Transport."""
        stamps = _stamps(iterations)
        count = _checked_count(size_bytes)
        with _Translated(self, peer):
            _native.stream(
                sends, address, count, self._byte, peer, DATA_TAG, self._comm, window, stride_bytes, address, stamps
            )
        return stamps

    def exchange(
        self,
        *,
        peer: int,
        send: int,
        receive: int,
        size_bytes: int,
        window: int,
        iterations: int,
        stride_bytes: int = 0,
    ) -> Stamps:
        """See contracts.Transport."""
        stamps = _stamps(iterations)
        count = _checked_count(size_bytes)
        with _Translated(self, peer):
            _native.exchange(send, receive, count, self._byte, peer, DATA_TAG, self._comm, window, stride_bytes, stamps)
        return stamps

    def flows(self, load: FlowLoad) -> tuple[Stamps, ...]:
        """See contracts.Transport."""
        if not load.sends_to and not load.receives_from:
            return ()
        most = most_stamps(load)
        incoming = len(load.receives_from)
        stamps = np.full((max(incoming, 1), most), -1, dtype=np.int64)  # touched, as the stamps of a series
        counts = np.zeros(max(incoming, 1), dtype=np.int64)
        count = _checked_count(load.size_bytes)
        with _Translated(self, None):
            _native.flows(
                len(load.sends_to), incoming, np.array((*load.sends_to, *load.receives_from), dtype=np.int64),
                load.send, load.receive, load.size_bytes, count, self._byte, self._byte, DATA_TAG, self._comm,
                load.window, load.duration_ns, most, stamps, counts,
            )  # fmt: skip
        return tuple(row[:written].copy() for row, written in zip(stamps[:incoming], counts, strict=False))

    def flows_refused(self) -> str | None:
        """See contracts.Transport."""
        return None

    def collective(self, call: Collective, *, iterations: int) -> Stamps:
        """See contracts.Transport."""
        stamps = _stamps(iterations)
        with _Translated(self, None):
            if call.shape.id == TRACED_RING:
                _native.ring(*self._ring_arguments(call), stamps)
            else:
                _native.collective(*self._arguments(call), stamps)
        return stamps

    def aligned_collective(self, call: Collective, *, iterations: int) -> tuple[Stamps, Stamps]:
        """See contracts.Transport."""
        entries = np.zeros(iterations, dtype=np.int64)
        exits = np.zeros(iterations, dtype=np.int64)
        with _Translated(self, None):
            _native.aligned_collective(*self._arguments(call), entries, exits)
        return entries, exits

    def traced_ring(self, call: Collective, *, iterations: int) -> RingTrace:
        """See contracts.Transport."""
        shape = iterations, RingCut(count=call.send_count, ranks=self.size, dtype=call.dtype).messages
        trace = RingTrace(
            entries=np.zeros(iterations, dtype=np.int64),
            exits=np.zeros(iterations, dtype=np.int64),
            sent=np.full(shape, -1, dtype=np.int64),  # touched, as the stamps of a series
            ready=np.full(shape, -1, dtype=np.int64),
            done=np.full(shape, -1, dtype=np.int64),
        )
        with _Translated(self, None):
            _native.traced_ring(
                *self._ring_arguments(call), trace.entries, trace.exits, trace.sent, trace.ready, trace.done
            )
        return trace

    def bursts(self, call: Collective, pace: StepPace, *, steps: int) -> BurstSteps:
        """See contracts.Transport."""
        rows = np.full((steps, 5), -1, dtype=np.int64)  # touched, as the stamps of a series
        _, send, receive, count, _, datatype, op, _, comm, *_ = self._arguments(call)
        with _Translated(self, None):
            _native.bursts(
                send, receive, count, pace.buckets, DTYPE_BYTES[call.dtype], datatype, op, comm,
                pace.start_ns, pace.period_ns, pace.work, pace.work_limit_ns, pace.overlaps, rows,
            )  # fmt: skip
        began, entered, left, off_cpu_ns, computed = np.ascontiguousarray(rows.T)
        return BurstSteps(began=began, entered=entered, left=left, off_cpu_ns=off_cpu_ns, computed=computed)

    def clock_pings(self, *, serves: bool, peer: int, count: int) -> Stamps:
        """Exchange clock readings with ``peer``; return (sent, served, returned) per ping, shape (count, 3)."""
        triples = np.zeros((count, 3), dtype=np.int64)
        with _Translated(self, peer):
            _native.clock_pings(serves, peer, DATA_TAG, self._comm, self._byte, count, triples)
        return triples

    def supports(self, dtype: str, op: str | None) -> str | None:
        """See contracts.Transport; every MPI carries these types, two of them reduced by operators of ours."""
        if dtype not in CARRIED_BY:
            return f"MPI has no type for {dtype}"
        if op is not None and op not in ("sum", "prod", "max", "min"):
            return f"there is no operator {op!r}"
        return None

    def _arguments(self, call: Collective) -> tuple[str, int, int, int, int, int, int, int, int, int, int]:
        send = int(self._mpi.IN_PLACE) if call.in_place else call.send_address
        datatype = self._mpi._handleof(getattr(self._mpi, CARRIED_BY[call.dtype]))
        for count in (call.send_count, call.receive_count):
            if count > LARGEST_COUNT:
                raise TransportError(
                    f"{count} elements of {call.dtype} exceed what one MPI call counts, {LARGEST_COUNT}"
                )
        return (
            call.shape.id, send, call.receive_address, call.send_count, call.receive_count, datatype,
            self._operator(call), call.root, self._comm, self.size, self.rank,
        )  # fmt: skip

    def _ring_arguments(self, call: Collective) -> tuple[int, int, int, int, int, int, str, str, int, int, int]:
        assert call.op is not None
        cut = RingCut(count=call.send_count, ranks=self.size, dtype=call.dtype)
        datatype = self._mpi._handleof(getattr(self._mpi, CARRIED_BY[call.dtype]))
        return (
            call.send_address, call.receive_address, cut.count, cut.piece_count, RING_WINDOW, datatype,
            call.dtype, call.op, self._comm, self.size, self.rank,
        )  # fmt: skip

    def _operator(self, call: Collective) -> int:
        if call.op is None:
            return 0
        if call.dtype in OWN_REDUCTIONS:
            return self._own_operator(call.dtype, call.op)
        handle: int = self._mpi._handleof(getattr(self._mpi, call.op.upper()))
        return handle

    def _own_operator(self, dtype: str, op: str) -> int:
        if (dtype, op) not in self._own_ops:
            handle = ctypes.c_int64(0)  # wide enough for either family's handle
            commutes = ctypes.c_int(1)
            function = ctypes.c_void_p(_native.user_reduction(dtype, op))
            self._library.MPI_Op_create(function, commutes, ctypes.byref(handle))
            self._own_ops[dtype, op] = handle.value
        return self._own_ops[dtype, op]


class _Translated:
    """Turn the native loops' MpiError into a TransportError that names rank and peer."""

    def __init__(self, transport: MpiTransport, peer: int | None) -> None:
        self._transport = transport
        self._peer = peer

    def __enter__(self) -> None:
        self._transport._step()

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if not isinstance(error, _native.MpiError):
            return
        call, code, iteration = error.args
        if code == COPY_FAILED:
            raise GpuError(
                f"a copy between GPU and host failed on rank {self._transport.rank}",
                remedy="nvidia-smi, and dmesg for Xid messages",
            ) from error
        text = self._transport._mpi.Get_error_string(code)
        towards = "" if self._peer is None else f" with rank {self._peer}"
        raise TransportError(
            f"{call} failed on rank {self._transport.rank}{towards} in iteration {iteration}: {text}"
        ) from error


def short_version(library_version: str) -> str:
    """Return name and number of an MPI library, from the many words of MPI_Get_library_version."""
    first_line = library_version.replace("\x00", "").strip().partition("\n")[0]
    return " ".join(first_line.partition(",")[0].replace("Version:", "").split())


def _stamps(iterations: int) -> Stamps:
    """Return touched memory for iterations + 1 stamps: a page fault must not land in the first iterations."""
    stamps = np.empty(iterations + 1, dtype=np.int64)
    stamps.fill(-1)
    return stamps


def _checked_count(size_bytes: int) -> int:
    if size_bytes > LARGEST_COUNT:
        raise TransportError(f"a message of {size_bytes} bytes exceeds what one MPI call counts, {LARGEST_COUNT}")
    return size_bytes
