"""transports._nccl_engine over CuPy: cupy.cuda.nccl, streams, events and graphs. No other module opens CuPy's NCCL.

An event that is recorded within a capture only marks a dependency there; that it is recorded again by every launch of
the graph takes a flag that CuPy does not offer (cuEventRecordWithFlags of the driver, from CUDA 11.1 on).
"""

import ctypes
import os
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, suppress
from typing import Any, Final

from netprobe.buffers._cupy_here import Module, load_cupy, usable_gpus
from netprobe.errors import UnavailableError
from netprobe.transports._nccl_engine import LIBRARY, Broken, Communicator, Event, Graph, Identity, Stream
from netprobe.units import NS_PER_MS

EXTERNAL: Final = 1  # CU_EVENT_RECORD_EXTERNAL
IN_PROGRESS: Final = 7  # ncclInProgress, which is no error
BFLOAT16_SINCE: Final = 21000
TYPES: Final = {
    "int8": "NCCL_INT8", "uint8": "NCCL_UINT8", "int32": "NCCL_INT32", "uint32": "NCCL_UINT32", "int64": "NCCL_INT64",
    "uint64": "NCCL_UINT64", "float16": "NCCL_FLOAT16", "bfloat16": "NCCL_BFLOAT16", "float32": "NCCL_FLOAT32",
    "float64": "NCCL_FLOAT64",
}  # fmt: skip
OPERATORS: Final = {"sum": "NCCL_SUM", "prod": "NCCL_PROD", "max": "NCCL_MAX", "min": "NCCL_MIN"}


def open_cupy_nccl(ordinal: int, settings: Mapping[str, str]) -> "CupyNccl":
    """Open NCCL on one GPU; see _nccl_engine.OpenLibrary. NCCL reads its variables when it is first called."""
    os.environ.update(settings)
    cupy = load_cupy("cupy.cuda.nccl")
    refuse(cupy, ordinal)
    try:
        return CupyNccl(cupy, ordinal, _event_recorder())
    except Broken as broken:
        raise UnavailableError(str(broken), remedy="nvidia-smi, and dmesg for Xid messages") from broken


def refuse(cupy: Module, ordinal: int) -> None:
    """Raise UnavailableError where there is no NCCL, no driver, one that is too old, or no such GPU."""
    if not cupy.cuda.nccl.available:
        raise UnavailableError(f"CuPy finds no NCCL ({LIBRARY})", remedy="pip install nvidia-nccl-cu12")
    count = usable_gpus(cupy, os.environ)
    if ordinal >= count:
        raise UnavailableError(
            f"CUDA shows {count} GPUs here, and this rank would need number {ordinal}",
            remedy="as many ranks on a host as it has GPUs; CUDA_VISIBLE_DEVICES hides some",
        )


def nccl_version(number: int) -> str:
    """Return ``2.21.5`` for 22105; up to 2.8 it was 2803 for 2.8.3."""
    major, rest = divmod(number, 10000 if number >= 10000 else 1000)
    return f"{major}.{rest // 100}.{rest % 100}"


@contextmanager
def _translated(cupy: Module, call: str) -> Iterator[None]:
    try:
        yield
    except (cupy.cuda.nccl.NcclError, cupy.cuda.runtime.CUDARuntimeError, RuntimeError, MemoryError) as error:
        raise Broken(call, str(error).partition("\n")[0]) from error
    except KeyError as error:  # what CuPy raises for results of NCCL that it does not know
        raise Broken(call, _unnamed(error)) from error


def _unnamed(error: KeyError) -> str:
    return f"NCCL error {error.args[0]}"


def _event_recorder() -> Any:  # noqa: ANN401 - a function of ctypes
    """Return the driver's function that records an event of a graph; None where the driver has none."""
    with suppress(OSError, AttributeError):
        function = ctypes.CDLL("libcuda.so.1").cuEventRecordWithFlags
        function.argtypes = (ctypes.c_void_p, ctypes.c_void_p, ctypes.c_uint)
        return function
    return None


class CupyNccl:
    """_nccl_engine.NcclLibrary."""

    def __init__(self, cupy: Module, ordinal: int, record_event: Any) -> None:  # noqa: ANN401
        self._cupy = cupy
        self._ordinal = ordinal
        self._record_event = record_event
        self._kept: list[Any] = []
        runtime = cupy.cuda.runtime
        with _translated(cupy, f"GPU {ordinal}"):
            runtime.setDevice(ordinal)
            self._version: int = cupy.cuda.nccl.get_version()
            self.gpu_pci: str = runtime.deviceGetPCIBusId(ordinal).lower()
            self._stream = CupyStream(cupy, record_event)
        self.description = f"NCCL {nccl_version(self._version)}"

    def unique_id(self) -> Identity:
        """See NcclLibrary."""
        with _translated(self._cupy, "ncclGetUniqueId"):
            identity: Identity = self._cupy.cuda.nccl.get_unique_id()
        return identity

    def communicator(self, ranks: int, identity: Identity, rank: int) -> Communicator:
        """See NcclLibrary."""
        with _translated(self._cupy, "ncclCommInitRank"):
            self._cupy.cuda.runtime.setDevice(self._ordinal)  # of this thread, which may be another
            handle = self._cupy.cuda.nccl.NcclCommunicator(ranks, identity, rank)
        return CupyCommunicator(self._cupy, handle, self._stream.address)

    def group(self) -> AbstractContextManager[None]:
        """See NcclLibrary."""
        return self._group()

    @contextmanager
    def _group(self) -> Iterator[None]:
        nccl = self._cupy.cuda.nccl
        with _translated(self._cupy, "ncclGroup"):
            nccl.groupStart()
            try:
                yield
            finally:
                nccl.groupEnd()

    def stream(self) -> Stream:
        """See NcclLibrary."""
        return self._stream

    def event(self) -> Event:
        """See NcclLibrary."""
        with _translated(self._cupy, "cudaEventCreate"):
            event: Event = self._cupy.cuda.Event()
        return event

    def elapsed_ns(self, earlier: Event, later: Event) -> int:
        """See NcclLibrary."""
        with _translated(self._cupy, "elapsed"):
            elapsed_ms: float = self._cupy.cuda.get_elapsed_time(earlier, later)
        return round(elapsed_ms * NS_PER_MS)

    def scratch(self, size_bytes: int) -> int:
        """See NcclLibrary."""
        with _translated(self._cupy, "cudaMalloc"):
            memory = self._cupy.cuda.alloc(size_bytes)
            # On our own stream: another is not waited for, and would overwrite what is copied there next.
            self._cupy.cuda.runtime.memsetAsync(memory.ptr, 0, size_bytes, self._stream.address)
        self._kept.append(memory)
        address: int = memory.ptr
        return address

    def lacks(self, dtype: str, op: str | None) -> str | None:
        """See NcclLibrary."""
        nccl = self._cupy.cuda.nccl
        is_known = dtype in TYPES and hasattr(nccl, TYPES[dtype])
        if not is_known or (dtype == "bfloat16" and self._version < BFLOAT16_SINCE):
            return f"{self.description} has no type for {dtype}"
        return None if op is None or op in OPERATORS else f"NCCL has no operator {op!r}"


class CupyStream:
    """_nccl_engine.Stream."""

    def __init__(self, cupy: Module, record_event: Any) -> None:  # noqa: ANN401
        self._cupy = cupy
        self._record_event = record_event
        self._is_capturing = False
        self._stream = cupy.cuda.Stream(non_blocking=True)
        self.address: int = self._stream.ptr

    def record(self, event: Event) -> None:
        """See Stream."""
        if not self._is_capturing:
            with _translated(self._cupy, "cudaEventRecord"):
                self._stream.record(event)
            return
        if self._record_event is None:
            raise Broken("cuEventRecordWithFlags", "the driver does not have it")
        address: int = event.ptr  # type: ignore[attr-defined]  # CuPy's
        status = self._record_event(address, self.address, EXTERNAL)
        if status:
            raise Broken("cuEventRecordWithFlags", f"CUDA error {status}")

    def copy(self, target: int, source: int, size_bytes: int) -> None:
        """See Stream."""
        runtime = self._cupy.cuda.runtime
        with _translated(self._cupy, "cudaMemcpyAsync"):
            runtime.memcpyAsync(target, source, size_bytes, runtime.memcpyDeviceToDevice, self.address)

    def synchronize(self) -> None:
        """See Stream."""
        with _translated(self._cupy, "cudaStreamSynchronize"):
            self._stream.synchronize()

    def begin_capture(self) -> None:
        """See Stream."""
        with _translated(self._cupy, "cudaStreamBeginCapture"):
            self._stream.begin_capture()  # relaxed: what the watching thread calls does not end it
        self._is_capturing = True

    def end_capture(self) -> Graph:
        """See Stream."""
        self._is_capturing = False
        with _translated(self._cupy, "cudaStreamEndCapture"):
            return CupyGraph(self._cupy, self._stream, self._stream.end_capture())


class CupyGraph:
    """_nccl_engine.Graph."""

    def __init__(self, cupy: Module, stream: Any, graph: Any) -> None:  # noqa: ANN401
        self._cupy = cupy
        self._stream = stream
        self._graph = graph

    def launch(self) -> None:
        """See Graph."""
        with _translated(self._cupy, "cudaGraphLaunch"):
            self._graph.launch(self._stream)


class CupyCommunicator:
    """_nccl_engine.Communicator."""

    def __init__(self, cupy: Module, handle: Any, stream: int) -> None:  # noqa: ANN401
        self._cupy = cupy
        self._handle = handle
        self._stream = stream

    def all_reduce(self, send: int, receive: int, count: int, dtype: str, op: str) -> None:
        """See Communicator."""
        with _translated(self._cupy, "ncclAllReduce"):
            self._handle.allReduce(send, receive, count, self._type(dtype), self._operator(op), self._stream)

    def all_gather(self, send: int, receive: int, count: int, dtype: str) -> None:
        """See Communicator."""
        with _translated(self._cupy, "ncclAllGather"):
            self._handle.allGather(send, receive, count, self._type(dtype), self._stream)

    def reduce_scatter(self, send: int, receive: int, count: int, dtype: str, op: str) -> None:
        """See Communicator."""
        with _translated(self._cupy, "ncclReduceScatter"):
            self._handle.reduceScatter(send, receive, count, self._type(dtype), self._operator(op), self._stream)

    def broadcast(self, send: int, receive: int, count: int, dtype: str, root: int) -> None:
        """See Communicator."""
        with _translated(self._cupy, "ncclBroadcast"):
            self._handle.broadcast(send, receive, count, self._type(dtype), root, self._stream)

    def reduce(self, send: int, receive: int, count: int, dtype: str, op: str, root: int) -> None:
        """See Communicator."""
        with _translated(self._cupy, "ncclReduce"):
            self._handle.reduce(send, receive, count, self._type(dtype), self._operator(op), root, self._stream)

    def send(self, address: int, count: int, dtype: str, peer: int) -> None:
        """See Communicator."""
        with _translated(self._cupy, "ncclSend"):
            self._handle.send(address, count, self._type(dtype), peer, self._stream)

    def receive(self, address: int, count: int, dtype: str, peer: int) -> None:
        """See Communicator."""
        with _translated(self._cupy, "ncclRecv"):
            self._handle.recv(address, count, self._type(dtype), peer, self._stream)

    def async_error(self) -> str | None:
        """See Communicator."""
        try:
            self._handle.check_async_error()
        except self._cupy.cuda.nccl.NcclError as error:
            return str(error)
        except KeyError as error:
            return None if error.args[0] == IN_PROGRESS else _unnamed(error)
        return None

    def abort(self) -> None:
        """See Communicator."""
        with _translated(self._cupy, "ncclCommAbort"):
            self._handle.abort()

    def destroy(self) -> None:
        """See Communicator."""
        with _translated(self._cupy, "ncclCommDestroy"):
            self._handle.destroy()

    def _type(self, dtype: str) -> int:
        number: int = getattr(self._cupy.cuda.nccl, TYPES[dtype])
        return number

    def _operator(self, op: str) -> int:
        number: int = getattr(self._cupy.cuda.nccl, OPERATORS[op])
        return number
