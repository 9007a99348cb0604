"""A pair that is slow in one direction only, once what its two hosts do with others is taken away.

A host whose send side is slow with everybody is a slow-link; here are single paths, and the only evidence of a bad
direction that two hosts alone can give.
"""

from collections.abc import Iterator

from netprobe.contracts import Detector
from netprobe.detectors._flows import flows_by_hosts, moving_ends
from netprobe.detectors._paths import (
    SlowPath,
    TablePaths,
    confirmed,
    fitted_tables,
    path_fact,
    paths_by_hosts,
    retest_path,
)
from netprobe.detectors._wiring import wired_placement
from netprobe.detectors._words import (
    MOST_FACTS,
    between_hosts,
    largest_sizes,
    no_peers,
    percent,
    rate_at,
    table_title,
)
from netprobe.locate.placement import Placement
from netprobe.model.evidence import Evidence, IntArray
from netprobe.model.finding import Confidence, Fact, Finding, Gap, Severity
from netprobe.model.limits import Limits
from netprobe.model.plan import Path
from netprobe.stats.rates import loss_ratio

ID = "asymmetry"
PAIR_OF_HOSTS = 2


def detect(evidence: Evidence, limits: Limits) -> Iterator[Finding | Gap]:
    """Name directions of pairs that are slower than their other direction."""
    placement = wired_placement(evidence)
    directed = [table for table in between_hosts(evidence) if table.directed]
    if not directed:
        gap = no_peers(ID, evidence, placement) if not between_hosts(evidence) else None
        yield gap or Gap(
            topic=ID,
            reason="no probe measured the two directions of a pair apart",
            remedy="netprobe check, or netprobe run bandwidth",
        )
        return
    has_peers = len(placement.hosts) > PAIR_OF_HOSTS
    largest = largest_sizes(evidence.pairs)
    tables = (
        fitted
        for fitted in fitted_tables(evidence, placement, limits)
        # Without peers, small messages would only tell that one CPU is faster than the other.
        if fitted.table.directed and (has_peers or fitted.table.size_bytes == largest[fitted.table.sweep])
    )
    decided = moving_ends(flows_by_hosts(evidence, placement, limits))  # slow-pair tells of these
    by_hosts, shared = paths_by_hosts(tables, placement, _one_sided_rows, ID, largest, limits, decided)
    for paths in by_hosts.values():
        yield _finding(paths, placement, has_peers=has_peers)
    yield from shared


def _one_sided_rows(fitted: TablePaths) -> IntArray:
    return fitted.outliers.one_sided


def _finding(paths: list[SlowPath], placement: Placement, *, has_peers: bool) -> Finding:
    paths = sorted(paths, key=lambda path: (-path.table.size_bytes, path.table.path is Path.MPI, path.observed))
    main = paths[0]
    src, dst = placement.host(main.src), placement.host(main.dst)
    reverse = main.observed if main.reverse is None else main.reverse
    seen, back = rate_at(main.table, main.observed), rate_at(main.table, reverse)
    excluded = (
        (f"{src} as a sender and {dst} as a receiver (normal with others)", "the cable's rate (the other way is fast)")
        if has_peers
        else ("a link that is slow both ways",)
    )
    return Finding(
        detector=ID,
        severity=Severity.DEGRADES,
        confidence=Confidence.HIGH if has_peers else Confidence.MEDIUM,
        subjects=(f"{src} -> {dst}",),
        hosts=(),
        summary=f"{src} -> {dst} runs {percent(loss_ratio(main.observed - reverse))} below the way back: "
        f"{seen} against {back} ({table_title(main.table)})",
        facts=tuple(_fact(path, placement, has_peers=has_peers) for path in paths[:MOST_FACTS]),
        excluded=(*excluded, *confirmed(paths)),
        next_action=(
            f"read the error and discard counters of the ports from {src} to {dst}, in that direction"
            if has_peers
            else f"measure with a third host: it tells the send side of {src} from the receive side of {dst}"
        ),
        retest=retest_path(main, placement),
    )


def _fact(path: SlowPath, placement: Placement, *, has_peers: bool) -> Fact:
    if has_peers or path.reverse is None:
        return path_fact(path, placement)
    return Fact(
        metric=f"{table_title(path.table)}, {placement.name(path.src)} -> {placement.name(path.dst)}",
        observed=rate_at(path.table, path.observed),
        expected=rate_at(path.table, path.reverse),
        basis="the other direction of the same pair",
    )


DETECTOR = Detector(
    id=ID,
    title="a pair that is slow in one direction only",
    cause="""Each direction of a cable has its own lanes and lasers, and each direction of a route its own ports: a
    dirty fibre, a failing laser, a port that drops on egress, or a route that is congested one way. Between two
    hosts alone it may as well be the send side of one or the receive side of the other (PCIe reads and writes
    differ).""",
    evidence="""Both directions of a pair use the same two hosts, so what the hosts do with others is taken away
    first. The two directions then differ by more than asymmetry_ratio, and by more than outlier_mads robust
    deviations of the differences of all pairs. With two hosts there are no others: confidence is medium, and only
    the largest size counts. A pair that is slow both ways is a slow-pair; a host that is slow one way with
    everybody is a slow-link. What hosts whose ranks wait for CPUs do with small messages is not judged, and a
    direction that a second pass finds normal is a gap.""",
    remedy="""Read receive errors (symbol, CRC, discards) at the receiving end of each hop in the slow direction:
    the first port that counts is at the far end of the bad cable. Clean or exchange that fibre or optic. With two
    hosts only, add a third and repeat: whoever stays slow is the culprit.""",
    limits=("asymmetry_ratio", "pair_loss_ratio", "host_loss_ratio", "outlier_mads", "distance_excess_ratio"),
    detect=detect,
)
