"""Directions that lose too little to be called lossy alone, and that lose as their host does with everybody.

A loss of 1 % takes three of three hundred packets: with one partner that is a loss, with the next one two packets are
taken for a hiccup, and the host would be cleared by a row that lost no less than chance has it. So the rows of a host
in one role are looked at together: those that lost anything count where all are as alike as equal loss makes them, or
where they lost more together than directions of other hosts would have: then it was no hiccup, whatever the others do.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

IntArray = NDArray[np.int64]
FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]

BY_CHANCE: Final = 1e-3  # of what hosts lose beside their lossy rows, at the rate of all others
DEVIATIONS: Final = 2.0  # of the index of dispersion: 2 + 2 * sqrt(4) = 6.0 for three rows, where 5.99 is its 95 %


def faint_rows(
    src: IntArray, dst: IntArray, sent: FloatArray, lost: FloatArray, *, counted: BoolArray, lossy: BoolArray
) -> BoolArray:
    """Return the rows that are not lossy and lost something, of hosts that lose with all partners.

    All arrays have shape (n,), a row is a direction; a host has to have a lossy row in the same role.
    """
    faint = np.zeros(len(src), dtype=np.bool_)
    if lossy.any():
        some = counted & ~lossy & (lost >= 1)
        for own in (src, dst):
            has_lossy = np.bincount(own[lossy], minlength=int(own.max()) + 1) > 0
            alike = _loses_alike(own, sent, lost, counted=counted)
            more = _loses_more(own, sent, lost, counted=counted, lossy=lossy)
            faint |= some & (has_lossy & (alike | more))[own]
    return faint


def _loses_alike(own: IntArray, sent: FloatArray, lost: FloatArray, *, counted: BoolArray) -> BoolArray:
    """Return of each host whether one rate of loss explains all of its rows: Poisson counts' index of dispersion."""
    at, hosts = own[counted], int(own.max()) + 1
    rate = np.bincount(at, lost[counted], hosts) / np.maximum(np.bincount(at, sent[counted], hosts), 1.0)
    expected = np.maximum(rate[at] * sent[counted], 1e-9)
    dispersion = np.bincount(at, (lost[counted] - expected) ** 2 / expected, hosts)
    freedom = np.maximum(np.bincount(at, minlength=hosts) - 1, 0)
    alike: BoolArray = dispersion <= freedom + DEVIATIONS * np.sqrt(2.0 * freedom)
    return alike


def _loses_more(
    own: IntArray, sent: FloatArray, lost: FloatArray, *, counted: BoolArray, lossy: BoolArray
) -> BoolArray:
    """Return of each host whether its rows that are not lossy lose more than all others' rows let expect.

    By Chernoff's bound on the tail of a Poisson count; half a packet more than was lost is put down to the others.
    """
    hosts = int(own.max()) + 1

    def summed(values: FloatArray, which: BoolArray) -> FloatArray:
        return np.bincount(own[which], values[which], hosts).astype(np.float64)

    others_lost = lost[counted].sum() - summed(lost, counted) + 0.5
    others_sent = np.maximum(sent[counted].sum() - summed(sent, counted), 1.0)
    count = summed(lost, counted & ~lossy)
    expected = np.maximum(others_lost / others_sent * summed(sent, counted & ~lossy), 1e-9)
    log_tail = count - expected - count * np.log(np.maximum(count, 1e-9) / expected)
    more: BoolArray = (count > expected) & (log_tail <= np.log(BY_CHANCE))
    return more
