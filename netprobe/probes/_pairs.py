"""What all pair probes share: check the data, warm up, choose the count, time one native series, check again."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

from netprobe.contracts import Assignment, Bench, Buffer, Mismatch, Stamps
from netprobe.errors import PairError
from netprobe.model.plan import Stage
from netprobe.model.rdma import Operation, PairFailure
from netprobe.model.series import Fault, Metric, Phase, Series
from netprobe.probes._recording import (
    WARMUP_SHARE,
    Measured,
    Timings,
    durations_of,
    joined,
    pipelined,
    record,
    spend,
    timings_of,
)

COMPARED_BYTES: Final = 64 << 20  # a window of large messages is compared as far as this; every size is, with one


@dataclass(frozen=True, slots=True, kw_only=True)
class PairOperation:
    """One way of moving bytes between two ranks."""

    metric: Metric
    leader_receives: bool
    follower_receives: bool
    messages: Callable[[int], int]
    """Messages of one iteration, both directions together, for a window."""
    run: Callable[["PairRound", int], Stamps]
    """Run so many iterations; both ends call."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PairRound:
    """One pair at one size, as one of its two ends sees it."""

    bench: Bench
    stage: Stage
    round_index: int
    peer: int
    leads: bool
    size_bytes: int
    window: int
    stride_bytes: int
    """From one message of a window to the next; 0 when all use the same memory."""
    send: Buffer
    receive: Buffer

    @property
    def span_bytes(self) -> int:
        """The memory that one window uses."""
        return self.stride_bytes * (self.window - 1) + self.size_bytes

    @property
    def pattern_seed(self) -> int:
        """Differs from round to round and size to size, so that stale bytes never look right."""
        return self.bench.seed + 1_000_003 * self.round_index + self.size_bytes


def measure_pairs(
    bench: Bench, stage: Stage, assignment: Assignment, operation: PairOperation
) -> tuple[Series | PairFailure, ...]:
    """Run every size with this round's peer; the leader returns the series, and how the pair failed if it did."""
    if assignment.peer is None or not stage.sizes_bytes:
        return ()
    results: list[Series | PairFailure] = []
    room_bytes = max(size * _messages_apart(stage, size, operation) for size in stage.sizes_bytes)
    # All sizes share the buffers, which are registered once for the whole round where the transport does that.
    send, receive = bench.memory("send", room_bytes), bench.memory("receive", room_bytes)
    size_bytes = None
    try:
        bench.transport.connect(stage, assignment.peer, (send, receive))
        for size_bytes in stage.sizes_bytes:
            pair = PairRound(
                bench=bench,
                stage=stage,
                round_index=assignment.round_index,
                peer=assignment.peer,
                leads=assignment.leads,
                size_bytes=size_bytes,
                window=stage.window,
                stride_bytes=0,
                send=send,
                receive=receive,
            )
            results.extend(_measure(pair, operation))
    except PairError as error:
        if assignment.leads:
            results.append(pair_failure(bench, stage, assignment, size_bytes, error))
    finally:
        bench.transport.disconnect()
    return tuple(results)


def pair_failure(
    bench: Bench, stage: Stage, assignment: Assignment, size_bytes: int | None, error: PairError
) -> PairFailure:
    """Return how a pair failed, as its leader tells it."""
    assert assignment.peer is not None
    return PairFailure(
        stage=stage.id,
        probe=stage.probe,
        round_index=assignment.round_index,
        src=bench.transport.rank,
        dst=assignment.peer,
        size_bytes=size_bytes,
        cause=error.cause,
    )


def _measure(pair: PairRound, operation: PairOperation) -> tuple[Series, ...]:
    faults = _check(pair, operation)
    _fill(pair, iteration=pair.stage.check_iterations)
    warmup = _warm_up(pair, operation)
    timed = _time(pair, operation, warmup)
    undivided = _pipelined(pair, operation, len(timed.elapsed_ns))
    if pair.stage.check_iterations:
        faults += _compare(pair, operation, iteration=pair.stage.check_iterations)
    faults += pair.bench.control.swap(pair.peer, faults)
    if not pair.leads:
        return ()
    measured = _measured(pair, operation)
    checks = pair.stage.check_iterations
    return (
        record(measured, warmup.elapsed_ns, phase=Phase.WARMUP),
        record(
            measured,
            timed.elapsed_ns,
            faults=faults,
            checked_iterations=checks + 1 if checks else 0,
            began_ns=pair.bench.to_reference_ns(timed.began_ns),
        ),
        *undivided,
    )


def _check(pair: PairRound, operation: PairOperation) -> tuple[Fault, ...]:
    """Send fresh patterns, one iteration each, and compare what arrived, message by message."""
    apart = _messages_apart(pair.stage, pair.size_bytes, operation)
    pair = replace(pair, window=apart, stride_bytes=pair.size_bytes if apart > 1 else 0)
    faults: tuple[Fault, ...] = ()
    for iteration in range(pair.stage.check_iterations):
        _fill(pair, iteration=iteration)
        pair.receive.poison()
        operation.run(pair, 1)
        faults += _compare(pair, operation, iteration=iteration)
    return faults


def _messages_apart(stage: Stage, size_bytes: int, operation: PairOperation) -> int:
    """Return how many messages of a window get memory of their own when their data is compared."""
    if operation.metric is Metric.ROUND_TRIP or not stage.check_iterations:
        return 1
    return max(1, min(stage.window, COMPARED_BYTES // size_bytes))


def _fill(pair: PairRound, *, iteration: int) -> None:
    pair.send.fill_pattern(
        seed=pair.pattern_seed,
        rank=pair.bench.transport.rank,
        iteration=iteration,
        offset_bytes=0,
        size_bytes=pair.span_bytes,
    )


def _compare(pair: PairRound, operation: PairOperation, *, iteration: int) -> tuple[Fault, ...]:
    if not _receives(pair, operation):
        return ()
    mismatch = pair.receive.verify_pattern(
        seed=pair.pattern_seed, rank=pair.peer, iteration=iteration, offset_bytes=0, size_bytes=pair.span_bytes
    )
    return () if mismatch is None else (_fault(pair, mismatch, iteration),)


def _receives(pair: PairRound, operation: PairOperation) -> bool:
    """Return whether this end gets data: of reads that go back and forth only the one that asks does."""
    is_asked = operation.metric is Metric.ROUND_TRIP and _verb(pair.stage) is Operation.READ
    return operation.leader_receives if pair.leads else operation.follower_receives and not is_asked


def _verb(stage: Stage) -> Operation | None:
    return None if stage.rdma is None else stage.rdma.operation


def _fault(pair: PairRound, mismatch: Mismatch, iteration: int) -> Fault:
    return Fault(
        rank=pair.bench.transport.rank,
        peer=pair.peer,
        probe=pair.stage.probe,
        size_bytes=pair.size_bytes,
        iteration=iteration,
        first_offset_bytes=mismatch.first_offset_bytes,
        wrong_bytes=mismatch.wrong_bytes,
        xor_mask=mismatch.xor_mask,
        bit_counts=mismatch.bit_counts,
    )


def _warm_up(pair: PairRound, operation: PairOperation) -> Timings:
    """Return the warm-up; caches, connections and clock frequency are then where they stay.

    Where one iteration takes longer than the whole warm-up should, it is enough: nothing that slow has a cold start.
    """
    stage = pair.stage
    if stage.iterations is not None:
        return timings_of(operation.run(pair, max(stage.warmup_iterations, 1)))
    budget_ns = stage.series_budget_ns // WARMUP_SHARE
    first = timings_of(operation.run(pair, 1))
    more = _leaders(pair, 0 if int(first.elapsed_ns.sum()) >= budget_ns else max(stage.warmup_iterations - 1, 1))
    if more == 0:
        return first
    first = joined((first, timings_of(operation.run(pair, more))))
    rest = _spend(pair, operation, budget_ns - int(first.elapsed_ns.sum()), first)
    return joined((first, rest))


def _time(pair: PairRound, operation: PairOperation, warmup: Timings) -> Timings:
    if pair.stage.iterations is not None:
        return timings_of(operation.run(pair, pair.stage.iterations))
    return _spend(pair, operation, pair.stage.series_budget_ns, warmup)


def _spend(pair: PairRound, operation: PairOperation, budget_ns: int, seen: Timings) -> Timings:
    """Run until the leader's clock says that the budget is spent; both ends call, and run what the leader decides."""
    return spend(
        budget_ns,
        seen.elapsed_ns,
        lambda count: timings_of(operation.run(pair, count)),
        lambda count: _leaders(pair, count),
    )


def _pipelined(pair: PairRound, operation: PairOperation, timed: int) -> tuple[Series, ...]:
    """Return runs of windows with nothing between; both ends call. Round trips wait for the one before anyway."""
    if pair.bench.undivided is None or operation.metric is not Metric.WINDOW:
        return ()
    whole = replace(pair, bench=replace(pair.bench, transport=pair.bench.undivided))
    return pipelined(_measured(pair, operation), lambda count: durations_of(operation.run(whole, count)), timed)


def _leaders(pair: PairRound, count: int) -> int:
    """Return the count that the leader gave; both ends call."""
    theirs = pair.bench.control.swap(pair.peer, count)
    return count if pair.leads else theirs


def _measured(pair: PairRound, operation: PairOperation) -> Measured:
    return Measured(
        stage=pair.stage,
        metric=operation.metric,
        round_index=pair.round_index,
        src=pair.bench.transport.rank,
        dst=pair.peer,
        size_bytes=pair.size_bytes,
        bytes_per_iteration=operation.messages(pair.stage.window) * pair.size_bytes,
        window=pair.stage.window if operation.metric is Metric.WINDOW else 1,
    )
