"""Which devices NCCL and UCX use, by what their variables say; and which of a host's ports are the fast ones."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from netprobe.model.inventory import HostInventory, RdmaPort

ANY_PORT: Final = -1
SLOW_RATIO: Final = 0.5
"""Of the rate of a host's fastest port: below this a port is there for something else."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """A list as NCCL reads it: prefixes, ``=`` for whole names, ``^`` for all but these, ``:`` before a port."""

    names: tuple[tuple[str, int], ...]
    """(name or its beginning, port)."""
    is_exact: bool = False
    excludes: bool = False

    def has(self, name: str, port: int = ANY_PORT) -> bool:
        """Return whether a device is among those that are used."""
        found = any(self._fits(name, wanted) and own in (ANY_PORT, port) for wanted, own in self.names)
        return found is not self.excludes

    def _fits(self, name: str, wanted: str) -> bool:
        return name == wanted if self.is_exact else name.startswith(wanted)


def parse_selection(text: str) -> Selection | None:
    """Return what ``mlx5_0:1,mlx5_1``, ``=mlx5_0`` or ``^mlx5_bond`` selects; None where nothing is named."""
    rest = text.removeprefix("^")
    names = tuple(_entry(each.strip()) for each in rest.removeprefix("=").split(",") if each.strip())
    if not names:
        return None
    return Selection(names=names, is_exact=rest.startswith("="), excludes=text.startswith("^"))


def _entry(text: str) -> tuple[str, int]:
    name, _, port = text.partition(":")
    return name, int(port) if port.isdecimal() and len(port) < 4 else ANY_PORT


def environment_of(inventory: HostInventory) -> Mapping[str, str]:
    """Return the settings of communication libraries that a host has."""
    return dict(inventory.system.environment) if inventory.system is not None else {}


def nccl_ports(inventory: HostInventory) -> tuple[RdmaPort, ...]:
    """Return the active ports that NCCL uses: all of them unless NCCL_IB_HCA says which."""
    active = tuple(port for port in inventory.rdma_ports if port.is_active)
    selection = parse_selection(environment_of(inventory).get("NCCL_IB_HCA", ""))
    return active if selection is None else tuple(each for each in active if selection.has(each.device, each.port))


def ucx_ports(inventory: HostInventory) -> tuple[RdmaPort, ...]:
    """Return the active ports that UCX uses: all of them unless UCX_NET_DEVICES lists some, as ``mlx5_0:1``."""
    active = tuple(port for port in inventory.rdma_ports if port.is_active)
    listed = environment_of(inventory).get("UCX_NET_DEVICES", "all")
    names = {name.strip() for name in listed.split(",")}
    if "all" in names or "^" in listed or "*" in listed:  # what newer ones take besides names is not looked into
        return active
    return tuple(each for each in active if f"{each.device}:{each.port}" in names)


def fast_ports(ports: Sequence[RdmaPort]) -> tuple[RdmaPort, ...]:
    """Return the active ports that a job is meant to use: those of the highest rate, or near it."""
    active = [port for port in ports if port.is_active]
    best = max((port.rate_gbps or 0.0 for port in active), default=0.0)
    return tuple(port for port in active if (port.rate_gbps or 0.0) > SLOW_RATIO * best)
