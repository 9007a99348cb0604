"""The links of an InfiniBand subnet: ``ibnetdiscover``, the same with ``-p``, and ``iblinkinfo``.

Each names both ends of a link with LID and port, and each end lists the link. Source: rdma-core infiniband-diags.
Does not handle: ``iblinkinfo --line``; and ports that are not up, which are only counted.
"""

import re
from collections.abc import Iterator
from typing import Final

from netprobe.ingest.pasted import Line
from netprobe.ingest.told import Place, Told, Unjudged
from netprobe.model.subnet import SubnetEnd, SubnetLink

LANE_GBPS: Final = {
    "SDR": 2.5, "DDR": 5.0, "QDR": 10.0, "FDR10": 10.3125, "FDR": 14.0625, "EDR": 25.78125, "HDR": 53.125,
    "NDR": 106.25, "XDR": 212.5,
}  # fmt: skip
"""Signalling rate of a lane (IBTA)."""
SWITCH: Final = frozenset({"SW", "S", "Switch"})
UNLINKED: Final = "ports of an InfiniBand subnet without a link"
NAME: Final = r"([^'\"]{0,64})"
PAIR: Final = re.compile(
    r"(CA|SW|RT)\s+(\d{1,5})\s+(\d{1,3})\s+0x[0-9a-fA-F]{16}\s+(\d{1,2})x\s+(\S{1,8})"
    r"(?:\s+-\s+(CA|SW|RT)\s+(\d{1,5})\s+(\d{1,3})\s+0x[0-9a-fA-F]{16}\s+\(\s*'" + NAME + r"' - '" + NAME + r"'\s*\)"
    r"|\s{1,64}'" + NAME + r"')\s*$"
)
NODE: Final = re.compile(
    r'(Switch|Ca|Rt)\s+\d{1,3}\s+"([SHR])-[0-9a-f]{1,16}"\s*#\s*"' + NAME + r'"(?:.{0,64}?\blid (\d{1,5})\b)?.{0,64}$'
)
PORT: Final = re.compile(
    r"\[(\d{1,3})\](?:\[ext \d{1,3}\])?(?:\([0-9a-f]{1,16}\))?\s+\"([SHR])-[0-9a-f]{1,16}\"\[(\d{1,3})\]"
    r"(?:\[ext \d{1,3}\])?(?:\([0-9a-f]{1,16}\))?\s*#\s*(?:lid (\d{1,5}) lmc \d{1,3} )?\"" + NAME
    + r"\" lid (\d{1,5}) (\d{1,2})x(\S{1,8})\s*$"
)  # fmt: skip
ASIDE: Final = re.compile(r"(?:vendid|devid|sysimgguid|switchguid|caguid|rtguid)=0x[0-9a-f]+(?:\([0-9a-f]+\))?\s*$"
                          r"|# (?:Topology file: generated|Initiated from node|Max of \d+ hops)")  # fmt: skip
HEADING: Final = re.compile(r"(?:(Switch): 0x[0-9a-fA-F]{16} |(CA|RT|Router): )" + NAME + r":\s*$")
"""Of iblinkinfo; no prefix of a launcher, though it looks like one."""
LINK: Final = re.compile(
    r"\s*(?:0x[0-9a-fA-F]{16}\s+)?(\d{1,5})\s+(\d{1,3})\[[ \d]{0,4}\] ==\(\s*(.{0,48}?)\s*\)==>\s*"
    r"(?:(?:0x[0-9a-fA-F]{16}\s+)?(\d{1,5})\s+(\d{1,3})\[[ \d]{0,4}\]|\[[ \d]{0,4}\]) \""
    + NAME
    + r"\"\s*\((.{0,80}?)\)\s*$"
)
TRAINED: Final = re.compile(r"(\d{1,2})X\s+(\d{1,3}(?:\.\d{1,6})?) Gbps(?: \((FDR10)\))?\s+Active/\s*LinkUp")
COULD_BE: Final = re.compile(r"Could be\s+(\S{1,16}(?: Gbps)?)")


class SubnetLinks:
    """Reads the links of one stream; a node's own lines give it its name and kind."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self._node: tuple[str, bool, int | None] | None = None
        """(name, whether it is a switch, its LID) of the heading above."""
        self._is_switch: dict[int, bool] = {}
        """By LID: iblinkinfo does not say what the other end is."""
        self._found: list[tuple[SubnetEnd, SubnetEnd, int, str, str | None]] = []
        self._unlinked = 0

    def take(self, line: Line) -> bool:
        """Note a node, a link, or a port without one."""
        text = line.text.strip()
        if match := HEADING.match(text):
            self._node = (match[3].strip(), match[1] is not None, None)
        elif match := NODE.match(text):
            self._node = (match[3], match[2] in SWITCH, None if match[4] is None else int(match[4]))
        elif match := PAIR.match(text):
            self._pair(match)
        elif self._node is not None and (match := PORT.match(text)):
            return self._port(match, self._node)
        elif self._node is not None and (match := LINK.match(text)):
            self._link(match, self._node)
        else:
            return ASIDE.match(text) is not None
        return True

    def take_json(self, line: Line, value: dict[str, object]) -> bool:  # noqa: ARG002
        """Return False: there is none."""
        return False

    def told(self) -> Iterator[Told]:
        """Yield each link once, and how many ports have none."""
        links: dict[tuple[int, ...], SubnetLink] = {}
        for one, other, width, speed, could_be in self._found:
            first, second = sorted(map(self._with_kind, (one, other)), key=lambda end: (end.lid, end.port))
            links[first.lid, first.port, second.lid, second.port] = SubnetLink(
                ends=(first, second),
                width=width,
                speed=speed if speed in LANE_GBPS else None,
                lane_gbps=LANE_GBPS.get(speed),
                could_be=could_be,
            )
        yield from links.values()
        if self._unlinked:
            yield Unjudged(file=self._place.file, what=UNLINKED, lines=self._unlinked)

    def _pair(self, match: re.Match[str]) -> None:
        if match[6] is None:
            self._unlinked += 1
            return
        self._add(
            SubnetEnd(name=match[9], is_switch=match[1] in SWITCH, lid=int(match[2]), port=int(match[3])),
            SubnetEnd(name=match[10], is_switch=match[6] in SWITCH, lid=int(match[7]), port=int(match[8])),
            int(match[4]),
            match[5],
        )

    def _port(self, match: re.Match[str], node: tuple[str, bool, int | None]) -> bool:
        name, is_switch, lid = node
        own = lid if match[4] is None else int(match[4])
        if own is None:
            return False  # a switch whose LID the heading does not tell
        self._add(
            SubnetEnd(name=name, is_switch=is_switch, lid=own, port=int(match[1])),
            SubnetEnd(name=match[5], is_switch=match[2] in SWITCH, lid=int(match[6]), port=int(match[3])),
            int(match[7]),
            match[8],
        )
        return True

    def _link(self, match: re.Match[str], node: tuple[str, bool, int | None]) -> None:
        name, is_switch, _ = node
        trained = TRAINED.match(match[3])
        if trained is None or match[4] is None:
            self._unlinked += 1
            return
        could_be = COULD_BE.findall(match[7])
        self._add(
            SubnetEnd(name=name, is_switch=is_switch, lid=int(match[1]), port=int(match[2])),
            SubnetEnd(name=match[6], is_switch=False, lid=int(match[4]), port=int(match[5])),
            int(trained[1]),
            trained[3] or _speed(float(trained[2])),
            " ".join(could_be) or None,
        )

    def _add(self, one: SubnetEnd, other: SubnetEnd, width: int, speed: str, could_be: str | None = None) -> None:
        self._found.append((one, other, width, speed, could_be))
        self._is_switch[one.lid] = one.is_switch

    def _with_kind(self, end: SubnetEnd) -> SubnetEnd:
        is_switch = end.is_switch or self._is_switch.get(end.lid, False)
        return SubnetEnd(name=" ".join(end.name.split()), is_switch=is_switch, lid=end.lid, port=end.port)


def _speed(lane_gbps: float) -> str:
    """Return what a lane of this rate is called; nothing known where none has it."""
    return next((name for name, rate_gbps in LANE_GBPS.items() if abs(rate_gbps - lane_gbps) < 0.01), "")
