"""Stages of bursts: how many rounds they have, and what may be asked for."""

from dataclasses import dataclass, replace
from typing import Final

from netprobe.errors import PlanError
from netprobe.model.bursts import BURSTS, BurstOptions
from netprobe.model.plan import DTYPE_BYTES, Plan, Scope, Stage
from netprobe.units import NS_PER_MS, NS_PER_S, NS_PER_US, format_duration, format_size

SHORTEST_PERIOD_NS: Final = 100 * NS_PER_US
LONGEST_PERIOD_NS: Final = 60 * NS_PER_S
LONGEST_NS: Final = 7 * 24 * 3600 * NS_PER_S
MOST_BUCKETS: Final = 1024
DTYPE: Final = "float32"
DEFAULT_PERIOD_NS: Final = 100 * NS_PER_MS  # steps of large models take from 0.1 s to some seconds
DEFAULT_COMPUTE_RATIO: Final = 0.5
DEFAULT_BYTES: Final = 64 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class BurstWish:
    """What was asked for, converted; None: nothing was said of it."""

    length_ns: int | None = None
    period_ns: int | None = None
    compute_ratio: float | None = None
    size_bytes: int | None = None
    buckets: int | None = None
    is_free_running: bool = False
    overlaps: bool = False

    @property
    def is_empty(self) -> bool:
        """Whether nothing was said at all."""
        return self == NO_BURSTS


NO_BURSTS: Final = BurstWish()


def burst_stage(wish: BurstWish, *, length_ns: int) -> Stage:
    """Return the stage, as long as ``length_ns`` where the wish says nothing; PlanError for what cannot be."""
    period_ns = DEFAULT_PERIOD_NS if wish.period_ns is None else wish.period_ns
    ratio = DEFAULT_COMPUTE_RATIO if wish.compute_ratio is None else wish.compute_ratio
    length_ns = length_ns if wish.length_ns is None else wish.length_ns
    size_bytes = DEFAULT_BYTES if wish.size_bytes is None else wish.size_bytes
    buckets = 1 if wish.buckets is None else wish.buckets
    _refuse(period_ns, ratio, length_ns, size_bytes, buckets)
    return Stage(
        id=BURSTS,
        probe=BURSTS,
        scope=Scope.WORLD,
        sizes_bytes=(size_bytes // DTYPE_BYTES[DTYPE] * DTYPE_BYTES[DTYPE],),
        dtype=DTYPE,
        bursts=BurstOptions(
            period_ns=period_ns,
            compute_ratio=ratio,
            length_ns=length_ns,
            buckets=buckets,
            is_free_running=wish.is_free_running,
            overlaps=wish.overlaps,
        ),
    )


def with_soak(plan: Plan, wish: BurstWish) -> Plan:
    """Return a plan with bursts as asked for behind all else, in place of its own; the same plan without a wish."""
    if wish.is_empty:
        return plan
    if wish.length_ns is None:
        raise PlanError("nothing says how long bursts are to last", remedy="--soak 20m")
    others = tuple(stage for stage in plan.stages if stage.bursts is None)
    return replace(plan, stages=(*others, burst_stage(wish, length_ns=wish.length_ns)))


def _refuse(period_ns: int, ratio: float, length_ns: int, size_bytes: int, buckets: int) -> None:
    if not SHORTEST_PERIOD_NS <= period_ns <= LONGEST_PERIOD_NS:
        raise PlanError(
            f"--period: a step of {format_duration(period_ns)} is not between {format_duration(SHORTEST_PERIOD_NS)} "
            f"and {format_duration(LONGEST_PERIOD_NS)}",
            remedy="--period 100ms",
        )
    if not 0 <= ratio < 1:
        raise PlanError(
            f"--duty: {ratio:g} of a period leaves no time to communicate, or is no share of it", remedy="--duty 0.5"
        )
    if not period_ns <= length_ns <= LONGEST_NS:
        raise PlanError(
            f"--soak: {format_duration(length_ns)} is shorter than one step, or longer than a week", remedy="--soak 20m"
        )
    count = size_bytes // DTYPE_BYTES[DTYPE]
    if count < 1 or count >= 1 << 31:
        raise PlanError(f"--size: {format_size(size_bytes)} is less than one float, or exceeds 2^31", remedy="64M")
    if not 1 <= buckets <= min(MOST_BUCKETS, count):
        raise PlanError(f"--buckets: {buckets} is not between 1 and {min(MOST_BUCKETS, count)}", remedy="--buckets 4")
