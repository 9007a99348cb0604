"""A cause explains its symptoms: one fault is one finding, and what else it made visible is told with it.

A lossy host has long tails, low bandwidth and late ranks; five findings would look like five faults. A symptom is
folded into a cause that names the same host or path, and never when it names anybody else as well.

Does not handle: corruption; wrong bytes make nothing slow. Nor what all pairs or the fabric have in common.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Final

from netprobe.model.finding import Confidence, Fact, Finding, Severity

CAUSES: Final = (
    "dead-host", "hung-host", "partition", "mtu", "packet-loss", "host-noise", "slow-link", "slow-host",
)  # fmt: skip
"""Detectors whose findings explain others; each one also those that come after it, where they are symptoms."""
SYMPTOMS: Final = frozenset({"slow-link", "slow-host", "jitter", "slow-pair", "asymmetry", "straggler", "expectation"})
RATES_OF_HOSTS: Final = frozenset({"slow-link", "slow-host"})
PATHS: Final = frozenset({"slow-pair", "asymmetry"})
"""What they name is left after the rates of hosts are taken away, which therefore cannot explain it."""
SEVERITIES: Final = tuple(Severity)
CONFIDENCES: Final = tuple(Confidence)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Path:
    src: str
    dst: str
    directed: bool

    def is_of(self, cause: "_Path") -> bool:
        """Return whether both join the same hosts, and in the same direction where both have one."""
        if {self.src, self.dst} != {cause.src, cause.dst}:
            return False
        return self.src == cause.src or not (self.directed and cause.directed)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Named:
    """Whom a finding names."""

    hosts: frozenset[str]
    paths: tuple[_Path, ...]


def explained(findings: Sequence[Finding], hosts: Iterable[str]) -> tuple[Finding, ...]:
    """Return the findings without those that others explain, which tell of them; ``hosts`` are all of the run."""
    known = frozenset(hosts)
    named = [_named(finding, known) for finding in findings]
    causes = [_cause_of(index, findings, named) for index in range(len(findings))]
    folded: dict[int, list[Finding]] = {}
    for index, finding in enumerate(findings):
        root = _root(index, causes)
        if root != index:
            folded.setdefault(root, []).append(finding)
    return tuple(
        _with_symptoms(finding, folded.get(index, ()))
        for index, finding in enumerate(findings)
        if causes[index] is None
    )


def _root(index: int, causes: Sequence[int | None]) -> int:
    """Return the last of a chain of causes, each of higher standing than the one before."""
    cause = causes[index]
    return index if cause is None else _root(cause, causes)


def _cause_of(index: int, findings: Sequence[Finding], named: Sequence[_Named | None]) -> int | None:
    """Return the finding of the highest standing that explains this one."""
    symptom, whom = findings[index], named[index]
    if symptom.detector not in SYMPTOMS or whom is None:
        return None
    able = [
        at
        for at, (cause, culprit) in enumerate(zip(findings, named, strict=True))
        if at != index and culprit is not None and _may_explain(cause, symptom) and _covers(culprit, whom)
    ]
    return min(able, key=lambda at: (CAUSES.index(findings[at].detector), at), default=None)


def _may_explain(cause: Finding, symptom: Finding) -> bool:
    if cause.detector not in CAUSES or (cause.detector in RATES_OF_HOSTS and symptom.detector in PATHS):
        return False
    if symptom.detector in CAUSES and CAUSES.index(cause.detector) >= CAUSES.index(symptom.detector):
        return False
    # What is only worth a warning does not slow anybody down, and must not hide who does.
    return cause.severity is not Severity.WARNS or symptom.severity is Severity.WARNS


def _covers(culprit: _Named, symptom: _Named) -> bool:
    """Return whether everybody a symptom names is the culprit, or a path to it, or the path that is the culprit."""
    return symptom.hosts <= culprit.hosts and all(
        culprit.hosts & {path.src, path.dst} or any(path.is_of(each) for each in culprit.paths)
        for path in symptom.paths
    )


def _named(finding: Finding, known: frozenset[str]) -> _Named | None:
    """Return whom a finding names; None when it is not about certain hosts or paths."""
    hosts, paths = set(finding.hosts), []
    for subject in finding.subjects:
        path = _path(subject, known)
        host = _host(subject, known)
        if path is not None:
            paths.append(path)
        elif host is not None:
            hosts.add(host)
        else:
            return None
    return _Named(hosts=frozenset(hosts), paths=tuple(paths)) if hosts or paths else None


def _path(subject: str, known: frozenset[str]) -> _Path | None:
    for arrow in (" <-> ", " -> "):
        ends = [_host(end, known) for end in subject.split(arrow)]
        if len(ends) == 2 and ends[0] is not None and ends[1] is not None:
            return _Path(src=ends[0], dst=ends[1], directed=arrow == " -> ")
    return None


def _host(subject: str, known: frozenset[str]) -> str | None:
    """Return the host of ``host`` or ``host:rank``."""
    if subject in known:
        return subject
    host, _, rank = subject.rpartition(":")
    return host if host in known and rank.isdigit() else None


def _with_symptoms(cause: Finding, symptoms: Sequence[Finding]) -> Finding:
    if not symptoms:
        return cause
    names = dict.fromkeys(symptom.detector for symptom in symptoms)
    worst = min((cause, *symptoms), key=lambda each: SEVERITIES.index(each.severity))
    # Whoever is sure that a host is bad stays sure when a better reason is given.
    sure = [cause.confidence, *(each.confidence for each in symptoms if each.hosts and each.severity is worst.severity)]
    return replace(
        cause,
        severity=worst.severity,
        confidence=min(sure, key=CONFIDENCES.index),
        summary=f"{cause.summary}; also seen: {', '.join(names)}",
        facts=(*cause.facts, *(_as_fact(symptom, cause) for symptom in symptoms)),
    )


def _as_fact(symptom: Finding, cause: Finding) -> Fact:
    subjects = ", ".join(symptom.subjects)
    about = symptom.summary if symptom.subjects == cause.subjects else f"{subjects}: {symptom.summary}"
    return Fact(metric=f"also {symptom.detector}", observed=about, expected="–", basis=f"explained by {cause.detector}")
