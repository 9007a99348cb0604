"""What lies between the two NICs of each pair: its latency, its rate beside all others of its round, and its losses."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from netprobe.sim.condition import EFFICIENCY, Condition
from netprobe.sim.fabric import Fabric
from netprobe.sim.flows import NO_LINK, hashed_spines, max_min_gbps
from netprobe.sim.loss import goodput_ratio

IntArray = NDArray[np.int64]
FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]

PAUSED_RATIO: Final = 0.1  # of the waiting for a full queue, where DCQCN is in force
NEAR_NS: Final = 1_700.0  # one way, one switch
FAR_NS: Final = 2_200.0  # one way, three switches


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Ways:
    """One way of each pair, from ``src`` to ``dst``; arrays have shape (pairs,)."""

    round_index: IntArray
    src: IntArray
    dst: IntArray
    one_way_ns: FloatArray
    rate_gbps: FloatArray
    loss: FloatArray
    back: FloatArray
    """Loss on the way from ``dst`` to ``src``."""
    overtaken: FloatArray
    """Share of packets that the receiver takes for lost, for others overtook them."""
    overtaken_back: FloatArray
    stops: FloatArray
    """Share of the time that the receiver tells its leaf to stop: what the wire brings and it does not take."""
    stopped: FloatArray
    """Share of the time that the leaf stops the sender: what it offers and does not get through."""


def ways_of(
    fabric: Fabric, condition: Condition, pairs: tuple[IntArray, IntArray, IntArray], *, two_way: bool, seed: int
) -> Ways:
    """Return the ways of pairs (round, src, dst) that run at the same time in each round."""
    round_index, src, dst = pairs
    rate, offered = _rates(fabric, condition, pairs, two_way=two_way, seed=seed)
    loss, back = (_loss(fabric, condition, *ends, seed) for ends in ((src, dst), (dst, src)))
    crosses = fabric.leaf[src] != fabric.leaf[dst]
    overtaken, overtaken_back = (
        np.where(crosses & condition.reorders[end], condition.sprayed_ratio, 0.0) for end in (dst, src)
    )
    left, left_back = (
        rate * goodput_ratio(lost, rate) * goodput_ratio(late, rate)
        for lost, late in ((loss, overtaken), (back, overtaken_back))
    )
    stops = np.clip(1 - _takes_gbps(condition)[dst] / np.minimum(offered, _wire_gbps(condition)[dst]), 0.0, 1.0)
    held_ns = condition.late_ns[src] + condition.late_ns[dst]
    return Ways(
        round_index=round_index,
        src=src,
        dst=dst,
        one_way_ns=np.where(crosses, FAR_NS, NEAR_NS) + held_ns,
        rate_gbps=np.minimum(left, left_back) if two_way else left,
        loss=loss,
        back=back,
        overtaken=overtaken,
        overtaken_back=overtaken_back,
        stops=stops,
        stopped=np.maximum(np.clip(1 - rate / offered, 0.0, 1.0) * _paused_ratio(condition, src, dst), stops),
    )


def _sends_gbps(condition: Condition) -> FloatArray:
    held = np.minimum(condition.line_gbps * EFFICIENCY, condition.pcie_gbps) * condition.sends_ratio
    sends: FloatArray = np.maximum(held - condition.foreign_gbps, 1.0)
    return sends


def _wire_gbps(condition: Condition) -> FloatArray:
    """Return what the leaf can bring to each NIC."""
    brings = condition.line_gbps * EFFICIENCY * condition.delivers_ratio
    wire: FloatArray = np.maximum(brings - condition.foreign_gbps, 1.0)
    return wire


def _takes_gbps(condition: Condition) -> FloatArray:
    """Return what each NIC can receive and hand to its host."""
    drains = condition.pcie_gbps * condition.receives_ratio - condition.foreign_gbps
    takes: FloatArray = np.maximum(np.minimum(_wire_gbps(condition), drains), 1.0)
    return takes


def _paused_ratio(condition: Condition, src: IntArray, dst: IntArray) -> FloatArray:
    """Return how much of the time that a sender must wait for a full queue is left to pauses: marks slow it first."""
    is_controlled = ~condition.unmarked[dst] & condition.answers_marks[dst] & condition.heeds_notifications[src]
    return np.where(is_controlled, PAUSED_RATIO, 1.0)


def _rates(
    fabric: Fabric, condition: Condition, pairs: tuple[IntArray, IntArray, IntArray], *, two_way: bool, seed: int
) -> tuple[FloatArray, FloatArray]:
    """Return the rate of each pair, each way, and what its sender could offer to it alone."""
    round_index, src, dst = pairs
    sends, takes = _sends_gbps(condition), _takes_gbps(condition)
    queue_pair = np.minimum(condition.queue_pair_gbps[src], condition.queue_pair_gbps[dst])
    offered = np.minimum(sends[src], queue_pair)
    ends = [(src, dst, round_index)] + ([(dst, src, round_index)] if two_way else [])
    a, b, turn = (np.concatenate([each[index] for each in ends]) for index in range(3))
    rounds, nics = int(turn.max(initial=0)) + 1, fabric.nics
    up, down, caps = _uplinks(fabric, condition, a, b, turn, rounds, seed)
    links = [turn * nics + a, turn * nics + b, np.arange(len(a)), up, down]
    every = [np.tile(sends, rounds), np.tile(takes, rounds), np.tile(queue_pair, len(ends)), caps, caps]
    rates = max_min_gbps(links, every).reshape(len(ends), -1).min(axis=0)
    return np.maximum(rates, 0.01), offered


def _uplinks(  # noqa: PLR0913 - where, who, when
    fabric: Fabric, condition: Condition, src: IntArray, dst: IntArray, turn: IntArray, rounds: int, seed: int
) -> tuple[IntArray, IntArray, FloatArray]:
    """Return which uplink each flow takes up and down, and what each carries."""
    crosses = fabric.leaf[src] != fabric.leaf[dst]
    leaves = len(fabric.leaves)
    if not condition.hashed:
        caps = np.tile(condition.uplinks.sum(axis=1) * fabric.line_gbps * EFFICIENCY, rounds)
        up, down = (np.where(crosses, turn * leaves + fabric.leaf[end], NO_LINK) for end in (src, dst))
        return up, down, caps
    most = int(fabric.uplinks.sum(axis=1).max(initial=1))
    _, at = hashed_spines(fabric, src, dst, seed)
    up, down = (np.where(crosses, (turn * leaves + fabric.leaf[end]) * most + at, NO_LINK) for end in (src, dst))
    return up, down, np.full(rounds * leaves * most, fabric.line_gbps * EFFICIENCY)


def _loss(fabric: Fabric, condition: Condition, src: IntArray, dst: IntArray, seed: int) -> FloatArray:
    """Return the share of packets that are lost from ``src`` to ``dst``."""
    kept = (1 - condition.loss_out[src]) * (1 - condition.loss_in[dst])
    if condition.loss_up.any():
        crosses = fabric.leaf[src] != fabric.leaf[dst]
        if condition.hashed:
            spine, _ = hashed_spines(fabric, src, dst, seed)
            lost = [condition.loss_up[fabric.leaf[end], spine] for end in (src, dst)]
        else:
            share = condition.uplinks / np.maximum(condition.uplinks.sum(axis=1, keepdims=True), 1.0)
            spread = (condition.loss_up * share).sum(axis=1)
            lost = [spread[fabric.leaf[end]] for end in (src, dst)]
        kept = np.where(crosses, kept * (1 - lost[0]) * (1 - lost[1]), kept)
    loss: FloatArray = 1 - kept
    return loss
