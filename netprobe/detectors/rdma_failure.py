"""Pairs that could not go on over RDMA: whose fault it is, what the NIC said, and what that means.

Does not handle: which direction it is; both ends wait for each other, and only the one that noticed tells. Nor hosts
that are gone: dead-host and hung-host name them.
"""

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from typing import Final

from netprobe.catalogue.completions import reading_of, vendor_words
from netprobe.contracts import Detector
from netprobe.detectors._rdma_case import (
    FailureCase,
    common_misfit,
    failure_case,
    hosts_of,
    misfits_of,
    own_faults,
)
from netprobe.detectors._rdma_ends import Misfit
from netprobe.detectors._rdma_leaves import CutLeaves, cut_leaves
from netprobe.detectors._words import MOST_FACTS, listed, on_hosts, size_title
from netprobe.locate.culprits import Blame, HostPair, blame_witnessed
from netprobe.locate.placement import Placement
from netprobe.model.evidence import Evidence
from netprobe.model.finding import Confidence, Fact, Finding, Gap, Severity
from netprobe.model.limits import Limits
from netprobe.model.rdma import Breakdown, FailurePhase, PairFailure
from netprobe.units import format_duration

ID: Final = "rdma-failure"
SURE_WITH_PARTNERS: Final = 3
MOST_CULPRITS_RATIO: Final = 1 / 3  # with more hosts to blame, it is what lies between them
FABRIC_RATIO: Final = 0.5  # of the pairs that no bad host explains
PHASES: Final = {
    FailurePhase.SET_UP: "while the connection was made",
    FailurePhase.FIRST_MESSAGE: "at the first message",
    FailurePhase.LATER: "after it had worked",
}


def detect(evidence: Evidence, _limits: Limits) -> Iterator[Finding | Gap]:
    """Name leaves, hosts, pairs or the fabric for what could not go on."""
    case = failure_case(evidence)
    if not case.measured:
        yield from _untried(evidence, case.placement)
        return
    own = own_faults(case)
    cuts = cut_leaves(case, own)
    yield from (_leaf_finding(case, cut) for cut in cuts)
    case = case.without(each for cut in cuts for each in cut.failures)
    left = {pair for pair in case.by_pair if not own.keys() & set(pair)}
    tried = {pair for pair in case.measured if not own.keys() & set(pair)}
    blame = blame_witnessed(left, tried)
    if len(blame.hosts) > MOST_CULPRITS_RATIO * len(case.placement.hosts):
        blame = Blame(hosts={}, pairs=tuple(sorted(left)))
    for host, witnesses in (*own.items(), *blame.hosts.items()):
        yield _host_finding(case, host, witnesses, is_own=host in own)
    open_pairs = [pair for pair in tried if not blame.hosts.keys() & set(pair)]
    if len(blame.pairs) > max(1, FABRIC_RATIO * len(open_pairs)):
        yield _fabric_finding(case, blame.pairs, len(open_pairs))
        return
    for pair in blame.pairs:
        yield _pair_finding(case, pair)


def _untried(evidence: Evidence, placement: Placement) -> Iterator[Gap]:
    """Say that a run with RDMA in its plan tells nothing of it."""
    if not evidence.endpoints or evidence.failures:
        return
    hosts = list(dict.fromkeys(placement.host(each.rank) for each in evidence.endpoints))
    who = f"{hosts[0]} alone can use it" if len(hosts) == 1 else "the run ended before any pair was tried"
    yield Gap(topic=ID, reason=f"nothing is known of RDMA between hosts: {who}", remedy="netprobe doctor on the others")


def _host_finding(case: FailureCase, host: str, witnesses: tuple[str, ...], *, is_own: bool) -> Finding:
    pairs = [pair for pair in case.by_pair if host in pair]
    found = case.of(pairs)
    tried = sum(host in pair for pair in case.measured)
    partners = [next(each for each in pair if each != host) for pair in pairs]
    is_sure = len(witnesses) >= (2 if is_own else SURE_WITH_PARTNERS)
    misfit = None if is_own else common_misfit(case, found)
    excluded = ("its partners (the call that failed needs none of them)",) if is_own else ()
    if not is_own:
        excluded = (f"its partners ({listed(witnesses)} work with others)",)
    return Finding(
        detector=ID,
        severity=Severity.BLOCKS,
        confidence=Confidence.HIGH if is_sure else Confidence.MEDIUM,
        subjects=(host,),
        hosts=(host,),
        summary=f"cannot use RDMA with {len(pairs)} of {tried} partners ({listed(partners)}): {_figure(found, misfit)}",
        facts=_facts(case, found, misfit),
        excluded=(*excluded, *_mpi_works(case, pairs)),
        next_action=_next_action(found, misfit),
        retest=_retest(found, [host, *(witnesses or partners)[:2]]),
    )


def _pair_finding(case: FailureCase, pair: HostPair) -> Finding:
    found = case.of([pair])
    misfit = common_misfit(case, found)
    has_others = len(case.placement.hosts) > 2
    works = [end for end in pair if any(end in each for each in case.measured - case.by_pair.keys())]
    name = f"{pair[0]} <-> {pair[1]}"
    return Finding(
        detector=ID,
        severity=Severity.BLOCKS,
        confidence=Confidence.HIGH if len(works) == len(pair) else Confidence.MEDIUM,
        subjects=(name,),
        hosts=(),
        summary=f"{name} cannot use RDMA with each other: {_figure(found, misfit)}"
        + ("" if has_others else "; with two hosts there is nobody to compare with"),
        facts=_facts(case, found, misfit),
        excluded=(
            *((f"{' and '.join(works)} themselves (they work with others)",) if works else ()),
            *_mpi_works(case, [pair]),
        ),
        next_action=_next_action(found, misfit),
        retest=_retest(found, list(pair)),
    )


def _leaf_finding(case: FailureCase, cut: CutLeaves) -> Finding:
    found = case.of(cut.pairs)
    misfit = common_misfit(case, found)
    is_one = len(cut.names) == 1
    whom = f"NICs behind {listed(cut.witnesses)}" if is_one else "each other's NICs"
    subject = cut.subject
    return Finding(
        detector=ID,
        severity=Severity.BLOCKS,
        confidence=Confidence.HIGH if len(cut.witnesses) >= SURE_WITH_PARTNERS else Confidence.MEDIUM,
        subjects=(subject,),
        hosts=cut.hosts,
        summary=f"{subject}: {cut.failed} of {cut.tried} pairs of NICs cannot reach {whom} over RDMA, "
        f"one fault and not {cut.failed}: {_figure(found, misfit)}",
        facts=_facts(case, found, misfit),
        excluded=(
            "single hosts (all pairs across are cut off)",
            *((f"the other leaves ({listed(cut.witnesses)} reach each other)",) if is_one else ()),
            *_mpi_works(case, cut.pairs),
        ),
        next_action=f"compare filters for RoCE (UDP 4791), VLANs, partition keys and routes of {subject} with those of "
        f"others; then {_next_action(found, misfit)}",
        retest="netprobe check --transport verbs --all-pairs",
    )


def _fabric_finding(case: FailureCase, pairs: Sequence[HostPair], tried: int) -> Finding:
    found = case.of(pairs)
    misfit = common_misfit(case, found)
    return Finding(
        detector=ID,
        severity=Severity.BLOCKS,
        confidence=Confidence.HIGH if len(pairs) == tried else Confidence.MEDIUM,
        subjects=("fabric",),
        hosts=(),
        summary=f"{len(pairs)} of {tried} pairs of hosts cannot use RDMA: {_figure(found, misfit)}",
        facts=_facts(case, found, misfit),
        excluded=("single hosts and paths (too many pairs share it)", *_mpi_works(case, pairs)),
        next_action=_next_action(found, misfit)
        if misfit
        else "look for what all share: a filter for RoCE (UDP 4791), VLANs, MTU; then "
        + reading_of(found[0].cause).check,
        retest=_retest(found, list(pairs[0])),
    )


def _figure(found: Sequence[PairFailure], misfit: Misfit | None) -> str:
    """Return what was said, when, and what it means; what cannot work anyway goes first."""
    cause = found[0].cause
    if misfit is not None and misfit.explains:
        return misfit.what
    said = f"{_said(cause)} {PHASES[cause.phase]}, {reading_of(cause).meaning}"
    return said if misfit is None else f"{misfit.what}; {said}"


def _said(cause: Breakdown) -> str:
    if cause.status is not None:
        return cause.status
    if cause.error is not None:
        return f"{cause.call}: {cause.error}"
    return f"nothing completed for {format_duration(cause.waited_ns)}" if cause.waited_ns else f"{cause.call} failed"


def _facts(case: FailureCase, found: Sequence[PairFailure], misfit: Misfit | None) -> tuple[Fact, ...]:
    own = () if misfit is None or misfit.explains else tuple(_misfit_facts(case, found, misfit.what))
    first = {hosts_of(case.placement, each.src, each.dst): each for each in reversed(found)}
    told = [_fact(case, each) for each in found if first[hosts_of(case.placement, each.src, each.dst)] is each]
    return (*own[: MOST_FACTS // 2], *told)[:MOST_FACTS]


def _fact(case: FailureCase, failure: PairFailure) -> Fact:
    cause, name = failure.cause, case.placement.name
    size = "" if failure.size_bytes is None else f" {size_title(failure.size_bytes)}"
    code = vendor_words(_driver(case, cause.rank), cause.vendor_error)
    after = f"after {cause.after_messages:,} messages" if cause.after_messages else ""
    return Fact(
        metric=f"RDMA {failure.probe}{size}, {name(failure.src)} <-> {name(failure.dst)}, {cause.phase}",
        observed=", ".join(part for part in (_said(cause), code, after) if part),
        expected="no failure",
        basis=f"{cause.call} on {name(cause.rank)}",
    )


def _driver(case: FailureCase, rank: int) -> str | None:
    end = case.ends.get(rank)
    return None if end is None or end.port is None else end.port.port.driver


def _misfit_facts(case: FailureCase, found: Sequence[PairFailure], what: str) -> Iterator[Fact]:
    told: dict[str, Fact] = {}
    for failure in found:
        for misfit in misfits_of(case, failure):
            for rank, value in ((failure.src, misfit.a), (failure.dst, misfit.b)):
                if misfit.what == what:
                    end = case.ends[rank].endpoint
                    metric = f"{case.placement.host(rank)} {end.name}, GID {end.gid_index}"
                    told.setdefault(metric, Fact(metric=metric, observed=value, expected="the same", basis=what))
    return iter(told.values())


def _mpi_works(case: FailureCase, pairs: Iterable[HostPair]) -> tuple[str, ...]:
    """Say that these hosts are up, however their NICs do."""
    working = set(chain.from_iterable(case.over_mpi))
    return (
        ("a host that is gone (MPI works on all of these)",) if working.issuperset(chain.from_iterable(pairs)) else ()
    )


def _next_action(found: Sequence[PairFailure], misfit: Misfit | None) -> str:
    if misfit is not None and misfit.explains:
        return misfit.check
    reading = reading_of(found[0].cause)
    if misfit is not None:
        return f"{misfit.check}; if it stays: {reading.check}"
    return f"usual causes: {reading.causes}; {reading.check}"


def _retest(found: Sequence[PairFailure], hosts: Sequence[str]) -> str:
    return on_hosts(f"netprobe run {found[0].probe} --transport verbs", hosts)


DETECTOR = Detector(
    id=ID,
    title="pairs that cannot go on with each other over RDMA",
    cause="""A queue pair is bound to an address of the NIC (GID), to a path MTU and to a lossless or lossy class, and
    gives up when no acknowledgement comes. While connections are made: the address of the other end is refused or
    cannot be resolved (another kind or index of GID, no route, another VLAN). At the first message: a filter, an ACL, a
    path that works one way, GIDs that cannot reach each other. Later: packets that are lost, a link that goes down, a
    receiver that stands still. Or the NIC of one host refuses: locked memory, firmware, GPU mappings.""",
    evidence="""Each round makes connections of its own, so one that fails ends that round of that pair alone, and the
    others are measured. What failed is recorded: the call, the status of the completion, the NIC's own code, how many
    messages had gone well. A host is named when more than half of its pairs fail and at least two of their other ends
    work with others, or when its own calls fail; a pair otherwise; the fabric when more than half of the pairs fail.
    Where the two ends do not fit (kind, family or subnet of their addresses, MTU, a port that is down), that is said
    before all else, as is a smaller MTU on the way, where of reach only the small datagrams arrive. Failures that came
    after it had worked are told with a link that flaps or loses packets. Where leaves are known, and of three NICs or
    more on either side no pair across goes on, the leaf is named that reaches none of two others that reach each other,
    or the two leaves, instead of their hosts.""",
    remedy="""Run the retest. `show_gids`, `rdma link`, `ip neigh`, `ping -I INTERFACE` at both ends tell whether the
    addresses meet; `ibv_rc_pingpong -g INDEX` repeats it without netprobe. RETRY_EXC_ERR at the first message: filters
    for UDP 4791, VLANs, MTU of the switches. Later: error and drop counters of both ends, the kernel's log. Invalid
    argument: the index of the GID. Cannot allocate memory: ulimit -l.""",
    limits=(),
    detect=detect,
)
