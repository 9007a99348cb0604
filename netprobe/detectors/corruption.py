"""Bytes that arrived other than they were sent. One is enough."""

from collections.abc import Iterator

from netprobe.contracts import Detector
from netprobe.detectors._words import MOST_FACTS, listed, on_hosts, size_title
from netprobe.locate.culprits import HostPair, blame_common_ends
from netprobe.locate.placement import Placement, placement_of
from netprobe.model.evidence import Evidence
from netprobe.model.finding import Confidence, Fact, Finding, Gap, Severity
from netprobe.model.limits import Limits
from netprobe.model.series import Fault

ID = "corruption"
WORD_BITS = 64


def detect(evidence: Evidence, limits: Limits) -> Iterator[Finding | Gap]:  # noqa: ARG001 - a wrong byte has no limit
    """Name who received wrong bytes, and the host that all of it has in common if there is one."""
    if not evidence.faults and evidence.coverage.checked_iterations == 0 and _has_data(evidence):
        yield Gap(
            topic=ID,
            reason="data not checked: no iteration compared what arrived with what was sent",
            remedy="netprobe check, or netprobe run with --check 1",
        )
        return
    placement = placement_of(evidence.ranks)
    by_pair: dict[HostPair, list[Fault]] = {}
    for fault in evidence.faults:
        if fault.peer is not None:
            ends = sorted((placement.host(fault.rank), placement.host(fault.peer)))
            by_pair.setdefault((ends[0], ends[1]), []).append(fault)
    within = {pair for pair in by_pair if pair[0] == pair[1]}
    blame = blame_common_ends(by_pair.keys() - within)
    culprits = dict.fromkeys([*(pair[0] for pair in sorted(within)), *blame.hosts])
    for host in culprits:
        faults = [fault for pair, of_pair in by_pair.items() if host in pair for fault in of_pair]
        yield _host_finding(host, faults, blame.hosts.get(host, ()), placement)
    for pair in blame.pairs:
        if not culprits.keys() & set(pair):
            yield _pair_finding(pair, by_pair[pair], placement)
    collective = [fault for fault in evidence.faults if fault.peer is None]
    if collective:
        yield _collective_finding(collective, placement)


def _has_data(evidence: Evidence) -> bool:
    """Return whether there was anything to compare: a barrier carries no data."""
    return bool(evidence.pairs) or not evidence.groups or any(group.probe != "barrier" for group in evidence.groups)


def _host_finding(host: str, faults: list[Fault], partners: tuple[str, ...], placement: Placement) -> Finding:
    with_whom = f"with {len(partners)} partners ({listed(partners)})" if partners else "between its own ranks"
    return Finding(
        detector=ID,
        severity=Severity.BLOCKS,
        confidence=Confidence.HIGH,
        subjects=(host,),
        hosts=(host,),
        summary=f"corrupts data {with_whom}: {_figures(faults, placement)}",
        facts=_facts(faults, placement),
        excluded=("its partners (no two of them fail with each other)",)
        if partners
        else ("the network (not crossed)",),
        next_action=f"take {host} out of service; test its memory, its NIC and its PCIe slot",
        retest=None,
    )


def _pair_finding(pair: HostPair, faults: list[Fault], placement: Placement) -> Finding:
    return Finding(
        detector=ID,
        severity=Severity.BLOCKS,
        confidence=Confidence.HIGH,
        subjects=pair,
        hosts=(),
        summary=f"data between {pair[0]} and {pair[1]} is corrupted: {_figures(faults, placement)}; "
        "one pair cannot tell which end does it",
        facts=_facts(faults, placement),
        next_action="use neither host until each has been measured with another partner",
        retest=f"{on_hosts('netprobe check', pair)} and a third host",
    )


def _collective_finding(faults: list[Fault], placement: Placement) -> Finding:
    probes = dict.fromkeys(fault.probe for fault in faults)
    return Finding(
        detector=ID,
        severity=Severity.BLOCKS,
        confidence=Confidence.HIGH,
        subjects=tuple(dict.fromkeys(placement.name(fault.rank) for fault in faults)),
        hosts=(),
        summary=f"wrong results of {listed(probes)}: {_figures(faults, placement)}; "
        "who receives them need not have made them",
        facts=_facts(faults, placement),
        next_action="measure all pairs (netprobe check --profile deep), then try another algorithm of the MPI library",
        retest=f"netprobe run {faults[0].probe}",
    )


def _figures(faults: list[Fault], placement: Placement) -> str:
    first = faults[0]
    count = f"{len(faults)} faults, the first" if len(faults) > 1 else "a fault"
    return f"{count} at {placement.name(first.rank)}, {first.probe} {size_title(first.size_bytes)}, {_damage(first)}"


def _damage(fault: Fault) -> str:
    noun = "byte" if fault.wrong_bytes == 1 else "bytes"
    return f"{fault.wrong_bytes} wrong {noun} from offset {fault.first_offset_bytes}, bits {_bits(fault.xor_mask)}"


def _bits(xor_mask: int) -> str:
    """Return the differing bits of a word: the mask, and how many they are."""
    count = xor_mask.bit_count()
    return f"{xor_mask:#018x} ({count} of {WORD_BITS})"


def _facts(faults: list[Fault], placement: Placement) -> tuple[Fact, ...]:
    return tuple(
        Fact(
            metric=f"{fault.probe} {size_title(fault.size_bytes)}, iteration {fault.iteration}, "
            + (f"from {placement.name(fault.peer)} " if fault.peer is not None else "")
            + f"at {placement.name(fault.rank)}",
            observed=_damage(fault),
            expected="0 wrong bytes",
            basis="the pattern that was sent",
        )
        for fault in faults[:MOST_FACTS]
    )


DETECTOR = Detector(
    id=ID,
    title="bytes that arrived other than they were sent",
    cause="""Memory, a NIC, a PCIe path or the communication library changed data that every checksum on the way let
    pass. A single bit that is always the same points at memory or a data line; all bits of whole words at a message
    that never came, came twice or landed in the wrong place: a library, driver or IOMMU fault rather than a wire.""",
    evidence="""Every checked iteration carries a pattern of its own for each rank, iteration and offset, or
    integers whose reduction is exact; it is compared outside the timed span. A finding gives the receiving rank,
    the peer, the first offset, the number of wrong bytes, and the bits that differed in any 8-byte word. A host is
    blamed when it is what faults with different peers have in common. In a collective, who receives wrong bytes
    need not have made them.""",
    remedy="""Do not start a job: results would be wrong without a message. Measure each end with another partner to
    find the host. There: ECC and machine-check logs (`rasdaemon`, `dmesg`), a memory test, NIC firmware, PCIe error
    counters. If no host stands out, try another transport or algorithm of the MPI library, and report it to its
    makers.""",
    limits=(),
    detect=detect,
)
