"""Counters as tools print them: ``ethtool -S``, ``perfquery``, ``rdma statistic``, listings of sysfs, and pcp-rocestat.

Each format is a reader; one port at one moment is a Sample, with the names that the driver gives.
"""

import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Final

from netprobe.catalogue.infiniband import PERFQUERY_NAMES
from netprobe.catalogue.keys import Origin
from netprobe.catalogue.lookup import counter_of
from netprobe.ingest.pasted import Line
from netprobe.ingest.ports_text import FILE as PORT_FILE
from netprobe.ingest.ports_text import SHARED
from netprobe.ingest.told import Link, Place, Sample, Told, as_count
from netprobe.units import NS_PER_S

DEVICE: Final = re.compile(r"[\w.-]{1,64}")
NAME: Final = re.compile(r"[\w.,:/-]{1,128}")
ETHTOOL_COMMAND: Final = re.compile(r".{0,200}?\bethtool\s+(?:-S|--statistics)\s+([\w.@-]{1,64})\s*$")
ETHTOOL_HEADING: Final = re.compile(r"NIC statistics(?: for ([\w.@-]{1,64}))?:\s*$")
ETHTOOL_ROW: Final = re.compile(r"(\s*)(\S.{0,127}?):\s*(\d{1,20})\s*$")
BARE_ROW: Final = re.compile(r"\s*([A-Za-z]\w{2,63}(?:,32)?)\s+(\d{1,20})\s*$")
SYSFS_ROW: Final = re.compile(
    r"\s{0,64}(?:\./)?(?:\S{0,256}?\b((?!\d{1,3}/|ports/)[\w.-]{1,64})/)?(?:(?:ports/)?(\d{1,3})/)?"
    r"(?:hw_counters|counters)/([^/:=\s]{1,64})\s*[:=\s]\s*(\d{1,20})\s*$"
)
"""With the device in its path, or below a device's folder alone."""
SYSFS_OTHER: Final = re.compile(r"\s{0,64}\S{0,128}sys/class/(?:infiniband|net)/[\w.-]{1,64}/\S{1,128}?\s*[:=]")
PERFQUERY_HEADING: Final = re.compile(r"#.{0,60}?\bcounters?: Lid (\d{1,5}) port (\d{1,3})\b")
PERFQUERY_ROW: Final = re.compile(r"(\w{2,64}):\.*\s*(0x[0-9a-fA-F]{1,16}|-?\d{1,20})\s*$")
PERFQUERY_SELECTORS: Final = frozenset({"PortSelect", "CounterSelect", "CounterSelect2"})
RDMA_LINK: Final = re.compile(r"link\s+([\w.-]{1,64})/(\d{1,3})\s+(\S.*)$")
ROCESTAT_TIME: Final = re.compile(r"zzz\s+<(\d\d/\d\d/\d\d \d\d:\d\d:\d\d)>\s*$")
ROCESTAT_HEADING: Final = re.compile(r"\s*Counter\s+(\S.{0,2000})$")
ROCESTAT_PORT: Final = re.compile(r"([\w.-]{1,64})_(\d{1,3})")
ROCESTAT_ROW: Final = re.compile(r"\s*([A-Za-z]\w{1,63})((?:\s+\d{1,20}\(-?\d{1,20}\)){1,256})\s*$")
ROCESTAT_VALUE: Final = re.compile(r"(\d{1,20})\(")
ROCESTAT_OTHER: Final = re.compile(
    r"\s*(?:Netdev\s+Queue\s|QA output created|pcp-rocestat output)|.{0,40} - \d+(?:\s+[\d.]+){4,6}\s*$"
)
LEAST_NAMES: Final = 4
"""Known names that make a list without a heading one of counters."""


class Counters:
    """What the readers of counters have in common."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self._samples: list[Sample] = []
        self._latest: dict[tuple[str | None, int], Sample] = {}

    def take_json(self, line: Line, value: dict[str, object]) -> bool:  # noqa: ARG002
        """Return False: there is none."""
        return False

    def told(self) -> Iterator[Told]:
        """Yield what was read of each port and moment."""
        return (each for each in self._samples if each.values)

    def _begin(self, line: Line, origin: Origin, device: str | None = None, port: int = 1) -> Sample:
        sample = Sample(
            source=self._place.line(line.number), host=self._place.host, origin=origin, device=device, port=port
        )
        self._samples.append(sample)
        return sample

    def _of(self, line: Line, device: str | None, port: int, name: str) -> Sample:
        """Return the sample of a port to which a counter belongs: a new one when it has that counter already."""
        sample = self._latest.get((device, port))
        if sample is None or name in sample.values:
            sample = self._latest[device, port] = self._begin(line, Origin.RDMA, device, port)
        return sample


class Ethtool(Counters):
    """``ethtool -S``, with its heading or without."""

    def __init__(self, place: Place) -> None:
        super().__init__(place)
        self._netdev: str | None = None
        self._has_heading = False
        self._is_open = False

    def take(self, line: Line) -> bool:
        """Note a heading or a counter; without a heading, lines are counters when enough of their names are known."""
        if match := ETHTOOL_COMMAND.match(line.text):
            self._netdev, self._has_heading, self._is_open = match[1], True, False
            return True
        if match := ETHTOOL_HEADING.match(line.text.strip()):
            self._netdev = match[1] or (None if self._is_open else self._netdev)
            self._has_heading, self._is_open = True, False
            return True
        match = ETHTOOL_ROW.match(line.text)
        if match is None or (" " in match[2] and not self._has_heading and not match[2].startswith("[")):
            return False
        name, value = match[2].strip(), as_count(match[3])
        if (
            value is None
            or name.startswith("/")
            or "counters/" in name
            or (self._has_heading and not match[1] and " " in name)
        ):
            return False
        if not self._is_open or name in self._samples[-1].values:
            self._begin(line, Origin.ETHTOOL, self._netdev)
            self._is_open = True
        self._samples[-1].values[name] = value
        return True

    def told(self) -> Iterator[Told]:
        """Yield what was read; without a heading it may be of an RDMA port, or no list of counters at all."""
        for sample in self._samples:
            known = {origin: sum(_is_known(origin, name) for name in sample.values) for origin in Origin}
            likelier = max(Origin, key=lambda origin: known[origin])
            if not self._has_heading:
                sample.origin = likelier
            if self._has_heading or known[likelier] >= min(LEAST_NAMES, len(sample.values)):
                yield sample


class Sysfs(Counters):
    """``path:value`` and ``name value`` lines of the folders counters and hw_counters."""

    def __init__(self, place: Place) -> None:
        super().__init__(place)
        self._bare: Sample | None = None

    def take(self, line: Line) -> bool:
        """Note one file, or one counter without its path."""
        if match := SYSFS_ROW.match(line.text):
            device, port, name, value = match[1], int(match[2] or 1), match[3], as_count(match[4])
            if value is not None:
                self._of(line, device, port, name).values[name] = value
            return value is not None
        if SYSFS_OTHER.match(line.text):
            # Who took the last line is asked first: what others read must be left to them.
            is_others = PORT_FILE.match(line.text) or SHARED.match(line.text)
            return "/ecn/" not in line.text and "/tc/" not in line.text and not is_others
        match = BARE_ROW.match(line.text)
        value = None if match is None else as_count(match[2])
        if match is None or value is None or not _is_known(Origin.RDMA, match[1]):
            return False
        if self._bare is None or match[1] in self._bare.values:
            self._bare = self._begin(line, Origin.RDMA)
        self._bare.values[match[1]] = value
        return True


class Perfquery(Counters):
    """``perfquery``: the counters of a port of the subnet, by its LID; names become those of sysfs."""

    def __init__(self, place: Place) -> None:
        super().__init__(place)
        self._sample: Sample | None = None

    def take(self, line: Line) -> bool:
        """Note a heading or a counter."""
        text = line.text.strip()
        if match := PERFQUERY_HEADING.match(text):
            self._sample = self._begin(line, Origin.RDMA, f"lid{match[1]}", int(match[2]))
            self._sample.host = self._sample.host or f"lid{match[1]}"
            return True
        match = PERFQUERY_ROW.match(text)
        if match is None or self._sample is None or "." not in text:
            return False
        value = as_count(match[2])
        if match[1] in PERFQUERY_SELECTORS or match[2].startswith("0x"):
            return True
        if value is None:
            return False
        self._sample.values[PERFQUERY_NAMES.get(match[1], match[1])] = value
        return True


class RdmaTool(Counters):
    """``rdma statistic show`` and ``rdma link show``, as text and as JSON."""

    def __init__(self, place: Place) -> None:
        super().__init__(place)
        self._links: list[Link] = []

    def take(self, line: Line) -> bool:
        """Note the counters of one link, or its state."""
        match = RDMA_LINK.match(line.text.strip())
        words = match[3].split() if match else []
        if match is not None and words[0] == "state":
            told: dict[str, object] = dict(zip(words[::2], words[1::2], strict=False))
            return self._take_link(match[1], int(match[2]), told)
        pairs = [(name, as_count(value)) for name, value in zip(words[::2], words[1::2], strict=False)]
        values = {name: value for name, value in pairs if value is not None}
        if match is None or not values or len(values) < len(pairs):
            return False
        self._begin(line, Origin.RDMA, match[1], int(match[2])).values.update(values)
        return True

    def take_json(self, line: Line, value: dict[str, object]) -> bool:
        """Note the counters of one link, or its state."""
        device, port = value.get("ifname"), as_count(value.get("port"))
        if not isinstance(device, str) or not DEVICE.fullmatch(device) or port is None:
            return False
        if "state" in value:
            return self._take_link(device, port, value)
        counts = {name: as_count(told) for name, told in value.items() if name not in ("ifname", "port", "ifindex")}
        values = {name: count for name, count in counts.items() if NAME.fullmatch(name) and count is not None}
        if not values:
            return False
        self._begin(line, Origin.RDMA, device, port).values.update(values)
        return True

    def told(self) -> Iterator[Told]:
        """Yield the counters of links, and what carries them."""
        yield from super().told()
        yield from self._links

    def _take_link(self, device: str, port: int, told: Mapping[str, object]) -> bool:
        words = {name: word for name, word in told.items() if isinstance(word, str) and DEVICE.fullmatch(word)}
        self._links.append(
            Link(
                host=self._place.host,
                device=device,
                port=port,
                state=words.get("state"),
                physical_state=words.get("physical_state"),
                netdev=words.get("netdev"),
            )
        )
        return True


class Rocestat(Counters):
    """``pcp rocestat``: ``VALUE(DELTA)`` for each port, again and again."""

    def __init__(self, place: Place) -> None:
        super().__init__(place)
        self._at_ns: int | None = None
        self._ports: list[Sample] = []

    def take(self, line: Line) -> bool:
        """Note a time, the ports of a table, or a counter of each of them."""
        text = line.text
        if match := ROCESTAT_TIME.match(text.strip()):
            self._at_ns, self._ports = _moment_ns(match[1]), []
            return True
        if (match := ROCESTAT_HEADING.match(text)) and all(map(ROCESTAT_PORT.fullmatch, match[1].split())):
            self._ports = []
            for each in match[1].split():
                device, _, port = each.rpartition("_")
                sample = self._begin(line, Origin.RDMA, device, int(port))
                sample.at_ns = self._at_ns
                self._ports.append(sample)
            return True
        match = ROCESTAT_ROW.match(text) if self._ports else None
        if match is None:
            return bool(self._samples or self._at_ns) and bool(not text.strip() or ROCESTAT_OTHER.match(text))
        values = [as_count(each) for each in ROCESTAT_VALUE.findall(match[2])]
        if len(values) != len(self._ports):
            return False
        for sample, value in zip(self._ports, values, strict=True):
            if value is not None:
                sample.values[match[1]] = value
        return True


def _is_known(origin: Origin, name: str) -> bool:
    counter = counter_of(origin, name)
    return counter is not None and counter.is_recognised


def _moment_ns(text: str) -> int | None:
    try:
        moment = datetime.strptime(text, "%m/%d/%y %H:%M:%S").replace(tzinfo=UTC)
    except ValueError:
        return None
    return int(moment.timestamp()) * NS_PER_S
