"""What NCCL says of itself in its log (NCCL_DEBUG=INFO): which network it took, and how its channels go."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

SOCKETS: Final = "Socket"
"""What NCCL calls its network over TCP; every other is RDMA, or a plug-in's."""


class Direction(StrEnum):
    """Which half of a channel a line is about; connections within a host name none."""

    SEND = "send"
    RECEIVE = "receive"


@dataclass(frozen=True, slots=True, kw_only=True)
class NcclDevice:
    """A device as NCCL numbers it: an RDMA device, or several that it takes for one."""

    index: int
    ports: tuple[str, ...]
    """``mlx5_0``, with the port's number where it is not the first: ``mlx5_0/2``."""
    link: str | None = None
    """``RoCE`` or ``IB``; None where the line does not say."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NcclWay:
    """How connections of one process go, those alike together."""

    kind: str
    """``NET``, ``P2P``, ``SHM`` or ``COLLNET``."""
    detail: str
    """The network of NET (``IB``, ``Socket``, ``IBext_v8``); ``CUMEM``, ``IPC``, ``direct`` of the others."""
    device: int | None = None
    """The number of the network's device."""
    direction: Direction | None = None
    is_gpu_direct: bool = False
    """Whether the NIC reads and writes the memory of the GPU (``/GDRDMA``)."""
    proxy: int | None = None
    """The rank by whose NIC it sends (PXN); None: by one of its own."""
    connections: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class NcclChoice:
    """What NCCL took for one size of one operation."""

    operation: str | None
    """``AllReduce``; None where the line does not say."""
    size_bytes: int
    """As NCCL counts it."""
    algorithm: str
    protocol: str


@dataclass(frozen=True, slots=True, kw_only=True)
class NcclFacts:
    """What the log of one process says; what it does not say is None or empty."""

    host: str
    """As the run names it, or as NCCL does in the log of somebody else."""
    pid: int | None = None
    rank: int | None = None
    """As the run numbers it; NCCL's own number in the log of somebody else."""
    ranks: int | None = None
    """Of the communicator, the largest where there are several."""
    gpu_pci: str | None = None
    """As in ``0000:18:00.0``."""
    version: str | None = None
    """As in ``2.21.5``."""
    cuda: str | None = None
    """What NCCL was built for, as in ``12.4``."""
    network: str | None = None
    """What carries data between hosts: ``IB``, ``Socket``, or the name of a plug-in's."""
    devices: tuple[NcclDevice, ...] = ()
    """RDMA devices that it uses."""
    saw_no_rdma: bool = False
    """It looked for RDMA devices and found none."""
    interfaces: tuple[str, ...] = ()
    """Of its sockets."""
    ways: tuple[NcclWay, ...] = ()
    has_gpu_direct: bool | None = None
    """Whether it could use GPUDirect with its NICs; None where it does not say."""
    algorithms: tuple[str, ...] = ()
    """Those it was seen to choose, with the protocol: ``RING SIMPLE``."""
    choices: tuple[NcclChoice, ...] = ()
    """The same by operation and size, each once, in their order; the first few hundred."""
    settings: tuple[tuple[str, str], ...] = ()
    """Variables that it says it was told by the environment."""
    warnings: tuple[str, ...] = ()
    """The first few of its own, each once."""

    @property
    def network_ways(self) -> tuple[NcclWay, ...]:
        """Connections that leave the host."""
        return tuple(each for each in self.ways if each.kind == "NET")

    @property
    def uses_sockets(self) -> bool:
        """Whether TCP carries what goes to other hosts."""
        return self.network == SOCKETS or any(each.detail == SOCKETS for each in self.network_ways)
