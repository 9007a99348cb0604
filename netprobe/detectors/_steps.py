"""What detectors of bursts share: which stages there are to judge, and how steps and moments are written."""

from datetime import UTC, datetime
from typing import Final

from netprobe.detectors._words import size_title
from netprobe.model.bursts import BURSTS
from netprobe.model.evidence import Evidence, StepTable
from netprobe.model.finding import Gap
from netprobe.units import NS_PER_S, format_duration

RUN_BURSTS: Final = "netprobe run bursts --soak 5m"


def was_asked(evidence: Evidence) -> bool:
    """Return whether bursts were measured, or should have been."""
    return bool(evidence.steps) or any(stage.bursts is not None for stage in evidence.plan.stages)


def none_measured(detector: str) -> Gap:
    """Return that bursts were asked for, and that there are none."""
    return Gap(topic=detector, reason="no bursts were measured, so nobody knows of steps", remedy=RUN_BURSTS)


def moment(utc_ns: int) -> str:
    """Return a moment as logs of systems have it: ``2026-11-28 23:05:30 UTC``."""
    return f"{datetime.fromtimestamp(utc_ns // NS_PER_S, UTC):%Y-%m-%d %H:%M:%S} UTC"


def title(table: StepTable) -> str:
    """Return ``bursts 64M every 100 ms``."""
    pace = "free-running" if table.is_free_running else f"every {format_duration(table.period_ns)}"
    name = BURSTS if table.stage == BURSTS else table.stage
    return f"{name} {size_title(table.size_bytes)} {pace}"
