"""Read what NCCL logs (NCCL_DEBUG=INFO), versions 2.10 to 2.28: pure, and tolerant of whatever lies between.

Lines begin with ``host:pid:thread [GPU] NCCL INFO``, those of several processes mixed, some of them in one line where
two wrote at once. A process with several GPUs counts as one for each. From 2.22 on channels are connected when first
used: a log that ends before the first collective tells none.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import Final, TypeVar

from netprobe.model.nccl import Direction, NcclChoice, NcclDevice, NcclFacts, NcclWay

MARK: Final = re.compile(
    r"(?<![\w.-])(?P<host>[\w.-]{0,253}):(?P<pid>\d{1,10}):\d{1,10} (?:\[(?P<gpu>-?\d{1,4})\] )?"
    r"(?:[\w./+-]{1,96}:\d{1,6} (?:\([^()\n]{0,96}\) )?)?NCCL (?P<kind>INFO|WARN|VERSION) ?"
)
LEVEL: Final = re.compile(r"\bNCCL (?:INFO|WARN|TRACE)\b")
VERSION: Final = re.compile(r"\bNCCL version (\d{1,2}(?:\.\d{1,3}){1,2})\S{0,32}?(?:\+cuda(\d{1,2}\.\d{1,2}))?(?=\s|$)")
NETWORK: Final = re.compile(r"(?:Using network|Assigned NET plugin) (\S{1,64}(?: (?!to comm)\S{1,64}){0,3})")
RDMA_DEVICES: Final = re.compile(r"NET/\S{1,32} ?: Using ((?:\[\d{1,3}\]).{0,4096})")
DEVICE: Final = re.compile(r"\[(\d{1,3})\]([\w.-]{1,64}):(\d{1,3})(?::\d{0,5}){0,2}/([A-Za-z]{2,12})")
MERGED: Final = re.compile(r"\[(\d{1,3})\]=\{([^{}]{0,512})\}")
MEMBER: Final = re.compile(r"([\w.-]{1,64}):(\d{1,3})(?::\d{0,5}){0,2}/([A-Za-z]{2,12})")
VIRTUAL: Final = re.compile(r"Made virtual device \[(\d{1,3})\] name=(\S{1,256})")
SOCKET_DEVICES: Final = re.compile(r"NET/Socket ?: Using ((?:\[\d{1,3}\]).{0,2048})")
INTERFACE: Final = re.compile(r"\[\d{1,3}\]([\w.@-]{1,64}):[0-9a-fA-F.:%\[\]]")
NO_RDMA: Final = re.compile(r"NET/IB ?: No device found")
WAY: Final = re.compile(
    r"(?:Channel|Ring|CollNet) \d{1,3}(?:/\d{1,3})? ?: ?\d{1,6}(?:\[[0-9a-fA-F]{1,16}\])?"
    r"(?: -> \d{1,6}(?:\[[0-9a-fA-F]{1,16}\])?)?(?: \[(send|receive)\])?"
    r" via (NET|P2P|SHM|COLLNET)(?:/([^/\n]{1,64}))?(?:/(\d{1,4}))?(?:\((\d{1,6})\))?(\S{0,64})"
)
GPU_DIRECT: Final = re.compile(r"GPU Direct RDMA (Enabled|Disabled) for HCA \d{1,4} '")
COMMUNICATOR: Final = re.compile(
    r"comm 0x[0-9a-fA-F]{1,16} rank (\d{1,6}) n[Rr]anks (\d{1,6}) cudaDev \d{1,4}(?: nvmlDev \d{1,4})? "
    r"busId ([0-9a-fA-F]{1,16})"
)
SETTING: Final = re.compile(r"(NCCL_\w{1,64}) set (?:by environment )?to (\S.{0,255}?)\.?$")
ALGORITHM: Final = re.compile(
    r"(?:(\w{1,32}): )?(\d{1,18}) Bytes -> Algo(?:rithm)? (\w{1,16}) proto(?:col)? (\w{1,16})", re.IGNORECASE
)
ALGORITHMS: Final = ("TREE", "RING", "COLLNET_DIRECT", "COLLNET_CHAIN", "NVLS", "NVLS_TREE", "PAT")
"""By the number that NCCL prints, up to 2.23."""
PROTOCOLS: Final = ("LL", "LL128", "SIMPLE")
MOST_WARNINGS: Final = 8
MOST_CHOICES: Final = 256
MOST_PROCESSES: Final = 16384
"""Of a log: more are made, not pasted."""
LONGEST_WARNING: Final = 240
NO_GPU: Final = -1

T = TypeVar("T")
_Key = tuple[str, int, int]
"""(host, pid, GPU)."""


@dataclass(slots=True)
class _Process:
    """What was read so far of one process, or of one GPU of it."""

    facts: NcclFacts
    devices: dict[int, NcclDevice] = field(default_factory=dict)
    interfaces: dict[str, None] = field(default_factory=dict)
    ways: Counter[NcclWay] = field(default_factory=Counter)
    algorithms: dict[str, None] = field(default_factory=dict)
    choices: dict[NcclChoice, None] = field(default_factory=dict)
    settings: dict[str, str] = field(default_factory=dict)
    warnings: dict[str, None] = field(default_factory=dict)


class NcclLog:
    """Takes lines, and returns what they say; ``host`` is that of lines whose own prefix names none."""

    def __init__(self, host: str | None = None) -> None:
        self._host = host
        self._processes: dict[_Key, _Process] = {}
        self._names: dict[str, None] = {}
        """Of hosts, where a line begins with them."""
        self._version: tuple[str, str | None] | None = None

    def take(self, text: str) -> bool:
        """Note what a line says; False where it is none of NCCL's."""
        if "NCCL " not in text:
            return False
        marks = _marks(text)
        if self._version is None:
            self._note_version(text)
        if not marks:
            return LEVEL.search(text) is not None or VERSION.match(text) is not None
        hosts = [self._host_of(mark) for mark in marks]
        ends = [mark.end("host") - len(host) for mark, host in zip(marks, hosts, strict=True)]
        for mark, host, end in zip(marks, hosts, (*ends[1:], len(text)), strict=True):
            process = self._process_of(mark, host)
            if process is not None:
                _note(process, mark["kind"], text[mark.end() : end].strip())
        return True

    def facts(self) -> tuple[NcclFacts, ...]:
        """Return one record for each process, or each of its GPUs, in the order in which they were first seen."""
        whole = {key: _closed(process) for key, process in self._processes.items()}
        by_process: dict[tuple[str, int], list[NcclFacts]] = {}
        for (host, pid, _), each in whole.items():
            by_process.setdefault((host, pid), []).append(each)
        return tuple(
            self._with_version(_shared(each, siblings))
            for siblings in by_process.values()
            for each in siblings
            if each.rank is not None or each.ways or each is _fullest(siblings)
        )

    def _note_version(self, text: str) -> None:
        match = VERSION.search(text)
        if match is not None:
            self._version = (match[1], match[2])

    def _host_of(self, mark: re.Match[str]) -> str:
        """Return the name of the host as it stands there: within a line the end of another may be glued to it."""
        name = mark["host"]
        if mark.start() == 0:
            if name and len(self._names) < MOST_PROCESSES:
                self._names.setdefault(name)
            return name
        return max((each for each in self._names if name.endswith(each)), key=len, default=name)

    def _process_of(self, mark: re.Match[str], name: str) -> _Process | None:
        pid, gpu = int(mark["pid"]), int(mark["gpu"] or NO_GPU)
        host = name or self._host or ""
        key = (host, pid, gpu)
        if key not in self._processes and len(self._processes) < MOST_PROCESSES:
            self._processes[key] = _Process(NcclFacts(host=host, pid=pid))
        return self._processes.get(key)

    def _with_version(self, facts: NcclFacts) -> NcclFacts:
        """Return facts with the version that rank 0 alone printed; all ranks of a communicator must have the same."""
        if facts.version is not None or self._version is None:
            return facts
        return replace(facts, version=self._version[0], cuda=self._version[1])


def parse_nccl_log(text: str, host: str | None = None) -> tuple[NcclFacts, ...]:
    """Return what a whole log says; nothing where it has no line of NCCL's."""
    log = NcclLog(host)
    for line in text.splitlines():
        log.take(line)
    return log.facts()


def _marks(text: str) -> list[re.Match[str]]:
    """Return the beginnings of lines in a line; looking for them everywhere takes long, and there is mostly one."""
    first = MARK.match(text)
    if first is not None and "NCCL " not in text[first.end() :]:
        return [first]
    return list(MARK.finditer(text))


def _note(process: _Process, kind: str, text: str) -> None:
    if kind == "WARN":
        if text and len(process.warnings) < MOST_WARNINGS:
            process.warnings.setdefault(text[:LONGEST_WARNING])
        return
    for pattern, note in _NOTES:
        match = pattern.search(text)
        if match is not None:
            note(process, match)
            return


def _note_version(process: _Process, match: re.Match[str]) -> None:
    process.facts = replace(process.facts, version=match[1], cuda=match[2])


def _note_network(process: _Process, match: re.Match[str]) -> None:
    process.facts = replace(process.facts, network=match[1])


def _note_devices(process: _Process, match: re.Match[str]) -> None:
    for merged in MERGED.finditer(match[1]):
        members = MEMBER.findall(merged[2])
        if members:
            ports = tuple(_port(name, port) for name, port, _ in members)
            _add_device(process, NcclDevice(index=int(merged[1]), ports=ports, link=members[0][2]))
    for one in DEVICE.finditer(MERGED.sub(" ", match[1])):
        _add_device(process, NcclDevice(index=int(one[1]), ports=(_port(one[2], one[3]),), link=one[4]))


def _note_virtual(process: _Process, match: re.Match[str]) -> None:
    names = tuple(each for each in match[2].split("+") if each)
    parts = {each.ports[0]: each.link for each in process.devices.values()}
    if names:
        _add_device(process, NcclDevice(index=int(match[1]), ports=names, link=parts.get(names[0])))


def _add_device(process: _Process, device: NcclDevice) -> None:
    process.devices[device.index] = device


def _port(name: str, port: str) -> str:
    return name if int(port) == 1 else f"{name}/{int(port)}"


def _note_interfaces(process: _Process, match: re.Match[str]) -> None:
    process.interfaces.update(dict.fromkeys(INTERFACE.findall(match[1])))


def _note_no_rdma(process: _Process, _match: re.Match[str]) -> None:
    process.facts = replace(process.facts, saw_no_rdma=True)


def _note_way(process: _Process, match: re.Match[str]) -> None:
    direction, kind, detail, device, proxy, rest = match.groups()
    is_net = kind in ("NET", "COLLNET")
    way = NcclWay(
        kind=kind,
        detail=" ".join((detail or "").split()) if is_net else (detail or "").partition(" ")[0],
        device=int(device) if is_net and device is not None else None,
        direction=None if direction is None else Direction(direction),
        is_gpu_direct="GDRDMA" in rest,
        proxy=None if proxy is None else int(proxy),
    )
    process.ways[way] += 1


def _note_gpu_direct(process: _Process, match: re.Match[str]) -> None:
    is_on = match[1] == "Enabled" or process.facts.has_gpu_direct is True
    process.facts = replace(process.facts, has_gpu_direct=is_on)


def _note_communicator(process: _Process, match: re.Match[str]) -> None:
    rank, ranks = int(match[1]), int(match[2])
    if ranks >= (process.facts.ranks or 0):
        process.facts = replace(process.facts, rank=rank, ranks=ranks, gpu_pci=_address(match[3]))


def _address(bus_id: str) -> str:
    """Return a PCI address; NCCL prints it as one number: domain, bus, device and function, in hexadecimal."""
    number = int(bus_id, 16)
    return f"{number >> 20 & 0xFFFF:04x}:{number >> 12 & 0xFF:02x}:{number >> 4 & 0xFF:02x}.{number & 0xF:x}"


def _note_setting(process: _Process, match: re.Match[str]) -> None:
    process.settings[match[1]] = match[2]


def _note_algorithm(process: _Process, match: re.Match[str]) -> None:
    algorithm, protocol = _name(match[3], ALGORITHMS), _name(match[4], PROTOCOLS)
    process.algorithms.setdefault(f"{algorithm} {protocol}")
    if len(process.choices) < MOST_CHOICES:
        choice = NcclChoice(operation=match[1], size_bytes=int(match[2]), algorithm=algorithm, protocol=protocol)
        process.choices.setdefault(choice)


def _name(told: str, names: tuple[str, ...]) -> str:
    is_number = told.isdecimal() and int(told) < len(names)
    return names[int(told)] if is_number else told


_NOTES: Final[tuple[tuple[re.Pattern[str], Callable[[_Process, re.Match[str]], None]], ...]] = (
    (WAY, _note_way),
    (VERSION, _note_version),
    (NETWORK, _note_network),
    (SOCKET_DEVICES, _note_interfaces),
    (RDMA_DEVICES, _note_devices),
    (VIRTUAL, _note_virtual),
    (NO_RDMA, _note_no_rdma),
    (GPU_DIRECT, _note_gpu_direct),
    (COMMUNICATOR, _note_communicator),
    (SETTING, _note_setting),
    (ALGORITHM, _note_algorithm),
)


def _closed(process: _Process) -> NcclFacts:
    return replace(
        process.facts,
        devices=tuple(process.devices[index] for index in sorted(process.devices)),
        interfaces=tuple(process.interfaces),
        ways=tuple(replace(way, connections=count) for way, count in process.ways.items()),
        algorithms=tuple(process.algorithms),
        choices=tuple(process.choices),
        settings=tuple(sorted(process.settings.items())),
        warnings=tuple(process.warnings),
    )


def _fullest(siblings: list[NcclFacts]) -> NcclFacts:
    return max(siblings, key=lambda each: (bool(each.devices), each.network is not None))


def _shared(facts: NcclFacts, siblings: list[NcclFacts]) -> NcclFacts:
    """Return facts with what its process printed once for all of its GPUs."""
    if len(siblings) == 1:
        return facts
    everyone = (facts, *siblings)
    return replace(
        facts,
        version=_first(each.version for each in everyone),
        cuda=_first(each.cuda for each in everyone),
        network=_first(each.network for each in everyone),
        devices=_first(each.devices for each in everyone) or (),
        interfaces=_first(each.interfaces for each in everyone) or (),
        saw_no_rdma=any(each.saw_no_rdma for each in siblings),
        has_gpu_direct=facts.has_gpu_direct if facts.has_gpu_direct is not None else _any_told(siblings),
        settings=tuple(sorted({pair for each in siblings for pair in each.settings})),
    )


def _first(values: Iterable[T | None]) -> T | None:
    return next((value for value in values if value), None)


def _any_told(siblings: list[NcclFacts]) -> bool | None:
    told = [each.has_gpu_direct for each in siblings if each.has_gpu_direct is not None]
    return any(told) if told else None
