"""What the two ends of a failed pair of RDMA are made of, and what of it cannot work together."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_interface
from typing import Final

from netprobe.detectors._fleet import HostPort
from netprobe.locate.roce import family_of, payload_bytes
from netprobe.model.evidence import Evidence
from netprobe.model.inventory import Gid
from netprobe.model.plan import Path
from netprobe.model.rdma import RdmaEndpoint, RdmaOptions

ETHERNET: Final = "Ethernet"
NETWORKS: Final = ("their ports are of different networks", "name the device that each host is to use")
KINDS: Final = (
    "their addresses (GIDs) are of different kinds",
    "show_gids at both ends: each has to use an entry of RoCE v2",
)
FAMILIES: Final = (
    "their addresses (GIDs) are of different families",
    "give both interfaces an address of one family; it makes the entry of the table",
)
SUBNETS: Final = (
    "their addresses are in different subnets",
    "ip route get ADDRESS oif INTERFACE at both ends: there may be no way",
)
"""(what does not fit, what to check)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class End:
    """What one rank of a pair uses, and the port that it is, where its host told."""

    host: str
    endpoint: RdmaEndpoint
    port: HostPort | None

    @property
    def family(self) -> str | None:
        """``IPv4``, ``IPv6``, ``link-local``; None for what is no address."""
        used = self.endpoint
        return family_of(Gid(index=used.gid_index, address=used.gid, kind=used.gid_kind, netdev=used.netdev))

    @property
    def mtu_bytes(self) -> int | None:
        """Of its interface."""
        return None if self.port is None or self.port.net is None else self.port.net.mtu_bytes

    @property
    def subnet(self) -> str | None:
        """The network of its address, where its interface tells the length of the prefix."""
        own = _address(self.endpoint.gid)
        net = None if self.port is None else self.port.inventory.net_device(self.endpoint.netdev)
        for text in () if net is None or own is None else net.addresses:
            try:
                interface = ip_interface(text)
            except ValueError:
                continue
            if interface.ip == own:
                return str(interface.network)
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Misfit:
    """What cannot work between two ends, whatever the network does."""

    what: str
    """``their addresses are of different kinds``: the same words for all pairs that have it."""
    a: str
    b: str
    """What each end has."""
    check: str
    explains: bool = False
    """Whether nothing that failed beside it needs another explanation."""


def ends_of(evidence: Evidence) -> dict[int, End]:
    """Return what each rank uses, by rank; ranks without RDMA are absent."""
    host_of = {rank.rank: rank.host for rank in evidence.ranks}
    ends = {}
    for endpoint in evidence.endpoints:
        host = host_of.get(endpoint.rank, "")
        inventory = evidence.inventories.get(host)
        ports = () if inventory is None else inventory.rdma_ports
        port = next((each for each in ports if each.name == endpoint.name), None)
        known = None if inventory is None or port is None else HostPort(inventory=inventory, port=port)
        ends[endpoint.rank] = End(host=host, endpoint=endpoint, port=known)
    return ends


def misfits(
    a: End, b: End, wishes: Sequence[RdmaOptions], *, is_routed: bool, has_worked: bool = False
) -> Iterator[Misfit]:
    """Yield why two ends cannot meet, the surest first.

    ``is_routed``: other pairs of these two subnets work. ``has_worked``: messages went through, so that only large
    packets can be too much.
    """
    if not has_worked:
        yield from _apart(a, b, is_routed=is_routed)
        yield from _inactive(a, b)
    if ETHERNET == a.endpoint.link_layer == b.endpoint.link_layer:
        yield from _too_large(a, b, wishes)


def _apart(a: End, b: End, *, is_routed: bool) -> Iterator[Misfit]:
    one, other = a.endpoint, b.endpoint
    yield from _different(one.link_layer, other.link_layer, *NETWORKS)
    if ETHERNET in (one.link_layer, other.link_layer):
        yield from _different(one.gid_kind, other.gid_kind, *KINDS)
        yield from _different(a.family, b.family, *FAMILIES)
        if not is_routed:
            yield from _different(a.subnet, b.subnet, *SUBNETS)


def wishes_of(evidence: Evidence) -> tuple[RdmaOptions, ...]:
    """Return what stages asked of RDMA."""
    stages = (stage for stage in evidence.plan.stages if stage.path is Path.VERBS)
    return tuple(dict.fromkeys(stage.rdma for stage in stages if stage.rdma is not None))


def _different(a: str | None, b: str | None, what: str, check: str) -> Iterator[Misfit]:
    if a is not None and b is not None and a != b:
        yield Misfit(what=what, a=a, b=b, check=check)


def _inactive(a: End, b: End) -> Iterator[Misfit]:
    states = [None if end.port is None else end.port.port.state for end in (a, b)]
    if any(state is not None and state != "ACTIVE" for state in states):
        yield Misfit(
            what="a port is not ACTIVE",
            a=states[0] or "unknown",
            b=states[1] or "unknown",
            check="cable, optic and the port of the switch",
        )


def _too_large(a: End, b: End, wishes: Sequence[RdmaOptions]) -> Iterator[Misfit]:
    """Yield what only large packets stumble over."""
    told = [end.mtu_bytes for end in (a, b)]
    if told[0] is None or told[1] is None:
        return
    fits = min(payload_bytes(mtu) or 0 for mtu in told if mtu is not None)
    wished = max((wish.path_mtu_bytes for wish in wishes if wish.path_mtu_bytes is not None), default=0)
    names = (f"interface MTU {told[0]}", f"interface MTU {told[1]}")
    if wished > fits:
        yield Misfit(
            what=f"packets of {wished} bytes are larger than an interface lets them be",
            a=names[0],
            b=names[1],
            check=f"a path MTU of {fits}, or a larger MTU of the interfaces and of the switches between them",
        )
    elif told[0] != told[1]:
        yield Misfit(
            what="the MTUs of their interfaces differ",
            a=names[0],
            b=names[1],
            check="one MTU for all interfaces and for the switches between them",
        )


def _address(gid: str) -> IPv4Address | IPv6Address | None:
    try:
        address = IPv6Address(gid)
    except ValueError:
        return None
    return address.ipv4_mapped or address
