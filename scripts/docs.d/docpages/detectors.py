"""A page for each detector, and one for all limits, from what ``netprobe explain`` knows."""

import inspect
from collections.abc import Iterable
from dataclasses import Field, fields
from typing import Any

from docpages.prose import inline, prose, table
from netprobe.contracts import Detector, HistoryDetector
from netprobe.model.limits import Limits
from netprobe.registry import detectors, history_detectors

AnyDetector = Detector | HistoryDetector


def all_detectors() -> dict[str, AnyDetector]:
    """Return detectors of runs, then those of histories."""
    return {**detectors(), **history_detectors()}


def detector_page(detector: AnyDetector) -> str:
    """Return cause, evidence, remedy, limits and where the code is."""
    parts = [f"# {detector.id}", f"Finds {inline(detector.title)}."]
    for heading, text in (("Cause", detector.cause), ("Evidence", detector.evidence), ("Remedy", detector.remedy)):
        parts += [f"## {heading}", prose(text)]
    parts += ["## Limits", _limits_of(detector), "## Source", _sources(detector)]
    return "\n\n".join(parts) + "\n"


def detectors_page() -> str:
    """Return the list of all."""
    runs = table(("detector", "finds"), map(_row, detectors().values()))
    nights = table(("detector", "finds"), map(_row, history_detectors().values()))
    return (
        "# Detectors\n\nEach looks for one family of faults and answers with findings, with what it could not tell, or "
        "not at all: then it has looked, and found nothing. `netprobe explain DETECTOR` prints the same pages.\n\n"
        f"## Of a run\n\n{runs}\n\n## Of many nights\n\n`netprobe history` judges with these: "
        f"[many nights](../history.md).\n\n{nights}\n"
    )


def limits_page() -> str:
    """Return every limit, with its unit, its reason, and who reads it."""
    readers = {each.name: [d.id for d in all_detectors().values() if each.name in d.limits] for each in fields(Limits)}
    rows = [
        (
            f"`{each.name}`",
            _value(each),
            each.metadata["unit"],
            inline(each.metadata["reason"]),
            _linked(readers[each.name]),
        )
        for each in fields(Limits)
    ]
    return (
        "# Limits\n\nEverything a verdict depends on. `--limits site.toml` overrides any of them, as in "
        "`host_loss_ratio = 0.03`; `netprobe judge RUN --limits site.toml` judges a finished run again.\n\n"
        f"{table(('limit', 'value', 'unit', 'reason', 'read by'), rows)}\n"
    )


def _row(detector: AnyDetector) -> tuple[str, str]:
    return f"[{detector.id}]({detector.id}.md)", inline(detector.title)


def _limits_of(detector: AnyDetector) -> str:
    declared = {each.name: each for each in fields(Limits)}
    if not detector.limits:
        return "None: there is nothing to set."
    rows = [
        (
            f"`{name}`",
            _value(declared[name]),
            declared[name].metadata["unit"],
            inline(declared[name].metadata["reason"]),
        )
        for name in detector.limits
    ]
    others = "Override with `--limits FILE.toml`; [all limits](../limits.md)."
    return f"{table(('limit', 'value', 'unit', 'reason'), rows)}\n\n{others}"


def _value(limit: "Field[Any]") -> str:
    return f"{limit.default:g}"


def _linked(ids: Iterable[str]) -> str:
    return ", ".join(f"[{each}](detectors/{each}.md)" for each in ids) or "the verdict, plans and summaries"


def _sources(detector: AnyDetector) -> str:
    module = inspect.unwrap(detector.detect).__module__
    return f"`{module.replace('.', '/')}.py`; when it fires and when not: `tests/detectors/{detector.id}`."
