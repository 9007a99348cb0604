"""A plan of one probe, from what ``netprobe run`` was given."""

from dataclasses import dataclass, replace
from typing import Final

from netprobe.contracts import Probe
from netprobe.errors import PlanError
from netprobe.model.bursts import BURSTS
from netprobe.model.collective import SHAPES
from netprobe.model.plan import DTYPE_BYTES, DTYPES, HOST_NOISE, OPS, Carriers, Memories, Pairing, Path, Plan, Stage
from netprobe.model.storage import STORAGE
from netprobe.plan.bursts import NO_BURSTS, BurstWish, burst_stage
from netprobe.plan.gpu import moved, over_nccl, refuse_unfit
from netprobe.plan.profiles import DEFAULT_SEED
from netprobe.plan.rdma import (
    MOST_WINDOW,
    NOTHING,
    RdmaWish,
    carried_by,
    datagram_sizes,
    over_rdma,
    refuse_for_datagrams,
    refuse_idle,
)
from netprobe.plan.sizes import sweep
from netprobe.plan.storage import NO_STORAGE, StorageWish, storage_stage
from netprobe.registry import pick, probes, suggestion
from netprobe.units import NS_PER_S, format_size

LARGEST_COUNT: Final = 2**31 - 1  # MPI counts are C ints
MOST_ITERATIONS: Final = 10_000_000  # 80 MB of stamps on every rank
DEFAULT_SOAK_NS: Final = 10 * NS_PER_S
NCCL_DTYPES: Final = {"float": "float32", "double": "float64", "half": "float16"}


@dataclass(frozen=True, slots=True, kw_only=True)
class SingleProbe:
    """The options of ``run``, converted."""

    probe: str
    begin_bytes: int
    end_bytes: int
    factor: float | None
    step_bytes: int | None
    iterations: int | None
    warmup_iterations: int
    check_iterations: int
    dtype: str
    op: str
    root: int
    window: int
    all_pairs: bool
    series_budget_ns: int
    carriers: Carriers = Carriers.MPI
    wish: RdmaWish = NOTHING
    bursts: BurstWish = NO_BURSTS
    storage: StorageWish = NO_STORAGE
    memories: Memories = Memories.AUTO
    """AUTO: of GPUs where NCCL carries it, and else of hosts."""


def plan_for_probe(single: SingleProbe) -> Plan:
    """Return the plan; raise PlanError for an unknown probe, type or operator, and for a sweep without sizes."""
    probe = pick("probe", probes(), single.probe)
    if single.storage != NO_STORAGE and single.probe != STORAGE:
        raise PlanError("--storage and --storage-rate are of storage, and of check", remedy="netprobe run storage")
    if single.probe == BURSTS:
        return _plan_of(single, probe, burst_stage(single.bursts, length_ns=DEFAULT_SOAK_NS))
    if not single.bursts.is_empty:
        raise PlanError(
            "--soak, --period, --duty, --size, --buckets, --free-running and --overlap are of bursts",
            remedy="netprobe run bursts",
        )
    if single.probe == STORAGE:
        reads = storage_stage(single.storage, size_bytes=single.end_bytes, phase_ns=single.series_budget_ns)
        return _plan_of(single, probe, reads)
    return _carrying(single, probe, _swept(single, probe))


def _swept(single: SingleProbe, probe: Probe) -> tuple[Stage, ...]:
    """Return a stage for each scope of a probe, over the sizes that were asked for."""
    shape = SHAPES.get(single.probe)
    dtype = _known("datatype", NCCL_DTYPES.get(single.dtype, single.dtype), DTYPES)
    op = _known("operator", single.op, OPS)
    _refuse_excess(single, dtype if shape is not None else "uint8")
    sizes = sweep(single.begin_bytes, single.end_bytes, factor=single.factor, step_bytes=single.step_bytes)
    if single.probe in ("barrier", HOST_NOISE):
        sizes = sizes[:1]  # it moves no data, whatever the size
    if Path.MPI not in probe.paths:
        sizes = datagram_sizes(sizes[0], sizes[-1])
    return tuple(
        Stage(
            id=single.probe if probe.is_group else f"{single.probe}-{scope.value}",
            probe=single.probe,
            scope=scope,
            sizes_bytes=sizes,
            pairing=Pairing.ALL_PAIRS if single.all_pairs else Pairing.SCREENING,
            series_budget_ns=single.series_budget_ns,
            iterations=single.iterations,
            warmup_iterations=single.warmup_iterations,
            check_iterations=single.check_iterations,
            window=single.window,
            dtype="uint8" if shape is None else dtype,
            op=op,
            root=single.root,
            in_place=(False, True) if shape is not None and shape.has_in_place else (False,),
        )
        for scope in probe.scopes
    )


def _plan_of(single: SingleProbe, probe: Probe, stage: Stage) -> Plan:
    """Return the plan of a probe with options of its own, whose one stage has one size."""
    return _carrying(single, probe, (replace(stage, check_iterations=single.check_iterations),))


def _carrying(single: SingleProbe, probe: Probe, stages: tuple[Stage, ...]) -> Plan:
    """Return the plan of stages over the paths, and in the memories, that were asked for."""
    carried = tuple(moved(each, single.memories) for each in _carried(stages, probe, single))
    refuse_unfit(carried, single.memories, single.carriers)
    return Plan(profile=f"run {single.probe}", seed=DEFAULT_SEED, stages=carried)


def _carried(stages: tuple[Stage, ...], probe: Probe, single: SingleProbe) -> tuple[Stage, ...]:
    """Return the stages over what was asked for; PlanError for a collective over RDMA, and for datagrams without."""
    if single.carriers is Carriers.NCCL:
        return _over_nccl(stages, probe, single)
    if Path.MPI not in probe.paths:
        refuse_for_datagrams(single.carriers, single.wish)
        return carried_by(map(over_rdma, stages), single.carriers, single.wish)
    if not probe.is_group and Path.VERBS in probe.paths:
        return carried_by((*stages, over_rdma(stages[-1])), single.carriers, single.wish)
    if single.carriers is Carriers.VERBS:
        pairs = ", ".join(name for name, each in probes().items() if Path.VERBS in each.paths and not each.is_group)
        raise PlanError(f"{probe.id} goes over MPI alone", remedy=f"--transport mpi; over RDMA go {pairs}")
    refuse_idle(single.wish)
    return stages


def _over_nccl(stages: tuple[Stage, ...], probe: Probe, single: SingleProbe) -> tuple[Stage, ...]:
    refuse_idle(single.wish, single.carriers)
    if Path.NCCL not in probe.paths:
        able = ", ".join(name for name, each in probes().items() if Path.NCCL in each.paths)
        raise PlanError(f"{probe.id} does not go over NCCL", remedy=f"--transport mpi; over NCCL go {able}")
    return tuple(map(over_nccl, stages))


def _refuse_excess(single: SingleProbe, dtype: str) -> None:
    """Refuse what no MPI call can carry, and counts that would take more memory than they tell anything."""
    largest_bytes = LARGEST_COUNT * DTYPE_BYTES[dtype]
    if single.end_bytes > largest_bytes and single.carriers is not Carriers.NCCL:
        raise PlanError(
            f"a message of {format_size(single.end_bytes)} of {dtype} exceeds what one MPI call counts",
            remedy="-e 1G",
        )
    if single.iterations is not None and single.iterations > MOST_ITERATIONS:
        raise PlanError(f"{single.iterations} iterations are more than can be kept", remedy=f"-n {MOST_ITERATIONS}")
    if single.window > MOST_WINDOW:
        raise PlanError(f"{single.window} messages in flight exhaust any MPI library", remedy=f"-W {MOST_WINDOW}")


def _known(kind: str, name: str, known: tuple[str, ...]) -> str:
    if name not in known:
        raise PlanError(f"there is no {kind} called {name!r}", remedy=suggestion(name, known))
    return name
