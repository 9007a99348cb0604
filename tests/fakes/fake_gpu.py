"""A GPU of host memory, on which the real kernels run: kernels/cuda, compiled as C++.

Its device memory lies at addresses that nobody may touch, so that whoever takes them for memory of the host dies of
it, as with a real GPU; kernels and copies reach the same bytes through a second mapping.
"""

import ctypes
import mmap
import os
import shutil
import subprocess
import tempfile
import time
import weakref
from dataclasses import dataclass, field
from functools import cache
from hashlib import sha256
from pathlib import Path

import numpy as np

from netprobe.errors import GpuError
from netprobe.model.gpu import GpuEndpoint
from netprobe.model.plan import Memory

HERE = Path(__file__).parent
KERNELS = HERE.parents[1] / "kernels" / "cuda"
COMPILER = shutil.which("g++") or shutil.which("c++")
THREADS = 64
BLOCKS = 3
NO_ACCESS = 0  # PROT_NONE
READ_WRITE = mmap.PROT_READ | mmap.PROT_WRITE
SHARED = mmap.MAP_SHARED

COPIER = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_uint64, ctypes.c_uint64, ctypes.c_uint64)

libc = ctypes.CDLL(None, use_errno=True)
libc.mmap.restype = ctypes.c_void_p
libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_long]
libc.munmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t]


@cache
def kernels():
    """Return the kernels as a library; it is compiled once for each state of their sources."""
    sources = [*sorted(KERNELS.glob("*.cu*")), HERE / "cuda_kernels.cpp", HERE / "cuda_on_cpu.h"]
    digest = sha256(b"".join(each.read_bytes() for each in sources)).hexdigest()[:16]
    library = Path(tempfile.gettempdir()) / f"netprobe-cuda-on-cpu-{os.getuid()}-{digest}.so"
    if not library.exists():
        half_made = library.with_suffix(f".{os.getpid()}")
        flags = ["-O2", "-std=c++17", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC"]
        subprocess.run([COMPILER, *flags, "-I", KERNELS, "-o", half_made, HERE / "cuda_kernels.cpp"], check=True)
        half_made.replace(library)
    return ctypes.CDLL(str(library))


@dataclass(eq=False)
class Mapped:
    """Memory under two addresses: one that is handed out, and one that works."""

    size_bytes: int
    is_hidden: bool
    address: int = field(init=False)
    works_at: int = field(init=False)

    def __post_init__(self):
        self._mapped_bytes = max(self.size_bytes, 1)
        file = os.memfd_create("netprobe-fake-gpu")
        try:
            os.ftruncate(file, self._mapped_bytes)
            self.works_at = libc.mmap(None, self._mapped_bytes, READ_WRITE, SHARED, file, 0)
            self.address = (
                libc.mmap(None, self._mapped_bytes, NO_ACCESS, SHARED, file, 0) if self.is_hidden else self.works_at
            )
        finally:
            os.close(file)

    def __del__(self):
        for address in {self.address, self.works_at}:
            libc.munmap(address, self._mapped_bytes)


class FakeGpu:
    """contracts.Gpu."""

    def __init__(self, *, memory_bytes=1 << 30, ordinal=0, pci="0000:18:00.0", name="Fake H200", hides=True):
        self.endpoint = GpuEndpoint(
            rank=0, ordinal=ordinal, pci=pci, name=name, memory_bytes=memory_bytes, driver="12.8", runtime="12.9"
        )
        self.hides = hides
        self.is_gone = False
        """Whether it fell off the bus."""
        self._allocations = []
        self.launched = []
        """Names of kernels, in order."""
        self.copied = []
        """Bytes of each copy."""
        self._copier = None
        self.takes_ns = None
        """How long everything takes that is timed; None: as long as it does."""

    def free_bytes(self):
        self._answer()
        return self.endpoint.memory_bytes - sum(each.size_bytes for each in self._held(Memory.DEVICE))

    def allocate(self, memory, size_bytes):
        if memory is not Memory.PINNED and size_bytes > self.free_bytes():
            raise GpuError(f"GPU {self.endpoint.pci} has no {size_bytes} bytes left", remedy="a smaller -e")
        mapped = Mapped(size_bytes, is_hidden=self.hides and memory is Memory.DEVICE)
        self._allocations.append((memory, weakref.ref(mapped)))
        return mapped

    def _held(self, *kinds):
        held = ((memory, reference()) for memory, reference in self._allocations)
        return [mapped for memory, mapped in held if mapped is not None and memory in (kinds or Memory)]

    def launch(self, kernel, addresses, numbers, *, threads):
        self._answer()
        self.launched.append(kernel)
        places = (ctypes.c_void_p * len(addresses))(*map(self.works_at, addresses))
        values = (ctypes.c_uint64 * len(numbers))(*(number & (2**64 - 1) for number in numbers))
        blocks = min(BLOCKS, -(-threads // THREADS)) or 1
        getattr(kernels(), f"on_cpu_{kernel}")(blocks, THREADS, places, values)

    def set_bytes(self, address, value, size_bytes):
        self._answer()
        ctypes.memset(self.works_at(address), value, size_bytes)

    def read(self, address, size_bytes):
        self._answer()
        return ctypes.string_at(self.works_at(address), size_bytes)

    def finish(self):
        self._answer()

    def copy(self, to, source, size_bytes):
        self._answer()
        ctypes.memmove(self.works_at(to), self.works_at(source), size_bytes)

    def timed_ns(self, begin):
        started = time.perf_counter_ns()
        begin()
        taken = max(time.perf_counter_ns() - started, 1)
        return taken if self.takes_ns is None else self.takes_ns

    def allocate_on(self, ordinal, size_bytes):
        return self.allocate(Memory.DEVICE, size_bytes)

    def copier(self):
        """As cuMemcpy; 719 is what it answers of a GPU that failed."""

        def copy(target, source, size_bytes):
            if self.is_gone:
                return 719
            ctypes.memmove(self.works_at(target), self.works_at(source), size_bytes)
            self.copied.append(size_bytes)
            return 0

        if self._copier is None:
            self._copier = COPIER(copy)
        return ctypes.cast(self._copier, ctypes.c_void_p).value

    def dma_buf(self, allocation):
        return None

    def works_at(self, address):
        for mapped in self._held():
            if mapped.address <= address < mapped.address + max(mapped.size_bytes, 1):
                return mapped.works_at + address - mapped.address
        return address

    def array(self, address, size_bytes):
        """Return memory for a test to look into."""
        kind = ctypes.c_uint8 * size_bytes
        return np.frombuffer(kind.from_address(self.works_at(address)), dtype=np.uint8)

    def _answer(self):
        if self.is_gone:
            raise GpuError(f"GPU {self.endpoint.pci} no longer answers", remedy="dmesg for Xid messages")
