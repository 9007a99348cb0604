"""All-reduces that reads from a file system slow, or reads that all-reduces starve.

Does not handle: writes, and which switch or server it is; counters of ports and of the file system tell.
"""

import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np

from netprobe.contracts import Detector
from netprobe.detectors._loaded import FABRIC, MOST, BoolArray, asked_for, crowded_gap, is_quiet, names_of
from netprobe.detectors._words import MOST_FACTS, listed, percent
from netprobe.locate.interference import lost_ratio, most_lost_ratio
from netprobe.locate.line_rate import line_rates
from netprobe.locate.placement import Placement, placement_of
from netprobe.model.evidence import Evidence, FloatArray, StorageTable
from netprobe.model.finding import Confidence, Fact, Finding, Gap, Severity
from netprobe.model.limits import Limits
from netprobe.model.plan import Scope
from netprobe.model.report import LineBasis
from netprobe.model.storage import FEWEST_BLOCKS, OWN_STORAGE, STORAGE
from netprobe.units import format_duration, format_gbps, format_size

ID = "storage-interference"
FAIR_SHARE: Final = 0.5  # of a port that two kinds of traffic fill, which either can have
BETWEEN: Final = (
    "look at pauses and marks of the ports towards the storage servers while the retest runs; give storage a class of "
    "traffic and a queue of its own, or links of its own"
)
INSIDE: Final = (
    "see what reads and messages share inside a host (memory, PCIe, CPUs); then --storage with a file on the file "
    "system that jobs read from"
)
UNKNOWN_NIC: Final = "; that both share a NIC is not excluded, as no NIC told its rate"
BASIS: Final = "limit storage_lost_ratio, of the slower of alone before and after"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Case:
    """One table, and what a port that both share takes away from either by itself."""

    table: StorageTable
    line_gbps: FloatArray
    """Of each reader's host; NaN where no NIC tells."""
    is_own: bool
    """Whether the file is on a file system of the hosts' own, so that reads cross no fabric."""

    @property
    def reads_share(self) -> float | None:
        """The largest share of a host's NICs that reads take beside all-reduces; None where that is not known."""
        share = self.table.read_gbps[:, 1] / self.line_gbps
        return float(np.nanmax(share)) if np.isfinite(share).any() else None

    @property
    def not_excluded(self) -> str:
        """The end of a next action where a NIC that both share may be all: nobody told how fast it is."""
        return "" if self.is_own or np.isfinite(self.line_gbps).any() else UNKNOWN_NIC

    @property
    def reads_entitled(self) -> FloatArray:
        """What reads lose where they wanted more than half of their NIC, as a share of their rate alone."""
        alone = np.minimum(self.table.read_gbps[:, 0], self.table.read_gbps[:, 2])
        taken = 1 - np.minimum(alone, FAIR_SHARE * self.line_gbps) / alone
        return np.nan_to_num(taken)


def detect(evidence: Evidence, limits: Limits) -> Iterator[Finding | Gap]:
    """Name the fabric where all-reduces suffer, and hosts, or the fabric, where reads do."""
    placement = placement_of(evidence.ranks)
    if not evidence.storage:
        yield from _not_measured(evidence)
        return
    yield from crowded_gap(ID, evidence)
    is_own = any(gap.topic == OWN_STORAGE for gap in evidence.gaps)
    for table in evidence.storage:
        case = _Case(table=table, line_gbps=_lines(evidence, table, placement), is_own=is_own)
        if not evidence.crowded_hosts:  # the slowest rank of all decides
            yield from _reduces(case, placement, limits)
        yield from _reads(case, is_quiet(evidence, placement, table.rank), placement, limits)


def _not_measured(evidence: Evidence) -> Iterator[Gap]:
    if asked_for(STORAGE, evidence) and not any(gap.topic == STORAGE and gap.undermines for gap in evidence.gaps):
        yield Gap(
            topic=ID,
            reason="no all-reduce beside reads was told",
            remedy="netprobe run storage --storage FILE on two ranks or more",
        )


def _lines(evidence: Evidence, table: StorageTable, placement: Placement) -> FloatArray:
    """Return what the NICs of each reader's host carry together."""
    told = line_rates(evidence, Scope.BETWEEN_HOSTS)
    if told is None or told.basis is not LineBasis.NIC:
        return np.full(len(table.rank), np.nan)
    of_hosts = np.bincount(placement.host_of, told.gbps, len(placement.hosts)).astype(np.float64)
    lines: FloatArray = of_hosts[placement.host_of[table.rank]]
    return lines


def _reduces(case: _Case, placement: Placement, limits: Limits) -> Iterator[Finding | Gap]:
    table = case.table
    rates = 1 / table.reduced_p50_ns
    allowed = limits.storage_lost_ratio + (case.reads_share or 0.0)  # what is not known is said with the finding
    lost, most = float(lost_ratio(rates)), float(most_lost_ratio(rates))
    if np.isnan(lost):
        yield Gap(
            topic=ID, reason="all-reduces were not measured alone, beside reads, and alone again", remedy=_again(table)
        )
    elif lost > allowed:
        yield _reduces_suffer(case, lost, placement)
    elif most > allowed:
        yield _drifted("all-reduces", table)


def _reduces_suffer(case: _Case, lost: float, placement: Placement) -> Finding:
    table = case.table
    before, together, after = table.reduced_p50_ns.tolist()
    read_gbps = float(np.nanmedian(table.read_gbps[:, 1])) if np.isfinite(table.read_gbps[:, 1]).any() else None
    reads = "reads" if read_gbps is None else f"reads of {format_gbps(read_gbps)} a host"
    return Finding(
        detector=ID,
        severity=Severity.DEGRADES,
        confidence=Confidence.MEDIUM,
        subjects=_everything(case, placement),
        hosts=(),
        summary=f"all-reduces of {format_size(table.size_bytes)} lose {percent(lost)} of their rate beside {reads}: "
        f"{format_duration(together)} where it is {format_duration(max(before, after))} alone",
        facts=(
            Fact(
                metric=f"all-reduce of {format_size(table.size_bytes)} beside {reads}, median",
                observed=format_duration(together),
                expected=f"{format_duration(before)} before, {format_duration(after)} after",
                basis=BASIS,
            ),
            *_tail(table),
        ),
        excluded=("drift (slower than both before and after)", *_sharing(case)),
        next_action=INSIDE if case.is_own else BETWEEN + case.not_excluded,
        retest=_again(table),
    )


def _tail(table: StorageTable) -> Iterator[Fact]:
    before, together, after = table.reduced_p99_ns.tolist()
    if np.isfinite((before, together, after)).all():
        yield Fact(
            metric="the same, 99th percentile",
            observed=format_duration(together),
            expected=f"{format_duration(before)} before, {format_duration(after)} after",
            basis="told beside it; not judged",
        )


def _sharing(case: _Case) -> tuple[str, ...]:
    if case.reads_share is None:
        return ()
    return (f"that both share a NIC (reads take {percent(case.reads_share)} of it, which is allowed for)",)


def _reads(case: _Case, judged: BoolArray, placement: Placement, limits: Limits) -> Iterator[Finding | Gap]:
    table = case.table
    few = judged & (table.read_blocks.min(axis=1) < FEWEST_BLOCKS)
    if few.any():
        yield _too_few(few, table, placement)
        judged = judged & ~few
    allowed = limits.storage_lost_ratio + case.reads_entitled
    lost = lost_ratio(table.read_gbps)
    with np.errstate(invalid="ignore"):
        starved = judged & (lost > allowed)
        drifted = judged & ~starved & (most_lost_ratio(table.read_gbps) > allowed)
    if not (judged & np.isfinite(lost)).any() and judged.any():
        yield Gap(topic=ID, reason="no host read alone, beside all-reduces, and alone again", remedy=_again(table))
    if starved.any():
        yield _reads_suffer(case, lost, starved, int(judged.sum()), placement)
    elif drifted.any():
        yield _drifted(f"reads of {listed(names_of(table.rank[drifted].tolist(), placement))}", table)


def _reads_suffer(case: _Case, lost: FloatArray, starved: BoolArray, judged: int, placement: Placement) -> Finding:
    table = case.table
    rows = np.flatnonzero(starved)
    worst = rows[np.argsort(-lost[rows], kind="stable")].tolist()
    names = names_of((int(table.rank[row]) for row in worst), placement)
    is_everywhere = len(rows) > MOST * judged
    row = worst[0]
    alone = float(min(table.read_gbps[row, 0], table.read_gbps[row, 2]))
    return Finding(
        detector=ID,
        severity=Severity.WARNS,
        confidence=Confidence.MEDIUM if len(rows) > 1 else Confidence.LOW,
        subjects=_everything(case, placement) if is_everywhere else tuple(names),
        hosts=(),
        summary=f"reads of {len(rows)} of {judged} hosts lose up to {percent(float(lost[row]))} of their rate beside "
        f"all-reduces: {names[0]} gets {format_gbps(float(table.read_gbps[row, 1]))} where it gets "
        f"{format_gbps(alone)} alone",
        facts=tuple(
            Fact(
                metric=f"reads of {placement.host(int(table.rank[each]))} beside all-reduces",
                observed=format_gbps(float(table.read_gbps[each, 1])),
                expected=f"{format_gbps(float(table.read_gbps[each, 0]))} before, "
                f"{format_gbps(float(table.read_gbps[each, 2]))} after",
                basis=BASIS,
            )
            for each in worst[:MOST_FACTS]
        ),
        excluded=("drift (slower than both before and after)",),
        next_action=INSIDE
        if case.is_own
        else "see whether storage and all-reduces share a NIC and a queue on these hosts, and which of the two its "
        "weights favour; then pauses and drops of the ports on the way to the storage servers" + case.not_excluded,
        retest=_again(table),
    )


def _too_few(few: BoolArray, table: StorageTable, placement: Placement) -> Gap:
    names = listed(names_of(table.rank[few].tolist(), placement))
    return Gap(
        topic=ID,
        reason=f"{names} read fewer than {FEWEST_BLOCKS} blocks in a round: one more or less decides",
        remedy=_again(table, series="30s"),
    )


def _drifted(what: str, table: StorageTable) -> Gap:
    return Gap(
        topic=ID,
        reason=f"{what} alone differ before and after by more than what they lose in between: something else changed",
        remedy=_again(table),
    )


def _everything(case: _Case, placement: Placement) -> tuple[str, ...]:
    """Return what all hosts share; where reads cross no fabric, that is nothing but themselves."""
    return tuple(placement.hosts) if case.is_own or len(placement.hosts) == 1 else (FABRIC,)


def _again(table: StorageTable, series: str = "5s") -> str:
    rate = "" if table.rate_gbps is None else f" --storage-rate {table.rate_gbps / 8:g}GB/s"
    path, size = shlex.quote(table.path), format_size(table.size_bytes)
    return f"netprobe run storage --storage {path}{rate} -e {size} --series {series}"


DETECTOR = Detector(
    id=ID,
    title="reads from storage and all-reduces that slow each other",
    cause="""Jobs read data and checkpoints over the fabric that their all-reduces cross. Where both share a queue, or
    storage servers answer many hosts at once, queues towards one of the two fill and hold up the other; where weights
    favour one, the other starves.""",
    evidence="""Every host reads a file, past the page cache, and all ranks all-reduce: each alone, both together, each
    alone again. All-reduces (by their median, the slowest rank of each) or reads (by their rate, host by host) lose
    more than storage_lost_ratio of their rate together, against the slower of before and after. What a shared NIC
    explains is allowed for, where its rate is known: of all-reduces the share that reads take, of reads what exceeds
    half of the NIC. Hosts are not to blame for either. Where ranks wait for a CPU, nothing is judged.""",
    remedy="""A class of traffic, a priority and a queue of its own for storage, with a weight (ETS) that leaves both
    what they need; storage on NICs or links of its own; congestion control on for both.""",
    limits=("storage_lost_ratio",),
    detect=detect,
)
