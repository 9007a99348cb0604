"""Bursts in a report: the distribution of steps, the slowest seconds, and a line of time that fits a report."""

from datetime import UTC, datetime
from typing import Final

import numpy as np

from netprobe.locate.placement import Placement
from netprobe.model.bursts import StepBin
from netprobe.model.evidence import StepTable
from netprobe.model.report import SlowStep, StepSpan, StepSummary
from netprobe.stats.steps import fewer
from netprobe.units import NS_PER_MS, NS_PER_S

MOST_SLOWEST: Final = 8
MOST_SPANS: Final = 120
"""What a reader or a chart takes in; steps.parquet has more."""


def step_summary(table: StepTable, placement: Placement) -> StepSummary:
    """Return what a report says of one stage."""
    slowest = sorted(table.bins, key=lambda each: -each.max_ns)[:MOST_SLOWEST]
    return StepSummary(
        stage=table.stage,
        size_bytes=table.size_bytes,
        period_ns=table.period_ns,
        compute_ratio=table.compute_ratio,
        is_free_running=table.is_free_running,
        ranks=len(table.rank) or len(placement.host_of),
        rounds=sum(each.rounds for each in table.bins),
        steps=table.steps,
        mean_ns=table.total_ns / table.steps,
        p50_ns=table.p50_ns,
        p99_ns=_known(table.p99_ns),
        p999_ns=_known(table.p999_ns),
        max_ns=table.max_ns,
        slowest=tuple(_slow_step(each, placement) for each in slowest),
        overlaps=table.overlaps,
        exposed_p50_ns=_known(table.exposed_p50_ns),
        exposed_ratio=_known(table.exposed_mean_ns / (table.total_ns / table.steps)),
        timeline=tuple(map(_span, fewer(table.bins, MOST_SPANS))),
    )


def _slow_step(told: StepBin, placement: Placement) -> SlowStep:
    return SlowStep(
        began=_moment(told.slowest_began_ns),
        round_index=told.slowest_round,
        elapsed_ns=told.max_ns,
        late=placement.name(told.late_rank),
        late_ns=told.late_ns,
        held=placement.name(told.held_rank),
        held_ns=told.held_ns,
    )


def _span(told: StepBin) -> StepSpan:
    return StepSpan(
        round_index=told.round_index,
        rounds=told.rounds,
        began=_moment(told.began_ns),
        steps=told.steps,
        mean_ns=told.total_ns / told.steps,
        max_ns=told.max_ns,
    )


def _known(value: float) -> float | None:
    return None if np.isnan(value) else value


def _moment(utc_ns: int) -> str:
    seconds, rest_ns = divmod(utc_ns, NS_PER_S)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{rest_ns // NS_PER_MS:03}Z"
