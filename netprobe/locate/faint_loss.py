"""Directions that lose too little to be called lossy alone, and that lose as their host does with everybody.

A loss of 1 % takes three of three hundred packets: with one partner that is a loss, with the next one two packets are
taken for a hiccup, and the host would be cleared by a row that lost no less than chance has it. So the rows of a host
in one role are looked at together: where they are as alike as equal loss makes them, those that lost anything count.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

IntArray = NDArray[np.int64]
FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]

DEVIATIONS: Final = 2.0  # of the index of dispersion: 2 + 2 * sqrt(4) = 6.0 for three rows, where 5.99 is its 95 %


def faint_rows(
    src: IntArray, dst: IntArray, sent: FloatArray, lost: FloatArray, *, counted: BoolArray, lossy: BoolArray
) -> BoolArray:
    """Return the rows that are not lossy and lost something, of hosts that lose alike with all partners.

    All arrays have shape (n,), a row is a direction; a host has to have a lossy row in the same role.
    """
    faint = np.zeros(len(src), dtype=np.bool_)
    if lossy.any():
        some = counted & ~lossy & (lost >= 1)
        for own in (src, dst):
            faint |= some & _loses_alike(own, sent, lost, counted=counted, lossy=lossy)[own]
    return faint


def _loses_alike(
    own: IntArray, sent: FloatArray, lost: FloatArray, *, counted: BoolArray, lossy: BoolArray
) -> BoolArray:
    """Return of each host whether one rate of loss explains all of its rows: Poisson counts' index of dispersion."""
    at, hosts = own[counted], int(own.max()) + 1
    rate = np.bincount(at, lost[counted], hosts) / np.maximum(np.bincount(at, sent[counted], hosts), 1.0)
    expected = np.maximum(rate[at] * sent[counted], 1e-9)
    dispersion = np.bincount(at, (lost[counted] - expected) ** 2 / expected, hosts)
    freedom = np.maximum(np.bincount(at, minlength=hosts) - 1, 0)
    alike: BoolArray = dispersion <= freedom + DEVIATIONS * np.sqrt(2.0 * freedom)
    return alike & (np.bincount(own[lossy], minlength=hosts) > 0)
