"""Findings and gaps put together where they say the same of several subjects, most urgent first.

A group is a tuple of records that differ only in whom they name.
"""

from collections.abc import Callable, Hashable, Iterable
from typing import Final, TypeVar

from netprobe.model.finding import Confidence, Finding, Gap, Severity

T = TypeVar("T")

_SEVERITIES: Final = tuple(Severity)
_CONFIDENCES: Final = tuple(Confidence)


def grouped_findings(findings: Iterable[Finding]) -> tuple[tuple[Finding, ...], ...]:
    """Return groups by severity, then by confidence, in the given order otherwise."""
    ordered = sorted(findings, key=_urgency)
    return _grouped(
        ordered,
        lambda each: (
            each.detector, each.severity, each.confidence, each.summary, each.excluded, each.next_action,
        ),
    )  # fmt: skip


def grouped_gaps(gaps: Iterable[Gap]) -> tuple[tuple[Gap, ...], ...]:
    """Return groups, those that undermine the verdict first."""
    ordered = sorted(gaps, key=lambda gap: not gap.undermines)
    return _grouped(ordered, lambda each: (each.reason, each.remedy, each.undermines))


def subjects_of(group: tuple[Finding, ...]) -> tuple[str, ...]:
    """Return everybody whom a group names, once."""
    return tuple(dict.fromkeys(subject for each in group for subject in each.subjects))


def retests_of(group: tuple[Finding, ...]) -> tuple[str, ...]:
    """Return the commands that confirm a group's findings, each once."""
    return tuple(dict.fromkeys(each.retest for each in group if each.retest))


def topics_of(group: tuple[Gap, ...]) -> str:
    """Return what a group of gaps is about, each topic once."""
    return ", ".join(dict.fromkeys(each.topic for each in group))


def _urgency(finding: Finding) -> tuple[int, int]:
    return _SEVERITIES.index(finding.severity), _CONFIDENCES.index(finding.confidence)


def _grouped(values: Iterable[T], key: Callable[[T], Hashable]) -> tuple[tuple[T, ...], ...]:
    groups: dict[Hashable, list[T]] = {}
    for value in values:
        groups.setdefault(key(value), []).append(value)
    return tuple(tuple(group) for group in groups.values())
