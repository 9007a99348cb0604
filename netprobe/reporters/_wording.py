"""Words that every text reporter uses: names made safe to print, host sets folded, numbers with their nouns."""

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from netprobe.model.report import Report
from netprobe.model.run import RunStatus
from netprobe.units import format_duration

ABSENT: Final = "–"
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
    return "".join(each if each.isprintable() else _escaped(each) for each in text)


def short_name(text: str) -> str:
    """Return a name made visible, and cut where it is longer than any real one."""
    shown = visible(text)
    return shown if len(shown) <= LONGEST_NAME else f"{shown[: LONGEST_NAME - 1]}…"


def fold(names: Iterable[str]) -> str:
    """Return names as operators write them, ``node[01-03],gw``; what is no host name follows as it is."""
    from ClusterShell.NodeSet import RESOLVER_NOGROUP, NodeSet

    distinct = tuple(dict.fromkeys(names))
    hosts = [name for name in distinct if _FOLDABLE.fullmatch(name) and len(name) <= LONGEST_NAME]
    others = [short_name(name) for name in distinct if name not in hosts]
    folded = [str(NodeSet.fromlist(hosts, resolver=RESOLVER_NOGROUP))] if hosts else []
    return ",".join(folded) + (", " if folded and others else "") + ", ".join(others)


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
        parts.append(f"{coverage.pairs_measured:,} of {counted(coverage.pairs_planned, 'pair')}")
    if coverage.bytes_moved:
        parts.append(f"{decimal_amount(coverage.bytes_moved, 'B')} moved")
    if coverage.checked_iterations:
        parts.append(f"{counted(coverage.checked_iterations, 'data check')}")
    return tuple(parts)


@dataclass(frozen=True, slots=True, kw_only=True)
class UsableHosts:
    """The hosts that no finding asks to leave out, told apart by whether a finding is about them."""

    healthy: tuple[str, ...]
    with_findings: tuple[str, ...]


def usable_hosts(report: Report) -> UsableHosts:
    """Return the hosts for the next job; a path that is to blame is no finding about its two ends."""
    subjects = {subject for finding in report.findings for subject in finding.subjects}
    ranks = {subject.rpartition(":")[0] for subject in subjects}
    with_findings = tuple(host for host in report.healthy_hosts if host in subjects or host in ranks)
    healthy = tuple(host for host in report.healthy_hosts if host not in with_findings)
    return UsableHosts(healthy=healthy, with_findings=with_findings)


def made_by(report: Report) -> tuple[str, ...]:
    """Return how a run was made: profile, launch, MPI, version."""
    parts = (f"profile {report.profile}", report.launch.method, report.transport, report.launch.mpi)
    return (*(visible(part) for part in parts if part), f"netprobe {visible(report.netprobe)}")


def _escaped(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii")
