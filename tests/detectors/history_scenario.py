"""Histories that a network engineer can write: a few lines of TOML become the History that a detector reads.

nights = 20                               # one run each, all complete; the last is tonight
hosts = ["node1", "node2", "node3"]       # each with one NIC, mlx5_0
limits = { regression_ratio = 0.05 }      # overrides
short = [7]                               # nights that were cut short; they count from 1

[[trends]]
title = "RDMA bandwidth 8M"
level = 390.0                             # Gb/s (unit = "ns": latency) of every NIC in every night
fleet = [{ from = 12, share = 0.9 }]      # what all do, as a share of it from a night on, until = 14 or for ever
odd = [{ on = "node2", from = 15, share = 0.8 }]    # the same of one
slides = [{ on = "node2", from = 1, by = 0.002 }]   # lost every night from a night on

[[facts]]                                 # what hosts are made of; absent: the same everywhere, always
name = "NIC firmware"
value = "28.39"
from = 1
on = "node2"                              # absent: every host

gone = { node3 = 15 }                     # from which night on a host takes no part
seen = [{ detector = "link-flap", subject = "node2 mlx5_0", nights = [3, 4], severity = "blocks" }]
acknowledged = [{ detector = "link-flap", subject = "node2 mlx5_0", after = 4 }]
"""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import MappingProxyType

import msgspec
import numpy as np

from netprobe.model.finding import Severity
from netprobe.model.history import History, Night, Seen, Trend, Unit
from netprobe.model.limits import Limits
from netprobe.model.run import RunStatus
from netprobe.model.verdict import Verdict

FIRST = datetime(2026, 1, 1, 2, tzinfo=UTC)
NIC = "mlx5_0"


class Share(msgspec.Struct, rename={"since": "from"}, forbid_unknown_fields=True):
    share: float
    since: int = 1
    until: int = 10**6
    on: str | None = None


class Slide(msgspec.Struct, rename={"since": "from"}, forbid_unknown_fields=True):
    by: float
    on: str
    since: int = 1


class TrendLine(msgspec.Struct, forbid_unknown_fields=True):
    title: str
    level: float
    unit: Unit = Unit.GBPS
    fleet: list[Share] = []
    odd: list[Share] = []
    slides: list[Slide] = []


class FactLine(msgspec.Struct, rename={"since": "from"}, forbid_unknown_fields=True):
    name: str
    value: str
    since: int = 1
    on: str | None = None


class SeenLine(msgspec.Struct, forbid_unknown_fields=True):
    detector: str
    subject: str
    nights: list[int]
    severity: Severity = Severity.DEGRADES
    host: str | None = None


class Acknowledged(msgspec.Struct, forbid_unknown_fields=True):
    detector: str
    subject: str
    after: int


class Expected(msgspec.Struct, forbid_unknown_fields=True):
    kind: str = "finding"
    severity: str | None = None
    confidence: str | None = None
    subjects: tuple[str, ...] | None = None
    hosts: tuple[str, ...] | None = None
    undermines: bool | None = None
    says: str = ""


class Scenario(msgspec.Struct, forbid_unknown_fields=True):
    nights: int
    hosts: list[str]
    limits: dict[str, float] = {}
    short: list[int] = []
    trends: list[TrendLine] = []
    facts: list[FactLine] = []
    gone: dict[str, int] = {}
    seen: list[SeenLine] = []
    acknowledged: list[Acknowledged] = []
    expect: list[Expected] = []


def load(path: Path) -> Scenario:
    return msgspec.toml.decode(path.read_bytes(), type=Scenario)


def limits_of(scenario: Scenario) -> Limits:
    return Limits(**scenario.limits)


def history_of(scenario: Scenario) -> History:
    fingerprints, known = _fingerprints(scenario)
    return History(
        nights=tuple(_night(scenario, index) for index in range(scenario.nights)),
        trends=tuple(_trend(scenario, line) for line in scenario.trends),
        seen=tuple(
            Seen(
                detector=line.detector, subject=line.subject, host=line.host, severity=line.severity,
                summary="as it was told", nights=tuple(night - 1 for night in line.nights),
            )
            for line in scenario.seen
        ),
        hosts=tuple(scenario.hosts),
        fingerprints=fingerprints,
        facts=known,
        acknowledged=MappingProxyType(
            {
                (each.detector, each.subject): _started(each.after - 1) + timedelta(hours=1)
                for each in scenario.acknowledged
            }
        ),
    )  # fmt: skip


def _started(index):
    return FIRST + timedelta(days=index)


def _night(scenario, index):
    return Night(
        run=f"run-{index + 1}",
        started=_started(index),
        status=RunStatus.INTERRUPTED if index + 1 in scenario.short else RunStatus.COMPLETE,
        profile="nightly",
        verdict=Verdict.HEALTHY,
        label=f"{_started(index):%Y-%m-%d}",
    )


def _trend(scenario, line):
    night = np.arange(1, scenario.nights + 1)
    values = np.full((scenario.nights, len(scenario.hosts)), line.level)
    for column, host in enumerate(scenario.hosts):
        for each in [*line.fleet, *(odd for odd in line.odd if odd.on == host)]:
            values[(night >= each.since) & (night < each.until), column] *= each.share
        for each in line.slides:
            if each.on == host:
                values[:, column] *= (1 - each.by) ** np.maximum(night - each.since, 0)
        values[night >= scenario.gone.get(host, 10**6), column] = np.nan
    values[[each - 1 for each in scenario.short]] = np.nan
    return Trend(
        title=line.title,
        metric="latency" if line.unit is Unit.NS else "bandwidth",
        unit=line.unit,
        subjects=tuple(f"{host} {NIC}" for host in scenario.hosts),
        hosts=tuple(scenario.hosts),
        values=values,
    )


def _fingerprints(scenario):
    codes = {}
    fingerprints = np.full((scenario.nights, len(scenario.hosts)), -1, dtype=np.int64)
    for index in range(scenario.nights):
        for column, host in enumerate(scenario.hosts):
            if index + 1 < scenario.gone.get(host, 10**6) and index + 1 not in scenario.short:
                own = tuple(_facts(scenario, host, index + 1).items())
                fingerprints[index, column] = codes.setdefault(own, len(codes))
    return fingerprints, tuple(dict(each) for each in codes)


def _facts(scenario, host, night):
    facts = {"NIC": "MT4129"}
    for line in scenario.facts:
        if line.since <= night and line.on in (None, host):
            facts[line.name] = line.value
    return facts
