"""RDMA ports as sysfs tells of them: ``grep . /sys/class/infiniband/*/ports/*/{state,link_layer,rate}``.

Which interface a port has is taken from its addresses, from ``ibdev2netdev``, or from the folder of the device that
both share, where that shows one interface and no second port; never from numbers that happen to be the same.
"""

import re
from collections.abc import Iterator
from typing import Final

from netprobe.ingest.pasted import Line
from netprobe.ingest.told import Link, Place, Told
from netprobe.inventory.rdma_ports import parse_link_layer, parse_rate_gbps, parse_state

FILE: Final = re.compile(
    r"\s{0,64}\S{0,128}sys/class/infiniband/([\w.-]{1,64})/ports/(\d{1,3})/"
    r"(state|phys_state|link_layer|rate|gid_attrs/ndevs/\d{1,3})\s*[:=]\s*(\S.{0,127}?)\s*$"
)
SHARED: Final = re.compile(
    r"\s{0,64}\S{0,128}sys/class/(?:infiniband/([\w.-]{1,64})/device/net/([\w.@-]{1,64})"
    r"|net/([\w.@-]{1,64})/device/infiniband/([\w.-]{1,64}))(?:[/:=\s]|$)"
)
"""The folder of the PCI device, seen from its RDMA device or from its interface."""
COUNTERS: Final = "counters/"
"""In the path of a file that others read."""
IBDEV2NETDEV: Final = re.compile(r"\s{0,64}([\w.-]{1,64}) port (\d{1,3}) ==> ([\w.@-]{1,64}) \((?:Up|Down)\)\s*$")
NETDEV: Final = re.compile(r"[\w.@-]{1,64}")
ACTIVE: Final = "ACTIVE"


class PortFiles:
    """Reads ``path:value`` lines of state, link layer, rate and interface."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self._told: dict[tuple[str, int], dict[str, str]] = {}
        self._sharing: dict[str, dict[str, None]] = {}
        """Interfaces by RDMA device, of the same PCI device."""

    def take(self, line: Line) -> bool:
        """Note one file; of several interfaces of a port, by its addresses, the first."""
        if match := IBDEV2NETDEV.match(line.text):
            self._told.setdefault((match[1], int(match[2])), {}).setdefault("netdev", match[3])
            return True
        if match := SHARED.match(line.text):
            self._sharing.setdefault(match[1] or match[4], {})[match[2] or match[3]] = None
            return COUNTERS not in line.text
        match = FILE.match(line.text)
        if match is None:
            return False
        port = self._told.setdefault((match[1], int(match[2])), {})
        if match[3].startswith("gid_attrs"):
            if NETDEV.fullmatch(match[4]):
                port.setdefault("netdev", match[4])
        else:
            port[match[3]] = match[4]
        return True

    def take_json(self, line: Line, value: dict[str, object]) -> bool:  # noqa: ARG002
        """Return False: there is none."""
        return False

    def told(self) -> Iterator[Told]:
        """Yield one link a port."""
        for device, netdevs in self._sharing.items():
            if len(netdevs) == 1 and not any(port > 1 for named, port in self._told if named == device):
                self._told.setdefault((device, 1), {}).setdefault("netdev", next(iter(netdevs)))
        for (device, port), files in self._told.items():
            state = parse_state(files.get("state"))
            yield Link(
                host=self._place.host,
                device=device,
                port=port,
                state=state,
                physical_state=parse_state(files.get("phys_state")),
                netdev=files.get("netdev"),
                link_layer=parse_link_layer(files.get("link_layer")),
                # A port without a cable shows the rate of some cable.
                rate_gbps=parse_rate_gbps(files.get("rate")) if state == ACTIVE else None,
            )
