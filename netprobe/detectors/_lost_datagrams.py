"""Findings of packet-loss by unreliable datagrams: what no counter of a NIC or of TCP has named already."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from netprobe.detectors._halves import JOINING, halves_subject
from netprobe.detectors._lost_packets import share
from netprobe.detectors._stalls import SURE_WITH_PARTNERS
from netprobe.detectors._words import MOST_FACTS, is_common, on_hosts
from netprobe.locate.datagrams import datagram_rows
from netprobe.locate.loss import LossRows, LossyHost, blame_loss, is_lossy
from netprobe.locate.own_leaf import cleared_by_own_leaf
from netprobe.locate.placement import Placement, leaf_of_hosts
from netprobe.model.evidence import Evidence
from netprobe.model.finding import Confidence, Fact, Finding, Severity
from netprobe.model.limits import Limits

ID = "packet-loss"
OF_LEAVES = ("leaf ", "spines -> ")  # what subjects of links begin with; names of hosts hold no spaces
COMMAND = "netprobe run reach --transport verbs"

IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class DatagramCase:
    """What datagrams tell; arrays are indexed like ``rows``."""

    hosts: tuple[str, ...]
    leaves: tuple[frozenset[str], ...]
    """Those that each host is known to be on."""
    leaf_of: IntArray
    """The leaf of each host; -1 where it is not known, or there are several."""
    limits: Limits
    rows: LossRows
    lossy: BoolArray

    @property
    def counted_pairs(self) -> set[frozenset[str]]:
        """Pairs of hosts whose datagrams were counted."""
        return self._pairs(self.rows.is_counted)

    @property
    def lossy_pairs(self) -> set[frozenset[str]]:
        """Those that lose some."""
        return self._pairs(self.lossy)

    def subject(self, row: int) -> str:
        """Return ``node1 -> node2``."""
        return f"{self.hosts[int(self.rows.src[row])]} -> {self.hosts[int(self.rows.dst[row])]}"

    def _pairs(self, chosen: BoolArray) -> set[frozenset[str]]:
        ends = zip(self.rows.src[chosen].tolist(), self.rows.dst[chosen].tolist(), strict=True)
        return {frozenset((self.hosts[src], self.hosts[dst])) for src, dst in ends}


def datagram_case(evidence: Evidence, limits: Limits, placement: Placement) -> DatagramCase:
    """Return what each direction between hosts lost; pairs that could not go on are told of by rdma-failure."""
    rows = datagram_rows(evidence.datagrams, placement)
    failed = {frozenset((placement.host(each.src), placement.host(each.dst))) for each in evidence.failures}
    ends = zip(rows.src.tolist(), rows.dst.tolist(), strict=True)
    gave_up = [frozenset((placement.hosts[src], placement.hosts[dst])) in failed for src, dst in ends]
    lossy = is_lossy(rows, smallest_ratio=limits.rdma_loss_ratio, fewest=limits.loss_floor_segments)
    return DatagramCase(
        hosts=placement.hosts,
        leaves=tuple(
            frozenset(rank.leaf for rank in evidence.ranks if rank.host == host and rank.leaf is not None)
            for host in placement.hosts
        )
        if lossy.any()
        else (frozenset[str](),) * len(placement.hosts),
        leaf_of=leaf_of_hosts(placement),
        limits=limits,
        rows=rows,
        lossy=lossy & ~np.array(gave_up, dtype=np.bool_),
    )


def findings(case: DatagramCase, told: Sequence[Finding]) -> Iterator[Finding]:
    """Yield hosts, and then paths, that lose datagrams, unless one of the findings ``told`` is about the same."""
    left = case.lossy & ~_is_told(case, told)
    blame = blame_loss(case.rows, left, cleared_by_own_leaf(case.rows, left, case.leaf_of))
    by_host: dict[int, list[LossyHost]] = {}
    for lossy in blame.hosts:
        by_host.setdefault(lossy.host, []).append(lossy)
    for host, roles in by_host.items():
        yield _host_finding(case, host, roles)
    if blame.halves is not None:
        yield _finding(
            case,
            blame.halves.rows,
            subject=halves_subject(blame.halves, case.hosts),
            where="on all ways between these hosts",
            excluded="the hosts themselves (with those of their own group they do well)",
            next_action=JOINING,
        )
    if is_common(len(blame.paths), int(case.rows.is_counted.sum())):
        yield _finding(
            case,
            blame.paths,
            subject="many pairs",
            where=f"in {len(blame.paths)} of {int(case.rows.is_counted.sum())} directions; no host stands out",
            excluded="a single host (the loss is shared)",
            next_action="look for what they share: a switch or uplink, flow control that is off, another job",
        )
        return
    for row in blame.paths.tolist():
        yield _path_finding(case, row)


def _is_told(case: DatagramCase, told: Sequence[Finding]) -> BoolArray:
    """Return the directions of which another finding tells, or that end at a host that one names."""
    subjects = {subject for finding in told for subject in finding.subjects}
    named = {host for finding in told for host in finding.hosts}
    paths_told = {subject for subject in subjects if " -> " in subject or " <-> " in subject}
    names_nobody = any(not finding.hosts and not paths_told & set(finding.subjects) for finding in told)
    links = [path for path in paths_told if path.startswith(OF_LEAVES)]
    groups = [set(re.split(r"[ ,]+", path)) for path in paths_told if "," in path]
    found = []
    for src, dst in zip(case.rows.src.tolist(), case.rows.dst.tolist(), strict=True):
        a, b = case.hosts[src], case.hosts[dst]
        paths = {f"{a} -> {b}", f"{a} <-> {b}", f"{b} <-> {a}"}
        is_joined = any({a, b} <= group for group in groups) or any(_crosses(link, case, src, dst) for link in links)
        found.append(names_nobody or a in named or b in named or is_joined or not paths.isdisjoint(paths_told))
    return np.array(found, dtype=np.bool_)


def _crosses(link: str, case: DatagramCase, src: int, dst: int) -> bool:
    """Return whether a direction between hosts may cross ``leaf leaf1 -> leaf leaf2`` or ``leaf leaf1 -> spines``."""
    near, _, far = link.partition(" -> ")
    return all(
        end == "spines" or end.removeprefix("leaf ") in case.leaves[host] for end, host in ((near, src), (far, dst))
    )


def _host_finding(case: DatagramCase, host: int, roles: list[LossyHost]) -> Finding:
    name = case.hosts[host]
    at = np.concatenate([role.rows for role in roles])
    witnesses = min(len(role.witnesses) for role in roles)
    partners = [case.hosts[each] for each in roles[0].witnesses.tolist()]
    what = " and ".join("what it sends (tx)" if role.sends else "what it should receive (rx)" for role in roles)
    return Finding(
        detector=ID,
        severity=_severity(case, at),
        confidence=Confidence.HIGH if witnesses >= SURE_WITH_PARTNERS else Confidence.MEDIUM,
        subjects=(name,),
        hosts=(name,),
        summary=f"loses {_figures(case, at, what)}, with {len(roles[0].rows)} partners",
        facts=tuple(_facts(case, at)),
        excluded=("its partners (they do well with others)",),
        next_action=f"read errors, discards and drops of the RDMA port of {name} and of the switch port at its other "
        "end; then cable and optic",
        retest=on_hosts(COMMAND, [name, *partners[:SURE_WITH_PARTNERS]]),
    )


def _path_finding(case: DatagramCase, row: int) -> Finding:
    has_others = len(case.hosts) > 2
    return _finding(
        case,
        np.array([row]),
        subject=case.subject(row),
        where="with others both do better" if has_others else "with two hosts there is nobody to compare with",
        excluded="the hosts themselves (most of their pairs do not lose)" if has_others else "",
        next_action="read errors and drops of the switch ports on the way between them; another --source-port takes "
        "another way"
        if has_others
        else "measure each of them with a third host that is known to be good",
    )


def _finding(case: DatagramCase, at: IntArray, *, subject: str, where: str, excluded: str, next_action: str) -> Finding:
    ends = [case.hosts[int(each[at[0]])] for each in (case.rows.src, case.rows.dst)]
    return Finding(
        detector=ID,
        severity=_severity(case, at),
        confidence=Confidence.MEDIUM,
        subjects=(subject,),
        hosts=(),
        summary=f"loses {_figures(case, at, 'its datagrams')}; {where}",
        facts=tuple(_facts(case, at)),
        excluded=(excluded,) if excluded else (),
        next_action=next_action,
        retest=on_hosts(COMMAND, ends) if len(at) == 1 else COMMAND,
    )


def _figures(case: DatagramCase, at: IntArray, of: str) -> str:
    """Return ``1.2 % of its datagrams: 12 of 1,000 datagrams of RDMA``."""
    lost, sent = float(case.rows.lost[at].sum()), float(case.rows.sent[at].sum())
    return f"{share(lost / max(sent, 1.0))} of {of}: {lost:,.0f} of {sent:,.0f} datagrams of RDMA"


def _facts(case: DatagramCase, at: IntArray) -> Iterator[Fact]:
    for row in at[np.argsort(-case.rows.ratio[at], kind="stable")][:MOST_FACTS].tolist():
        yield Fact(
            metric=f"{case.subject(row)}, datagrams lost",
            observed=_figures(case, np.array([row]), "what was sent"),
            expected=f"below {share(case.limits.rdma_loss_ratio)}",
            basis="limit rdma_loss_ratio; counted by the two ranks, and nobody sends a datagram again",
        )


def _severity(case: DatagramCase, at: IntArray) -> Severity:
    lost, sent = case.rows.lost[at].sum(), case.rows.sent[at].sum()
    if lost >= case.limits.loss_block_ratio * sent:
        return Severity.BLOCKS
    return Severity.WARNS if lost < case.limits.loss_ratio * sent else Severity.DEGRADES
