"""A finding as lines of plain text, for formats that hold text and no layout."""

from collections.abc import Iterable, Iterator

from netprobe.locate.fitness import host_of
from netprobe.model.finding import Finding
from netprobe.reporters._wording import fold, visible


def headline(finding: Finding) -> str:
    """Return who and what, in one line."""
    return visible(f"{finding.severity}: {finding.detector}: {fold(finding.subjects)}: {finding.summary}")


def text_of(finding: Finding) -> str:
    """Return everything that is known, a line each."""
    return "\n".join(visible(line) for line in _lines(finding))


def hosts_of(finding: Finding, known: Iterable[str]) -> tuple[str, ...]:
    """Return the hosts of a run that a finding is about: to leave out, or named, or with a part that is named."""
    named = {*finding.hosts, *finding.subjects, *(host_of(subject) for subject in finding.subjects)}
    return tuple(host for host in known if host in named)


def _lines(finding: Finding) -> Iterator[str]:
    yield f"{finding.summary} (confidence {finding.confidence})"
    if finding.excluded:
        yield f"excluded: {'; '.join(finding.excluded)}"
    if finding.next_action:
        yield f"next: {finding.next_action}"
    if finding.retest:
        yield f"retest: {finding.retest}"
    for fact in finding.facts:
        yield f"{fact.metric}: {fact.observed}, expected {fact.expected} ({fact.basis})"
