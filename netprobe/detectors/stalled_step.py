"""Steps of bursts that take far longer than the others: when, who came late to them, and what was counted then.

Does not handle: a second with several slow steps, of which the slowest alone is known closer.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np

from netprobe.contracts import Detector
from netprobe.detectors._steps import RUN_BURSTS, moment, none_measured, title, was_asked
from netprobe.detectors._words import MOST_FACTS, listed, percent, times
from netprobe.locate.placement import Placement, placement_of
from netprobe.model.bursts import StepBin
from netprobe.model.evidence import Evidence, StepTable
from netprobe.model.finding import Confidence, Fact, Finding, Gap, Severity
from netprobe.model.limits import Limits
from netprobe.stats.spread import outlier_distance
from netprobe.units import NS_PER_MS, format_count, format_duration

ID: Final = "stalled-step"
FABRIC: Final = "fabric"
FEWEST_STEPS: Final = 20
EXPLAINED_RATIO: Final = 0.5  # of what a step took too long, that lateness must be to have caused it
WAITED_RATIO: Final = 0.25  # of the same, that it waited for a CPU beyond what it always does: then a core was shared
MOST_RISES: Final = 3
OFTEN: Final = 3  # stalls by one and the same host are no accident
TIMERS: Final = (
    *((4_096.0 * 2**n, f"a retransmission timer of RDMA (timeout {n})") for n in range(14, 21)),
    (200.0 * NS_PER_MS, "the shortest retransmission timer of TCP (200 ms)"),
    (400.0 * NS_PER_MS, "TCP's retransmission timer, doubled once (400 ms)"),
)
TIMER_RATIO, TIMER_FLOOR_NS = 0.08, 3.0 * NS_PER_MS
"""What a stall may take above the timer that caused it: sending again, and the rest of the step."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Stall:
    """The slowest step of a second, and who is to blame for it."""

    table: StepTable
    told: StepBin
    rank: int | None
    """Who came late, or had no CPU; None: nobody, so that it was the fabric."""
    is_late: bool

    @property
    def excess_ns(self) -> float:
        return self.told.max_ns - self.table.p50_ns

    @property
    def is_explained_by_waiting(self) -> bool | None:
        """Whether this rank waited for a CPU for so much longer than it always does; None where nobody knows."""
        waited_ns = None if self.rank is None else self.table.waited_ns.get((self.told.slowest_round, self.rank))
        return None if waited_ns is None else waited_ns >= WAITED_RATIO * self.excess_ns


def detect(evidence: Evidence, limits: Limits) -> Iterator[Finding | Gap]:
    """Name who holds steps up, second by second."""
    if not was_asked(evidence):
        return
    if not evidence.steps:
        yield none_measured(ID)
        return
    placement = placement_of(evidence.ranks)
    bounds_ns = [0.0 if clock is None else clock.error_bound_ns for clock in evidence.clocks]
    is_compared = len(bounds_ns) == len(evidence.ranks)
    for table in evidence.steps:
        if table.steps < FEWEST_STEPS:
            yield Gap(
                topic=ID,
                reason=f"{title(table)} has {table.steps} steps, too few to say which of them is slow",
                remedy=RUN_BURSTS,
            )
            continue
        stalls = [_blamed(table, told, bounds_ns if is_compared else None) for told in _slow(table, limits)]
        yield from _answers(stalls, set(evidence.crowded_hosts), placement, limits)


def _slow(table: StepTable, limits: Limits) -> list[StepBin]:
    """Return the seconds whose slowest step is beyond all limits, and beyond what the others of this run are."""
    slowest_ns = np.array([each.max_ns for each in table.bins], dtype=np.float64)
    usual_ns = float(np.median(slowest_ns)) + outlier_distance(slowest_ns, mads=limits.outlier_mads, floor=0.0)
    return [
        each
        for each in table.bins
        if each.max_ns > limits.step_stall_ratio * table.p50_ns
        and each.max_ns - table.p50_ns > limits.step_stall_floor_ns
        and each.max_ns > usual_ns
    ]


def _blamed(table: StepTable, told: StepBin, bounds_ns: list[float] | None) -> _Stall:
    """Return who held a step up: who came late by most of what it took too long, or else who had no CPU for as long."""
    wanted_ns = EXPLAINED_RATIO * (told.max_ns - table.p50_ns)
    if bounds_ns is not None and told.late_ns - bounds_ns[told.late_rank] - max(bounds_ns) > wanted_ns:
        return _Stall(table=table, told=told, rank=told.late_rank, is_late=True)
    held = told.held_rank if told.held_ns > wanted_ns else None
    return _Stall(table=table, told=told, rank=held, is_late=False)


def _answers(stalls: list[_Stall], crowded: set[str], placement: Placement, limits: Limits) -> Iterator[Finding | Gap]:
    by_host: dict[str, list[_Stall]] = {}
    unsure = 0
    for stall in stalls:
        host = FABRIC if stall.rank is None else placement.host(stall.rank)
        if (host in crowded and stall.is_explained_by_waiting is not False) or (host == FABRIC and crowded):
            unsure += 1
        else:
            by_host.setdefault(host, []).append(stall)
    for host, own in by_host.items():
        yield _finding(host, own, placement, limits)
    if unsure:
        yield Gap(
            topic=ID,
            reason=f"{unsure} slow steps came while ranks waited for a CPU (on {listed(sorted(crowded))}), so they may "
            "be the scheduler's",
            remedy="fewer ranks per host, or more CPUs for them",
        )


def _finding(host: str, stalls: list[_Stall], placement: Placement, limits: Limits) -> Finding:
    worst = max(stalls, key=lambda each: each.excess_ns)
    table = worst.table
    share = sum(each.excess_ns for each in stalls) / max(table.total_ns, 1)
    is_fabric = worst.rank is None
    degrades = share > limits.step_stall_share_ratio or len(stalls) >= OFTEN
    many = f"{len(stalls)} steps" if len(stalls) > 1 else "a step"
    return Finding(
        detector=ID,
        severity=Severity.DEGRADES if degrades else Severity.WARNS,
        confidence=Confidence.HIGH if len(stalls) >= OFTEN and not is_fabric else Confidence.MEDIUM,
        subjects=(host,),
        hosts=(host,) if degrades and not is_fabric else (),
        summary=f"{many} took up to {times(worst.told.max_ns / table.p50_ns)} the median "
        f"({format_duration(worst.told.max_ns)} of {title(table)}), the worst at {moment(worst.told.slowest_began_ns)}"
        f": {_why(worst, placement)}{_counted(worst, placement)}; {percent(share)} of the time of all steps",
        facts=tuple(_fact(each, placement) for each in sorted(stalls, key=lambda s: -s.excess_ns)[:MOST_FACTS]),
        excluded=_excluded(worst),
        next_action=_next_action(worst, host),
        retest=RUN_BURSTS if is_fabric else None,
    )


def _why(stall: _Stall, placement: Placement) -> str:
    if stall.rank is None:
        timer = timer_of(stall.excess_ns)
        return f"nobody came late{'' if timer is None else f', and it took as long as {timer}'}"
    name = placement.name(stall.rank)
    if stall.is_late:
        return f"{name} entered the all-reduce {format_duration(stall.told.late_ns)} after the others"
    return f"{name} had no CPU for {format_duration(stall.told.held_ns)} inside the all-reduce, the others had theirs"


def timer_of(excess_ns: float) -> str | None:
    """Return the retransmission timer that a stall is as long as; None where it is as long as none."""
    near = ((ns, name) for ns, name in TIMERS if ns <= excess_ns <= ns * (1 + TIMER_RATIO) + TIMER_FLOOR_NS)
    return min(near, key=lambda each: excess_ns - each[0], default=(0.0, None))[1]


def _counted(stall: _Stall, placement: Placement) -> str:
    """Return which counters grew in that second, the blamed host's first."""
    own = None if stall.rank is None else placement.host(stall.rank)
    rises = [each for each in stall.table.rises if each.round_index == stall.told.slowest_round]
    rises.sort(key=lambda each: (placement.host(each.rank) != own, -each.growth / max(each.usual, 1.0)))
    if not rises:
        return ""
    words = [
        f"{each.counter} on {placement.host(each.rank)} by {_amount(each.counter, each.growth)} "
        f"(usually {_amount(each.counter, round(each.usual))})"
        for each in rises[:MOST_RISES]
    ]
    return f"; in that second grew {', '.join(words)}"


def _amount(counter: str, growth: int) -> str:
    return format_count(growth, "ns" if counter.endswith("_ns") else "")


def _fact(stall: _Stall, placement: Placement) -> Fact:
    return Fact(
        metric=f"step at {moment(stall.told.slowest_began_ns)}, second {stall.told.slowest_round + 1}",
        observed=format_duration(stall.told.max_ns),
        expected=format_duration(stall.table.p50_ns),
        basis=f"median of {stall.table.steps:,} steps; {_why(stall, placement)}{_counted(stall, placement)}",
    )


def _excluded(stall: _Stall) -> tuple[str, ...]:
    if stall.rank is None:
        return ("hosts that come late (all entered the all-reduce in time, and had a CPU in it)",)
    waited = stall.is_explained_by_waiting
    return (
        "ranks that merely wait for others",
        *(("a core that is shared (it waited for one no longer than usual)",) if waited is False else ()),
    )


def _next_action(stall: _Stall, host: str) -> str:
    if stall.rank is None:
        return (
            "read discards, retransmissions and pauses of NICs and switches at that moment; netprobe check -p nightly"
        )
    return (
        f"look on {host} for what stopped rank {stall.rank} at that moment: its log, dmesg, cron, throttling, "
        "a debugger, memory that was swapped"
    )


DETECTOR = Detector(
    id=ID,
    title="steps that stall far beyond the median, and who came late to them",
    cause="""Training moves in steps, and a step takes as long as its slowest rank: a process that is stopped for a
    moment (a hypervisor, a cgroup's quota, swapping, a management agent, a garbage collector) stops all of them. Where
    nobody came late, messages did: a lost packet waits for a timer (67 ms and more over RoCE, 200 ms over TCP), a
    paused port waits for whoever pauses it.""",
    evidence="""Bursts run steps of a computation and an all-reduce, and keep of every second its slowest step: when it
    began, who entered the all-reduce last and by how much, who had no CPU meanwhile, and of the slowest seconds what
    counters did. A step is told when it exceeds step_stall_ratio of the median, step_stall_floor_ns, and what the
    slowest steps of other seconds take (outlier_mads). A rank is blamed when it came late, or had no CPU, for half
    of what the step took too long; clock errors are taken off first. Where ranks wait for CPUs all the time, a rank is
    named only when it waited no longer then. From step_stall_share_ratio of the time on it costs a job as much.""",
    remedy="""Look at the moment that is told in the logs of the host that is named, then of the switches. If nobody
    came late: counters that grew in that second tell where packets were lost or paused; a stall as long as a timer is
    a lost packet. Run `netprobe run bursts --soak 20m` for longer to see whether it comes back, and how regularly.""",
    limits=("step_stall_ratio", "step_stall_floor_ns", "step_stall_share_ratio", "outlier_mads"),
    detect=detect,
)
