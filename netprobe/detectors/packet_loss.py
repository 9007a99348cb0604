"""Packets that TCP or RDMA had to send again: which host loses on sending or receiving, or which path loses.

Does not handle: transports that nobody counts; there only stalls as long as a retransmission timer tell.
"""

from collections.abc import Iterator
from typing import Final

import numpy as np
from numpy.typing import NDArray

from netprobe.contracts import Detector
from netprobe.detectors import _lost_datagrams, _rdma_losses
from netprobe.detectors._halves import JOINING, halves_subject
from netprobe.detectors._lossy_links import LossyLink, lossy_links
from netprobe.detectors._lost_packets import (
    LossCase,
    figures,
    host_facts,
    receivers_agree,
    row_facts,
    share,
    stall_facts,
    sum_of,
)
from netprobe.detectors._rdma import rdma_case
from netprobe.detectors._stalls import SURE_WITH_PARTNERS, hosts_of, retest_of, stalled
from netprobe.detectors._words import MOST_FACTS, between_hosts, is_common
from netprobe.locate.culprits import HostPair
from netprobe.locate.halves import Halves
from netprobe.locate.loss import (
    LossBlame,
    LossRows,
    LossyHost,
    blame_loss,
    is_lossy,
    loss_rows,
    stalls_of,
    without_timeouts,
)
from netprobe.locate.own_leaf import cleared_by_own_leaf
from netprobe.locate.placement import Placement, leaf_of_hosts, placement_of
from netprobe.model.evidence import Evidence
from netprobe.model.finding import Confidence, Finding, Gap, Severity
from netprobe.model.limits import Limits
from netprobe.model.standing import Fate

ID = "packet-loss"
EXCLUDED_BY: Final = 3.0  # n segments without a loss exclude ratios above 3/n at 95 %


UNHEARD: Final = (Fate.UNREACHABLE, Fate.CUT_OFF, Fate.BLACK_HOLE)
"""Hosts whose partners go on sending into the void: their kernels time out for minutes after the ranks have gone."""


def detect(evidence: Evidence, limits: Limits) -> Iterator[Finding | Gap]:
    """Name hosts and paths that lose; say where nobody counted."""
    placement = placement_of(evidence.ranks)
    tables = between_hosts(evidence)
    if not tables and not len(evidence.datagrams.stage):
        yield from _without_pairs(evidence, placement, limits)
        return
    rows = loss_rows(evidence.counters, tables, placement)
    if any(each.fate in UNHEARD for each in evidence.benched):
        rows = without_timeouts(rows)
    case = LossCase(
        evidence=evidence,
        limits=limits,
        placement=placement,
        rows=rows,
        lossy=is_lossy(rows, smallest_ratio=limits.loss_ratio, fewest=limits.loss_floor_segments),
        tables=tables,
        stalls=stalls_of(tables, placement, evidence.plan),
    )
    rdma = rdma_case(evidence, limits, placement)
    by_nics = _rdma_losses.counted_hosts(rdma)
    datagrams = _lost_datagrams.datagram_case(evidence, limits, placement)
    blame = _blame(case)
    told = [*_counted(case, blame), *_rdma_losses.findings(rdma, evidence, placement)]
    yield from told
    yield from _lost_datagrams.findings(datagrams, told)
    yield from stalled(case, by_nics | datagrams.lossy_pairs)
    yield from _not_counted(case, by_nics | datagrams.counted_pairs)
    yield from _rdma_losses.gaps(rdma)
    yield from _refused(case, blame.refused)
    yield from _too_few(case)


def _without_pairs(evidence: Evidence, placement: Placement, limits: Limits) -> Iterator[Gap]:
    """Say what collectives alone leave open: everybody sends to everybody there."""
    if len(placement.hosts) < 2 or not evidence.has_collectives:
        return  # no byte crossed a fabric; what was not measured is told by coverage
    sent, lost = sum_of(evidence, "tcp/TCPOrigDataSent"), sum_of(evidence, "tcp/RetransSegs")
    if sent and lost is not None and (lost < limits.loss_floor_segments or lost < limits.loss_ratio * sent):
        return
    told = f"{lost:,.0f} of {sent:,.0f} segments were sent again" if sent and lost else "losses were not counted"
    yield Gap(
        topic=ID,
        reason=f"{told}, and in collectives everybody sends to everybody, so nobody can be named",
        remedy="netprobe check, or netprobe run bandwidth",
    )


def _blame(case: LossCase) -> LossBlame:
    cleared = cleared_by_own_leaf(case.rows, case.lossy, leaf_of_hosts(case.placement))
    return blame_loss(case.rows, case.lossy, cleared)


def _refused(case: LossCase, at: NDArray[np.int64]) -> Iterator[Gap]:
    """Tell of hosts that dropped themselves what came to them, from so few others that it is no trait of theirs."""
    if not len(at):
        return
    rows, hosts = case.rows, case.placement.hosts
    worst = int(at[np.argmax(rows.refused[at])])
    others = f", and {len(at) - 1} more alike" if len(at) > 1 else ""
    yield Gap(
        topic=ID,
        reason=f"{hosts[int(rows.dst[worst])]} itself dropped {rows.refused[worst]:,.0f} segments from "
        f"{hosts[int(rows.src[worst])]} for want of room{others}: the process was late to read them, and the way "
        "between them is not blamed",
        remedy="fewer ranks per host or more CPUs for them, or a larger net.ipv4.tcp_rmem",
    )


def _counted(case: LossCase, blame: LossBlame) -> Iterator[Finding]:
    """Return what the counters of TCP tell."""
    leaf_of = leaf_of_hosts(case.placement)
    by_host: dict[int, list[LossyHost]] = {}
    for lossy_host in blame.hosts:
        by_host.setdefault(lossy_host.host, []).append(lossy_host)
    for host, roles in by_host.items():
        yield _host_finding(case, host, roles)
    if blame.halves is not None:
        yield _halves_finding(case, blame.halves)
    links = lossy_links(
        case.rows,
        blame.paths,
        leaf_of,
        case.placement.leaves,
        smallest_ratio=case.limits.loss_ratio,
    )
    yield from (_link_finding(case, link) for link in links)
    paths = np.setdiff1d(blame.paths, np.concatenate([link.rows for link in links])) if links else blame.paths
    if is_common(len(paths), int(case.rows.is_counted.sum())):
        yield _shared_finding(case, paths)
        return
    by_pair: dict[HostPair, list[int]] = {}
    for row in paths.tolist():
        ends = sorted((int(case.rows.src[row]), int(case.rows.dst[row])))
        by_pair.setdefault((case.placement.hosts[ends[0]], case.placement.hosts[ends[1]]), []).append(row)
    for pair, at in by_pair.items():
        yield _path_finding(case, pair, np.array(at))


def _host_finding(case: LossCase, host: int, roles: list[LossyHost]) -> Finding:
    name = case.placement.hosts[host]
    at = np.concatenate([role.rows for role in roles])
    witnesses = min(len(role.witnesses) for role in roles)
    partners = [case.placement.hosts[partner] for partner in roles[0].witnesses.tolist()]
    is_sure = witnesses >= SURE_WITH_PARTNERS and receivers_agree(case.rows, at)
    return Finding(
        detector=ID,
        severity=_severity(case, at),
        confidence=Confidence.HIGH if is_sure else Confidence.MEDIUM,
        subjects=(name,),
        hosts=(name,),
        summary="; ".join(_role_summary(case, role) for role in roles),
        facts=(*row_facts(case, at), *host_facts(case, host), *stall_facts(case, at))[:MOST_FACTS],
        excluded=("its partners (they do well with others)", *_other_side(case, roles), *_real(case.rows, at)),
        next_action=_where_to_look(name, roles),
        retest=retest_of(case, [name, *partners[:SURE_WITH_PARTNERS]]),
    )


def _role_summary(case: LossCase, role: LossyHost) -> str:
    what = "sends (tx)" if role.sends else "should receive (rx)"
    return f"loses {figures(case.rows, role.rows, of=f'what it {what}')}, seen by {len(role.rows)} partners"


def _other_side(case: LossCase, roles: list[LossyHost]) -> Iterator[str]:
    """Say that a host does well in the other role, where all of that was counted."""
    if len(roles) > 1:
        return
    own, side = (case.rows.dst, "receive") if roles[0].sends else (case.rows.src, "send")
    other = own == roles[0].host
    if other.any() and case.rows.is_counted[other].all() and not case.lossy[other].any():
        lost, sent = case.rows.lost[other].sum(), case.rows.sent[other].sum()
        yield f"its {side} side ({lost:,.0f} of {sent:,.0f} segments lost)"


def _real(rows: LossRows, at: NDArray[np.int64]) -> Iterator[str]:
    if receivers_agree(rows, at):
        yield "false alarms of TCP (receivers saw segments out of order)"


def _where_to_look(name: str, roles: list[LossyHost]) -> str:
    if len(roles) > 1:
        return f"check cable, optic and NIC of {name}, and errors and drops at both ends of its link"
    if roles[0].sends:
        return (
            f"read tx errors of {name} (ethtool -S) and rx errors and drops of its leaf port; then its cable and optic"
        )
    return f"read rx errors, drops and ring size of {name} (ethtool -S, -g) and egress drops of its leaf port"


def _halves_finding(case: LossCase, joined: Halves) -> Finding:
    return Finding(
        detector=ID,
        severity=_severity(case, joined.rows),
        confidence=Confidence.HIGH if receivers_agree(case.rows, joined.rows) else Confidence.MEDIUM,
        subjects=(halves_subject(joined, case.placement.hosts),),
        hosts=(),
        summary=f"loses {figures(case.rows, joined.rows)}, on all ways between these hosts",
        facts=(*row_facts(case, joined.rows), *stall_facts(case, joined.rows))[:MOST_FACTS],
        excluded=("the hosts themselves (with those of their own group they do well)", *_real(case.rows, joined.rows)),
        next_action=JOINING,
        retest="netprobe check --all-pairs",
    )


def _link_finding(case: LossCase, link: LossyLink) -> Finding:
    rows = case.rows
    return Finding(
        detector=ID,
        severity=_severity(case, link.rows),
        confidence=Confidence.HIGH if link.is_sure and receivers_agree(rows, link.rows) else Confidence.MEDIUM,
        subjects=(link.subject,),
        hosts=(),
        summary=f"loses {figures(rows, link.rows)}, in {len(link.rows)} of {link.crossing} directions that may cross: "
        f"{link.what}",
        facts=(*row_facts(case, link.rows), *stall_facts(case, link.rows))[:MOST_FACTS],
        excluded=(
            "the hosts (most of their pairs do not lose, and pairs within a leaf do not)",
            *_real(rows, link.rows),
        ),
        next_action=f"read errors and drops of {link.look_at}, at both ends; take the bad one out of the bundle",
        retest="netprobe check --all-pairs",
    )


def _path_finding(case: LossCase, pair: HostPair, at: NDArray[np.int64]) -> Finding:
    rows, hosts = case.rows, case.placement.hosts
    src, dst = hosts[int(rows.src[at[0]])], hosts[int(rows.dst[at[0]])]
    subject = f"{src} -> {dst}" if len(at) == 1 else f"{pair[0]} <-> {pair[1]}"
    has_others = len(hosts) > 2
    where = "with others both do better" if has_others else "with two hosts there is nobody to compare with"
    excluded: tuple[str, ...] = ("the hosts themselves (most of their pairs do not lose)",) if has_others else ()
    if len(at) == 1 and rows.is_counted[(rows.src == rows.dst[at[0]]) & (rows.dst == rows.src[at[0]])].any():
        excluded += ("the other direction (within limits)",)
    return Finding(
        detector=ID,
        severity=_severity(case, at),
        confidence=Confidence.HIGH if has_others and receivers_agree(rows, at) else Confidence.MEDIUM,
        subjects=(subject,),
        hosts=(),
        summary=f"loses {figures(rows, at)}; {where}",
        facts=(*row_facts(case, at), *stall_facts(case, at))[:MOST_FACTS],
        excluded=(*excluded, *_real(rows, at)),
        next_action="read errors and drops of the switch ports on the way between them"
        if has_others
        else "measure each of them with a third host that is known to be good",
        retest=retest_of(case, list(pair)),
    )


def _shared_finding(case: LossCase, at: NDArray[np.int64]) -> Finding:
    counted = int(case.rows.is_counted.sum())
    worst = at[np.argsort(-case.rows.ratio[at], kind="stable")]
    return Finding(
        detector=ID,
        severity=_severity(case, at),
        confidence=Confidence.MEDIUM,
        subjects=("many pairs",),
        hosts=(),
        summary=f"{len(at)} of {counted} directions between hosts lose {figures(case.rows, at)}; no host stands out",
        facts=(*row_facts(case, worst), *stall_facts(case, worst))[:MOST_FACTS],
        excluded=("a single host (the loss is shared)", *_real(case.rows, at)),
        next_action="look for what they share: a switch or uplink, another job on the fabric, a rate limit",
        retest="netprobe check",
    )


def _severity(case: LossCase, at: NDArray[np.int64]) -> Severity:
    rows, limits = case.rows, case.limits
    loses_much = rows.lost[at].sum() >= limits.loss_block_ratio * rows.sent[at].sum()
    stalled, rounds = rows.stalled_rounds[at].sum(), rows.rounds[at].sum()
    # The floor: one timeout in a run of five rounds is no trait.
    stops_often = stalled >= max(limits.loss_floor_segments, limits.loss_stall_ratio * rounds)
    return Severity.BLOCKS if loses_much or stops_often else Severity.DEGRADES


def _not_counted(case: LossCase, by_nics: set[frozenset[str]]) -> Iterator[Gap]:
    rows = case.rows
    has_counters = np.isfinite(rows.sent)
    unseen = np.full(len(rows.src), fill_value=True)
    if by_nics:
        unseen[:] = [hosts_of(case, row) not in by_nics for row in range(len(rows.src))]
    for missing, reason, remedy in (
        (~has_counters & unseen, "TCP's counters were not read there", "a run on Linux with this version of netprobe"),
        (
            has_counters & ~rows.is_counted & unseen,
            "the traffic did not go over TCP, and no RDMA port counted it",
            "netprobe counters shows which ports move data, and what their drivers count",
        ),
    ):
        if missing.any():
            count = (
                "between hosts" if missing.all() else f"on {missing.sum()} of {len(missing)} directions between hosts"
            )
            yield Gap(topic=ID, reason=f"lost packets {count} cannot be told: {reason}", remedy=remedy)


def _too_few(case: LossCase) -> Iterator[Gap]:
    """Say which loss so few segments cannot exclude; the hosts' totals count, as a bad host loses with everybody."""
    rows, hosts = case.rows, len(case.placement.hosts)
    counted = rows.is_counted & ~case.lossy
    totals = np.stack([np.bincount(own[counted], rows.sent[counted], hosts) for own in (rows.src, rows.dst)])
    known = totals[totals > 0]
    if not known.size or EXCLUDED_BY / known.min() <= case.limits.loss_ratio:
        return
    fewest = float(known.min())
    yield Gap(
        topic=ID,
        reason=f"a host sent or received no more than {fewest:,.0f} segments, which excludes loss only above "
        f"{share(min(EXCLUDED_BY / fewest, 1.0))}",
        remedy="a longer --budget of netprobe check; --iters or a longer --series of netprobe run",
    )


DETECTOR = Detector(
    id=ID,
    title="packets that are lost between hosts",
    cause="""A cable, optic or port with bit errors, a NIC or switch port that drops, a queue that overflows because
    somebody else sends too, a rate limit, a receiving host that cannot keep up. TCP sends the segment again: after a
    round trip when later ones arrive, after 200 ms and more (a timeout) when none does. RoCE waits for 4.096 µs *
    2^timeout: 67 ms, 1.07 s, 4.3 s. A synchronised job waits with it; averages hardly show it.""",
    evidence="""TCP's own counters, read on every host just before and after each round, in which a host has one
    partner: segments sent again are losses of that direction, less those that the receiver reports to have had
    already; out-of-order arrivals at the receiver confirm them. A direction is lossy from loss_ratio on, with at
    least loss_floor_segments. A host is named for what it sends (or receives) when more than half of its partners
    see it, at least two of which do well with others; what no host explains is a link between leaves, where
    these are known and several pairs that cross it lose (tomography, docs/locate.md), else a path; what many share is
    nobody's.
    It blocks from loss_block_ratio, or with timeouts in loss_stall_ratio of the rounds. Where TCP did not carry the
    traffic, stalls as long as a retransmission timer are named with less confidence. The counters are of the whole
    host: other traffic counts too.

    On RDMA the NICs of both ends count, and tell the direction: NAKs at the requester and holes at the responder are
    losses of what was sent; timeouts at the requester where the responder has seen the request already are losses of
    acknowledgements, on the way back; lost answers to reads are counted apart. Ports are then named as hosts are. Holes
    that are packets which overtook each other are no loss (see out-of-order). A direction is lossy from rdma_loss_ratio
    on, which warns below loss_ratio. Where nobody else named
    it, the datagrams of reach are judged by the same limits: nobody sends them again, and each end counts its own.""",
    remedy="""`ethtool -S` of the NIC and the counters of the switch port at both ends of the link: errors (CRC, FEC)
    mean cable, optic or port; drops mean a queue: look for who else sends, pause frames, ring sizes (`ethtool -G`).
    `nstat -az` on a host shows the counters used here. Swap the cable or port and run the retest: a loss that moves
    with it is found.""",
    limits=("loss_ratio", "rdma_loss_ratio", "loss_floor_segments", "loss_block_ratio", "loss_stall_ratio"),
    detect=detect,
)
