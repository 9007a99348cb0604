"""What one direction of a link between GPU, host and other GPUs can carry at most, for copies of many bytes.

PCI Express: rate of the lanes times their coding (units.pcie_gbps), less what every packet has beyond its payload:
payload / (payload + overhead), as in Intel's application notes 708 and 855, which give 5 to 7 double words a packet.
Since the third generation it is 4 bytes in front, a header of 12 or 16 and 4 bytes of checksum; copies use addresses of
64 bits, so 24 in all. Acknowledgements and flow control are left out, so nothing copies quite as fast.

NVLink: rate of a link each way, times the links that are up, times the share that was seen to arrive.

Does not handle: PCI Express from 64 GT/s on, which packs packets into flits; links before NVLink 3, or of other makers;
copies within a GPU.
"""

from dataclasses import dataclass
from typing import Final

from netprobe.units import pcie_gbps

USUAL_PAYLOAD_BYTES: Final = 256  # MaxPayload of most hosts with GPUs; 128 on some, 512 at most
PACKET_OVERHEAD_BYTES: Final = 24
SLOWEST_GTPS: Final = 8.0  # earlier generations frame their packets otherwise
FASTEST_GTPS: Final = 32.0
NVLINK_GBPS: Final = {3: 200.0, 4: 200.0, 5: 400.0}
"""One way, of one link, by generation: A100 has 12 of 25 GB/s, H100 and H200 18, B200 18 of 50 GB/s (NVIDIA)."""
NVLINK_RATIO: Final = 0.931
"""93.1 of 100 GB/s arrived over four links between two A100 (EESSI/software-layer PR#716)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PcieLink:
    """A link of PCI Express; None: not known. GPUs that rest slow theirs down: read it while something is copied."""

    speed_gtps: float | None
    width: int | None
    payload_bytes: int = USUAL_PAYLOAD_BYTES
    """MaxPayload of the path."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NvLinks:
    """All links between a GPU and one other, or between it and the switches; None: not known."""

    generation: int | None
    links: int | None
    """That are up."""


def copy_expectation_gbps(link: PcieLink | NvLinks) -> float | None:
    """Return the payload in Gb/s that a link carries one way at most; None where that is not known."""
    return _of_nvlinks(link) if isinstance(link, NvLinks) else _of_pcie(link)


def _of_pcie(link: PcieLink) -> float | None:
    carried = pcie_gbps(link.speed_gtps, link.width)
    if carried is None or link.payload_bytes <= 0 or not SLOWEST_GTPS <= (link.speed_gtps or 0.0) <= FASTEST_GTPS:
        return None
    return carried * link.payload_bytes / (link.payload_bytes + PACKET_OVERHEAD_BYTES)


def _of_nvlinks(link: NvLinks) -> float | None:
    each_gbps = NVLINK_GBPS.get(link.generation or 0)
    if each_gbps is None or not link.links:
        return None
    return each_gbps * link.links * NVLINK_RATIO
