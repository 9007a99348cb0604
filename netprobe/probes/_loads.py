"""What probes of load share: all ranks begin together, flows and round trips run, and only what overlapped counts.

A round has three parts in time: flows settle, then they and the pairs are measured, then flows end. Every rank tells
when its own flows were under way, by stamps on rank 0's clock; the time that all flows have in common is what counts,
of round trips and of windows alike. What never overlapped is a gap.
"""

import time
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from netprobe.contracts import Assignment, Bench, Buffer, FlowLoad, Mismatch, Stamps
from netprobe.model.finding import Gap
from netprobe.model.plan import LOAD_PHASES, LOADED_LATENCY, LOADED_PHASE, Stage
from netprobe.model.series import Fault, Metric, Series
from netprobe.probes._recording import FEWEST_ITERATIONS, MOST_ITERATIONS, Measured, durations_of, record
from netprobe.units import NS_PER_MS

SETTLE_NS: Final = 20 * NS_PER_MS  # queues fill, and congestion control finds its rates, within a few of these
SETTLE_SHARE: Final = 4  # of the budget at most, where that is short
FASTER: Final = 4  # a part of round trips has at most so many times those of the part before
PARTS: Final = 8
SHORTEST_CONTROL_NS: Final = NS_PER_MS  # agreement costs tens of µs: parts are longer
FEWEST_WINDOWS: Final = 2
MOST_WINDOW_BYTES: Final = 8 << 20  # of one flow: sixteen of them into 10 Gb/s then end within a fifth of a second


def settle_ns(stage: Stage) -> int:
    """Return how long flows run before and after what is measured beside them."""
    return min(SETTLE_NS, stage.series_budget_ns // SETTLE_SHARE)


def measure_load(bench: Bench, stage: Stage, assignment: Assignment) -> tuple[Series | Gap, ...]:
    """Run one round of a load stage; all ranks call. Leaders return round trips, receivers return flows."""
    refusals = [each for each in bench.control.allgather(bench.transport.flows_refused()) if each is not None]
    if refusals:
        gap = Gap(topic=stage.probe, reason=refusals[0], remedy="--transport mpi --memory host", undermines=True)
        return (gap,) if bench.transport.rank == 0 else ()
    return tuple(each for size in stage.sizes_bytes for each in _measure(_Round(bench, stage, assignment, size)))


@dataclass(frozen=True, slots=True)
class _Round:
    """One size of one round on this rank."""

    bench: Bench
    stage: Stage
    assignment: Assignment
    size_bytes: int

    @property
    def pattern_seed(self) -> int:
        return self.bench.seed + 1_000_003 * self.assignment.round_index + self.size_bytes

    @property
    def rank(self) -> int:
        return self.bench.transport.rank


def _measure(own: _Round) -> tuple[Series | Gap, ...]:
    """Measure one size; whoever has a pair times round trips, whoever has flows carries them."""
    assignment = own.assignment
    if own.stage.probe == LOADED_LATENCY:
        has_flows = assignment.has_flows
        pings = _Pings.of(own) if assignment.peer is not None else None
        flows = _Flows.of(own, own.stage.load_bytes) if has_flows and pings is None else None
    else:
        pings, has_flows = None, True
        flows = _Flows.of(_with_pair_as_flow(own), own.size_bytes)
    own.bench.control.barrier()
    if pings is not None:
        pings.run()
    elif flows is not None:
        flows.run()
    span = _common_span(own, flows) if has_flows else None
    if pings is not None:
        return pings.told(span)
    return () if flows is None else flows.told(span)


def _with_pair_as_flow(own: _Round) -> _Round:
    """Return a round in which the pair is one more flow: of windows, where that is what is measured."""
    each = own.assignment
    if each.peer is None:
        return own
    if each.leads:
        return replace(own, assignment=replace(each, sends_to=(*each.sends_to, each.peer)))
    return replace(own, assignment=replace(each, receives_from=(*each.receives_from, each.peer)))


def _common_span(own: _Round, flows: "_Flows | None") -> tuple[float, float]:
    """Return from when until when all flows were under way, on rank 0's clock; all ranks call.

    A flow is under way once its first window has come.
    """
    nothing = np.iinfo(np.int64)
    begin, end = [nothing.min], [nothing.max]
    for stamps in () if flows is None else flows.stamps:
        told = own.bench.to_reference_ns(stamps[[1, -1]] if len(stamps) > 1 else stamps[[0, 0]])
        begin.append(int(told[0]))
        end.append(int(told[1]))
    latest = own.bench.control.maximum(np.array([max(begin)], dtype=np.int64))
    earliest = own.bench.control.minimum(np.array([min(end)], dtype=np.int64))
    return float(latest[0]), float(earliest[0])


def _within(bench: Bench, stamps: Stamps, span: tuple[float, float] | None) -> NDArray[np.bool_]:
    """Return which iterations lie within a span, as a whole; shape (iterations,)."""
    if span is None:
        return np.ones(max(len(stamps) - 1, 0), dtype=bool)
    at = bench.to_reference_ns(stamps)
    inside: NDArray[np.bool_] = (at[:-1] >= span[0]) & (at[1:] <= span[1])
    return inside


def _fault(own: _Round, peer: int, size_bytes: int, mismatch: Mismatch) -> Fault:
    return Fault(
        rank=own.rank,
        peer=peer,
        probe=own.stage.probe,
        size_bytes=size_bytes,
        iteration=0,
        first_offset_bytes=mismatch.first_offset_bytes,
        wrong_bytes=mismatch.wrong_bytes,
        xor_mask=mismatch.xor_mask,
        bit_counts=mismatch.bit_counts,
    )


class _Pings:
    """Round trips of a pair, for as long as the flows are meant to be measured."""

    def __init__(self, own: _Round, peer: int, send: Buffer, receive: Buffer) -> None:
        self._own, self._peer, self._send, self._receive = own, peer, send, receive
        self._parts: list[Stamps] = []
        self._begun_ns = 0

    @classmethod
    def of(cls, own: _Round) -> "_Pings":
        """Return what is to be run, its data written and its connection warm."""
        peer = own.assignment.peer
        assert peer is not None
        send, receive = (own.bench.memory(role, own.size_bytes) for role in ("send", "receive"))
        send.fill_pattern(seed=own.pattern_seed, rank=own.rank, iteration=0, offset_bytes=0, size_bytes=own.size_bytes)
        receive.poison()
        pings = cls(own, peer, send, receive)
        pings._part(max(own.stage.warmup_iterations, 1))
        return pings

    def run(self) -> None:
        """Go back and forth until the leader's clock says that it is enough; both ends call."""
        self._parts.clear()
        self._begun_ns = time.monotonic_ns()
        total_ns = settle_ns(self._own.stage) + self._own.stage.series_budget_ns
        count, done = FEWEST_ITERATIONS, 0
        while (count := self._agreed(count)) > 0:
            stamps = self._part(count)
            self._parts.append(stamps)
            done += count
            count = self._next(count, int(stamps[-1] - stamps[0]), total_ns, done)

    def told(self, span: tuple[float, float] | None) -> tuple[Series | Gap, ...]:
        """Return the series of what overlapped with ``span``, which is None where nothing else was under way."""
        faults = self._faults()
        if not self._own.assignment.leads:
            return ()
        durations = np.concatenate([self._kept(stamps, span) for stamps in self._parts])
        if len(durations) < FEWEST_ITERATIONS:
            return (self._missed(),)
        is_loaded = self._own.assignment.round_index % LOAD_PHASES == LOADED_PHASE
        if is_loaded and span is None:
            return ()  # nobody is left to load the fabric
        metric = Metric.LOADED if is_loaded else Metric.ALONE
        checked = 1 if self._own.stage.check_iterations else 0
        return (record(_measured(self._own, metric, self._peer), durations, faults=faults, checked_iterations=checked),)

    def _kept(self, stamps: Stamps, span: tuple[float, float] | None) -> NDArray[np.int64]:
        settled = stamps[:-1] >= self._begun_ns + settle_ns(self._own.stage)
        return durations_of(stamps)[settled & _within(self._own.bench, stamps, span)]

    def _missed(self) -> Gap:
        return Gap(
            topic=self._own.stage.probe,
            reason="a pair had too few round trips while all flows were under way: what load does to it is not known",
            remedy="a longer --budget of netprobe check, or --series of netprobe run",
        )

    def _next(self, count: int, part_ns: int, total_ns: int, done: int) -> int:
        """Return how many come next, as the leader sees it: as many as fit, and not many more than came before."""
        left_ns = self._begun_ns + total_ns - time.monotonic_ns()
        if left_ns <= 0 or done >= MOST_ITERATIONS:
            return 0
        mean_ns = max(part_ns / count, 1.0)
        span_ns = min(left_ns, max(total_ns / PARTS, SHORTEST_CONTROL_NS))
        return max(1, min(int(span_ns / mean_ns), FASTER * count, MOST_ITERATIONS - done))

    def _agreed(self, count: int) -> int:
        theirs = self._own.bench.control.swap(self._peer, count)
        return count if self._own.assignment.leads else theirs

    def _part(self, count: int) -> Stamps:
        return self._own.bench.transport.pingpong(
            initiates=self._own.assignment.leads,
            peer=self._peer,
            send=self._send.address,
            receive=self._receive.address,
            size_bytes=self._own.size_bytes,
            iterations=count,
        )

    def _faults(self) -> tuple[Fault, ...]:
        """Compare what came last, at both ends; both call."""
        own: tuple[Fault, ...] = ()
        if self._own.stage.check_iterations:
            mismatch = self._receive.verify_pattern(
                seed=self._own.pattern_seed,
                rank=self._peer,
                iteration=0,
                offset_bytes=0,
                size_bytes=self._own.size_bytes,
            )
            own = () if mismatch is None else (_fault(self._own, self._peer, self._own.size_bytes, mismatch),)
        return own + self._own.bench.control.swap(self._peer, own)


class _Flows:
    """All flows of this rank in one round."""

    def __init__(self, own: _Round, load: FlowLoad, receive: Buffer) -> None:
        self._own, self._load, self._receive = own, load, receive
        self.stamps: tuple[Stamps, ...] = ()

    @classmethod
    def of(cls, own: _Round, size_bytes: int) -> "_Flows | None":
        """Return what is to be run; None for a rank without flows."""
        each = own.assignment
        if not each.sends_to and not each.receives_from:
            return None
        send = own.bench.memory("send", size_bytes)
        receive = own.bench.memory("receive", size_bytes * max(len(each.receives_from), 1))
        send.fill_pattern(seed=own.pattern_seed, rank=own.rank, iteration=0, offset_bytes=0, size_bytes=size_bytes)
        receive.poison()
        load = FlowLoad(
            sends_to=each.sends_to,
            receives_from=each.receives_from,
            send=send.address,
            receive=receive.address,
            size_bytes=size_bytes,
            window=max(1, min(own.stage.window, MOST_WINDOW_BYTES // size_bytes)),
            duration_ns=2 * settle_ns(own.stage) + own.stage.series_budget_ns,
        )
        return cls(own, load, receive)

    def run(self) -> None:
        """Carry the flows until their receivers stop them."""
        self.stamps = self._own.bench.transport.flows(self._load)

    def told(self, span: tuple[float, float] | None) -> tuple[Series | Gap, ...]:
        """Return the series of each flow in, of the windows that came within ``span``."""
        windows = [durations_of(stamps)[_within(self._own.bench, stamps, span)] for stamps in self.stamps]
        if any(len(durations) < FEWEST_WINDOWS for durations in windows):
            return (self._missed(),)  # of all flows in: of some of them alone the receiver would look less busy
        return tuple(self._flow(index, durations) for index, durations in enumerate(windows))

    def _missed(self) -> Gap:
        return Gap(
            topic=self._own.stage.probe,
            reason="a flow had too few windows while all flows were under way: what its receiver gets is not known",
            remedy="a longer --budget of netprobe check, or --series of netprobe run",
        )

    def _flow(self, index: int, durations: NDArray[np.int64]) -> Series:
        peer, size_bytes = self._load.receives_from[index], self._load.size_bytes
        measured = replace(
            _measured(self._own, Metric.FLOW, self._own.rank),
            src=peer,
            size_bytes=size_bytes,
            bytes_per_iteration=self._load.window * size_bytes,
            window=self._load.window,
        )
        is_checked = self._own.stage.check_iterations > 0
        faults = self._faults(index) if is_checked else ()
        return record(measured, durations, faults=faults, checked_iterations=1 if is_checked else 0)

    def _faults(self, index: int) -> tuple[Fault, ...]:
        """Compare the last message of a flow, where it lies."""
        peer, size_bytes = self._load.receives_from[index], self._load.size_bytes
        mismatch = self._receive.verify_pattern(
            seed=self._own.pattern_seed,
            rank=peer,
            iteration=0,
            offset_bytes=index * size_bytes,
            size_bytes=size_bytes,
        )
        return () if mismatch is None else (_fault(self._own, peer, size_bytes, mismatch),)


def _measured(own: _Round, metric: Metric, dst: int) -> Measured:
    return Measured(
        stage=own.stage,
        metric=metric,
        round_index=own.assignment.round_index,
        src=own.rank,
        dst=dst,
        size_bytes=own.size_bytes,
        bytes_per_iteration=2 * own.size_bytes,
    )
