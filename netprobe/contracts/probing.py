"""What a probe is, and what it works with."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from netprobe.contracts.memory import Buffer
from netprobe.contracts.session import Control
from netprobe.contracts.transport import Datagrams, Stamps, Transport
from netprobe.model.bursts import StepBin
from netprobe.model.counters import DatagramCounts
from netprobe.model.finding import Gap
from netprobe.model.plan import Path as Carrier
from netprobe.model.plan import Scope, Stage
from netprobe.model.rdma import PairFailure
from netprobe.model.series import Series


@dataclass(slots=True)
class Kept:
    """What a probe keeps on its rank from one round of a stage to the next; empty when a stage begins."""

    value: object = None
    is_over: bool = False
    """Set where the rounds that are left need not be run: on all ranks or none."""


class CpuMeter(Protocol):
    """What the calling thread sees of its own CPU while it sends nothing; the GIL is free meanwhile.

    Both return how many values they wrote, the CPU at the start and at the end (-1: not told), and a check value.
    """

    def quanta(self, steps: int, budget_ns: int, stamps: Stamps, /) -> tuple[int, int, int, int]:
        """Work in quanta of so many steps until the time or the array is spent; stamps as of a series."""
        ...

    def wakes(self, period_ns: int, budget_ns: int, late_ns: Stamps, /) -> tuple[int, int, int, int]:
        """Sleep again and again until the time or the array is spent, and write how late each sleep ended."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """What a probe works with on its rank."""

    transport: Transport
    control: Control
    seed: int
    memory: Callable[[str, int], Buffer]
    """Return this rank's buffer of a role ("send", "receive") with at least so many bytes; reused between calls."""
    to_reference_ns: Callable[[Stamps], NDArray[np.float64]]
    """This rank's stamps on rank 0's clock, as ns since ``epoch_ns`` of that clock."""
    datagrams: Datagrams | None = None
    """Where the stage goes over RDMA, and this rank has it."""
    undivided: Transport | None = None
    """The same transport, whose series have nothing between iterations and two stamps, before the first and after the
    last; None where a stamp after each costs what moves the data nothing."""
    kept: Kept = field(default_factory=Kept)
    meter: CpuMeter | None = None
    """Of this rank's CPU; None: the CPU itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Assignment:
    """What this rank does in one round: its peer and role, or nothing (an odd rank out)."""

    round_index: int
    peer: int | None
    leads: bool
    sends_to: tuple[int, ...] = ()
    """Whom this rank loads the fabric with, or is loaded by; none for all probes but those of load."""
    receives_from: tuple[int, ...] = ()
    has_flows: bool = False
    """Whether anybody loads the fabric in this round."""


ProbeResult = Series | Gap | PairFailure | DatagramCounts | StepBin
"""What a probe may tell of a round."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """A kind of measurement. ``run`` is called by every rank of the world for every round of a stage."""

    id: str
    title: str
    is_group: bool
    """True when all ranks work together; False for pairs."""
    both_directions: bool
    """Pair probes: whether (i, j) and (j, i) are different measurements."""
    scopes: tuple[Scope, ...]
    run: Callable[[Bench, Stage, Assignment], Sequence[ProbeResult]]
    paths: tuple[Carrier, ...] = (Carrier.MPI, Carrier.VERBS, Carrier.NCCL)
    """What may carry it; pair probes alone go over verbs."""
    is_load: bool = False
    """True when its rounds hold flows that load the fabric (plan.loads), beside pairs or without."""
