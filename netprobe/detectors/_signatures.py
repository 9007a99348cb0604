"""What each fault of links, flow control and congestion control does to counters, and what else looks the same.

One row a fault, in the terms of Meaning. Detectors ask ``shows`` of which ports a row holds; how much is too much is
theirs to say (Limits). A counter that a driver does not have contradicts nothing and proves nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import numpy as np
from numpy.typing import NDArray

from netprobe.model.meaning import Meaning
from netprobe.model.ports import PortTable, Span

BoolArray = NDArray[np.bool_]
FloatArray = NDArray[np.float64]


class Where(StrEnum):
    """Whose counters a sign is in, seen from the port in question."""

    PORT = "the port"
    OTHERS = "RDMA ports of other hosts"


class Trend(StrEnum):
    """What they must do."""

    RISES = "rises"
    FLAT = "stays flat"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sign:
    """One cell of the matrix."""

    meanings: tuple[Meaning, ...]
    """Any of them may rise; none of them may where it has to be flat."""
    trend: Trend
    where: Where = Where.PORT
    span: Span = Span.LOAD


@dataclass(frozen=True, slots=True, kw_only=True)
class Signature:
    """One row of the matrix."""

    fault: str
    title: str
    signs: tuple[Sign, ...]
    scope: str
    """Which pairs of hosts it slows down."""
    separated_by: str
    """From what looks alike: the one measurement that tells."""


def _rises(*meanings: Meaning, where: Where = Where.PORT, span: Span = Span.LOAD) -> Sign:
    return Sign(meanings=meanings, trend=Trend.RISES, where=where, span=span)


def _flat(*meanings: Meaning, where: Where = Where.PORT, span: Span = Span.LOAD) -> Sign:
    return Sign(meanings=meanings, trend=Trend.FLAT, where=where, span=span)


DAMAGE: Final = (
    Meaning.CRC_ERROR, Meaning.SYMBOL_ERROR, Meaning.FEC_UNCORRECTABLE, Meaning.ICRC_ERROR, Meaning.RECEIVE_ERROR,
    Meaning.LINK_INTEGRITY_ERROR,
)  # fmt: skip
DROPS: Final = (Meaning.PORT_DISCARD, Meaning.SEND_DISCARD, Meaning.PCIE_OVERFLOW)
LOSS_SEEN_BY_SENDER: Final = (Meaning.SEQUENCE_NAK, Meaning.ACK_TIMEOUT)
PAUSE_RECEIVED: Final = (Meaning.PAUSE_RECEIVED, Meaning.PAUSE_RECEIVED_TIME)
PAUSE_SENT: Final = (Meaning.PAUSE_SENT, Meaning.PAUSE_SENT_TIME)

MATRIX: Final = (
    Signature(
        fault="F01",
        title="lossy link of a host, towards it",
        signs=(_rises(*DAMAGE),),
        scope="all that one port receives, at any load",
        separated_by="its port counts damaged packets; reordering (F37) damages none",
    ),
    Signature(
        fault="F04",
        title="many corrected bits, no loss yet",
        signs=(_rises(Meaning.FEC_CORRECTED), _flat(*DAMAGE)),
        scope="none",
        separated_by="the share of corrected bits against ports of the same rate",
    ),
    Signature(
        fault="F05",
        title="flapping link",
        signs=(_rises(Meaning.LINK_DOWN),),
        scope="all pairs of one port, for seconds",
        separated_by="all ports of a leaf at once: the leaf (F42)",
    ),
    Signature(
        fault="F09",
        title="slow receiver: its PCIe link, its memory, or too many connections (F16)",
        signs=(_rises(*PAUSE_SENT),),
        scope="all that one port receives",
        separated_by="it asks for pauses under load alone; in a storm (F31) at idle as well",
    ),
    Signature(
        fault="F23",
        title="flow control missing on one hop",
        signs=(
            _rises(*LOSS_SEEN_BY_SENDER),
            _flat(*PAUSE_RECEIVED),
            _flat(*DAMAGE),
            _rises(*PAUSE_RECEIVED, where=Where.OTHERS),
        ),
        scope="senders behind one port, under shared load alone",
        separated_by="pauses at the port that loses: none here, some with too little headroom (F28)",
    ),
    Signature(
        fault="F23 receiver",
        title="a leaf that does not heed pauses",
        signs=(_rises(Meaning.PORT_DISCARD), _rises(*PAUSE_SENT)),
        scope="all that one port receives, under shared load",
        separated_by="it drops in the priority that it asked to pause",
    ),
    Signature(
        fault="F25 NP off",
        title="marked packets that are not answered",
        signs=(_rises(Meaning.ECN_MARKED), _flat(Meaning.CNP_SENT)),
        scope="all that is sent to one port",
        separated_by="one receiver; all of a leaf without marks: no marking there (F26)",
    ),
    Signature(
        fault="F25 RP off",
        title="notifications that are not heeded",
        signs=(_rises(Meaning.CNP_IGNORED), _flat(Meaning.CNP_HANDLED)),
        scope="one sender takes more than its share",
        separated_by="it follows the host; a collision (F36) follows the ports",
    ),
    Signature(
        fault="F26",
        title="no marking on the switches",
        signs=(
            _rises(*PAUSE_RECEIVED),
            _flat(Meaning.ECN_MARKED, Meaning.CNP_SENT),
            _flat(Meaning.ECN_MARKED, Meaning.CNP_SENT, where=Where.OTHERS),
        ),
        scope="receivers of one leaf, or all",
        separated_by="no receiver is marked; with one silent receiver it is the host (F25)",
    ),
    Signature(
        fault="F28",
        title="too little headroom behind a pause",
        signs=(_rises(*LOSS_SEEN_BY_SENDER), _rises(*PAUSE_RECEIVED), _flat(*DAMAGE)),
        scope="ports of long cables or one model of switch",
        separated_by="it was paused and lost all the same; without a pause it is F23",
    ),
    Signature(
        fault="F31",
        title="pause storm",
        signs=(_rises(*PAUSE_SENT, span=Span.IDLE_BEFORE),),
        scope="all hosts of the leaf, then of the fabric",
        separated_by="pauses sent while nothing runs",
    ),
    Signature(
        fault="F31 after",
        title="pause storm that goes on",
        signs=(_rises(*PAUSE_SENT, span=Span.IDLE_AFTER),),
        scope="all hosts of the leaf, then of the fabric",
        separated_by="pauses sent while nothing runs any more",
    ),
    Signature(
        fault="F31 quiet",
        title="pause storm between readings",
        signs=(_rises(*PAUSE_SENT, span=Span.QUIET),),
        scope="all hosts of the leaf, then of the fabric",
        separated_by="pauses sent while it moves nothing",
    ),
    Signature(
        fault="F32",
        title="victim of somebody else's congestion",
        signs=(_rises(*PAUSE_RECEIVED),),
        scope="pairs that share a queue with the slow receiver",
        separated_by="it is told to stop and tells nobody; clean when run alone",
    ),
    Signature(
        fault="F34",
        title="deadlock of flow control",
        signs=(
            _rises(*PAUSE_RECEIVED, span=Span.IDLE_AFTER),
            _flat(*PAUSE_SENT, span=Span.IDLE_AFTER),
            _flat(*PAUSE_SENT, span=Span.IDLE_AFTER, where=Where.OTHERS),
        ),
        scope="a closed set of pairs, for good",
        separated_by="pauses go on after the load, and no host sends any",
    ),
    Signature(
        fault="RNR",
        title="a receiver that posts no buffers",
        signs=(_flat(*DAMAGE, *DROPS),),
        scope="all that is sent to one host",
        separated_by="its port is clean: software",
    ),
)
"""By the numbers that the field's catalogues give these faults; rows whose signs lie in pairs are in locate/."""


def signature(fault: str) -> Signature:
    """Return a row by the name of its fault."""
    return next(each for each in MATRIX if each.fault == fault)


def shows(fault: str, ports: PortTable) -> BoolArray:
    """Return the ports of which a row holds, shape (ports,)."""
    holds: BoolArray = np.all([_holds(sign, ports) for sign in signature(fault).signs], axis=0)
    return holds


def most_grown(ports: PortTable, meanings: Sequence[Meaning], span: Span = Span.LOAD) -> FloatArray:
    """Return the largest growth among these counters, shape (ports,); NaN where none of them is counted."""
    grown = np.stack([ports.grown(meaning, span) for meaning in meanings])
    most: FloatArray = np.fmax.reduce(grown, axis=0)
    return most


def _holds(sign: Sign, ports: PortTable) -> BoolArray:
    rises = most_grown(ports, sign.meanings, sign.span) > 0
    if sign.where is Where.OTHERS:
        _, host = np.unique(np.array(ports.host, dtype=object).astype(str), return_inverse=True)
        rises = rises & ports.is_rdma
        own = np.bincount(host, rises, int(host.max(initial=-1)) + 1)
        rises = rises.sum() - own[host] > 0
    return rises if sign.trend is Trend.RISES else ~rises
