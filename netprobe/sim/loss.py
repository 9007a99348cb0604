"""What lost packets cost a reliable connection, and in which counters they are seen.

Go-back-N sends again all that was under way: each loss costs a round trip at full rate, W packets of it, so that the
goodput is (1 - p) / (1 + p W). At 400 Gb/s, 4 KiB and 10 µs W is 122: -1.2 % at 1e-4, -11 % at 1e-3, half at 1e-2,
as the field's figures have it (Mittal et al., "Revisiting Network Support for RDMA", SIGCOMM 2018, has the mechanism).
Selective repeat sends the packet again and no other; what it loses is the packet, and a little waiting.

A packet behind which nothing comes is not missed until the timer of the sender runs out: 4.096 µs * 2^14, 67 ms.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

IntArray = NDArray[np.int64]
FloatArray = NDArray[np.float64]

PACKET_BYTES: Final = 4096
TIMEOUT_NS: Final = 67_108_864.0  # ack_timeout 14, as the plan asks for
RECOVERY_NS: Final = 10_000.0  # a round trip of a loaded fabric, until what was lost is sent again
SELECTIVE_PACKETS: Final = 2.0  # of a window, that wait behind the one that is sent again


def goodput_ratio(loss: FloatArray, rate_gbps: FloatArray, *, selective: bool = False) -> FloatArray:
    """Return the share of the rate that is left at these loss ratios, of the same shape."""
    in_flight = SELECTIVE_PACKETS if selective else rate_gbps * RECOVERY_NS / (8 * PACKET_BYTES)
    left: FloatArray = (1 - loss) / (1 + loss * in_flight)
    return left


def packets_of(size_bytes: IntArray) -> IntArray:
    """Return how many packets a message needs; one without bytes needs one as well."""
    packets: IntArray = np.maximum(-(-size_bytes // PACKET_BYTES), 1)
    return packets


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Losses:
    """Of each row: packets lost with data behind them, at the end of a message, and lost acknowledgements."""

    noticed: IntArray
    tails: IntArray
    acknowledgements: IntArray

    @property
    def timeouts(self) -> IntArray:
        """How often a sender waited for its timer."""
        both: IntArray = self.tails + self.acknowledgements
        return both


def drawn_losses(
    random: np.random.Generator, packets: IntArray, messages: IntArray, loss: FloatArray, back: FloatArray
) -> Losses:
    """Draw what is lost of ``packets``, the last of ``messages`` among them; ``back`` is of acknowledgements.

    ``messages`` are those behind which nothing comes: an acknowledgement that is lost before is made good by the next.
    """
    ends = np.minimum(messages, packets)
    return Losses(
        noticed=random.binomial(packets - ends, loss),
        tails=random.binomial(ends, loss),
        acknowledgements=random.binomial(ends, back),
    )
