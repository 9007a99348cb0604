"""What ranks lost while they only computed, host by host, and what their systems counted meanwhile."""

from collections import Counter
from collections.abc import Iterator
from typing import Final

import numpy as np
from numpy.typing import NDArray

from netprobe.detectors._words import percent
from netprobe.locate.placement import Placement
from netprobe.model.evidence import Evidence
from netprobe.model.finding import Fact
from netprobe.model.limits import Limits
from netprobe.units import NS_PER_S, format_duration

FloatArray = NDArray[np.float64]

MUCH: Final = 2.0  # times the median rank's; less is how ranks differ
SLOW_CORE: Final = 1.1  # times the median quantum: more than turbo clocks of equal hosts differ by
FEWEST_RANKS: Final = 3  # of a host whose ranks are compared with each other
COUNTED: Final = {
    "process/involuntary_switches": "switched out for others",
    "interrupts/devices": "interrupts by devices on its CPUs",
    "interrupts/timer": "timer interrupts on its CPUs",
    "interrupts/function_calls": "interrupts by other CPUs (function calls, TLB)",
    "interrupts/nmi": "non-maskable interrupts on its CPUs",
    "cpu/context_switches": "context switches on the host",
    "cpu/softirqs": "soft interrupts on the host",
}
"""What may explain detours, by counter."""
BY_DEVICES: Final = ("interrupts/devices", "cpu/softirqs")
BY_OTHERS: Final = ("process/involuntary_switches",)


def lost_of_hosts(evidence: Evidence, placement: Placement) -> FloatArray:
    """Return the share of its time that the worst rank of each host lost, shape (hosts,); NaN: not measured.

    A collective waits for the worst.
    """
    lost = np.full(len(placement.hosts), -np.inf)
    np.maximum.at(lost, placement.host_of[evidence.noise.rank], evidence.noise.ratio)
    return np.where(np.isfinite(lost), lost, np.nan)


def steady_hosts(evidence: Evidence, placement: Placement, limits: Limits) -> frozenset[str]:
    """Return the hosts whose ranks keep their CPUs to themselves, as measured: jitter is not made there."""
    lost = lost_of_hosts(evidence, placement)
    return frozenset(
        name for name, share in zip(placement.hosts, lost.tolist(), strict=True) if share < limits.noise_detour_ratio
    )


def most_lose(evidence: Evidence, placement: Placement, limits: Limits) -> bool:
    """Return whether half of all hosts or more interrupt their ranks: then they may all stand on one machine."""
    return bool(2 * (lost_of_hosts(evidence, placement) >= limits.noise_detour_ratio).sum() >= len(placement.hosts))


def worst_row(evidence: Evidence, placement: Placement, host: int) -> int | None:
    """Return the row of the rank of a host that lost most; None where none was measured."""
    own = np.flatnonzero(placement.host_of[evidence.noise.rank] == host)
    return int(own[np.argmax(evidence.noise.ratio[own])]) if len(own) else None


def rank_title(evidence: Evidence, row: int) -> str:
    """Return ``rank 3 on CPU 12``."""
    cpu = int(evidence.noise.cpu[row])
    return f"rank {int(evidence.noise.rank[row])}" + (f" on CPU {cpu}" if cpu >= 0 else "")


def noise_facts(evidence: Evidence, placement: Placement, host: int) -> Iterator[Fact]:
    """Yield what the worst rank of a host tells: its detours, their beat, and what was counted beside them."""
    row = worst_row(evidence, placement, host)
    if row is None:
        return
    noise, who = evidence.noise, rank_title(evidence, row)
    yield Fact(
        metric=f"work alone, {who}, time lost",
        observed=f"{percent(float(noise.ratio[row]))} in {int(noise.detours[row])} detours",
        expected=percent(float(np.median(noise.ratio))),
        basis="the median rank",
    )
    if noise.detours[row]:
        yield _against_median(f"work alone, {who}, longest detour", noise.detour_max_ns, row)
    if np.isfinite(noise.beat_ns[row]):
        yield _beat(who, noise.beat_ns, row)
    yield from _counted(evidence, placement, row)
    yield from _settings(evidence, placement.hosts[host])
    if noise.quantum_ns[row] >= SLOW_CORE * np.median(noise.quantum_ns):
        yield _against_median(f"work alone, {who}, a quantum without detours", noise.quantum_ns, row)
    if np.isfinite(noise.wake_p99_ns[row]) and noise.wake_p99_ns[row] >= MUCH * np.nanmedian(noise.wake_p99_ns):
        yield _against_median(f"asleep, {who}, woke late by, p99", noise.wake_p99_ns, row)


def _against_median(metric: str, values_ns: FloatArray, row: int) -> Fact:
    return Fact(
        metric=metric,
        observed=format_duration(float(values_ns[row])),
        expected=format_duration(float(np.nanmedian(values_ns))),
        basis="the median rank",
    )


def _beat(who: str, beat_ns: FloatArray, row: int) -> Fact:
    own, known = float(beat_ns[row]), beat_ns[np.isfinite(beat_ns)]
    return Fact(
        metric=f"work alone, {who}, beat of detours",
        observed=f"every {format_duration(own)} ({NS_PER_S / own:.0f} a second)",
        expected=f"every {format_duration(float(np.median(known)))}",
        basis="the median rank that has one; a timer's is every 1, 4 or 10 ms",
    )


def _counted(evidence: Evidence, placement: Placement, row: int) -> Iterator[Fact]:
    """Yield counters that grew much faster at a rank, or its host, than in the middle of the fleet."""
    for name, own, middle in counted_much(evidence, placement, row):
        yield Fact(
            metric=f"work alone, {COUNTED[name]}",
            observed=f"{own:.0f} a second",
            expected=f"{middle:.0f} a second",
            basis="the median",
        )


def counted_much(evidence: Evidence, placement: Placement, row: int) -> Iterator[tuple[str, float, float]]:
    """Yield counters of a rank's stage without messages, how fast they grew there, and in the middle of all."""
    counters, stage = evidence.counters, evidence.noise.stage[row]
    window = np.array([each == stage for each in counters.stage], dtype=bool)
    rank = int(evidence.noise.rank[row])
    of_host = window & (placement.host_of[counters.rank] == placement.host_of[rank])
    for name in COUNTED:
        grown = counters.grown.get(name)
        if grown is None:
            continue
        own = (of_host if name.startswith("cpu/") else window & (counters.rank == rank)) & np.isfinite(grown)
        known = window & np.isfinite(grown)
        if not own.any():
            continue
        per_s = grown * NS_PER_S / np.maximum(counters.elapsed_ns, 1.0)
        value, middle = float(per_s[own].mean()), float(np.median(per_s[known]))
        if value >= 1 and (value >= MUCH * middle or known.sum() == own.sum()):
            yield name, value, middle


def _settings(evidence: Evidence, host: str) -> Iterator[Fact]:
    """Yield the governor and the deepest idle state of a host, where most others have another."""
    systems = {name: each.system for name, each in evidence.inventories.items() if each.system is not None}
    for title, field in (("CPU governor", "governor"), ("deepest idle state", "deepest_idle_state")):
        told = {name: value for name, each in systems.items() if (value := getattr(each, field)) is not None}
        most = Counter(told.values()).most_common(1)
        if host in told and most and (told[host] != most[0][0] or len(told) == 1):
            yield Fact(metric=title, observed=told[host], expected=most[0][0], basis="what most hosts have")
