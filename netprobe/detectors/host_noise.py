"""Hosts whose ranks do not get their CPU: stopped by a quota or the hypervisor, waiting behind others, interrupted.

The scheduler counts the time of interrupts as the rank's own: those show in quanta of fixed work alone.
"""

from collections.abc import Iterator
from itertools import islice
from typing import Final

import numpy as np
from numpy.typing import NDArray

from netprobe.contracts import Detector
from netprobe.detectors._cpu_shares import Cause, Shares, shares_of
from netprobe.detectors._lone_ranks import lone_ranks
from netprobe.detectors._noise import BY_DEVICES as OF_DEVICES
from netprobe.detectors._noise import BY_OTHERS as OF_OTHERS
from netprobe.detectors._noise import counted_much, noise_facts, rank_title, worst_row
from netprobe.detectors._words import MOST_FACTS, is_common, on_hosts, percent, table_title
from netprobe.locate.placement import Placement, placement_of
from netprobe.model.evidence import CounterTable, Evidence, PairTable
from netprobe.model.finding import Confidence, Fact, Finding, Gap, Severity
from netprobe.model.limits import Limits
from netprobe.units import format_duration

ID = "host-noise"
FEWEST_RANKS: Final = 2  # of which one can have lost most
FEWEST_HOSTS: Final = 3  # with two, the quieter one may be the odd one
COMMON_SHARE: Final = 0.5  # of the hosts: when half of them wait, waiting is how the job was placed


NEXT: Final = {
    Cause.THROTTLED: "raise or remove the CPU limit of its container, cgroup or job step",
    Cause.STOLEN: "ask for dedicated CPUs, or move the virtual machine to another host",
    Cause.WAITED: "look for other processes on the ranks' CPUs (pidstat, top -H), and for the binding of the ranks",
    Cause.DETOURED: "look for what interrupts that CPU and is not counted: firmware (SMIs: turbostat), a hypervisor, "
    "power management",
}
BY_OTHERS: Final = "look for other processes on the ranks' CPUs (pidstat, top -H), and for the binding of the ranks"
BY_DEVICES: Final = "move interrupts off the ranks' CPUs (/proc/interrupts, /proc/irq/*/smp_affinity_list)"


def detect(evidence: Evidence, limits: Limits) -> Iterator[Finding | Gap]:
    """Name hosts that take the CPU from their ranks; say when all do."""
    placement = placement_of(evidence.ranks)
    if not (evidence.pairs or evidence.has_collectives or len(evidence.noise.rank)):
        return  # nothing was measured, which coverage tells
    shares = shares_of(evidence, placement)
    unknown = [name for at, name in enumerate(shares.hosts) if all(np.isnan(each[at]) for each in shares.of.values())]
    if unknown:
        yield Gap(
            topic=ID,
            reason=f"how much CPU the ranks got was not counted on {_some(len(unknown), len(shares.hosts))}",
            remedy="a run on Linux with this version of netprobe",
        )
    blamed: set[str] = set()
    excused: set[str] = set()
    for cause in Cause:
        named, alike = _over(shares, cause, limits)
        if cause is Cause.THROTTLED and is_common(len(named), len(shares.hosts)):
            yield _quota_everywhere(shares, named, limits)
        else:
            # One finding a host: a rank that is throttled also waits.
            yield from (
                _finding(evidence, placement, shares, cause, each, limits) for each in named if each not in blamed
            )
        if alike and not (blamed | excused).issuperset(alike):
            yield _alike(shares, cause, alike, _worst_rank(evidence))
            excused.update(alike)
        blamed.update(named)
    if len(shares.hosts) < FEWEST_HOSTS:
        yield from lone_ranks(evidence, placement, limits)


def _limit(cause: Cause, limits: Limits) -> float:
    """Return the share from which a host is over, as a limit of its own."""
    if cause is Cause.THROTTLED:
        return limits.noise_throttled_ratio
    if cause is Cause.DETOURED:
        return limits.noise_detour_ratio
    return limits.noise_steal_ratio if cause is Cause.STOLEN else limits.noise_wait_ratio


def _over(shares: Shares, cause: Cause, limits: Limits) -> tuple[list[str], list[str]]:
    """Return the hosts to name, worst first, and those that are over the limit with so many others that none is."""
    share = shares.of[cause]
    is_over = share >= _limit(cause, limits)
    if cause is Cause.THROTTLED:
        return _worst_first(shares, cause, is_over), []
    typical = shares.median(cause)
    beside = np.fmax(shares.stolen_beside, typical) if cause is Cause.STOLEN else typical
    stands_out = is_over & (share >= limits.noise_peer_ratio * beside)
    named = stands_out if _can_compare(int(stands_out.sum()), len(share)) else np.zeros_like(stands_out)
    rest = is_over & ~named
    alike = np.zeros_like(rest) if _can_compare(int(rest.sum()), len(share)) else rest
    return _worst_first(shares, cause, named), _worst_first(shares, cause, alike)


def _worst_first(shares: Shares, cause: Cause, chosen: NDArray[np.bool_]) -> list[str]:
    return [
        shares.hosts[at] for at in sorted(np.flatnonzero(chosen).tolist(), key=lambda at: -float(shares.of[cause][at]))
    ]


def _can_compare(named: int, hosts: int) -> bool:
    return hosts >= FEWEST_HOSTS and named < COMMON_SHARE * hosts


def _finding(
    evidence: Evidence, placement: Placement, shares: Shares, cause: Cause, name: str, limits: Limits
) -> Finding:
    at = shares.hosts.index(name)
    share = float(shares.of[cause][at])
    retransmitted = _retransmitted(evidence.counters, placement, at)
    return Finding(
        detector=ID,
        severity=Severity.BLOCKS if share >= limits.noise_block_ratio else Severity.DEGRADES,
        confidence=Confidence.HIGH
        if cause is Cause.THROTTLED or len(shares.hosts) > FEWEST_HOSTS
        else Confidence.MEDIUM,
        subjects=(name,),
        hosts=(name,),
        summary=f"{cause.verb} {percent(share)} of the time{_against(shares, cause)}",
        facts=tuple(_facts(evidence, placement, shares, at, limits))[:MOST_FACTS],
        excluded=("loss on the network (its TCP sent nothing again)",) if retransmitted == 0 else (),
        next_action=f"on {name}: {_next(evidence, placement, cause, at)}",
        retest="netprobe check" if len(shares.hosts) == 1 else _retest(shares, cause, name),
    )


def _facts(evidence: Evidence, placement: Placement, shares: Shares, at: int, limits: Limits) -> Iterator[Fact]:
    yield from _share_facts(shares, at, limits)
    yield from islice(noise_facts(evidence, placement, at), 1, None)  # the first is among the shares
    yield from _time_facts(evidence, placement, at)


def _next(evidence: Evidence, placement: Placement, cause: Cause, at: int) -> str:
    """Return what to look for; of detours, by what was counted meanwhile."""
    row = worst_row(evidence, placement, at)
    if cause is not Cause.DETOURED or row is None:
        return NEXT[cause]
    grown = {name for name, _, _ in counted_much(evidence, placement, row)}
    if grown & set(OF_OTHERS):
        return BY_OTHERS
    return BY_DEVICES if grown & set(OF_DEVICES) else NEXT[cause]


def _retest(shares: Shares, cause: Cause, name: str) -> str:
    """Return the command that measures a host again, with the quietest others to compare."""
    others = sorted((at for at, each in enumerate(shares.hosts) if each != name), key=lambda at: shares.of[cause][at])
    return on_hosts("netprobe check", (name, *(shares.hosts[at] for at in others[:2])))


def _against(shares: Shares, cause: Cause) -> str:
    return f", the median host {percent(shares.median(cause))}" if len(shares.hosts) >= FEWEST_HOSTS else ""


def _quota_everywhere(shares: Shares, named: list[str], limits: Limits) -> Finding:
    share = float(np.nanmax(shares.of[Cause.THROTTLED]))
    return Finding(
        detector=ID,
        severity=Severity.BLOCKS if share >= limits.noise_block_ratio else Severity.DEGRADES,
        confidence=Confidence.HIGH,
        subjects=tuple(sorted(named)),
        hosts=(),
        summary=f"ranks are stopped by CPU quotas up to {percent(share)} of the time",
        facts=tuple(
            fact
            for name in named[:MOST_FACTS]
            for fact in _share_facts(shares, shares.hosts.index(name), limits, only=Cause.THROTTLED)
        )[:MOST_FACTS],
        excluded=("a single host (many have such a quota)",),
        next_action="raise or remove the CPU limit of the job's containers, cgroups or job steps",
        retest="netprobe check",
    )


def _worst_rank(evidence: Evidence) -> str:
    """Return which rank lost most while it only computed, where there are others; nothing where nobody worked alone."""
    ratio = evidence.noise.ratio
    if len(ratio) < FEWEST_RANKS:
        return ""
    row = int(np.argmax(ratio))
    middle = percent(float(np.median(np.delete(ratio, row))))
    return (
        f"; {rank_title(evidence, row)} lost most while it only computed, {percent(float(ratio[row]))}, others {middle}"
    )


def _alike(shares: Shares, cause: Cause, named: list[str], worst_rank: str) -> Gap:
    known = shares.of[cause][[shares.hosts.index(name) for name in named]]
    where = _some(len(named), len(shares.hosts))
    middle = percent(float(np.median(known)))
    if cause is Cause.STOLEN:
        told = f"the hypervisor took {middle} of the CPU time that was needed on {where}"
        whom, remedy = "the hypervisor", "hosts, or virtual machines, with CPUs of their own"
    elif cause is Cause.DETOURED:
        told = f"ranks that only computed lost {middle} of the time on {where}"
        whom, remedy = "the hosts", "a CPU for each rank that nothing else uses; /proc/interrupts, pidstat, turbostat"
    else:
        told = f"ranks waited for a CPU {middle} of the time on {where}"
        whom, remedy = "the scheduler", "fewer ranks per host, or more CPUs for them"
    return Gap(topic=ID, reason=f"{told}: tails and latencies tell of {whom}{worst_rank}", remedy=remedy)


def _some(some: int, hosts: int) -> str:
    """Return ``the only host``, ``all 8 hosts`` or ``5 of 8 hosts``."""
    if hosts == 1:
        return "the only host"
    return f"all {hosts} hosts" if some == hosts else f"{some} of {hosts} hosts"


def _share_facts(shares: Shares, at: int, limits: Limits, only: Cause | None = None) -> Iterator[Fact]:
    for cause, share in shares.of.items():
        if np.isfinite(share[at]) and only in (None, cause):
            name = "" if only is None else f"{shares.hosts[at]}, "
            yield Fact(
                metric=f"{name}{cause.title}",
                observed=f"{percent(float(share[at]))} of the time",
                expected=f"below {percent(_limit(cause, limits))}",
                basis=f"limit; the median host has {percent(shares.median(cause))}",
            )


def _time_facts(evidence: Evidence, placement: Placement, host: int) -> Iterator[Fact]:
    """Tell what it did to the times of the host: its tails against those of pairs without it."""
    for table in evidence.pairs:
        own = (placement.host_of[table.src] == host) | (placement.host_of[table.dst] == host)
        theirs, peers = _median_p99(table, own), _median_p99(table, ~own)
        if theirs is not None and peers is not None:
            yield Fact(
                metric=f"{table_title(table)}, p99 of its pairs",
                observed=format_duration(theirs),
                expected=format_duration(peers),
                basis="pairs without it",
            )


def _median_p99(table: PairTable, chosen: NDArray[np.bool_]) -> float | None:
    known = table.p99_ns[chosen & np.isfinite(table.p99_ns)]
    return float(np.median(known)) if len(known) else None


def _retransmitted(counters: CounterTable, placement: Placement, host: int) -> float | None:
    """Return what a host's TCP sent again in all rounds; None when it was not counted."""
    grown = counters.grown.get("tcp/RetransSegs")
    if grown is None:
        return None
    own = grown[(placement.host_of[counters.rank] == host) & np.isfinite(grown)]
    return float(own.sum()) if len(own) else None


DETECTOR = Detector(
    id=ID,
    title="a host whose ranks do not get their CPU",
    cause="""A CPU quota of a container or job step stops the ranks when it is used up; a hypervisor gives the virtual
    CPUs to others; other processes run on the ranks' CPUs, or ranks were bound to the same ones. Whatever it is, a
    rank that does not run neither sends nor receives, and all others wait: long tails, late arrivals and slow small
    messages, while the fabric is idle.""",
    evidence="""Counted on every host around every round: throttled time of the ranks' control groups over the elapsed
    time (from noise_throttled_ratio on, whoever else has it), steal over the CPU time that was needed
    (noise_steal_ratio), and the time that ranks were ready to run but did not, over the elapsed time
    (noise_wait_ratio). Measured in a stage in which nobody sends: the share of its time that a rank which only
    computes loses in detours (noise_detour_ratio); told with it are the longest, their beat, and what the kernel
    counted. For all but the first a host must exceed the median host by noise_peer_ratio as well; where half of all
    hosts or more are over, or where there are fewer than three, nobody stands out, and the answer says that times tell
    of the scheduler. Of fewer than three hosts the ranks are compared with each other. It blocks from noise_block_ratio
    of the time.""",
    remedy="""Quota: `cat /sys/fs/cgroup/.../cpu.stat`, the CPU limit of the pod, `scontrol show job`. Steal: `vmstat 1`
    (column st); dedicated CPUs. Waiting: `pidstat -w`, `top -H`, `taskset -p` of the ranks; move services off, bind
    each rank to a core of its own. Detours: /proc/interrupts and /proc/irq/*/smp_affinity_list, irqbalance; `turbostat`
    for SMIs; isolcpus, nohz_full (docs/jitter.md).""",
    limits=(
        "noise_throttled_ratio",
        "noise_steal_ratio",
        "noise_wait_ratio",
        "noise_detour_ratio",
        "noise_peer_ratio",
        "noise_block_ratio",
    ),
    detect=detect,
)
