"""A host that is slow itself: it answers late, handles few messages, or is slow within itself.

A host whose bandwidth alone is low is a slow-link. Does not handle: a rail that is slow on all hosts alike; it has no
peers that could tell.
"""

from collections.abc import Iterator

from netprobe.contracts import Detector
from netprobe.detectors._crowded import crowded_gap
from netprobe.detectors._losses import Kind, Loss, Losses, host_losses
from netprobe.detectors._slow import (
    NOT_A_PARTNER,
    SURE_WITH_PARTNERS,
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
from netprobe.detectors._words import no_peers
from netprobe.locate.placement import Placement
from netprobe.model.evidence import Evidence
from netprobe.model.finding import Finding, Gap
from netprobe.model.limits import Limits

ID = "slow-host"


def detect(evidence: Evidence, limits: Limits) -> Iterator[Finding | Gap]:
    """Name hosts that at least two partners agree on."""
    placement = wired_placement(evidence)
    losses = host_losses(ID, evidence, placement, limits)
    for of_host in losses.by_host.values():
        if not is_of_link(of_host):
            yield _finding(led_by_bandwidth(of_host), losses, placement, limits)
    gap = no_peers(ID, evidence, placement)
    if gap is not None:
        yield gap
        return
    crowded = crowded_gap(ID, evidence, placement)
    if crowded is not None:
        yield crowded
    if not losses.had_partners:
        yield one_partner_only(ID)
    yield from losses.far
    yield from unsteady(ID, losses, (Kind.RATE, Kind.LATENCY, Kind.WITHIN), placement)


def _finding(own: tuple[Loss, ...], losses: Losses, placement: Placement, limits: Limits) -> Finding:
    return finding(
        ID,
        own,
        losses.by_host,
        placement,
        limits,
        is_sure=own[0].is_bandwidth and fewest_partners(own) >= SURE_WITH_PARTNERS,
        excluded=(
            *_excluded(own),
            *_at_its_quickest(own),
            *normal_path(own, losses.looked_at.get(own[0].host, frozenset())),
        ),
        next_action=_next_action(own),
    )


def _excluded(losses: tuple[Loss, ...]) -> Iterator[str]:
    kinds = {loss.kind for loss in losses}
    if kinds == {Kind.WITHIN}:
        yield "the network (no byte left the host)"
        return
    yield NOT_A_PARTNER
    if Kind.WITHIN in kinds:
        yield "the network alone (the host is slow within itself as well)"
    if Kind.LINK in kinds and kinds & {Kind.RATE, Kind.LATENCY}:
        yield "its link alone (messages that need next to nothing of it are slow as well)"
    yield from normal_direction(losses)


def _at_its_quickest(losses: tuple[Loss, ...]) -> tuple[str, ...]:
    """Say that a crowded host is not blamed for having waited."""
    is_so = any(loss.by_quickest for loss in losses)
    return ("waiting for a CPU (its quickest round trips are as long)",) if is_so else ()


def _next_action(losses: tuple[Loss, ...]) -> str:
    verbs = {loss.verb for loss in losses}
    if any(loss.kind is Kind.WITHIN for loss in losses):
        return "look for what takes the host's cores and memory: CPU frequency, NUMA placement, other processes"
    if verbs == {"answers"}:
        return "compare its place in the topology with its peers', then its CPU idle states and interrupt moderation"
    return (
        "compare CPU frequency, NUMA placement and interrupt moderation with a healthy host's, then what else it runs"
    )


DETECTOR = Detector(
    id=ID,
    title="a host that is slow itself: in latency, message rate, or within",
    cause="""Something of the host limits what it does: a CPU that cannot keep up (power cap, low frequency, deep idle
    states, other processes), ranks on the wrong NUMA node, IOMMU translation, interrupt moderation, memory that lacks a
    channel. A host whose bandwidth alone is low is a slow-link.""",
    evidence="""Rates of random pairs are split into a share of the sender, of the receiver and of the path (median
    polish on logarithms). A host is named only when at least two partners agree and those partners are normal with
    others; whoever merely met a slow host keeps a share of zero. Ranks are compared with ranks of the same place on
    other hosts. Figures within the host are compared between hosts. A latency or a rate of small messages counts
    against the host only beyond what a slower link would cost it.

    Low pairs that fall on hosts as chance would have it name nobody, however many there are. On hosts whose ranks wait
    for CPUs, small messages and figures within the host are not judged, and latencies only where the quickest of their
    round trips is longer than others typically are. What a second pass with other partners does not find again is a
    gap.

    MPI and RDMA are judged apart, each against its own fleet; a host that is slow over both is one finding, and one
    that is slow over one of them is told to be normal over the other.

    A loss at the largest size blocks beyond host_block_ratio; losses at smaller sizes and longer latencies degrade.
    When more than a tenth of all hosts answer late together, by less than distance_excess_ratio, that is reported as a
    gap: it is probably their distance.""",
    remedy="""Run the retest that the finding prints with two good partners, and compare the host with one of them: the
    CPU governor and frequency under load, `cpupower idle-info`, `numactl -H` and where the ranks are bound, `top` for
    other processes, `ethtool -c` for interrupt moderation, dmidecode for missing memory.""",
    limits=(
        "host_loss_ratio",
        "host_block_ratio",
        "latency_excess_ratio",
        "latency_excess_floor_ns",
        "distance_excess_ratio",
        "outlier_mads",
    ),
    detect=detect,
)
