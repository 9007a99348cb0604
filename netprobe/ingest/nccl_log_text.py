"""What NCCL logs (NCCL_DEBUG=INFO), as users paste it: which network a job took, and by which NICs."""

from collections.abc import Iterator

from netprobe.ingest.pasted import Line
from netprobe.ingest.told import Place, Told
from netprobe.transports.nccl_log import NcclLog


class NcclLogLines:
    """Reads lines of any number of processes."""

    def __init__(self, place: Place) -> None:
        self._log = NcclLog(place.host)

    def take(self, line: Line) -> bool:
        """Note a line of NCCL's; several are in one where processes wrote at once."""
        return self._log.take(line.text)

    def take_json(self, line: Line, value: dict[str, object]) -> bool:  # noqa: ARG002
        """Return False: there is none."""
        return False

    def told(self) -> Iterator[Told]:
        """Yield each process that tells anything of its network."""
        return (each for each in self._log.facts() if each.network or each.ways or each.devices or each.warnings)
