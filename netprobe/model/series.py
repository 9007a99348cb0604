"""One measured series: who, what, how large, and how long each iteration took."""

from dataclasses import dataclass
from enum import StrEnum

from netprobe.model.histogram import Histogram


class Metric(StrEnum):
    """What one sample of a series is, always in nanoseconds."""

    ROUND_TRIP = "round_trip_ns"  # there and back; latency is half of it
    WINDOW = "window_ns"  # one window of messages until its acknowledgement
    OPERATION = "operation_ns"  # one collective, the slowest rank of each iteration
    ARRIVAL = "arrival_ns"  # how long after the first rank this rank entered a collective
    EXIT = "exit_ns"  # how long after the first rank this rank left it
    PIPELINED = "pipelined_ns"  # a whole run of iterations back to back, with nothing between that tells them apart
    TRANSFER = "transfer_ns"  # what one hop of a ring kept its receiver waiting for in an iteration (stats.hops)
    WIRE = "wire_ns"  # of a round trip of a datagram, what passed between the two NICs
    RESPONDING = "responding_ns"  # what the host that was asked took, from its NIC to its NIC
    PROBING = "probing_ns"  # what the host that asked took itself
    STEP = "step_ns"  # a computation and its all-reduces, the slowest rank of each step (model.bursts)
    EXPOSED = (
        "exposed_ns"  # of a step, what it took beyond its computation: the least of all ranks, who waited for nobody
    )
    QUANTUM = "quantum_ns"  # a fixed amount of work, of a rank that does nothing else
    DETOUR = "detour_ns"  # what a quantum took beyond the median, where that is more than the clock of a core varies by
    DETOUR_GAP = "detour_gap_ns"  # from the beginning of one detour to that of the next
    WAKE_LATE = "wake_late_ns"  # how much later than asked for a sleeping rank woke
    ALONE = "alone_ns"  # a round trip while nothing else is sent, before or after load
    LOADED = "loaded_ns"  # a round trip beside flows that load the fabric
    FLOW = "flow_ns"  # a window of one of several flows that are under way together, as its receiver saw it
    REDUCED = "reduced_ns"  # an all-reduce, the slowest rank of each, alone or while hosts read (model.storage)
    READ = "read_ns"  # one block that a host read from a file
    READS = "reads_ns"  # everything that a host read in a round, as one iteration


NOISE_METRICS = (Metric.QUANTUM, Metric.DETOUR, Metric.DETOUR_GAP, Metric.WAKE_LATE)
"""Those of one rank alone, that sends nothing."""

LOAD_METRICS = (Metric.ALONE, Metric.LOADED, Metric.FLOW)
"""Those of rounds that load the fabric on purpose, or are held against such rounds."""

MOVING_METRICS = (
    Metric.ROUND_TRIP, Metric.WINDOW, Metric.OPERATION, Metric.STEP, Metric.REDUCED, *LOAD_METRICS,
)  # fmt: skip
"""Those whose iterations moved bytes that no other series counts."""


class Phase(StrEnum):
    """Warm-up iterations are recorded apart and never enter a statistic."""

    WARMUP = "warmup"
    TIMED = "timed"


@dataclass(frozen=True, slots=True, kw_only=True)
class SlowSample:
    """One of the slowest iterations of a series."""

    iteration: int
    elapsed_ns: int
    at_ns: int | None = None
    """When it began, by rank 0's clock, since the ranks met; None: not told, as in runs of older versions."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """Bytes that arrived wrong at ``rank``; ``peer`` is None for a collective."""

    rank: int
    peer: int | None
    probe: str
    size_bytes: int
    iteration: int
    first_offset_bytes: int
    wrong_bytes: int
    xor_mask: int
    """All differing bits of the wrong 8-byte words, or-ed: which data lines are bad."""
    bit_counts: tuple[int, ...] = ()
    """How often each of these bits differed, the lowest first; empty in runs of a version that did not count them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """The iterations of one operation at one size between one pair, or on all ranks.

    ``src`` is the initiating or sending rank, the rank itself for ARRIVAL, EXIT and NOISE_METRICS, and 0 for OPERATION;
    ``dst`` is None for these and for collectives, but for TRANSFER, which is of a hop within one. ``size_bytes`` is the
    message of a pair, and the nccl-tests size (model.collective) of a collective. ``bytes_per_iteration`` counts what
    crossed from src to dst (both ways for two-way streaming).

    A sample of PIPELINED is a run of ``window`` iterations, timed as a whole by the slowest rank (of a pair: by the
    leader); ``iterations`` are runs, and ``bytes_per_iteration`` is what a run moved.

    STEP is rank 0's as OPERATION is; of bursts, ``round_index`` numbers parts of the stage, a dozen in all, each of
    which has a series of STEP and one of ARRIVAL for each rank; STEP of a number beyond those is of all until then, as
    EXPOSED always is.

    REDUCED is rank 0's as OPERATION is; READ and READS are of the rank that reads for its host, ``size_bytes`` is a
    block, and ``round_index`` says what runs beside (model.storage).
    """

    stage: str
    probe: str
    metric: Metric
    phase: Phase
    round_index: int
    src: int
    dst: int | None
    size_bytes: int
    bytes_per_iteration: int
    window: int
    dtype: str
    op: str | None
    root: int | None
    in_place: bool
    iterations: int
    total_ns: int
    min_ns: int
    max_ns: int
    histogram: Histogram
    slowest: tuple[SlowSample, ...]
    faults: tuple[Fault, ...]
    checked_iterations: int
    """Iterations whose received bytes were compared; 0 means the data was not checked."""
    started_ns: int | None = None
    """When the first iteration began, as in SlowSample."""
    quarters_ns: tuple[int, ...] = ()
    """Medians of the first quarter of the iterations to the last; empty where they are too few, or nobody told."""
    cpu: int | None = None
    """Where a rank stayed while it did NOISE_METRICS; None: it moved, or nobody told."""
