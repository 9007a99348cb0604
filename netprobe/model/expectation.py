"""What a measurement should reach: a published figure, the key under which it holds, and who published it.

None in a key means that it does not matter; a figure that is not of an entry's kind is None. Exactly one is given.
"""

from dataclasses import dataclass
from enum import StrEnum

from netprobe.model.plan import Memory, Path


class Kind(StrEnum):
    """What a figure was published as."""

    GATE = "gate"  # somebody takes hosts out that are below; used as it is
    TYPICAL = "typical"  # told as what healthy systems reach; held with a margin
    MEASURED = "measured"  # one system that was seen; held with a margin


@dataclass(frozen=True, slots=True, kw_only=True)
class Expectation:
    """One figure of the table."""

    probe: str
    """``bandwidth``, ``latency``, a collective that moves data, or ``copy``: within a GPU."""
    path: Path
    """What carries it: verbs for pairs; of collectives the library whose figure it is."""
    memory: Memory
    """Of both ends: a figure of host memory says nothing of GPU memory, nor the other way round."""
    kind: Kind
    source: str
    """A short name of where it was published."""
    payload_bytes: int
    """From this size on; of latency up to it."""

    gpu: str | None = None
    """A word of the name that the driver gives, as in ``H100``; all its words must be there."""
    gpus: int | None = None
    """On each host."""
    hosts: int | None = None
    """That take part in a collective."""
    nics: int | None = None
    """That each host uses."""
    link_gbps: float | None = None
    """The rate of one port."""
    link_layer: str | None = None
    """``InfiniBand`` or ``Ethernet``."""
    queue_pairs: int = 1
    """Of a pair of ranks, from so many on."""

    line_ratio: float | None = None
    """Of the line rate: of a port for a pair, of all ports of a host for a collective between hosts."""
    busbw_gigabytes_per_s: float | None = None
    """As nccl-tests counts it (model.collective)."""
    memory_gigabytes_per_s: float | None = None
    """What a GPU's memory reads and writes together."""
    latency_ns: float | None = None
    """Half a round trip, at most."""

    note: str = ""
    is_site: bool = False
    """From a site's own file, which goes before what is shipped."""

    @property
    def key(self) -> tuple[object, ...]:
        """What no two entries of a table may have in common."""
        whom = (self.probe, self.path, self.memory, self.kind, self.payload_bytes, self.queue_pairs)
        return (*whom, self.gpu, self.gpus, self.hosts, self.nics, self.link_gbps, self.link_layer)

    @property
    def words(self) -> int:
        """How many traits of a system it asks for: more is nearer to the system at hand."""
        asked = (self.gpu, self.gpus, self.hosts, self.nics, self.link_gbps, self.link_layer)
        return sum(each is not None for each in asked)
