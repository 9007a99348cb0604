"""Counters of switches, handed over as a file: a dump of SONiC's COUNTERS_DB, gNMI notifications, or pasted tables.

Which port a host is attached to is told by LLDP or by the site (netprobe.inventory.lldp), never guessed.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from netprobe.errors import FormatError
from netprobe.ingest import switch_gnmi, switch_sonic
from netprobe.ingest.pasted import Line, NoJson, Stream, pieces, streams, unread
from netprobe.ingest.switch_counts import Reading, put_together, unused
from netprobe.ingest.switch_tables import Tables
from netprobe.model.finding import Gap
from netprobe.model.switches import SwitchPortCounts

REMEDY: Final = "sonic-db-dump -n COUNTERS_DB -y, gnmic get, or the output of show pfc counters"


@dataclass(frozen=True, slots=True, kw_only=True)
class SwitchFile:
    """What a file tells of switches."""

    counts: tuple[SwitchPortCounts, ...]
    gap: Gap | None
    """For what cannot be read."""
    unused: tuple[str, ...]
    """Counters that it has and that tell nothing which is judged, by name."""


def parse(text: str, origin: str, switch: str) -> SwitchFile:
    """Return what a file tells of each port and priority, and what of it is not used.

    ``switch`` is whose file it is, where it does not say so itself. Raises FormatError when it tells no counters.
    """
    damaged: list[Line] = []
    readings = [each for stream in streams(text) for each in _readings(stream, stream.host or switch, damaged)]
    counts = put_together(readings)
    gap = unread("switch", origin, damaged)
    if not counts:
        reason = gap.reason if gap is not None else f"{origin} has no counters of a switch"
        raise FormatError(reason, remedy=REMEDY)
    return SwitchFile(counts=counts, gap=gap, unused=unused(readings))


def _readings(stream: Stream, switch: str, damaged: list[Line]) -> Iterator[Reading]:
    tables: list[Line] = []
    for line, value in pieces(stream.lines):
        if value is NoJson.TEXT:
            tables.append(line)
        elif value is NoJson.BROKEN:
            damaged.append(line)
        else:
            yield from _told(value, switch)
    reader = Tables(switch)
    yield from reader.readings(tables)
    damaged.extend(reader.damaged)


def _told(value: object, switch: str) -> Iterator[Reading]:
    for told in value if isinstance(value, list) else [value]:
        if not isinstance(told, dict):
            continue
        if switch_sonic.is_ours(told):
            yield from switch_sonic.readings(told, switch)
        elif switch_gnmi.is_ours(told):
            yield from switch_gnmi.readings(told, switch)
