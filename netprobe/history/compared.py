"""A comparison as a document for programs."""

from datetime import UTC

from netprobe import __version__
from netprobe.history.comparing import Change, Comparison, hosts_of
from netprobe.model.comparison import (
    COMPARISON_FORMAT,
    ComparedFigure,
    ComparedRun,
    ComparisonDocument,
    DifferingHosts,
)
from netprobe.model.history import Digest


def document_of(found: Comparison) -> ComparisonDocument:
    """Return everything that was found."""
    return ComparisonDocument(
        format=COMPARISON_FORMAT,
        netprobe=__version__,
        before=_run(found.before),
        after=_run(found.after),
        worse=len(found.worse),
        fleet=tuple(_figure(each) for each in found.fleet),
        single=tuple(_figure(each) for each in found.single),
        tested=found.tested,
        only_before=found.only_before,
        only_after=found.only_after,
        hosts_gone=found.hosts_gone,
        hosts_new=found.hosts_new,
        configuration=found.configuration,
        facts=tuple(DifferingHosts(what=what, hosts=hosts) for what, hosts in found.facts),
    )


def _run(digest: Digest) -> ComparedRun:
    return ComparedRun(
        run_id=digest.run,
        started=f"{digest.started.astimezone(UTC):%Y-%m-%dT%H:%M:%S.%f}"[:-3] + "Z",
        profile=digest.profile,
        verdict=digest.verdict,
        hosts=tuple(sorted(hosts_of(digest))),
    )


def _figure(change: Change) -> ComparedFigure:
    low, high = (None, None) if change.interval is None else (each - 1.0 for each in change.interval)
    return ComparedFigure(
        title=change.title,
        subject=change.subject,
        unit=change.unit,
        before=change.before,
        after=change.after,
        change_ratio=change.ratio,
        low_ratio=low,
        high_ratio=high,
        q_value=change.q_value,
        delta=change.delta,
        samples_before=change.samples[0],
        samples_after=change.samples[1],
        course=change.course,
    )
