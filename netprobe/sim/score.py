"""What a report says, held against the truth: what was found, who was named first, and who was blamed for nothing."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from netprobe.model.finding import Finding
from netprobe.model.report import Report
from netprobe.sim.faults import Injected

ARROWS: Final = (" <-> ", " -> ")
SHARED: Final = ("fabric", "many ports", "many pairs")
FABRIC: Final = "fabric"


class Closeness(IntEnum):
    """How near a finding's subjects are to a culprit."""

    ELSEWHERE = 0
    TOUCHES = 1
    """A path that ends at the culprit, or a part of it; for somebody who looks there, a lead."""
    NAMES = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """One thing that was wrong, and what the report made of it."""

    injected: Injected
    is_found: bool
    """Whether any finding leads to it."""
    is_first: bool
    """Whether the first finding names it; of several faults, whether any finding names it before a wrong one."""
    is_right_cause: bool
    """Whether a detector that is meant for it tells of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Night:
    """One report against the truth."""

    scores: tuple[Score, ...]
    false_alarms: tuple[str, ...]
    """Findings that lead to nothing that was wrong."""
    right: int
    victims: tuple[str, ...]
    """Hosts that somebody is asked to leave out, and that are well."""


def scored(report: Report, injected: Sequence[Injected]) -> Night:
    """Return how a report does against the truth."""
    wrong = [each for each in report.findings if not any(_leads(each, one) for one in injected)]
    return Night(
        scores=tuple(_score(report.findings, one, wrong) for one in injected),
        false_alarms=tuple(f"{each.detector}: {', '.join(each.subjects[:3])}" for each in wrong),
        right=len(report.findings) - len(wrong),
        victims=tuple(sorted(_victims(report.findings, injected))),
    )


def _score(findings: Sequence[Finding], one: Injected, wrong: Sequence[Finding]) -> Score:
    leading = [each for each in findings if _leads(each, one)]
    naming = [at for at, each in enumerate(findings) if closeness(each, one) is Closeness.NAMES and _leads(each, one)]
    first_wrong = next((at for at, each in enumerate(findings) if any(each is bad for bad in wrong)), len(findings))
    return Score(
        injected=one,
        is_found=bool(leading),
        is_first=bool(naming) and naming[0] < first_wrong,
        is_right_cause=any(each.detector in one.detectors for each in leading),
    )


def _leads(finding: Finding, one: Injected) -> bool:
    """Return whether a finding is about a thing that is wrong: near to it, and of a detector that may tell of it."""
    return finding.detector in (*one.detectors, *one.also) and closeness(finding, one) is not Closeness.ELSEWHERE


def closeness(finding: Finding, one: Injected) -> Closeness:
    """Return how near a finding is to a culprit."""
    if one.culprit == FABRIC:
        return Closeness.ELSEWHERE if finding.hosts else Closeness.NAMES
    return max((_of_subject(each, one) for each in finding.subjects), default=Closeness.ELSEWHERE)


def _of_subject(subject: str, one: Injected) -> Closeness:
    is_of_hosts = one.culprit.partition(" ")[0] in one.hosts
    arrow = next((each for each in ARROWS if each in subject), None)
    ends = [name for end in (subject.split(arrow) if arrow else [subject]) for name in end.split(",")]
    if any(end == one.culprit or end in one.aliases for end in ends):
        return Closeness.NAMES
    touched = [end for end in ends if end.partition(" ")[0].partition(":")[0] in one.hosts]
    if not touched:
        return Closeness.TOUCHES if subject in SHARED and not is_of_hosts else Closeness.ELSEWHERE
    return Closeness.NAMES if is_of_hosts and arrow is None else Closeness.TOUCHES


def _victims(findings: Sequence[Finding], injected: Sequence[Injected]) -> set[str]:
    """Return the hosts that are blamed though nothing is wrong with them; whoever names a leaf may name its hosts."""
    guilty = {one.hosts[0] for one in injected if one.culprit.partition(" ")[0] in one.hosts}
    blamed = set()
    for finding in findings:
        of_leaf = {
            host for one in injected if any(each in one.aliases for each in finding.subjects) for host in one.hosts
        }
        blamed |= set(finding.hosts) - guilty - of_leaf
    return blamed
