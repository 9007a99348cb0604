"""``netprobe explain``: what a detector means, from the detector itself."""

import textwrap
from dataclasses import fields

from netprobe.cli.output import PLAIN_WIDTH
from netprobe.cli.streams import print_text
from netprobe.contracts import Detector, HistoryDetector
from netprobe.errors import PlanError
from netprobe.model.limits import Limits
from netprobe.model.verdict import ExitCode
from netprobe.registry import detectors, history_detectors, suggestion


def explain_detector(name: str | None) -> int:
    """Print one detector, or the list of all."""
    known: dict[str, Detector | HistoryDetector] = {**detectors(), **history_detectors()}
    if name is None:
        width = max(map(len, known))
        print_text("".join(f"{each.id:<{width}} {each.title}\n" for each in known.values()))
        return ExitCode.HEALTHY
    if name not in known:
        raise PlanError(f"there is no detector called {name!r}", remedy=suggestion(name, tuple(known)))
    print_text(explanation(known[name]) + "\n")
    return ExitCode.HEALTHY


def explanation(detector: Detector | HistoryDetector) -> str:
    """Return the text of one detector, at the width of a plain terminal."""
    parts = [f"{detector.id}: {detector.title}"]
    for heading, text in (("Cause", detector.cause), ("Evidence", detector.evidence), ("Remedy", detector.remedy)):
        parts.append(f"\n{heading}\n{_wrapped(text)}")
    parts.append("\nLimits (override with --limits FILE.toml)")
    declared = {each.name: each for each in fields(Limits)}
    for name in detector.limits:
        limit = declared[name]
        parts.append(f"  {name} = {limit.default}  # {limit.metadata['unit']}")
        parts.append(_wrapped(limit.metadata["reason"], indent="      "))
    return "\n".join(parts)


def _wrapped(text: str, indent: str = "  ") -> str:
    paragraphs = text.strip().split("\n\n")
    return "\n\n".join(
        textwrap.fill(" ".join(each.split()), PLAIN_WIDTH, initial_indent=indent, subsequent_indent=indent)
        for each in paragraphs
    )
