"""What a PCI Express link carries, and which link on the way to the root carries less than it could."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from netprobe.units import pcie_gbps

WIDEST: Final = 32

_SPEED: Final = re.compile(r"(\d{1,3}(?:\.\d)?) GT/s\b.*")


@dataclass(frozen=True, slots=True, kw_only=True)
class PciLink:
    """A device's link upwards, or a bridge's link; None: not known."""

    speed_gtps: float | None
    speed_most_gtps: float | None
    width: int | None
    width_most: int | None


def parse_speed_gtps(text: str | None) -> float | None:
    """Return 32.0 of ``32.0 GT/s PCIe``."""
    found = _SPEED.fullmatch(text or "")
    return float(found[1]) or None if found else None


def parse_width(count: int | None) -> int | None:
    """Return the number of lanes; 0, or 255 of a virtual function, tells nothing."""
    return count if count is not None and 0 < count <= WIDEST else None


def narrowest(device: PciLink, bridges: Sequence[PciLink]) -> int | None:
    """Return which bridge (the root first) is the bottleneck: it runs below what it could, and carries less than the
    device at its best; of several with the least the one nearest the root. None: there is none.

    The bridge right above the device is left out: its link is the device's own.
    """
    wanted_gbps = pcie_gbps(device.speed_most_gtps, device.width_most)
    carried = [pcie_gbps(bridge.speed_gtps, bridge.width) for bridge in bridges[:-1]]
    slow = [
        (gbps, index)
        for index, gbps in enumerate(carried)
        if gbps is not None and wanted_gbps is not None and gbps < min(wanted_gbps, _possible_gbps(bridges, index))
    ]
    return min(slow)[1] if slow else None


def _possible_gbps(bridges: Sequence[PciLink], index: int) -> float:
    """Return what a bridge's link could carry at most; 0 where that is not known: nothing is below it.

    Which neighbour is at its other end depends on the kind of bridge, which only root may read: both have to be able.
    """
    both_ends = bridges[max(0, index - 1) : index + 2]
    speeds = [each.speed_most_gtps for each in both_ends]
    widths = [each.width_most for each in both_ends]
    possible = pcie_gbps(
        min((speed for speed in speeds if speed is not None), default=None),
        min((width for width in widths if width is not None), default=None),
    )
    return 0.0 if possible is None else possible
