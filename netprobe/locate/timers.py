"""Which timer makes a stall so long: of acknowledgements and receivers over RDMA, of retransmission over TCP.

A timer never fires early, and late by a tick and by what is then sent again. A device may take up to four times the
timeout of an acknowledgement (IBTA 9.7.6.1.3), so that doublings count as well; those of a stage are known by its plan.
"""

from typing import Final

from netprobe.model.plan import Path
from netprobe.model.rdma import ACK_UNIT_NS, RdmaOptions
from netprobe.units import NS_PER_MS, NS_PER_US

TIMER_SLACK: Final = 1.15
RTO_MIN_NS: Final = 200.0 * NS_PER_MS  # Linux' TCP_RTO_MIN, doubled every time
RTO_DOUBLINGS: Final = ("", ", doubled", ", doubled twice", ", doubled three times", ", doubled four times")
USUAL_TIMEOUTS: Final = (14, 18, 20, 22)
"""perftest's; UCX's and NCCL's of old; NCCL's now, and what clouds tell to set. With others a stall is anybody's."""
SHORTEST_TOLD_NS: Final = 30.0 * NS_PER_MS  # below that much else takes as long
SLOWEST_DOUBLINGS: Final = 2
RNR_NS: Final = tuple(
    each * 10 * NS_PER_US
    for each in (
        65536, 1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192,
        256, 384, 512, 768, 1024, 1536, 2048, 3072, 4096, 6144, 8192, 12288, 16384, 24576, 32768, 49152,
    )
)  # fmt: skip
"""By what a receiver asks for when it is not ready (IBTA table 45): 0 is 655 ms, 1 is 10 µs, 12 is 0.64 ms."""


def ack_timeout_ns(timeout: int) -> float:
    """Return 4.096 µs * 2^timeout."""
    return float(ACK_UNIT_NS << timeout)


def timers_of(path: Path = Path.MPI, rdma: RdmaOptions | None = None) -> tuple[tuple[str, float], ...]:
    """Return names and lengths of the timers that may stop what goes over a path; TCP's only over MPI.

    ``rdma``: what the queue pairs were made with, where netprobe made them: then no other timeout is theirs.
    """
    if rdma is not None:
        doubled = range(SLOWEST_DOUBLINGS + 1)
        own = tuple(
            (f"RoCE acknowledgement timeout {rdma.ack_timeout}{RTO_DOUBLINGS[each]}",
             ack_timeout_ns(rdma.ack_timeout + each))
            for each in doubled
        )  # fmt: skip
        return tuple(each for each in own if each[1] >= SHORTEST_TOLD_NS) if rdma.ack_timeout else ()
    usual = tuple((f"RoCE acknowledgement timeout {each}", ack_timeout_ns(each)) for each in USUAL_TIMEOUTS)
    if path is not Path.MPI:
        return usual
    of_tcp = tuple(
        (f"TCP retransmission timeout{doubling}", RTO_MIN_NS * (1 << each))
        for each, doubling in enumerate(RTO_DOUBLINGS)
    )
    return tuple(sorted((*usual, *of_tcp), key=lambda each: each[1]))


def timer_of(stall_ns: float, path: Path = Path.MPI, rdma: RdmaOptions | None = None) -> str | None:
    """Return the retransmission timer that makes so long a stall; None where none does."""
    told = timers_of(path, rdma)
    return next((name for name, step_ns in told if step_ns <= stall_ns <= TIMER_SLACK * step_ns), None)


def rnr_step_of(stall_ns: float, rdma: RdmaOptions) -> str | None:
    """Return the timer of a receiver that is not ready, where a stall is as long; of netprobe's own queue pairs."""
    step_ns = float(RNR_NS[rdma.min_rnr_timer])
    return f"RNR timer {rdma.min_rnr_timer}" if step_ns <= stall_ns <= TIMER_SLACK * step_ns else None
