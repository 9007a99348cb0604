"""A host whose link carries less: its bandwidth is low with every partner, and the host itself is as fast as others.

Does not handle: which part of the link it is (PCIe slot, NIC, optic, cable, leaf port, a shaper); all look the same in
rates, and only their counters tell them apart.
"""

from collections.abc import Iterator

from netprobe.contracts import Detector
from netprobe.detectors._losses import Kind, Loss, Losses, host_losses
from netprobe.detectors._slow import (
    NOT_A_PARTNER,
    SURE_WITH_PARTNERS,
    directions,
    fewest_partners,
    finding,
    is_of_link,
    led_by_bandwidth,
    normal_direction,
    normal_path,
    one_partner_only,
    unsteady,
)
from netprobe.detectors._wiring import wired_placement
from netprobe.detectors._words import between_hosts, no_peers
from netprobe.locate.paths import is_latency
from netprobe.locate.placement import Placement
from netprobe.model.evidence import Evidence
from netprobe.model.finding import Finding, Gap
from netprobe.model.limits import Limits
from netprobe.model.plan import Path

ID = "slow-link"


def detect(evidence: Evidence, limits: Limits) -> Iterator[Finding | Gap]:
    """Name hosts whose link is slow with at least two partners."""
    placement = wired_placement(evidence)
    gap = no_peers(ID, evidence, placement) or _no_streams(evidence)
    if gap is not None:
        yield gap
        return
    losses = host_losses(ID, evidence, placement, limits)
    crowded = set(evidence.crowded_hosts)
    for host in losses.by_host:
        if is_of_link(losses.by_host[host]):
            yield _finding(host, losses, placement, limits, is_crowded=host in crowded)
    if not losses.had_partners:
        yield one_partner_only(ID)
    yield from unsteady(ID, losses, (Kind.LINK,), placement)


def _no_streams(evidence: Evidence) -> Gap | None:
    if any(not is_latency(table) for table in between_hosts(evidence)):
        return None
    return Gap(
        topic=ID,
        reason="no bandwidth was measured between hosts",
        remedy="netprobe check, or netprobe run bandwidth",
    )


def _finding(host: str, losses: Losses, placement: Placement, limits: Limits, *, is_crowded: bool) -> Finding:
    own = led_by_bandwidth(losses.by_host[host])
    looked_at = losses.looked_at[host]
    # What is normal over one path says nothing of what the CPU does for the other.
    paths = {loss.table.path for loss in own}
    kinds = frozenset(kind for path, kind in looked_at if kind is Kind.WITHIN or path in paths)
    is_host_known = bool(kinds & {Kind.LATENCY, Kind.RATE})
    unknown = list(_not_excluded(kinds, is_crowded=is_crowded))
    return finding(
        ID,
        own,
        losses.by_host,
        placement,
        limits,
        is_sure=is_host_known and fewest_partners(own) >= SURE_WITH_PARTNERS,
        excluded=(*_excluded(own, kinds), *normal_path(own, looked_at)),
        next_action=_next_action(own, looked_at) + (f"; not excluded: {' and '.join(unknown)}" if unknown else ""),
    )


def _excluded(losses: tuple[Loss, ...], looked_at: frozenset[Kind]) -> Iterator[str]:
    yield NOT_A_PARTNER
    yield from normal_direction(losses)
    if looked_at & {Kind.LATENCY, Kind.RATE}:
        is_normal = all(loss.kind is Kind.LINK for loss in losses)
        yield f"its CPU (small messages are {'normal' if is_normal else 'as fast as such a link lets them be'})"
    if Kind.WITHIN in looked_at:
        yield "its memory (normal within the host)"


def _not_excluded(looked_at: frozenset[Kind], *, is_crowded: bool) -> Iterator[str]:
    if not looked_at & {Kind.LATENCY, Kind.RATE}:
        yield "its CPU (its ranks wait for one)" if is_crowded else "its CPU (no small messages were measured)"
    if Kind.WITHIN not in looked_at:
        yield "its memory (not measured within hosts)"


def _next_action(losses: tuple[Loss, ...], looked_at: frozenset[tuple[Path, Kind]]) -> str:
    if (Path.VERBS, Kind.LINK) in looked_at and all(loss.table.path is Path.MPI for loss in losses):
        return (
            "see which interface and protocol MPI took there: RDMA has its whole bandwidth, so a port that both use is "
            "not to blame; then the load and the settings of TCP on that host"
        )
    slow = directions(losses)
    if slow == {"sends"}:
        return (
            "compare the link speed and PCIe width of its NIC with a healthy host's; then rate limiters, pause frames "
            "that it receives, its optic, and errors that the leaf's port receives"
        )
    if slow == {"receives"}:
        return (
            "compare the link speed and PCIe width of its NIC with a healthy host's; then errors that its port "
            "receives, the leaf's optic, and shaping or drops on the leaf's port"
        )
    return "compare the link speed and PCIe width of its NIC with a healthy host's; then cable, optics and leaf port"


DETECTOR = Detector(
    id=ID,
    title="a host whose link carries less than the others'",
    cause="""What joins the host to the fabric carries less: a port that trained at a lower rate or with fewer lanes, a
    NIC in a PCIe slot of fewer lanes or an older generation, a rate limiter on the host or the leaf, pause frames, a
    bad cable or optic that costs retransmissions.

    Only sending slow: pause frames from the leaf, PCIe reads from memory, a limiter on the host, the host's laser. Only
    receiving slow: PCIe writes, the leaf's laser, a leaf port that drops or is shaped.""",
    evidence="""Bandwidth at the largest size is low with all partners (how hosts are told from their partners: see
    slow-host), and latency, the rate of small messages and figures within the host are normal, or no slower than the
    slower link makes them. If any of them is slower than that, the host is a slow-host, and not this. Sizes count as
    large when the fleet reaches half of its bandwidth there.

    Where small messages were not measured, or the host's ranks wait for CPUs, the confidence is medium, and the finding
    says what is not excluded. A loss beyond host_block_ratio blocks. What a second pass with other partners does not
    find again is a gap. MPI and RDMA are judged apart; a host whose link is slow over both is one finding.""",
    remedy="""Leave the host out, run the retest that the finding prints with two good partners, and compare with one
    of them: `ethtool DEVICE` or `ibstat` (link speed), `lspci -vv` LnkSta (PCIe width and speed), `tc qdisc show` (rate
    limiters), `ethtool -S` (pause frames and errors, per direction). Re-seat or replace the cable, then the optic, then
    the NIC; swap leaf ports to tell the port from the host.""",
    limits=(
        "host_loss_ratio",
        "host_block_ratio",
        "latency_excess_ratio",
        "latency_excess_floor_ns",
        "outlier_mads",
    ),
    detect=detect,
)
