"""NCCL that took a slower way than the host offers: sockets, host memory, some of the NICs, or a NIC far from the GPU.

From what NCCL's own log says, of a run or of somebody else's job. Does not handle: which of several equal networks a
plug-in should have taken; and a list of devices that a site set on purpose (NCCL_IB_HCA), which wrong-nic looks at.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from netprobe.contracts import Detector
from netprobe.detectors._fleet import alike, config_again, usual
from netprobe.detectors._selection import environment_of, fast_ports
from netprobe.detectors._words import MOST_FACTS, listed, percent
from netprobe.locate.gpu_nics import nearest_nics
from netprobe.model.evidence import Evidence
from netprobe.model.finding import Confidence, Fact, Finding, Gap, Severity
from netprobe.model.inventory import HostInventory
from netprobe.model.limits import Limits
from netprobe.model.nccl import SOCKETS, Direction, NcclFacts, NcclWay
from netprobe.model.plan import Path

ID = "nccl-fallback"
BASIS: Final = "NCCL's log (NCCL_DEBUG=INFO)"
GONE: Final = "none"
"""What an inventory says of GPUDirect where neither module nor dma-buf is there: gpudirect-off tells of it."""
FORBIDDING: Final = {"NCCL_IB_DISABLE": ("1",), "NCCL_NET": ("Socket", "socket")}
GPUDIRECT_SETTINGS: Final = ("NCCL_NET_GDR_LEVEL", "NCCL_NET_GDR_READ", "NCCL_IB_GDR_LEVEL")
LIST: Final = "NCCL_IB_HCA"
LOG_AGAIN: Final = "NCCL_DEBUG=INFO NCCL_DEBUG_SUBSYS=INIT,ENV,NET for a job that runs a collective over all hosts"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Host:
    """What the processes of one host say, and what it is made of where that is known."""

    name: str
    processes: tuple[NcclFacts, ...]
    inventory: HostInventory | None

    @property
    def ways(self) -> tuple[NcclWay, ...]:
        return tuple(way for each in self.processes for way in each.network_ways)

    @property
    def uses_sockets(self) -> bool:
        return any(each.uses_sockets for each in self.processes)

    @property
    def ports(self) -> tuple[str, ...]:
        """RDMA ports that NCCL uses."""
        devices = (device for each in self.processes for device in each.devices)
        return tuple(dict.fromkeys(port for device in devices for port in device.ports))

    @property
    def settings(self) -> Mapping[str, str]:
        """Variables, as the host has them and as NCCL says it was told."""
        own = {} if self.inventory is None else environment_of(self.inventory)
        return {**own, **{name: value for each in self.processes for name, value in each.settings}}

    @property
    def fast(self) -> tuple[str, ...]:
        """Ports that a job is meant to use; empty where none is known."""
        if self.inventory is None:
            return ()
        active = [port for port in self.inventory.rdma_ports if port.is_active and not port.is_software]
        # Where no rate is told, as in pastes, none is slower than the others.
        fast = fast_ports(active) or active
        nets = {port.name: self.inventory.net_device(port.netdev) for port in fast}
        return tuple(name for name, net in nets.items() if net is None or not net.is_default_route)


def detect(evidence: Evidence, limits: Limits) -> Iterator[Finding | Gap]:
    """Say where NCCL's log shows another way than the one that is meant to be."""
    hosts = [
        _Host(name=name, processes=tuple(own), inventory=evidence.inventories.get(name))
        for name, own in alike(evidence.nccl, lambda each: each.host).items()
    ]
    yield from _sockets(hosts)
    rest = [each for each in hosts if not each.uses_sockets]
    yield from _staged(rest, len(hosts), limits)
    yield from _left_out(rest)
    yield from _far(rest)
    # A run over NCCL knows by itself whether it went on after a warning.
    yield from _untold(hosts, undermines=all(stage.path is not Path.NCCL for stage in evidence.plan.stages))


def _sockets(hosts: Sequence[_Host]) -> Iterator[Finding | Gap]:
    """Yield hosts that go over TCP though RDMA is there; a gap for those of which nobody knows whether it is."""
    slow = [each for each in hosts if each.uses_sockets]
    is_mixed = len(slow) < len(hosts)
    found = {each.name: why for each in slow if (why := _rdma_there(each, is_mixed)) is not None}
    taken = [each for each in slow if each.name in found]
    for (severity, action), own in alike(taken, lambda each: (_severity(each), _action(each))).items():
        names = tuple(each.name for each in own)
        yield Finding(
            detector=ID,
            severity=severity,
            confidence=Confidence.HIGH if all(each.fast for each in own) else Confidence.MEDIUM,
            subjects=names,
            hosts=names if len(names) < len(hosts) else (),
            summary="NCCL sends over TCP (NET/Socket) though RDMA is there",
            facts=tuple(
                Fact(metric=f"NCCL's network on {each.name}", observed=_network(each), expected=found[each.name],
                     basis=BASIS)
                for each in own
            )[:MOST_FACTS],
            next_action=action,
            retest=config_again(names),
        )  # fmt: skip
    unknown = [each.name for each in slow if each.name not in found and each.inventory is None]
    if unknown:
        yield Gap(
            topic=ID,
            reason=f"NCCL sends over TCP on {listed(unknown)}; whether these hosts have RDMA ports is not known",
            remedy="netprobe snapshot there, and its file together with the log",
            undermines=True,
        )


def _rdma_there(host: _Host, is_mixed: bool) -> str | None:
    """Return what shows that a host could use RDMA; None where nothing does."""
    if host.fast:
        return f"RDMA by {listed(host.fast)}"
    if host.inventory is not None:
        return None
    if host.ports:
        return f"RDMA by {listed(host.ports)}, which it lists"
    return "RDMA, as on the other hosts" if is_mixed else None


def _severity(host: _Host) -> Severity:
    """Return how bad it is: a network that was chosen and carried nothing yet has slowed nothing down."""
    return Severity.BLOCKS if any(way.detail == SOCKETS for way in host.ways) else Severity.DEGRADES


def _network(host: _Host) -> str:
    names = dict.fromkeys(name for each in host.processes for name in each.interfaces)
    seen = ", no RDMA device seen" if any(each.saw_no_rdma for each in host.processes) else ""
    return f"sockets{f' on {listed(names)}' if names else ''}{seen}"


def _action(host: _Host) -> str:
    settings = host.settings
    blamed = [f"{name}={settings[name]}" for name, values in FORBIDDING.items() if settings.get(name) in values]
    if blamed:
        return f"unset {' and '.join(blamed)}, which forbids RDMA"
    if LIST in settings:
        return f"{LIST}={settings[LIST]}: let it name a port that is active (ibv_devinfo), or unset it"
    return (
        "ibv_devinfo where the job runs: in a container give it /dev/infiniband, libibverbs with the provider of the "
        "NIC, and locked memory without limit"
    )


def _staged(hosts: Sequence[_Host], total: int, limits: Limits) -> Iterator[Finding]:
    """Yield hosts on which data of GPUs goes through host memory to the NIC, though nothing says that it must."""
    ratios = {
        each.name: ratio
        for each in hosts
        if _gpu_direct(each) != GONE
        and (ratio := _staged_ratio(each.ways)) is not None
        and ratio > limits.nccl_staged_ratio
    }
    own = [each for each in hosts if each.name in ratios]
    if not own:
        return
    for action, alike_ones in alike(own, _mend).items():
        yield _staged_finding(alike_ones, ratios, action, total, limits)


def _staged_finding(
    own: Sequence[_Host], ratios: Mapping[str, float], action: str, total: int, limits: Limits
) -> Finding:
    names = tuple(each.name for each in own)
    return Finding(
        detector=ID,
        severity=Severity.DEGRADES,
        confidence=Confidence.HIGH if all(_gpu_direct(each) for each in own) else Confidence.MEDIUM,
        subjects=names,
        hosts=names if len(names) < total else (),
        summary="NCCL does not use GPUDirect (no GDRDMA): what GPUs send and receive goes through host memory",
        facts=tuple(
            Fact(metric=f"NCCL's connections of {each.name} through host memory", observed=percent(ratios[each.name]),
                 expected=f"at most {percent(limits.nccl_staged_ratio)}{_through(each)}",
                 basis=BASIS)
            for each in own
        )[:MOST_FACTS],
        next_action=action,
        retest=config_again(names),
    )  # fmt: skip


def _mend(host: _Host) -> str:
    """Return what to do: NCCL says whether the NICs could, so that it is the distance which keeps it from it."""
    limits = [f"{name}={host.settings[name]}" for name in GPUDIRECT_SETTINGS if name in host.settings]
    unset = f"unset {' and '.join(limits)}; " if limits else ""
    if any(each.has_gpu_direct for each in host.processes):
        return (
            f"{unset}the NICs can, but NCCL finds them too far from the GPUs: nvidia-smi topo -m should show PIX or "
            "PXB; in a virtual machine NCCL_TOPO_FILE tells it what it cannot see"
        )
    return (
        f"{unset}modprobe nvidia-peermem (or dma-buf: open kernel modules, Linux 5.12); ACS off on bridges between "
        "GPU and NIC"
    )


def _through(host: _Host) -> str:
    way = _gpu_direct(host)
    return "" if way is None else f", by {way}"


def _gpu_direct(host: _Host) -> str | None:
    system = None if host.inventory is None else host.inventory.system
    return None if system is None else system.gpu_direct


def _staged_ratio(ways: Sequence[NcclWay]) -> float | None:
    """Return the share without GPUDirect; None without connections to other hosts.

    Of those that receive, where any is told: on GPUs without NVLink, and before Ampere, NCCL sends through host memory
    on purpose.
    """
    own = [each for each in ways if each.direction is Direction.RECEIVE] or list(ways)
    total = sum(each.connections for each in own)
    return sum(each.connections for each in own if not each.is_gpu_direct) / total if total else None


def _left_out(hosts: Sequence[_Host]) -> Iterator[Finding]:
    """Yield hosts on which NCCL uses some of the NICs: against those they have, else against most hosts."""
    told = [each for each in hosts if each.ports]
    free = [each for each in told if LIST not in each.settings and each.fast]
    missing = {each.name: lost for each in free if (lost := [port for port in each.fast if port not in each.ports])}
    most = usual(len(each.ports) for each in told)
    for each in told:
        if each.name in missing:
            yield _fewer(each, f"not {listed(missing[each.name])}", f"{listed(each.fast)}", Confidence.HIGH)
        elif most is not None and len(each.ports) < most.value:
            few = f"{len(each.ports)} RDMA ports"
            yield _fewer(each, few, f"{most.value}, as on {most.count} hosts", Confidence.MEDIUM)


def _fewer(host: _Host, observed: str, expected: str, confidence: Confidence) -> Finding:
    return Finding(
        detector=ID,
        severity=Severity.DEGRADES,
        confidence=confidence,
        subjects=(host.name,),
        hosts=(host.name,),
        summary=f"NCCL uses {listed(host.ports)} of its NICs alone",
        facts=(
            Fact(metric=f"RDMA ports that NCCL uses on {host.name}", observed=observed, expected=expected, basis=BASIS),
        ),
        next_action=f"ibv_devinfo where the job runs: a port that is missing there is not handed to the container, or "
        f"down; {LIST} unset, or the same on all hosts",
        retest=config_again([host.name]),
    )


def _far(hosts: Sequence[_Host]) -> Iterator[Finding]:
    """Yield GPUs none of whose own connections goes by a NIC that is nearest to them."""
    for host in hosts:
        facts = [fact for each in host.processes if (fact := _detour(host, each)) is not None]
        if facts:
            yield Finding(
                detector=ID,
                severity=Severity.DEGRADES,
                confidence=Confidence.MEDIUM,
                subjects=(host.name,),
                hosts=(),
                summary=f"GPUs for which NCCL takes NICs that are not the nearest ones: {len(facts)}",
                facts=tuple(facts[:MOST_FACTS]),
                next_action="NCCL_CROSS_NIC, NCCL_TOPO_FILE and CUDA_VISIBLE_DEVICES unset; NCCL_DEBUG_SUBSYS=GRAPH "
                "shows the distances that NCCL sees: in a virtual machine it may see none",
                retest=config_again([host.name]),
            )


def _detour(host: _Host, process: NcclFacts) -> Fact | None:
    gpu = None if host.inventory is None else host.inventory.pci_device(process.gpu_pci)
    nearest = None if gpu is None or host.inventory is None else nearest_nics(gpu, host.inventory)
    own = {way.device for way in process.network_ways if way.proxy is None}
    used = [port for device in process.devices if device.index in own for port in device.ports]
    if nearest is None or not used:
        return None
    usable = {port.partition("/")[0] for port in host.fast if port in host.ports}
    near = [name for name in nearest.names if name in usable]
    if not near or {port.partition("/")[0] for port in used} & set(near):
        return None
    return Fact(
        metric=f"NICs of the GPU {process.gpu_pci} on {host.name}",
        observed=listed(used),
        expected=f"{listed(near)} ({nearest.distance.name})",
        basis=f"{BASIS}, and PCI paths of sysfs",
    )


def _untold(hosts: Sequence[_Host], *, undermines: bool) -> Iterator[Gap]:
    """Yield what the log does not say: channels that were not connected yet; and what NCCL itself warns of."""
    processes = [each for host in hosts for each in host.processes]
    is_wide = len(hosts) > 1 or any((each.ranks or 0) > len(processes) for each in processes)
    if is_wide and not any(host.ways for host in hosts):
        yield Gap(
            topic=ID,
            reason="NCCL's log shows no connection between hosts, so GPUDirect was not judged, nor were NICs",
            remedy=LOG_AGAIN,
        )
    warned = {each.host: each.warnings[0] for each in processes if each.warnings}
    for text, names in alike(warned, lambda name: warned[name]).items():
        yield Gap(
            topic=ID,
            reason=f"NCCL warned on {listed(names)}: {text}",
            remedy="the job's own output tells whether it went on; the whole log, to its end, where it did",
            undermines=undermines,
        )


DETECTOR = Detector(
    id=ID,
    title="NCCL on a slower way than the hosts offer",
    cause="""NCCL does not fail where RDMA is missing: it goes on over TCP, through host memory, or with fewer NICs, and
    every step of training is slower. A container without /dev/infiniband, NCCL_IB_DISABLE left over in a profile, a
    list of devices for other hosts, or a peer-memory module that was not loaded: jobs run, and nobody is told why
    they are slow.""",
    evidence="""NCCL's own log, of a run that used it or of somebody else's job (netprobe ingest). Sockets where the
    inventory has active RDMA ports, or other hosts of the same job use them: blocks where connections go over them.
    Connections to other hosts without GDRDMA above nccl_staged_ratio, unless gpudirect-off says why; of those that
    receive, since some GPUs send through host memory on purpose. NICs that are active and not used, without a list that
    leaves them out; fewer than most hosts use. GPUs whose connections all avoid the nearest NIC. What NCCL warns of is
    told, and a pasted log with a warning is not called healthy.""",
    remedy="""What the log names: unset the variable, hand the devices to the container, load nvidia-peermem. Then the
    same job with NCCL_DEBUG=INFO says NET/IB and GDRDMA.""",
    limits=("nccl_staged_ratio",),
    detect=detect,
)
