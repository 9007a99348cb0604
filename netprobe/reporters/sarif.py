"""SARIF 2.1.0: a rule for each detector, a result for each finding, a notification for what could not be told.

A finding is of hosts and NICs, not of files: results have logical locations alone. They are the same from run to run
where detector and subjects are, so that a viewer tells new ones from known ones.
"""

import hashlib
from collections.abc import Collection, Iterable
from datetime import UTC, datetime
from typing import Any, Final

import msgspec

from netprobe.contracts import Detector, HistoryDetector, RenderOptions, Reporter
from netprobe.locate.fitness import host_of
from netprobe.model.finding import Finding, Gap, Severity
from netprobe.model.report import Report
from netprobe.model.run import RunStatus
from netprobe.reporters._examined import checks_of
from netprobe.reporters._finding_text import text_of
from netprobe.store.encoding import json_line

SCHEMA: Final = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
VERSION: Final = "2.1.0"
LEVELS: Final = {Severity.BLOCKS: "error", Severity.DEGRADES: "warning", Severity.WARNS: "note"}
FINGERPRINT: Final = "netprobeDetectorAndSubjects/v1"

Object = dict[str, Any]


def render(report: Report, _options: RenderOptions) -> str:
    """Return the log."""
    known = checks_of(report)
    told = dict.fromkeys(finding.detector for finding in report.findings)
    rules = [_rule(id, known.get(id)) for id in dict.fromkeys((*known, *told))]
    index = {rule["id"]: number for number, rule in enumerate(rules)}
    driver = {"name": "netprobe", "version": report.netprobe, "rules": rules}
    run = {
        "tool": {"driver": driver},
        "automationDetails": {"id": f"netprobe/{report.profile}/{report.run_id}"},
        "invocations": [_invocation(report)],
        "results": [_result(finding, index, report.hosts) for finding in report.findings],
        "properties": {"verdict": report.verdict.value, "healthyHosts": report.healthy_hosts},
    }
    log = {"$schema": SCHEMA, "version": VERSION, "runs": [run]}
    return msgspec.json.format(json_line(log), indent=2).decode("utf-8") + "\n"


def _rule(id: str, detector: Detector | HistoryDetector | None) -> Object:
    if detector is None:  # of another version
        return {"id": id}
    return {
        "id": id,
        "shortDescription": {"text": detector.title},
        "fullDescription": {"text": detector.cause},
        "help": {"text": f"{detector.evidence}\n{detector.remedy}"},
    }


def _result(finding: Finding, index: dict[str, int], hosts: Collection[str]) -> Object:
    return {
        "ruleId": finding.detector,
        "ruleIndex": index[finding.detector],
        "level": LEVELS[finding.severity],
        "message": {"text": text_of(finding)},
        "locations": [{"logicalLocations": [_location(subject, hosts)]} for subject in finding.subjects],
        "partialFingerprints": {FINGERPRINT: _fingerprint(finding.detector, finding.subjects)},
        "properties": {
            "confidence": finding.confidence.value,
            "hosts": finding.hosts,
            "victims": finding.victims,
            "facts": msgspec.to_builtins(finding.facts),
            "next": finding.next_action,
            "retest": finding.retest,
        },
    }


def _location(subject: str, hosts: Collection[str]) -> Object:
    """Return where it is: a part of a host below that host, anything else (a path, the fabric) by its name."""
    host = host_of(subject)
    if subject in hosts or host is None:
        kind = {"kind": "host"} if subject in hosts else {}
        return {"name": subject, "fullyQualifiedName": subject, **kind}
    part = subject[len(host) + 1 :]
    return {"name": part, "fullyQualifiedName": f"{host}/{part}", "kind": "device"}


def _fingerprint(detector: str, subjects: Iterable[str]) -> str:
    text = "\n".join((detector, *sorted(subjects)))
    return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()


def _invocation(report: Report) -> Object:
    invocation: Object = {
        "executionSuccessful": report.run_status is RunStatus.COMPLETE,
        "exitCode": report.exit_code,
        "toolExecutionNotifications": [_notification(gap) for gap in (*report.gaps, *report.not_tested)],
    }
    started = _utc(report.started)
    return invocation if started is None else invocation | {"startTimeUtc": started}


def _notification(gap: Gap) -> Object:
    text = f"{gap.topic}: {gap.reason}"
    return {
        "level": "error" if gap.undermines else "note",
        "message": {"text": f"{text}; try: {gap.remedy}" if gap.remedy else text},
    }


def _utc(started: str) -> str | None:
    """Return a time as the format wants it; None for one that cannot be read."""
    try:
        at = datetime.fromisoformat(started)
    except ValueError:
        return None
    return f"{(at if at.tzinfo else at.replace(tzinfo=UTC)).astimezone(UTC):%Y-%m-%dT%H:%M:%S.%f}"[:-3] + "Z"


REPORTER = Reporter(
    id="sarif", title="SARIF 2.1.0, for viewers of findings", render=render, suffixes=(".sarif", ".sarif.json")
)
