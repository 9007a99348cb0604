"""Which ranks can use RDMA, by which port and address, and why not the others; opened before anything is measured."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Final

from netprobe.contracts import Control, System, Transport
from netprobe.errors import NetprobeError, UnavailableError
from netprobe.inventory.net_devices import INTERFACES
from netprobe.inventory.pci import pci_devices
from netprobe.inventory.rdma_choice import choose_endpoint, refuse_path_mtu
from netprobe.inventory.rdma_ports import rdma_ports
from netprobe.locate.gpu_nics import distances_from
from netprobe.model.endpoint import Rank
from netprobe.model.finding import Gap
from netprobe.model.gpu import GpuEndpoint
from netprobe.model.inventory import RdmaPort
from netprobe.model.plan import Path, Plan
from netprobe.model.rdma import RdmaEndpoint, RdmaOptions
from netprobe.session.reasons import Reason, gaps_of
from netprobe.system.files import count_in
from netprobe.transports._verbs_engine import Broken, EngineDevice, OpenDevice
from netprobe.transports.verbs import VerbsTransport
from netprobe.transports.verbs_datagrams import VerbsDatagrams

TOPIC: Final = "rdma"
FEWEST: Final = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Rdma:
    """What a rank knows of RDMA in this launch."""

    transport: VerbsTransport | None
    """None where this rank has no usable endpoint."""
    datagrams: VerbsDatagrams | None = None
    device: EngineDevice | None = None
    """What both work on."""
    endpoints: tuple[RdmaEndpoint, ...]
    """Of all ranks that have one, by MPI's numbers."""
    gaps: tuple[Gap, ...]
    """Why the others have none."""

    def close(self) -> None:
        """Close the device; queue pairs are gone by then, each with its round."""
        if self.device is not None:
            with suppress(Broken):
                self.device.close()

    @property
    def ranks(self) -> frozenset[int]:
        """Ranks that can use it."""
        return frozenset(each.rank for each in self.endpoints)


NOT_ASKED: Final = Rdma(
    transport=None,
    endpoints=(),
    gaps=(
        Gap(
            topic=TOPIC,
            reason="RDMA devices are present, but it was not asked to use them",
            remedy="--transport auto, or verbs",
        ),
    ),
)


def open_rdma(  # noqa: PLR0913 - who, where, how, and what tests replace
    under: Transport,
    control: Control,
    ranks: tuple[Rank, ...],
    plan: Plan,
    system: System,
    open_device: OpenDevice,
    step: Callable[[], None] = lambda: None,
    gpu: GpuEndpoint | None = None,
) -> Rdma:
    """Choose and open this rank's endpoint, and tell the others; all ranks call, ``ranks`` are in MPI's order.

    ``gpu``: this rank's, whose nearest NIC it then is, or the one that the plan's map names.
    """
    wish = next((stage.rdma or RdmaOptions() for stage in plan.stages if stage.path is Path.VERBS), None)
    if wish is None:
        return NOT_ASKED
    own_rank = ranks[control.rank]
    if gpu is not None and plan.gpu_map and wish.device is None:
        wish = replace(wish, device=plan.gpu_map[own_rank.local_index % len(plan.gpu_map)].nic)
    found = _open(control.rank, own_rank, wish, system, open_device, gpu)
    own = found if isinstance(found, Reason) else found[0]
    told = control.allgather(own)
    rdma = Rdma(
        transport=None,
        endpoints=tuple(each for each in told if isinstance(each, RdmaEndpoint)),
        gaps=gaps_of(told, ranks, topic=TOPIC, what="RDMA", remedy="netprobe doctor there"),
    )
    if isinstance(found, Reason):
        return rdma
    return replace(
        rdma,
        transport=VerbsTransport(under, control, *found, step),
        datagrams=VerbsDatagrams(control, *found, step),
        device=found[1],
    )


def refuse_hopeless(plan: Plan, rdma: Rdma) -> None:
    """Raise UnavailableError where a plan wants nothing but RDMA and fewer than two ranks have it; pure."""
    if len(rdma.endpoints) >= FEWEST or any(stage.path is not Path.VERBS for stage in plan.stages):
        return
    if not rdma.gaps:
        raise UnavailableError("RDMA takes two ranks", remedy="--ranks 2, or --hosts with two hosts")
    most = rdma.gaps[0]
    raise UnavailableError(most.reason, remedy=most.remedy)


def feasible(plan: Plan, rdma: Rdma) -> Plan:
    """Return the plan without the stages for which nobody has the device: that is told once, as not tested."""
    if len(rdma.endpoints) >= FEWEST:
        return plan
    return replace(plan, stages=tuple(stage for stage in plan.stages if stage.path is not Path.VERBS))


def _open(
    number: int, own: Rank, wish: RdmaOptions, system: System, open_device: OpenDevice, gpu: GpuEndpoint | None
) -> tuple[RdmaEndpoint, EngineDevice] | Reason:
    """Return this rank's endpoint and device, or the reason why it has none."""
    try:
        ports = rdma_ports(system)
        distances = {} if gpu is None else distances_from(gpu.pci, ports, pci_devices(system, _pci_of(ports)))
        endpoint = replace(choose_endpoint(ports, wish, own.local_index, distances), rank=number)
        refuse_path_mtu(endpoint, wish, count_in(system.root / INTERFACES / (endpoint.netdev or "") / "mtu"))
        return endpoint, open_device(endpoint, wish)
    except NetprobeError as error:
        return Reason(error.problem, error.remedy)
    except OSError as error:
        return Reason(f"RDMA devices cannot be listed: {error.strerror}", "netprobe doctor there")


def _pci_of(ports: Sequence[RdmaPort]) -> list[str]:
    return [port.pci for port in ports if port.pci is not None]
