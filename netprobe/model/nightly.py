"""What ``netprobe nightly`` has told: the standing of a fabric, as somebody read it in the last mail."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from netprobe.model.finding import Severity
from netprobe.model.run import RunStatus
from netprobe.model.verdict import Verdict

TOLD_FORMAT: Final = 1
"""Raised when a field changes its meaning or disappears; new fields do not raise it."""


class Source(StrEnum):
    """Whose finding it is."""

    RUN = "run"
    HISTORY = "history"


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """A finding about one subject that somebody was told of."""

    source: Source
    detector: str
    severity: Severity
    subject: str
    """Empty where the finding names none."""
    host: str | None
    """The host to leave out because of it, or that the subject is a part of."""

    @property
    def key(self) -> tuple[Source, str, str]:
        """What makes it the same finding in another night."""
        return self.source, self.detector, self.subject


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """A night and its history, as far as they are compared with the next night's."""

    run: str
    started: str
    status: RunStatus
    verdict: Verdict
    history: Verdict | None
    """None while there are too few nights, or where the history cannot be read."""
    known: tuple[Known, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """nightly.json in a folder of runs."""

    format: int
    standing: Standing
