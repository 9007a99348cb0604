"""Flow control as other tools print it: ``mlnx_qos -i``, ``dcb -j``, and listings of the ECN files of OFED.

Does not handle: ``dcb`` without ``-j``.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from netprobe.errors import FormatError
from netprobe.ingest.pasted import Line, NoJson, Stream, pieces, streams, unread
from netprobe.ingest.qos_draft import Draft, QosReport
from netprobe.ingest.qos_json import MARKS
from netprobe.ingest.qos_json import tell as tell_object
from netprobe.model.finding import Gap
from netprobe.model.inventory import PRIORITIES

OWN_WORDS: Final = frozenset({"tc", "priority", "cma_roce_tos"})
"""What mlnx_qos puts before a colon at the start of a line."""
LARGEST_OCTET: Final = 255
LARGEST_DSCP: Final = 63
MOST_DIGITS: Final = 10

HEADING: Final = re.compile(r".*show configuration for device\s+([^\s/=]+)(?:\s*/\s*([^\s=]+))?")
TRUST: Final = re.compile(r"\s*Priority trust state:\s*(\w*)")
MAPPING: Final = re.compile(r"\s*prio:(?:(\d)\s+dscp:((?:\d\d?,)*)\s*$)?")
BUFFERS: Final = re.compile(r"\s*Receive buffer size[^:]*:\s*(?:((?:\d+,){8}))?")
PFC_TABLE: Final = re.compile(r"\s*PFC configuration:")
PFC_ROW: Final = re.compile(r"\s+(enabled|buffer)\s+(\d[\d\s]*)$")
CLASS: Final = re.compile(r"\s*tc:\s*\d")
WHOLE_CLASS: Final = re.compile(r"\s*tc:\s*([0-7])\s.*\btsa:\s*(\w+)(?:,\s*bw:\s*(\d{1,3})%)?\s*$")
PRIORITY: Final = re.compile(r"\s*priority:\s*(?:([0-7])\s*$)?")
ECN_FILE: Final = re.compile(r".*/ecn/roce_(?:np|rp)/")
WHOLE_ECN_FILE: Final = re.compile(
    r".*/sys/class/net/([^/\s]+)/ecn/roce_(np|rp)/(enable/[0-7]|cnp_dscp|cnp_802p_prio)\s*[=:]\s*(\d{1,3})\s*$"
)
TRAFFIC_CLASS: Final = re.compile(r"(?:.*/sys/class/infiniband/([^/\s]+)/)?.*\btclass=(?:(\d{1,3})\s*$)?")
DEFAULT_TOS: Final = re.compile(r".*\b(?:cma_roce_tos|default_roce_tos)\s*[:=]\s*(?:(\d{1,3})\s*$)?")


def parse(text: str, origin: str) -> tuple[tuple[QosReport, ...], Gap | None]:
    """Return what a file tells of each interface, and one gap for its lines that cannot be read.

    Raises FormatError when it tells nothing of flow control.
    """
    readers = [_Reader(stream=stream, origin=origin) for stream in streams(text, OWN_WORDS)]
    reports = tuple(report for reader in readers for report in reader.reports())
    gap = unread("qos", origin, [line for reader in readers for line in reader.damaged])
    if not reports:
        reason = gap.reason if gap is not None else f"{origin} tells nothing of flow control"
        raise FormatError(reason, remedy="hand over what mlnx_qos -i NETDEV or dcb -j pfc show dev NETDEV printed")
    return reports, gap


@dataclass(slots=True, kw_only=True)
class _Reader:
    """Reads the lines of one stream, one after the other."""

    stream: Stream
    origin: str
    draft: Draft = field(default_factory=Draft)
    done: list[Draft] = field(default_factory=list)
    damaged: list[Line] = field(default_factory=list)
    seen: set[str] = field(default_factory=set)
    """Keys of dcb's objects that were told of this interface."""
    number: int = 0
    """Of the line that is read."""
    current_class: int | None = None
    table: Line | None = None
    """The heading of a PFC table whose rows are still to come."""

    def reports(self) -> tuple[QosReport, ...]:
        """Read everything; return what was told, one report an interface."""
        for line, value in pieces(self.stream.lines):
            is_read = self._read(line) if value is NoJson.TEXT else self._note(value)
            if not is_read:
                self.damaged.append(line)
        self.begin()
        reports = (draft.report(self.stream.host, self.origin) for draft in self.done)
        return tuple(report for report in reports if not report.is_empty)

    def begin(self) -> None:
        """Leave the interface that was told of so far, and begin another one."""
        if self.table is not None:
            self.damaged.append(self.table)
        self.done.append(self.draft)
        self.draft, self.seen, self.current_class, self.table = Draft(), set(), None, None

    def _read(self, line: Line) -> bool:
        """Note what a line says; False when it is one of ours and damaged."""
        self.number = line.number
        for start, tell in RULES:
            if match := start.match(line.text):
                return tell(self, match)
        return True

    def _note(self, value: object) -> bool:
        """Note what JSON says; False when it breaks off, or is one of dcb's objects and damaged."""
        is_whole = value is not NoJson.BROKEN
        for told in value if isinstance(value, list) else [value]:
            if not isinstance(told, dict) or not (marks := MARKS & told.keys()):
                continue
            if self.seen & marks:
                self.begin()
            self.seen |= marks
            is_whole = tell_object(self.draft, told) and is_whole
        return is_whole


def _heading(reader: _Reader, match: re.Match[str]) -> bool:
    reader.begin()
    reader.draft.netdev, reader.draft.device = match[1], match[2]
    return True


def _trust(reader: _Reader, match: re.Match[str]) -> bool:
    if reader.draft.trust is not None:
        reader.begin()  # mlnx_qos says this once an interface, and first
    if match[1] not in ("dscp", "pcp"):
        return False
    reader.draft.trust = match[1]
    return True


def _mapping(reader: _Reader, match: re.Match[str]) -> bool:
    if match[1] is None or int(match[1]) >= PRIORITIES:
        return False
    codes = [int(code) for code in match[2].split(",") if code]
    reader.draft.dscp_to_priority.update((code, int(match[1])) for code in codes if code <= LARGEST_DSCP)
    return all(code <= LARGEST_DSCP for code in codes)


def _buffers(reader: _Reader, match: re.Match[str]) -> bool:
    sizes = [each for each in (match[1] or "").split(",") if each]
    if not sizes or any(len(each) > MOST_DIGITS for each in sizes):
        return False
    return reader.draft.tell("buffer_bytes", tuple(map(int, sizes)))


def _pfc_table(reader: _Reader, match: re.Match[str]) -> bool:
    reader.table = Line(number=reader.number, text=match.string)
    return True


def _pfc_row(reader: _Reader, match: re.Match[str]) -> bool:
    name, values = match[1], match[2].split()
    if name == "enabled":
        reader.table = None
    most = "1" if name == "enabled" else "7"
    if len(values) != PRIORITIES or any(len(each) > 1 or each > most for each in values):
        return False
    return reader.draft.tell("pfc_enabled" if name == "enabled" else "priority_to_buffer", tuple(map(int, values)))


def _class(reader: _Reader, match: re.Match[str]) -> bool:
    whole = WHOLE_CLASS.match(match.string)
    reader.current_class = None if whole is None else int(whole[1])
    if whole is None:
        return False
    reader.draft.classes[int(whole[1])] = whole[2], int(whole[3] or 0)
    return True


def _priority(reader: _Reader, match: re.Match[str]) -> bool:
    if match[1] is None or reader.current_class is None:
        return False
    reader.draft.class_of[int(match[1])] = reader.current_class
    return True


def _ecn_file(reader: _Reader, match: re.Match[str]) -> bool:
    whole = WHOLE_ECN_FILE.match(match.string)
    if whole is None:
        return False
    netdev, point, file, value = whole[1], whole[2], whole[3], int(whole[4])
    if reader.draft.netdev not in (None, netdev):
        reader.begin()
    reader.draft.netdev = netdev
    if file == "cnp_dscp":
        return _number(reader, "cnp_dscp", value, LARGEST_DSCP)
    if file == "cnp_802p_prio":
        return _number(reader, "cnp_priority", value, PRIORITIES - 1)
    points = reader.draft.notification_point if point == "np" else reader.draft.reaction_point
    points[int(file[-1])] = bool(value)
    return value <= 1


def _traffic_class(reader: _Reader, match: re.Match[str]) -> bool:
    reader.draft.device = reader.draft.device or match[1]
    return match[2] is not None and _number(reader, "traffic_class", int(match[2]), LARGEST_OCTET)


def _default_tos(reader: _Reader, match: re.Match[str]) -> bool:
    return match[1] is not None and _number(reader, "default_tos", int(match[1]), LARGEST_OCTET)


def _number(reader: _Reader, name: str, value: int, most: int) -> bool:
    if value > most:
        return False
    reader.draft.numbers[name] = value
    return True


RULES: Final[tuple[tuple[re.Pattern[str], Callable[[_Reader, re.Match[str]], bool]], ...]] = (
    (HEADING, _heading),
    (TRUST, _trust),
    (MAPPING, _mapping),
    (BUFFERS, _buffers),
    (PFC_TABLE, _pfc_table),
    (PFC_ROW, _pfc_row),
    (CLASS, _class),
    (PRIORITY, _priority),
    (ECN_FILE, _ecn_file),
    (TRAFFIC_CLASS, _traffic_class),
    (DEFAULT_TOS, _default_tos),
)
"""How a line begins, and what notes it: False when the line is damaged."""
