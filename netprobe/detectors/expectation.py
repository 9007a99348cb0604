"""Rates far from what the site expects: the only sign of a fault that all hosts share, such as a fallback to TCP.

Does not handle: pairs within one host, and sizes between the smallest and the largest.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np

from netprobe.contracts import Detector
from netprobe.detectors._words import (
    MOST_FACTS,
    between_hosts,
    is_common,
    listed,
    percent,
    rate,
    retest,
    table_title,
    times,
)
from netprobe.locate.culprits import HostPair, blame_most_of_its_pairs
from netprobe.locate.paths import is_latency
from netprobe.locate.placement import Placement, placement_of
from netprobe.model.evidence import Evidence, PairTable
from netprobe.model.finding import Confidence, Fact, Finding, Gap, Severity
from netprobe.model.limits import Limits
from netprobe.model.plan import Path
from netprobe.stats.rates import loss_as_log

ID: Final = "expectation"
MOST_CULPRITS_RATIO: Final = 1 / 3  # with more hosts to blame, it is the fabric that is not as expected
SURE_WITH_PARTNERS: Final = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class _Shortfall:
    """A pair of ranks that is slower than expected by more than its limit."""

    table: PairTable
    src: int
    dst: int
    p50_ns: float
    expected_ns: float
    """A sample of a pair that does just what is expected."""
    blocks: bool

    @property
    def ratio(self) -> float:
        """How many times longer than expected."""
        return self.p50_ns / self.expected_ns


def detect(evidence: Evidence, limits: Limits) -> Iterator[Finding | Gap]:
    """Name what is slower than the site expects: hosts, pairs, or the whole fabric."""
    if not between_hosts(evidence):
        return
    if not (limits.expected_bandwidth_gbps or limits.expected_latency_ns):
        yield Gap(
            topic=ID,
            reason="absolute rates were not judged: nobody said what to expect",
            remedy="expected_bandwidth_gbps in --limits",
        )
        return
    placement = placement_of(evidence.ranks)
    tables = _judged_tables(evidence, limits)
    yield from _unmeasured(tables, limits)
    by_pair: dict[HostPair, list[_Shortfall]] = {}
    for shortfall in (each for table in tables for each in _shortfalls(table, limits)):
        by_pair.setdefault(_hosts(placement, shortfall.src, shortfall.dst), []).append(shortfall)
    measured = {
        _hosts(placement, src, dst)
        for table in tables
        for src, dst in zip(table.src.tolist(), table.dst.tolist(), strict=True)
    }
    yield from _findings(by_pair, measured, placement)


def _judged_tables(evidence: Evidence, limits: Limits) -> list[PairTable]:
    """Return one-way bandwidth at its largest size and latency at its smallest, where there is an expectation.

    What a site expects is what its NICs can do: RDMA is held against it where it was measured, and else MPI.
    """
    tables = between_hosts(evidence)
    streams = _by_rdma([table for table in tables if table.probe == "bandwidth"])
    pings = _by_rdma([table for table in tables if is_latency(table)])
    largest = max((table.size_bytes for table in streams), default=None)
    smallest = min((table.size_bytes for table in pings), default=None)
    return [
        *(table for table in pings if table.size_bytes == smallest and limits.expected_latency_ns),
        *(table for table in streams if table.size_bytes == largest and limits.expected_bandwidth_gbps),
    ]


def _by_rdma(tables: list[PairTable]) -> list[PairTable]:
    return [table for table in tables if table.path is Path.VERBS] or tables


def _unmeasured(tables: list[PairTable], limits: Limits) -> Iterator[Gap]:
    measured = {is_latency(table) for table in tables}
    for expected, of_latency, name in (
        (limits.expected_bandwidth_gbps, False, "bandwidth"),
        (limits.expected_latency_ns, True, "latency"),
    ):
        if expected and of_latency not in measured:
            yield Gap(
                topic=ID,
                reason=f"{name} was not judged against what is expected: it was not measured between hosts",
                remedy=f"netprobe check, or netprobe run {name}",
            )


def _shortfalls(table: PairTable, limits: Limits) -> Iterator[_Shortfall]:
    """Yield the rows that are beyond the limit of a pair: as a rate for bandwidth, as a time for latency."""
    if is_latency(table):
        expected_ns = 2 * limits.expected_latency_ns
        felt_ns = expected_ns + 2 * limits.latency_excess_floor_ns
        slow_ns = max(expected_ns * (1 + limits.latency_excess_ratio), felt_ns)
        blocked_ns = max(expected_ns * (1 + limits.distance_excess_ratio), felt_ns)
    else:
        expected_ns = 8 * table.bytes_per_iteration / limits.expected_bandwidth_gbps
        slow_ns = expected_ns * math.exp(loss_as_log(limits.pair_loss_ratio))
        blocked_ns = expected_ns * math.exp(loss_as_log(limits.host_block_ratio))
    for row in np.flatnonzero(table.p50_ns > min(slow_ns, blocked_ns)).tolist():
        p50_ns = float(table.p50_ns[row])
        yield _Shortfall(
            table=table,
            src=int(table.src[row]),
            dst=int(table.dst[row]),
            p50_ns=p50_ns,
            expected_ns=expected_ns,
            blocks=p50_ns > blocked_ns,
        )


def _hosts(placement: Placement, src: int, dst: int) -> HostPair:
    ends = sorted((placement.host(src), placement.host(dst)))
    return ends[0], ends[1]


def _findings(
    by_pair: dict[HostPair, list[_Shortfall]], measured: set[HostPair], placement: Placement
) -> Iterator[Finding]:
    blame = blame_most_of_its_pairs(by_pair, measured)
    is_everywhere = len(by_pair) == len(measured) > 1
    if is_everywhere or len(blame.hosts) > MOST_CULPRITS_RATIO * len(placement.hosts):
        yield _fabric_finding(by_pair, len(measured), placement)
        return
    for host, partners in blame.hosts.items():
        of_host = [each for pair, found in by_pair.items() if host in pair for each in found]
        yield _host_finding(host, partners, of_host, placement)
    left = {pair: by_pair[pair] for pair in blame.pairs}
    if is_common(len(left), len(measured)):
        yield _fabric_finding(left, len(measured), placement)
        return
    for pair, found in left.items():
        yield _pair_finding(pair, found, placement)


def _fabric_finding(by_pair: dict[HostPair, list[_Shortfall]], measured: int, placement: Placement) -> Finding:
    found = [each for of_pair in by_pair.values() for each in of_pair]
    worst = _worst(found)
    return Finding(
        detector=ID,
        severity=_severity(found),
        confidence=Confidence.HIGH,
        subjects=("fabric",),
        hosts=(),
        summary=f"{len(by_pair)} of {measured} pairs of hosts fall short of what is expected; "
        f"the worst: {_figures(worst)}",
        facts=_facts(found, placement),
        excluded=("single hosts and paths (too many pairs share it)",),
        next_action="see which device and protocol MPI took: TCP instead of RDMA, or the management network"
        if worst.table.path is Path.MPI
        else "see which ports the ranks took, their rate and their MTU, and the PCIe width of all of them",
    )


def _host_finding(host: str, partners: tuple[str, ...], found: list[_Shortfall], placement: Placement) -> Finding:
    worst = _worst(found)
    return Finding(
        detector=ID,
        severity=_severity(found),
        confidence=Confidence.HIGH if len(partners) >= SURE_WITH_PARTNERS else Confidence.MEDIUM,
        subjects=(host,),
        hosts=(host,),
        summary=f"falls short of what is expected with {len(partners)} partners ({listed(partners)}): "
        f"{_figures(worst)}",
        facts=_facts(found, placement),
        excluded=("its partners (as expected with others)",),
        next_action="check its NIC's link speed and PCIe width, and which device and protocol MPI took on it"
        if worst.table.path is Path.MPI
        else "check its NIC's link speed, MTU and PCIe width, and which port its ranks took",
        retest=retest(worst.table, [host, *partners[:2]], placement),
    )


def _pair_finding(pair: HostPair, found: list[_Shortfall], placement: Placement) -> Finding:
    worst = _worst(found)
    return Finding(
        detector=ID,
        severity=_severity(found),
        confidence=Confidence.MEDIUM,
        subjects=(" <-> ".join(pair),),
        hosts=(),
        summary=f"{' <-> '.join(pair)} falls short of what is expected: {_figures(worst)}",
        facts=_facts(found, placement),
        next_action="repeat the pair alone, then each of its hosts with a third one",
        retest=retest(worst.table, pair, placement),
    )


def _severity(found: list[_Shortfall]) -> Severity:
    return Severity.BLOCKS if any(each.blocks for each in found) else Severity.DEGRADES


def _worst(found: list[_Shortfall]) -> _Shortfall:
    return max(found, key=lambda each: (each.blocks, each.ratio))


def _figures(shortfall: _Shortfall) -> str:
    seen, expected = rate(shortfall.table, shortfall.p50_ns), rate(shortfall.table, shortfall.expected_ns)
    title = table_title(shortfall.table)
    if is_latency(shortfall.table):
        return f"{seen} is {times(shortfall.ratio)} the expected {expected} ({title})"
    return f"{seen} is {percent(1 - 1 / shortfall.ratio)} below the expected {expected} ({title})"


def _facts(found: list[_Shortfall], placement: Placement) -> tuple[Fact, ...]:
    worst_first = sorted(found, key=lambda each: (not each.blocks, -each.ratio))
    return tuple(_fact(each, placement) for each in worst_first[:MOST_FACTS])


def _fact(shortfall: _Shortfall, placement: Placement) -> Fact:
    table, arrow = shortfall.table, "->" if shortfall.table.directed else "<->"
    return Fact(
        metric=f"{table_title(table)}, {placement.name(shortfall.src)} {arrow} {placement.name(shortfall.dst)}",
        observed=rate(table, shortfall.p50_ns),
        expected=rate(table, shortfall.expected_ns),
        basis="what the limits say to expect",
    )


DETECTOR = Detector(
    id=ID,
    title="rates far from what the site expects",
    cause="""All hosts are slow alike, so that nobody stands out: MPI fell back to TCP, took the management network
    instead of the fabric, or runs without RDMA; a switch layer or all NICs are configured for a lower rate. Or some
    hosts have older parts, and their peers are no better.""",
    evidence="""The median of every pair of ranks between hosts is compared with expected_bandwidth_gbps at the
    largest size of one-way bandwidth, and half of its round trip with expected_latency_ns at the smallest size of
    latency: over RDMA where that was measured, which is what NICs can do, and else over MPI. A pair is named when it is
    below by more than pair_loss_ratio, or longer by more than latency_excess_ratio and latency_excess_floor_ns; it
    blocks beyond host_block_ratio and distance_excess_ratio.
    A host is named when more than half of its partners see it, at least two; when all pairs are like that, or more than
    a third of all hosts, or more than a tenth of all pairs without a host that explains them, it is the fabric.

    Without an expectation there is a gap: comparing hosts with each other cannot see what all share.""",
    remedy="""`netprobe doctor` shows the devices and what MPI was built for; `UCX_LOG_LEVEL=info` or
    `FI_LOG_LEVEL=info` show what it took. Name the device (UCX_NET_DEVICES, FI_PROVIDER, or the MPI's own option) and
    pass it on with --forward. Measure one pair with the vendor's tool (ib_write_bw) to tell MPI from the fabric.""",
    limits=(
        "expected_bandwidth_gbps",
        "expected_latency_ns",
        "pair_loss_ratio",
        "host_block_ratio",
        "latency_excess_ratio",
        "latency_excess_floor_ns",
        "distance_excess_ratio",
    ),
    detect=detect,
)
