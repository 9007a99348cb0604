"""What ``check`` measures: four profiles, from a laptop's first look to a night of all pairs.

quick      is it alive and sane: one size of each kind, three partners for each host
pretrain   the gate before a job: three partners, the sizes that training uses, the collectives that it waits for
nightly    five partners, every collective, longer series for the tails
deep       all pairs, wide sweeps, reduced precision and in-place variants; for acceptance, not for every day
"""

from collections.abc import Callable
from typing import Final

from netprobe.errors import PlanError
from netprobe.model.collective import SHAPES
from netprobe.model.plan import Pairing, Plan, Scope, Stage
from netprobe.plan.sizes import sweep
from netprobe.units import NS_PER_MS

KIB: Final = 1 << 10
MIB: Final = 1 << 20
PAIR_SCOPES: Final = (Scope.WITHIN_HOST, Scope.BETWEEN_HOSTS)
DEFAULT_SEED: Final = 20_260_101  # any number; fixed, so that two nights draw the same partners and compare


def _pair_stages(probe: str, sizes: tuple[int, ...], **traits: object) -> tuple[Stage, ...]:
    return tuple(
        Stage(id=f"{probe}-{scope.value}", probe=probe, scope=scope, sizes_bytes=sizes, **traits)  # type: ignore[arg-type]
        for scope in PAIR_SCOPES
    )


def _group_stage(probe: str, sizes: tuple[int, ...], **traits: object) -> Stage:
    dtype = "float32" if SHAPES[probe].reduces else "uint8"
    settings: dict[str, object] = {"dtype": dtype, **traits}
    stage_id = "-".join([probe, *([str(traits["dtype"])] if "dtype" in traits else [])])
    return Stage(id=stage_id, probe=probe, scope=Scope.WORLD, sizes_bytes=sizes, **settings)  # type: ignore[arg-type]


def _quick() -> tuple[Stage, ...]:
    budget = 100 * NS_PER_MS
    return (
        *_pair_stages("latency", (8, 4 * KIB), series_budget_ns=budget),
        *_pair_stages("bandwidth", (8, 64 * KIB, 4 * MIB), series_budget_ns=budget, window=16),
        *_pair_stages("bidirectional", (4 * MIB,), series_budget_ns=budget, window=16),
        _group_stage("allreduce", (8, 64 * KIB, 4 * MIB), series_budget_ns=budget),
        _group_stage("barrier", (8,), series_budget_ns=budget),
    )


def _pretrain() -> tuple[Stage, ...]:
    budget = 200 * NS_PER_MS
    return (
        *_pair_stages("latency", (8, 4 * KIB), series_budget_ns=budget),
        *_pair_stages("bandwidth", (8, 64 * KIB, 8 * MIB), series_budget_ns=budget, window=32),
        *_pair_stages("bidirectional", (8 * MIB,), series_budget_ns=budget, window=32),
        _group_stage("barrier", (8,), series_budget_ns=budget),
        _group_stage("allreduce", sweep(8, 64 * MIB, factor=8), series_budget_ns=budget, in_place=(False, True)),
        *(_group_stage(probe, sweep(64 * KIB, 64 * MIB, factor=8), series_budget_ns=budget) for probe in SHARDED),
        _group_stage("sendrecv", (8 * MIB,), series_budget_ns=budget),
    )


def _nightly() -> tuple[Stage, ...]:
    budget = 500 * NS_PER_MS
    return (
        *_pair_stages("latency", (8, 4 * KIB), series_budget_ns=budget, matchings=5),
        *_pair_stages("bandwidth", (8, 64 * KIB, 8 * MIB), series_budget_ns=budget, matchings=5, window=32),
        *_pair_stages("bidirectional", (8 * MIB,), series_budget_ns=budget, matchings=5, window=32),
        *(_group_stage(probe, sweep(8, 128 * MIB, factor=8), series_budget_ns=budget) for probe in SHAPES),
    )


def _deep() -> tuple[Stage, ...]:
    budget = 200 * NS_PER_MS
    all_pairs: dict[str, object] = {"pairing": Pairing.ALL_PAIRS, "series_budget_ns": budget}
    return (
        *_pair_stages("latency", sweep(1, 4 * MIB, factor=4), **all_pairs),
        *_pair_stages("bandwidth", sweep(1, 64 * MIB, factor=4), window=64, **all_pairs),
        *_pair_stages("bidirectional", sweep(64 * KIB, 64 * MIB, factor=8), window=64, **all_pairs),
        *(
            _group_stage(probe, sweep(8, 256 * MIB, factor=4), series_budget_ns=budget, in_place=(False, True))
            for probe in SHAPES
        ),
        *(
            _group_stage("allreduce", sweep(1 * MIB, 64 * MIB, factor=8), series_budget_ns=budget, dtype=dtype)
            for dtype in ("float16", "bfloat16", "float64")
        ),
    )


SHARDED: Final = ("allgather", "reducescatter", "alltoall")
PROFILES: Final[dict[str, Callable[[], tuple[Stage, ...]]]] = {
    "quick": _quick,
    "pretrain": _pretrain,
    "nightly": _nightly,
    "deep": _deep,
}


def plan_for(profile: str, *, budget_ns: int | None = None) -> Plan:
    """Return the plan of a profile; raise PlanError for an unknown one."""
    if profile not in PROFILES:
        raise PlanError(f"there is no profile {profile!r}", remedy=", ".join(PROFILES))
    return Plan(profile=profile, seed=DEFAULT_SEED, stages=PROFILES[profile](), budget_ns=budget_ns)
