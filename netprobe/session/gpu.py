"""Which ranks have a GPU, which one, and why not the others; opened before anything is measured."""

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from netprobe.buffers._cupy import open_gpu, visible_gpus
from netprobe.buffers.cuda import CudaBuffer
from netprobe.contracts import Control, Gpu, System, Transport
from netprobe.errors import GpuError, NetprobeError, UnavailableError
from netprobe.model.endpoint import Rank
from netprobe.model.finding import Gap
from netprobe.model.gpu import GpuEndpoint
from netprobe.model.plan import Memory, Path, Plan, Stage
from netprobe.model.rdma import RdmaEndpoint
from netprobe.registry import pick, probes
from netprobe.reporters._wording import fold
from netprobe.session.copies import measure_copies
from netprobe.session.cuda_trial import tried, try_in_child
from netprobe.session.host import has_gpu
from netprobe.session.reasons import Reason, gaps_of
from netprobe.transports.staged import PinnedRooms, StagedMpi

TOPIC: Final = "gpu"
FEWEST: Final = 2
PROVED_BYTES: Final = 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class GpuEdge:
    """How GPUs are reached, to be replaced in tests."""

    count: Callable[[Mapping[str, str]], int] = visible_gpus
    """Return how many this process may use, from its environment; UnavailableError says why none."""
    open: Callable[[int], Gpu] = open_gpu
    """Make one of them this rank's."""
    trial: Callable[[int], Sequence[str]] = tried
    """Return the command that finds out whether MPI takes addresses of one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Gpus:
    """What a rank knows of GPUs in this launch."""

    own: Gpu | None
    """None where this rank has none."""
    endpoints: tuple[GpuEndpoint, ...] = ()
    """Of all ranks that have one, by MPI's numbers."""
    gaps: tuple[Gap, ...] = ()
    """Why the others have none, and what of theirs was not tested."""
    rooms: PinnedRooms | None = None
    """By way of which MPI's messages go, where it takes no addresses of a GPU; None where it does."""
    sharers: int = 1
    """Ranks that use this rank's GPU."""

    def free_bytes(self) -> int | None:
        """Return this rank's share of what its GPU may still give; None without one."""
        return None if self.own is None else self.own.free_bytes() // self.sharers

    def under_mpi(self, transport: Transport, stage: Stage) -> Transport:
        """Return what carries a stage of MPI."""
        is_on_gpu = Memory.DEVICE in (stage.send_memory, stage.receive_memory)
        return transport if self.rooms is None or not is_on_gpu else StagedMpi(transport, self.rooms, stage)

    @property
    def ranks(self) -> frozenset[int]:
        """Ranks that have one."""
        return frozenset(each.rank for each in self.endpoints)


def open_gpus(control: Control, ranks: Sequence[Rank], plan: Plan, system: System, edge: GpuEdge) -> Gpus:
    """Choose and open this rank's GPU, and tell the others; all ranks call, ``ranks`` are in MPI's order.

    Where some stage needs none, a host without a driver is asked nothing: the library that asks is not even loaded.
    """
    if not any(stage.needs_gpu for stage in plan.stages):
        return Gpus(own=None, gaps=_not_asked(control, system))
    is_wanted = all(stage.needs_gpu for stage in plan.stages)
    if not any(control.allgather(is_wanted or has_gpu(system.root))):
        return Gpus(own=None, gaps=(Gap(topic=TOPIC, reason="no GPU on any host: GPU memory not measured"),))
    found, visible = _open(ranks[control.rank], plan, edge)
    gpu = None if isinstance(found, NetprobeError) else found
    copies, uncopied = measure_copies(control, ranks, gpu, visible)
    own = (
        Reason(found.problem, found.remedy)
        if isinstance(found, NetprobeError)
        else replace(found.endpoint, copies=copies)
    )
    told = control.allgather(own)
    missing = gaps_of(told, ranks, topic=TOPIC, what="GPU memory", remedy="nvidia-smi there")
    endpoints = tuple(replace(each, rank=number) for number, each in enumerate(told) if isinstance(each, GpuEndpoint))
    gpus = Gpus(
        own=gpu,
        endpoints=endpoints,
        gaps=(*missing, *_shared(endpoints, ranks), *uncopied),
        sharers=_sharers(endpoints, ranks, control.rank),
    )
    needs_mpi = any(
        stage.path is Path.MPI and Memory.DEVICE in (stage.send_memory, stage.receive_memory) for stage in plan.stages
    )
    return _with_mpi(gpus, control, ranks, edge) if needs_mpi and endpoints else gpus


def _with_mpi(gpus: Gpus, control: Control, ranks: Sequence[Rank], edge: GpuEdge) -> Gpus:
    """Find out whether every host's MPI takes addresses of GPUs, once a host; where one does not, all stage."""
    own, trial = ranks[control.rank], None
    if gpus.own is not None and control.rank == _first_on_host(gpus, ranks, own.host):
        trial = try_in_child(edge.trial(gpus.own.endpoint.ordinal), os.environ)
    trials = zip(ranks, control.allgather(trial), strict=True)
    refused = [(rank.host, each.why) for rank, each in trials if each is not None and not each.is_aware]
    is_direct = not refused
    endpoints = tuple(replace(each, takes_mpi=is_direct) for each in gpus.endpoints)
    if is_direct:
        return replace(gpus, endpoints=endpoints)
    where = fold(host for host, _ in refused)
    gap = Gap(
        topic="mpi",
        reason=f"MPI takes no memory of GPUs on {where} ({refused[0][1]}): messages were copied by way of the host's",
        remedy="an MPI that is built for CUDA (UCX with cuda, MPICH with its GPU support)",
    )
    rooms = None if gpus.own is None else PinnedRooms(gpus.own)
    return replace(gpus, endpoints=endpoints, gaps=(*gpus.gaps, gap), rooms=rooms)


def _first_on_host(gpus: Gpus, ranks: Sequence[Rank], host: str) -> int:
    return min(rank for rank in gpus.ranks if ranks[rank].host == host)


def _sharers(endpoints: Sequence[GpuEndpoint], ranks: Sequence[Rank], rank: int) -> int:
    places = [(ranks[each.rank].host, each.pci) for each in endpoints]
    own = next(((ranks[each.rank].host, each.pci) for each in endpoints if each.rank == rank), None)
    return max(1, places.count(own) if own is not None else 1)


def feasible_on_gpus(plan: Plan, gpus: Gpus, size: int) -> Plan:
    """Return the plan without the stages for which there are too few GPUs: pairs need two, collectives need all.

    UnavailableError where nothing is left of a plan that wants nothing else.
    """
    have = len(gpus.endpoints)
    kept = tuple(stage for stage in plan.stages if not stage.needs_gpu or have >= needed_gpus(stage, size))
    if plan.stages and not kept:
        why = next((gap for gap in gpus.gaps if gap.topic == TOPIC), None)
        few = f"{have} of {size} ranks have a GPU, and pairs take two"
        raise UnavailableError(few if why is None else why.reason, remedy=(why and why.remedy) or "--memory host")
    return replace(plan, stages=kept)


def with_nics(gpus: Gpus, rdma: Sequence[RdmaEndpoint]) -> tuple[GpuEndpoint, ...]:
    """Return every rank's GPU with the port that the rank uses; pure."""
    port_of = {each.rank: each for each in rdma}
    return tuple(
        each if each.rank not in port_of else replace(each, nic=port_of[each.rank].name, why=port_of[each.rank].why)
        for each in gpus.endpoints
    )


def who_shares(gpus: Sequence[tuple[int, str]], ranks: Sequence[Rank]) -> str | None:
    """Return which ranks use the same GPU of a host, in words; ``gpus`` are (MPI's number of the rank, PCI address)."""
    users: dict[tuple[str, str], list[int]] = {}
    for number, pci in gpus:
        users.setdefault((ranks[number].host, pci), []).append(ranks[number].rank)
    shared = {place: numbers for place, numbers in users.items() if len(numbers) > 1}
    if not shared:
        return None
    (host, pci), numbers = next(iter(shared.items()))
    more = f", and {len(shared) - 1} more GPUs are shared" if len(shared) > 1 else ""
    who = ", ".join(map(str, numbers[:-1]))
    return f"ranks {who} and {numbers[-1]} share the GPU {pci} of {host}{more}"


def _shared(endpoints: Sequence[GpuEndpoint], ranks: Sequence[Rank]) -> tuple[Gap, ...]:
    told = who_shares([(each.rank, each.pci) for each in endpoints], ranks)
    if told is None:
        return ()
    remedy = "--ranks-per-host, at most one for each GPU; CUDA_VISIBLE_DEVICES hides some"
    return (Gap(topic=TOPIC, reason=f"{told}: each measures a part of it, and NCCL refuses", remedy=remedy),)


def needed_gpus(stage: Stage, size: int) -> int:
    """Return how many of so many ranks must have a GPU for a stage."""
    return size if pick("probe", probes(), stage.probe).is_group else FEWEST


def _open(rank: Rank, plan: Plan, edge: GpuEdge) -> tuple[Gpu | NetprobeError, int]:
    """Return this rank's GPU, or the reason why it has none; and how many its process sees."""
    count = 0
    try:
        count = edge.count(os.environ)
        ordinal = _ordinal(rank.local_index, count, plan)
        gpu = edge.open(ordinal)
        prove(gpu)
    except NetprobeError as error:
        return error, count
    return gpu, count


def prove(gpu: Gpu) -> None:
    """Write a pattern and compare it, while the others can still go on without this GPU; GpuError where it cannot.

    That compiles the kernels as well, which takes a second where CuPy has not kept them.
    """
    buffer = CudaBuffer(gpu, Memory.DEVICE, PROVED_BYTES)
    pattern = {"seed": 1, "rank": 0, "iteration": 0, "offset_bytes": 0, "size_bytes": PROVED_BYTES}
    buffer.fill_pattern(**pattern)
    if buffer.verify_pattern(**pattern) is not None:
        name = f"GPU {gpu.endpoint.ordinal} ({gpu.endpoint.pci})"
        raise GpuError(f"{name} does not find what it wrote", remedy="nvidia-smi -q for ECC errors, and another GPU")


def _ordinal(place: int, count: int, plan: Plan) -> int:
    if not plan.gpu_map:
        return place % count
    ordinal = plan.gpu_map[place % len(plan.gpu_map)].ordinal
    if ordinal >= count:
        raise UnavailableError(
            f"--gpu-map names GPU {ordinal}, and a rank sees {count}", remedy=f"--gpu-map with 0 to {count - 1}"
        )
    return ordinal


def _not_asked(control: Control, system: System) -> tuple[Gap, ...]:
    if any(control.allgather(has_gpu(system.root))):
        reason = "GPUs are present, but it was not asked to test their memory"
        return (Gap(topic=TOPIC, reason=reason, remedy="--memory auto, or device"),)
    return (Gap(topic=TOPIC, reason="no GPU on any host: GPU memory not measured"),)
