"""What NICs count over a whole stage or an idle time: pauses, storms, links that go down, bits that are corrected."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from netprobe.sim.condition import Condition
from netprobe.sim.tally import WORD_BYTES, Tally
from netprobe.units import NS_PER_S

FloatArray = NDArray[np.float64]

STOP_RATIO: Final = 2e-5  # of the time, that all are told to stop now and then
CROWDED_STOP_RATIO: Final = 1e-3
UNMARKED_STOP_RATIO: Final = (0.1, 0.4)
STORM_RATIO: Final = 0.5
SPREAD_OF_STORM: Final = 0.8  # of a storm's time, for which all others are stopped
FRAME_US: Final = 5  # of a pause: the longest one at 400 Gb/s is 84 µs, most are called off


def count_stage(
    tally: Tally,
    condition: Condition,
    elapsed_ns: int,
    random: np.random.Generator,
    *,
    is_crowded: bool,
    has_flap: bool,
) -> None:
    """Count what goes on over a whole stage: pauses, links, bits that are corrected."""
    nic = np.arange(tally.nics)
    last = np.full(tally.nics, tally.rounds - 1)
    told = (CROWDED_STOP_RATIO if is_crowded else STOP_RATIO) * random.lognormal(0.0, 0.5, tally.nics)
    if is_crowded:  # where nothing is marked nobody slows down, and pauses alone hold senders back
        told = np.where(condition.unmarked, random.uniform(*UNMARKED_STOP_RATIO, tally.nics), told)
    if condition.pauses_idle.any():
        told = np.maximum(told, np.where(condition.pauses_idle > 0, 0.0, SPREAD_OF_STORM * condition.pauses_idle.max()))
    told_ns = (told + condition.stopped_ratio) * elapsed_ns + tally.stopped_ns.sum(axis=0)
    count_pauses(tally, condition, "rx", np.where(condition.unpaused, 0.0, np.minimum(told_ns, elapsed_ns)))
    own_ns = tally.stops_ns.sum(axis=0) + condition.stops_ratio * elapsed_ns
    stops_ns = np.where(condition.pauses_idle > 0, condition.pauses_idle * elapsed_ns, np.minimum(own_ns, elapsed_ns))
    count_pauses(tally, condition, "tx", stops_ns, always=bool(condition.pauses_idle.any()))
    storm = (condition.pauses_idle > STORM_RATIO).astype(np.int64)
    tally.add("tx_pause_storm_warning_events", last, nic, storm)
    tally.add("outbound_pci_stalled_wr_events", last, nic, (stops_ns > 0) * (elapsed_ns // NS_PER_S + 1))
    tally.add("link_down_events_phy", last, nic, condition.link_downs * has_flap)
    bits = 8 * WORD_BYTES * tally.of("port_rcv_data").sum(axis=0)
    idle_bits = condition.line_gbps * elapsed_ns  # a link that carries nothing sends idle symbols, which FEC sees too
    raw = np.maximum(bits, idle_bits)
    tally.add("rx_corrected_bits_phy", last, nic, np.rint(condition.corrected_ratio * raw))
    tally.add("rx_bits_phy", last, nic, np.rint(raw))


def count_idle(tally: Tally, condition: Condition, elapsed_ns: int, *, is_after: bool) -> None:
    """Count what goes on while nothing runs."""
    nothing = np.zeros(tally.nics, dtype=np.int64)
    count_pauses(tally, condition, "tx", condition.pauses_idle * elapsed_ns, always=True)
    is_stopped = condition.pauses_idle.any() & ~(condition.pauses_idle > 0) & ~condition.unpaused
    held = np.where(is_stopped, SPREAD_OF_STORM * condition.pauses_idle.max(), 0.0)
    held = np.maximum(held, condition.held_after if is_after else 0.0)
    count_pauses(tally, condition, "rx", held * elapsed_ns, always=True)
    foreign = condition.foreign_gbps * elapsed_ns / 8
    own = nothing, np.arange(tally.nics)
    tally.add("port_xmit_data", *own, foreign / WORD_BYTES)
    tally.add("port_rcv_data", *own, foreign / WORD_BYTES)


def count_pauses(tally: Tally, condition: Condition, way: str, stopped_ns: FloatArray, *, always: bool = False) -> None:
    """Count pauses of ``way`` (rx: told to stop, tx: tells), ``stopped_ns`` of shape (nics,), in the last round.

    ``always``: of one that lasts, which begins and never ends.
    """
    last = np.full(tally.nics, tally.rounds - 1)
    stopped_us = np.rint(stopped_ns / 1000).astype(np.int64)
    nic = np.arange(tally.nics)
    for priority in np.unique(condition.pause_priority).tolist():
        own = np.where(condition.pause_priority == priority, stopped_us, 0)
        prefix = f"{way}_prio{priority}_pause"
        tally.add(prefix, last, nic, -(-own // FRAME_US))
        tally.add(f"{prefix}_duration", last, nic, own)
        tally.add(f"{prefix}_transition", last, nic, np.zeros_like(own) if always else -(-own // (2 * FRAME_US)))
