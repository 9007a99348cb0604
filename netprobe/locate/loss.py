"""Who loses segments: a host that sends, a host that receives, or one path.

TCP counts what it sends again at the sender, and out-of-order arrivals at the receiver. In a round a host has one
partner, so what its counters grew by belongs to the direction from it to that partner. A row is one direction between
two hosts, over all rounds; it is lossy or it is not. Hosts are then explained away, most lossy rows first, and only
while partners that do well with others say so: a partner of two lossy senders is their victim.

Does not handle: loss of other traffic of a host (storage, monitoring); its counters are the same. It is no nearer to
one partner than to another, so it looks like a host that loses on sending. Out-of-order arrivals tell the two apart.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from netprobe.locate.faint_loss import faint_rows
from netprobe.locate.halves import Halves, halves
from netprobe.locate.placement import Placement
from netprobe.locate.timers import RTO_MIN_NS, timer_of, timers_of
from netprobe.model.evidence import CounterTable, PairTable
from netprobe.model.plan import Path, Plan, Scope
from netprobe.model.series import Metric
from netprobe.stats.distinct import distinct, sorted_distinct

IntArray = NDArray[np.int64]
FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]

NEEDLESS: Final = ("TCPDSACKRecv", "TCPDSACKRecvSegs")  # reports, and (since Linux 5.13) the segments they are about
FEWEST_PARTNERS: Final = 2  # one lossy row names two hosts; only a second good partner can tell which
NEEDLESS_MARGIN: Final = 1.25  # of what was reported: some reports are late, or lost, where a path reorders
LARGEST_SEGMENT_BYTES: Final = 1 << 16  # of IPv4; nothing that TCP sends carries more


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LossRows:
    """Directed pairs of hosts; arrays have shape (n,). Hosts are numbered as in the placement."""

    src: IntArray
    dst: IntArray
    sent: FloatArray
    """Segments with data that the source sent while it was paired with the destination; NaN: not counted."""
    retransmitted: FloatArray
    lost: FloatArray
    """Retransmitted segments less those that the receiver reported to have had already."""
    timeouts: FloatArray
    out_of_order: FloatArray
    """Segments that the destination received ahead of a missing one; NaN: not counted."""
    rounds: IntArray
    stalled_rounds: IntArray
    """Rounds with a retransmission timeout."""
    needed: FloatArray
    """The fewest segments that could have carried what was measured: fewer sent means another transport did."""

    @property
    def is_counted(self) -> BoolArray:
        """Return of which rows the counters saw the traffic."""
        return np.isfinite(self.sent) & (2 * self.sent >= self.needed)

    @property
    def ratio(self) -> FloatArray:
        """Return lost over sent; 0 where nothing was lost."""
        ratio: FloatArray = self.lost / np.maximum(self.sent, 1.0)
        return ratio


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LossyHost:
    """A host that loses in one role, and the rows that this explains."""

    host: int
    sends: bool
    """Whether it loses what it sends, rather than what it should receive."""
    rows: IntArray
    """Its lossy rows."""
    witnesses: IntArray
    """Partners of its lossy rows that do well with others."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LossBlame:
    """What explains the lossy rows."""

    hosts: tuple[LossyHost, ...]
    paths: IntArray
    """Lossy rows that nothing else explains."""
    halves: Halves | None = None
    """Two groups between which everything loses."""


def loss_rows(counters: CounterTable, pairs: tuple[PairTable, ...], placement: Placement) -> LossRows:
    """Return what each direction between hosts lost, over all rounds in which its source had one partner.

    Rounds over RDMA are left out: TCP carries no more than their control there.
    """
    pairs = tuple(table for table in pairs if table.path is Path.MPI)
    if not np.isfinite(counters.grown.get("tcp/RetransSegs", np.zeros(0))).any():
        return _uncounted(pairs, placement)
    stages = {name: number for number, name in enumerate(dict.fromkeys((*counters.stage, *(p.stage for p in pairs))))}
    crossing = [table for table in pairs if table.scope is Scope.BETWEEN_HOSTS and len(table.src)]
    meetings = _meetings(crossing, stages, placement)
    hosts = len(placement.hosts)
    directions, row_of = distinct(meetings[:, 2] * hosts + meetings[:, 3], below=hosts * hosts)
    windows = _Windows(counters, stages, placement)
    at = windows.rows_of(meetings[:, :3])
    is_alone = _is_alone(meetings)
    needed = np.zeros(len(directions))
    if windows.has_any:
        needed = needed_packets(crossing, directions, placement, largest_bytes=LARGEST_SEGMENT_BYTES)

    def total(values: FloatArray) -> FloatArray:
        """Sum over the rounds of each row; NaN where no round of it was counted."""
        of_meeting = np.where((at >= 0) & is_alone, values[at] if len(values) else np.nan, np.nan)
        known = np.isfinite(of_meeting)
        summed = np.bincount(row_of[known], of_meeting[known], len(directions))
        return np.where(np.bincount(row_of[known], minlength=len(directions)) > 0, summed, np.nan)

    src, dst = directions // hosts, directions % hosts
    reverse = np.searchsorted(directions, dst * hosts + src)
    retransmitted = total(windows.grown("tcp/RetransSegs"))
    sent = total(windows.sent())
    needless: FloatArray = np.fmax(
        total(windows.grown("tcp/TCPDSACKRecv")), total(windows.grown("tcp/TCPDSACKRecvSegs"))
    )
    timeouts = windows.grown("tcp/TCPTimeouts")
    rows = LossRows(
        src=src,
        dst=dst,
        sent=np.where(np.isfinite(retransmitted), sent, np.nan),
        retransmitted=np.nan_to_num(retransmitted),
        lost=np.nan_to_num(np.maximum(retransmitted - NEEDLESS_MARGIN * np.nan_to_num(needless), 0.0)),
        timeouts=np.nan_to_num(total(timeouts)),
        out_of_order=total(windows.grown("tcp/TCPOFOQueue"))[reverse],
        rounds=np.nan_to_num(total(np.isfinite(timeouts).astype(np.float64))).astype(np.int64),
        stalled_rounds=np.nan_to_num(total((timeouts > 0).astype(np.float64))).astype(np.int64),
        needed=needed,
    )
    once = (rows.stalled_rounds == 1) & (rows.rounds > 1)
    unfelt = ~(rows.out_of_order > 0) & ~_has_waited(crossing, directions, placement)
    return without_timeouts(rows, of=once | unfelt)


def _has_waited(crossing: Sequence[PairTable], directions: IntArray, placement: Placement) -> BoolArray:
    """Return of each direction whether an iteration between its hosts took as long as TCP's shortest timeout.

    Where none did, and nothing came early either, it was a connection of somebody else that timed out: of a job that is
    gone, of a monitor.
    """
    hosts = len(placement.hosts)
    late = [np.zeros(0, dtype=np.int64)]
    for table in crossing:
        at = table.max_ns >= RTO_MIN_NS
        src, dst = placement.host_of[table.src[at]], placement.host_of[table.dst[at]]
        late += [src * hosts + dst, dst * hosts + src]
    return np.isin(directions, np.concatenate(late))


def _uncounted(pairs: tuple[PairTable, ...], placement: Placement) -> LossRows:
    """Return the directions of a run in which nobody's TCP told anything, whoever met in which round."""
    hosts = len(placement.hosts)
    keys = [np.zeros(0, dtype=np.int64)]
    for table in pairs:
        if table.scope is Scope.BETWEEN_HOSTS:
            src, dst = placement.host_of[table.src], placement.host_of[table.dst]
            keys += [sorted_distinct(each, below=hosts * hosts) for each in (src * hosts + dst, dst * hosts + src)]
    directions = sorted_distinct(np.concatenate(keys), below=hosts * hosts)
    nothing, unknown = np.zeros(len(directions)), np.full(len(directions), np.nan)
    none = np.zeros(len(directions), dtype=np.int64)
    return LossRows(
        src=directions // hosts,
        dst=directions % hosts,
        sent=unknown,
        retransmitted=nothing,
        lost=nothing,
        timeouts=nothing,
        out_of_order=unknown,
        rounds=none,
        stalled_rounds=none,
        needed=nothing,
    )


def without_timeouts(rows: LossRows, *, of: BoolArray | None = None) -> LossRows:
    """Return the rows, or those of shape (n,) that ``of`` marks, without what was sent again because nothing came.

    Connections to a host that was lost are kept by the kernels of all its partners, and counted with what those do with
    others. Those of a job that is long gone are tried once in minutes, all of a host at the same moment: so timeouts in
    one round of several are no trait of that round's path, nor are those that no iteration waited for. What is really
    lost between two hosts that are well is mostly noticed by what arrives behind it.
    """
    without = np.maximum(rows.lost - rows.timeouts, 0.0)
    return replace(rows, lost=without if of is None else np.where(of, without, rows.lost))


class _Windows:
    """Counter windows by stage, round and host: the counters of a host are in the window of one of its ranks."""

    def __init__(self, counters: CounterTable, stages: dict[str, int], placement: Placement) -> None:
        self._counters = counters
        retransmitted = counters.grown.get("tcp/RetransSegs", np.full(len(counters.stage), np.nan))
        self._own = np.flatnonzero(np.isfinite(retransmitted))
        stage = np.array([stages[name] for name in counters.stage], dtype=np.int64)[self._own]
        host = placement.host_of[counters.rank[self._own]]
        self._keys = np.stack([stage, counters.round_index[self._own], host], axis=1).reshape(-1, 3)

    @property
    def has_any(self) -> bool:
        """Whether any host counted."""
        return bool(len(self._own))

    def grown(self, name: str) -> FloatArray:
        """Return the growth of a counter by window; NaN where it is not known."""
        values = self._counters.grown.get(name)
        return np.full(len(self._own), np.nan) if values is None else values[self._own]

    def sent(self) -> FloatArray:
        """Return segments sent with new data; all new segments where the kernel does not tell (before Linux 3.9)."""
        with_data = self.grown("tcp/TCPOrigDataSent")
        sent: FloatArray = np.where(np.isfinite(with_data), with_data, self.grown("tcp/OutSegs"))
        return sent

    def rows_of(self, wanted: IntArray) -> IntArray:
        """Return the window of each (stage, round, host), or -1."""
        if not len(self._keys):
            return np.full(len(wanted), -1, dtype=np.int64)
        both = np.concatenate([self._keys, wanted])
        rounds, hosts = 1 + int(both[:, 1].max()), 1 + int(both[:, 2].max())
        keys = (both[:, 0] * rounds + both[:, 1]) * hosts + both[:, 2]
        distinct_keys, number = np.unique(keys, return_inverse=True)
        window = np.full(len(distinct_keys), -1, dtype=np.int64)
        window[number[: len(self._keys)]] = np.arange(len(self._keys))
        found: IntArray = window[number[len(self._keys) :]]
        return found


def _meetings(crossing: list[PairTable], stages: dict[str, int], placement: Placement) -> IntArray:
    """Return the distinct (stage, round, host, partner) of all pairs between hosts, from both ends; shape (n, 4)."""
    hosts, rounds = len(placement.hosts), 1 + max((int(table.round_index.max()) for table in crossing), default=0)
    parts = [np.zeros(0, dtype=np.int64)]
    for table in crossing:
        # One number for all four: distinct rows of a matrix take twenty times as long to find as distinct numbers.
        meeting = stages[table.stage] * rounds + table.round_index
        src, dst = placement.host_of[table.src], placement.host_of[table.dst]
        parts += [(meeting * hosts + one) * hosts + other for one, other in ((src, dst), (dst, src))]
    keys = sorted_distinct(np.concatenate(parts))
    met = keys // (hosts * hosts)
    return np.stack([met // rounds, met % rounds, keys // hosts % hosts, keys % hosts], axis=1)


def _is_alone(meetings: IntArray) -> BoolArray:
    """Return for each meeting whether the host has no other partner in that round: else its counters are of several."""
    is_first = np.ones(len(meetings) + 1, dtype=bool)  # they are sorted: those of a host in a round are neighbours
    is_first[1:-1] = (meetings[1:, :3] != meetings[:-1, :3]).any(axis=1)
    return is_first[:-1] & is_first[1:]


def needed_packets(
    crossing: Sequence[PairTable], directions: IntArray, placement: Placement, *, largest_bytes: int
) -> FloatArray:
    """Return the fewest packets of each direction: one for a message that is waited for, else full ones.

    A direction is the number of its source times the hosts, plus that of its destination; sorted, shape (n,). What the
    tables tell of directions that are not among them is left out.
    """
    hosts = len(placement.hosts)
    needed = np.zeros(len(directions))
    for table in crossing if len(directions) else ():
        src, dst = placement.host_of[table.src], placement.host_of[table.dst]
        share = 1.0 if table.directed else 0.5
        each = share * table.bytes_per_iteration / largest_bytes
        segments = table.samples * (max(each, 1.0) if table.metric is Metric.ROUND_TRIP else each)
        for ends in [(src, dst)] if table.directed else [(src, dst), (dst, src)]:
            keys = ends[0] * hosts + ends[1]
            rows = np.minimum(np.searchsorted(directions, keys), len(directions) - 1)
            is_there = directions[rows] == keys
            needed += np.bincount(rows[is_there], segments[is_there], len(directions))
    return needed


def is_lossy(rows: LossRows, *, smallest_ratio: float, fewest: float) -> BoolArray:
    """Return which rows lose: as a share of what they send, and more than a hiccup."""
    lossy: BoolArray = rows.is_counted & (rows.lost >= fewest) & (rows.ratio >= smallest_ratio)
    return lossy


def blame_loss(rows: LossRows, lossy: BoolArray, cleared: tuple[BoolArray, BoolArray] | None = None) -> LossBlame:
    """Return what joins two groups, or the fewest hosts, that explain the lossy rows, and the rows that are left.

    ``cleared``: who cannot be why, as a sender and as a receiver (locate.own_leaf).
    """
    is_open = rows.is_counted
    faint = faint_rows(rows.src, rows.dst, rows.sent, rows.lost, counted=is_open, lossy=lossy)
    left = lossy | faint
    blamed: list[LossyHost] = []
    joined = halves(rows.src, rows.dst, is_open, lossy)
    if joined is not None:
        left[joined.rows] = is_open[joined.rows] = False
    while (worst := _worst(rows, left, is_open, cleared)) is not None:
        blamed.append(worst)
        left[worst.rows] = False
        # They tell nothing of their other ends any more; what it does not lose still speaks for its partners.
        is_open[worst.rows] = False
    return LossBlame(hosts=tuple(blamed), paths=np.flatnonzero(left & ~faint), halves=joined)


def _worst(
    rows: LossRows, left: BoolArray, is_open: BoolArray, cleared: tuple[BoolArray, BoolArray] | None
) -> LossyHost | None:
    """Return the host that explains most lossy rows in one role; among equals, most lost segments."""
    suspects = []
    for sends in (True, False):
        not_it = None if cleared is None else cleared[0 if sends else 1]
        suspect = _suspect(rows, left, is_open, not_it, sends=sends)
        suspects += [] if suspect is None else [suspect]
    return max(suspects, key=lambda each: (len(each.rows), float(rows.lost[each.rows].sum())), default=None)


def _suspect(
    rows: LossRows, left: BoolArray, is_open: BoolArray, not_it: BoolArray | None, *, sends: bool
) -> LossyHost | None:
    """Return the worst host that loses more than half of its rows in a role, at least two with good partners."""
    own, other = (rows.src, rows.dst) if sends else (rows.dst, rows.src)
    if not left.any():
        return None
    hosts = int(max(own.max(), other.max())) + 1
    lossy_count = np.bincount(own[left], minlength=hosts)
    has_good_partner = left & _does_well_with_others(other, left, is_open, hosts)
    witness_count = np.bincount(own[has_good_partner], minlength=hosts)
    is_suspect = (witness_count >= FEWEST_PARTNERS) & (2 * lossy_count > np.bincount(own[is_open], minlength=hosts))
    if not_it is not None:
        is_suspect &= ~not_it[:hosts]
    if not is_suspect.any():
        return None
    lost = np.bincount(own[left], rows.lost[left], hosts)
    host = max(np.flatnonzero(is_suspect).tolist(), key=lambda each: (lossy_count[each], lost[each]))
    return LossyHost(
        host=host,
        sends=sends,
        rows=np.flatnonzero(left & (own == host)),
        witnesses=other[has_good_partner & (own == host)],
    )


def _does_well_with_others(other: IntArray, left: BoolArray, is_open: BoolArray, hosts: int) -> BoolArray:
    """Return of each lossy row whether its partner, in its role, loses at most half of its other rows."""
    rows_with_others = np.bincount(other[is_open], minlength=hosts)[other] - 1
    lossy_with_others = np.bincount(other[left], minlength=hosts)[other] - 1
    does_well: BoolArray = (rows_with_others > 0) & (2 * lossy_with_others <= rows_with_others)
    return does_well


@dataclass(frozen=True, slots=True, kw_only=True)
class Stall:
    """A series between hosts whose slowest iteration is as late as a retransmission timer makes it."""

    table: PairTable
    src: str
    dst: str
    stall_ns: float
    """Beyond the median."""
    timer: str


def stalls_of(pairs: tuple[PairTable, ...], placement: Placement, plan: Plan | None = None) -> tuple[Stall, ...]:
    """Return the series between hosts that a retransmission timer stopped, longest first.

    ``plan``: of the run, that says how queue pairs of its stages were made.
    """
    made_with = {} if plan is None else {stage.id: stage.rdma for stage in plan.stages}
    found = []
    for table in pairs:
        rdma = made_with.get(table.stage)
        shortest_ns = min((step_ns for _, step_ns in timers_of(table.path, rdma)), default=np.inf)
        if table.scope is not Scope.BETWEEN_HOSTS:
            continue
        stall_ns = table.max_ns - table.p50_ns
        for row in np.flatnonzero(stall_ns >= shortest_ns).tolist():
            if (timer := timer_of(float(stall_ns[row]), table.path, rdma)) is not None:
                ends = (placement.host(int(table.src[row])), placement.host(int(table.dst[row])))
                stall = Stall(table=table, src=ends[0], dst=ends[1], stall_ns=float(stall_ns[row]), timer=timer)
                found.append(stall)
    return tuple(sorted(found, key=lambda stall: -stall.stall_ns))
