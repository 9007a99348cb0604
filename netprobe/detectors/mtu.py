"""Packets of a whole MTU that vanish where small ones pass, and hosts whose MTU is not that of the others."""

from collections import Counter
from collections.abc import Iterator

from netprobe.contracts import Detector
from netprobe.detectors._benched import are_most_out, aside_words, facts, failed, set_aside, stuck_alone, where
from netprobe.detectors._fleet import roce_ports
from netprobe.detectors._words import listed, on_hosts
from netprobe.locate.cuts import Cut, elsewhere, widespread
from netprobe.locate.silence import Silence, answering, lone_silences, silence_of
from netprobe.model.endpoint import Interface
from netprobe.model.evidence import Evidence
from netprobe.model.finding import Confidence, Fact, Finding, Gap, Severity
from netprobe.model.limits import Limits
from netprobe.model.standing import Benched, Fate, PathAnswer

ID = "mtu"
FEWEST_HOSTS = 3  # of two that differ, neither is the odd one


def detect(evidence: Evidence, _limits: Limits) -> Iterator[Finding | Gap]:
    """Name hosts behind a black hole for large packets, pairs with one between them, and odd settings."""
    black_holes = [each for each in evidence.benched if each.fate is Fate.BLACK_HOLE]
    for benched in () if are_most_out(evidence) else black_holes:
        yield _black_hole(benched, evidence)
    common = [each for each in widespread(evidence.paths) if each.silence is Silence.LARGE]
    yield from (_fabric(each) for each in common)
    stuck = {(min(pair.hosts), max(pair.hosts)) for pair in stuck_alone(evidence)}
    lone = lone_silences(elsewhere(evidence.paths, common), failed(evidence))
    pairs = {pair for pair, silence in lone.items() if silence is Silence.LARGE}
    pairs |= {pair for pair in stuck if silence_of(evidence.paths, pair) is Silence.LARGE}
    for hosts in sorted(pairs):
        yield _pair(hosts, set_aside(hosts, evidence))
    named = {each.host for each in black_holes}
    yield from (each for each in _odd_settings(evidence) if not set(each.subjects) <= named)
    if evidence.paths and any(path.small and path.full is None for path in evidence.paths):
        yield Gap(topic=ID, reason="some hosts could not send packets of a whole MTU", remedy="Linux on all hosts")


def _black_hole(benched: Benched, evidence: Evidence) -> Finding:
    host = benched.host
    paths = [path for path in answering(evidence.paths) if path.small and path.full is not None]
    sent = [path for path in paths if path.src == host]
    received = [path for path in paths if path.dst == host]
    lost_sent, lost_received = _lost(sent), _lost(received)
    ways = [verb for verb, lost in (("sends", lost_sent), ("is sent", lost_received)) if lost]
    size = max((path.mtu_bytes for path in paths if path.full is False), default=0)
    return Finding(
        detector=ID,
        severity=Severity.BLOCKS,
        confidence=Confidence.HIGH,
        subjects=(host,),
        hosts=(host,),
        summary=f"packets of {size} bytes that it {' and '.join(ways) or 'exchanges'} vanish{where(benched)}; "
        "small ones pass",
        facts=(
            *facts(benched),
            *(_fact("sent", sent, lost_sent), _fact("received", received, lost_received)),
        ),
        excluded=("the host and its link (small packets pass both ways)", "its partners (they are fine with others)"),
        next_action="compare the MTU of the switch ports on its way with its own, leaf port first",
        retest=on_hosts("netprobe run bandwidth", (host, *dict.fromkeys(path.dst for path in sent))),
    )


def _fabric(cut: Cut) -> Finding:
    fact = Fact(
        metric="hosts between which packets of a whole MTU pass",
        observed="; ".join(listed(group) for group in cut.groups if len(group) > 1) or "none",
        expected="all",
        basis="the path check",
    )
    return Finding(
        detector=ID,
        severity=Severity.BLOCKS,
        confidence=Confidence.HIGH,
        subjects=("fabric",),
        hosts=(),
        summary=f"{cut.words}: the MTU of its switches is below the hosts' {cut.mtu_bytes}",
        facts=(fact,),
        excluded=("single hosts and paths (most of them lose these packets)",),
        next_action=f"set the MTU of the switches to carry {cut.mtu_bytes} bytes and their headers, or the hosts' to "
        "what the switches carry",
        retest=on_hosts("netprobe run bandwidth", cut.example),
    )


def _lost(paths: list[PathAnswer]) -> int:
    return sum(path.full is False for path in paths)


def _fact(verb: str, paths: list[PathAnswer], lost: int) -> Fact:
    return Fact(
        metric=f"packets of a whole MTU, {verb}",
        observed=f"{lost} of {len(paths)} paths lose them",
        expected="none",
        basis="the path check; small packets were answered on all of these",
    )


def _pair(hosts: tuple[str, str], aside: Benched | None) -> Finding:
    first, second = hosts
    return Finding(
        detector=ID,
        severity=Severity.BLOCKS,
        confidence=Confidence.MEDIUM if aside is None else Confidence.HIGH,  # all ranks waited for it
        subjects=(f"{first} <-> {second}",),
        hosts=(),
        summary="packets of a whole MTU vanish between them, small ones pass, and both are fine with others"
        f"{aside_words(aside)}",
        facts=() if aside is None else facts(aside),
        excluded=("the hosts (fine with others)",),
        next_action="compare the MTU of the switch ports on the way between the two",
        retest=on_hosts("netprobe run bandwidth", (first, second)),
    )


def _odd_settings(evidence: Evidence) -> Iterator[Finding]:
    """Warn of hosts whose MTU on a network is not that of most others there; mtu-mismatch tells of RDMA's."""
    found: dict[str, list[tuple[str, Interface]]] = {}
    carriers = {(each.host, each.port.netdev) for each in roce_ports(evidence)}
    addresses = Counter(each.address for rank in evidence.ranks for each in rank.interfaces)
    for rank in evidence.ranks:
        for each in rank.interfaces:
            is_shared = addresses[each.address] > 1  # one of a bridge for containers, which leads nowhere
            if not is_shared and (rank.host, each.name) not in carriers:
                found.setdefault(each.network, []).append((rank.host, each))
    for network, members in found.items():
        if len(members) < FEWEST_HOSTS:
            continue
        (usual, count), *_ = Counter(each.mtu_bytes for _, each in members).most_common()
        odd = [(host, each) for host, each in members if each.mtu_bytes != usual]
        if odd and 2 * count > len(members):
            yield _odd(network, usual, count, odd)


def _odd(network: str, usual: int, count: int, odd: list[tuple[str, Interface]]) -> Finding:
    hosts = tuple(dict.fromkeys(host for host, _ in odd))
    values = ", ".join(dict.fromkeys(str(each.mtu_bytes) for _, each in odd))
    return Finding(
        detector=ID,
        severity=Severity.WARNS,
        confidence=Confidence.HIGH,
        subjects=hosts,
        hosts=(),
        summary=f"MTU {values} on {network}, where {count} others have {usual}",
        facts=tuple(
            Fact(metric=f"MTU of {host} {each.name}", observed=str(each.mtu_bytes), expected=str(usual),
                 basis=f"most hosts of {network}")
            for host, each in odd
        ),
        next_action=f"set the MTU of {listed(sorted({each.name for _, each in odd}))} there to {usual}",
    )  # fmt: skip


DETECTOR = Detector(
    id=ID,
    title="large packets that vanish, or an MTU that differs",
    cause="""A port on the way takes smaller packets than the hosts send, and drops the others without a word: small
    messages pass, and the first large one never arrives. Or a host's own MTU differs from that of its peers.""",
    evidence="""Nothing came from the ranks for a deadline. Each host then sent single packets to the others that may
    not be divided, small ones and some of its whole MTU: the small were answered and the large were not. Since the
    answer is small, the direction is known. Where most hosts lose them, the fabric is named. Settings are compared on
    every network with three hosts or more.""",
    remedy="""`ping -M do -s 8972 ADDRESS` repeats it for an MTU of 9000. Set the same MTU on host ports, leaf ports
    and uplinks; switches need some room more than the hosts' MTU for headers.""",
    limits=(),
    detect=detect,
)
