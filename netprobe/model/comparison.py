"""What differs between two runs, for programs: ``netprobe compare A B --format json``."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from netprobe.model.history import Unit
from netprobe.model.verdict import Verdict

COMPARISON_FORMAT: Final = 1
"""Raised when a field changes its meaning or disappears; new fields do not raise it."""


class Course(StrEnum):
    """What became of a figure."""

    BETTER = "better"
    WORSE = "worse"
    SAME = "same"
    UNTESTED = "not tested"


@dataclass(frozen=True, slots=True, kw_only=True)
class ComparedRun:
    """One of the two."""

    run_id: str
    started: str
    """UTC, ISO 8601."""
    profile: str
    verdict: Verdict | None
    """None: it was never judged."""
    hosts: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ComparedFigure:
    """One figure in both runs."""

    title: str
    subject: str
    """A NIC or host; ``fleet``: all pairs, or a collective."""
    unit: Unit
    before: float
    """Of a single NIC or host: what it would be now, had it moved as all did."""
    after: float
    change_ratio: float
    """After over before, less one."""
    low_ratio: float | None
    """Of the change, the lower end of what it is with 95 %; None where that is not known."""
    high_ratio: float | None
    q_value: float | None
    """The chance that it is none, corrected for how many were tested; None: too few samples."""
    delta: float | None
    """Cliff's; of single NICs there is none."""
    samples_before: int
    samples_after: int
    course: Course


@dataclass(frozen=True, slots=True, kw_only=True)
class DifferingHosts:
    """A fact that is not what it was, and on which hosts."""

    what: str
    hosts: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ComparisonDocument:
    """Everything that ``netprobe compare`` prints, without leaving rows out."""

    format: int
    netprobe: str
    before: ComparedRun
    after: ComparedRun
    worse: int
    """How many of all figures below got worse."""
    fleet: tuple[ComparedFigure, ...]
    """One for each title that both have."""
    single: tuple[ComparedFigure, ...]
    """NICs and hosts that moved apart from the fleet, the worst first."""
    tested: int
    """NICs and hosts, times titles."""
    only_before: tuple[str, ...]
    only_after: tuple[str, ...]
    """Titles that one of the runs lacks."""
    hosts_gone: tuple[str, ...]
    hosts_new: tuple[str, ...]
    configuration: tuple[str, ...]
    """What differs in how it was measured."""
    facts: tuple[DifferingHosts, ...]
    """What differs in hosts that both have."""
