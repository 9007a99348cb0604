"""Findings of packet-loss on RDMA: ports that lose on sending or receiving, and paths."""

from collections.abc import Iterator
from typing import Final

import numpy as np

from netprobe.detectors._halves import JOINING, halves_subject
from netprobe.detectors._lossy_links import LossyLink, lossy_links
from netprobe.detectors._lost_packets import share
from netprobe.detectors._ports import FloatArray, Ports, any_of, grown_facts, not_counted
from netprobe.detectors._rdma import IntArray, RdmaCase
from netprobe.detectors._signatures import DAMAGE, DROPS
from netprobe.detectors._words import MOST_FACTS, is_common, retest
from netprobe.locate.halves import Halves
from netprobe.locate.loss import LossBlame, LossyHost, blame_loss
from netprobe.locate.own_leaf import cleared_by_own_leaf
from netprobe.locate.placement import Placement
from netprobe.model.evidence import Evidence
from netprobe.model.finding import Confidence, Fact, Finding, Gap, Severity
from netprobe.model.plan import Path

ID: Final = "packet-loss"
SURE_WITH_PARTNERS: Final = 3


def findings(case: RdmaCase, evidence: Evidence, placement: Placement) -> Iterator[Finding]:
    """Yield ports, and then paths, that lose what RDMA sends."""
    rows = case.loss.rows
    blame, links = _explained(case, evidence)
    by_port: dict[int, list[LossyHost]] = {}
    for lossy in blame.hosts:
        by_port.setdefault(lossy.host, []).append(lossy)
    for port, roles in by_port.items():
        yield _port_finding(case, port, roles, evidence, placement)
    if blame.halves is not None:
        yield _halves_finding(case, blame.halves)
    yield from (_link_finding(case, link) for link in links)
    paths = np.setdiff1d(blame.paths, np.concatenate([link.rows for link in links])) if links else blame.paths
    if is_common(len(paths), int(rows.is_counted.sum())):
        yield _shared_finding(case, paths)
        return
    for row in paths.tolist():
        yield _path_finding(case, row, evidence, placement)


def _explained(case: RdmaCase, evidence: Evidence) -> tuple[LossBlame, tuple[LossyLink, ...]]:
    """Return what explains the lossy rows, and the links between leaves that explain what ports do not."""
    rows = case.loss.rows
    leaf_of, leaves = leaves_of_ports(case.ports, evidence)
    blame = blame_loss(rows, case.lossy, cleared_by_own_leaf(rows, case.lossy, leaf_of))
    smallest = case.ports.limits.rdma_loss_ratio
    return blame, lossy_links(rows, blame.paths, leaf_of, leaves, smallest_ratio=smallest)


def most_on_links(case: RdmaCase, evidence: Evidence) -> FloatArray:
    """Return what some direction over a lossy link loses at any load, as a share, by port; shape (ports,).

    0 for ports of rails that cross none. Under load a port sends to many, and to some across that link.
    """
    rows, names = case.loss.rows, np.array(case.ports.table.name, dtype=object)
    most = np.zeros(len(names))
    for link in _explained(case, evidence)[1]:
        rails = set(names[np.concatenate([rows.src[link.rows], rows.dst[link.rows]])].tolist())
        on_rail = np.array([name in rails for name in names], dtype=np.bool_)
        most[on_rail] = np.maximum(most[on_rail], rows.ratio[link.rows].max())
    return most


def gaps(case: RdmaCase) -> Iterator[Gap]:
    """Say which drivers leave loss untold, on ports that had rounds."""
    rows = case.loss.rows
    blind = np.zeros(len(case.ports.table.host), dtype=np.bool_)
    blind[rows.src[~case.loss.has_counters]] = True
    if (gap := not_counted(case.ports, ID, "lost packets of RDMA", blind)) is not None:
        yield gap


def _figures(case: RdmaCase, at: IntArray, of: str = "its packets") -> str:
    """Return ``0.1 % of its packets: 412 of 398,233 (RDMA), 31 timeouts``."""
    rows = case.loss.rows
    lost, sent, timeouts = (float(values[at].sum()) for values in (rows.lost, rows.sent, rows.timeouts))
    kinds = [
        f"{count:,.0f} {kind}"
        for kind, count in (
            ("acknowledgements", float(case.loss.acknowledgements[at].sum())),
            ("answers to reads", float(case.loss.responses[at].sum())),
        )
        if count
    ]
    among = f", {' and '.join(kinds)} among them" if kinds else ""
    stops = f", {timeouts:,.0f} timeout{'s' if timeouts > 1 else ''}" if timeouts else ""
    return f"{share(lost / max(sent, 1.0))} of {of}: {lost:,.0f} of {sent:,.0f} packets of RDMA{among}{stops}"


def _port_finding(
    case: RdmaCase, port: int, roles: list[LossyHost], evidence: Evidence, placement: Placement
) -> Finding:
    ports, at = case.ports, np.concatenate([role.rows for role in roles])
    witnesses = min(len(role.witnesses) for role in roles)
    partners = any_of(ports, roles[0].witnesses.tolist())
    host = ports.host(port)
    return Finding(
        detector=ID,
        severity=_severity(case, at),
        confidence=Confidence.HIGH if witnesses >= SURE_WITH_PARTNERS else Confidence.MEDIUM,
        subjects=(ports.subject(port),),
        hosts=(host,),
        summary="; ".join(_role_summary(case, role) for role in roles),
        facts=(*_row_facts(case, at), *grown_facts(ports, port, (*DAMAGE, *DROPS)))[:MOST_FACTS],
        excluded=("its partners (they do well with others)", *_other_side(case, roles), *_real(case, at)),
        next_action=_where_to_look(ports, port, roles),
        retest=_retest(evidence, placement, [host, *partners[:SURE_WITH_PARTNERS]]),
    )


def _role_summary(case: RdmaCase, role: LossyHost) -> str:
    what = "sends (tx)" if role.sends else "should receive (rx)"
    return f"loses {_figures(case, role.rows, of=f'what it {what}')}, seen by {len(role.rows)} partners"


def _other_side(case: RdmaCase, roles: list[LossyHost]) -> Iterator[str]:
    rows = case.loss.rows
    if len(roles) > 1:
        return
    own, side = (rows.dst, "receive") if roles[0].sends else (rows.src, "send")
    other = own == roles[0].host
    if other.any() and rows.is_counted[other].all() and not case.lossy[other].any():
        yield f"its {side} side ({rows.lost[other].sum():,.0f} of {rows.sent[other].sum():,.0f} packets lost)"


def _real(case: RdmaCase, at: IntArray) -> Iterator[str]:
    if (case.loss.missing[at] > 0).any() or case.loss.waited[at].any():
        yield "packets that only overtook each other (fewer arrived than were sent, or senders waited in vain)"


def _where_to_look(ports: Ports, port: int, roles: list[LossyHost]) -> str:
    device = ports.interface(port)
    if len(roles) > 1:
        return f"check optic, cable and NIC of {ports.subject(port)}, and errors and drops at both ends of its link"
    if roles[0].sends:
        return (
            f"read errors and drops that {ports.leaf_port(port)} receives; then the optic of {ports.subject(port)} and "
            "the cable: what it sends into a bad link is counted at the other end alone"
        )
    return (
        f"read errors and discards of {ports.subject(port)} (ethtool -S {device}) and drops of {ports.leaf_port(port)}"
    )


def _halves_finding(case: RdmaCase, joined: Halves) -> Finding:
    return Finding(
        detector=ID,
        severity=_severity(case, joined.rows),
        confidence=Confidence.HIGH,
        subjects=(halves_subject(joined, case.ports.table.host),),
        hosts=(),
        summary=f"loses {_figures(case, joined.rows)}, on all ways between these hosts",
        facts=tuple(_row_facts(case, joined.rows)),
        excluded=("the hosts themselves (with those of their own group they do well)", *_real(case, joined.rows)),
        next_action=JOINING,
        retest="netprobe check --transport verbs --all-pairs",
    )


def leaves_of_ports(ports: Ports, evidence: Evidence) -> tuple[IntArray, tuple[str, ...]]:
    """Return the leaf of each port, by LLDP or else by its host's ranks where these are on one; -1: not known."""
    of_host: dict[str, set[str | None]] = {}
    for rank in evidence.ranks:
        of_host.setdefault(rank.host, set()).add(rank.leaf)
    names = []
    for port, host in enumerate(ports.table.host):
        told = of_host.get(host, {None})
        names.append(ports.leaf_name(port) or (next(iter(told)) if len(told) == 1 else None))
    leaves = tuple(dict.fromkeys(name for name in names if name is not None))
    number = {name: index for index, name in enumerate(leaves)}
    return np.array([-1 if name is None else number[name] for name in names], dtype=np.int64), leaves


def _link_finding(case: RdmaCase, link: LossyLink) -> Finding:
    return Finding(
        detector=ID,
        severity=_severity(case, link.rows),
        confidence=Confidence.HIGH if link.is_sure else Confidence.MEDIUM,
        subjects=(link.subject,),
        hosts=(),
        summary=f"loses {_figures(case, link.rows)}, in {len(link.rows)} of {link.crossing} directions that may cross: "
        f"{link.what}",
        facts=tuple(_row_facts(case, link.rows)),
        excluded=(
            "the hosts and their cables (most of their pairs do not lose, and pairs within a leaf do not)",
            *_real(case, link.rows),
        ),
        next_action=f"read errors and drops of {link.look_at}, at both ends; take the bad one out of the bundle",
        retest="netprobe check --transport verbs --all-pairs",
    )


def _path_finding(case: RdmaCase, row: int, evidence: Evidence, placement: Placement) -> Finding:
    ports, rows = case.ports, case.loss.rows
    at = np.array([row])
    src, dst = (ports.host(int(ends[row])) for ends in (rows.src, rows.dst))
    has_others = len(placement.hosts) > 2
    return Finding(
        detector=ID,
        severity=_severity(case, at),
        confidence=Confidence.MEDIUM,
        subjects=(f"{src} -> {dst}",),
        hosts=(),
        summary=f"loses {_figures(case, at)}; "
        + ("with others both do better" if has_others else "with two hosts there is nobody to compare with"),
        facts=tuple(_row_facts(case, at)),
        excluded=(
            *(("the hosts themselves (most of their pairs do not lose)",) if has_others else ()),
            *_real(case, at),
        ),
        next_action="read errors and drops of the switch ports on the way between them; another UDP source port or "
        "queue pair takes another way"
        if has_others
        else "measure each of them with a third host that is known to be good",
        retest=_retest(evidence, placement, [src, dst]),
    )


def _shared_finding(case: RdmaCase, at: IntArray) -> Finding:
    worst = at[np.argsort(-case.loss.rows.ratio[at], kind="stable")]
    return Finding(
        detector=ID,
        severity=_severity(case, at),
        confidence=Confidence.MEDIUM,
        subjects=("many pairs",),
        hosts=(),
        summary=f"{len(at)} of {int(case.loss.rows.is_counted.sum())} directions between ports lose "
        f"{_figures(case, at)}; no host stands out",
        facts=tuple(_row_facts(case, worst)),
        excluded=("a single host (the loss is shared)", *_real(case, at)),
        next_action="look for what they share: a switch or uplink, flow control that is off, another job on the fabric",
        retest="netprobe check",
    )


def _row_facts(case: RdmaCase, at: IntArray) -> Iterator[Fact]:
    rows, ports = case.loss.rows, case.ports
    for row in at[np.argsort(-rows.ratio[at], kind="stable")][: MOST_FACTS // 2].tolist():
        seen = "" if np.isnan(rows.out_of_order[row]) else f", {rows.out_of_order[row]:,.0f} out of sequence there"
        yield Fact(
            metric=f"{ports.subject(int(rows.src[row]))} to {ports.subject(int(rows.dst[row]))}, packets lost",
            observed=f"{_figures(case, np.array([row]))}{seen}",
            expected=f"below {share(ports.limits.rdma_loss_ratio)}",
            basis="limit rdma_loss_ratio; counted by the NICs at both ends in rounds of the two",
        )


def _severity(case: RdmaCase, at: IntArray) -> Severity:
    rows, limits = case.loss.rows, case.ports.limits
    loses_much = rows.lost[at].sum() >= limits.loss_block_ratio * rows.sent[at].sum()
    stalled, rounds = rows.stalled_rounds[at].sum(), rows.rounds[at].sum()
    stops_often = stalled >= max(limits.loss_floor_segments, limits.loss_stall_ratio * rounds)
    if loses_much or stops_often:
        return Severity.BLOCKS
    costs_little = rows.lost[at].sum() < limits.loss_ratio * rows.sent[at].sum()
    return Severity.WARNS if costs_little else Severity.DEGRADES


def _retest(evidence: Evidence, placement: Placement, hosts: list[str]) -> str:
    over_rdma = [table for table in evidence.pairs if table.path is Path.VERBS] or evidence.pairs
    return retest(max(over_rdma, key=lambda table: table.bytes_per_iteration), hosts, placement)


def counted_hosts(case: RdmaCase) -> set[frozenset[str]]:
    """Return the pairs of hosts whose traffic the NICs counted, with what was lost of it."""
    rows, ports = case.loss.rows, case.ports
    at = np.flatnonzero(rows.is_counted).tolist()
    return {frozenset((ports.host(int(rows.src[row])), ports.host(int(rows.dst[row])))) for row in at}
