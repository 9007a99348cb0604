"""What ``check`` measures: four profiles, from a laptop's first look to a night of all pairs.

quick      is it alive and sane: one size of each kind, three partners for each host
pretrain   the gate before a job: three partners, the sizes that training uses, the collectives that it waits for
nightly    five partners, every collective, longer series for the tails
Small fleets get more partners, where a bad one would be too large a part of them (FALSE_BLAME).
deep       all pairs, wide sweeps, reduced precision and in-place variants; for acceptance, not for every day

Memory of GPUs comes last in each: a GPU that is lost in the middle ends a run.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Final

from netprobe.errors import PlanError
from netprobe.model.collective import CALLS, SHAPES, TRACED_RING
from netprobe.model.plan import (
    BISECTION,
    HOST_NOISE,
    INCAST,
    LOADED_LATENCY,
    PERMUTATION,
    REACH,
    VICTIM,
    Carriers,
    Memories,
    Memory,
    Pairing,
    Plan,
    Scope,
    Stage,
)
from netprobe.plan.bursts import NO_BURSTS, burst_stage
from netprobe.plan.gpu import in_gpu, in_memory, over_nccl, refuse_unfit
from netprobe.plan.rdma import NOTHING, RdmaWish, carried_by, datagram_sizes, over_rdma
from netprobe.plan.sizes import sweep
from netprobe.units import NS_PER_MS, NS_PER_S

KIB: Final = 1 << 10
MIB: Final = 1 << 20
LESS_COMMON: Final = ("float16", "bfloat16", "float64")
LOAD_BYTES: Final = MIB  # a message of flows that load: large enough for the rate to count, and soon done
LOAD_WINDOW: Final = 8
DEFAULT_SEED: Final = 20_260_101  # any number; fixed, so that two nights draw the same partners and compare
DATAGRAMS_BYTES: Final = datagram_sizes(1, 4 * KIB)  # the smallest, and a whole MTU
RING_BYTES: Final = (32 * MIB,)  # messages of half a megabyte on up to 64 ranks: a hop is told by bandwidth, not clocks
REACH_NS: Final = 50 * NS_PER_MS  # thousands of round trips of a fabric, first of all: what it finds explains the rest


def _pairs(
    probe: str,
    sizes: tuple[int, ...],
    budget_ns: int,
    *,
    window: int = 1,
    matchings: int = 3,
    pairing: Pairing = Pairing.SCREENING,
) -> tuple[Stage, ...]:
    """Return a stage within hosts and one between them."""
    return tuple(
        Stage(
            id=f"{probe}-{scope.value}",
            probe=probe,
            scope=scope,
            sizes_bytes=sizes,
            pairing=pairing,
            matchings=matchings,
            series_budget_ns=budget_ns,
            window=window,
        )
        for scope in (Scope.WITHIN_HOST, Scope.BETWEEN_HOSTS)
    )


def _rdma(
    probe: str, sizes: tuple[int, ...], budget_ns: int, *, window: int = 1, matchings: int = 3
) -> tuple[Stage, ...]:
    """Return a stage over RDMA between hosts; ranks without a device sit it out."""
    return tuple(
        over_rdma(stage)
        for stage in _pairs(probe, sizes, budget_ns, window=window, matchings=matchings)
        if stage.scope is Scope.BETWEEN_HOSTS
    )


def _loads(budget_ns: int, counts: Mapping[str, int]) -> tuple[Stage, ...]:
    """Return stages that load the fabric between hosts, each as often as told; over MPI, whatever that goes over."""
    return tuple(
        Stage(
            id=f"{probe}-{Scope.BETWEEN_HOSTS}",
            probe=probe,
            scope=Scope.BETWEEN_HOSTS,
            sizes_bytes=(8,) if probe == LOADED_LATENCY else (LOAD_BYTES,),
            matchings=count,
            series_budget_ns=budget_ns,
            window=LOAD_WINDOW,
            load_bytes=LOAD_BYTES,
        )
        for probe, count in counts.items()
    )


def _gpu(size_bytes: int, budget_ns: int, *, window: int, matchings: int = 3) -> tuple[Stage, ...]:
    """Return bandwidth of GPUs' memory at one size: by MPI, by RDMA from and to either memory, and by NCCL.

    Ranks without a GPU sit it out. Together with the host's memory over RDMA that is GPUDirect's two by two test.
    """
    within, between = _pairs("bandwidth", (size_bytes,), budget_ns, window=window, matchings=matchings)
    (rdma,) = _rdma("bandwidth", (size_bytes,), budget_ns, window=window, matchings=matchings)
    return (
        in_gpu(within),
        in_gpu(between),
        in_gpu(rdma),
        in_gpu(rdma, Memory.DEVICE, Memory.HOST),
        in_gpu(rdma, Memory.HOST, Memory.DEVICE),
        over_nccl(within),
        over_nccl(between),
    )


def _nccl(probes: tuple[str, ...], sizes: tuple[int, ...], budget_ns: int) -> tuple[Stage, ...]:
    """Return collectives over NCCL, on all ranks."""
    return tuple(over_nccl(_group(probe, sizes, budget_ns)) for probe in probes)


def _group(
    probe: str, sizes: tuple[int, ...], budget_ns: int, *, in_place: bool = False, dtype: str | None = None
) -> Stage:
    """Return a stage of a collective on all ranks: out of place, and on request in place as well."""
    return Stage(
        id=probe if dtype is None else f"{probe}-{dtype}",
        probe=probe,
        scope=Scope.WORLD,
        sizes_bytes=sizes,
        series_budget_ns=budget_ns,
        dtype=dtype or ("float32" if SHAPES[probe].reduces else "uint8"),
        in_place=(False, True) if in_place else (False,),
    )


def _bursts(length_ns: int) -> Stage:
    """Return steps like those of training, on all ranks."""
    return burst_stage(NO_BURSTS, length_ns=length_ns)


def _host_noise(budget_ns: int) -> Stage:
    """Return the stage in which ranks send nothing: early, for it compares clocks as well."""
    return Stage(
        id=HOST_NOISE, probe=HOST_NOISE, scope=Scope.WORLD, sizes_bytes=(8,), series_budget_ns=budget_ns,
        check_iterations=0,
    )  # fmt: skip


def _quick() -> tuple[Stage, ...]:
    budget_ns = 100 * NS_PER_MS
    return (
        *_pairs("latency", (8, 4 * KIB), budget_ns),
        _host_noise(budget_ns),
        *_pairs("bandwidth", (8, 64 * KIB, MIB), budget_ns, window=8),
        *_pairs("bidirectional", (MIB,), budget_ns, window=8),
        *_rdma(REACH, DATAGRAMS_BYTES, REACH_NS),
        *_rdma("latency", (8, 4 * KIB), budget_ns),
        *_rdma("bandwidth", (64 * KIB, MIB, 8 * MIB), budget_ns, window=32),
        *_rdma("bidirectional", (MIB,), budget_ns, window=32),
        _group("allreduce", (8, 64 * KIB, MIB), budget_ns),
        _group("barrier", (8,), budget_ns),
        *_gpu(8 * MIB, budget_ns, window=16),  # the smallest at which NCCL is held against the layers below
        *_nccl(("allreduce",), (8, 64 * KIB, 16 * MIB), budget_ns),
    )


def _pretrain() -> tuple[Stage, ...]:
    budget_ns = 200 * NS_PER_MS
    return (
        *_pairs("latency", (8, 4 * KIB), budget_ns),
        _host_noise(budget_ns),
        *_pairs("bandwidth", (8, 64 * KIB, 8 * MIB), budget_ns, window=32),
        *_pairs("bidirectional", (8 * MIB,), budget_ns, window=32),
        *_rdma(REACH, DATAGRAMS_BYTES, REACH_NS),
        *_rdma("latency", (8, 4 * KIB), budget_ns),
        *_rdma("bandwidth", (8, 64 * KIB, 8 * MIB), budget_ns, window=64),
        *_rdma("bidirectional", (8 * MIB,), budget_ns, window=64),
        _group("barrier", (8,), budget_ns),
        _group("allreduce", sweep(8, 64 * MIB, factor=8), budget_ns, in_place=True),
        *(_group(probe, sweep(64 * KIB, 64 * MIB, factor=8), budget_ns) for probe in SHARDED),
        _group(TRACED_RING, RING_BYTES, budget_ns),
        _group("sendrecv", (8 * MIB,), budget_ns),
        _bursts(5 * NS_PER_S),
        *_loads(budget_ns // 2, {LOADED_LATENCY: 1, INCAST: 1, VICTIM: 1}),
        *_gpu(8 * MIB, budget_ns, window=64),
        *_nccl(("allreduce",), sweep(8, 512 * MIB, factor=8), budget_ns),
        *_nccl((*SHARDED, "sendrecv"), sweep(64 * KIB, 64 * MIB, factor=8), budget_ns),
    )


def _nightly() -> tuple[Stage, ...]:
    budget_ns = 500 * NS_PER_MS
    return (
        *_pairs("latency", (8, 4 * KIB), budget_ns, matchings=5),
        _host_noise(budget_ns),
        *_pairs("bandwidth", (8, 64 * KIB, 8 * MIB), budget_ns, matchings=5, window=32),
        *_pairs("bidirectional", (8 * MIB,), budget_ns, matchings=5, window=32),
        *_rdma(REACH, DATAGRAMS_BYTES, REACH_NS, matchings=5),
        *_rdma("latency", (8, 4 * KIB), budget_ns, matchings=5),
        *_rdma("bandwidth", (8, 64 * KIB, 8 * MIB), budget_ns, matchings=5, window=64),
        *_rdma("bidirectional", (8 * MIB,), budget_ns, matchings=5, window=64),
        *(_group(probe, sweep(8, 128 * MIB, factor=8), budget_ns) for probe in CALLS),
        _group(TRACED_RING, RING_BYTES, budget_ns),
        _bursts(15 * NS_PER_S),
        *_loads(budget_ns, {LOADED_LATENCY: 3, INCAST: 4, VICTIM: 3, PERMUTATION: 3, BISECTION: 2}),
        *_gpu(8 * MIB, budget_ns, window=64, matchings=5),
        *_nccl(MOVING, sweep(8, 1024 * MIB, factor=8), budget_ns),
    )


def _deep() -> tuple[Stage, ...]:
    budget_ns = 200 * NS_PER_MS
    every = Pairing.ALL_PAIRS
    return (
        *_pairs("latency", sweep(1, 4 * MIB, factor=4), budget_ns, pairing=every),
        _host_noise(2 * budget_ns),
        *_pairs("bandwidth", sweep(1, 64 * MIB, factor=4), budget_ns, pairing=every, window=64),
        *_pairs("bidirectional", sweep(64 * KIB, 64 * MIB, factor=8), budget_ns, pairing=every, window=64),
        *_all_pairs(_rdma(REACH, DATAGRAMS_BYTES, REACH_NS)),
        *_all_pairs(_rdma("latency", sweep(1, 4 * MIB, factor=4), budget_ns)),
        *_all_pairs(_rdma("bandwidth", sweep(1, 64 * MIB, factor=4), budget_ns, window=128)),
        *_all_pairs(_rdma("bidirectional", sweep(64 * KIB, 64 * MIB, factor=8), budget_ns, window=128)),
        *(_group(probe, sweep(8, 256 * MIB, factor=4), budget_ns, in_place=True) for probe in CALLS),
        _group(TRACED_RING, RING_BYTES, budget_ns),
        *(_group("allreduce", sweep(MIB, 64 * MIB, factor=8), budget_ns, dtype=dtype) for dtype in LESS_COMMON),
        _bursts(30 * NS_PER_S),
        *_loads(budget_ns, {LOADED_LATENCY: 3, INCAST: 32, VICTIM: 8, PERMUTATION: 8, BISECTION: 4}),
        *_all_pairs(_gpu(64 * MIB, budget_ns, window=64)),
        *_nccl(MOVING, sweep(8, 2048 * MIB, factor=4), budget_ns),
    )


def _all_pairs(stages: tuple[Stage, ...]) -> tuple[Stage, ...]:
    return tuple(replace(stage, pairing=Pairing.ALL_PAIRS) for stage in stages)


MOVING: Final = tuple(probe for probe in CALLS if probe != "barrier")
SHARDED: Final = ("allgather", "reducescatter", "alltoall")
PROFILES: Final[dict[str, Callable[[], tuple[Stage, ...]]]] = {
    "quick": _quick,
    "pretrain": _pretrain,
    "nightly": _nightly,
    "deep": _deep,
}
FALSE_BLAME: Final = {"quick": 1e-2, "pretrain": 1e-3, "nightly": 1e-4}
"""Of one good host: that all of its partners are bad, with two of a hundred hosts bad. What is blamed falsely is met
again in the second pass, so that a first look may be wrong more often than the gate before a job; deep has all pairs.
"""


def plan_for(
    profile: str,
    *,
    budget_ns: int | None = None,
    all_pairs: bool = False,
    carriers: Carriers = Carriers.AUTO,
    wish: RdmaWish = NOTHING,
    memories: Memories = Memories.AUTO,
) -> Plan:
    """Return the plan of a profile; raise PlanError for an unknown one, and for a wish that cannot be."""
    if profile not in PROFILES:
        raise PlanError(f"there is no profile {profile!r}", remedy=", ".join(PROFILES))
    stages = in_memory(carried_by(PROFILES[profile](), carriers, wish), memories)
    refuse_unfit(stages, memories, carriers)
    if all_pairs:
        stages = _all_pairs(stages)
    return Plan(
        profile=profile,
        seed=DEFAULT_SEED,
        stages=stages,
        budget_ns=budget_ns,
        false_blame=FALSE_BLAME.get(profile),
    )
