"""How counters of NICs are named: ``rdma/DEVICE/PORT/NAME``, ``ethtool/NETDEV/NAME``; and what ranks count themselves.

A name may hold anything but a line break, even commas and slashes: it is what is left behind the fixed parts.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class Origin(StrEnum):
    """Who counts."""

    RDMA = "rdma"
    """``/sys/class/infiniband/DEVICE/ports/PORT/{counters,hw_counters}``.

    ``DEVICE/hw_counters`` are those of port 0 where a device has several ports, else of its only port.
    """
    ETHTOOL = "ethtool"
    """``ethtool -S NETDEV``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CounterKey:
    """A counter of one port."""

    origin: Origin
    device: str
    """RDMA device or interface."""
    port: int
    """1 for an interface."""
    name: str
    """As the driver names it."""

    @property
    def place(self) -> str:
        """Whose it is: ``mlx5_0``, with the port's number where it is not the first, or ``eth0``."""
        return self.device if self.port == 1 else f"{self.device}/{self.port}"

    def __str__(self) -> str:
        if self.origin is Origin.RDMA:
            return f"{self.origin}/{self.device}/{self.port}/{self.name}"
        return f"{self.origin}/{self.device}/{self.name}"


def key_of(text: str) -> CounterKey | None:
    """Return the key that a text is; None for a counter of something else (``tcp/RetransSegs``)."""
    origin, _, rest = text.partition("/")
    if origin == Origin.RDMA:
        device, _, rest = rest.partition("/")
        port, _, name = rest.partition("/")
        if device and name and port.isascii() and port.isdigit():
            return CounterKey(origin=Origin.RDMA, device=device, port=int(port), name=name)
    if origin == Origin.ETHTOOL:
        device, _, name = rest.partition("/")
        if device and name:
            return CounterKey(origin=Origin.ETHTOOL, device=device, port=1, name=name)
    return None


DATAGRAM: Final = "datagram"
DATAGRAM_PARTS: Final = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class DatagramKey:
    """What a rank counted of the datagrams of one size that it exchanged with another: ``datagram/PEER/SIZE/WHAT``."""

    peer: int
    """By the run's number."""
    size_bytes: int
    what: str
    """A field of model.counters.DatagramCounts."""

    def __str__(self) -> str:
        return f"{DATAGRAM}/{self.peer}/{self.size_bytes}/{self.what}"


def datagram_key_of(text: str) -> DatagramKey | None:
    """Return the key that a text is; None for another counter."""
    origin, _, rest = text.partition("/")
    parts = rest.split("/")
    if origin != DATAGRAM or len(parts) != DATAGRAM_PARTS or not all(each.isdecimal() for each in parts[:-1]):
        return None
    return DatagramKey(peer=int(parts[0]), size_bytes=int(parts[1]), what=parts[2])


GPU: Final = "gpu"


@dataclass(frozen=True, slots=True, kw_only=True)
class GpuKey:
    """A counter of one GPU: ``gpu/PCI/NAME``."""

    pci: str
    """As in ``0000:18:00.0``."""
    name: str
    """One of model.gpu.GpuCount, or of a later version."""

    def __str__(self) -> str:
        return f"{GPU}/{self.pci}/{self.name}"


def gpu_key_of(text: str) -> GpuKey | None:
    """Return the key that a text is; None for another counter."""
    origin, _, rest = text.partition("/")
    pci, _, name = rest.partition("/")
    return GpuKey(pci=pci, name=name) if origin == GPU and pci and name else None
