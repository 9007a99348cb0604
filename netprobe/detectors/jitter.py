"""Tails that are long against the pair's own median and against its peers: what stalls a synchronised job.

Does not handle: series shorter than 100 iterations, where a 99th percentile would be the maximum by another name.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from netprobe.contracts import Detector
from netprobe.detectors._noise import most_lose, steady_hosts
from netprobe.detectors._shapes import findings as shaped
from netprobe.detectors._spikes import STEADY_ALL, Manner, manner_of, moments_finding, moments_of
from netprobe.detectors._words import MOST_FACTS, listed, on_hosts, retest, table_title, times
from netprobe.locate.culprits import Blame, HostPair, blame_most_of_its_pairs
from netprobe.locate.passes import rows_of
from netprobe.locate.placement import Placement, host_pairs, leaf_names, placement_of
from netprobe.model.evidence import Evidence, PairTable
from netprobe.model.finding import Confidence, Fact, Finding, Gap, Severity
from netprobe.model.limits import Limits
from netprobe.model.plan import Path, Scope
from netprobe.stats.distinct import count_distinct
from netprobe.units import format_duration

ID = "jitter"
STEADY = "host noise (quanta steady: ranks that only compute keep their CPUs)"
FEWEST_PEERS = 3  # pairs of a table; with two, the median is nobody's


@dataclass(frozen=True, slots=True, kw_only=True)
class _Tail:
    """A row whose p99 is far from its p50."""

    table: PairTable
    src: int
    dst: int
    p50_ns: float
    p99_ns: float
    peers_p99_ns: float | None
    """Median over the table; None without enough peers."""

    @property
    def ratio(self) -> float:
        return self.p99_ns / max(self.p50_ns, 1.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class _TableTails:
    """One table's answer."""

    table: PairTable
    is_shared: bool
    """Whether most pairs have the tail, so that no part of the fabric stands out."""
    tails: tuple[_Tail, ...]
    """Rows that stand out; the worst few when the tail is shared."""
    judged: PairTable
    """Its rows whose tail could be judged."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Case:
    """What all findings need."""

    evidence: Evidence
    placement: Placement
    limits: Limits
    steady: frozenset[str]
    """Hosts whose ranks lose nothing while they only compute."""

    def manner(self, tails: list[_Tail], hosts: set[str]) -> Manner:
        """Return how the spikes behind some tails come."""
        ends = [(tail.table, tail.src, tail.dst) for tail in tails]
        return manner_of(self.evidence, self.placement, self.limits, ends, hosts)


def detect(evidence: Evidence, limits: Limits) -> Iterator[Finding | Gap]:
    """Name what has fat tails: a host, a pair, or everything."""
    placement = placement_of(evidence.ranks)
    crowded = set(evidence.crowded_hosts)
    if crowded:
        yield _crowded_gap(evidence, sorted(crowded))
    judged = [
        answer for table in evidence.pairs if (answer := _judge_table(table, placement, crowded, limits)) is not None
    ]
    for scope in dict.fromkeys(table.scope for table in evidence.pairs):
        if not crowded and all(answer.table.scope is not scope for answer in judged):
            yield _too_short(scope)
    if not evidence.pairs:
        yield Gap(topic=ID, reason="no pair was measured one to one", remedy="netprobe check, or netprobe run latency")
    case = _Case(
        evidence=evidence, placement=placement, limits=limits, steady=steady_hosts(evidence, placement, limits)
    )
    is_of_hosts = bool(crowded) or most_lose(evidence, placement, limits)  # which host-noise tells
    moments = None if is_of_hosts else moments_of(evidence, placement, limits)
    if moments is not None:
        yield moments_finding(moments, is_steady=case.steady >= set(placement.hosts))
    shared = [answer for answer in judged if answer.is_shared]
    if shared:
        yield _shared_finding(shared, case)
    told = list(_findings([answer for answer in judged if not answer.is_shared], case))
    yield from told
    named = {subject for finding in told for subject in finding.subjects}
    yield from (each for each in shaped(evidence, placement, limits, crowded) if not named & set(each.subjects))


def _judge_table(table: PairTable, placement: Placement, crowded: set[str], limits: Limits) -> _TableTails | None:
    """Return the answer for one table; None when no row of it can be judged."""
    quiet_host = np.array([host not in crowded for host in placement.hosts], dtype=bool)
    can_tell = (
        np.isfinite(table.p99_ns) & quiet_host[placement.host_of[table.src]] & quiet_host[placement.host_of[table.dst]]
    )
    rows = np.flatnonzero(can_tell)
    if not len(rows):
        return None
    has_tail = _long_tails(table, limits)
    has_peers = _distinct(table.src[rows], table.dst[rows]) >= FEWEST_PEERS
    is_shared = has_peers and bool(np.mean(has_tail[rows]) > 0.5)
    peers_p99_ns = float(np.median(table.p99_ns[rows])) if has_peers else None
    stands_out = has_tail & can_tell
    if peers_p99_ns is not None and not is_shared:
        stands_out &= table.p99_ns > limits.jitter_peer_ratio * peers_p99_ns
    worst = sorted(np.flatnonzero(stands_out).tolist(), key=lambda row: -table.p99_ns[row])
    return _TableTails(
        table=table,
        is_shared=is_shared,
        tails=tuple(_tail(table, row, peers_p99_ns) for row in worst),
        judged=rows_of(table, can_tell),
    )


def _distinct(src: NDArray[np.int64], dst: NDArray[np.int64]) -> int:
    """Return how many pairs of ranks there are, whatever their direction."""
    base = int(max(src.max(), dst.max())) + 1
    return count_distinct(np.minimum(src, dst) * base + np.maximum(src, dst), below=base * base)


def _long_tails(table: PairTable, limits: Limits) -> NDArray[np.bool_]:
    tail_ns = table.p99_ns - table.p50_ns
    return (table.p99_ns > limits.jitter_tail_ratio * table.p50_ns) & (tail_ns > limits.jitter_floor_ns)


def _tail(table: PairTable, row: int, peers_p99_ns: float | None) -> _Tail:
    return _Tail(
        table=table,
        src=int(table.src[row]),
        dst=int(table.dst[row]),
        p50_ns=float(table.p50_ns[row]),
        p99_ns=float(table.p99_ns[row]),
        peers_p99_ns=peers_p99_ns,
    )


def _hosts(placement: Placement, src: int, dst: int) -> HostPair:
    ends = sorted((placement.host(src), placement.host(dst)))
    return ends[0], ends[1]


def _findings(judged: list[_TableTails], case: _Case) -> Iterator[Finding]:
    """Blame hosts for most of their pairs over MPI or over RDMA, then name the pairs that are left."""
    placement = case.placement
    tails: dict[HostPair, list[_Tail]] = {}
    hosts: dict[str, dict[str, None]] = {}
    pairs: dict[HostPair, None] = {}
    for path in Path:
        own = [answer for answer in judged if answer.table.path is path]
        bad = {_hosts(placement, tail.src, tail.dst): None for answer in own for tail in answer.tails}
        for tail in (tail for answer in own for tail in answer.tails):
            tails.setdefault(_hosts(placement, tail.src, tail.dst), []).append(tail)
        measured = host_pairs(
            (answer.judged for answer in own), placement, among={host for pair in bad for host in pair}
        )
        blame = _blame(set(bad), measured, placement)
        for host, partners in blame.hosts.items():
            hosts.setdefault(host, {}).update(dict.fromkeys(partners))
        pairs |= dict.fromkeys(blame.pairs)
    for host, met in hosts.items():
        of_host = [tail for pair, of in tails.items() if host in pair for tail in of]
        yield _host_finding(host, tuple(met), of_host, case)
    for pair in pairs:
        if not hosts.keys() & set(pair):
            yield _pair_finding(pair, tails[pair], case)


def _blame(bad: set[HostPair], measured: frozenset[HostPair], placement: Placement) -> Blame:
    """Blame a host outright for a tail within itself, when there are other hosts without it."""
    within = {pair for pair in bad if pair[0] == pair[1]}
    alone = len(placement.hosts) == 1
    own = {} if alone else {pair[0]: () for pair in within}
    crossing = {pair for pair in bad - within if not own.keys() & set(pair)}
    blame = blame_most_of_its_pairs(crossing, {pair for pair in measured if pair[0] != pair[1]}, leaf_names(placement))
    return Blame(hosts={**own, **blame.hosts}, pairs=(*blame.pairs, *(sorted(within) if alone else ())))


def _host_finding(host: str, partners: tuple[str, ...], tails: list[_Tail], case: _Case) -> Finding:
    worst, manner, is_steady = _worst(tails), case.manner(tails, {host}), host in case.steady
    is_within = not partners
    who = "among its own ranks" if is_within else f"with {len(partners)} partners ({listed(partners)})"
    return Finding(
        detector=ID,
        severity=Severity.DEGRADES,
        confidence=Confidence.HIGH if is_within or len(partners) > 2 else Confidence.MEDIUM,
        subjects=(host,),
        hosts=(host,),
        summary=f"has long tails {who}: {_figures(worst)}{manner.words}",
        facts=_with(manner, _facts(tails, case.placement)),
        excluded=(
            "the network (no byte left the host)" if is_within else "its partners (quiet with others)",
            *((STEADY,) if is_steady else ()),
        ),
        next_action=manner.points_to or _next_on_host(is_steady=is_steady and not is_within),
        retest=on_hosts("netprobe check", [host] if is_within else [host, *partners[:2]]),
    )


def _next_on_host(*, is_steady: bool) -> str:
    if is_steady:
        return "look at its NIC, cable and leaf port under load: its ranks keep their CPUs while they send nothing"
    return "look for what interrupts its ranks: other processes, interrupts on their cores, power management"


def _pair_finding(pair: HostPair, tails: list[_Tail], case: _Case) -> Finding:
    worst, placement = _worst(tails), case.placement
    manner, is_steady = case.manner(tails, set(pair)), case.steady >= set(pair)
    is_within, has_peers = pair[0] == pair[1], worst.peers_p99_ns is not None
    subject = pair[0] if is_within else f"{pair[0]} <-> {pair[1]}"
    where = "within one host, so no fabric was involved" if is_within else "their hosts are quiet with others"
    if not is_within and len(placement.hosts) == 2:
        where = "with two hosts there is nobody to compare with"
    return Finding(
        detector=ID,
        severity=Severity.DEGRADES if has_peers and not is_within else Severity.WARNS,
        confidence=Confidence.MEDIUM if has_peers else Confidence.LOW,
        subjects=(subject,),
        hosts=(),
        summary=f"{subject} has long tails: {_figures(worst)}{manner.words}; {where}",
        facts=_with(manner, _facts(tails, placement)),
        excluded=(
            *(("the network (no byte left the host)",) if is_within else ()),
            *((STEADY,) if is_steady else ()),
        ),
        next_action=manner.points_to
        or (
            "look for what interrupts the ranks: other processes, virtual CPUs that the hypervisor takes away"
            if is_within
            else "measure idle and again under load: a tail that only comes with load is congestion or loss on the path"
        ),
        retest=retest(worst.table, sorted(set(pair)), placement),
    )


def _shared_finding(answers: list[_TableTails], case: _Case) -> Finding:
    placement = case.placement
    tails = [tail for answer in answers for tail in answer.tails]
    pairs = host_pairs((answer.judged for answer in answers), placement)
    crosses = any(answer.table.scope is Scope.BETWEEN_HOSTS for answer in answers)
    return Finding(
        detector=ID,
        severity=Severity.DEGRADES if crosses else Severity.WARNS,
        confidence=Confidence.MEDIUM,
        subjects=("all pairs",),
        hosts=(),
        summary=f"most pairs have long tails ({len(pairs)} pairs of hosts judged), so nobody stands out; "
        f"the worst: {_figures(_worst(tails))}",
        facts=_facts(tails, placement),
        excluded=(
            "a single host or path (the tail is shared)",
            *((STEADY_ALL,) if case.steady >= set(placement.hosts) else ()),
        ),
        next_action=(
            "look for what all share: another job on the fabric, PFC or ECN settings, a system service on all hosts"
            if crosses
            else "look for what interrupts the ranks: other processes, virtual CPUs that the hypervisor takes away"
        ),
        retest="netprobe check",
    )


def _worst(tails: list[_Tail]) -> _Tail:
    return max(tails, key=lambda tail: tail.ratio)


def _figures(tail: _Tail) -> str:
    figure = f"p99 {format_duration(tail.p99_ns)} is {times(tail.ratio)} the median"
    peers = "" if tail.peers_p99_ns is None else f", peers' p99 is {format_duration(tail.peers_p99_ns)}"
    return f"{figure}{peers} ({table_title(tail.table)})"


def _facts(tails: list[_Tail], placement: Placement) -> tuple[Fact, ...]:
    worst = sorted(tails, key=lambda tail: -tail.ratio)[:MOST_FACTS]
    return tuple(
        Fact(
            metric=f"{table_title(tail.table)}, {placement.name(tail.src)} to {placement.name(tail.dst)}, "
            f"{tail.table.metric.name.lower().replace('_', ' ')} p99",
            observed=format_duration(tail.p99_ns),
            expected=format_duration(tail.p50_ns if tail.peers_p99_ns is None else tail.peers_p99_ns),
            basis="its own median" if tail.peers_p99_ns is None else "median p99 of its peers",
        )
        for tail in worst
    )


def _with(manner: Manner, facts: tuple[Fact, ...]) -> tuple[Fact, ...]:
    return (*manner.facts, *facts)[:MOST_FACTS]


def _crowded_gap(evidence: Evidence, crowded: list[str]) -> Gap:
    hosts = len({rank.host for rank in evidence.ranks})
    return Gap(
        topic=ID,
        reason=f"on {len(crowded)} of {hosts} hosts ranks wait for a CPU ({listed(crowded)}): "
        "their tails tell of the scheduler",
        remedy="fewer ranks per host, or more CPUs for them",
    )


def _too_short(scope: Scope) -> Gap:
    where = "within hosts" if scope is Scope.WITHIN_HOST else "between hosts"
    return Gap(
        topic=ID,
        reason=f"no series {where} has the 100 iterations that a 99th percentile needs",
        remedy="a longer --budget of netprobe check; --iters 100 or a longer --series of netprobe run",
    )


DETECTOR = Detector(
    id=ID,
    title="a tail of latency that is long against the median and against peers",
    cause="""Something stops single messages for much longer than the usual transfer. On a host: other processes,
    interrupts or kernel threads on the ranks' cores, CPU power states, a hypervisor. On a path: a queue that fills
    (congestion, pause frames) or a lost packet that waits for its retransmission; with RoCE that costs 4.096 µs *
    2^timeout, so a maximum near 67 ms or 4.3 s is loss.""",
    evidence="""A pair's 99th percentile exceeds its own median by jitter_tail_ratio, the median 99th percentile of
    its peers by jitter_peer_ratio, and its median by at least jitter_floor_ns. A host is named when more than half
    of its partners see it, at least two; what most pairs share blames nobody. With fewer than three pairs there are
    no peers, and the finding only warns. Hosts with more ranks than CPUs are not judged.
    Told beside it, or by itself: spikes at a beat (Rayleigh test), or of most pairs at the same moments, with a chance
    below jitter_chance; as long as a retransmission or RNR timer; two speeds in one series (two modes of its histogram
    jitter_mode_ratio and jitter_mode_floor_ns apart); medians that grow from quarter to quarter of a series by
    jitter_drift_ratio in all. Where ranks that only compute lose nothing (host-noise), their host is excluded.""",
    remedy="""Host: `perf sched`, /proc/interrupts, cpupower idle-info; move services and interrupts off the ranks'
    cores, disable deep C-states, bind the ranks. Path: compare idle with loaded, read pause, discard and
    retransmission counters on the NIC and the switch ports on the way. All pairs: look for another job first.""",
    limits=(
        "jitter_tail_ratio",
        "jitter_peer_ratio",
        "jitter_floor_ns",
        "jitter_chance",
        "jitter_mode_ratio",
        "jitter_mode_floor_ns",
        "jitter_drift_ratio",
    ),
    detect=detect,
)
