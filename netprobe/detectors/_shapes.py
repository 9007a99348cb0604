"""Pairs with two speeds, and pairs that slow down while they are measured: against the others of their table."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Final

from netprobe.detectors._words import MOST_FACTS, listed, on_hosts, percent, probe_title, size_title
from netprobe.locate.culprits import HostPair, blame_most_of_its_pairs
from netprobe.locate.placement import Placement, host_pairs, leaf_names
from netprobe.model.evidence import Evidence, PairTable, Shape
from netprobe.model.finding import Confidence, Fact, Finding, Severity
from netprobe.model.limits import Limits
from netprobe.units import format_duration

ID: Final = "jitter"
SHARED_SHARE: Final = 0.3  # of the rows of a table: what so many have is how the fabric or the library is built
FEWEST_SERIES: Final = 2  # of one pair, in different sizes, rounds or directions
FEWEST_ROWS: Final = 4  # of a table; among fewer, nobody is of the kind that most are

_Key = tuple[object, ...]


def findings(evidence: Evidence, placement: Placement, limits: Limits, crowded: set[str]) -> Iterator[Finding]:
    """Yield hosts and pairs whose series have two speeds, and those whose series slow down."""
    for is_odd, tell in ((_has_two_speeds, _of_speeds), (_slows_down, _of_drift)):
        odd = [
            shape
            for shape in _own(evidence, partial(is_odd, limits))
            if not crowded & {placement.host(shape.src), placement.host(shape.dst)}
        ]
        yield from _blamed(evidence, placement, odd, tell)


def _has_two_speeds(limits: Limits, shape: Shape) -> bool:
    if shape.modes_ns is None:
        return False
    low_ns, high_ns = shape.modes_ns
    return high_ns >= limits.jitter_mode_ratio * low_ns and high_ns - low_ns >= limits.jitter_mode_floor_ns


def _slows_down(limits: Limits, shape: Shape) -> bool:
    if shape.quarters_ns is None:
        return False
    first_ns, last_ns = shape.quarters_ns
    return last_ns >= limits.jitter_drift_ratio * first_ns and last_ns - first_ns >= limits.jitter_mode_floor_ns


def _own(evidence: Evidence, is_odd: Callable[[Shape], bool]) -> Iterator[Shape]:
    """Yield odd series of tables in which few are odd."""
    rows = {_key(table): len(table.src) for table in evidence.pairs}
    of_table: dict[_Key, list[Shape]] = {}
    for shape in evidence.shapes:
        if is_odd(shape):
            of_table.setdefault((shape.probe, shape.path, shape.memory, shape.size_bytes), []).append(shape)
    for key, odd in of_table.items():
        count = rows.get(key, 0)
        if count >= FEWEST_ROWS and len(odd) <= SHARED_SHARE * count:
            yield from odd


def _key(table: PairTable) -> _Key:
    return (table.probe, table.path, (table.send_memory, table.receive_memory), table.size_bytes)


def _blamed(
    evidence: Evidence, placement: Placement, odd: list[Shape], tell: Callable[[list[Shape]], tuple[str, str]]
) -> Iterator[Finding]:
    by_pair: dict[HostPair, list[Shape]] = {}
    for shape in odd:
        ends = sorted((placement.host(shape.src), placement.host(shape.dst)))
        by_pair.setdefault((ends[0], ends[1]), []).append(shape)
    sure = {pair: own for pair, own in by_pair.items() if len(own) >= FEWEST_SERIES}
    if not sure:
        return
    tables = (table for table in evidence.pairs if table.src.size)
    measured = {pair for pair in host_pairs(tables, placement) if pair[0] != pair[1]}
    blame = blame_most_of_its_pairs(sure, measured, leaf_names(placement))
    for host, partners in blame.hosts.items():
        own = [shape for pair, shapes in sure.items() if host in pair for shape in shapes]
        who = f"with {len(partners)} partners ({listed(partners)}) "
        yield _finding(host, (host,), who, own, placement, tell, [host, *partners[:2]])
    for pair in blame.pairs:
        yield _finding(f"{pair[0]} <-> {pair[1]}", (), "", sure[pair], placement, tell, list(pair))


def _finding(  # noqa: PLR0913 - who, with whom, what was seen
    subject: str,
    hosts: tuple[str, ...],
    who: str,
    shapes: list[Shape],
    placement: Placement,
    tell: Callable[[list[Shape]], tuple[str, str]],
    retested: list[str],
) -> Finding:
    words, next_action = tell(shapes)
    return Finding(
        detector=ID,
        severity=Severity.DEGRADES if hosts else Severity.WARNS,
        confidence=Confidence.MEDIUM,
        subjects=(subject,),
        hosts=hosts,
        summary=f"{'' if hosts else subject + ' '}{who}{words}",
        facts=tuple(_fact(shape, placement) for shape in shapes[:MOST_FACTS]),
        excluded=("how the fabric is built (few pairs are like that)",),
        next_action=next_action,
        retest=on_hosts("netprobe check", retested),
    )


def _title(shape: Shape) -> str:
    return f"{probe_title(shape.probe, shape.path)} {size_title(shape.size_bytes)}"


def _of_speeds(shapes: list[Shape]) -> tuple[str, str]:
    worst = max(shapes, key=_mode_ratio)
    assert worst.modes_ns is not None and worst.high_share is not None
    low_ns, high_ns = worst.modes_ns
    words = (
        f"has two speeds: {percent(1 - worst.high_share)} of the iterations take {format_duration(low_ns)}, "
        f"{percent(worst.high_share)} take {format_duration(high_ns)} ({_title(worst)}; {len(shapes)} series)"
    )
    return words, "compare the paths that its packets take (flow labels, ECMP, bonds), and power states of its host"


def _of_drift(shapes: list[Shape]) -> tuple[str, str]:
    worst = max(shapes, key=_drift_ratio)
    assert worst.quarters_ns is not None
    first_ns, last_ns = worst.quarters_ns
    words = (
        f"slows down while it is measured: from {format_duration(first_ns)} in the first quarter of a series to "
        f"{format_duration(last_ns)} in the last ({_title(worst)}; {len(shapes)} series)"
    )
    return words, "read temperatures and clocks under load: NIC and optics (ethtool -m), CPUs (turbostat)"


def _mode_ratio(shape: Shape) -> float:
    return 0.0 if shape.modes_ns is None else shape.modes_ns[1] / max(shape.modes_ns[0], 1.0)


def _drift_ratio(shape: Shape) -> float:
    return 0.0 if shape.quarters_ns is None else shape.quarters_ns[1] / max(shape.quarters_ns[0], 1.0)


def _fact(shape: Shape, placement: Placement) -> Fact:
    where = f"{_title(shape)}, {placement.name(shape.src)} to {placement.name(shape.dst)}"
    if shape.modes_ns is not None and shape.high_share is not None:
        return Fact(
            metric=f"{where}, slower of two speeds",
            observed=f"{format_duration(shape.modes_ns[1])}, {percent(shape.high_share)} of the iterations",
            expected=format_duration(shape.modes_ns[0]),
            basis="the faster one",
        )
    first_ns, last_ns = shape.quarters_ns or (0.0, 0.0)
    return Fact(
        metric=f"{where}, median of the last quarter",
        observed=format_duration(last_ns),
        expected=format_duration(first_ns),
        basis="median of the first",
    )
