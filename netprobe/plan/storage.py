"""The stage in which hosts read from a file system beside all-reduces, and what may be asked for."""

import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from netprobe.errors import PlanError
from netprobe.model.plan import DTYPE_BYTES, Plan, Scope, Stage
from netprobe.model.storage import BLOCK_BYTES, FEWEST_BLOCKS, STORAGE, StorageOptions
from netprobe.units import NS_PER_S, format_duration, format_size

DTYPE: Final = "float32"
DEFAULT_BYTES: Final = 8 << 20
PHASE_NS: Final = 2 * NS_PER_S  # of each of five: file systems need some tenths of a second until reads flow
LARGEST_COUNT: Final = 2**31 - 1
FASTEST_BYTES_PER_S: Final = 10**12  # beyond all NICs of any host


@dataclass(frozen=True, slots=True, kw_only=True)
class StorageWish:
    """What was asked for, converted; None: nothing was said of it."""

    path: str | None = None
    rate_bytes_per_s: int | None = None


NO_STORAGE: Final = StorageWish()


def storage_stage(wish: StorageWish, *, size_bytes: int = DEFAULT_BYTES, phase_ns: int = PHASE_NS) -> Stage:
    """Return the stage; PlanError for a wish that names no file, or a rate at which nothing is read."""
    if wish.path is None:
        raise PlanError("nothing says which file hosts read", remedy="--storage /path/of/a/large/file")
    path = str(Path(wish.path).absolute())
    _refuse_nameless(path)
    if wish.rate_bytes_per_s is not None:
        _refuse_rate(wish.rate_bytes_per_s, phase_ns)
    elements = size_bytes // DTYPE_BYTES[DTYPE]
    if not 1 <= elements <= LARGEST_COUNT:
        raise PlanError(f"-e: {format_size(size_bytes)} is less than one float, or exceeds 2^31", remedy="-e 8M")
    return Stage(
        id=STORAGE,
        probe=STORAGE,
        scope=Scope.WORLD,
        sizes_bytes=(elements * DTYPE_BYTES[DTYPE],),
        dtype=DTYPE,
        series_budget_ns=phase_ns,
        storage=StorageOptions(path=path, rate_bytes_per_s=wish.rate_bytes_per_s),
    )


def _refuse_nameless(path: str) -> None:
    try:
        path.encode()
    except UnicodeEncodeError as error:
        raise PlanError(
            f"--storage: the name {path!r} is no UTF-8, which run directories are written in",
            remedy="a link to it with another name",
        ) from error


def _refuse_rate(rate_bytes_per_s: int, phase_ns: int) -> None:
    if rate_bytes_per_s * phase_ns < FEWEST_BLOCKS * BLOCK_BYTES * NS_PER_S:
        raise PlanError(
            f"--storage-rate: fewer than {FEWEST_BLOCKS} reads of {format_size(BLOCK_BYTES)} in a round of "
            f"{format_duration(phase_ns)} tell no rate",
            remedy="--storage-rate 2GB/s, or netprobe run storage --series 10s",
        )
    if rate_bytes_per_s > FASTEST_BYTES_PER_S:
        raise PlanError("--storage-rate: more than 1 TB/s, which no host reads", remedy="--storage-rate 2GB/s")


def with_storage(plan: Plan, wish: StorageWish) -> Plan:
    """Return a plan that reads as asked for behind all else; the same plan without a wish."""
    return plan if wish == NO_STORAGE else replace(plan, stages=(*plan.stages, storage_stage(wish)))


def refuse_unreadable(plan: Plan, *, is_here: bool) -> None:
    """Raise PlanError where this host can tell that a file is not fit, before any rank starts.

    ``is_here``: whether ranks run on this host alone; else a file that is not there may be there on others.
    """
    from netprobe.system.storage import unreadable

    for stage in plan.stages:
        if stage.storage is None or not (is_here or os.path.lexists(stage.storage.path)):
            continue
        problem = unreadable(stage.storage.path)
        if problem is not None:
            raise PlanError(f"--storage: {problem}", remedy="a file of some gigabytes that all hosts can read")
