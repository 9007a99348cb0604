"""May a job start, and on which hosts: the hosts of a judged run without those to leave out.

Pure. A job gets the hosts that ``locate.fitness`` calls usable; a host that was not tested is not. What no host can be
left out for, such as a path that loses packets, keeps the job from starting whatever hosts remain.
"""

from dataclasses import dataclass, replace

from netprobe.judge.verdict import healthy_hosts
from netprobe.locate.fitness import fitness_of
from netprobe.model.evidence import Evidence
from netprobe.model.finding import Finding, Severity
from netprobe.model.report import Report
from netprobe.model.verdict import Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What a job asks for."""

    fewest_hosts: int | None = None
    """None: all of them."""
    allows_degraded: bool = False
    """Whether only what blocks counts, and not what costs performance."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Admission:
    """The answer."""

    healthy: tuple[str, ...]
    """In the order of their ranks."""
    left_out: tuple[str, ...]
    refusal: str | None
    """Why the job may not start; None when it may."""


def admission(report: Report, evidence: Evidence, terms: Terms) -> Admission:
    """Return which hosts a job may have, and whether that is enough."""
    counting = tuple(each for each in report.findings if _counts(each, terms))
    usable = fitness_of(_without_others(report, counting, evidence) if terms.allows_degraded else report).usable
    named = (host for finding in counting for host in finding.hosts)
    known = dict.fromkeys((*report.hosts, *(each.host for each in evidence.benched), *named))
    healthy = tuple(host for host in known if host in usable)
    return Admission(
        healthy=healthy,
        left_out=tuple(host for host in known if host not in healthy),
        refusal=_refusal(report, counting, len(healthy), len(known), terms),
    )


def _without_others(report: Report, counting: tuple[Finding, ...], evidence: Evidence) -> Report:
    """Return the report as if nothing but the findings that count had been found."""
    return replace(report, findings=counting, healthy_hosts=healthy_hosts(report.verdict, counting, evidence))


def _counts(finding: Finding, terms: Terms) -> bool:
    return finding.severity is Severity.BLOCKS or (
        finding.severity is Severity.DEGRADES and not terms.allows_degraded
    )  # fmt: skip


def _refusal(report: Report, counting: tuple[Finding, ...], healthy: int, hosts: int, terms: Terms) -> str | None:
    if report.verdict is Verdict.INCONCLUSIVE:
        return "too little is known to call any host healthy"
    of_no_host = dict.fromkeys(each.detector for each in counting if not each.hosts)
    if of_no_host:
        return f"no host can be left out for {', '.join(of_no_host)}"
    needed = hosts if terms.fewest_hosts is None else terms.fewest_hosts
    if healthy < max(needed, 1):
        return f"{healthy} of {hosts} hosts are healthy, and {max(needed, 1)} are needed"
    return None
