"""When spikes come: at a beat, as long as a timer, on most pairs at the same moments."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from netprobe.locate.placement import Placement
from netprobe.locate.spikes import Moments, beat_of, far_beyond, shared_moments
from netprobe.locate.timers import rnr_step_of, timer_of
from netprobe.model.evidence import Evidence, PairTable
from netprobe.model.finding import Confidence, Fact, Finding, Severity
from netprobe.model.limits import Limits
from netprobe.stats.periods import Period
from netprobe.units import NS_PER_S, format_duration

ID: Final = "jitter"
STEADY_ALL: Final = "host noise (quanta steady on all hosts)"
ON_LOSS: Final = "read retransmissions and timeouts of the NICs, and drops of the switch ports on the way"
ON_RNR: Final = "look for why receives are posted late there: its ranks, its CPUs, its receive queues"
FEWEST_AT_TIMER: Final = 2  # series; one stall of that length can be anything
FEWEST_AT_RNR: Final = 3  # a timer of less than a millisecond is as long as much else


@dataclass(frozen=True, slots=True, kw_only=True)
class Manner:
    """How the spikes of a host or a pair come: words for a summary, facts, and what it points to."""

    words: str = ""
    facts: tuple[Fact, ...] = ()
    points_to: str | None = None


def manner_of(
    evidence: Evidence, placement: Placement, limits: Limits, tails: list[tuple[PairTable, int, int]], hosts: set[str]
) -> Manner:
    """Return how spikes come in the series of these tails; ``hosts``: with an end on all of which, or on the one."""
    timer = _timer(evidence, tails)
    if timer is not None:
        return timer
    numbers = [placement.hosts.index(host) for host in hosts]
    ends = (
        np.isin(placement.host_of[evidence.spikes.src], numbers),
        np.isin(placement.host_of[evidence.spikes.dst], numbers),
    )
    is_own: NDArray[np.bool_] = ends[0] | ends[1] if len(numbers) == 1 else ends[0] & ends[1]
    chosen = far_beyond(evidence.spikes, limits) & is_own[evidence.spikes.series]
    beat = beat_of(evidence.spikes, chosen, limits) if chosen.any() else None
    if beat is None:
        return Manner()
    return Manner(
        words=f", every {format_duration(beat.period_ns)}",
        facts=(beat_fact(beat),),
        points_to=f"look for what runs {NS_PER_S / beat.period_ns:.3g} times a second: a timer, a service, "
        "whoever reads the NIC's counters",
    )


def _timer(evidence: Evidence, tails: list[tuple[PairTable, int, int]]) -> Manner | None:
    """Return that the slowest iterations are as long as a timer, where those of most series are."""
    made_with = {stage.id: stage.rdma for stage in evidence.plan.stages}
    stalls = [_stall(*tail) for tail in tails]
    named = [
        timer_of(stall_ns, table.path, made_with.get(table.stage))
        for (table, _, _), stall_ns in zip(tails, stalls, strict=True)
    ]
    steps = [
        None if (rdma := made_with.get(table.stage)) is None else rnr_step_of(stall_ns, rdma)
        for (table, _, _), stall_ns in zip(tails, stalls, strict=True)
    ]
    for told, fewest, points_to in (
        (
            named,
            FEWEST_AT_TIMER,
            ON_LOSS,
        ),
        (steps, FEWEST_AT_RNR, ON_RNR),
    ):
        name, count = Counter(told).most_common(1)[0] if told else (None, 0)
        if name is not None and count >= fewest and 2 * count > len(told):
            longest_ns = max(stall for stall, each in zip(stalls, told, strict=True) if each == name)
            fact = Fact(
                metric=f"slowest iterations, {count} of {len(told)} series",
                observed=f"{format_duration(longest_ns)} beyond the median",
                expected="no timer's length",
                basis=name,
            )
            return Manner(words=f", as long as {name}", facts=(fact,), points_to=points_to)
    return None


def _stall(table: PairTable, src: int, dst: int) -> float:
    own = (table.src == src) & (table.dst == dst)
    return float((table.max_ns - table.p50_ns)[own].max())


def beat_fact(beat: Period) -> Fact:
    """Return the beat of spikes as a fact."""
    return Fact(
        metric="beat of the spikes",
        observed=f"every {format_duration(beat.period_ns)}, {beat.events} spikes",
        expected="none",
        basis=f"Rayleigh test; by chance below {max(beat.chance, 1e-99):.0e}",
    )


def moments_of(evidence: Evidence, placement: Placement, limits: Limits) -> Moments | None:
    """Return the moments at which most pairs have spikes together."""
    error_ns = max((clock.error_bound_ns for clock in evidence.clocks if clock is not None), default=0.0)
    return shared_moments(evidence.spikes, placement, limits, clock_error_ns=error_ns)


def moments_finding(moments: Moments, *, is_steady: bool) -> Finding:
    """Return that the whole system pauses now and then; ``is_steady``: whether all hosts were seen to be."""
    beat = "" if moments.beat is None else f", every {format_duration(moments.beat.period_ns)}"
    return Finding(
        detector=ID,
        severity=Severity.DEGRADES,
        confidence=Confidence.HIGH if moments.count > 1 else Confidence.MEDIUM,
        subjects=("all pairs",),
        hosts=(),
        summary=f"most pairs stop at the same moments: {moments.count} of them, up to {moments.spiking} of "
        f"{moments.measured} pairs of hosts that were measured then, "
        f"for up to {format_duration(moments.longest_ns)}{beat}",
        facts=tuple(_moment_facts(moments)),
        excluded=(
            "a single host or path (they stop together)",
            *((STEADY_ALL,) if is_steady else ()),
        ),
        next_action="look for what stops all at once: flow control (pause frames), a switch, a service on all hosts",
        retest="netprobe check",
    )


def _moment_facts(moments: Moments) -> Iterator[Fact]:
    yield Fact(
        metric="moments at which most pairs spike",
        observed=f"{moments.count}, the fullest with {moments.spiking} of {moments.measured} pairs of hosts",
        expected="none",
        basis=f"spikes moved along their series; by chance below {max(moments.chance, 1e-99):.0e}",
    )
    if moments.beat is not None:
        yield beat_fact(moments.beat)
