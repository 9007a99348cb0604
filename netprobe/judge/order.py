"""In which order findings are told, and gaps once each: of a run, of a history, of what was pasted."""

from collections.abc import Iterable, Iterator
from typing import Final

from netprobe.model.finding import Confidence, Finding, Gap, Severity

SEVERITIES: Final = tuple(Severity)
CONFIDENCES: Final = tuple(Confidence)


def merged(gaps: Iterable[Gap]) -> Iterator[Gap]:
    """Say each reason once, with all topics that it leaves open."""
    topics: dict[tuple[str, str, bool], dict[str, None]] = {}
    for gap in gaps:
        topics.setdefault((gap.reason, gap.remedy, gap.undermines), {})[gap.topic] = None
    for (reason, remedy, undermines), names in topics.items():
        yield Gap(topic=", ".join(names), reason=reason, remedy=remedy, undermines=undermines)


def worst_first(finding: Finding) -> tuple[int, int, str, tuple[str, ...]]:
    """Return the key by which findings are sorted."""
    severity, confidence = SEVERITIES.index(finding.severity), CONFIDENCES.index(finding.confidence)
    return severity, confidence, finding.detector, finding.subjects
