"""Bytes that arrived other than they were sent. One is enough."""

from collections.abc import Iterator
from dataclasses import dataclass

from netprobe.contracts import Detector
from netprobe.detectors._words import MOST_FACTS, listed, on_hosts, percent, size_title
from netprobe.locate.culprits import HostPair, blame_common_ends
from netprobe.locate.placement import placement_of
from netprobe.model.evidence import Evidence
from netprobe.model.finding import Confidence, Fact, Finding, Gap, Severity
from netprobe.model.limits import Limits
from netprobe.model.plan import Path
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
    wrongs = _wrongs(evidence)
    by_pair: dict[HostPair, list[_Wrong]] = {}
    for wrong in wrongs:
        if wrong.src is not None:
            ends = sorted((wrong.src.host, wrong.dst.host))
            by_pair.setdefault((ends[0], ends[1]), []).append(wrong)
    within = {pair for pair in by_pair if pair[0] == pair[1]}
    blame = blame_common_ends(by_pair.keys() - within)
    culprits = dict.fromkeys([*(pair[0] for pair in sorted(within)), *blame.hosts])
    for host in culprits:
        own = [wrong for pair, of_pair in by_pair.items() if host in pair for wrong in of_pair]
        yield _host_finding(host, own, blame.hosts.get(host, ()))
    for pair in blame.pairs:
        if not culprits.keys() & set(pair):
            yield _pair_finding(pair, by_pair[pair])
    collective = [wrong for wrong in wrongs if wrong.src is None]
    if collective:
        yield _collective_finding(collective)


@dataclass(frozen=True, slots=True, kw_only=True)
class _End:
    """A rank, and the port that it used where that is known."""

    host: str
    name: str
    port: str | None

    def __str__(self) -> str:
        return self.name if self.port is None else f"{self.name} ({self.port})"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Wrong:
    """A fault, and the way on which it came."""

    fault: Fault
    src: _End | None
    """None for a collective: who sent these bytes is not told."""
    dst: _End
    path: Path | None

    @property
    def way(self) -> str:
        """Between whom, and what carried it."""
        if self.src is None:
            return f"at {self.dst}"
        return f"from {self.src} to {self.dst}{'' if self.path is None else f' over {self.path.label}'}"


def _wrongs(evidence: Evidence) -> list[_Wrong]:
    """Return all faults with their ends; which port MPI uses is not told."""
    placement = placement_of(evidence.ranks)
    ports = {endpoint.rank: endpoint.name for endpoint in evidence.endpoints}
    paths = evidence.fault_paths or (None,) * len(evidence.faults)

    def end(rank: int, path: Path | None) -> _End:
        port = ports.get(rank) if path is Path.VERBS else None
        return _End(host=placement.host(rank), name=placement.name(rank), port=port)

    return [
        _Wrong(
            fault=fault,
            src=None if fault.peer is None else end(fault.peer, path),
            dst=end(fault.rank, path),
            path=path,
        )
        for fault, path in zip(evidence.faults, paths, strict=True)
    ]


def _has_data(evidence: Evidence) -> bool:
    """Return whether there was anything to compare: a barrier carries no data."""
    return bool(evidence.pairs) or not evidence.groups or any(group.probe != "barrier" for group in evidence.groups)


def _host_finding(host: str, wrongs: list[_Wrong], partners: tuple[str, ...]) -> Finding:
    with_whom = f"with {len(partners)} partners ({listed(partners)})" if partners else "between its own ranks"
    return Finding(
        detector=ID,
        severity=Severity.BLOCKS,
        confidence=Confidence.HIGH,
        subjects=(host,),
        hosts=(host,),
        summary=f"corrupts data {with_whom}{_role(host, wrongs)}: {_figures(wrongs)}",
        facts=_facts(wrongs),
        excluded=("its partners (no two of them fail with each other)",)
        if partners
        else ("the network (not crossed)",),
        next_action=f"take {host} out of service; test its memory, its NIC and its PCIe slot",
        retest=None,
    )


def _pair_finding(pair: HostPair, wrongs: list[_Wrong]) -> Finding:
    return Finding(
        detector=ID,
        severity=Severity.BLOCKS,
        confidence=Confidence.HIGH,
        subjects=pair,
        hosts=(),
        summary=f"data {_between(pair, wrongs)} is corrupted: {_figures(wrongs)}; "
        "one pair cannot tell which end does it",
        facts=_facts(wrongs),
        next_action="use neither host until each has been measured with another partner",
        retest=f"{on_hosts('netprobe check', pair)} and a third host",
    )


def _collective_finding(wrongs: list[_Wrong]) -> Finding:
    probes = dict.fromkeys(wrong.fault.probe for wrong in wrongs)
    return Finding(
        detector=ID,
        severity=Severity.BLOCKS,
        confidence=Confidence.HIGH,
        subjects=tuple(dict.fromkeys(wrong.dst.name for wrong in wrongs)),
        hosts=(),
        summary=f"wrong results of {listed(probes)}: {_figures(wrongs)}; who receives them need not have made them",
        facts=_facts(wrongs),
        next_action="measure all pairs (netprobe check --profile deep), then try another algorithm of the MPI library",
        retest=f"netprobe run {wrongs[0].fault.probe}{' --transport nccl' if wrongs[0].path is Path.NCCL else ''}",
    )


def _role(host: str, wrongs: list[_Wrong]) -> str:
    """Return whether a host was always the one that received, or that sent."""
    received = [wrong.dst.host == host for wrong in wrongs]
    sent = [wrong.src is not None and wrong.src.host == host for wrong in wrongs]
    if all(received) and not any(sent):
        return ", in what it receives"
    return ", in what it sends" if all(sent) and not any(received) else ""


def _between(pair: HostPair, wrongs: list[_Wrong]) -> str:
    """Return the direction of all faults of a pair, where it is one."""
    ways = {(wrong.src.host, wrong.dst.host) for wrong in wrongs if wrong.src is not None}
    if len(ways) > 1:
        return f"between {pair[0]} and {pair[1]}, both ways,"
    src, dst = next(iter(ways), pair)
    return f"from {src} to {dst}"


def _figures(wrongs: list[_Wrong]) -> str:
    first = wrongs[0].fault
    count = f"{len(wrongs)} faults, the first" if len(wrongs) > 1 else "a fault"
    return f"{count} {wrongs[0].way}, {first.probe} {size_title(first.size_bytes)}, {_damage(first)}"


def _damage(fault: Fault) -> str:
    noun = "byte" if fault.wrong_bytes == 1 else "bytes"
    return f"{fault.wrong_bytes} wrong {noun} from offset {fault.first_offset_bytes}, bits {_bits(fault)}"


def _bits(fault: Fault) -> str:
    """Return the differing bits of a word: the mask, how many they are, and the one that most flips are of."""
    count = fault.xor_mask.bit_count()
    flips, most = sum(fault.bit_counts), max(fault.bit_counts, default=0)
    led = f", {percent(most / flips)} of the flips bit {fault.bit_counts.index(most)}" if 2 * most > flips else ""
    return f"{fault.xor_mask:#018x} ({count} of {WORD_BITS}{led if count > 1 else ''})"


def _facts(wrongs: list[_Wrong]) -> tuple[Fact, ...]:
    return tuple(
        Fact(
            metric=f"{wrong.fault.probe} {size_title(wrong.fault.size_bytes)}, iteration {wrong.fault.iteration}, "
            f"{wrong.way}",
            observed=_damage(wrong.fault),
            expected="0 wrong bytes",
            basis="the pattern that was sent",
        )
        for wrong in wrongs[:MOST_FACTS]
    )


DETECTOR = Detector(
    id=ID,
    title="bytes that arrived other than they were sent",
    cause="""Memory, a NIC, a PCIe path or the communication library changed data that every checksum on the way let
    pass. A single bit that is always the same points at memory or a data line; all bits of whole words at a message
    that never came, came twice or landed in the wrong place: a library, driver or IOMMU fault rather than a wire.""",
    evidence="""Every checked iteration carries a pattern of its own for each rank, iteration and offset, or
    integers whose reduction is exact; it is compared outside the timed span. A finding gives the receiving rank,
    the peer, what carried the bytes, on RDMA the ports of both, the first offset, the number of wrong bytes, and
    the bits that differed in any 8-byte word. A host is blamed when it is what faults with different peers have in
    common. In a collective, who receives wrong bytes need not have made them.""",
    remedy="""Do not start a job: results would be wrong without a message. Measure each end with another partner to
    find the host. There: ECC and machine-check logs (`rasdaemon`, `dmesg`), a memory test, NIC firmware, PCIe error
    counters. If no host stands out, try another transport or algorithm of the MPI library, and report it to its
    makers.""",
    limits=(),
    detect=detect,
)
