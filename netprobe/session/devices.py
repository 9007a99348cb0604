"""What a rank has besides MPI: a GPU, an RDMA port near it, and NCCL over the GPUs of all ranks."""

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field, replace

from netprobe.contracts import Control, System, Transport
from netprobe.model.endpoint import Rank
from netprobe.model.finding import Gap
from netprobe.model.plan import Path, Plan, Stage
from netprobe.session.gpu import GpuEdge, Gpus, feasible_on_gpus, needed_gpus, open_gpus
from netprobe.session.nccl import NOT_ASKED, Nccl, feasible_nccl, open_nccl, refuse_hopeless_nccl
from netprobe.session.rdma import Rdma, feasible, open_rdma, refuse_hopeless
from netprobe.transports._nccl_engine import OpenLibrary, open_library
from netprobe.transports._verbs_engine import OpenDevice
from netprobe.transports.verbs import open_device


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceEdges:
    """How devices are reached, to be replaced in tests."""

    rdma: OpenDevice = open_device
    gpu: GpuEdge = field(default_factory=GpuEdge)
    nccl: OpenLibrary = open_library


@dataclass(frozen=True, slots=True, kw_only=True)
class Devices:
    """What was found of each kind."""

    rdma: Rdma
    gpus: Gpus
    nccl: Nccl

    def close(self) -> None:
        """Give everything back."""
        with ExitStack() as stack:
            stack.callback(self.rdma.close)
            stack.callback(self.nccl.close)

    def serve(self, stage: Stage, size: int) -> bool:
        """Return whether so many ranks have the GPUs that a stage takes: collectives take one of each rank."""
        return not stage.needs_gpu or needed_gpus(stage, size) <= len(self.gpus.endpoints)

    def without(self, path: Path) -> tuple[Gap, ...]:
        """Return why nothing can go over a path, or from memory of GPUs."""
        return (*self.nccl.gaps, *self.gpus.gaps) if path is Path.NCCL else self.gpus.gaps


def open_devices(  # noqa: PLR0913 - who, where, how, and what tests replace
    under: Transport,
    control: Control,
    ranks: tuple[Rank, ...],
    plan: Plan,
    system: System,
    environment: Mapping[str, str],
    edges: DeviceEdges,
    step: Callable[[], None] = lambda: None,
) -> Devices:
    """Open what the plan's stages need; all ranks call, ``ranks`` are in MPI's order."""
    gpus = open_gpus(control, ranks, plan, system, edges.gpu)
    own = None if gpus.own is None else gpus.own.endpoint
    rdma = open_rdma(under, control, ranks, plan, system, edges.rdma, step, own)
    nccl = (
        open_nccl(under, control, ranks, plan, gpus.endpoints, environment, edges.nccl, step)
        if len(gpus.endpoints) == len(ranks)
        else _without_some(plan, gpus, len(ranks))
    )
    return Devices(rdma=rdma, gpus=gpus, nccl=nccl)


def _without_some(plan: Plan, gpus: Gpus, size: int) -> Nccl:
    """Say that NCCL is on all ranks or on none, where only some have a GPU; where none has, that is told already."""
    if not gpus.endpoints or not any(stage.path is Path.NCCL for stage in plan.stages):
        return NOT_ASKED
    reason = f"NCCL takes a GPU of every rank, and {size - len(gpus.endpoints)} of {size} ranks have none"
    return Nccl(gaps=(Gap(topic="nccl", reason=reason, remedy="--hosts without those that have no GPU"),))


def feasible_plan(plan: Plan, devices: Devices, size: int) -> Plan:
    """Return what of a plan the devices of so many ranks can do; UnavailableError where that is nothing of it."""
    refuse_hopeless(plan, devices.rdma)
    plan = feasible_on_gpus(plan, devices.gpus, size)
    refuse_hopeless_nccl(plan, devices.nccl)
    kept = feasible_nccl(feasible(plan, devices.rdma), devices.nccl)
    return replace(plan, stages=kept.stages)
