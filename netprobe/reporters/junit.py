"""JUnit XML for CI servers: a suite for the run and one for each host, a case for each detector.

A culprit's case fails with the finding's text; a case is skipped, with the reason, where nobody can tell; it passes
where the detector had something to look at and was silent. All cases pass when, and only when, the run is HEALTHY.
"""

import xml.etree.ElementTree as ET
from collections.abc import Iterator
from typing import Final

from netprobe.contracts import RenderOptions, Reporter
from netprobe.locate.fitness import fitness_of
from netprobe.model.finding import Finding, Gap
from netprobe.model.report import Report
from netprobe.model.verdict import Verdict
from netprobe.reporters._examined import checks_of, unexamined
from netprobe.reporters._finding_text import headline, hosts_of, text_of
from netprobe.reporters._wording import fold, scale_of, visible
from netprobe.units import NS_PER_S

RUN: Final = "run"
"""The suite of what is no single host's."""
UNTOLD: Final = "this host was not measured, or the run has no verdict"

_FAILURE, _ERROR, _SKIPPED = "failure", "error", "skipped"


def render(report: Report, _options: RenderOptions) -> str:
    """Return the document."""
    root = ET.Element("testsuites", name="netprobe")
    if report.elapsed_ns is not None:
        root.set("time", f"{report.elapsed_ns / NS_PER_S:.3f}")
    _add_suite(root, report, RUN, list(_run_cases(report)))
    gaps = _gaps_by_detector(report)
    untold = frozenset(fitness_of(report).untold)
    for host in report.hosts:
        _add_suite(root, report, host, list(_host_cases(report, host, gaps, is_untold=host in untold)))
    for name in ("tests", "failures", "errors"):
        root.set(name, str(sum(int(suite.get(name, "0")) for suite in root)))
    ET.indent(root)
    return f'<?xml version="1.0" encoding="utf-8"?>\n{ET.tostring(root, encoding="unicode")}\n'


def _run_cases(report: Report) -> Iterator[ET.Element]:
    """Yield the verdict, findings that are about no host of the run, and what could not be told or tested."""
    yield _verdict_case(report)
    for finding in report.findings:
        if not hosts_of(finding, report.hosts):
            yield _failed(RUN, f"{finding.detector}: {fold(finding.subjects)}", (finding,))
    known = checks_of(report)
    for gap in report.gaps:
        for topic in _topics(gap):
            if topic not in known:
                yield _skipped(RUN, topic, _reason(gap))
    for gap in report.not_tested:
        yield _skipped(RUN, gap.topic, _reason(gap))


def _verdict_case(report: Report) -> ET.Element:
    case = _case(RUN, "verdict")
    message = f"{report.verdict}: {', '.join(scale_of(report))}"
    if report.verdict is Verdict.INCONCLUSIVE:
        undermining = "\n".join(_reason(gap) for gap in report.gaps if gap.undermines)
        _add(case, _ERROR, message, kind=report.verdict.value, text=undermining)
    elif report.verdict is not Verdict.HEALTHY:
        _add(case, _FAILURE, message, kind=report.verdict.value)
    return case


def _host_cases(report: Report, host: str, gaps: dict[str, Gap], *, is_untold: bool) -> Iterator[ET.Element]:
    told: dict[str, list[Finding]] = {}
    reasons: dict[str, str] = {}
    for finding in report.findings:
        if hosts_of(finding, (host,)):
            told.setdefault(finding.detector, []).append(finding)
        elif host in finding.victims:
            reasons.setdefault(finding.detector, f"a victim, not known to be well: {headline(finding)}")
    for topic, gap in gaps.items():
        reasons.setdefault(topic, _reason(gap))
    known = checks_of(report)
    for detector in dict.fromkeys((*known, *told)):
        reason = reasons.get(detector) or (UNTOLD if is_untold else unexamined(report, detector, host))
        if detector in told:
            yield _failed(host, detector, tuple(told[detector]))
        else:
            yield _case(host, detector) if reason is None else _skipped(host, detector, reason)


def _gaps_by_detector(report: Report) -> dict[str, Gap]:
    return {topic: gap for gap in reversed(report.gaps) for topic in _topics(gap)}


def _topics(gap: Gap) -> list[str]:
    """Return what a gap leaves open: gaps with the same reason were put together."""
    return gap.topic.split(", ")


def _reason(gap: Gap) -> str:
    return f"{gap.reason}; try: {gap.remedy}" if gap.remedy else gap.reason


def _failed(suite: str, name: str, findings: tuple[Finding, ...]) -> ET.Element:
    case = _case(suite, name)
    for finding in findings:
        _add(case, _FAILURE, headline(finding), kind=finding.severity.value, text=text_of(finding))
    return case


def _skipped(suite: str, name: str, reason: str) -> ET.Element:
    case = _case(suite, name)
    _add(case, _SKIPPED, reason)
    return case


def _case(suite: str, name: str) -> ET.Element:
    return ET.Element("testcase", name=visible(name), classname=visible(suite))


def _add(case: ET.Element, tag: str, message: str, *, kind: str | None = None, text: str = "") -> None:
    child = ET.SubElement(case, tag, message=visible(message))
    if kind is not None:
        child.set("type", kind)
    if text:
        child.text = "\n".join(visible(line) for line in text.splitlines())


def _add_suite(root: ET.Element, report: Report, name: str, cases: list[ET.Element]) -> None:
    suite = ET.SubElement(root, "testsuite", name=visible(name), tests=str(len(cases)))
    for attribute, tag in (("failures", _FAILURE), ("errors", _ERROR), ("skipped", _SKIPPED)):
        suite.set(attribute, str(sum(case.find(tag) is not None for case in cases)))
    suite.set("timestamp", visible(report.started))
    if name != RUN:
        suite.set("hostname", visible(name))
    suite.extend(cases)


REPORTER = Reporter(
    id="junit", title="JUnit XML for CI: a case for each host and detector", render=render, suffixes=(".xml",)
)
