"""Hosts that cannot drain what they receive, and stop the fabric in front of them: the source of pauses.

Does not handle: pauses at idle times, which are a storm (pause-storm); those who are stopped (pause-victim).
"""

from collections.abc import Iterator, Sequence
from typing import Final

import numpy as np

from netprobe.contracts import Detector
from netprobe.detectors._pause import rises_over, sent_share, sent_untold, storms
from netprobe.detectors._ports import Ports, any_of, check_again, fine_percent, grown_facts, share_fact
from netprobe.detectors._signatures import PAUSE_RECEIVED, shows
from netprobe.detectors._words import is_common, listed
from netprobe.model.evidence import Evidence
from netprobe.model.finding import Confidence, Finding, Gap, Severity
from netprobe.model.inventory import PciDevice
from netprobe.model.limits import Limits
from netprobe.model.meaning import Meaning
from netprobe.model.ports import Span

ID = "pause-source"
SHARED: Final = "many ports"
OF_HOST: Final = (
    Meaning.PCIE_STALLED, Meaning.PCIE_OVERFLOW, Meaning.PCIE_ERROR, Meaning.NIC_ECN_MARKED, Meaning.BUFFER_HIGH,
    Meaning.PORT_DISCARD,
)  # fmt: skip
"""What says as well that the host, and not the fabric, is behind."""


def detect(evidence: Evidence, limits: Limits) -> Iterator[Finding | Gap]:
    """Name the ports that ask others to stop."""
    ports = Ports(evidence=evidence, limits=limits)
    share = sent_share(ports)
    sources = shows("F09", ports.table) & ports.carries_roce & (share >= limits.pause_share_ratio)
    sources &= ~storms(ports, Span.QUIET)  # what moves nothing has no load to drain
    at = np.flatnonzero(sources).tolist()
    if is_common(len(at), int(ports.carries_roce.sum())):
        is_timed = bool(ports.is_timed(Meaning.PAUSE_SENT_TIME)[sources].all())
        yield _shared(ports, at, float(np.median(share[sources])), is_timed=is_timed)
    else:
        for port in at:
            yield _finding(ports, port, float(share[port]))
    yield from sent_untold(ports, ID)


def _finding(ports: Ports, port: int, share: float) -> Finding:
    hints = tuple(_hints(ports, port))
    is_timed = bool(ports.is_timed(Meaning.PAUSE_SENT_TIME)[port])
    others = rises_over(ports, PAUSE_RECEIVED)
    facts = (
        share_fact(
            f"{ports.subject(port)} asks others to stop",
            share,
            limit=ports.limits.pause_share_ratio,
            basis="limit pause_share_ratio, of the time under load",
            is_timed=is_timed,
        ),
        *grown_facts(ports, port, OF_HOST),
        *(() if others is None else (others,)),
    )
    return Finding(
        detector=ID,
        severity=_severity(share, ports.limits, is_timed=is_timed),
        confidence=Confidence.HIGH if is_timed and (hints or len(facts) > 2) else Confidence.MEDIUM,
        subjects=(ports.subject(port),),
        hosts=(ports.host(port),) if is_timed else (),
        summary=f"{'cannot' if is_timed else 'may not'} drain what it receives: asks others to stop "
        f"{'' if is_timed else 'at most '}{fine_percent(share)} of the time under load"
        + (f"; {'; '.join(hints)}" if hints else ""),
        facts=facts,
        excluded=("those who send to it (they are told to stop)",),
        next_action=_next_action(ports, port, hints),
        retest=check_again([ports.host(port)], ports),
    )


def _severity(share: float, limits: Limits, *, is_timed: bool) -> Severity:
    """Return how bad it is; of frames alone only the most that they can mean is known, which proves nothing."""
    if not is_timed:
        return Severity.WARNS
    return Severity.BLOCKS if share >= limits.pause_block_ratio else Severity.DEGRADES


def _hints(ports: Ports, port: int) -> Iterator[str]:
    """Yield what the host tells of itself that would make it slow."""
    pci, inventory = ports.pci(port), ports.evidence.inventories.get(ports.host(port))
    if pci is not None:
        yield from _slot_hints(pci)
    if inventory is None:
        return
    if inventory.system is not None and inventory.system.iommu == "translated":
        yield "the IOMMU translates its addresses"
    nodes = {gpu.numa_node for gpu in inventory.gpus} - {None, -1}
    if pci is not None and pci.numa_node is not None and nodes and pci.numa_node not in nodes:
        yield f"no GPU is on its NUMA node {pci.numa_node}"


def _slot_hints(pci: PciDevice) -> Iterator[str]:
    if pci.width is not None and pci.width_most is not None and pci.width < pci.width_most:
        yield f"its PCIe link runs {pci.width} of {pci.width_most} lanes"
    if pci.speed_gtps is not None and pci.speed_most_gtps is not None and pci.speed_gtps < pci.speed_most_gtps:
        yield f"its PCIe link runs at {pci.speed_gtps:g} of {pci.speed_most_gtps:g} GT/s"
    if pci.narrowest is not None:
        yield f"the bridge {pci.narrowest} above it runs below what it could"
    if pci.access_control:
        yield "ACS redirects its traffic to GPUs through the root"


def _next_action(ports: Ports, port: int, hints: Sequence[str]) -> str:
    pci = ports.pci(port)
    address = "ADDRESS" if pci is None else pci.address
    first = "the above first, then " if hints else ""
    return (
        f"on {ports.host(port)} compare with a healthy host: {first}lspci -vv -s {address} (LnkSta, MaxReadReq), the "
        "NUMA node of ranks and buffers, IOMMU and ACS, the number of connections and the size of pages"
    )


def _shared(ports: Ports, at: Sequence[int], share: float, *, is_timed: bool) -> Finding:
    hosts = any_of(ports, at)
    return Finding(
        detector=ID,
        severity=Severity.DEGRADES if is_timed else Severity.WARNS,
        confidence=Confidence.MEDIUM,
        subjects=(SHARED,),
        hosts=(),
        summary=f"{len(at)} of {int(ports.carries_roce.sum())} ports ask others to stop, "
        f"{'' if is_timed else 'at most '}{fine_percent(share)} of the time in the middle ({listed(hosts)}); no host "
        "stands out",
        facts=(
            share_fact(
                "the median of these ports asks others to stop",
                share,
                limit=ports.limits.pause_share_ratio,
                basis="limit pause_share_ratio, of the time under load",
                is_timed=is_timed,
            ),
        ),
        excluded=("a single host (many do it)",),
        next_action="look at what they share: generation of PCIe and of GPUs against the rate of the ports, buffers of "
        "the NICs, a BIOS setting (relaxed ordering, IOMMU)",
        retest="netprobe check",
    )


DETECTOR = Detector(
    id=ID,
    title="a host that cannot drain what it receives, and stops others",
    cause="""Data comes faster than the host takes it: a PCIe link with fewer lanes or of an older generation, an IOMMU
    or ACS in the way to GPUs, memory of the other socket, too many connections for the NIC's cache. Its NIC asks the
    switch to stop, the switch stops its senders, and whoever shares a queue with them waits as well.""",
    evidence="""The time for which a port asked others to stop, as a share of the time under load: named from
    pause_share_ratio on, blocking from pause_block_ratio. Where the driver counts frames alone, the most they can mean
    is told as a warning, and no host is blamed. What the host tells of PCIe, NUMA, IOMMU, and counters of the bus make
    it sure. Many ports that do it are how hosts are built, and nobody's fault.""",
    remedy="""Compare with a healthy host: `lspci -vv` (LnkSta against LnkCap of the NIC and all bridges above),
    `nvidia-smi topo -m`, kernel command line (iommu=pt), `setpci` for ACS. Then reseat the card; leave the host out
    until it is clean, for it slows down others.""",
    limits=("pause_share_ratio", "pause_block_ratio"),
    detect=detect,
)
