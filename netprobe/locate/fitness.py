"""Which hosts the next job can have: the one place that decides it, for every text, file and gate."""

import re
from dataclasses import dataclass
from typing import Final

from netprobe.model.finding import Severity
from netprobe.model.report import Report

PART_OF_HOST: Final = re.compile(
    r"(?P<host>[A-Za-z0-9_.-]+) (?P<part>[A-Za-z0-9_.:/-]*[0-9][A-Za-z0-9_.:/-]*)"
)  # fmt: skip
"""``node17 mlx5_3``; device names have a number in them, phrases such as ``many pairs`` do not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fitness:
    """Every host of a run in one of six groups, in the order of its ranks; hosts that never came follow."""

    healthy: tuple[str, ...]
    """Measured, and no finding is about them."""
    with_findings: tuple[str, ...]
    """Usable: a finding is about them, and none asks to leave them out."""
    victims: tuple[str, ...]
    """Suffer from what another one does: not to blame, and not known to be well."""
    blocked: tuple[str, ...]
    """A finding that blocks asks to leave them out."""
    degraded: tuple[str, ...]
    """A finding asks to leave them out, and none that does so blocks."""
    untold: tuple[str, ...]
    """Not measured, or measured in a run without a verdict: neither healthy nor to blame."""

    @property
    def usable(self) -> tuple[str, ...]:
        """The hosts that nobody asks to leave out: healthy ones first."""
        return (*self.healthy, *self.with_findings)


def fitness_of(report: Report) -> Fitness:
    """Return what each host of a report is fit for; a path that is to blame is no finding about its two ends."""
    findings = report.findings
    blocked = dict.fromkeys(host for each in findings if each.severity is Severity.BLOCKS for host in each.hosts)
    degraded = dict.fromkeys(host for each in findings for host in each.hosts if host not in blocked)
    victims = dict.fromkeys(
        host for each in findings for host in each.victims if host not in blocked and host not in degraded
    )
    named = {name for each in findings for subject in each.subjects for name in _hosts_named(subject)}
    usable = [host for host in report.healthy_hosts if host not in {*blocked, *degraded, *victims}]
    known = {*blocked, *degraded, *victims, *usable}
    order = {host: index for index, host in enumerate((*report.hosts, *known))}
    return Fitness(
        healthy=tuple(host for host in usable if host not in named),
        with_findings=tuple(host for host in usable if host in named),
        victims=tuple(sorted(victims, key=order.__getitem__)),
        blocked=tuple(sorted(blocked, key=order.__getitem__)),
        degraded=tuple(sorted(degraded, key=order.__getitem__)),
        untold=tuple(host for host in report.hosts if host not in known),
    )


def host_of(subject: str) -> str | None:
    """Return the host that a subject is a part of, ``node17 mlx5_3`` or ``node17:3``; None for one that is no part."""
    match = PART_OF_HOST.fullmatch(subject)
    if match is not None:
        return match["host"]
    host, _, rank = subject.rpartition(":")
    return host if host and rank.isdecimal() else None


def _hosts_named(subject: str) -> tuple[str, ...]:
    part_of = host_of(subject)
    return (subject,) if part_of is None else (subject, part_of)
