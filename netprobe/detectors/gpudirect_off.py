"""Hosts on which data of GPUs takes the way through host memory, or through the root complex, to the NIC.

By settings, and by what was measured in the four combinations of host and GPU memory: where both tell of a host, it is
one finding. Does not handle: two-way streams, in which each end has both roles.
"""

import shlex
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Final

from netprobe.contracts import Detector
from netprobe.detectors._fleet import alike, config_again
from netprobe.detectors._gpu_memory import GpuMemory, gpu_memory_of, measured_findings, unmeasured
from netprobe.detectors._words import MOST_FACTS, listed
from netprobe.locate.pci_distance import PciDistance, pci_distance
from netprobe.model.evidence import Evidence
from netprobe.model.finding import Confidence, Fact, Finding, Gap, Severity
from netprobe.model.inventory import HostInventory, PciDevice, SystemSettings
from netprobe.model.limits import Limits

ID = "gpudirect-off"
NEVER: Final = "none"
TRANSLATED: Final = "translated"
MOST_MEASURED: Final = MOST_FACTS // 2


def detect(evidence: Evidence, limits: Limits) -> Iterator[Finding | Gap]:
    """Name hosts without GPUDirect, with bridges that redirect it, with addresses that are translated, or slow GPUs."""
    hosts = [each for each in evidence.inventories.values() if each.gpus and _nics(each)]
    memory = gpu_memory_of(evidence, limits)
    off = [each for each in hosts if _setting(each, "gpu_direct") == NEVER]
    if off:
        yield _off(off, hosts, memory)
    redirecting = {each.host: bridges for each in hosts if (bridges := _redirecting(each))}
    for bridges, owners in alike(redirecting, lambda host: redirecting[host]).items():
        yield _redirected(owners, bridges, hosts, memory)
    translated = [each.host for each in hosts if _setting(each, "iommu") == TRANSLATED]
    told = {*(each.host for each in off), *redirecting}
    by_cost = alike(translated, lambda host: host in memory.slow and host not in told)
    for is_slow, owners in by_cost.items():
        yield _translated(owners, memory, is_slow=is_slow)
    yield from measured_findings(ID, memory, told, translated)
    yield from _untold(hosts)
    yield from unmeasured(ID, memory, [each.host for each in hosts])


def _nics(inventory: HostInventory) -> list[PciDevice]:
    return [pci for port in inventory.rdma_ports if (pci := inventory.pci_device(port.pci)) is not None]


def _setting(inventory: HostInventory, name: str) -> object:
    system: SystemSettings | None = inventory.system
    return None if system is None else getattr(system, name)


def _switched(inventory: HostInventory) -> list[tuple[PciDevice, PciDevice]]:
    """Return the GPUs and NICs with a switch in common, through which they can reach each other."""
    return [
        (gpu, nic)
        for gpu in inventory.gpus
        for nic in _nics(inventory)
        if (distance := pci_distance(gpu, nic)) is not None and distance <= PciDistance.PXB
    ]


def _redirecting(inventory: HostInventory) -> tuple[str, ...]:
    """Return the bridges between GPUs and their NICs that send what passes up to the root, in order."""
    found = {
        bridge
        for gpu, nic in _switched(inventory)
        for one, other in ((gpu, nic), (nic, gpu))
        for bridge in one.access_control
        if bridge not in other.path  # those above both are not on the way
    }
    return tuple(sorted(found))


def _off(off: Sequence[HostInventory], hosts: Sequence[HostInventory], memory: GpuMemory) -> Finding:
    names = tuple(each.host for each in off)
    return Finding(
        detector=ID,
        severity=Severity.DEGRADES,
        confidence=Confidence.MEDIUM if _is_contradicted(memory, names) else Confidence.HIGH,
        subjects=names,
        hosts=names if len(off) < len(hosts) else (),
        summary="neither a peer-memory module nor dma-buf: what GPUs send goes through host memory"
        + _as_measured(memory, names),
        facts=_with_measured(
            (
                Fact(metric=f"GPUDirect of {name}", observed="none", expected="peer-memory or dma-buf",
                     basis="modules, kernel and driver (sysfs, /proc)")
                for name in names
            ), memory, names,
        ),
        next_action="modprobe nvidia-peermem, and load it at every boot (/etc/modules-load.d); or NVIDIA's open kernel "
        "modules of 515 or later with Linux 5.12 or later, which hand out dma-buf",
        retest=config_again(names),
    )  # fmt: skip


def _redirected(
    owners: Sequence[str], bridges: Sequence[str], hosts: Sequence[HostInventory], memory: GpuMemory
) -> Finding:
    return Finding(
        detector=ID,
        severity=Severity.DEGRADES,
        confidence=Confidence.HIGH,
        subjects=tuple(owners),
        hosts=tuple(owners) if len(owners) < len(hosts) else (),
        summary=f"bridges between GPU and NIC redirect to the root complex (ACS): {listed(bridges)}"
        + _as_measured(memory, owners),
        facts=_with_measured(
            (
                Fact(metric=f"access control of {bridge}", observed="redirects peer-to-peer requests", expected="off",
                     basis="its configuration space (ACSCtl)")
                for bridge in bridges
            ), memory, owners,
        ),
        next_action="on bare metal, as root and at every boot: "
        + "; ".join(f"setpci -s {shlex.quote(bridge)} ECAP_ACS+0x6.w=0000" for bridge in bridges[:MOST_FACTS])
        + "; or ACS off in the BIOS. Not where virtual machines own the devices",
        retest=config_again(owners),
    )  # fmt: skip


def _translated(hosts: Sequence[str], memory: GpuMemory, *, is_slow: bool) -> Finding:
    return Finding(
        detector=ID,
        severity=Severity.DEGRADES if is_slow else Severity.WARNS,
        confidence=Confidence.MEDIUM,
        subjects=tuple(hosts),
        hosts=(),
        summary="the IOMMU translates the addresses of devices, which sends GPUDirect through the root complex"
        + (_as_measured(memory, hosts) if is_slow else ""),
        facts=_with_measured(
            (
                Fact(metric=f"IOMMU of {host}", observed=TRANSLATED, expected="identity or off",
                     basis="types of IOMMU groups, or the kernel's options")
                for host in hosts
            ), memory, hosts,
        ),
        next_action="boot with iommu=pt (passthrough) on the kernel's command line, unless virtual machines own "
        "devices",
        retest=config_again(hosts),
    )  # fmt: skip


def _is_contradicted(memory: GpuMemory, hosts: Sequence[str]) -> bool:
    """Return whether GPU memory was measured on all of these hosts and is slow on none."""
    return all(host in memory.costs and host not in memory.slow for host in hosts)


def _as_measured(memory: GpuMemory, hosts: Sequence[str]) -> str:
    told = memory.told(hosts)
    return f"; measured: {told} ({memory.title})" if told else ""


def _with_measured(settings: Iterable[Fact], memory: GpuMemory, hosts: Sequence[str]) -> tuple[Fact, ...]:
    """Return facts of settings, and what was measured beside them; each leaves room for the other."""
    read, measured = list(settings), list(islice(memory.facts(hosts), MOST_MEASURED))
    return (*read[: MOST_FACTS - len(measured)], *measured)


def _untold(hosts: Sequence[HostInventory]) -> Iterator[Gap]:
    unknown = [each.host for each in hosts if _setting(each, "gpu_direct") is None]
    if unknown:
        yield Gap(
            topic=ID,
            reason=f"whether GPUs and NICs can reach each other's memory is not known on {listed(unknown)}",
            remedy="NCCL_DEBUG=INFO of a job tells: it says GDRDMA, or not",
        )
    unread = [
        each.host
        for each in hosts
        if any(not device.is_access_control_known for pair in _switched(each) for device in pair)
    ]
    if unread:
        yield Gap(
            topic=ID,
            reason=f"whether bridges redirect what GPUs send (ACS) could not be read on {listed(unread)}",
            remedy="netprobe config as root, or lspci -vvv | grep ACSCtl",
        )


DETECTOR = Detector(
    id=ID,
    title="GPUs whose data does not go straight to the NIC",
    cause="""After an update the peer-memory module is not loaded, and the driver hands out no dma-buf: everything is
    copied through host memory. Or bridges of the PCI switch redirect requests between devices to the root complex
    (ACS), or the IOMMU translates them: a third to half of the rate is lost, or requests hang.""",
    evidence="""Hosts with GPUs and RDMA NICs, from inventories: neither module nor dma-buf (kernel 5.12 and open
    driver 515 or later) degrades; so does ACS on a bridge between a GPU and a NIC below one switch, which only root can
    read; an IOMMU that translates is a warning.

    Measured where RDMA went between the same ranks in all four combinations of host and GPU memory (bandwidth, 1 MiB
    and more): a rank that keeps less than gpudirect_ratio of host memory's rate while its partners use host memory
    sends from its GPU, or receives into it, too slowly. Settings and figures of one host are one finding. Without a
    setting that tells why, the way between GPU and NIC does: PHB, NODE and SYS cross the root complex, PIX and PXB do
    not. Pairs that are slow from GPU to GPU alone blame nobody. Software RDMA and hosts whose ranks wait for CPUs are
    left out.""",
    remedy="""`modprobe nvidia-peermem`; `lspci -vvv | grep ACSCtl`, `setpci -s BRIDGE ECAP_ACS+0x6.w=0000` (lost at
    reboot); `iommu=pt`. NCCL_DEBUG=INFO says GDRDMA where it works.""",
    limits=("gpudirect_ratio",),
    detect=detect,
    audits=True,
)
