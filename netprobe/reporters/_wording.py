"""Words that every text reporter uses: names made safe to print, host sets folded, numbers with their nouns."""

import math
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from ipaddress import IPv6Address
from typing import Final

from netprobe.locate.fitness import PART_OF_HOST
from netprobe.model.report import EndpointSummary, GpuSummary, Report
from netprobe.model.run import RunStatus
from netprobe.model.sensitivity import Sensitivity
from netprobe.units import format_duration, format_gbps

ABSENT: Final = "–"
NOTHING_WRONG: Final = "nothing wrong was found"
TOO_LITTLE: Final = "nothing wrong was found, and too little is known to say that nothing is"
LONGEST_NAME: Final = 63  # what DNS allows one label; a longer name is no name that anybody typed

_FOLDABLE: Final = re.compile(r"[A-Za-z0-9_.-]+")
_SIZE_UNITS: Final = (("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10))
_DECIMAL_UNITS: Final = (("T", 1e12), ("G", 1e9), ("M", 1e6), ("k", 1e3))
_ENDINGS: Final = {
    RunStatus.RUNNING: "cut short",
    RunStatus.INTERRUPTED: "interrupted",
    RunStatus.FAILED: "failed",
}


def visible(text: str) -> str:
    """Return text without anything that moves a cursor, changes a colour, breaks a line or reorders letters.

    Host names and error messages come from other machines; a terminal must show them, not obey them.
    """
    return text if text.isprintable() else "".join(each if each.isprintable() else _escaped(each) for each in text)


def short_name(text: str) -> str:
    """Return a name made visible, and cut where it is longer than any real one."""
    shown = visible(text)
    return shown if len(shown) <= LONGEST_NAME else f"{shown[: LONGEST_NAME - 1]}…"


def fold(names: Iterable[str]) -> str:
    """Return names as operators write them, ``node[01-03],gw``; what is no host name follows as it is.

    The same part of several hosts is written once: ``node[01-03] mlx5_0``.
    """
    distinct = tuple(dict.fromkeys(names))
    hosts = [name for name in distinct if _is_host(name)]
    parts: dict[str, list[str]] = {}
    others = []
    for name in distinct:
        match = PART_OF_HOST.fullmatch(name)
        if match is not None and _is_host(match["host"]):
            parts.setdefault(match["part"], []).append(match["host"])
        elif name not in hosts:
            others.append(short_name(name))
    folded = [_node_set(hosts)] if hosts else []
    return ", ".join((*folded, *(f"{_node_set(owners)} {part}" for part, owners in parts.items()), *others))


def _is_host(name: str) -> bool:
    return _FOLDABLE.fullmatch(name) is not None and len(name) <= LONGEST_NAME


def _node_set(hosts: list[str]) -> str:
    from ClusterShell.NodeSet import RESOLVER_NOGROUP, NodeSet

    return str(NodeSet.fromlist(hosts, resolver=RESOLVER_NOGROUP))


def counted(count: int, noun: str) -> str:
    """Return ``1 host`` or ``64 hosts``."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def percent(ratio: float) -> str:
    """Return a share, rounded down, so that 100 % means all of it."""
    if ratio >= 1.0:
        return "100 %"
    shown = math.floor(ratio * 1000) / 10
    return f"{shown:.0f} %" if shown == int(shown) else f"{shown:.1f} %"


def message_size(size_bytes: int) -> str:
    """Return a size with its unit: 8 B, 64 KiB, 1000 B."""
    for unit, factor in _SIZE_UNITS:
        if size_bytes and size_bytes % factor == 0:
            return f"{size_bytes // factor} {unit}"
    return f"{size_bytes} B"


def decimal_amount(value: float, unit: str) -> str:
    """Return three significant digits with a decimal prefix: 1.75 M/s, 61.2 GB."""
    for prefix, factor in _DECIMAL_UNITS:
        if value >= factor:
            return f"{three_digits(value / factor)} {prefix}{unit}"
    return f"{three_digits(value)} {unit}" if value % 1 else f"{value:.0f} {unit}"


def three_digits(value: float) -> str:
    """Return three significant digits, and all digits before the point."""
    if value >= 100:
        return f"{value:.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def duration(elapsed_ns: float | None) -> str:
    """Return a duration with its unit, or a dash when it is not known."""
    return ABSENT if elapsed_ns is None else format_duration(elapsed_ns)


def scale_of(report: Report) -> tuple[str, ...]:
    """Return what a verdict is about, in a few words each: hosts, ranks, coverage, time, and how it ended."""
    ratio = report.coverage.ratio
    parts = [
        counted(len(report.hosts), "host"),
        counted(report.ranks, "rank"),
        f"coverage {ABSENT if ratio is None else percent(ratio)}",
    ]
    if report.elapsed_ns is not None:
        parts.append(format_duration(report.elapsed_ns))
    if report.run_status in _ENDINGS:
        parts.append(_ENDINGS[report.run_status])
    return tuple(parts)


def measured_of(report: Report) -> tuple[str, ...]:
    """Return how much a verdict rests on: pairs, stages, bytes moved, iterations compared."""
    coverage = report.coverage
    empty = f" ({coverage.stages_empty} had nothing to measure)" if coverage.stages_empty else ""
    parts = [f"{len(coverage.stages_finished)} of {counted(len(coverage.stages_planned), 'stage')}{empty}"]
    if coverage.pairs_planned:
        failed = f" ({coverage.pairs_failed:,} failed)" if coverage.pairs_failed else ""
        parts.append(f"{coverage.pairs_measured:,} of {counted(coverage.pairs_planned, 'pair')}{failed}")
    if coverage.bytes_moved:
        parts.append(f"{decimal_amount(coverage.bytes_moved, 'B')} moved")
    if coverage.checked_iterations:
        parts.append(f"{counted(coverage.checked_iterations, 'data check')}")
    told = () if report.sensitivity is None else sensitive_to(report.sensitivity, "a host's")
    return (*parts, *told, *left_out(report.dropped))


def left_out(dropped: Sequence[str]) -> tuple[str, ...]:
    """Return what a plan left out to keep to its budget; none where it left nothing out."""
    return (f"dropped to fit the budget: {visible(', '.join(dropped))}",) if dropped else ()


def sensitive_to(told: Sensitivity, whose: str) -> tuple[str, ...]:
    """Return whom hosts meet, how surely a good one is not blamed, and the smallest loss of ``whose`` packets."""
    parts = [
        f"{counted(told.partners, 'partner')} a host, {told.host_pairs:,} of "
        f"{counted(told.host_pairs_of_all, 'pair')} of hosts"
    ]
    if told.false_blame < 1:
        parts.append(
            f"of a good host all partners are bad with probability {told.false_blame:.1g} at most, "
            f"with {counted(told.bad_hosts, 'bad host')}"
        )
    if told.loss_ratio is not None:
        parts.append(f"loss of {told.loss_ratio:.1e} of {whose} packets or more would show (95 %)")
    return tuple(parts)


def made_by(report: Report) -> tuple[str, ...]:
    """Return how a run was made: profile, launch, MPI, version."""
    parts = (f"profile {report.profile}", report.launch.method, report.transport, report.launch.mpi)
    return (*(visible(part) for part in parts if part), f"netprobe {visible(report.netprobe)}")


def devices_of(report: Report) -> tuple[str, ...]:
    """Return what ranks used for RDMA and which GPUs, a line each; none where they used none."""
    return tuple(line for line in (_endpoints_of(report), _gpus_of(report)) if line is not None)


def _endpoints_of(report: Report) -> str | None:
    """Return what ranks used for RDMA in a line, with how many differ in what; None where none did."""
    if not report.endpoints:
        return None
    told = (
        [each.device for each in report.endpoints],
        [each.gid_kind for each in report.endpoints],
        [f"GID {each.gid_index}" for each in report.endpoints],
        [None if each.mtu_bytes is None else f"MTU {each.mtu_bytes}" for each in report.endpoints],
    )
    parts = [part for values in told if (part := _most_have(values)) is not None]
    few = f" ({len(report.endpoints)} of {counted(report.ranks, 'rank')})"
    return "rdma: " + " · ".join(parts) + (few if len(report.endpoints) < report.ranks else "")


def _gpus_of(report: Report) -> str | None:
    """Return what GPUs ranks used in a line, with how many differ in what; None where none did."""
    if not report.gpus:
        return None
    told = (
        [each.name for each in report.gpus],
        [None if each.nic is None else f"NIC {each.nic}" for each in report.gpus],
        ["MPI by way of the host's memory" if each.takes_mpi is False else None for each in report.gpus],
    )
    parts = [part for values in told if (part := _most_have(values)) is not None]
    few = f" ({len(report.gpus)} of {counted(report.ranks, 'rank')})"
    return "gpus: " + " · ".join(parts) + (few if len(report.gpus) < report.ranks else "")


def gpu_of(gpu: GpuSummary) -> str:
    """Return which GPU and which NIC one rank used, and why."""
    copies = (f"{each.way.value} {format_gbps(each.gbps)}" for each in gpu.copies)
    nic = f"NIC {gpu.nic}" if gpu.nic else None
    parts = (f"GPU {gpu.ordinal}", gpu.pci, gpu.name, f"CUDA {gpu.driver}", nic, gpu.why, *copies)
    return f"{short_name(gpu.host)}:{gpu.rank}  " + " · ".join(visible(part) for part in parts if part)


def endpoint_of(endpoint: EndpointSummary) -> str:
    """Return what one rank used for RDMA, and why."""
    mtu = None if endpoint.mtu_bytes is None else f"MTU {endpoint.mtu_bytes}"
    gid = f"GID {endpoint.gid_index} ({_address(endpoint.gid)})"
    parts = (endpoint.device, endpoint.netdev, endpoint.gid_kind, gid, mtu, endpoint.why)
    return f"{short_name(endpoint.host)}:{endpoint.rank}  " + " · ".join(visible(part) for part in parts if part)


def _most_have(values: Sequence[str | None]) -> str | None:
    """Return the most frequent value, and of how many it is not; None where nobody tells."""
    known = [value for value in values if value is not None]
    if not known:
        return None
    value, count = Counter(known).most_common(1)[0]
    others = len(values) - count
    differ = "differs" if others == 1 else "differ"
    return visible(value) + (f" ({others} of {len(values)} {differ})" if others else "")


def _address(gid: str) -> str:
    """Return an address as people write it: ``10.1.0.5``, ``fe80::1``; what is none as it is."""
    try:
        address = IPv6Address(gid)
    except ValueError:
        return gid
    return str(address.ipv4_mapped or address)


def _escaped(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii")
