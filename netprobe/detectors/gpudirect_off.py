"""Hosts on which data of GPUs takes the way through host memory, or through the root complex, to the NIC.

Does not handle: whether a registration works; that takes a GPU and verbs.
"""

import shlex
from collections.abc import Iterator, Sequence
from typing import Final

from netprobe.contracts import Detector
from netprobe.detectors._fleet import alike, config_again
from netprobe.detectors._words import MOST_FACTS, listed
from netprobe.locate.pci_distance import PciDistance, pci_distance
from netprobe.model.evidence import Evidence
from netprobe.model.finding import Confidence, Fact, Finding, Gap, Severity
from netprobe.model.inventory import HostInventory, PciDevice, SystemSettings
from netprobe.model.limits import Limits

ID = "gpudirect-off"
NEVER: Final = "none"
TRANSLATED: Final = "translated"


def detect(evidence: Evidence, _limits: Limits) -> Iterator[Finding | Gap]:
    """Name hosts without GPUDirect, with bridges that redirect it, or with addresses that are translated."""
    hosts = [each for each in evidence.inventories.values() if _gpus(each) and _nics(each)]
    off = [each for each in hosts if _setting(each, "gpu_direct") == NEVER]
    if off:
        yield _off(off, hosts)
    redirecting = {each.host: bridges for each in hosts if (bridges := _redirecting(each))}
    for bridges, owners in alike(redirecting, lambda host: redirecting[host]).items():
        yield _redirected(owners, bridges, hosts)
    translated = [each.host for each in hosts if _setting(each, "iommu") == TRANSLATED]
    if translated:
        yield _translated(translated)
    yield from _untold(hosts)


def _gpus(inventory: HostInventory) -> list[PciDevice]:
    return [each for each in inventory.pci_devices if each.kind == "gpu"]


def _nics(inventory: HostInventory) -> list[PciDevice]:
    return [pci for port in inventory.rdma_ports if (pci := inventory.pci_device(port.pci)) is not None]


def _setting(inventory: HostInventory, name: str) -> object:
    system: SystemSettings | None = inventory.system
    return None if system is None else getattr(system, name)


def _switched(inventory: HostInventory) -> list[tuple[PciDevice, PciDevice]]:
    """Return the GPUs and NICs with a switch in common, through which they can reach each other."""
    return [
        (gpu, nic)
        for gpu in _gpus(inventory)
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


def _off(off: Sequence[HostInventory], hosts: Sequence[HostInventory]) -> Finding:
    names = tuple(each.host for each in off)
    return Finding(
        detector=ID,
        severity=Severity.DEGRADES,
        confidence=Confidence.HIGH,
        subjects=names,
        hosts=names if len(off) < len(hosts) else (),
        summary="neither a peer-memory module nor dma-buf: what GPUs send goes through host memory",
        facts=tuple(
            Fact(metric=f"GPUDirect of {name}", observed="none", expected="peer-memory or dma-buf",
                 basis="modules, kernel and driver (sysfs, /proc)")
            for name in names
        )[:MOST_FACTS],
        next_action="modprobe nvidia-peermem, and load it at every boot (/etc/modules-load.d); or NVIDIA's open kernel "
        "modules of 515 or later with Linux 5.12 or later, which hand out dma-buf",
        retest=config_again(names),
    )  # fmt: skip


def _redirected(owners: Sequence[str], bridges: Sequence[str], hosts: Sequence[HostInventory]) -> Finding:
    return Finding(
        detector=ID,
        severity=Severity.DEGRADES,
        confidence=Confidence.HIGH,
        subjects=tuple(owners),
        hosts=tuple(owners) if len(owners) < len(hosts) else (),
        summary=f"bridges between GPU and NIC redirect to the root complex (ACS): {listed(bridges)}",
        facts=tuple(
            Fact(metric=f"access control of {bridge}", observed="redirects peer-to-peer requests", expected="off",
                 basis="its configuration space (ACSCtl)")
            for bridge in bridges
        )[:MOST_FACTS],
        next_action="on bare metal, as root and at every boot: "
        + "; ".join(f"setpci -s {shlex.quote(bridge)} ECAP_ACS+0x6.w=0000" for bridge in bridges[:MOST_FACTS])
        + "; or ACS off in the BIOS. Not where virtual machines own the devices",
        retest=config_again(owners),
    )  # fmt: skip


def _translated(hosts: Sequence[str]) -> Finding:
    return Finding(
        detector=ID,
        severity=Severity.WARNS,
        confidence=Confidence.MEDIUM,
        subjects=tuple(hosts),
        hosts=(),
        summary="the IOMMU translates the addresses of devices, which sends GPUDirect through the root complex",
        facts=tuple(
            Fact(metric=f"IOMMU of {host}", observed=TRANSLATED, expected="identity or off",
                 basis="types of IOMMU groups, or the kernel's options")
            for host in hosts
        )[:MOST_FACTS],
        next_action="boot with iommu=pt (passthrough) on the kernel's command line, unless virtual machines own "
        "devices",
        retest=config_again(hosts),
    )  # fmt: skip


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
    evidence="""Hosts with GPUs and RDMA NICs, from inventories alone: neither module nor dma-buf (kernel 5.12 and open
    driver 515 or later) degrades; so does ACS on a bridge between a GPU and a NIC below one switch, which only root can
    read; an IOMMU that translates is a warning.""",
    remedy="""`modprobe nvidia-peermem`; `lspci -vvv | grep ACSCtl`, `setpci -s BRIDGE ECAP_ACS+0x6.w=0000` (lost at
    reboot); `iommu=pt`. NCCL_DEBUG=INFO says GDRDMA where it works.""",
    limits=(),
    detect=detect,
    audits=True,
)
