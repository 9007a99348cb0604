"""A host that is slow with everybody: its send side, its receive side, or the host itself.

Does not handle: a rail that is slow on all hosts alike; it has no peers that could tell.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from netprobe.contracts import Detector
from netprobe.detectors._words import (
    MOST_FACTS,
    is_common,
    largest_sizes,
    listed,
    no_peers,
    percent,
    rate_at,
    retest,
    table_title,
)
from netprobe.locate.effects import FEWEST_PARTNERS, Effects
from netprobe.locate.paths import host_effects, host_limit, is_latency
from netprobe.locate.placement import Placement, placement_of
from netprobe.model.evidence import Evidence, PairTable
from netprobe.model.finding import Confidence, Fact, Finding, Gap, Severity
from netprobe.model.limits import Limits
from netprobe.model.plan import Scope
from netprobe.stats.rates import excess_as_log, log_speed, loss_ratio
from netprobe.stats.spread import outlier_distance

ID = "slow-host"
FEWEST_HOSTS = 3
SURE_WITH_PARTNERS = 3  # with two, one more bad host among the partners could have misled us


@dataclass(frozen=True, slots=True, kw_only=True)
class _Loss:
    """One table's word against one host in one role."""

    host: str
    verb: str
    """``sends``, ``receives``, ``streams both ways``, ``answers`` or ``moves data within itself``."""
    table: PairTable
    effect: float
    """Of its worst rank, in log units; negative."""
    expected: float
    """Log speed of a normal pair."""
    ranks: tuple[int, ...]
    partners: tuple[str, ...]
    """Hosts that this host was measured with in this role; peers for a comparison within hosts."""
    is_bandwidth: bool
    """Whether it tells of bandwidth rather than of latency or of the message rate of a CPU."""

    @property
    def loss_ratio(self) -> float:
        return loss_ratio(self.effect)


def detect(evidence: Evidence, limits: Limits) -> Iterator[Finding | Gap]:
    """Name hosts that at least two partners agree on."""
    placement = placement_of(evidence.ranks)
    gap = no_peers(ID, evidence, placement)
    losses, gaps = _losses_within(evidence, placement, limits), list[Gap]()
    if gap is not None:
        gaps.append(gap)
    else:
        between, gaps = _losses_between(evidence, placement, limits)
        losses += between
    by_host: dict[str, list[_Loss]] = {}
    for loss in losses:
        by_host.setdefault(loss.host, []).append(loss)
    for host, of_host in by_host.items():
        yield _finding(host, of_host, by_host.keys(), placement, limits)
    yield from gaps


def _losses_between(evidence: Evidence, placement: Placement, limits: Limits) -> tuple[list[_Loss], list[Gap]]:
    losses: list[_Loss] = []
    gaps: list[Gap] = []
    had_partners = False
    largest = largest_sizes(evidence.pairs)
    for table in evidence.pairs:
        if table.scope is not Scope.BETWEEN_HOSTS:
            continue
        effects = host_effects(table, placement, limits)
        had_partners |= bool(max(effects.sender_partners.max(), effects.receiver_partners.max()) >= FEWEST_PARTNERS)
        is_bandwidth = not is_latency(table) and table.size_bytes == largest[table.probe, table.scope]
        found = [
            loss
            for role in _roles(table, effects)
            for loss in _losses_of_role(table, effects, role, placement, is_bandwidth=is_bandwidth)
            if _is_felt(loss, limits)
        ]
        far = {loss.host for loss in found if _may_be_distance(loss, limits)}
        if is_common(len(far), len(placement.hosts)):
            gaps.append(_distance_class(table, sorted(far), len(placement.hosts)))
            found = [loss for loss in found if loss.host not in far]
        losses.extend(found)
    if not had_partners:
        reason = "every host met one partner only, and one alone cannot tell which of the two is slow"
        gaps.append(
            Gap(topic=ID, reason=reason, remedy="netprobe check --profile deep, or netprobe run bandwidth --all-pairs")
        )
    return losses, gaps


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Role:
    verb: str
    effect: NDArray[np.float64]
    own: NDArray[np.int64]
    """The rank in this role, of each row."""
    other: NDArray[np.int64]


def _roles(table: PairTable, effects: Effects) -> Iterable[_Role]:
    if table.directed:
        return (
            _Role(verb="sends", effect=effects.sender, own=table.src, other=table.dst),
            _Role(verb="receives", effect=effects.receiver, own=table.dst, other=table.src),
        )
    verb = "answers" if is_latency(table) else "streams both ways"
    both, others = np.concatenate([table.src, table.dst]), np.concatenate([table.dst, table.src])
    return (_Role(verb=verb, effect=effects.sender, own=both, other=others),)


def _losses_of_role(
    table: PairTable, effects: Effects, role: _Role, placement: Placement, *, is_bandwidth: bool
) -> Iterator[_Loss]:
    slow = np.flatnonzero(role.effect < 0)
    baseline = np.concatenate([effects.baseline, effects.baseline])
    for host in dict.fromkeys(placement.host_of[slow].tolist()):
        ranks = slow[placement.host_of[slow] == host]
        worst = ranks[np.argmin(role.effect[ranks])]
        rows = np.flatnonzero(role.own == worst)
        yield _Loss(
            host=placement.hosts[host],
            verb=role.verb,
            table=table,
            effect=float(role.effect[worst]),
            expected=float(baseline[rows[0]]),
            ranks=tuple(ranks.tolist()),
            partners=tuple(dict.fromkeys(placement.host(rank) for rank in role.other[rows].tolist())),
            is_bandwidth=is_bandwidth,
        )


def _losses_within(evidence: Evidence, placement: Placement, limits: Limits) -> list[_Loss]:
    """Compare hosts by what their own ranks do with each other."""
    losses: list[_Loss] = []
    largest = largest_sizes(evidence.pairs)
    for table in evidence.pairs:
        if table.scope is not Scope.WITHIN_HOST:
            continue
        owner = placement.host_of[table.src]
        hosts = np.unique(owner)
        if len(hosts) < FEWEST_HOSTS:
            continue
        speeds = np.array([np.median(log_speed(table.p50_ns[owner == host])) for host in hosts])
        expected = float(np.median(speeds))
        limit = outlier_distance(speeds, mads=limits.outlier_mads, floor=host_limit(table, limits))
        for host in np.flatnonzero(speeds - expected < -limit):
            loss = _Loss(
                host=placement.hosts[hosts[host]],
                verb="moves data within itself",
                table=table,
                effect=float(speeds[host] - expected),
                expected=expected,
                ranks=placement.ranks_on(placement.hosts[hosts[host]]),
                partners=tuple(placement.hosts[each] for each in hosts if each != hosts[host]),
                is_bandwidth=not is_latency(table) and table.size_bytes == largest[table.probe, table.scope],
            )
            losses.extend([loss] if _is_felt(loss, limits) else [])
    return losses


def _is_felt(loss: _Loss, limits: Limits) -> bool:
    """Return whether an excess of latency is long enough for a job to notice; a loss of bandwidth always is."""
    if not is_latency(loss.table):
        return True
    expected_ns = np.exp(-loss.expected) / 2
    return bool(expected_ns * np.expm1(-loss.effect) > limits.latency_excess_floor_ns)


def _may_be_distance(loss: _Loss, limits: Limits) -> bool:
    return is_latency(loss.table) and -loss.effect < excess_as_log(limits.distance_excess_ratio)


def _distance_class(table: PairTable, hosts: list[str], total: int) -> Gap:
    return Gap(
        topic=ID,
        reason=f"{len(hosts)} of {total} hosts answer later than the rest at {table_title(table)} ({listed(hosts)}): "
        "so many share it that they probably sit behind more switch hops, and no host is blamed",
        remedy="compare hosts of one leaf with each other: netprobe check --hosts",
    )


def _finding(host: str, losses: list[_Loss], all_slow: Iterable[str], placement: Placement, limits: Limits) -> Finding:
    losses = sorted(losses, key=lambda loss: (not loss.is_bandwidth, is_latency(loss.table), loss.effect))
    main = losses[0]
    blocks = any(loss.is_bandwidth and loss.loss_ratio > limits.host_block_ratio for loss in losses)
    fewest = min(len(loss.partners) for loss in losses)
    is_sure = fewest >= SURE_WITH_PARTNERS and main.is_bandwidth
    good = [each for each in main.partners if each not in set(all_slow)] or list(main.partners)
    own = placement.ranks_on(host)
    ranks = tuple(dict.fromkeys(rank for loss in losses for rank in loss.ranks))
    is_part = len(ranks) < len(own)
    return Finding(
        detector=ID,
        severity=Severity.BLOCKS if blocks else Severity.DEGRADES,
        confidence=Confidence.HIGH if is_sure else Confidence.MEDIUM,
        subjects=tuple(placement.name(rank) for rank in sorted(ranks)) if is_part else (host,),
        hosts=(host,),
        summary=_summary(losses, main, f"{len(ranks)} of {len(own)} ranks" if is_part else ""),
        facts=tuple(_fact(loss) for loss in losses[:MOST_FACTS]),
        excluded=_excluded(losses),
        next_action=_next_action(losses),
        retest=retest(main.table, [host, *good[:2]], placement),
    )


def _summary(losses: list[_Loss], main: _Loss, part: str) -> str:
    same_kind = [loss for loss in losses if loss.is_bandwidth == main.is_bandwidth]
    verbs = list(dict.fromkeys(loss.verb for loss in same_kind))
    seen, normal = rate_at(main.table, main.expected + main.effect), rate_at(main.table, main.expected)
    what = " and ".join(verbs) if len(verbs) <= 2 else ", ".join(verbs[:-1]) + f" and {verbs[-1]}"
    where = f" on {part}" if part else ""
    if is_latency(main.table):
        return f"{what} in {seen} where the fleet takes {normal} ({table_title(main.table)}){where}"
    loss = percent(main.loss_ratio)
    return f"{what} {loss} below the fleet: {seen} of {normal} ({table_title(main.table)}){where}"


def _fact(loss: _Loss) -> Fact:
    peers = "peers, the same within each" if loss.verb == "moves data within itself" else "partners in this role"
    return Fact(
        metric=f"{table_title(loss.table)}, {loss.verb}",
        observed=rate_at(loss.table, loss.expected + loss.effect),
        expected=rate_at(loss.table, loss.expected),
        basis=f"median of the fleet; {len(loss.partners)} {peers}: {listed(loss.partners)}",
    )


def _excluded(losses: list[_Loss]) -> tuple[str, ...]:
    verbs = {loss.verb for loss in losses}
    excluded = ["a single partner or path (partners agree, and are normal with others)"]
    if "moves data within itself" in verbs and len(verbs) > 1:
        excluded.append("the network alone (the host is slow within itself as well)")
    if verbs == {"sends"}:
        excluded.append("its receive side (normal in the same run)")
    if verbs == {"receives"}:
        excluded.append("its send side (normal in the same run)")
    if "moves data within itself" in verbs and len(verbs) == 1:
        excluded = ["the network (no byte left the host)"]
    return tuple(excluded)


def _next_action(losses: list[_Loss]) -> str:
    verbs = {loss.verb for loss in losses}
    if "moves data within itself" in verbs:
        return "look for what takes the host's cores and memory: CPU frequency, NUMA placement, other processes"
    if verbs == {"answers"}:
        return "compare its place in the topology with its peers', then its CPU idle states and interrupt moderation"
    if verbs == {"sends"}:
        return "check PCIe width and speed of its NIC, then pause frames received on its port and the leaf's port"
    if verbs == {"receives"}:
        return "check PCIe width and speed of its NIC, IOMMU and memory bandwidth, then errors on the leaf's port"
    return "check link speed and PCIe width of its NIC against a healthy host, then cable and leaf port"


DETECTOR = Detector(
    id=ID,
    title="a host that is slow with every partner",
    cause="""Something of the host itself limits all of its traffic: a link that trained at half its rate, a NIC in
    a PCIe slot of fewer lanes or an older generation, IOMMU translation, a memory or CPU that cannot keep up (power
    cap, low frequency, ranks on the wrong NUMA node), or a bad cable or optic at its only port.

    Only sending slow: pause frames from the leaf, PCIe reads from memory, a rate limiter. Only receiving slow: PCIe
    writes, IOMMU, receive buffers, a leaf port that drops.""",
    evidence="""Rates of random pairs are split into a share of the sender, of the receiver and of the path (median
    polish on logarithms). A host is named only when at least two partners agree and those partners are normal with
    others; whoever merely met a slow host keeps a share of zero. Ranks are compared with ranks of the same place on
    other hosts. Figures within the host are compared between hosts.

    Low pairs that fall on hosts as chance would have it name nobody, however many there are.

    A loss at the largest size blocks beyond host_block_ratio; losses at smaller sizes and longer latencies degrade.
    When more than a tenth of all hosts answer late together, by less than distance_excess_ratio, that is reported as a
    gap: it is probably their distance.""",
    remedy="""Leave the host out, run the retest that the finding prints with two good partners, and compare with
    one of them: `ethtool DEVICE` or `ibstat` (link speed), `lspci -vv` LnkSta (PCIe width and speed), `numactl -H`
    and the CPU governor. Re-seat or replace the cable, then the optic, then the NIC; swap leaf ports to tell the
    port from the host.""",
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
