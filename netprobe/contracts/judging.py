"""What detectors and reporters are."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from netprobe.model.evidence import Evidence
from netprobe.model.exhibits import Exhibits
from netprobe.model.finding import Finding, Gap
from netprobe.model.history import History
from netprobe.model.limits import Limits
from netprobe.model.report import Report


@dataclass(frozen=True, slots=True, kw_only=True)
class Detector:
    """One family of faults. ``detect`` is pure; no answer means examined and clean."""

    id: str
    title: str
    cause: str
    evidence: str
    remedy: str
    limits: tuple[str, ...]
    """Names of the fields of Limits it reads."""
    detect: Callable[[Evidence, Limits], Iterable[Finding | Gap]]
    audits: bool = False
    """Whether it answers from inventories alone, without anything being measured."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryDetector:
    """What many nights tell that no single one does; the same face as Detector's, on a History."""

    id: str
    title: str
    cause: str
    evidence: str
    remedy: str
    limits: tuple[str, ...]
    """Names of the fields of Limits it reads."""
    detect: Callable[[History, Limits], Iterable[Finding | Gap]]


@dataclass(frozen=True, slots=True, kw_only=True)
class RenderOptions:
    """How a text reporter may draw."""

    width: int = 80
    color: bool = False
    verbose: bool = False
    exhibits: Exhibits | None = None
    """What was measured, for reporters that draw it; None where a report alone is at hand."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reporter:
    """One output format. ``render`` is pure and returns the whole text, ending in a newline."""

    id: str
    title: str
    render: Callable[[Report, RenderOptions], str]
    draws_exhibits: bool = False
    """Whether it wants ``exhibits``, which cost a reading of the run."""
    suffixes: tuple[str, ...] = ()
    """Of file names that mean this format where none is asked for: ``.html``."""
