"""What RoCE makes of an interface: which entry of its table of addresses (GIDs) to use, and the largest payload."""

from collections.abc import Iterable
from ipaddress import IPv6Address
from typing import Final

from netprobe.model.inventory import Gid

ROUTED: Final = "RoCE v2"
VERSIONS: Final = (ROUTED, "IB/RoCE v1")
LINK_LOCAL: Final = "link-local"
FAMILIES: Final = ("IPv4", "IPv6", LINK_LOCAL)
PAYLOADS_BYTES: Final = (4096, 2048, 1024, 512, 256)
HEADERS_BYTES: Final = 96  # IPv6, UDP, BTH, extended headers and ICRC: iboe_get_mtu in Linux, include/rdma/ib_addr.h


def family_of(gid: Gid) -> str | None:
    """Return ``IPv4`` (mapped), ``IPv6`` or ``link-local``; None for what is no address of a host."""
    try:
        address = IPv6Address(gid.address)
    except ValueError:
        return None
    if address.is_unspecified or address.is_multicast or address.is_loopback:
        return None
    if address.ipv4_mapped is not None:
        return LINK_LOCAL if address.ipv4_mapped.is_link_local else "IPv4"
    return LINK_LOCAL if address.is_link_local else "IPv6"


def address_of(gid: Gid) -> str:
    """Return the address as people write it: ``10.1.0.1`` rather than eight groups of digits."""
    parsed = IPv6Address(gid.address)
    return f"{parsed.ipv4_mapped or parsed}"


def is_routed(gid: Gid | None) -> bool:
    """Return whether packets from this entry cross a router."""
    return gid is not None and gid.kind == ROUTED and family_of(gid) in ("IPv4", "IPv6")


def chosen(gids: Iterable[Gid], netdev: str | None = None) -> Gid | None:
    """Return the entry to use, one of ``netdev`` rather than of a VLAN on it; None where there is none of any use.

    A link-local one comes last; then the version counts, then the family, then the lowest index.
    """
    usable = [gid for gid in gids if family_of(gid) is not None]
    return min(usable, key=lambda gid: (_merit(gid), _is_of_another(gid, netdev), gid.index), default=None)


def payload_bytes(mtu_bytes: int) -> int | None:
    """Return the largest payload of a RoCE packet that fits; None where not even the smallest does."""
    return next((each for each in PAYLOADS_BYTES if each + HEADERS_BYTES <= mtu_bytes), None)


def _merit(gid: Gid) -> tuple[bool, int, int]:
    family = family_of(gid) or LINK_LOCAL
    version = VERSIONS.index(gid.kind) if gid.kind in VERSIONS else len(VERSIONS)
    return family == LINK_LOCAL, version, FAMILIES.index(family)


def _is_of_another(gid: Gid, netdev: str | None) -> bool:
    return None not in (gid.netdev, netdev) and gid.netdev != netdev
