"""The addresses of this host; no counters, so no source of its own."""

from netprobe.model.endpoint import Interface


def interfaces() -> tuple[Interface, ...]:
    """Return the interfaces of this host that are up, with their IPv4 addresses."""
    import ipaddress
    import socket

    import psutil

    states = psutil.net_if_stats()
    return tuple(
        Interface(
            name=name,
            address=each.address,
            network=str(ipaddress.ip_interface(f"{each.address}/{each.netmask}").network),
            mtu_bytes=states[name].mtu,
        )
        for name, addresses in psutil.net_if_addrs().items()
        for each in addresses
        if each.family is socket.AF_INET and each.netmask and name in states and states[name].isup
        and not ipaddress.ip_address(each.address).is_loopback
    )  # fmt: skip
