"""From a run, as evidence and with its report, to the rows that history keeps of it."""

from datetime import UTC, datetime

from netprobe.errors import FormatError
from netprobe.history.facts import facts_of
from netprobe.history.figures import figures_of
from netprobe.model.evidence import Evidence
from netprobe.model.finding import Finding
from netprobe.model.history import Digest, Sighting
from netprobe.model.report import Report
from netprobe.model.run import RunHeader


def digest_of(header: RunHeader, evidence: Evidence | None, report: Report | None) -> Digest:
    """Return the digest of a run; FormatError where it does not say when it was.

    Without evidence, as of a run that was cut short, it has neither figures nor facts.
    """
    return Digest(
        run=header.id,
        started=started_of(header),
        status=header.status,
        profile=header.plan.profile,
        verdict=None if report is None else report.verdict,
        figures=() if evidence is None else figures_of(evidence),
        facts=() if evidence is None else facts_of(header, evidence.inventories.values()),
        sightings=() if report is None else tuple(s for each in report.findings for s in _sightings(each)),
    )


def started_of(header: RunHeader) -> datetime:
    """Return when a run began, in UTC; FormatError where run.json does not say."""
    try:
        started = datetime.fromisoformat(header.started)
    except ValueError as error:
        raise FormatError(f"run.json of {header.id!r} does not say when it began: {header.started!r}") from error
    return started.replace(tzinfo=UTC) if started.tzinfo is None else started.astimezone(UTC)


def _sightings(finding: Finding) -> list[Sighting]:
    return [
        Sighting(
            detector=finding.detector,
            severity=finding.severity,
            subject=subject,
            host=next((host for host in finding.hosts if _is_of(subject, host)), None),
            summary=finding.summary,
        )
        for subject in finding.subjects
    ]


def _is_of(subject: str, host: str) -> bool:
    """Return whether a subject is a host or a part of it: ``node17``, ``node17 mlx5_3``, ``node17:4``."""
    return subject == host or subject.startswith((f"{host} ", f"{host}:"))
