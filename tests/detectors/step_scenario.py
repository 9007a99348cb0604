"""Bursts for scenarios: seconds that are alike, and a few that are not.

[[steps]]
size = "64M"
ms = 60.0                                 # the median step; of every second the slowest takes usual_max_ms
usual_max_ms = 66.0
seconds = 60
per_second = 10
stalls = [{ second = 42, ms = 360.0, late = 1, late_ms = 290.0 }]  # rank 1 came late; held, held_ms: had no CPU
                                          # waited_ms: for how much longer than usual whoever is blamed waited for a CPU
rises = [{ second = 42, rank = 1, counter = "tcp/RetransSegs", growth = 40 }]
parts_ms = [60.0, 60.5]                   # the median step of each part; absent: all are alike
late_ms = { "1" = [0.0, 1.0] }            # the median lateness of a rank in each part; the others are punctual
"""

from typing import Any

import msgspec
import numpy as np

from netprobe.model.bursts import StepBin
from netprobe.model.endpoint import Rank
from netprobe.model.evidence import CounterRise, StepTable
from netprobe.units import parse_size

BEGAN_NS = 1_795_000_000_000_000_000
NS_PER_MS = 1_000_000
NS_PER_S = 1_000_000_000
PARTS = 12


class StallLine(msgspec.Struct, forbid_unknown_fields=True):
    second: int
    ms: float
    late: int = 0
    late_ms: float = 0.0
    held: int = 0
    held_ms: float = 0.0
    waited_ms: float | None = None


class RiseLine(msgspec.Struct, forbid_unknown_fields=True):
    second: int
    rank: int
    counter: str
    growth: int
    usual: float = 0.0


class StepLine(msgspec.Struct, forbid_unknown_fields=True):
    size: str = "64M"
    ms: float = 60.0
    usual_max_ms: float = 66.0
    seconds: int = 60
    per_second: int = 10
    stalls: list[StallLine] = []
    rises: list[RiseLine] = []
    parts_ms: list[float] = []
    late_ms: dict[str, list[float]] = {}


def step_table(ranks: tuple[Rank, ...], line: StepLine) -> StepTable:
    parts = max([len(line.parts_ms), *map(len, line.late_ms.values())]) or PARTS
    parts_ms = line.parts_ms or [line.ms] * parts
    late_ms = np.zeros((parts, len(ranks)))
    for rank, values in line.late_ms.items():
        late_ms[:, int(rank)] = values
    slow = {each.second: each for each in line.stalls}
    return StepTable(
        stage="bursts",
        size_bytes=parse_size(line.size),
        compute_ratio=0.5,
        period_ns=100 * NS_PER_MS,
        is_free_running=False,
        bins=tuple(_bin(line, second, slow.get(second)) for second in range(line.seconds)),
        p50_ns=line.ms * NS_PER_MS,
        p99_ns=line.usual_max_ms * NS_PER_MS,
        p999_ns=np.nan,
        part_p50_ns=np.array(parts_ms) * NS_PER_MS,
        part_steps=np.full(parts, line.seconds * line.per_second // parts),
        rank=np.arange(len(ranks)),
        arrival_p50_ns=late_ms * NS_PER_MS,
        rises=tuple(
            CounterRise(
                round_index=each.second, rank=each.rank, counter=each.counter, growth=each.growth, usual=each.usual
            )
            for each in line.rises
        ),
        waited_ns={
            (each.second, each.late if each.late_ms else each.held): round(each.waited_ms * NS_PER_MS)
            for each in line.stalls
            if each.waited_ms is not None
        },
    )


def _bin(line: StepLine, second: int, stall: StallLine | None) -> StepBin:
    slowest_ms = line.usual_max_ms if stall is None else stall.ms
    told: dict[str, Any] = {"late_rank": 0, "late_ns": 0, "held_rank": 0, "held_ns": 0}
    if stall is not None:
        told = {
            "late_rank": stall.late, "late_ns": round(stall.late_ms * NS_PER_MS),
            "held_rank": stall.held, "held_ns": round(stall.held_ms * NS_PER_MS),
        }  # fmt: skip
    return StepBin(
        stage="bursts",
        round_index=second,
        rounds=1,
        began_ns=BEGAN_NS + second * NS_PER_S,
        elapsed_ns=NS_PER_S,
        steps=line.per_second,
        total_ns=round(((line.per_second - 1) * line.ms + slowest_ms) * NS_PER_MS),
        max_ns=round(slowest_ms * NS_PER_MS),
        slowest_round=second,
        slowest_began_ns=BEGAN_NS + second * NS_PER_S + 300 * NS_PER_MS,
        **told,
    )
