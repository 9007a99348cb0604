"""What a detector can answer: a finding, a gap, or silence (examined and clean)."""

from dataclasses import dataclass
from enum import StrEnum


class Severity(StrEnum):
    """What it means for a job; apart from how sure we are."""

    BLOCKS = "blocks"
    DEGRADES = "degrades"
    WARNS = "warns"


class Confidence(StrEnum):
    """How sure the detector is that the subject is to blame."""

    HIGH = "high"
    MEDIUM = "medium"
    LOW = "low"


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """One figure behind a finding: what was seen, what was expected, and where that expectation comes from."""

    metric: str
    observed: str
    expected: str
    basis: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """Who, what, how sure, what was excluded, what next."""

    detector: str
    severity: Severity
    confidence: Confidence
    subjects: tuple[str, ...]
    """Host names, or ``host:rank`` or ``src -> dst`` where the host is not the culprit; never a victim."""
    hosts: tuple[str, ...]
    """The hosts to leave out of a job because of this; empty when none is to blame."""
    summary: str
    facts: tuple[Fact, ...] = ()
    excluded: tuple[str, ...] = ()
    next_action: str = ""
    retest: str | None = None
    """A command that repeats just what is needed to confirm the finding."""
    victims: tuple[str, ...] = ()
    """Other hosts that findings asked to leave out which this one explains: not to blame, and not known to be well."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    """Something that could not be told, and why; never to be read as healthy."""

    topic: str
    """A detector id, or what was not tested: ``gpu``, ``rdma``, ``between-hosts``."""
    reason: str
    remedy: str = ""
    undermines: bool = False
    """True when the verdict asked for cannot be given without it: the run is INCONCLUSIVE."""
