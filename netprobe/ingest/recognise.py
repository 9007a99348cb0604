"""Read a text of any format, or of several at once, by what its lines look like; the name of the file says nothing.

Each line is offered to the reader that took the last one, then to the others, so that logs may run through a table.
"""

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from netprobe.errors import FormatError
from netprobe.ingest import qos_json, qos_text, switch_gnmi, switch_snapshot, switch_sonic, switch_tables
from netprobe.ingest.counters_text import Ethtool, Perfquery, RdmaTool, Rocestat, Sysfs
from netprobe.ingest.imb_text import Imb
from netprobe.ingest.nccl_log_text import NcclLogLines
from netprobe.ingest.nccl_tests_text import NcclTests
from netprobe.ingest.not_judged import NotJudged
from netprobe.ingest.osu_text import Osu
from netprobe.ingest.pasted import NAME, RANK, Line, NoJson, Stream, pieces
from netprobe.ingest.perftest_text import Perftest
from netprobe.ingest.ports_text import PortFiles
from netprobe.ingest.qos_draft import QosReport
from netprobe.ingest.subnet_text import HEADING as SUBNET_NODE
from netprobe.ingest.subnet_text import SubnetLinks
from netprobe.ingest.switch_snapshot import SwitchFile
from netprobe.ingest.told import Link, Place, Reader, Sample, Told, Unjudged
from netprobe.inventory import lldp
from netprobe.model.benchmark import Benchmark
from netprobe.model.finding import Gap
from netprobe.model.inventory import Neighbour
from netprobe.model.nccl import NcclFacts
from netprobe.model.subnet import SubnetLink
from netprobe.model.switches import SwitchPortCounts

READERS: Final = (NcclLogLines, NcclTests, Perftest, Osu, Imb, Perfquery, Rocestat, RdmaTool, SubnetLinks, PortFiles,
                  NotJudged, Sysfs, Ethtool)  # fmt: skip
"""In the order in which a line is offered, at first; the last two look at the lines alone, without a heading."""
ESCAPES: Final = re.compile(r"\x1b(?:\[[0-9;:?]{0,32}[A-Za-z]|\][^\x07\x1b\n]{0,256}(?:\x07|\x1b\\)|[()][0-9A-Za-z])")
LINE_END: Final = re.compile(r"\r\n|\n|\r")
BEFORE: Final = re.compile(
    r"^[ \t]{0,4}(?:>[ \t]?){1,8}"  # what mails and tickets quote
    r"|^\[?(?:\d{4}-\d\d-\d\d[T ]|[A-Z][a-z]{2} [ \d]\d )?"
    r"\d\d:\d\d:\d\d(?:[.,]\d{1,9})?(?:Z|[+-]\d\d:?\d\d)?\]?[ \t]",
    re.MULTILINE,
)
"""What stands before each line of a paste: marks of a quotation, or the time."""
BLANK: Final = " \t[],"
"""Of lines that say nothing: a list of objects begins and ends with a line that holds a bracket."""
OWN_REMARK: Final = re.compile(r"\s*# netprobe\b")
"""What reporters say in the layout of other tools that those do not."""
NUMBER: Final = re.compile(r"\s*-?[\d.]+\s*")
SWITCH_TABLE: Final = re.compile(r"\s*(?:Port Rx|Port Tx|IFACE|QUEUE)\s{2,}\S")
CABLES: Final = re.compile(r"\s*host\s*,\s*netdev\s*,\s*switch\s*,\s*port\s*$")
CABLE_COMMAS: Final = len(lldp.COLUMNS) - 1
UNNAMED_SWITCH: Final = "switch"
LONGEST_LINE: Final = 1 << 16
"""No tool prints a longer one, JSON apart."""
REMEDY: Final = (
    "the output of nccl-tests, perftest, OSU, IMB, ethtool -S, perfquery, rdma -j statistic or netprobe snapshot, or "
    "the log of NCCL"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadFile:
    """What one file told."""

    name: str
    lines: int
    benchmarks: tuple[Benchmark, ...] = ()
    samples: tuple[Sample, ...] = ()
    links: tuple[Link, ...] = ()
    qos: tuple[QosReport, ...] = ()
    neighbours: tuple[tuple[str, Neighbour], ...] = ()
    """(interface, what it is connected to)."""
    cables: tuple[tuple[str, str, Neighbour], ...] = ()
    """(host, interface, what it is connected to), as the site lists them."""
    switches: tuple[SwitchPortCounts, ...] = ()
    unused_counters: tuple[str, ...] = ()
    """Counters of switches that tell nothing which is judged, by name."""
    nccl: tuple[NcclFacts, ...] = ()
    """What NCCL's log says, by process."""
    subnet: tuple[SubnetLink, ...] = ()
    """Links of an InfiniBand subnet, each once."""
    unjudged: tuple[Unjudged, ...] = ()
    unread: int = 0
    """Lines that no reader took; empty ones do not count."""
    first_unread: int | None = None
    """The number of the first of them."""
    gaps: tuple[Gap, ...] = ()

    @property
    def is_empty(self) -> bool:
        """Whether nothing was recognised."""
        told = (self.benchmarks, self.samples, self.links, self.qos, self.neighbours, self.cables, self.switches)
        return not any((*told, self.nccl, self.subnet, self.unjudged))


def read_text(text: str, name: str) -> ReadFile:
    """Return what a text tells; FormatError when none of it is known."""
    text = BEFORE.sub("", ESCAPES.sub("", text))
    found = _Text(name, text)
    for stream in streams(text):
        found.read(stream)
    read = found.result()
    if read.is_empty:
        reasons = (*(gap.reason for gap in read.gaps), _nothing(name, text, read))
        raise FormatError(reasons[0], remedy=REMEDY)
    return read


def streams(text: str) -> tuple[Stream, ...]:
    """Return the lines by what a launcher put before them: host names, ranks, or nothing."""
    found: dict[str | None, list[Line]] = {}
    for number, line in enumerate(LINE_END.split(text), start=1):
        match = RANK.match(line) or NAME.match(line)
        # ``rx_packets: 5`` is a counter, whatever pdsh would make of it; ``Switch: 0x…`` is a node of a subnet.
        is_other = match is not None and (NUMBER.fullmatch(line, match.end()) or SUBNET_NODE.match(line))
        is_prefix = match is not None and match[0] and not is_other
        prefix, rest = (match[1], line[match.end() :]) if match is not None and is_prefix else (None, line)
        found.setdefault(prefix, []).append(Line(number=number, text=rest))
    return tuple(Stream(prefix=prefix, lines=tuple(lines)) for prefix, lines in found.items())


class _Text:
    """Gathers what the streams of one text tell."""

    def __init__(self, name: str, text: str) -> None:
        self._name = name
        self._text = text
        self._told: list[Told] = []
        self._neighbours: dict[str, Neighbour] = {}
        self._gaps: list[Gap] = []
        self._unread: list[int] = []
        self._is_qos = False
        self._is_switch = False
        self._cables: dict[int, str] = {}
        """Lines of the site's list, by number."""
        self._columns = 0
        """Of the switch's table that is being read; 0 outside of one."""

    def read(self, stream: Stream) -> None:
        """Offer every line of a stream to the readers."""
        self._columns = 0
        place = Place(file=self._name, host=_host(stream))
        readers: list[Reader] = [kind(place) for kind in READERS]
        for line, value in pieces(stream.lines):
            if not (self._take(line, readers) if value is NoJson.TEXT else self._take_json(line, value, readers)):
                self._unread.append(line.number)
        self._told += (told for reader in readers for told in reader.told())

    def result(self) -> ReadFile:
        """Return everything; formats that are read as a whole are read now."""
        reports, switches, cables = self._qos(), self._switches(), self._cable_list()
        tables = [each for each in self._told if isinstance(each, Benchmark)]
        return ReadFile(
            name=self._name,
            lines=len(LINE_END.findall(self._text.rstrip("\r\n"))) + 1,
            benchmarks=tuple(sorted(tables, key=_begin)),
            samples=tuple(each for each in self._told if isinstance(each, Sample)),
            links=tuple(each for each in self._told if isinstance(each, Link)),
            nccl=tuple(each for each in self._told if isinstance(each, NcclFacts)),
            subnet=tuple(each for each in self._told if isinstance(each, SubnetLink)),
            unjudged=tuple(each for each in self._told if isinstance(each, Unjudged)),
            qos=reports,
            neighbours=tuple(self._neighbours.items()),
            cables=cables,
            switches=() if switches is None else switches.counts,
            unused_counters=() if switches is None else switches.unused,
            unread=len(self._unread),
            first_unread=min(self._unread, default=None),
            gaps=tuple(self._gaps),
        )

    def _take(self, line: Line, readers: list[Reader]) -> bool:
        if not line.text.strip(BLANK) or OWN_REMARK.match(line.text):
            return True
        if len(line.text) > LONGEST_LINE:
            return False
        if self._columns and len(switch_tables.GAP.split(line.text.strip())) == self._columns:
            return True
        self._columns = 0
        if self._is_cable(line):
            self._cables[line.number] = line.text
            return True
        for index, reader in enumerate(readers):
            if reader.take(line):
                readers.insert(0, readers.pop(index))
                return True
        if SWITCH_TABLE.match(line.text):
            self._is_switch, self._columns = True, len(switch_tables.GAP.split(line.text.strip()))
        is_qos = any(start.match(line.text) for start, _ in qos_text.RULES)
        self._is_qos = self._is_qos or is_qos
        return is_qos or self._is_switch

    def _is_cable(self, line: Line) -> bool:
        """Return whether a line is of the site's list: its title, or four columns after that."""
        return CABLES.match(line.text) is not None or (bool(self._cables) and line.text.count(",") == CABLE_COMMAS)

    def _take_json(self, line: Line, value: object, readers: Sequence[Reader]) -> bool:
        if value is NoJson.BROKEN:
            reason = f"{self._name} line {line.number}: the JSON that begins there breaks off, or is damaged"
            if len(self._gaps) < len(READERS):
                self._gaps.append(Gap(topic="ingest", reason=reason, remedy="hand over the whole output, unchanged"))
            return False
        objects = [each for each in (value if isinstance(value, list) else [value]) if isinstance(each, dict)]
        taken = [self._take_object(line, each, readers) for each in objects]
        return bool(taken) and all(taken)

    def _take_object(self, line: Line, value: dict[str, object], readers: Sequence[Reader]) -> bool:
        if any(reader.take_json(line, value) for reader in readers):
            return True
        if "lldp" in value:
            return self._take_neighbours(line, value)
        is_qos = bool(qos_json.MARKS & value.keys())
        is_switch = switch_sonic.is_ours(value) or switch_gnmi.is_ours(value)
        self._is_qos, self._is_switch = self._is_qos or is_qos, self._is_switch or is_switch
        return is_qos or is_switch

    def _take_neighbours(self, line: Line, value: dict[str, object]) -> bool:
        try:
            self._neighbours |= lldp.parse(json.dumps(value), f"{self._name} line {line.number}")
        except RecursionError:
            return False
        return True

    def _qos(self) -> tuple[QosReport, ...]:
        if not self._is_qos:
            return ()
        try:
            reports, gap = qos_text.parse(self._text, self._name)
        except FormatError:
            return ()  # a line looked like one of those, and was not
        self._gaps += () if gap is None else (gap,)
        return reports

    def _cable_list(self) -> tuple[tuple[str, str, Neighbour], ...]:
        lines = (self._cables.get(number, "") for number in range(1, max(self._cables, default=0) + 1))
        try:
            told = lldp.parse_site("\n".join(lines), self._name)
        except FormatError as error:
            self._gaps.append(Gap(topic="lldp", reason=str(error)))
            return ()
        return tuple((host, netdev, neighbour) for (host, netdev), neighbour in told.items())

    def _switches(self) -> SwitchFile | None:
        if not self._is_switch:
            return None
        try:
            told = switch_snapshot.parse(self._text, self._name, UNNAMED_SWITCH)
        except FormatError:
            return None
        self._gaps += () if told.gap is None else (told.gap,)
        return told


def _begin(benchmark: Benchmark) -> int:
    """Return the line on which a table begins."""
    return int(benchmark.source.rpartition(" ")[2])


def _host(stream: Stream) -> str | None:
    """Return the host that a stream is of; ranks of a launcher are told apart, though nobody knows where they ran."""
    if stream.prefix is None:
        return None
    digits = re.findall(r"\d+", stream.prefix)
    return stream.host or f"rank-{digits[-1]}"


def _nothing(name: str, text: str, read: ReadFile) -> str:
    if not text.strip():
        return f"{name} is empty"
    nul = text.find("\0")
    if nul >= 0:
        return f"{name} is no text: line {len(LINE_END.findall(text, 0, nul)) + 1} has a zero byte"
    number = read.first_unread or 1
    shown = _shown(text, number)
    return f"{name} holds nothing that netprobe knows in its {read.lines:,} lines; line {number}: {shown!r}"


def _shown(text: str, number: int) -> str:
    lines: Iterator[str] = iter(LINE_END.split(text, number)[number - 1 : number])
    return next(lines, "").strip()[:60]
