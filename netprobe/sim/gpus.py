"""The same screening over MPI, verbs and NCCL, in host and in GPU memory, on a fabric that does not exist.

Each host has a GPU and a NIC below one switch of PCI Express. Does not handle: how a GPU, a bus or a library works; a
fault is a share of the rate that is left, and what inventories say of it.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from netprobe.model.gpu import GpuEndpoint
from netprobe.model.inventory import HostInventory, PciDevice, SystemSettings
from netprobe.model.plan import Memory, Path, Stage
from netprobe.model.rdma import Operation, RdmaOptions
from netprobe.model.run import StageOutcome
from netprobe.sim.nics import with_nics
from netprobe.sim.rdma import RdmaFaults, rdma_run
from netprobe.sim.screening import Screening, SlowHost, screening_run
from netprobe.store.reader import Run

if TYPE_CHECKING:
    import polars as pl

SWITCH: Final = ("0000:15:01.0", "0000:16:00.0")
OTHER_CPU: Final = ("0000:97:01.0",)
GPU: Final = "0000:1b:00.0"
GPU_RATIO: Final = 0.98  # of host memory's rate, where all is well
FAR_RATIO: Final = 0.48  # across CPUs: 11 of 23 GB/s (perftest#241)
STAGED_RATIO: Final = 0.4  # 300 of 720 Gb/s without GPUDirect (imbue-ai/cluster-health)
DEVICE, HOST = Memory.DEVICE, Memory.HOST
OF_GPUS: Final = ((HOST, DEVICE), (DEVICE, HOST), (DEVICE, DEVICE))


@dataclass(frozen=True, slots=True, kw_only=True)
class GpuFaults:
    """What is wrong with hosts (by number), and with the libraries that all of them share."""

    far: frozenset[int] = frozenset()
    """Their GPU hangs on the other CPU."""
    staged: frozenset[int] = frozenset()
    """They lack the module that hands GPU memory to the NIC."""
    reads_slowly: frozenset[int] = frozenset()
    """Their bus reads slowly from the GPU, and writes well."""
    mpi_ratio: float = 0.95
    """Of the rate of verbs in host memory."""
    nccl_ratio: float = 0.93
    """Of the rate of verbs in GPU memory."""

    def gpu_ratio(self, host: int, *, sends: bool) -> float:
        """Return what a host's GPU leaves of the rate."""
        if host in self.staged:
            return STAGED_RATIO
        return FAR_RATIO if host in self.far or (sends and host in self.reads_slowly) else GPU_RATIO


def gpu_run(screening: Screening, faults: GpuFaults | None = None, *, combinations: int = 3) -> Run:
    """Return the run that such a fabric would leave behind; ``combinations`` of OF_GPUS are measured, the last ones."""
    import polars as pl

    wrong = faults or GpuFaults()
    run = rdma_run(screening, RdmaFaults(), _slower(screening, 1, wrong.mpi_ratio, wrong, (HOST, HOST)))
    stages, frames = list(run.header.plan.stages), [run.series]
    outcomes = list(run.header.outcomes)
    for stage, outcome, series in _of_gpus(screening, wrong, combinations):
        stages.append(stage)
        outcomes.append(outcome)
        frames.append(series)
    header = replace(
        run.header,
        plan=replace(run.header.plan, stages=tuple(stages)),
        outcomes=tuple(outcomes),
        gpus=tuple(_gpu(rank.rank) for rank in run.header.ranks if not rank.local_index),
    )
    counted = with_nics(replace(run, header=header, series=pl.concat(frames)))
    return replace(
        counted,
        inventories=tuple(
            _with_gpu(each, far=host in wrong.far, staged=host in wrong.staged)
            for host, each in enumerate(counted.inventories)
        ),
    )


def _of_gpus(
    screening: Screening, faults: GpuFaults, combinations: int
) -> Iterator[tuple[Stage, StageOutcome, "pl.DataFrame"]]:
    """Yield bandwidth over verbs in the combinations of memory, and over NCCL from GPU to GPU."""
    kinds = [(Path.VERBS, memories, 1.0) for memories in OF_GPUS[len(OF_GPUS) - combinations :]]
    for number, (path, memories, ratio) in enumerate([*kinds, (Path.NCCL, (DEVICE, DEVICE), faults.nccl_ratio)]):
        run = screening_run(_slower(screening, 2 + number, ratio, faults, memories))
        plan, outcome = run.header.plan.stages[1], run.header.outcomes[1]
        send, receive = memories
        side = {(DEVICE, HOST): "from-gpu-", (HOST, DEVICE): "to-gpu-"}.get(memories, "gpu-")
        name = f"{side}rdma-{plan.id}" if path is Path.VERBS else f"nccl-{plan.id}"
        rdma = RdmaOptions(operation=Operation.WRITE) if path is Path.VERBS else None
        stage = replace(plan, id=name, path=path, rdma=rdma, send_memory=send, receive_memory=receive)
        yield stage, replace(outcome, stage=name), _renamed(run, plan.id, name)


def _renamed(run: Run, stage: str, name: str) -> "pl.DataFrame":
    import polars as pl

    return run.series.filter(pl.col("stage") == stage).with_columns(stage=pl.lit(name))


def _slower(
    screening: Screening, number: int, ratio: float, faults: GpuFaults, memories: tuple[Memory, Memory]
) -> Screening:
    """Return a screening of the same pairs with other noise, at a share of the rate, and slower where GPUs are."""
    hosts = {slow.host: slow for slow in screening.slow_hosts}
    send, receive = memories
    slow = []
    for host in range(screening.hosts):
        own = hosts.get(host, SlowHost(host=host))
        from_gpu = faults.gpu_ratio(host, sends=True) if send is DEVICE else 1.0
        into_gpu = faults.gpu_ratio(host, sends=False) if receive is DEVICE else 1.0
        slow.append(
            replace(own, sends_ratio=own.sends_ratio * from_gpu * ratio, receives_ratio=own.receives_ratio * into_gpu)
        )
    noise_seed = 1000 * (1 + screening.seed) + number
    return replace(screening, noise_seed=noise_seed, slow_hosts=tuple(slow))


def _with_gpu(inventory: HostInventory, *, far: bool, staged: bool) -> HostInventory:
    (nic,) = inventory.pci_devices
    gpu = PciDevice(
        address=GPU, kind="gpu", vendor="10de", device="2330", numa_node=int(far), speed_gtps=32.0,
        speed_most_gtps=32.0, width=16, width_most=16, path=OTHER_CPU if far else SWITCH, is_access_control_known=True,
    )  # fmt: skip
    system = SystemSettings(
        kernel="6.8.0", memlock_bytes=(1 << 63) - 1, governor="performance", deepest_idle_state="C1", iommu="identity",
        gpu_direct="none" if staged else "peer-memory",
    )  # fmt: skip
    below = replace(nic, path=SWITCH, is_access_control_known=True)
    return replace(inventory, pci_devices=(below, gpu), system=system)


def _gpu(rank: int) -> GpuEndpoint:
    return GpuEndpoint(
        rank=rank, ordinal=0, pci=GPU, name="NVIDIA H100 80GB HBM3", memory_bytes=80 << 30, driver="12.8",
        runtime="12.8", nic="mlx5_0",
    )  # fmt: skip
