"""A cause explains its symptoms: one fault is one finding, and what else it made visible is told with it.

A lossy host has long tails, low bandwidth and late ranks; five findings would look like five faults. A symptom is
folded into a cause that names the same host or path, and never when it names anybody else as well.

Which of two causes stands when both name the same port is decided by a table (precedence).

Does not handle: corruption; wrong bytes make nothing slow. Nor what all pairs or the fabric have in common.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Final

from netprobe.detectors._words import listed, tells_of_gpu
from netprobe.judge.naming import Mark, Named, marks_of, named, sought_of
from netprobe.judge.precedence import outranked
from netprobe.model.finding import Confidence, Fact, Finding, Severity

CAUSES: Final = (
    "dead-host", "hung-host", "partition", "mtu", "leaf-fault", "link-flap", "physical-errors", "pause-storm",
    "packet-loss", "pfc-missing", "pause-source", "rnr-stall", "link-downgrade", "pcie-downgrade", "gpu-throttle",
    "nvlink-degraded", "host-noise", "slow-link", "slow-host",
)  # fmt: skip
"""Detectors whose findings explain others; each one also those that come after it, where they are symptoms."""
OF_GPUS: Final = frozenset({"gpu-throttle", "nvlink-degraded"})
"""They make nothing slow but what is measured in memory of GPUs."""
SYMPTOMS: Final = frozenset(
    {"slow-link", "slow-host", "jitter", "slow-pair", "asymmetry", "straggler", "expectation", "layer-gap", "slow-hop"}
)
RATES_OF_HOSTS: Final = frozenset({"slow-link", "slow-host"})
PATHS: Final = frozenset({"slow-pair", "asymmetry"})
"""What they name is left after the rates of hosts are taken away, which therefore cannot explain it."""
MOST_TOLD: Final = 3  # symptoms of one detector in full
SEVERITIES: Final = tuple(Severity)
CONFIDENCES: Final = tuple(Confidence)


def explained(findings: Sequence[Finding], hosts: Iterable[str]) -> tuple[Finding, ...]:
    """Return the findings without those that others explain, which tell of them; ``hosts`` are all of the run."""
    known = frozenset(hosts)
    whom = [named(finding, known) for finding in findings]
    beaten = outranked(findings, whom)
    by_mark = _causes_by_mark(findings, whom)
    causes = [beaten.get(index, _cause_of(index, findings, whom, by_mark)) for index in range(len(findings))]
    folded: dict[int, list[Finding]] = {}
    for index, finding in enumerate(findings):
        root = _root(index, causes)
        if root != index:
            folded.setdefault(root, []).append(finding)
    return tuple(
        _with_symptoms(finding, whom[index], folded.get(index, ()))
        for index, finding in enumerate(findings)
        if causes[index] is None
    )


def _root(index: int, causes: Sequence[int | None]) -> int:
    """Return the last of a chain of causes, each of higher standing than the one before."""
    cause = causes[index]
    return index if cause is None else _root(cause, causes)


def _causes_by_mark(findings: Sequence[Finding], named: Sequence[Named | None]) -> dict[Mark, list[int]]:
    """Return the causes by whom they name, so that a symptom need not be held against all of them."""
    by_mark: dict[Mark, list[int]] = {}
    for index, (finding, whom) in enumerate(zip(findings, named, strict=True)):
        if finding.detector in CAUSES and whom is not None:
            for mark in marks_of(finding, whom):
                by_mark.setdefault(mark, []).append(index)
    return by_mark


def _cause_of(
    index: int,
    findings: Sequence[Finding],
    named: Sequence[Named | None],
    by_mark: Mapping[Mark, Sequence[int]],
) -> int | None:
    """Return the finding of the highest standing that explains this one."""
    symptom, whom = findings[index], named[index]
    if symptom.detector not in SYMPTOMS or whom is None:
        return None
    near = {at for mark in sought_of(whom) for at in by_mark.get(mark, ()) if at != index}
    able = (
        at
        for at in near
        if (culprit := named[at]) is not None
        and _may_explain(findings[at], symptom)
        and _covers(culprit, whom)
        and not _hides(findings[at], culprit, symptom)
    )
    return min(able, key=lambda at: (CAUSES.index(findings[at].detector), at), default=None)


def _hides(cause: Finding, culprit: Named, symptom: Finding) -> bool:
    """Return whether a symptom knows which host to leave out, and a cause that names several does not."""
    return bool(symptom.hosts) and not cause.hosts and len(culprit.hosts) > 1


def _may_explain(cause: Finding, symptom: Finding) -> bool:
    if cause.detector in RATES_OF_HOSTS and symptom.detector in PATHS:
        return False
    if cause.detector in OF_GPUS and not (symptom.facts and all(tells_of_gpu(fact.metric) for fact in symptom.facts)):
        return False
    if symptom.detector in CAUSES and CAUSES.index(cause.detector) >= CAUSES.index(symptom.detector):
        return False
    # What is only worth a warning does not slow anybody down, and must not hide who does.
    return cause.severity is not Severity.WARNS or symptom.severity is Severity.WARNS


def _covers(culprit: Named, symptom: Named) -> bool:
    """Return whether everybody a symptom names is the culprit, or a path to it, or the path that is the culprit."""
    return symptom.hosts <= culprit.hosts and all(
        culprit.hosts & {path.src, path.dst} or any(path.is_of(each) for each in culprit.paths)
        for path in symptom.paths
    )


def _with_symptoms(cause: Finding, culprit: Named | None, symptoms: Sequence[Finding]) -> Finding:
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
        facts=(*cause.facts, *(fact for name in names for fact in _as_facts(name, symptoms, cause))),
        victims=_victims(cause, culprit, symptoms),
    )


def _victims(cause: Finding, culprit: Named | None, symptoms: Sequence[Finding]) -> tuple[str, ...]:
    """Return the hosts that symptoms blame and that are none of those which the cause names."""
    own = {*cause.hosts, *(() if culprit is None else culprit.hosts)}
    return tuple(dict.fromkeys(host for each in symptoms for host in each.hosts if host not in own))


def _as_facts(detector: str, symptoms: Sequence[Finding], cause: Finding) -> Iterator[Fact]:
    """Yield a detector's symptoms as facts of the cause; many of one kind are counted."""
    own = [each for each in symptoms if each.detector == detector]
    yield from (_as_fact(each, cause) for each in own[:MOST_TOLD])
    if rest := own[MOST_TOLD:]:
        subjects = dict.fromkeys(subject for each in rest for subject in each.subjects)
        told = f"{len(rest)} more alike: {listed(subjects)}"
        yield Fact(metric=f"also {detector}", observed=told, expected="–", basis=f"explained by {cause.detector}")


def _as_fact(symptom: Finding, cause: Finding) -> Fact:
    subjects = ", ".join(symptom.subjects)
    about = symptom.summary if symptom.subjects == cause.subjects else f"{subjects}: {symptom.summary}"
    return Fact(metric=f"also {symptom.detector}", observed=about, expected="–", basis=f"explained by {cause.detector}")
