"""What unreliable datagrams tell of the ways between hosts: what is lost, and whether only the large ones are.

Nobody sends them again, so that what one end sent and the other did not see is lost in that direction.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from netprobe.locate.loss import LossRows
from netprobe.locate.placement import Placement
from netprobe.model.evidence import DatagramTable

IntArray = NDArray[np.int64]
FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]

FEWEST_LARGE: Final = 5
"""Datagrams that all vanished, before their size is the reason."""
MOST_LOST_RATIO: Final = 0.5
"""Of the small ones; where more are lost, it is not the size."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BlackHole:
    """One direction between two hosts in which small datagrams arrive and large ones never do."""

    src: int
    dst: int
    """Ranks of which that was seen first."""
    passing_bytes: int
    vanishing_bytes: int
    passed: int
    vanished: int

    @property
    def what(self) -> str:
        """The same words for all that lose the same sizes."""
        return (
            f"datagrams of {self.passing_bytes} B arrive, of {self.vanishing_bytes} B do not: "
            "the MTU on the way is smaller"
        )


def black_holes(datagrams: DatagramTable, placement: Placement) -> dict[tuple[str, str], BlackHole]:
    """Return the directions between hosts in which only large datagrams vanish, by the two hosts."""
    sizes = _by_size(datagrams, placement)
    found: dict[tuple[str, str], BlackHole] = {}
    for direction in np.unique(sizes.direction[sizes.vanishes]).tolist():
        own = sizes.direction == direction
        large = int(np.flatnonzero(own & sizes.vanishes)[0])
        smaller = np.flatnonzero(own & sizes.passes & (sizes.size_bytes < sizes.size_bytes[large]))
        if not smaller.size:
            continue
        small, ends = int(smaller[-1]), divmod(direction, len(placement.hosts))
        first = int(sizes.first[large])
        found[placement.hosts[ends[0]], placement.hosts[ends[1]]] = BlackHole(
            src=int(datagrams.src[first]),
            dst=int(datagrams.dst[first]),
            passing_bytes=int(sizes.size_bytes[small]),
            vanishing_bytes=int(sizes.size_bytes[large]),
            passed=int(sizes.arrived[small]),
            vanished=int(sizes.sent[large]),
        )
    return found


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Sizes:
    """Sums over the rounds of each size of each direction, in order; shape (n,)."""

    direction: IntArray
    size_bytes: IntArray
    sent: FloatArray
    arrived: FloatArray
    first: IntArray
    """A row of the table."""

    @property
    def passes(self) -> BoolArray:
        passes: BoolArray = (self.arrived > 0) & (self.arrived >= (1 - MOST_LOST_RATIO) * self.sent)
        return passes

    @property
    def vanishes(self) -> BoolArray:
        vanishes: BoolArray = (self.arrived == 0) & (self.sent >= FEWEST_LARGE)
        return vanishes


def _directions(datagrams: DatagramTable, placement: Placement) -> IntArray:
    """Return the number of the source, times all hosts, plus that of the destination."""
    directions: IntArray = placement.host_of[datagrams.src] * len(placement.hosts) + placement.host_of[datagrams.dst]
    return directions


def _by_size(datagrams: DatagramTable, placement: Placement) -> _Sizes:
    keys = np.stack([_directions(datagrams, placement), datagrams.size_bytes], axis=1)
    both, first, row = np.unique(keys, axis=0, return_index=True, return_inverse=True)
    return _Sizes(
        direction=both[:, 0],
        size_bytes=both[:, 1],
        sent=_sums(datagrams.sent, row, len(both)),
        arrived=_sums(datagrams.arrived, row, len(both)),
        first=first,
    )


def _sums(counts: IntArray, row: IntArray, rows: int) -> FloatArray:
    sums: FloatArray = np.bincount(row.reshape(-1), counts.astype(np.float64), rows).astype(np.float64)
    return sums


def datagram_rows(datagrams: DatagramTable, placement: Placement) -> LossRows:
    """Return what each direction between hosts lost, without the sizes that vanish for their MTU; a segment is one."""
    hosts = len(placement.hosts)
    src, dst = placement.host_of[datagrams.src], placement.host_of[datagrams.dst]
    crosses = (src != dst) & ~_is_too_large(datagrams, placement)
    keys = _directions(datagrams, placement)[crosses]
    directions, row = np.unique(keys, return_inverse=True)
    sent, arrived = (_sums(each[crosses], row, len(directions)) for each in (datagrams.sent, datagrams.arrived))
    lost = np.maximum(sent - arrived, 0.0)
    none = np.zeros(len(directions))
    return LossRows(
        src=directions // max(hosts, 1),
        dst=directions % max(hosts, 1),
        sent=np.where(sent > 0, sent, np.nan),
        retransmitted=lost,
        lost=lost,
        timeouts=none,
        out_of_order=np.full(len(directions), np.nan),
        rounds=np.bincount(row.reshape(-1), minlength=len(directions)).astype(np.int64),
        stalled_rounds=none.astype(np.int64),
        refused=none,
        needed=none,
    )


def _is_too_large(datagrams: DatagramTable, placement: Placement) -> BoolArray:
    number = {host: index for index, host in enumerate(placement.hosts)}
    vanishing = {
        number[src] * len(number) + number[dst]: hole.vanishing_bytes
        for (src, dst), hole in black_holes(datagrams, placement).items()
    }
    limits = [vanishing.get(direction, np.inf) for direction in _directions(datagrams, placement).tolist()]
    too_large: BoolArray = datagrams.size_bytes >= np.array(limits, dtype=np.float64)
    return too_large
