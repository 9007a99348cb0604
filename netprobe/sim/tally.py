"""What NICs count while a stage runs, by round and NIC, under the names of mlx5 (netprobe/catalogue)."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from netprobe.sim.condition import Condition
from netprobe.sim.fabric import Fabric, device
from netprobe.sim.loss import PACKET_BYTES, Losses
from netprobe.sim.settings import netdev
from netprobe.store.counters_table import counters_schema

if TYPE_CHECKING:
    import polars as pl

IntArray = NDArray[np.int64]
FloatArray = NDArray[np.float64]

WORD_BYTES: Final = 4  # port_xmit_data counts words
MARKS_FOR_NOTIFICATION: Final = 10
RDMA_NAMES: Final = (
    "out_of_sequence", "packet_seq_err", "implied_nak_seq_err", "local_ack_timeout_err", "duplicate_request",
    "roce_adp_retrans", "rnr_nak_retry_err", "out_of_buffer", "req_transport_retries_exceeded",
    "rx_icrc_encapsulated", "np_ecn_marked_roce_packets", "np_cnp_sent", "rp_cnp_handled", "rp_cnp_ignored",
    "port_xmit_data", "port_rcv_data", "port_xmit_packets", "port_rcv_packets",
)  # fmt: skip
PRIORITIES: Final = (0, 3, 4)
ETHTOOL_NAMES: Final = (
    "rx_crc_errors_phy", "rx_pcs_symbol_err_phy", "rx_corrected_bits_phy", "rx_bits_phy", "link_down_events_phy",
    "rx_discards_phy", "tx_discards_phy", "outbound_pci_stalled_wr_events", "tx_pause_storm_warning_events",
    "tx_pause_storm_error_events",
    *(f"{way}_prio{priority}_{what}" for way in ("rx", "tx") for priority in PRIORITIES
      for what in ("bytes", "packets", "pause", "pause_duration", "pause_transition")),
)  # fmt: skip


@dataclass(slots=True, kw_only=True, eq=False)
class Tally:
    """Counts of a stage or an idle time, each of shape (rounds, nics)."""

    rounds: int
    nics: int
    stops_ns: FloatArray
    """For how long each NIC stopped who sent to it, and was itself stopped by whom it sent to."""
    stopped_ns: FloatArray
    grown: dict[str, IntArray] = field(default_factory=dict)

    @classmethod
    def of_shape(cls, rounds: int, nics: int) -> "Tally":
        """Return one in which nothing is counted yet."""
        return cls(rounds=rounds, nics=nics, stops_ns=np.zeros((rounds, nics)), stopped_ns=np.zeros((rounds, nics)))

    def add(self, name: str, round_index: IntArray, nic: IntArray, count: IntArray | FloatArray) -> None:
        """Add to a counter, row by row."""
        summed = np.bincount(round_index * self.nics + nic, count.astype(np.float64), self.rounds * self.nics)
        self.grown[name] = self.of(name) + np.rint(summed).astype(np.int64).reshape(self.rounds, self.nics)

    def stop(self, traffic: "Traffic", longest_ns: FloatArray) -> None:
        """Count for how long receivers and leaves stopped senders, row by row; ``longest_ns`` is how long rows took."""
        np.add.at(self.stops_ns, (traffic.round_index, traffic.dst), traffic.stops * longest_ns)
        np.add.at(self.stopped_ns, (traffic.round_index, traffic.src), traffic.stopped * longest_ns)

    def of(self, name: str) -> IntArray:
        """Return a counter; 0 where nothing was added."""
        return self.grown.get(name, np.zeros((self.rounds, self.nics), dtype=np.int64))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Traffic:
    """What went one way, row by row, over a whole round."""

    round_index: IntArray
    src: IntArray
    dst: IntArray
    moved_bytes: FloatArray
    packets: IntArray
    losses: Losses
    overtaken: IntArray
    stops: FloatArray
    """Share of the round that the receiver tells its leaf to stop."""
    stopped: FloatArray
    """Share of the round that the sender is told to."""


def count_traffic(
    tally: Tally, traffic: Traffic, condition: Condition, random: np.random.Generator, *, marked_ratio: float
) -> None:
    """Count packets, losses and marks at both ends."""
    own, src, dst = traffic.round_index, traffic.src, traffic.dst
    words = (traffic.moved_bytes / WORD_BYTES).astype(np.int64)
    lost = traffic.losses.noticed + traffic.losses.tails
    arrived = traffic.packets - lost
    tally.add("port_xmit_data", own, src, words)
    tally.add("port_xmit_packets", own, src, traffic.packets)
    tally.add("port_rcv_data", own, dst, words)
    tally.add("port_rcv_packets", own, dst, arrived)
    for priority in np.unique(condition.priority[src]).tolist():
        chosen = condition.priority[src] == priority
        for way, end, packets in (("tx", src, traffic.packets), ("rx", dst, arrived)):
            tally.add(f"{way}_prio{priority}_bytes", own, end, np.where(chosen, traffic.moved_bytes, 0))
            tally.add(f"{way}_prio{priority}_packets", own, end, np.where(chosen, packets, 0))
    _count_losses(tally, traffic, condition)
    _count_marks(tally, traffic, condition, random, marked_ratio)
    refused = random.binomial(traffic.packets, condition.rnr_ratio[dst])
    tally.add("rnr_nak_retry_err", own, src, refused)
    tally.add("out_of_buffer", own, dst, refused)


def _count_losses(tally: Tally, traffic: Traffic, condition: Condition) -> None:
    own, src, dst, losses = traffic.round_index, traffic.src, traffic.dst, traffic.losses
    missed = losses.noticed + traffic.overtaken
    tally.add("packet_seq_err", own, src, missed)
    tally.add("roce_adp_retrans", own, src, losses.tails)
    tally.add("out_of_sequence", own, dst, missed)
    tally.add("local_ack_timeout_err", own, src, losses.timeouts)
    tally.add("duplicate_request", own, dst, losses.acknowledgements)
    lost = losses.noticed + losses.tails
    inward = np.where(condition.loss_in[dst] > 0, condition.loss_in[dst], 0.0)
    share = inward / np.maximum(1 - (1 - condition.loss_out[src]) * (1 - inward), 1e-300)
    damaged = np.where(condition.crc_in[dst] & (inward > 0), np.rint(lost * np.minimum(share, 1.0)), 0)
    damaged_back = np.where(condition.crc_in[src] & (condition.loss_in[src] > 0), losses.acknowledgements, 0)
    for name in ("rx_crc_errors_phy", "rx_pcs_symbol_err_phy"):
        tally.add(name, own, dst, damaged)
        tally.add(name, own, src, damaged_back)


def _count_marks(
    tally: Tally, traffic: Traffic, condition: Condition, random: np.random.Generator, marked_ratio: float
) -> None:
    own, src, dst = traffic.round_index, traffic.src, traffic.dst
    unmarked = condition.unmarked[dst]
    ratio = np.where(unmarked, 0.0, np.minimum(marked_ratio + traffic.stopped * 0.01, 1.0))
    marked = random.binomial(traffic.packets, ratio)
    told = np.where(condition.answers_marks[dst], marked // MARKS_FOR_NOTIFICATION, 0)
    tally.add("np_ecn_marked_roce_packets", own, dst, marked)
    tally.add("np_cnp_sent", own, dst, told)
    heeds = condition.heeds_notifications[src]
    tally.add("rp_cnp_handled", own, src, np.where(heeds, told, 0))
    tally.add("rp_cnp_ignored", own, src, np.where(heeds, 0, told))


def round_rows(tally: Tally, fabric: Fabric, condition: Condition, stage: str, rounds_ns: IntArray) -> "pl.DataFrame":
    """Return what RDMA counters grew by in each round, as store.counters_table has it."""
    values = np.stack([tally.of(name) for name in RDMA_NAMES], axis=2)
    names = [f"rdma/{device(rail)}/1/{name}" for rail in range(fabric.rails) for name in RDMA_NAMES]
    return _rows(values, names, fabric, condition, stage, np.arange(tally.rounds), rounds_ns)


def span_rows(tally: Tally, fabric: Fabric, condition: Condition, stage: str, elapsed_ns: int) -> "pl.DataFrame":
    """Return what all counters grew by in a stage or an idle time."""
    every = (*RDMA_NAMES, *ETHTOOL_NAMES)
    values = np.stack([tally.of(name).sum(axis=0, keepdims=True) for name in every], axis=2)
    names = [name for rail in range(fabric.rails) for name in _keys(rail)]
    return _rows(values, names, fabric, condition, stage, None, np.array([elapsed_ns]))


def _keys(rail: int) -> Iterator[str]:
    yield from (f"rdma/{device(rail)}/1/{name}" for name in RDMA_NAMES)
    yield from (f"ethtool/{netdev(rail)}/{name}" for name in ETHTOOL_NAMES)


def _rows(  # noqa: PLR0913 - what, whose, when
    values: IntArray,
    names: Sequence[str],
    fabric: Fabric,
    condition: Condition,
    stage: str,
    rounds: IntArray | None,
    elapsed_ns: IntArray,
) -> "pl.DataFrame":
    import polars as pl

    count, _, each = values.shape
    is_there = np.broadcast_to(~condition.missing[None, :, None], values.shape).ravel()
    key = fabric.rail[None, :, None] * each + np.arange(each)[None, None, :]
    keys = np.broadcast_to(key, values.shape).ravel()[is_there]
    turn = np.broadcast_to(np.arange(count)[:, None, None], values.shape).ravel()[is_there]
    rank = np.broadcast_to(fabric.first_rank[None, :, None], values.shape).ravel()[is_there]
    frame = pl.DataFrame(
        {
            "round_index": turn,
            "rank": rank,
            "elapsed_ns": elapsed_ns[turn],
            "counter": pl.Series(names, dtype=pl.String).gather(keys),
            "growth": values.ravel()[is_there],
        }
    )
    of_span = {} if rounds is not None else {"round_index": pl.lit(None, dtype=pl.Int64)}
    return _as_stored(frame, {"stage": pl.lit(stage), "at_least": pl.lit(False), **of_span})


def _as_stored(frame: "pl.DataFrame", constant: "Mapping[str, pl.Expr]") -> "pl.DataFrame":
    """Return the columns of store.counters_table, of which some are the same in all rows; one query for all of it."""
    import polars as pl

    told = {**{name: pl.col(name) for name in frame.columns}, **constant}
    return frame.select(told[name].cast(kind).alias(name) for name, kind in counters_schema().items())


def rank_rows(
    stage: str,
    round_index: IntArray,
    rank: IntArray,
    elapsed_ns: IntArray,
    counters: Iterable[tuple[str | list[str], IntArray]],
) -> "pl.DataFrame":
    """Return counters of ranks in rounds; each is a name, or a list of names, and its growth, shape (rows,)."""
    import polars as pl

    told = list(counters)
    names = [
        pl.Series([name], dtype=pl.String).new_from_index(0, len(rank))
        if isinstance(name, str)
        else pl.Series(name, dtype=pl.String)
        for name, _ in told
    ]
    frame = pl.DataFrame(
        {
            "round_index": np.tile(round_index, len(told)),
            "rank": np.tile(rank, len(told)),
            "elapsed_ns": np.tile(elapsed_ns, len(told)),
            "growth": np.concatenate([growth for _, growth in told]),
            "counter": pl.concat(names),
        }
    )
    return _as_stored(frame, {"stage": pl.lit(stage), "at_least": pl.lit(False)})


def packets_in(moved_bytes: FloatArray) -> IntArray:
    """Return the packets of a stream of so many bytes."""
    packets: IntArray = -(-moved_bytes.astype(np.int64) // PACKET_BYTES)
    return packets
