"""Do these hosts have addresses? Asked for all at once, before anything is started."""

import socket
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from netprobe.model.standing import Benched, Fate

AT_ONCE: Final = 64  # name servers answer in ms; one that is dead makes each query wait seconds
NO_ADDRESS: Final = "no address: unknown to DNS and /etc/hosts"

Resolve = Callable[[str], frozenset[str] | None]
"""The addresses of a host; None when it has none."""


def resolve_by_system(host: str) -> frozenset[str] | None:
    """Return the addresses that the system's resolver knows; None when it knows none."""
    try:
        found = socket.getaddrinfo(host, None, proto=socket.IPPROTO_TCP)
    except (OSError, UnicodeError):
        return None
    return frozenset(str(entry[4][0]) for entry in found)


def away_and_unknown(
    hosts: Sequence[str], resolve: Resolve, own_name: str | None = None
) -> tuple[tuple[str, ...], tuple[Benched, ...]]:
    """Return the hosts that are not this one, and those without an address."""
    name = own_name or socket.gethostname()
    with ThreadPoolExecutor(max_workers=min(AT_ONCE, len(hosts) + 1)) as pool:
        *answers, own = pool.map(resolve, (*hosts, name))
    known = list(zip(hosts, answers, strict=True))
    unknown = [host for host, addresses in known if addresses is None]
    away = tuple(host for host, addresses in known if not _is_here(host, name, addresses or (), own or ()))
    return away, tuple(Benched(host=host, fate=Fate.UNREACHABLE, detail=NO_ADDRESS) for host in unknown)


def _is_here(host: str, own_name: str, addresses: Iterable[str], own_addresses: Iterable[str]) -> bool:
    if host in (own_name, own_name.partition(".")[0], "localhost"):
        return True
    return any(each in ("127.0.0.1", "::1") or each in own_addresses for each in addresses)
