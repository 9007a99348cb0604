"""How slow-host and slow-link tell what they found: the same losses in the same words."""

from collections.abc import Iterable, Iterator
from collections.abc import Set as AbstractSet
from typing import Final

from netprobe.detectors._losses import Kind, Loss, Losses
from netprobe.detectors._words import MOST_FACTS, listed, percent, rate_at, retest, table_title
from netprobe.locate.paths import is_latency
from netprobe.locate.placement import Placement
from netprobe.model.evidence import PairTable
from netprobe.model.finding import Confidence, Fact, Finding, Gap, Severity
from netprobe.model.limits import Limits
from netprobe.model.plan import Path
from netprobe.units import gbps

SURE_WITH_PARTNERS: Final = 3  # with two, one more bad host among the partners could have misled us
HEADER_BYTES: Final = 100  # what a message costs on the wire beside itself: Ethernet, IP, TCP and MPI
NOT_A_PARTNER: Final = "a single partner or path (partners agree, and are normal with others)"


def led_by_bandwidth(losses: Iterable[Loss]) -> tuple[Loss, ...]:
    """Return what matters most first."""
    return tuple(sorted(losses, key=lambda loss: (not loss.is_bandwidth, is_latency(loss.table), loss.effect)))


def is_of_link(losses: Iterable[Loss]) -> bool:
    """Return whether a host's link carries less while the host itself is as fast as others.

    A slower link also takes longer for each single message, which must not be held against the host.
    """
    losses = led_by_bandwidth(losses)
    links = {loss.table.path: loss for loss in reversed(losses) if loss.kind is Kind.LINK and loss.is_bandwidth}
    return bool(links) and all(
        loss.kind is Kind.LINK or _is_by_link(loss, links.get(loss.table.path)) for loss in losses
    )


def _is_by_link(loss: Loss, link: Loss | None) -> bool:
    """Return whether at least half of what a message takes longer is its own time on the slower link of its path."""
    if loss.kind is Kind.WITHIN or link is None:
        return False
    slow_gbps, normal_gbps = (_one_way_gbps(link.table, ns) for ns in (link.observed_ns, link.expected_ns))
    wire_bits = 8 * (loss.table.size_bytes + HEADER_BYTES)
    longer_on_the_wire_ns = wire_bits / slow_gbps - wire_bits / normal_gbps
    longer_ns = (loss.observed_ns - loss.expected_ns) / _messages(loss.table)
    return 2 * longer_on_the_wire_ns >= longer_ns


def _one_way_gbps(table: PairTable, sample_ns: float) -> float:
    return gbps(table.bytes_per_iteration, sample_ns) / (1 if table.directed else 2)


def _messages(table: PairTable) -> float:
    """Return how many messages follow each other in a sample: there and back, or a window one way."""
    return 2.0 if is_latency(table) else float(max(table.window, 1))


def fewest_partners(losses: Iterable[Loss]) -> int:
    """Return the weakest word's number of witnesses."""
    return min(len(loss.partners) for loss in losses)


def finding(  # noqa: PLR0913 - what the two detectors say of a host, and what they say it with
    detector: str,
    losses: tuple[Loss, ...],
    all_slow: Iterable[str],
    placement: Placement,
    limits: Limits,
    *,
    is_sure: bool,
    excluded: Iterable[str],
    next_action: str,
) -> Finding:
    """Return the finding against one host; the first loss leads it."""
    main = losses[0]
    blocks = any(loss.is_bandwidth and loss.loss_ratio > limits.host_block_ratio for loss in losses)
    good = [each for each in main.partners if each not in set(all_slow)] or list(main.partners)
    own = placement.ranks_on(main.host)
    ranks = tuple(dict.fromkeys(rank for loss in losses for rank in loss.ranks))
    is_part = len(ranks) < len(own)
    return Finding(
        detector=detector,
        severity=Severity.BLOCKS if blocks else Severity.DEGRADES,
        confidence=Confidence.HIGH if is_sure else Confidence.MEDIUM,
        subjects=tuple(placement.name(rank) for rank in sorted(ranks)) if is_part else (main.host,),
        hosts=(main.host,),
        summary=_summary(losses, f"{len(ranks)} of {len(own)} ranks" if is_part else ""),
        facts=tuple(_fact(loss) for loss in losses[:MOST_FACTS]),
        excluded=(*excluded, *_confirmed(losses)),
        next_action=next_action,
        retest=retest(main.table, [main.host, *good[:2]], placement),
    )


def directions(losses: Iterable[Loss]) -> set[str]:
    """Return in which of its directions a host is slow; two-way streams tell of both, and so of neither."""
    return {loss.verb for loss in losses} & {"sends", "receives"}


def normal_direction(losses: Iterable[Loss]) -> tuple[str, ...]:
    """Return which direction is excluded because it is normal."""
    slow = directions(losses)
    if len(slow) != 1:
        return ()
    return (
        ("its receive side (normal in the same run)",)
        if "sends" in slow
        else ("its send side (normal in the same run)",)
    )


def normal_path(losses: Iterable[Loss], looked_at: AbstractSet[tuple[Path, Kind]]) -> tuple[str, ...]:
    """Return which path is excluded: the host is normal there in what makes it slow over the other."""
    losses = [loss for loss in losses if loss.kind is not Kind.WITHIN]
    slow, kinds = {loss.table.path for loss in losses}, {loss.kind for loss in losses}
    normal = {path for path, kind in looked_at if kind in kinds} - slow
    return tuple(f"its {path.label} path (normal in the same run)" for path in Path if path in normal)


def one_partner_only(detector: str) -> Gap:
    """Return the answer for hosts of which none met two others."""
    return Gap(
        topic=detector,
        reason="every host met one partner only, and one alone cannot tell which of the two is slow",
        remedy="netprobe check --profile deep, or netprobe run bandwidth --all-pairs",
    )


def unsteady(detector: str, losses: Losses, kinds: Iterable[Kind], placement: Placement) -> Iterator[Gap]:
    """Return what hosts lost in the first pass and not in the second, of these kinds."""
    of_kinds = [loss for loss in led_by_bandwidth(losses.unsteady) if loss.kind in set(kinds)]
    for host in dict.fromkeys(loss.host for loss in of_kinds):
        if host in losses.by_host:
            continue
        loss = next(each for each in of_kinds if each.host == host)
        yield Gap(
            topic=detector,
            reason=f"{host} was slow for a while ({_summary((loss,), '')}) and normal in a second pass with "
            f"{listed(loss.cleared_by)}: it is not blamed",
            remedy=retest(loss.table, [host, *loss.cleared_by[:2]], placement),
        )


def _summary(losses: tuple[Loss, ...], part: str) -> str:
    main = losses[0]
    alike = [loss for loss in losses if loss.is_bandwidth == main.is_bandwidth]
    same_kind = [loss for loss in alike if loss.table.path is main.table.path]
    verbs = list(dict.fromkeys(loss.verb for loss in same_kind))
    verbs = [verb for verb in verbs if verb != "streams both ways" or not directions(same_kind)]
    seen, normal = rate_at(main.table, main.expected + main.effect), rate_at(main.table, main.expected)
    what = " and ".join(verbs) if len(verbs) <= 2 else ", ".join(verbs[:-1]) + f" and {verbs[-1]}"
    others = {loss.table.path for loss in losses if loss.kind is not Kind.WITHIN} - {main.table.path}
    as_well = "".join(f", and over {path.label} as well" for path in Path if path in others)
    where = (f" on {part}" if part else "") + as_well
    if is_latency(main.table):
        return f"{what} in {seen} where the fleet takes {normal} ({table_title(main.table)}){where}"
    loss = percent(main.loss_ratio)
    return f"{what} {loss} below the fleet: {seen} of {normal} ({table_title(main.table)}){where}"


def _fact(loss: Loss) -> Fact:
    peers = "peers, the same within each" if loss.kind is Kind.WITHIN else "partners in this role"
    return Fact(
        metric=f"{table_title(loss.table)}, {loss.verb}",
        observed=rate_at(loss.table, loss.expected + loss.effect),
        expected=rate_at(loss.table, loss.expected),
        basis=f"median of the fleet; {len(loss.partners)} {peers}: {listed(loss.partners)}",
    )


def _confirmed(losses: Iterable[Loss]) -> tuple[str, ...]:
    partners = dict.fromkeys(partner for loss in losses for partner in loss.confirmed_by)
    return (f"a passing disturbance (confirmed in a second pass with {listed(partners)})",) if partners else ()
