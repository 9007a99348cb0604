"""Every figure that run directories, digests and reports hold, with its unit: from the records themselves."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, is_dataclass
from types import MappingProxyType, UnionType
from typing import Any, Final, Union, get_args, get_origin, get_type_hints

from docpages.described import described
from docpages.prose import inline, table
from netprobe.catalogue.lookup import KNOWN
from netprobe.model import report
from netprobe.model.bursts import StepBin
from netprobe.model.gpu import CopyRate, GpuWindow
from netprobe.model.history import Figure, Unit
from netprobe.model.meaning import Meaning
from netprobe.model.sensitivity import Sensitivity
from netprobe.model.series import Metric

RATES: Final = {"_messages_per_s": "messages/s", "_gigabytes_per_s": "GB/s"}
UNITS: Final = {"gbps": "Gb/s", "bytes": "bytes", "ns": "ns", "mhz": "MHz", "watts": "W", "celsius": "°C",
                "ratio": "ratio", "factor": "ratio", "jain": "ratio", "blame": "ratio"}  # fmt: skip
"""The unit that a word of a name says, wherever it stands in it: ``p99_ns``, ``sm_clock_mhz``, ``celsius_most``."""
COUNT: Final = "number"
_MODULE: Final = re.compile(r"\s*\((?:model|stats|store|locate)\.[a-z_.]+\)")
FIGURES: Final = {
    report.PairSummary: "pairs",
    report.GroupSummary: "groups",
    report.LayerSummary: "layers",
    report.StepSummary: "steps",
    report.SlowStep: "steps[].slowest",
    report.StepSpan: "steps[].timeline",
    report.NoiseSummary: "noise",
    report.LoadedSummary: "under_load.loaded",
    report.FanInSummary: "under_load.fan_ins",
    report.TogetherSummary: "under_load.together",
    CopyRate: "gpus[].copies",
    Sensitivity: "sensitivity",
}
"""The records of report.json that hold figures, and where they are."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Quantity:
    """One figure: its name, unit, and what is said of it in the code."""

    name: str
    unit: str
    meaning: str


def quantities(record: type) -> tuple[Quantity, ...]:
    """Return the fields of a record that are numbers."""
    hints = get_type_hints(record)
    words = described(record)
    return tuple(
        Quantity(name=name, unit=unit_of(name), meaning=words[name]) for name in words if _is_number(hints[name])
    )


def unit_of(name: str) -> str:
    """Return the unit that a name carries; what has none is a number of something."""
    rate = next((unit for ending, unit in RATES.items() if name.endswith(ending)), None)
    return rate or next((UNITS[word] for word in reversed(name.split("_")) if word in UNITS), COUNT)


def metrics_page() -> str:
    """Return the page."""
    parts = [
        "# Metrics and units",
        "What run directories, digests and reports hold. A name carries its unit, and what nobody measured is null, "
        "never 0. Bandwidths are decimal: 1 Gb/s is one bit a nanosecond, 1 GB/s is 8 Gb/s. Sizes on the command line "
        "are binary: 8M is 8 × 2^20 bytes. Columns that are no figures: [the format](format.md).",
        "## Samples: series.parquet",
        "One sample is one iteration. `metric` says what it is; all are ns.",
        table(("metric", "unit", "what one sample is"), _of_metrics()),
        "## Bursts: steps.parquet",
        _table_of(StepBin),
        "## GPUs: gpus.parquet",
        _table_of(GpuWindow),
        "## Counters: counters.parquet",
        "`growth` is in the kernel's own unit. Detectors read counters by meaning; times are then ns and data bytes, "
        "whatever the driver's unit. The last column counts the names that known drivers have for it.",
        table(("meaning", "unit", "what it tells", "drivers' counters"), _of_meanings()),
        "## Nights: digest.parquet",
        "Rows of `kind` `figure`; [many nights](history.md) has their titles. `unit` is one of "
        f"{', '.join(f'`{unit}`' for unit in Unit)}; of a rate more is better, of the others less.",
        _table_of(Figure, {"value": "`unit`", "mad": "`unit`"}),
        "## Reports: report.json",
    ]
    for record, place in FIGURES.items():
        parts += [f"### {place}", inline(_first_line(record)), _table_of(record)]
    return "\n\n".join(parts) + "\n"


def _of_metrics() -> Iterable[tuple[str, str, str]]:
    words = described(Metric)
    return ((f"`{each.value}`", unit_of(each.value), inline(_without_modules(words[each.name]))) for each in Metric)


def _of_meanings() -> Iterable[tuple[str, str, str, str]]:
    words = described(Meaning)
    known = counters_by_meaning()
    return ((f"`{m.value}`", m.unit or COUNT, inline(words[m.name]), _told(known.get(m, 0))) for m in Meaning)


def _told(counters: int) -> str:
    return f"{counters}" if counters else ""


def counters_by_meaning() -> Mapping[Meaning, int]:
    """Return how many counters of known drivers have each meaning; those of priorities count as one each."""
    found: dict[Meaning, set[str]] = {}
    for counters in KNOWN.values():
        for name, counter in counters.items():
            if counter.meaning is not None:
                found.setdefault(counter.meaning, set()).add(name)
    return {meaning: len(names) for meaning, names in found.items()}


def _table_of(record: type, units: Mapping[str, str] = MappingProxyType({})) -> str:
    """Return a record's figures; ``units`` of those whose names tell none."""
    rows = (
        (f"`{each.name}`", units.get(each.name, each.unit), inline(_without_modules(each.meaning)))
        for each in quantities(record)
    )
    return table(("field", "unit", "meaning"), rows)


def _without_modules(words: str) -> str:
    """Return words without what leads a reader of the code to another module."""
    return _MODULE.sub("", words)


def _first_line(record: type) -> str:
    return (record.__doc__ or "").strip().split("\n\n")[0].replace("\n", " ")


def _is_number(hint: Any) -> bool:  # noqa: ANN401 - what get_type_hints returns
    """Return whether a field holds a number, or tuples of numbers, wherever it holds anything."""
    if get_origin(hint) in (Union, UnionType, tuple):
        return any(_is_number(each) for each in get_args(hint))
    return hint in (int, float) and not is_dataclass(hint)
