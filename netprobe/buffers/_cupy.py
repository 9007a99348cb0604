"""A GPU through CuPy: memory, kernels compiled by NVRTC and kept in CuPy's cache, one stream of our own.

Never run where there was a GPU, but for what scripts/check-gpu says in docs/measured.md.
"""

import ctypes
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from importlib import resources
from pathlib import Path
from types import ModuleType
from typing import Any, Final

from netprobe.buffers._cupy_here import cuda_version, load_cupy, usable_gpus
from netprobe.contracts import Allocation, Gpu
from netprobe.errors import GpuError
from netprobe.model.gpu import GpuEndpoint
from netprobe.model.plan import Memory
from netprobe.units import NS_PER_MS, format_size

THREADS_PER_BLOCK: Final = 256
BLOCKS_PER_PROCESSOR: Final = 32  # enough to keep every multiprocessor busy; what is more only waits
SOURCES: Final = ("pattern.cu", "reduction.cu", "accumulate.cu", "spin.cu")
SOURCE_OF: Final = {"pattern": 0, "contribution": 1, "reduction": 1, "accumulate": 2, "spin": 3}
"""By the first word of a kernel's name."""
IF_FULL: Final = "a smaller -e, or nvidia-smi for who has it"
IF_GONE: Final = "nvidia-smi, and dmesg for Xid messages"
PAGE_BYTES: Final = 1 << 16  # of a GPU
CUDA_DRIVER: Final = "libcuda.so.1"
DMA_BUF: Final = 1  # CU_MEM_RANGE_HANDLE_TYPE_DMA_BUF_FD


def visible_gpus(environ: Mapping[str, str]) -> int:
    """Return how many GPUs this process may use; UnavailableError says why there is none."""
    return usable_gpus(load_cupy(), environ)


def open_gpu(ordinal: int) -> Gpu:
    """Make a visible GPU the one of this thread; GpuError when it does not answer."""
    return _CupyGpu(load_cupy(), ordinal)


class _CupyGpu:
    """contracts.Gpu."""

    def __init__(self, cupy: ModuleType, ordinal: int) -> None:
        self._cupy = cupy
        self._runtime = cupy.cuda.runtime
        with self._translated(f"GPU {ordinal}"):
            cupy.cuda.Device(ordinal).use()
            facts = self._runtime.getDeviceProperties(ordinal)
            self._most_blocks = BLOCKS_PER_PROCESSOR * int(facts["multiProcessorCount"])
            self.endpoint = GpuEndpoint(
                rank=0,
                ordinal=ordinal,
                pci=str(self._runtime.deviceGetPCIBusId(ordinal)).lower(),
                name=_text(facts["name"]),
                memory_bytes=int(facts["totalGlobalMem"]),
                driver=cuda_version(int(self._runtime.driverGetVersion())),
                runtime=cuda_version(int(self._runtime.runtimeGetVersion())),
            )
            self._stream = cupy.cuda.Stream(non_blocking=True)
        self._name = f"GPU {ordinal} ({self.endpoint.pci})"
        self._modules: dict[str, Any] = {}

    def free_bytes(self) -> int:
        with self._translated(self._name):
            return int(self._runtime.memGetInfo()[0])

    def allocate(self, memory: Memory, size_bytes: int) -> Allocation:
        # A dma-buf is of whole pages of the GPU, and must not share one with somebody else's memory.
        room_bytes = -(-size_bytes // PAGE_BYTES) * PAGE_BYTES + PAGE_BYTES
        takes = {
            Memory.DEVICE: self._cupy.cuda.Memory,
            Memory.PINNED: self._cupy.cuda.PinnedMemory,
            Memory.MANAGED: self._cupy.cuda.ManagedMemory,
        }
        with self._translated(f"{memory} memory of {format_size(size_bytes)} by {self._name}"):
            return _Held(takes[memory](room_bytes), size_bytes)

    def launch(self, kernel: str, addresses: Sequence[int], numbers: Sequence[int], *, threads: int) -> None:
        import numpy as np

        blocks = min(-(-threads // THREADS_PER_BLOCK), self._most_blocks)
        words = tuple(np.uint64(each & (2**64 - 1)) for each in (*addresses, *numbers))
        with self._translated(f"{kernel} on {self._name}"):
            self._kernel(kernel)((max(blocks, 1),), (THREADS_PER_BLOCK,), words, stream=self._stream)

    def set_bytes(self, address: int, value: int, size_bytes: int) -> None:
        with self._translated(self._name):
            self._runtime.memsetAsync(address, value, size_bytes, self._stream.ptr)

    def read(self, address: int, size_bytes: int) -> bytes:
        self.finish()
        target = ctypes.create_string_buffer(size_bytes)
        with self._translated(self._name):
            self._runtime.memcpy(ctypes.addressof(target), address, size_bytes, self._runtime.memcpyDefault)
        return target.raw

    def finish(self) -> None:
        with self._translated(self._name):
            self._stream.synchronize()

    def copy(self, to: int, source: int, size_bytes: int) -> None:
        kind = self._runtime.memcpyDefault
        with self._translated(self._name):
            self._runtime.memcpyAsync(to, source, size_bytes, kind, self._stream.ptr)

    def timed_ns(self, begin: Callable[[], None]) -> float:
        first, last = self._cupy.cuda.Event(), self._cupy.cuda.Event()
        with self._translated(self._name):
            first.record(self._stream)
            begin()
            last.record(self._stream)
            last.synchronize()
            return float(self._cupy.cuda.get_elapsed_time(first, last)) * NS_PER_MS

    def allocate_on(self, ordinal: int, size_bytes: int) -> Allocation:
        with self._translated(f"GPU {ordinal} beside {self._name}"):
            with self._cupy.cuda.Device(ordinal):
                held = _Held(self._cupy.cuda.Memory(size_bytes + PAGE_BYTES), size_bytes)
            if self._runtime.deviceCanAccessPeer(self.endpoint.ordinal, ordinal):
                with suppress(self._runtime.CUDARuntimeError):  # it has been enabled already
                    self._runtime.deviceEnablePeerAccess(ordinal)
            return held

    def copier(self) -> int:
        """See contracts.Gpu; cuMemcpy finds out by itself on which side an address lies."""
        address = ctypes.cast(ctypes.CDLL(CUDA_DRIVER).cuMemcpy, ctypes.c_void_p).value
        assert address is not None
        return address

    def dma_buf(self, allocation: Allocation) -> int | None:
        """See contracts.Gpu; from CUDA 11.7 on, of whole pages."""
        export = getattr(ctypes.CDLL(CUDA_DRIVER), "cuMemGetHandleForAddressRange", None)
        if export is None:
            return None
        file = ctypes.c_int(-1)
        whole_bytes = -(-allocation.size_bytes // PAGE_BYTES) * PAGE_BYTES
        asked = (ctypes.c_ulonglong(allocation.address), ctypes.c_size_t(whole_bytes), DMA_BUF, ctypes.c_ulonglong(0))
        return file.value if export(ctypes.byref(file), *asked) == 0 else None

    def _kernel(self, name: str) -> Any:  # noqa: ANN401 - CuPy has no types
        source = SOURCES[SOURCE_OF[name.partition("_")[0]]]
        if source not in self._modules:
            folder = kernels_folder()
            # CuPy keeps what it compiled by the text of one file: what that includes has to be told.
            mark = zlib.crc32(b"".join(each.read_bytes() for each in sorted(folder.glob("*.cu*"))))
            options = ("-std=c++17", f"-I{folder}", f"-DNETPROBE_SOURCES={mark}")
            self._modules[source] = self._cupy.RawModule(code=(folder / source).read_text(), options=options)
        return self._modules[source].get_function(name)

    @contextmanager
    def _translated(self, what: str) -> Iterator[None]:
        """Turn CuPy's errors into one line; whatever a GPU that fell off the bus answers is one of them."""
        cuda = self._cupy.cuda
        # CUDA's own errors are of RuntimeError, as is a library of CUDA that is not there; OSError is of CuPy's folder.
        failures = (RuntimeError, OSError, AssertionError, cuda.compiler.CompileException)
        try:
            yield
        except cuda.memory.OutOfMemoryError as error:
            raise GpuError(f"{what}: no memory left", remedy=IF_FULL) from error
        except failures as error:
            text = str(error).partition("\n")[0]
            raise GpuError(f"{what}: {text}", remedy=_remedy(text)) from error


class _Held:
    """contracts.Allocation."""

    def __init__(self, memory: Any, size_bytes: int) -> None:  # noqa: ANN401
        self._memory = memory
        self.address = -(-int(memory.ptr) // PAGE_BYTES) * PAGE_BYTES
        self.size_bytes = size_bytes


def _remedy(text: str) -> str:
    low = text.lower()
    if any(word in low for word in ("nvrtc", "cuda headers", "cuda root", "cannot open source file")):
        return "pip install 'netprobe[gpu]', which brings CUDA's compiler"
    if "permission denied" in low or "read-only" in low:
        return "CUPY_CACHE_DIR, a folder that may be written"
    return IF_FULL if "out of memory" in low or "out_of_memory" in low else IF_GONE


def kernels_folder() -> Path:
    """Return where the sources of the kernels are: beside the package in a checkout, inside it once installed."""
    checkout = Path(__file__).parents[2] / "kernels" / "cuda"
    return checkout if checkout.is_dir() else Path(str(resources.files("netprobe.kernels"))) / "cuda"


def _text(name: bytes | str) -> str:
    return name.decode("ascii", errors="replace") if isinstance(name, bytes) else name
