"""Rates far from what the site expects: the only sign of a fault that all hosts share, such as a fallback to TCP.

Does not handle: pairs within one host, and sizes between the smallest and the largest.
"""

from collections.abc import Iterator
from typing import Final

from netprobe.contracts import Detector
from netprobe.detectors._expected_collectives import of_collectives
from netprobe.detectors._expected_pairs import (
    LIMITS_REMEDY,
    Held,
    held_against,
    lacking_figures,
    latencies_of_known_ports,
    streams_of_known_ports,
    weaker_figures,
)
from netprobe.detectors._shortfalls import Shortfall, below_limits, below_line_rate, below_table
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
from netprobe.locate.placement import Placement, leaf_names, placement_of
from netprobe.model.evidence import Evidence, PairTable
from netprobe.model.finding import Confidence, Fact, Finding, Gap, Severity
from netprobe.model.limits import Limits
from netprobe.model.plan import Path

ID: Final = "expectation"
MOST_CULPRITS_RATIO: Final = 1 / 3  # with more hosts to blame, it is the fabric that is not as expected
SURE_WITH_PARTNERS: Final = 3


def detect(evidence: Evidence, limits: Limits) -> Iterator[Finding | Gap]:
    """Name what is slower than the site or the table expects: hosts, pairs, collectives, or the whole fabric."""
    if between_hosts(evidence):
        yield from _of_pairs(evidence, limits)
    yield from of_collectives(evidence, limits)


def _of_pairs(evidence: Evidence, limits: Limits) -> Iterator[Finding | Gap]:
    placement = placement_of(evidence.ranks)
    said = _tables_of_limits(evidence, limits)
    held = [held_against(evidence, table) for table in _tables_of_known_ports(evidence, limits)]
    yield from _unmeasured(said, limits)
    yield from _untold(evidence, held, limits)
    found = [each for table in said for each in below_limits(table, limits)]
    for each in held:
        found += below_table(evidence, each.table, each.answers, limits)
        if not is_latency(each.table):
            found += below_line_rate(evidence, each.table, each.answers, limits)
    by_pair: dict[HostPair, list[Shortfall]] = {}
    for shortfall in found:
        by_pair.setdefault(_hosts(placement, shortfall.src, shortfall.dst), []).append(shortfall)
    measured = {
        _hosts(placement, src, dst)
        for table in (*said, *(each.table for each in held))
        for src, dst in zip(table.src.tolist(), table.dst.tolist(), strict=True)
    }
    yield from _findings(by_pair, measured, placement)


def _tables_of_limits(evidence: Evidence, limits: Limits) -> list[PairTable]:
    """Return one-way bandwidth at its largest size and latency at its smallest, where limits say what to expect.

    What a site expects is what its NICs can do from host memory: RDMA is held against it where it was measured, and
    else MPI.
    """
    tables = [table for table in between_hosts(evidence) if table.is_of_host and table.path is not Path.NCCL]
    streams = _by_rdma([table for table in tables if table.probe == "bandwidth"])
    pings = _by_rdma([table for table in tables if is_latency(table)])
    largest = max((table.size_bytes for table in streams), default=None)
    smallest = min((table.size_bytes for table in pings), default=None)
    return [
        *(table for table in pings if table.size_bytes == smallest and limits.expected_latency_ns),
        *(table for table in streams if table.size_bytes == largest and limits.expected_bandwidth_gbps),
    ]


def _tables_of_known_ports(evidence: Evidence, limits: Limits) -> list[PairTable]:
    """Return what is held against the table of expectations, or the rate of ports: all that limits do not tell of."""
    pings = latencies_of_known_ports(evidence) if evidence.expectations else []
    streams = streams_of_known_ports(evidence)
    return [
        *(table for table in pings if not (limits.expected_latency_ns and table.is_of_host)),
        *(table for table in streams if not (limits.expected_bandwidth_gbps and table.is_of_host)),
    ]


def _untold(evidence: Evidence, held: list[Held], limits: Limits) -> Iterator[Gap]:
    """Yield what is not expected of what was measured, and of what less is expected than could be."""
    streams = [each for each in held if not is_latency(each.table)]
    if not (streams or limits.expected_bandwidth_gbps or limits.expected_latency_ns):
        what = "bandwidth was" if held else "absolute rates were"
        yield Gap(topic=ID, reason=f"{what} not judged: nobody said what to expect", remedy=LIMITS_REMEDY)
    for each in held:
        yield from lacking_figures(evidence, each, limits)
        yield from weaker_figures(evidence, each)


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


def _hosts(placement: Placement, src: int, dst: int) -> HostPair:
    ends = sorted((placement.host(src), placement.host(dst)))
    return ends[0], ends[1]


def _findings(
    by_pair: dict[HostPair, list[Shortfall]], measured: set[HostPair], placement: Placement
) -> Iterator[Finding]:
    blame = blame_most_of_its_pairs(by_pair, measured, leaf_names(placement))
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


def _fabric_finding(by_pair: dict[HostPair, list[Shortfall]], measured: int, placement: Placement) -> Finding:
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
        else "see which ports the ranks took, their rate and their MTU, and the PCIe width of all of them"
        + _and_gpus(worst),
    )


def _host_finding(host: str, partners: tuple[str, ...], found: list[Shortfall], placement: Placement) -> Finding:
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
        else "check its NIC's link speed, MTU and PCIe width, and which port its ranks took" + _and_gpus(worst),
        retest=retest(worst.table, [host, *partners[:2]], placement),
    )


def _and_gpus(worst: Shortfall) -> str:
    """Return what else to look at where the memory is a GPU's."""
    if worst.table.is_of_host:
        return ""
    return "; for GPU memory also nvidia_peermem or dma-buf, ACS, and how far each GPU is from its NIC"


def _pair_finding(pair: HostPair, found: list[Shortfall], placement: Placement) -> Finding:
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


def _severity(found: list[Shortfall]) -> Severity:
    return Severity.BLOCKS if any(each.blocks for each in found) else Severity.DEGRADES


def _worst(found: list[Shortfall]) -> Shortfall:
    return max(found, key=lambda each: (each.blocks, each.ratio))


def _figures(shortfall: Shortfall) -> str:
    seen, expected = rate(shortfall.table, shortfall.p50_ns), rate(shortfall.table, shortfall.expected_ns)
    title = table_title(shortfall.table) + (f"; {shortfall.said_by}" if shortfall.said_by else "")
    if is_latency(shortfall.table):
        return f"{seen} is {times(shortfall.ratio)} the expected {expected} ({title})"
    return f"{seen} is {percent(1 - 1 / shortfall.ratio)} below the expected {expected} ({title})"


def _facts(found: list[Shortfall], placement: Placement) -> tuple[Fact, ...]:
    worst_first = sorted(found, key=lambda each: (not each.blocks, -each.ratio))
    return tuple(_fact(each, placement) for each in worst_first[:MOST_FACTS])


def _fact(shortfall: Shortfall, placement: Placement) -> Fact:
    table, arrow = shortfall.table, "->" if shortfall.table.directed else "<->"
    return Fact(
        metric=f"{table_title(table)}, {placement.name(shortfall.src)} {arrow} {placement.name(shortfall.dst)}",
        observed=rate(table, shortfall.p50_ns),
        expected=rate(table, shortfall.expected_ns),
        basis=shortfall.basis,
    )


DETECTOR = Detector(
    id=ID,
    title="rates far from what the site expects",
    cause="""All hosts are slow alike, so that nobody stands out: MPI fell back to TCP, took the management network
    instead of the fabric, or runs without RDMA; a switch layer or all NICs are configured for a lower rate. Or some
    hosts have older parts, and their peers are no better.""",
    evidence="""The median of every pair of ranks between hosts is compared with what is expected of it: bandwidth one
    way at the largest size, half of a round trip of latency at the smallest; over RDMA where that was measured, which
    is what NICs can do. What to expect is, in this order: expected_bandwidth_gbps and expected_latency_ns of the
    limits, which are of host memory; a site's own table (--expectations FILE); the table that netprobe brings
    (netprobe/judge/expectations.toml, with the source of each figure); line_rate_ratio.

    Below what the limits say, a pair is named when it misses it by more than pair_loss_ratio, or takes longer by more
    than latency_excess_ratio and latency_excess_floor_ns; it blocks beyond host_block_ratio and distance_excess_ratio.
    The tables hold for RDMA of ports that are hardware and tell their rate, shared by the ranks that use one: each
    entry is a part of that rate, for host memory or for the memory of a named GPU, and from a size and a number of
    queue pairs on. A gate counts as it is; what was published as typical or measured may be missed by pair_loss_ratio;
    beyond host_block_ratio bandwidth blocks. Where no entry fits, or for bonds, a pair below line_rate_ratio of its
    port degrades, with messages of 1 MiB or more: one queue pair, and one link of a bond, stay above that. A gap says
    what the table lacks, and when more queue pairs would be held against more.

    Collectives of GPUs are held against the busbw of the table at their largest size, where the GPUs, their number
    and, between hosts, the NICs and their rate are known and the same everywhere.

    A host is named when more than half of its partners see it, at least two; when all pairs are like that, or more than
    a third of all hosts, or more than a tenth of all pairs without a host that explains them, it is the fabric.""",
    remedy="""`netprobe doctor` shows the devices and what MPI was built for; `UCX_LOG_LEVEL=info` or
    `FI_LOG_LEVEL=info` show what it took. Name the device (UCX_NET_DEVICES, FI_PROVIDER, or the MPI's own option) and
    pass it on with --forward. Measure one pair with the vendor's tool (ib_write_bw) to tell MPI from the fabric. Where
    a figure is not right for this site, put your own before it: a TOML file of [[expectation]] for --expectations
    (docs/expectations.md); with `replace = true` at its top the shipped table is not used at all.""",
    limits=(
        "expected_bandwidth_gbps",
        "expected_latency_ns",
        "line_rate_ratio",
        "pair_loss_ratio",
        "host_block_ratio",
        "latency_excess_ratio",
        "latency_excess_floor_ns",
        "distance_excess_ratio",
    ),
    detect=detect,
)
