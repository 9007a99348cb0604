"""What ``ethtool`` asks of the kernel, over pyroute2's socket; requests it lacks are structures of linux/ethtool.h.

These are ioctls and not the netlink family of the same name: that one is younger (Linux 5.6, for FEC 5.13) than the
kernels of many clusters. pyroute2 is loaded with this module: import it where it is used.
"""

import ctypes
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Final, TypeVar

from pyroute2.ethtool.ioctl import (
    ETH_GSTRING_LEN,
    ETH_SS_STATS,
    ETHTOOL_GSTATS,
    ETHTOOL_GSTRINGS,
    EthtoolError,
    IoctlEthtool,
    generate_EthtoolGStats,
    generate_EthtoolGstrings,
)

from netprobe.contracts import LinkSettings

GET_PAUSE: Final = 0x12
GET_FEC: Final = 0x50
FEC_MODES: Final = {1 << 2: "Off", 1 << 3: "RS", 1 << 4: "BaseR", 1 << 5: "LLRS"}
UNKNOWN_SPEED: Final = (1 << 32) - 1
MBPS_PER_GBPS: Final = 1_000
ROOM: Final = 1_024
"""More counters than the kernel announced: until 6.19 it writes as many as there are by then, past a smaller array."""

Request = TypeVar("Request", bound=ctypes.Structure)
Told = TypeVar("Told")

_names_layout = cache(generate_EthtoolGstrings)
_values_layout = cache(generate_EthtoolGStats)


class Pause(ctypes.Structure):
    """``struct ethtool_pauseparam``."""

    _fields_ = (
        ("cmd", ctypes.c_uint32),
        ("autoneg", ctypes.c_uint32),
        ("rx_pause", ctypes.c_uint32),
        ("tx_pause", ctypes.c_uint32),
    )


class Fec(ctypes.Structure):
    """``struct ethtool_fecparam``."""

    _fields_ = (
        ("cmd", ctypes.c_uint32),
        ("active_fec", ctypes.c_uint32),
        ("fec", ctypes.c_uint32),
        ("reserved", ctypes.c_uint32),
    )


class EthtoolSocket:
    """One socket for all interfaces. Its methods raise OSError where the kernel refuses."""

    def __init__(self) -> None:
        self._ioctl = IoctlEthtool()
        self._names: dict[str, tuple[bytes, tuple[str | None, ...]]] = {}

    def close(self) -> None:
        """Close the socket."""
        self._ioctl.close()

    def statistics(self, netdev: str) -> Mapping[str, int]:
        """Return the driver's counters by name; none while the driver changes which it has."""
        self._ioctl.change_ifname(netdev)
        count = self._ioctl.get_stringset_length(ETH_SS_STATS)
        if count == 0:
            return {}
        names = self._names_of(netdev, count)
        values = _values_layout(count + ROOM)(cmd=ETHTOOL_GSTATS, size=count)
        self._ask(values)
        # Drivers add and drop counters when rings or lossless priorities change: then names and values do not match.
        if not values.size == count == len(names):
            return {}
        return {name: value for name, value in zip(names, values.data[:count], strict=True) if name is not None}

    def link(self, netdev: str) -> LinkSettings:
        """Return how an interface is set; what its driver does not tell is None."""
        self._ioctl.change_ifname(netdev)
        settings = self._told(self._ioctl.get_link_settings)
        rings = self._told(self._ioctl.get_rings)
        pause = self._told(lambda: self._ask(Pause(cmd=GET_PAUSE)))
        fec = self._told(lambda: self._ask(Fec(cmd=GET_FEC)))
        return LinkSettings(
            speed_gbps=None if settings is None else speed_gbps(settings.speed),
            autonegotiates=None if settings is None else _switch(settings.autoneg),
            fec=None if fec is None else FEC_MODES.get(fec.active_fec),
            pause_receives=None if pause is None else _switch(pause.rx_pause),
            pause_sends=None if pause is None else _switch(pause.tx_pause),
            ring_receive=None if rings is None else rings.rx,
            ring_receive_most=None if rings is None else rings.rx_max,
            ring_send=None if rings is None else rings.tx,
            ring_send_most=None if rings is None else rings.tx_max,
        )

    def _names_of(self, netdev: str, count: int) -> tuple[str | None, ...]:
        """Return the names; read again each time, since they change, but decoded only when they did."""
        told = self._ask(_names_layout(count + ROOM)(cmd=ETHTOOL_GSTRINGS, string_set=ETH_SS_STATS, len=count))
        raw = bytes(told.strings)[: told.len * ETH_GSTRING_LEN]
        known = self._names.get(netdev)
        if known is None or known[0] != raw:
            fields = (raw[start : start + ETH_GSTRING_LEN] for start in range(0, len(raw), ETH_GSTRING_LEN))
            known = raw, distinct([field.partition(b"\0")[0].decode("latin-1") for field in fields])
            self._names[netdev] = known
        return known[1]

    def _ask(self, request: Request) -> Request:
        """Let the kernel fill in a structure, and return it."""
        self._ioctl.ifreq.gstats = ctypes.addressof(request)
        try:
            self._ioctl.ioctl()
        except EthtoolError as error:
            raise OSError(f"{type(error).__name__}: {error}") from error
        return request

    @staticmethod
    def _told(ask: Callable[[], Told]) -> Told | None:
        try:
            return ask()
        except (OSError, EthtoolError):
            return None


def distinct(names: Sequence[str]) -> tuple[str | None, ...]:
    """Return names without padding; None for one that is empty or given to several counters.

    Drivers cut names to 31 characters, so what is named alike may count different things.
    """
    stripped = [name.strip() for name in names]
    uses = Counter(stripped)
    return tuple(name if name and uses[name] == 1 else None for name in stripped)


def speed_gbps(speed_mbps: int) -> float | None:
    """Return a speed; None for what drivers say of a link that is down, or of none (virtual interfaces)."""
    return None if speed_mbps in (0, UNKNOWN_SPEED) else speed_mbps / MBPS_PER_GBPS


def _switch(value: int) -> bool | None:
    return {0: False, 1: True}.get(value)
