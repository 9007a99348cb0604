"""Packets of a whole MTU that vanish where small ones pass, and hosts whose MTU is not that of the others."""

from collections import Counter
from collections.abc import Iterator

from netprobe.contracts import Detector
from netprobe.detectors._benched import facts, where
from netprobe.detectors._words import listed
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
    for benched in black_holes:
        yield _black_hole(benched, evidence)
    out = {each.host for each in evidence.benched}
    stuck = {(min(pair.hosts), max(pair.hosts)) for pair in evidence.stuck_pairs}
    lone = lone_silences(evidence.paths, out)
    pairs = {pair for pair, silence in lone.items() if silence is Silence.LARGE}
    pairs |= {pair for pair in stuck if silence_of(evidence.paths, pair) is Silence.LARGE}
    for hosts in sorted(pairs):
        yield _pair(hosts)
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
        retest=f"netprobe run bandwidth --hosts {','.join((host, *dict.fromkeys(path.dst for path in sent)))}",
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


def _pair(hosts: tuple[str, str]) -> Finding:
    first, second = hosts
    return Finding(
        detector=ID,
        severity=Severity.BLOCKS,
        confidence=Confidence.MEDIUM,
        subjects=(f"{first} <-> {second}",),
        hosts=(),
        summary="packets of a whole MTU vanish between them, small ones pass, and both are fine with others",
        excluded=("the hosts (fine with others)",),
        next_action="compare the MTU of the switch ports on the way between the two",
        retest=f"netprobe run bandwidth --hosts {first},{second}",
    )


def _odd_settings(evidence: Evidence) -> Iterator[Finding]:
    """Warn of hosts whose MTU on a network is not that of most others there."""
    found: dict[str, list[tuple[str, Interface]]] = {}
    addresses = Counter(each.address for rank in evidence.ranks for each in rank.interfaces)
    for rank in evidence.ranks:
        for each in rank.interfaces:
            if addresses[each.address] == 1:  # else one of a bridge for containers, which leads nowhere
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
    answer is small, the direction is known. Settings are compared on every network with three hosts or more.""",
    remedy="""`ping -M do -s 8972 ADDRESS` repeats it for an MTU of 9000. Set the same MTU on host ports, leaf ports
    and uplinks; switches need some room more than the hosts' MTU for headers.""",
    limits=(),
    detect=detect,
)
