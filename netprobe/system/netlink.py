"""The kernel's word on interfaces, over pyroute2's sockets; what it refuses is empty or None."""

import errno
import threading
import weakref
from collections.abc import Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from netprobe.contracts import LinkSettings
from netprobe.errors import FormatError
from netprobe.model.inventory import QosSettings
from netprobe.system import dcb

if TYPE_CHECKING:
    from netprobe.system.ethtool import EthtoolSocket

ROUTE: Final = 0
"""NETLINK_ROUTE; the module socket has it on Linux alone."""
MOST_REPLY_BYTES: Final = 1 << 16
LONGEST_NAME: Final = 15  # the kernel's IFNAMSIZ without its zero byte
REFUSALS: Final = (OSError, ImportError)
"""No such device, not supported, not allowed; no pyroute2."""


class KernelNetlink:
    """Asks the kernel of this machine; pyroute2 is loaded by the first question, since that takes a third of a second.

    One socket serves all of ethtool's questions and is closed with this object. DCB is asked once for each interface:
    pyroute2 ties a netlink socket to the thread that made it, and to open one takes half a millisecond.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._opened: EthtoolSocket | None = None

    def statistics(self, netdev: str) -> Mapping[str, int]:
        """Return the driver's own counters."""
        with self._lock, suppress(*REFUSALS):
            _check(netdev)
            return self._ethtool().statistics(netdev)
        return {}

    def link(self, netdev: str) -> LinkSettings:
        """Return how an interface is set."""
        with self._lock, suppress(*REFUSALS):
            _check(netdev)
            return self._ethtool().link(netdev)
        return LinkSettings()

    def qos(self, netdev: str) -> QosSettings | None:
        """Return its classes; None where the driver has none to tell."""
        with suppress(*REFUSALS, FormatError):
            _check(netdev)
            from pyroute2.netlink.nlsocket import NetlinkSocket

            with NetlinkSocket(family=ROUTE) as route:
                route.send(dcb.request_of(netdev))
                return dcb.settings_of(route.recv(MOST_REPLY_BYTES))  # the kernel answered before send came back
        return None

    def _ethtool(self) -> "EthtoolSocket":
        if self._opened is None:
            from netprobe.system.ethtool import EthtoolSocket

            self._opened = EthtoolSocket()
            weakref.finalize(self, self._opened.close)
        return self._opened


def _check(netdev: str) -> None:
    """Raise OSError, as the kernel would, for what is no name of an interface; pyroute2 cuts or fails to encode it."""
    if not (netdev.isprintable() and 0 < len(netdev.encode()) <= LONGEST_NAME):
        raise OSError(errno.ENODEV, f"{netdev!r} is no name of an interface")
