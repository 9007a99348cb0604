"""Which port and which address a rank uses for RDMA: the one that works by default on most fabrics.

Does not handle: iWARP, whose queue pairs need a connection manager.
"""

from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Final

from netprobe.errors import UnavailableError
from netprobe.locate.pci_distance import PciDistance
from netprobe.locate.roce import LINK_LOCAL, address_of, chosen, family_of, payload_bytes
from netprobe.model.inventory import Gid, RdmaPort
from netprobe.model.rdma import RdmaEndpoint, RdmaOptions
from netprobe.registry import suggestion

SLOWEST_SHARE: Final = 0.5
"""Of the fastest port's rate: what has less serves management or storage; a rail that came up at half has not."""
INFINIBAND: Final = "InfiniBand"
NO_DISTANCES: Final[Mapping[str, PciDistance]] = MappingProxyType({})


def choose_endpoint(
    ports: tuple[RdmaPort, ...], wish: RdmaOptions, place: int, distances: Mapping[str, PciDistance] = NO_DISTANCES
) -> RdmaEndpoint:
    """Return the endpoint of the rank at this place on its host, as rank 0; UnavailableError where there is none.

    ``ports`` in the order in which people count them, as rdma_ports returns them: rank k uses the k-th that is active.
    ``distances``, by device, from the GPU that the rank uses: then it is the k-th of the nearest.
    """
    port, why_port = _port(ports, wish, place, distances)
    gid, why_gid = _gid(port, wish)
    return RdmaEndpoint(
        rank=0,
        device=port.device,
        port=port.port,
        link_layer=port.link_layer,
        gid_index=gid.index,
        gid=gid.address,
        gid_kind=gid.kind,
        netdev=gid.netdev or port.netdev,
        rate_gbps=port.rate_gbps,
        why="; ".join(reason for reason in (why_port, why_gid) if reason),
    )


def refuse_path_mtu(endpoint: RdmaEndpoint, wish: RdmaOptions, interface_mtu_bytes: int | None) -> None:
    """Raise UnavailableError where the wished path MTU does not fit the endpoint's interface; None: it is not known."""
    most = None if interface_mtu_bytes is None else payload_bytes(interface_mtu_bytes)
    if wish.path_mtu_bytes is None or most is None or wish.path_mtu_bytes <= most:
        return
    raise UnavailableError(
        f"a path MTU of {wish.path_mtu_bytes} does not fit {endpoint.name}: {endpoint.netdev} has an MTU of "
        f"{interface_mtu_bytes}",
        remedy=f"--path-mtu {most}, or ip link set dev {endpoint.netdev} mtu 9000",
    )


def port_title(port: RdmaPort) -> str:
    """Return ``mlx5_0 is DOWN (physical Disabled)``."""
    physical = "" if port.physical_state is None or port.is_active else f" (physical {port.physical_state})"
    return f"{port.name} is {port.state or 'in an unknown state'}{physical}"


def gid_title(gid: Gid) -> str:
    """Return ``GID 3 RoCE v2 10.1.0.1``."""
    return " ".join((f"GID {gid.index}", *([gid.kind] if gid.kind else []), address_of(gid)))


def _port(
    ports: Sequence[RdmaPort], wish: RdmaOptions, place: int, distances: Mapping[str, PciDistance]
) -> tuple[RdmaPort, str]:
    """Return the port to use, and why it is this one where there are several."""
    if not ports:
        raise UnavailableError("there is no RDMA device", remedy="rdma link, or netprobe doctor")
    if wish.device is not None:
        return _wished(ports, wish.device), ""
    active = [port for port in ports if port.is_active]
    if not active:
        raise UnavailableError(f"no RDMA port is active: {_listed(map(port_title, ports))}", remedy=_wake(ports[0]))
    usable = _fast(active)
    left_out = [port.name for port in active if port not in usable]
    slow = f"left out as slower: {_listed(left_out)}" if left_out else ""
    nearest = min((distances[port.device] for port in usable if port.device in distances), default=None)
    if nearest is not None:
        near = [port for port in usable if distances.get(port.device) is nearest]
        reasons = (f"nearest to the GPU ({nearest.name})", slow)
        return near[place % len(near)], "; ".join(reason for reason in reasons if reason)
    number = f"active port {place % len(usable) + 1} of {len(usable)}" if len(usable) > 1 else ""
    return usable[place % len(usable)], "; ".join(reason for reason in (number, slow) if reason)


def _wished(ports: Sequence[RdmaPort], wished: str) -> RdmaPort:
    name = wished.removesuffix("/1")
    port = next((each for each in ports if each.name == name), None)
    if port is None:
        names = tuple(each.name for each in ports)
        raise UnavailableError(f"there is no RDMA port {wished!r}", remedy=suggestion(wished, names))
    if not port.is_active:
        raise UnavailableError(port_title(port), remedy=_wake(port))
    return port


def _fast(active: Sequence[RdmaPort]) -> list[RdmaPort]:
    """Return the ports that are not much slower than the fastest; one that does not tell its rate may be fast."""
    fastest_gbps = max((port.rate_gbps or 0.0 for port in active), default=0.0)
    return [port for port in active if port.rate_gbps is None or port.rate_gbps >= SLOWEST_SHARE * fastest_gbps]


def _gid(port: RdmaPort, wish: RdmaOptions) -> tuple[Gid, str]:
    """Return the entry of the port's table to use, and what has to be known of it."""
    known = tuple(gid for gid in port.gids if family_of(gid) is not None)
    if not known:
        raise UnavailableError(f"{port.name} has no address: no entry of its GID table is set", remedy=_address(port))
    if wish.gid_index is not None:
        return _wished_gid(port, known, wish.gid_index), ""
    if port.link_layer == INFINIBAND:
        return known[0], ""  # packets find their way by LIDs
    gid = chosen(known, port.netdev)
    assert gid is not None
    return gid, "; ".join(_remarks(port, gid))


def _wished_gid(port: RdmaPort, known: Sequence[Gid], index: int) -> Gid:
    gid = next((each for each in known if each.index == index), None)
    if gid is None:
        there = _listed(gid_title(each).removeprefix("GID ") for each in known)
        raise UnavailableError(f"GID {index} of {port.name} is empty", remedy=f"--gid-index with one of: {there}")
    return gid


def _remarks(port: RdmaPort, gid: Gid) -> Iterable[str]:
    if family_of(gid) == LINK_LOCAL:
        yield "only a link-local address, which cannot cross a router"
    if None not in (gid.netdev, port.netdev) and gid.netdev != port.netdev:
        yield f"the address is that of {gid.netdev}, as {port.netdev} itself has none as good"


def _listed(parts: Iterable[str]) -> str:
    return ", ".join(parts)


def _wake(port: RdmaPort) -> str:
    """Return how a port may come up."""
    if port.is_roce and port.netdev is not None:
        return f"ip link set dev {port.netdev} up, then ethtool {port.netdev} for its cable"
    return f"ibstat {port.device} for its cable and its subnet manager"


def _address(port: RdmaPort) -> str:
    return f"ip address add ADDRESS/PREFIX dev {port.netdev or 'of the port'}"
