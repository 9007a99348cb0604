"""What gpudirect-off knows from measuring: RDMA in the four combinations of host and GPU memory, rank by rank.

A rank is named by pairs whose other end used its host memory. Pairs that are slow from GPU to GPU alone name nobody.
"""

import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Final

from netprobe.detectors._comparable import is_crowded, is_hardware, of_both
from netprobe.detectors._fleet import alike
from netprobe.detectors._line_rates import FEWEST_BYTES
from netprobe.detectors._words import MOST_FACTS, is_common, listed, percent, size_title
from netprobe.locate.gpu_memory import (
    COMBINATIONS,
    GpuCost,
    GpuPair,
    gpu_costs,
    gpu_pairs,
    measured_combinations,
)
from netprobe.locate.gpu_nics import NearestNics, nearest_nics
from netprobe.locate.layers import LayerTable, layer_tables
from netprobe.locate.pci_distance import PciDistance, pci_distance
from netprobe.locate.placement import Placement, placement_of
from netprobe.model.evidence import Evidence
from netprobe.model.finding import Confidence, Fact, Finding, Gap, Severity
from netprobe.model.inventory import HostInventory, PciDevice
from netprobe.model.limits import Limits
from netprobe.model.plan import Path, memory_title
from netprobe.units import format_gbps

SURE_WITH_PAIRS: Final = 2
WAYS: Final = {True: "sends from", False: "receives into"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a rank's GPU and NIC are; None where that is not known."""

    gpu: str | None
    nic: str | None
    distance: PciDistance | None

    def __str__(self) -> str:
        distance = "" if self.distance is None else f" ({self.distance.name})"
        return f"GPU {self.gpu or 'not known'} and {self.nic or 'a NIC that is not known'}{distance}"

    @property
    def is_far(self) -> bool:
        """Whether what goes between them crosses a root complex."""
        return self.distance is not None and self.distance >= PciDistance.PHB


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class GpuMemory:
    """What was measured of GPU memory over RDMA between hosts, on hardware, with CPUs for all ranks."""

    limits: Limits
    placement: Placement
    inventories: Mapping[str, HostInventory]
    gpu_of: Mapping[int, str]
    """Address on the bus, by rank."""
    nic_of: Mapping[int, str]
    table: LayerTable | None
    """None where no bandwidth was measured between hosts, at sizes that tell of it."""
    costs: Mapping[str, Sequence[GpuCost]]
    """By host, the worst first."""
    slow: Mapping[str, Sequence[GpuCost]]
    """Those of them that are below the limit."""
    pairs: tuple[GpuPair, ...]
    was_bandwidth_measured: bool
    """Between hosts, over whatever path."""

    @property
    def title(self) -> str:
        """What the figures are of."""
        return "" if self.table is None else f"RDMA bandwidth {size_title(self.table.size_bytes)}"

    def place(self, rank: int) -> Place:
        """Return where a rank's GPU and NIC are."""
        inventory = self.inventories.get(self.placement.host(rank))
        gpu, nic = self._gpu(rank), None
        if inventory is not None:
            ports = (each for each in inventory.rdma_ports if each.name == self.nic_of.get(rank))
            nic = next((inventory.pci_device(port.pci) for port in ports), None)
        distance = None if gpu is None or nic is None else pci_distance(gpu, nic)
        return Place(gpu=self.gpu_of.get(rank), nic=self.nic_of.get(rank), distance=distance)

    def nearest(self, rank: int) -> NearestNics | None:
        """Return the NICs nearest to a rank's GPU, whichever it uses."""
        inventory, gpu = self.inventories.get(self.placement.host(rank)), self._gpu(rank)
        return None if inventory is None or gpu is None else nearest_nics(gpu, inventory)

    def _gpu(self, rank: int) -> PciDevice | None:
        inventory = self.inventories.get(self.placement.host(rank))
        return None if inventory is None else inventory.pci_device(self.gpu_of.get(rank))

    def facts(self, hosts: Iterable[str]) -> Iterator[Fact]:
        """Yield what was measured of hosts, the worst first."""
        for cost in sorted((cost for host in hosts for cost in self.costs.get(host, ())), key=_ratio):
            yield Fact(
                metric=f"{self.placement.name(cost.rank)} {WAYS[cost.sends]} GPU memory; {self.place(cost.rank)}",
                observed=f"{format_gbps(cost.gpu_gbps)} ({percent(cost.ratio)})",
                expected=f"at least {format_gbps(self.limits.gpudirect_ratio * cost.host_gbps)}",
                basis=f"{percent(self.limits.gpudirect_ratio)} of host memory on the same pairs "
                f"({cost.pairs}, {self.title})",
            )

    def told(self, hosts: Iterable[str]) -> str:
        """Return what was measured of hosts that are slow, in a few words; nothing where none is."""
        costs = [cost for host in hosts for cost in self.slow.get(host, ())]
        ratios = {way: [each.ratio for each in costs if each.sends is sends] for sends, way in WAYS.items()}
        phrases = [f"{way} GPU memory at {_span(own)}" for way, own in ratios.items() if own]
        return f"{' and '.join(phrases)} of host memory's rate" if phrases else ""


def gpu_memory_of(evidence: Evidence, limits: Limits) -> GpuMemory:
    """Return what was measured of GPU memory over RDMA."""
    placement = placement_of(evidence.ranks)
    tables = [_of_large(each) for each in layer_tables(evidence.pairs) if not each.is_latency]
    table = next((each for each in tables if each.layers), None)
    costs: list[GpuCost] = []
    pairs: tuple[GpuPair, ...] = ()
    if table is not None:
        able = of_both(table, is_hardware(evidence) & ~is_crowded(evidence))
        costs, pairs = sorted(gpu_costs(table, able), key=_ratio), gpu_pairs(table, able)
    return GpuMemory(
        limits=limits,
        placement=placement,
        inventories=evidence.inventories,
        gpu_of={each.rank: each.pci for each in evidence.gpus},
        nic_of={each.rank: each.name for each in evidence.endpoints},
        table=table,
        costs=alike(costs, lambda each: placement.host(each.rank)),
        slow=alike((each for each in costs if each.ratio < limits.gpudirect_ratio),
                   lambda each: placement.host(each.rank)),
        pairs=pairs,
        was_bandwidth_measured=bool(tables),
    )  # fmt: skip


def measured_findings(
    detector: str, memory: GpuMemory, told: Iterable[str], warned: Iterable[str]
) -> Iterator[Finding]:
    """Yield hosts that are slow with their GPUs' memory, but for those whose settings tell why, and what is left.

    ``warned``: hosts whose settings may tell why, and do not slow GPUs down on their own.
    """
    slow, told = memory.slow, set(told)
    settled = {*told, *warned}
    by_reach: dict[bool | None, list[str]] = {}
    for host, costs in slow.items():
        if host not in settled:
            by_reach.setdefault(_crosses(memory, costs), []).append(host)
    for crosses, hosts in by_reach.items():
        yield _of_hosts(detector, memory, hosts, crosses)
    named = {*told, *slow}
    ratio = memory.limits.gpudirect_ratio
    left = [
        each
        for each in memory.pairs
        if each.ratio < ratio and named.isdisjoint((memory.placement.host(each.src), memory.placement.host(each.dst)))
    ]
    if left:
        yield _of_pairs(detector, memory, left)


def unmeasured(detector: str, memory: GpuMemory, hosts: Sequence[str]) -> Iterator[Gap]:
    """Yield which of the four combinations were not measured, where ``hosts`` have GPUs and NICs."""
    if not hosts or not memory.was_bandwidth_measured:
        return
    done = () if memory.table is None else measured_combinations(memory.table)
    missing = [each for each in COMBINATIONS if each not in done]
    if missing:
        what = ", ".join(memory_title(*each) for each in missing)
        yield Gap(
            topic=detector,
            reason=f"what GPU memory costs was not measured over RDMA, though {listed(hosts)} have GPUs and NICs "
            f"(not between the same ranks at {size_title(FEWEST_BYTES)} and more: {what})",
            remedy="netprobe check, which measures all four",
        )
        return
    if not memory.costs:
        yield Gap(
            topic=detector,
            reason="what GPU memory costs is not judged: no two ranks have RDMA ports that are known to be hardware, "
            "and CPUs of their own",
            remedy="netprobe inventory on the hosts; fewer ranks per host",
        )


def _of_large(table: LayerTable) -> LayerTable:
    layers = tuple(each for each in table.layers if each.path is Path.VERBS and each.size_bytes >= FEWEST_BYTES)
    return replace(table, layers=layers)


def _of_hosts(detector: str, memory: GpuMemory, hosts: Sequence[str], crosses: bool | None) -> Finding:
    costs = [cost for host in hosts for cost in memory.slow[host]]
    sure = crosses is not None and min(each.pairs for each in costs) >= SURE_WITH_PAIRS
    return Finding(
        detector=detector,
        severity=Severity.DEGRADES,
        confidence=Confidence.HIGH if sure else Confidence.MEDIUM,
        subjects=tuple(hosts),
        hosts=tuple(hosts) if len(hosts) < len(memory.costs) else (),
        summary=f"{memory.told(hosts)} ({memory.title}): {_reason(memory, hosts, costs, crosses)}",
        facts=tuple(islice(memory.facts(hosts), MOST_FACTS)),
        excluded=tuple(_excluded(costs)),
        next_action=_next_action(memory, costs, crosses),
        retest=_retest(memory, hosts),
    )


def _reason(memory: GpuMemory, hosts: Sequence[str], costs: Sequence[GpuCost], crosses: bool | None) -> str:
    by = {way for host in hosts if (way := _way(memory, host)) is not None}
    if crosses:
        distances = {place.distance for each in costs if (place := memory.place(each.rank)).is_far}
        names = " and ".join(sorted(each.name for each in distances if each is not None))
        return f"{'GPUDirect works, and ' if by else ''}crosses the root complex between GPU and NIC ({names})"
    works = f" though GPUDirect is there ({', '.join(sorted(by))})" if by else ""
    if crosses is None:
        return f"staged through host memory, or far from the NIC{works}: how far is not known"
    return f"not straight to the NIC{works}, and both are below one switch"


def _excluded(costs: Sequence[GpuCost]) -> Iterator[str]:
    rates = sorted(each.host_gbps for each in costs)
    yield f"links and NICs (the same pairs reach {format_gbps(rates[len(rates) // 2])} in host memory)"
    yield "the other ends (they used host memory)"


def _next_action(memory: GpuMemory, costs: Sequence[GpuCost], crosses: bool | None) -> str:
    if not crosses:
        return (
            "NCCL_DEBUG=INFO says GDRDMA, or not; as root, lspci -vvv | grep ACSCtl (redirected by bridges), and "
            "LnkSta of the GPU (lanes); then relaxed ordering of PCI in the BIOS and on the NIC"
        )
    better = dict.fromkeys(nearer for each in costs if (nearer := _nearer(memory, each.rank)) is not None)
    if better:
        return (
            f"give each rank the NIC nearest to its GPU: {listed(better)} (NCCL finds it by itself, unless "
            "NCCL_IB_HCA or a container hides it)"
        )
    return (
        "no NIC is nearer: move the card to a slot below the GPU's switch; until then NCCL_NET_GDR_LEVEL below that "
        "distance may be faster"
    )


def _nearer(memory: GpuMemory, rank: int) -> str | None:
    """Return which NIC is nearer to a rank's GPU than the one it uses; None where there is none."""
    place, nearest = memory.place(rank), memory.nearest(rank)
    if nearest is None or place.distance is None or nearest.distance >= place.distance:
        return None
    return f"{nearest} for GPU {place.gpu}"


def _of_pairs(detector: str, memory: GpuMemory, left: Sequence[GpuPair]) -> Finding:
    hosts = memory.placement.host
    ends = list(dict.fromkeys(f"{hosts(each.src)} -> {hosts(each.dst)}" for each in left))
    is_shared = len(left) == len(memory.pairs) > 1 or is_common(len(left), len(memory.pairs))
    worst = min(left, key=lambda each: each.ratio)
    alone = "each end alone keeps its rate" if memory.costs else "which end it is, was not measured"
    names = memory.placement.name
    return Finding(
        detector=detector,
        severity=Severity.DEGRADES,
        confidence=Confidence.MEDIUM,
        subjects=("fabric",) if is_shared else tuple(ends),
        hosts=(),
        summary=f"from GPU to GPU at {_span([each.ratio for each in left])} of host memory's rate on {len(left)} of "
        f"{len(memory.pairs)} pairs ({memory.title}); {alone}",
        facts=tuple(
            Fact(
                metric=f"{names(each.src)} -> {names(each.dst)}, GPU memory",
                observed=f"{format_gbps(each.gpu_gbps)} ({percent(each.ratio)})",
                expected=f"at least {format_gbps(memory.limits.gpudirect_ratio * each.host_gbps)}",
                basis=f"{percent(memory.limits.gpudirect_ratio)} of host memory on the same pair",
            )
            for each in sorted(left, key=lambda each: each.ratio)[:MOST_FACTS]
        ),
        excluded=(f"links and NICs ({format_gbps(worst.host_gbps)} in host memory)",),
        next_action="measure GPU -> host and host -> GPU on the same pairs: the slow one names the end; if both are "
        "fast, how GPU memory is registered on both (dma-buf against peer-memory), and the bus both ways at once",
        retest=_retest(memory, [hosts(worst.src), hosts(worst.dst)]),
    )


def _crosses(memory: GpuMemory, costs: Sequence[GpuCost]) -> bool | None:
    """Return whether a root complex lies between GPU and NIC of some of these; None where that is not known."""
    places = [memory.place(each.rank) for each in costs]
    if any(place.is_far for place in places):
        return True
    return None if any(place.distance is None for place in places) else False


def _way(memory: GpuMemory, host: str) -> str | None:
    inventory = memory.inventories.get(host)
    return None if inventory is None or inventory.system is None else inventory.system.gpu_direct


def _retest(memory: GpuMemory, hosts: Sequence[str]) -> str:
    """Return the command that measures these hosts with each other, or with one that is well, in all combinations."""
    well = [each for each in memory.placement.hosts if each not in memory.slow and each not in hosts]
    chosen = (*hosts[:2], *well[: max(2 - len(hosts), 1)])
    return f"netprobe check --hosts {shlex.quote(','.join(chosen))}"


def _span(ratios: Sequence[float]) -> str:
    low, high = percent(min(ratios)), percent(max(ratios))
    return low if low == high else f"{low} to {high}"


def _ratio(cost: GpuCost) -> float:
    return cost.ratio
