"""What is to be measured, before anybody knows on which ranks."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from netprobe.model.rdma import RdmaOptions

FLOAT_DTYPES = ("float16", "bfloat16", "float32", "float64")
INT_DTYPES = ("int8", "uint8", "int32", "uint32", "int64", "uint64")
DTYPES = (*INT_DTYPES, *FLOAT_DTYPES)
OPS = ("sum", "prod", "max", "min")
DTYPE_BYTES = {
    "int8": 1, "uint8": 1, "int32": 4, "uint32": 4, "int64": 8, "uint64": 8,
    "float16": 2, "bfloat16": 2, "float32": 4, "float64": 8,
}  # fmt: skip


REACH: Final = "reach"
"""The probe that sends datagrams instead of a stream, and that MPI cannot carry."""


class Scope(StrEnum):
    """Which ranks talk to which."""

    WITHIN_HOST = "within-host"
    BETWEEN_HOSTS = "between-hosts"
    WORLD = "world"


class Path(StrEnum):
    """What carries the messages."""

    MPI = "mpi"
    VERBS = "verbs"


class Carriers(StrEnum):
    """What is wanted to carry the messages of a plan."""

    AUTO = "auto"  # MPI, and RDMA wherever there are devices
    MPI = "mpi"
    VERBS = "verbs"


class Pairing(StrEnum):
    """How pairs are drawn."""

    SCREENING = "screening"  # k random rounds of disjoint pairs
    ALL_PAIRS = "all-pairs"  # every pair once, by the circle method


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """One probe on one scope; ends with everything gathered and written."""

    id: str
    probe: str
    scope: Scope
    sizes_bytes: tuple[int, ...]
    pairing: Pairing = Pairing.SCREENING
    matchings: int = 3
    """Random matchings of a screening: each host meets this many partners in each direction."""
    series_budget_ns: int = 50_000_000
    """Time for the timed iterations of one size in one round."""
    iterations: int | None = None
    """A fixed count instead of the time budget."""
    warmup_iterations: int = 5
    check_iterations: int = 1
    """Iterations with a fresh pattern each, sent and compared outside the timed span; 0 switches the check off."""
    window: int = 64
    dtype: str = "uint8"
    op: str = "sum"
    root: int = 0
    in_place: tuple[bool, ...] = (False,)
    path: Path = Path.MPI
    rdma: RdmaOptions | None = None
    """How, where the path is verbs."""
    rounds: tuple[tuple[tuple[int, int], ...], ...] = ()
    """Fixed rounds of directed rank pairs, for a stage that follows from what others showed; empty: drawn."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A profile made concrete: stages in order."""

    profile: str
    seed: int
    stages: tuple[Stage, ...]
    transport: str = "mpi"
    """Who starts the ranks and lets them agree."""
    budget_ns: int | None = None
