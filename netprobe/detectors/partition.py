"""Hosts that are up and cannot reach others: a fabric that is cut in two, or one host that is cut off from it."""

from collections.abc import Iterator

from netprobe.contracts import Detector
from netprobe.detectors._benched import are_most_out, aside_words, facts, failed, set_aside, stuck_alone, where
from netprobe.detectors._words import listed, on_hosts
from netprobe.locate.cuts import Cut, elsewhere, widespread
from netprobe.locate.silence import Silence, lone_silences, sides, silence_of, silent_networks
from netprobe.model.evidence import Evidence
from netprobe.model.finding import Confidence, Fact, Finding, Gap, Severity
from netprobe.model.limits import Limits
from netprobe.model.standing import Benched, Fate, PathAnswer

ID = "partition"


def detect(evidence: Evidence, _limits: Limits) -> Iterator[Finding | Gap]:
    """Name the hosts on the other side of a cut, and pairs between which nothing passes."""
    cut = tuple(each for each in evidence.benched if each.fate is Fate.CUT_OFF)
    if cut and not are_most_out(evidence):
        yield _cut(cut, evidence)
    common = [each for each in widespread(evidence.paths) if each.silence is Silence.NOTHING]
    yield from (_fabric(each) for each in common)
    stuck = {(min(pair.hosts), max(pair.hosts)) for pair in stuck_alone(evidence)}
    lone = lone_silences(elsewhere(evidence.paths, common), failed(evidence))
    named = {pair for pair, silence in lone.items() if silence is Silence.NOTHING}
    named |= {pair for pair in stuck if silence_of(evidence.paths, pair) is Silence.NOTHING}
    for hosts in sorted(named):
        yield _silent_pair(hosts, set_aside(hosts, evidence))
    if evidence.paths and not any(path.small for path in evidence.paths):
        yield Gap(
            topic=ID,
            reason="no path answered at all, so the network filters UDP or ICMP and silence says nothing",
            remedy="let hosts answer `port unreachable` on the fabric network",
        )


def _cut(cut: tuple[Benched, ...], evidence: Evidence) -> Finding:
    hosts = tuple(each.host for each in cut)
    networks = silent_networks(evidence.paths)
    network, paths = _most_cut(networks, hosts)
    silent, across = sides(paths, hosts)
    everyone = dict.fromkeys(host for path in paths for host in (path.src, path.dst))
    others = tuple(host for host in everyone if host not in hosts)
    whom = "each other host" if len(hosts) == 1 else f"{len(others)} others ({listed(others)})"
    return Finding(
        detector=ID,
        severity=Severity.BLOCKS,
        confidence=Confidence.HIGH,
        subjects=hosts,
        hosts=hosts,
        summary=f"cut off from {whom}{where(cut[0])}: {silent} of {across} paths over {network} give no answer",
        facts=(*facts(cut[0]), *_beside(paths, hosts)),
        excluded=("the hosts (they answer over the management network)",),
        next_action=_next_action(hosts),
        retest=on_hosts("netprobe check", (*hosts[:2], *others[:2])),
    )


def _fabric(cut: Cut) -> Finding:
    groups = [group for group in cut.groups if len(group) > 1]
    apart = len(cut.groups) > 1
    fact = Fact(
        metric="hosts that reach each other",
        observed="; ".join(listed(group) for group in groups) or "none",
        expected="all",
        basis="the path check",
    )
    return Finding(
        detector=ID,
        severity=Severity.BLOCKS,
        confidence=Confidence.HIGH,
        subjects=("fabric",),
        hosts=(),
        summary=f"{f'falls into {len(cut.groups)} parts: ' if apart else ''}{cut.words}",
        facts=(fact,) if apart else (),
        excluded=("single hosts (all of them answer the roll call, and most are cut off from others)",),
        next_action="look at what joins the parts: spines, uplinks, routes, VLANs, and what was changed there last",
        retest=on_hosts("netprobe run latency", cut.example),
    )


def _most_cut(
    networks: dict[str, tuple[PathAnswer, ...]], hosts: tuple[str, ...]
) -> tuple[str, tuple[PathAnswer, ...]]:
    """Return the network on which most paths to these hosts are silent; an unnamed one when none was recorded."""
    ranked = sorted(networks.items(), key=lambda item: -sides(item[1], hosts)[0])
    return ranked[0] if ranked else ("the fabric", ())


def _beside(paths: tuple[PathAnswer, ...], hosts: tuple[str, ...]) -> tuple[Fact, ...]:
    """Return how the paths within each side do: what divides a cut from a network that is down."""
    within = [path for path in paths if (path.src in hosts) == (path.dst in hosts)]
    if not within:
        return ()
    heard = sum(path.small for path in within)
    observed = f"{heard} of {len(within)} answer"
    return (Fact(metric="paths within each side", observed=observed, expected="all", basis="the path check"),)


def _next_action(hosts: tuple[str, ...]) -> str:
    if len(hosts) == 1:
        return "check its fabric port, cable, VLAN and address, then the leaf port's filters"
    return "check what joins these hosts with the rest: uplinks, VLANs, routes and filters of their leaf"


def _silent_pair(hosts: tuple[str, str], aside: Benched | None) -> Finding:
    first, second = hosts
    return Finding(
        detector=ID,
        severity=Severity.BLOCKS,
        confidence=Confidence.MEDIUM if aside is None else Confidence.HIGH,  # all ranks waited for it
        subjects=(f"{first} <-> {second}",),
        hosts=(),
        summary=f"no packet passes, though both hosts answer and reach others{aside_words(aside)}",
        facts=() if aside is None else facts(aside),
        excluded=("the hosts (both reach others)",),
        next_action="look for a filter, a stale neighbour entry or a route that fits this pair of addresses alone",
        retest=on_hosts("netprobe run latency", (first, second)),
    )


DETECTOR = Detector(
    id=ID,
    title="hosts that are up and cannot reach others",
    cause="""A leaf that lost its uplinks, a VLAN, partition key or filter that differs, a fabric port that is up and
    forwards nothing, a stale neighbour entry. The hosts run, and their management network answers.""",
    evidence="""Nothing came from the ranks for a deadline, all hosts answered, and no process was stopped. Each host
    then sent small packets to closed ports of the others, over every network they share; a kernel that gets one
    answers. Hosts outside the largest set that reaches itself are on the other side of the cut; where it has two
    equal halves, the one without the first host is named; where most hosts are outside, the fabric is. A network that
    answers nobody proves nothing, and hosts that share none are not tried. When all ranks wait and a single path is
    silent, one of its ends is set aside, and the path is named, not the host.""",
    remedy="""One host: its port, cable, VLAN and address. Many hosts of one leaf: the leaf's uplinks and routes, and
    what was changed there last. `ip neigh`, `ip route get ADDRESS` and the switch's forwarding table for a pair.""",
    limits=(),
    detect=detect,
)
