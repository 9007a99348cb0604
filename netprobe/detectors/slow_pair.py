"""A pair that is slow though both of its hosts are fast with others: the path between them.

Does not handle: pairs within one host; their ranks differ by socket and NUMA distance, as they should.
"""

from collections.abc import Iterator, Mapping

from netprobe.contracts import Detector
from netprobe.detectors._flows import finding_of_flows, flows_by_hosts, moving_ends, with_flows
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
from netprobe.detectors._words import MOST_FACTS, largest_sizes, no_peers, percent, rate_at, table_title
from netprobe.locate.paths import is_latency
from netprobe.locate.placement import Placement
from netprobe.model.evidence import Evidence, IntArray, Sweep
from netprobe.model.finding import Confidence, Finding, Gap, Severity
from netprobe.model.limits import Limits
from netprobe.model.plan import Path

ID = "slow-pair"


def detect(evidence: Evidence, limits: Limits) -> Iterator[Finding | Gap]:
    """Name pairs that lose more than their two ends explain."""
    placement = wired_placement(evidence)
    gap = no_peers(ID, evidence, placement)
    if gap is not None:
        yield gap
        return
    largest = largest_sizes(evidence.pairs)
    tables = fitted_tables(evidence, placement, limits)
    flows = flows_by_hosts(evidence, placement, limits)
    moving = moving_ends(flows)
    by_hosts, shared = paths_by_hosts(tables, placement, _slow_rows, ID, largest, limits, moving)
    for ends, paths in by_hosts.items():
        paths = _worst_first(paths, largest)
        yield with_flows(_finding(ends, paths, placement), flows.get(ends), paths[0], placement)
    yield from (finding_of_flows(ends, flows[ends], ID, placement) for ends in sorted(moving - by_hosts.keys()))
    yield from shared


def _slow_rows(fitted: TablePaths) -> IntArray:
    return fitted.outliers.slow


def _worst_first(paths: list[SlowPath], largest: Mapping[Sweep, int]) -> list[SlowPath]:
    """Return paths by what matters most: bandwidth at the largest size, over RDMA."""
    return sorted(
        paths,
        key=lambda path: (
            is_latency(path.table),
            path.table.size_bytes != largest[path.table.sweep],
            path.table.path is Path.MPI,  # what MPI adds is not the path's
            path.observed,
        ),
    )


def _finding(ends: tuple[str, str], paths: list[SlowPath], placement: Placement) -> Finding:
    """Return one finding for two hosts, led by the first of the paths."""
    main = paths[0]
    seen, normal = rate_at(main.table, main.observed), rate_at(main.table, main.expected)
    pair = f"{ends[0]} <-> {ends[1]}"
    if is_latency(main.table):
        figure = f"{seen} where their other pairs suggest {normal}"
    else:
        figure = f"{percent(main.loss_ratio)} below what their other pairs suggest: {seen} of {normal}"
    return Finding(
        detector=ID,
        severity=Severity.DEGRADES,
        confidence=Confidence.HIGH if len(placement.hosts) > 3 else Confidence.MEDIUM,
        subjects=(pair,),
        hosts=(),
        summary=f"{pair}: {figure} ({table_title(main.table)}); both hosts are normal with others",
        facts=tuple(path_fact(path, placement) for path in paths[:MOST_FACTS]),
        excluded=(f"{ends[0]} and {ends[1]} themselves (normal with their other partners)", *confirmed(paths)),
        next_action="repeat the pair alone; if it stays slow, look at the links and spines that its flows hash to",
        retest=retest_path(main, placement),
    )


DETECTOR = Detector(
    id=ID,
    title="a pair that is slow though both hosts are fast with others",
    cause="""The fault lies between the two hosts: an uplink or spine port that runs at a lower rate or drops
    packets, two flows that hash to the same uplink (ECMP collision), a cable plugged into the wrong port so that
    the path is longer, or traffic of other jobs on that path.""",
    evidence="""What the two hosts do with others predicts what they should do with each other (see slow-host). The
    pair lies below that prediction by more than pair_loss_ratio, or its latency above by more than
    latency_excess_ratio, and in either case by more than outlier_mads robust deviations of all pairs. No host is
    blamed. When more than a tenth of all pairs are like that, no pair is named: bandwidth that so many lack is a
    warning about the fabric (colliding flows, an oversubscribed layer), and a latency that is longer by less than
    distance_excess_ratio is reported as a gap (near and far pairs). So is a pair that a second pass finds normal.
    Latencies and small messages of hosts whose ranks wait for CPUs are not judged. On RoCE a second pass measures such
    a pair with four UDP source ports, twice each: one that is slow with some of them each time, and fast with others,
    is named as one of several equal links, also where the ports of the first pass were lucky ones.""",
    remedy="""Run the retest that the finding prints. If the pair is fast when it is alone, it shared a link:
    compare with other source ports or more queue pairs, and look at the load of the uplinks. If it stays slow,
    trace the path and read the error and discard counters of each port on it; exchange the cable or optic of the
    port that counts.""",
    limits=(
        "pair_loss_ratio",
        "asymmetry_ratio",
        "latency_excess_ratio",
        "latency_excess_floor_ns",
        "distance_excess_ratio",
        "host_loss_ratio",
        "outlier_mads",
    ),
    detect=detect,
)
