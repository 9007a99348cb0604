"""The addresses of this machine's interfaces; no file of the kernel tells which interface has which IPv4 address."""

from collections.abc import Mapping

UNSCOPED = "%"
"""Behind it stands the interface of a link-local address, which the key tells already."""


def addresses_here() -> Mapping[str, tuple[str, ...]]:
    """Return the addresses of interfaces, with the length of their prefix; nothing where they cannot be had."""
    import socket

    import psutil

    try:
        found = psutil.net_if_addrs()
    except OSError:
        return {}
    families = (socket.AF_INET, socket.AF_INET6)
    return {
        name: tuple(prefixed(each.address, each.netmask) for each in addresses if each.family in families)
        for name, addresses in found.items()
    }


def prefixed(address: str, netmask: str | None) -> str:
    """Return an address with the length of its prefix where the mask is known: ``10.0.0.1/24``."""
    import ipaddress

    bare = address.partition(UNSCOPED)[0]
    if not netmask:
        return bare
    mask = int(ipaddress.ip_address(netmask))
    return f"{bare}/{mask.bit_count()}"
