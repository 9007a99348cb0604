"""GPUs that are far from every NIC, and NICs on another NUMA node, where other hosts have them near.

Also: ranks that use another NIC than the nearest. Does not handle: which NIC a library picks by itself (nccl-fallback
reads that of NCCL); and the CPUs of ranks, since no inventory tells their nodes.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from netprobe.contracts import Detector
from netprobe.detectors._fleet import (
    HostPort,
    Usual,
    alike,
    alone_gap,
    config_again,
    fleet_gaps,
    host_ports,
    undecided,
    usual,
)
from netprobe.detectors._gpu_map import FarNic, far_nics
from netprobe.detectors._words import MOST_FACTS, listed, on_hosts
from netprobe.locate.gpu_nics import nearest_nics
from netprobe.locate.pci_distance import PciDistance
from netprobe.model.evidence import Evidence
from netprobe.model.finding import Confidence, Fact, Finding, Gap, Severity
from netprobe.model.inventory import HostInventory
from netprobe.model.limits import Limits

ID = "affinity"
SLOTS: Final = (
    "compare slots and the names of devices (ls -l /sys/class/infiniband), and bind ranks and GPUs by what each host "
    "has"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Gpu:
    """A GPU by its place among those of its host, and how near the nearest NIC is."""

    host: str
    place: int
    address: str
    nearest: PciDistance | None


def detect(evidence: Evidence, _limits: Limits) -> Iterator[Finding | Gap]:
    """Name hosts whose GPUs or NICs sit elsewhere than those of most hosts."""
    gpus = [gpu for inventory in evidence.inventories.values() for gpu in _gpus(inventory)]
    far: list[tuple[_Gpu, Usual[PciDistance]]] = []
    for peers in alike(gpus, lambda each: each.place).values():
        most = usual(each.nearest for each in peers if each.nearest is not None)
        if most is None:
            yield from _split_gpus(peers)
        elif most.value <= PciDistance.PXB:
            far += [(each, most) for each in peers if each.nearest is not None and each.nearest > PciDistance.PHB]
    for host, own in alike(far, lambda each: each[0].host).items():
        yield _far(host, own)
    for host, used in alike(far_nics(evidence), lambda each: each.host).items():
        yield _mapped(host, used)
    yield from _other_nodes(host_ports(evidence))
    yield from _untold(gpus)
    yield from alone_gap(ID, evidence, lambda each: each.port.name)
    if gpus:
        yield from fleet_gaps(ID, evidence)


def _gpus(inventory: HostInventory) -> Iterator[_Gpu]:
    has_nics = any(inventory.pci_device(port.pci) is not None for port in inventory.rdma_ports)
    for place, gpu in enumerate(inventory.gpus if has_nics else ()):
        nearest = nearest_nics(gpu, inventory)
        distance = None if nearest is None else nearest.distance
        yield _Gpu(host=inventory.host, place=place, address=gpu.address, nearest=distance)


def _far(host: str, gpus: Sequence[tuple[_Gpu, Usual[PciDistance]]]) -> Finding:
    names = [gpu.address for gpu, _ in gpus]
    nearest = sorted({gpu.nearest.name for gpu, _ in gpus if gpu.nearest is not None})
    return Finding(
        detector=ID,
        severity=Severity.DEGRADES,
        confidence=Confidence.HIGH,
        subjects=(host,),
        hosts=(),
        summary=f"{'a GPU has' if len(names) == 1 else f'{len(names)} GPUs have'} no NIC nearer than "
        f"{' or '.join(nearest)}, where the same on others have {gpus[0][1].value.name}",
        facts=tuple(
            Fact(metric=f"nearest NIC of the GPU {gpu.address}", observed=gpu.nearest.name if gpu.nearest else "–",
                 expected=most.value.name, basis=f"{most.count} other GPUs in that place; PCI paths of sysfs")
            for gpu, most in gpus
        )[:MOST_FACTS],
        next_action=f"compare nvidia-smi topo -m with a good host; move the NIC to the slot below the switch of "
        f"{listed(names)}",
        retest=config_again([host]),
    )  # fmt: skip


def _mapped(host: str, used: Sequence[FarNic]) -> Finding:
    worst = max(used, key=lambda each: each.distance)
    ranks = "a rank sends" if len(used) == 1 else f"{len(used)} ranks send"
    return Finding(
        detector=ID,
        severity=Severity.DEGRADES,
        confidence=Confidence.HIGH,
        subjects=(host,),
        hosts=(),
        summary=f"{ranks} from a GPU by a NIC that is not the nearest: GPU {worst.gpu.pci} by {worst.nic} "
        f"({worst.distance.name}), where {worst.nearest} is",
        facts=tuple(
            Fact(metric=f"NIC of rank {each.gpu.rank}, GPU {each.gpu.pci}", observed=f"{each.nic} "
                 f"({each.distance.name})", expected=str(each.nearest), basis="PCI paths and NUMA nodes of sysfs")
            for each in used
        )[:MOST_FACTS],
        excluded=("slots and cables (a nearer NIC is there)",),
        next_action="leave --gpu-map and --rdma-device away, or name the nearest; of jobs NCCL_IB_HCA and binding",
        retest=on_hosts("netprobe check", (host,)),
    )  # fmt: skip


def _split_gpus(peers: Sequence[_Gpu]) -> Iterator[Finding]:
    told = [(each, each.nearest) for each in peers if each.nearest is not None]
    distances = [nearest for _, nearest in told]
    if told and min(distances) <= PciDistance.PXB and max(distances) > PciDistance.PHB:
        yield from undecided(
            ID,
            f"nearest NIC of the GPU in place {peers[0].place}",
            [(gpu.host, gpu.host, nearest.name) for gpu, nearest in told],
            Severity.DEGRADES,
            "compare nvidia-smi topo -m of both kinds; move the NIC to the slot below the switch of the GPU",
        )


def _other_nodes(ports: Sequence[HostPort]) -> Iterator[Finding]:
    for peers in alike(ports, lambda each: each.port.name).values():
        told = [(each, node) for each in peers if (node := _node(each)) is not None]
        most = usual(node for _, node in told)
        if most is not None:
            yield from (_other_node(port, node, most) for port, node in told if node != most.value)
            continue
        shown = [(port.host, port.subject, f"{node}") for port, node in told]
        yield from undecided(ID, f"NUMA node of {peers[0].port.name}", shown, Severity.WARNS, SLOTS)


def _node(port: HostPort) -> int | None:
    return None if port.pci is None else port.pci.numa_node


def _other_node(port: HostPort, node: int, most: Usual[int]) -> Finding:
    return Finding(
        detector=ID,
        severity=Severity.WARNS,
        confidence=Confidence.HIGH,
        subjects=(port.subject,),
        hosts=(),
        summary=f"is on NUMA node {node}, where {most.count} others are on node {most.value}",
        facts=(
            Fact(metric=f"NUMA node of {port.subject}", observed=f"{node}", expected=f"{most.value}",
                 basis="the same port of most hosts"),
        ),
        next_action=SLOTS,
        retest=config_again([port.host]),
    )  # fmt: skip


def _untold(gpus: Sequence[_Gpu]) -> Iterator[Gap]:
    hosts = list(dict.fromkeys(gpu.host for gpu in gpus if gpu.nearest is None))
    if hosts:
        yield Gap(
            topic=ID,
            reason=f"how far GPUs and NICs are from each other is not known on {listed(hosts)}: no NUMA nodes are told",
            remedy="netprobe config on the host itself, not in a virtual machine",
        )


DETECTOR = Detector(
    id=ID,
    title="a GPU far from every NIC, or a NIC on another node than elsewhere",
    cause="""A NIC sits in a slot of the other socket, or a riser is cabled otherwise. What a GPU sends then crosses the
    root complex or the link between CPUs, where it costs a fifth of the rate and more; settings that name devices fit
    all hosts but this one.""",
    evidence="""The distance of each GPU to the nearest RDMA NIC, from PCI paths and NUMA nodes, in the words of
    nvidia-smi topo -m: named where it is NODE or SYS, and PIX or PXB for the GPU in that place on most hosts, three or
    more. A NIC on another NUMA node than the port of that name on most hosts is a warning. Where hosts differ and
    nothing is that of most, all are told. What all hosts have is how they were built. Where GPU memory was tested, a
    rank that used a NIC across the root complex though one below a switch in common was there is named as well.""",
    remedy="""`nvidia-smi topo -m`, `lspci -tv`; another slot, or a topology file and a binding for that host. Nobody
    has to be drained for it.""",
    limits=(),
    detect=detect,
    audits=True,
)
