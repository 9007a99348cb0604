"""NICs whose PCI Express link is narrower or slower than it could be, and GPUs likewise.

The speed of a GPU's link is low while nobody uses it, so only what the driver showed under load tells of it. Does not
handle: two ports that share one link.
"""

import shlex
from collections.abc import Iterator, Sequence
from dataclasses import replace

from netprobe.contracts import Detector
from netprobe.detectors._fleet import (
    HostPort,
    active_ports,
    alike,
    config_again,
    distinct,
    host_ports,
    undecided,
    unread_gap,
    usual,
)
from netprobe.detectors._gpu_copies import BY_PCIE, slow_copies
from netprobe.detectors._gpus import HostGpu, host_gpus
from netprobe.detectors._words import listed, on_hosts, percent
from netprobe.model.evidence import Evidence
from netprobe.model.finding import Confidence, Fact, Finding, Gap, Severity
from netprobe.model.gpu import GpuCount
from netprobe.model.inventory import HostInventory, PciDevice
from netprobe.model.limits import Limits
from netprobe.units import format_gbps, format_size, pcie_gbps

ID = "pcie-downgrade"
SHARED = "many ports"
FEWEST_BUSY = 3
"""Samples of a GPU under load, before what they show is held against it."""
SECONDS_PER_MINUTE = 60
NEXT = "a cold start of the host first (AC off), then reseat the card or its riser, then replace it; compare"


def detect(evidence: Evidence, limits: Limits) -> Iterator[Finding | Gap]:
    """Name links that run below what they could; where all are alike, say so of all."""
    for ports in alike(host_ports(evidence), lambda each: each.port.name).values():
        most = usual(_link(pci) for each in ports if (pci := each.pci) is not None)
        shared = None if most is None else most.value
        for port in ports:
            if _is_downgraded(port.pci) and _link_of(port) != shared:
                yield _finding(port, shared)
        yield from _split(ports) if most is None else ()
        yield from _by_design([each for each in ports if shared is not None and _link_of(each) == shared])
    if host_ports(evidence):
        for inventory in evidence.inventories.values():
            yield from _gpus(inventory)
    told = {(name, each.address) for name, own in evidence.inventories.items() for each in own.gpus if _is_narrow(each)}
    for gpu in host_gpus(evidence):
        found = list(_gpu_under_load(gpu, limits, is_told=(gpu.host, gpu.pci) in told and bool(host_ports(evidence))))
        yield from found or _gpu_copies(gpu, evidence, limits)
    unread = [each for each in active_ports(evidence) if each.pci is not None and _carried_gbps(each.pci) is None]
    yield from unread_gap(ID, "the PCIe link", unread, "netprobe config on the host itself, not in a virtual machine")


def _link(pci: PciDevice) -> tuple[float | None, int | None, bool]:
    return pci.speed_gtps, pci.width, pci.narrowest is not None


def _link_of(port: HostPort) -> tuple[float | None, int | None, bool] | None:
    return None if port.pci is None else _link(port.pci)


def _is_downgraded(pci: PciDevice | None) -> bool:
    return pci is not None and (
        _is_below(pci.speed_gtps, pci.speed_most_gtps)
        or _is_below(pci.width, pci.width_most)
        or pci.narrowest is not None
    )


def _is_below(now: float | None, most: float | None) -> bool:
    return now is not None and most is not None and now < most


def _carried_gbps(pci: PciDevice | None) -> float | None:
    return None if pci is None else pcie_gbps(pci.speed_gtps, pci.width)


def _wire_gbps(port: HostPort) -> float | None:
    return port.port.rate_gbps if port.port.is_active else None


def _is_slower_than_wire(port: HostPort) -> bool:
    return _is_below(_carried_gbps(port.pci), _wire_gbps(port))


def _words(speed_gtps: float | None, width: int | None) -> str:
    speed = "speed not known" if speed_gtps is None else f"{speed_gtps:g} GT/s"
    return f"{speed} x{'?' if width is None else width}"


def _finding(port: HostPort, most: tuple[float | None, int | None, bool] | None) -> Finding:
    pci = port.pci
    assert pci is not None  # only those with a link are found to be below it
    is_slower = _is_slower_than_wire(port)
    return Finding(
        detector=ID,
        severity=Severity.BLOCKS if is_slower else Severity.WARNS,
        confidence=Confidence.MEDIUM if most is None else Confidence.HIGH,
        subjects=(port.subject,),
        hosts=(port.host,) if is_slower else (),
        summary=_summary(port, pci),
        facts=_facts(port, pci, None if most is None else _words(*most[:2])),
        next_action=f"{NEXT} LnkSta with LnkCap (lspci -vv -s {shlex.quote(pci.narrowest or pci.address)})",
        retest=config_again([port.host]),
    )


def _summary(port: HostPort, pci: PciDevice) -> str:
    carried, wire = _carried_gbps(pci), _wire_gbps(port)
    against = "" if carried is None or wire is None else f": {carried:.0f} Gb/s for a port of {wire:g} Gb/s"
    if _is_below(pci.speed_gtps, pci.speed_most_gtps) or _is_below(pci.width, pci.width_most):
        can = _words(pci.speed_most_gtps, pci.width_most)
        return f"its PCIe link runs at {_words(pci.speed_gtps, pci.width)} and can {can}{against}"
    return f"the bridge {pci.narrowest} above it runs below what it can, and carries less than the card"


def _facts(port: HostPort, pci: PciDevice, most: str | None) -> tuple[Fact, ...]:
    expected = _words(pci.speed_most_gtps, pci.width_most)
    link = Fact(
        metric=f"PCIe link of {port.subject}",
        observed=_words(pci.speed_gtps, pci.width),
        expected=expected if most is None else most,
        basis="what the device can (sysfs)" if most is None else "the same port of most hosts",
    )
    carried, wire = _carried_gbps(pci), _wire_gbps(port)
    if carried is None or wire is None:
        return (link,)
    bus = Fact(
        metric="what the link carries, before the headers of its packets",
        observed=f"{carried:.0f} Gb/s",
        expected=f"above {wire:g} Gb/s",
        basis="speed * lanes * coding; the rate of the port",
    )
    return link, bus


def _split(ports: Sequence[HostPort]) -> Iterator[Finding]:
    """Warn of links that differ and do all they can; one that could do more is told by itself."""
    told = [(each, pci) for each in ports if (pci := each.pci) is not None and _carried_gbps(pci) is not None]
    if not any(_is_downgraded(pci) for _, pci in told):
        links = [(each.host, each.subject, _words(pci.speed_gtps, pci.width)) for each, pci in told]
        compare = "compare slot, riser, card and BIOS bifurcation of both kinds (lspci -vv)"
        yield from undecided(ID, f"PCIe link of {ports[0].port.name}", links, Severity.WARNS, compare)


def _by_design(ports: Sequence[HostPort]) -> Iterator[Finding]:
    """Warn once of links that are slower than the wire on most hosts: slots, risers or cards of several hosts."""
    slow = [each for each in ports if _is_slower_than_wire(each)]
    if slow and slow[0].pci is not None:
        yield Finding(
            detector=ID,
            severity=Severity.WARNS,
            confidence=Confidence.HIGH,
            subjects=(SHARED,),
            hosts=(),
            summary=f"{slow[0].port.name} of {len(slow)} hosts alike has a bus slower than its wire "
            f"({listed(distinct(slow))}), as a slot of fewer lanes or a card shared by hosts would",
            facts=_facts(slow[0], slow[0].pci, None),
            excluded=("a single host (most have it)",),
            next_action="compare slot, riser and BIOS bifurcation with the manual; expect no more than the bus carries",
            retest=config_again(distinct(slow)),
        )


def _gpus(inventory: HostInventory) -> Iterator[Finding]:
    for gpu in inventory.gpus:
        if _is_narrow(gpu):
            yield Finding(
                detector=ID,
                severity=Severity.DEGRADES,
                confidence=Confidence.HIGH,
                subjects=(f"{inventory.host} {gpu.address}",),
                hosts=(inventory.host,),
                summary=f"a GPU has {gpu.width} of {gpu.width_most} PCIe lanes",
                facts=(
                    Fact(metric=f"lanes of the GPU {gpu.address}", observed=f"x{gpu.width}",
                         expected=f"x{gpu.width_most}", basis="what the device can (sysfs)"),
                ),
                next_action=f"{NEXT} LnkSta with LnkCap (lspci -vv -s {shlex.quote(gpu.address)})",
                retest=config_again([inventory.host]),
            )  # fmt: skip


def _is_narrow(gpu: PciDevice) -> bool:
    return _is_below(gpu.width, gpu.width_most)


def _gpu_under_load(gpu: HostGpu, limits: Limits, *, is_told: bool) -> Iterator[Finding]:
    """Yield what the driver showed of a GPU's link while the GPU was busy; ``is_told``: its lanes are told already."""
    busy = [each for each in gpu.windows if each.samples_busy >= FEWEST_BUSY]
    generation = max(
        (each.pcie_generation_best for each in busy if each.pcie_generation_best is not None), default=None
    )
    generation_most = max((each.pcie_generation_most or 0 for each in busy), default=0) or None
    width = min((each.pcie_width_least for each in busy if each.pcie_width_least is not None), default=None)
    width_most = max((each.pcie_width_most or 0 for each in busy), default=0) or None
    if _is_below(generation, generation_most) or (_is_below(width, width_most) and not is_told):
        seen, can = _gpu_link(generation, width), _gpu_link(generation_most, width_most)
        fact = Fact(metric=f"PCIe link of the GPU {gpu.pci} under load", observed=seen, expected=can,
                    basis="what the GPU and its slot can (NVML)")  # fmt: skip
        yield _gpu_finding(gpu, Severity.DEGRADES, f"under load a GPU's PCIe link runs at {seen} and can {can}", fact)
    replays = gpu.fastest_per_s(GpuCount.PCIE_REPLAY)
    per_minute = None if replays is None else replays * SECONDS_PER_MINUTE
    if per_minute is not None and per_minute > limits.pcie_replays_per_minute:
        fact = Fact(metric=f"PCIe replays of the GPU {gpu.pci}", observed=f"{per_minute:,.0f} a minute",
                    expected=f"at most {limits.pcie_replays_per_minute:g} a minute",
                    basis="limit; NVML, the stage with most of them")  # fmt: skip
        yield _gpu_finding(gpu, Severity.WARNS, "a GPU's PCIe link sends packets again: a contact, or the riser", fact)


def _gpu_copies(gpu: HostGpu, evidence: Evidence, limits: Limits) -> Iterator[Finding]:
    """Yield what a GPU copies too slowly though its link shows nothing."""
    slow = slow_copies(gpu, BY_PCIE, evidence, limits)
    if slow:
        worst, ways = slow[0], " and ".join(dict.fromkeys(each.rate.way.value for each in slow))
        found = _gpu_finding(
            gpu,
            Severity.DEGRADES,
            f"copies from {ways} reach {percent(worst.ratio)} of what the GPU's PCIe link carries: "
            f"{format_gbps(worst.rate.gbps)} of {format_gbps(worst.expected_gbps)}",
            Fact(
                metric=f"copies of {format_size(worst.rate.size_bytes)} from {worst.rate.way.value}, {gpu.pci}",
                observed=format_gbps(worst.rate.gbps),
                expected=f"at least {format_gbps(limits.copy_ratio * worst.expected_gbps)}",
                basis=f"{percent(limits.copy_ratio)} of lanes * coding, less packets' headers; link as NVML tells",
            ),
        )
        where = "the rank's memory may lie at another socket (numactl, --bind), or its IOMMU translates"
        yield replace(found, confidence=Confidence.MEDIUM, next_action=f"{where}; else {found.next_action}")


def _gpu_link(generation: int | None, width: int | None) -> str:
    return f"generation {'?' if generation is None else generation} x{'?' if width is None else width}"


def _gpu_finding(gpu: HostGpu, severity: Severity, summary: str, fact: Fact) -> Finding:
    return Finding(
        detector=ID,
        severity=severity,
        confidence=Confidence.HIGH,
        subjects=(gpu.subject,),
        hosts=() if severity is Severity.WARNS else (gpu.host,),
        summary=summary,
        facts=(fact,),
        next_action=f"{NEXT} LnkSta with LnkCap (lspci -vv -s {shlex.quote(gpu.pci)})",
        retest=on_hosts("netprobe check", (gpu.host,)),
    )


DETECTOR = Detector(
    id=ID,
    title="a PCIe link that is narrower or slower than it could be",
    cause="""After a start, or a bad contact, a link trains at fewer lanes or an older generation; or a bridge above
    does. The NIC then takes from the wire more than it can hand on, and asks its senders to pause: it looks like
    congestion, and slows everybody down.""",
    evidence="""Speed and width now against what the device can, and the narrowest bridge above, as sysfs tells. Speed *
    lanes * coding (128b/130b from 8 GT/s on) is what the link carries: it blocks where that is less than the rate of
    the port, and is a warning otherwise. Where the same port of most hosts, three or more, has the same link, it is
    how they are built: then there is one warning about all, and only where the bus is slower than the wire.
    Where links differ, do all they can, and none is that of most, all are told. Of GPUs: lanes, as sysfs tells; and
    lanes and generation in samples of NVML in which the GPU was busy, for an idle one lowers its generation. Replays of
    a GPU's link beyond pcie_replays_per_minute in any stage are a warning. Copies between a GPU and pinned memory of
    its host, which are measured before anything else, degrade below copy_ratio of what the link carries.""",
    remedy="""`lspci -vv -s ADDRESS` shows LnkSta and LnkCap. A cold start, reseating the card or riser, then another
    card or slot. Leave the host out meanwhile: as a receiver it pauses others.""",
    limits=("copy_ratio", "pcie_replays_per_minute"),
    detect=detect,
    audits=True,
)
