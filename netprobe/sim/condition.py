"""In what condition a fabric is: one value for each part, all well to begin with; faults change the arrays.

A condition is made anew for every run, and belongs to it alone.
"""

from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from netprobe.model.inventory import HostInventory
from netprobe.sim.fabric import Fabric

IntArray = NDArray[np.int64]
FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]

LOSSLESS: Final = 3
LATENCY_SPREAD_NS: Final = 40.0
RATE_SPREAD_RATIO: Final = 0.004
EFFICIENCY: Final = 4096 / (4096 + 82)  # headers of RoCE v2 over IPv4, preamble and gap
QUEUE_PAIR_GBPS: Final = 290.0  # of one queue pair at 400G: 284 to 300 are told (NVIDIA/nccl#2409)
PCIE_GBPS: Final = 430.0  # Gen5 x16, payload


@dataclass(kw_only=True, slots=True, eq=False)
class Condition:
    """What a fabric can do now. Arrays of NICs have shape (nics,), of hosts (hosts,), of uplinks (leaves, spines)."""

    line_gbps: FloatArray
    pcie_gbps: FloatArray
    queue_pair_gbps: FloatArray
    sends_ratio: FloatArray
    """Of what it could send, and receive; 1 when well."""
    receives_ratio: FloatArray
    delivers_ratio: FloatArray
    """Of what its leaf could bring it."""
    late_ns: FloatArray
    """What a NIC adds to each way."""
    loss_out: FloatArray
    """On the way from the NIC to its leaf, and from there to it."""
    loss_in: FloatArray
    loss_up: FloatArray
    """On the links between a leaf and a spine, either way."""
    uplinks: FloatArray
    """Links from each leaf to each spine that carry something."""
    reorders: BoolArray
    """NICs that take packets that overtook for lost."""
    sprayed_ratio: float
    """Of packets between leaves, that overtake others."""
    hashed: bool
    """Whether flows keep to one uplink each (ECMP); else packets are spread over all."""
    foreign_gbps: FloatArray
    """What somebody else sends and receives at each NIC."""
    # ---- hosts
    stall_ratio: FloatArray
    """Of iterations, that a host delays by ``stall_ns``."""
    stall_ns: FloatArray
    waits_ratio: FloatArray
    """Of the time, that ranks of a host wait for a CPU, lose to a quota, or to the hypervisor."""
    throttled_ratio: FloatArray
    stolen_ratio: FloatArray
    arrives_ns: FloatArray
    """How late the ranks of a host come to collectives."""
    # ---- what NICs count
    crc_in: BoolArray
    """Whether what is lost towards a NIC arrives damaged there."""
    corrected_ratio: FloatArray
    link_downs: IntArray
    pauses_idle: FloatArray
    """Share of an idle time for which a NIC tells its leaf to stop."""
    held_after: FloatArray
    """Share of the time after the run for which a NIC is told to stop."""
    stopped_ratio: FloatArray
    """Share of the time under load for which a NIC is told to stop, beyond what all are."""
    stops_ratio: FloatArray
    """Share of the time under load for which a NIC tells its leaf to stop."""
    unpaused: BoolArray
    """NICs whose leaf port does not tell them to stop."""
    loses_loaded: FloatArray
    """Share of packets that are lost on the way from a NIC when all send at once."""
    drops_loaded: FloatArray
    """Share of packets that the leaf drops in front of a NIC when all send at once."""
    blocks_ratio: FloatArray
    """Of leaves: what a flow from another leaf loses of its rate while some other NIC of the leaf is hot."""
    collapses_ratio: FloatArray
    """Share of a NIC's goodput that is lost when four or more send to it."""
    storage_slows_ratio: float = 0.0
    """Share of its rate that an all-reduce loses beside reads from storage."""
    storage_starves_ratio: float = 0.0
    """Share of their rate that reads lose beside an all-reduce."""
    priority: IntArray
    """In which a NIC's traffic goes, and for which it has flow control."""
    pause_priority: IntArray
    answers_marks: BoolArray
    heeds_notifications: BoolArray
    unmarked: BoolArray
    """NICs whose leaf marks nothing."""
    rnr_ratio: FloatArray
    # ---- reach
    path_mtu: FloatArray
    """Largest packet that passes between a NIC and its leaf."""
    cut: list[tuple[set[int], set[int]]] = field(default_factory=list)
    """Groups of NICs that do not reach each other."""
    refuses: dict[int, str] = field(default_factory=dict)
    """NICs that make no queue pair, and what the system says."""
    misaddressed: BoolArray
    missing: BoolArray
    dead: dict[int, str] = field(default_factory=dict)
    """Hosts that stop in the middle of the run, and how."""
    corrupts: dict[int, int] = field(default_factory=dict)
    """NICs that flip a bit of what they receive, and which."""
    never_met: str | None = None
    """Why no rank could be started."""
    inventories: tuple[HostInventory, ...] = ()


def healthy(fabric: Fabric, random: np.random.Generator) -> Condition:
    """Return a fabric in which all is well: parts differ a little, as parts do."""
    nics, hosts = fabric.nics, len(fabric.hosts)

    def nothing() -> FloatArray:
        return np.zeros(nics)

    return Condition(
        line_gbps=np.full(nics, fabric.line_gbps),
        pcie_gbps=np.full(nics, PCIE_GBPS) * np.exp(random.normal(0.0, RATE_SPREAD_RATIO, nics)),
        queue_pair_gbps=np.full(nics, QUEUE_PAIR_GBPS) * np.exp(random.normal(0.0, RATE_SPREAD_RATIO, nics)),
        sends_ratio=np.ones(nics),
        receives_ratio=np.ones(nics),
        delivers_ratio=np.ones(nics),
        late_ns=np.abs(random.normal(0.0, LATENCY_SPREAD_NS, nics)),
        loss_out=nothing(),
        loss_in=nothing(),
        loss_up=np.zeros((len(fabric.leaves), len(fabric.spines))),
        uplinks=fabric.uplinks.astype(np.float64),
        reorders=np.zeros(nics, dtype=bool),
        sprayed_ratio=0.02,
        hashed=False,
        foreign_gbps=nothing(),
        stall_ratio=random.uniform(1e-5, 5e-5, hosts),
        stall_ns=random.uniform(15_000.0, 40_000.0, hosts),
        waits_ratio=random.uniform(1e-5, 3e-4, hosts),
        throttled_ratio=np.zeros(hosts),
        stolen_ratio=np.zeros(hosts),
        arrives_ns=np.abs(random.normal(0.0, 300.0, hosts)),
        crc_in=np.ones(nics, dtype=bool),
        corrected_ratio=10 ** random.uniform(-8.5, -7.5, nics),
        link_downs=np.zeros(nics, dtype=np.int64),
        pauses_idle=nothing(),
        held_after=nothing(),
        stopped_ratio=nothing(),
        stops_ratio=nothing(),
        unpaused=np.zeros(nics, dtype=bool),
        loses_loaded=nothing(),
        drops_loaded=nothing(),
        blocks_ratio=np.zeros(len(fabric.leaves)),
        collapses_ratio=nothing(),
        priority=np.full(nics, LOSSLESS),
        pause_priority=np.full(nics, LOSSLESS),
        answers_marks=np.ones(nics, dtype=bool),
        heeds_notifications=np.ones(nics, dtype=bool),
        unmarked=np.zeros(nics, dtype=bool),
        rnr_ratio=nothing(),
        path_mtu=np.full(nics, 9000.0),
        misaddressed=np.zeros(nics, dtype=bool),
        missing=np.zeros(nics, dtype=bool),
    )
