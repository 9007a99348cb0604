"""What each GPU copies to and from its host, within itself, and to the next GPU: before anything else is measured.

The ranks of a host take turns, so that none shares the buses and the memory of the host with another. Pinned memory
lies where this rank's CPUs put it, which is what transports would use as well.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Final

from netprobe.contracts import Control, Gpu
from netprobe.errors import GpuError
from netprobe.model.endpoint import Rank
from netprobe.model.finding import Gap
from netprobe.model.gpu import CopyRate, CopyWay
from netprobe.model.plan import Memory
from netprobe.units import gbps

COPIED_BYTES: Final = 64 << 20  # 1 ms over PCI Express 5.0 x16: starting it is a hundredth of that
FEWEST_BYTES: Final = 8 << 20  # shorter copies tell what starting them takes
TIMES: Final = 5


def measure_copies(
    control: Control, ranks: Sequence[Rank], gpu: Gpu | None, visible: int
) -> tuple[tuple[CopyRate, ...], tuple[Gap, ...]]:
    """Return what this rank's GPU copies, and on all ranks who could not; all ranks call.

    ``visible``: the GPUs that this process sees, of which the next one is its peer.
    """
    own = ranks[control.rank]
    rates: list[CopyRate] = []
    problem = None
    for turn in range(1 + max(rank.local_index for rank in ranks)):
        control.barrier()
        if gpu is not None and turn == own.local_index:
            try:
                for rate in _rates(gpu, visible):
                    rates.append(rate)  # noqa: PERF402 - what was measured before one fails is kept
            except GpuError as error:
                problem = error
    told = control.allgather(None if problem is None else (own.host, problem.problem, problem.remedy))
    failed = [each for each in told if each is not None]
    gaps = (Gap(topic="copies", reason=f"{host}: {text}", remedy=remedy or "") for host, text, remedy in failed)
    return tuple(rates), tuple(gaps)


def _rates(gpu: Gpu, visible: int) -> Iterator[CopyRate]:
    size_bytes = min(COPIED_BYTES, gpu.free_bytes() // 8)
    if size_bytes < FEWEST_BYTES:
        raise GpuError(
            f"GPU {gpu.endpoint.pci} has too little memory left to tell what it copies",
            remedy="nvidia-smi for who has it",
        )
    one, other = (gpu.allocate(Memory.DEVICE, size_bytes) for _ in range(2))
    host = gpu.allocate(Memory.PINNED, size_bytes)
    for memory in (one, other, host):  # memory that was never written may not be there yet
        gpu.set_bytes(memory.address, 1, size_bytes)
    yield _rate(gpu, CopyWay.TO_GPU, size_bytes, lambda: gpu.copy(one.address, host.address, size_bytes))
    yield _rate(gpu, CopyWay.FROM_GPU, size_bytes, lambda: gpu.copy(host.address, one.address, size_bytes))
    yield _rate(gpu, CopyWay.WITHIN_GPU, size_bytes, lambda: gpu.copy(other.address, one.address, size_bytes))
    if visible > 1:
        peer = gpu.allocate_on((gpu.endpoint.ordinal + 1) % visible, size_bytes)
        yield _rate(gpu, CopyWay.TO_PEER, size_bytes, lambda: gpu.copy(peer.address, one.address, size_bytes))


def _rate(gpu: Gpu, way: CopyWay, size_bytes: int, begin: Callable[[], None]) -> CopyRate:
    gpu.timed_ns(begin)
    quickest_ns = min(gpu.timed_ns(begin) for _ in range(TIMES))
    return CopyRate(way=way, size_bytes=size_bytes, gbps=gbps(size_bytes, max(quickest_ns, 1.0)))
