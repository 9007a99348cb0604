"""What is known of pairs that failed over RDMA: by hosts, beside what was tried and what each end is."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from netprobe.detectors._benched import failed
from netprobe.detectors._rdma_ends import End, Misfit, ends_of, misfits, wishes_of
from netprobe.locate.culprits import HostPair
from netprobe.locate.datagrams import BlackHole, black_holes
from netprobe.locate.placement import Placement, host_pairs, placement_of
from netprobe.model.evidence import Evidence
from netprobe.model.plan import REACH, Path, Scope
from netprobe.model.rdma import Breakdown, FailurePhase, PairFailure

OWN_STATUSES: Final = ("LOC_LEN_ERR", "LOC_QP_OP_ERR", "LOC_PROT_ERR", "LOC_ACCESS_ERR", "FATAL_ERR")
"""What a NIC says of its own side."""
TOWARDS_PEER: Final = ("RTR", "ibv_create_ah")
"""Bringing a queue pair up this far, or a datagram on its way, needs the peer's address; every other call is about this
end alone."""
ALL_VANISHED: Final = "all of them vanished"
SEEN_RATIO: Final = 0.5  # of the pairs: who cannot even send large packets has no count of those that vanish


@dataclass(frozen=True, slots=True, kw_only=True)
class FailureCase:
    """The failures by pairs of hosts, and what was tried beside them."""

    evidence: Evidence
    placement: Placement
    ends: dict[int, End]
    failures: tuple[PairFailure, ...]
    """What failed, and in front of it datagrams that vanished for their size: they are nearest to the cause."""
    holes: Mapping[tuple[str, str], BlackHole]
    """By source and destination: where large datagrams vanish, and small ones arrive."""
    by_pair: dict[HostPair, list[PairFailure]]
    measured: frozenset[HostPair]
    """Pairs that were tried, good or bad."""
    routed: frozenset[frozenset[str | None]]
    """Pairs of subnets between which some pair of hosts works over RDMA."""

    @property
    def over_mpi(self) -> frozenset[HostPair]:
        """Pairs that worked over MPI; asked for where some did not over RDMA."""
        return _measured(self.evidence, self.placement, Path.MPI)

    def of(self, pairs: Iterable[HostPair]) -> list[PairFailure]:
        """Return the failures of pairs in order of time, the first being nearest to the cause; consequences last."""
        wanted = frozenset(pairs)
        found = (each for each in self.failures if hosts_of(self.placement, each.src, each.dst) in wanted)
        return sorted(found, key=lambda each: _is_consequence(each.cause))

    def without(self, explained: Iterable[PairFailure]) -> "FailureCase":
        """Return the case without failures of which something else tells; their pairs were tried all the same."""
        gone = set(map(id, explained))
        by_pair = {
            pair: left
            for pair, failures in self.by_pair.items()
            if (left := [each for each in failures if id(each) not in gone])
        }
        return replace(self, failures=tuple(each for each in self.failures if id(each) not in gone), by_pair=by_pair)


def failure_case(evidence: Evidence) -> FailureCase:
    """Return what a run tells of RDMA, without hosts that are gone."""
    placement = placement_of(evidence.ranks)
    out = failed(evidence)
    by_pair: dict[HostPair, list[PairFailure]] = {}
    holes = black_holes(evidence.datagrams, placement)
    failures = (*map(_failure_of, holes.values()), *evidence.failures)
    for failure in failures:
        pair = hosts_of(placement, failure.src, failure.dst)
        if not out & set(pair):
            by_pair.setdefault(pair, []).append(failure)
    ends = ends_of(evidence)
    measured = _measured(evidence, placement, Path.VERBS) | _counted(evidence, placement)
    return FailureCase(
        evidence=evidence,
        placement=placement,
        ends=ends,
        failures=failures,
        holes=holes,
        by_pair=by_pair,
        measured=frozenset(pair for pair in measured if not out & set(pair)) | by_pair.keys(),
        routed=_routed(ends, measured - by_pair.keys()),
    )


def _failure_of(hole: BlackHole) -> PairFailure:
    """Return what vanished as a failure of its pair, which it is for any message that is as large."""
    return PairFailure(
        stage="",
        probe=REACH,
        round_index=0,
        src=hole.src,
        dst=hole.dst,
        size_bytes=hole.vanishing_bytes,
        cause=Breakdown(
            rank=hole.src,
            phase=FailurePhase.LATER,
            call=f"{hole.vanished:,} datagrams",
            error=ALL_VANISHED,
            after_messages=hole.passed,
        ),
    )


def _measured(evidence: Evidence, placement: Placement, path: Path) -> frozenset[HostPair]:
    tables = (each for each in evidence.pairs if each.path is path and each.scope is Scope.BETWEEN_HOSTS)
    return host_pairs(tables, placement)


def _counted(evidence: Evidence, placement: Placement) -> frozenset[HostPair]:
    """Return the pairs whose datagrams were counted, whether any arrived or not."""
    ends = zip(evidence.datagrams.src.tolist(), evidence.datagrams.dst.tolist(), strict=True)
    return frozenset(hosts_of(placement, src, dst) for src, dst in ends)


def hosts_of(placement: Placement, src: int, dst: int) -> HostPair:
    """Return the two hosts of a pair of ranks, in order."""
    ends = sorted((placement.host(src), placement.host(dst)))
    return ends[0], ends[1]


def own_faults(case: FailureCase) -> dict[str, tuple[str, ...]]:
    """Return the hosts whose own calls or NICs refused, with the partners with whom they did."""
    found: dict[str, dict[str, None]] = {}
    for pair, failures in case.by_pair.items():
        for failure in failures:
            if _is_own(failure.cause):
                host = case.placement.host(failure.cause.rank)
                found.setdefault(host, {}).update(dict.fromkeys(each for each in pair if each != host))
    return {host: tuple(partners) for host, partners in found.items()}


def _is_own(cause: Breakdown) -> bool:
    """Return whether a failure is of the end that noticed it, whatever the network does."""
    if cause.status is not None:
        return cause.status in OWN_STATUSES
    return (
        cause.error is not None
        and cause.phase is FailurePhase.SET_UP
        and not any(each in cause.call for each in TOWARDS_PEER)
    )


def _is_consequence(cause: Breakdown) -> bool:
    return cause.status == "WR_FLUSH_ERR" or (cause.status is None and cause.error is None)


def common_misfit(case: FailureCase, found: Sequence[PairFailure]) -> Misfit | None:
    """Return what all of these pairs have that cannot work, or most of them have seen; None where there is nothing."""
    told = [(each.src, each.dst, misfit) for each in found for misfit in misfits_of(case, each)]
    by_what: dict[str, set[tuple[int, int]]] = {}
    for src, dst, misfit in told:
        by_what.setdefault(misfit.what, set()).add((src, dst))
    pairs = len({(each.src, each.dst) for each in found})
    common = (
        each for _, _, each in told if len(by_what[each.what]) > (SEEN_RATIO * pairs if each.explains else pairs - 1)
    )
    return next(common, None)


def misfits_of(case: FailureCase, failure: PairFailure) -> Iterator[Misfit]:
    """Yield what cannot work between the two ends of a failure."""
    a, b = case.ends.get(failure.src), case.ends.get(failure.dst)
    if a is not None and b is not None:
        is_routed = frozenset((a.subnet, b.subnet)) in case.routed
        has_worked = failure.cause.phase is FailurePhase.LATER
        yield from misfits(a, b, wishes_of(case.evidence), is_routed=is_routed, has_worked=has_worked)
    yield from _vanishing(case, failure)


def _vanishing(case: FailureCase, failure: PairFailure) -> Iterator[Misfit]:
    """Yield why large packets do not arrive where small ones do, whatever the interfaces say of their MTU."""
    ends = case.placement.host(failure.src), case.placement.host(failure.dst)
    hole = case.holes.get(ends) or case.holes.get((ends[1], ends[0]))
    if hole is not None:
        yield Misfit(
            what=hole.what,
            a="",
            b="",
            check="read the MTU of every switch port and VLAN between them, and try "
            f"ping -M do -s {hole.vanishing_bytes} from both ends",
            explains=True,
        )


def _routed(ends: Mapping[int, End], good: Iterable[HostPair]) -> frozenset[frozenset[str | None]]:
    subnets: dict[str, set[str | None]] = {}
    for end in ends.values():
        subnets.setdefault(end.host, set()).add(end.subnet)
    crossed = {(frozenset(subnets.get(a, ())), frozenset(subnets.get(b, ()))) for a, b in good}
    return frozenset(frozenset((one, other)) for a, b in crossed for one in a for other in b)
