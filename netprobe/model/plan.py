"""What is to be measured, before anybody knows on which ranks."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from netprobe.model.bursts import BurstOptions
from netprobe.model.rdma import RdmaOptions
from netprobe.model.storage import StorageOptions

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


HOST_NOISE: Final = "host_noise"
"""The probe in which every rank works and nobody sends."""
LOADED_LATENCY: Final = "loaded_latency"
INCAST: Final = "incast"
VICTIM: Final = "victim"
PERMUTATION: Final = "permutation"
BISECTION: Final = "bisection"
RAILS: Final = "rails"
LOADS: Final = (LOADED_LATENCY, INCAST, VICTIM, PERMUTATION, BISECTION, RAILS)
"""The probes that load the fabric on purpose: their rounds hold flows (plan.loads)."""
LOAD_PHASES: Final = 3
"""Rounds of a turn in which something is measured alone, beside load, and alone again: drift is then seen."""
LOADED_PHASE: Final = 1


class Scope(StrEnum):
    """Which ranks talk to which."""

    WITHIN_HOST = "within-host"
    BETWEEN_HOSTS = "between-hosts"
    WORLD = "world"


class Path(StrEnum):
    """What carries the messages."""

    MPI = "mpi"
    VERBS = "verbs"
    NCCL = "nccl"

    @property
    def label(self) -> str:
        """What readers call it: ``MPI``, ``RDMA``, ``NCCL``."""
        return "RDMA" if self is Path.VERBS else self.value.upper()

    @property
    def prefix(self) -> str:
        """What stands in front of what it carries: nothing for MPI, which is the usual one."""
        return "" if self is Path.MPI else f"{self.label} "

    @property
    def layer(self) -> str:
        """What it is called among layers: ``verbs``, ``MPI``, ``NCCL``."""
        return self.value if self is Path.VERBS else self.label


class Memory(StrEnum):
    """Where the bytes under test lie."""

    HOST = "host"
    DEVICE = "device"  # of a GPU
    PINNED = "pinned"  # the host's, locked in place for the GPU's copy engines
    MANAGED = "managed"  # moved between host and GPU by the driver

    @property
    def needs_gpu(self) -> bool:
        """Whether only the driver of a GPU can give it."""
        return self is not Memory.HOST

    @property
    def label(self) -> str:
        """What readers call it, before the word memory."""
        return "GPU" if self is Memory.DEVICE else self.value


def memory_title(send: Memory, receive: Memory) -> str:
    """Return ``GPU memory``, or ``GPU → host`` where the two ends differ."""
    return f"{send.label} memory" if send is receive else f"{send.label} → {receive.label}"


class Carriers(StrEnum):
    """What is wanted to carry the messages of a plan."""

    AUTO = "auto"  # MPI, RDMA wherever there are devices, and NCCL wherever there are GPUs
    MPI = "mpi"
    VERBS = "verbs"
    NCCL = "nccl"


class Memories(StrEnum):
    """Where messages of a plan are wanted to lie."""

    AUTO = "auto"  # in the host's memory, and in that of GPUs wherever there are any
    HOST = "host"
    DEVICE = "device"
    PINNED = "pinned"
    MANAGED = "managed"


@dataclass(frozen=True, slots=True, kw_only=True)
class GpuPlace:
    """The GPU and the NIC of one rank of each host, where somebody says so."""

    ordinal: int
    """As CUDA numbers what the rank may see."""
    nic: str | None = None
    """An RDMA port, as in ``mlx5_0``; None: the nearest."""


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
    send_memory: Memory = Memory.HOST
    """What messages are sent from."""
    receive_memory: Memory = Memory.HOST
    """What they are received into."""
    bursts: BurstOptions | None = None
    """How its steps follow each other, where it is of bursts: then it has a round for each second."""

    storage: StorageOptions | None = None
    """What hosts read beside its all-reduces, where that is what it is about."""
    load_bytes: int = 1 << 20
    """A message of the flows beside which latency is measured; of other loads ``sizes_bytes`` are theirs."""

    @property
    def needs_gpu(self) -> bool:
        """Whether each of its ranks must have a GPU."""
        return self.path is Path.NCCL or self.send_memory.needs_gpu or self.receive_memory.needs_gpu


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A profile made concrete: stages in order."""

    profile: str
    seed: int
    stages: tuple[Stage, ...]
    transport: str = "mpi"
    """Who starts the ranks and lets them agree."""
    budget_ns: int | None = None
    false_blame: float | None = None
    """Below which probability a good host may have nothing but bad partners; None: nobody asked, stages say how many
    partners there are."""
    dropped: tuple[str, ...] = ()
    """What was left out to keep to the budget, in words; empty: nothing was."""
    gpu_map: tuple[GpuPlace, ...] = ()
    """By place of the rank on its host; empty: rank k takes the k-th GPU, and the nearest NIC."""
