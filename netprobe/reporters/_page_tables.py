"""Tables of a page: counters over the run, settings that differ, stages, and findings with their evidence."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from netprobe.model.exhibits import Exhibits, PortGrowth, StageCoverage
from netprobe.model.finding import Finding, Gap
from netprobe.model.report import Report
from netprobe.reporters._grouping import grouped_findings, grouped_gaps, retests_of, subjects_of, topics_of
from netprobe.reporters._svg import bars
from netprobe.reporters._wording import ABSENT, counted, fold, short_name
from netprobe.units import format_count

MOST_FACTS: Final = 12
MOST_PORTS: Final = 4
"""Of one kind of counter; the rest is in counters.parquet."""
MOST_OPEN: Final = 12
"""Findings that are shown at once; with more there is one cause, and the first tell it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FindingCard:
    """Findings that say the same of several subjects."""

    severity: str
    detector: str
    subjects: str
    summary: str
    confidence: str
    excluded: tuple[str, ...]
    next_action: str
    retests: tuple[str, ...]
    facts: tuple[tuple[str, ...], ...]
    """Of whom, figure, observed, expected, because."""
    facts_left_out: int
    is_open: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class GapLine:
    """What could not be told, and why."""

    topics: str
    reason: str
    remedy: str
    undermines: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class CounterRow:
    """A counter of a port: before, stage by stage, after."""

    meaning: str
    port: str
    idle_before: str
    bars: str
    """An SVG."""
    most_in: str
    """The stage in which it grew most."""
    total: str
    idle_after: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CounterSection:
    """Everything about counters."""

    rows: tuple[CounterRow, ...]
    note: str


def finding_cards(report: Report) -> tuple[FindingCard, ...]:
    """Return all findings, most urgent first."""
    return tuple(
        _card(group, is_open=index < MOST_OPEN) for index, group in enumerate(grouped_findings(report.findings))
    )


def _card(group: tuple[Finding, ...], *, is_open: bool) -> FindingCard:
    first = group[0]
    facts = [
        (fold(each.subjects), fact.metric, fact.observed, fact.expected, fact.basis)
        for each in group
        for fact in each.facts
    ]
    return FindingCard(
        severity=first.severity.value,
        detector=first.detector,
        subjects=fold(subjects_of(group)),
        summary=first.summary,
        confidence=first.confidence.value,
        excluded=first.excluded,
        next_action=first.next_action,
        retests=retests_of(group),
        facts=tuple(facts[:MOST_FACTS]),
        facts_left_out=max(0, len(facts) - MOST_FACTS),
        is_open=is_open,
    )


def gap_lines(gaps: Sequence[Gap]) -> tuple[GapLine, ...]:
    """Return gaps that say the same together, those that undermine the verdict first."""
    return tuple(
        GapLine(topics=topics_of(group), reason=group[0].reason, remedy=group[0].remedy, undermines=group[0].undermines)
        for group in grouped_gaps(gaps)
    )


def retests(report: Report) -> tuple[str, ...]:
    """Return the commands of all findings, each once, most urgent first."""
    commands = (each for group in grouped_findings(report.findings) for each in retests_of(group))
    return tuple(dict.fromkeys(commands))


def counter_section(exhibits: Exhibits) -> CounterSection:
    """Return counters of trouble that grew, and what was looked at."""
    if not exhibits.ports_read:
        return CounterSection(rows=(), note="no counters of NICs were read, so they tell neither good nor bad")
    rows = tuple(_counter_rows(exhibits))
    where = f"{counted(exhibits.ports_read, 'port')} read around {counted(len(exhibits.counted_stages), 'stage')}"
    if not rows:
        return CounterSection(rows=(), note=f"{where}: no counter of trouble grew")
    left = len(exhibits.growths) - len(rows)
    more = f"; {left:,} more of the same kinds are in counters.parquet" if left else ""
    return CounterSection(
        rows=rows,
        note=f"{where}; those that grew, rarest first; a bar is a stage, in the order of the run{more}. "
        "Growth alone is no fault: the findings say what is",
    )


def _counter_rows(exhibits: Exhibits) -> Iterator[CounterRow]:
    shown: dict[str, int] = {}
    for growth in exhibits.growths:
        shown[growth.meaning] = shown.get(growth.meaning, 0) + 1
        if shown[growth.meaning] <= MOST_PORTS:
            yield _counter_row(growth, exhibits.counted_stages)


def _counter_row(growth: PortGrowth, stages: tuple[str, ...]) -> CounterRow:
    titles = [f"{stage}: {_amount(value, growth.unit)}" for stage, value in zip(stages, growth.by_stage, strict=True)]
    known = [(value, stage) for stage, value in zip(stages, growth.by_stage, strict=True) if value]
    return CounterRow(
        meaning=growth.meaning,
        port=f"{short_name(growth.host)} {short_name(growth.port)}",
        idle_before=_amount(growth.idle_before, growth.unit),
        bars=bars(growth.by_stage, logarithmic=False, titles=titles),
        most_in=max(known)[1] if known else ABSENT,
        total=_amount(growth.total, growth.unit),
        idle_after=_amount(growth.idle_after, growth.unit),
    )


def _amount(value: float | None, unit: str) -> str:
    return ABSENT if value is None else format_count(round(value), unit)


def setting_rows(exhibits: Exhibits) -> tuple[tuple[str, ...], ...]:
    """Return what differs: where, setting, what most have, another value, who has it."""
    rows = []
    for each in exhibits.settings:
        usual = (
            f"{ABSENT if each.usual is None else each.usual} ({each.agreeing} hosts)" if each.agreeing else "undecided"
        )
        rows += [
            (each.part, each.topic, usual, "not there" if value is None else value, fold(hosts))
            for value, hosts in each.others
        ]
    return tuple(rows)


def stage_rows(stages: Sequence[StageCoverage]) -> tuple[tuple[str, ...], ...]:
    """Return what each stage was to do: stage, state, rounds, pairs, pairs that failed."""
    return tuple(
        (
            each.stage,
            _state(each),
            f"{each.rounds:,}",
            f"{each.pairs_planned:,}" if each.pairs_planned else ABSENT,
            f"{each.pairs_failed:,}" if each.pairs_planned else ABSENT,
        )
        for each in stages
    )


def _state(stage: StageCoverage) -> str:
    if stage.is_finished:
        return "finished" if stage.rounds else "nothing to measure"
    return "cut short" if stage.rounds else "not measured"
