"""RDMA between two ranks: what was asked for, which port and address each uses, and how a pair failed."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

ACK_UNIT_NS: Final = 4096
SLOWEST_TIMER: Final = 4  # devices may take up to four times what was asked for (IBTA 9.7.6.1.3)


class Operation(StrEnum):
    """The verb that moves a message over a reliable connection."""

    SEND = "send"
    WRITE = "write"
    WRITE_IMMEDIATE = "write-imm"
    READ = "read"
    ATOMIC = "atomic"  # fetch-and-add of eight bytes


class Engine(StrEnum):
    """Who posts and polls."""

    NATIVE = "native"
    PYVERBS = "pyverbs"  # the reference: rdma-core's own bindings, in Python; slow, and independent of ours


@dataclass(frozen=True, slots=True, kw_only=True)
class RdmaOptions:
    """How queue pairs are made. None: chosen, and recorded in RdmaEndpoint or in the plan."""

    engine: Engine = Engine.NATIVE
    operation: Operation = Operation.SEND
    device: str | None = None
    """``mlx5_0``, or ``mlx5_0/2`` for its second port."""
    gid_index: int | None = None
    path_mtu_bytes: int | None = None
    """256 to 4096; at most what both ports have active."""
    traffic_class: int = 0
    """DSCP times four."""
    service_level: int = 0
    source_port: int | None = None
    """UDP source port of RoCE v2, by way of the flow label; one more for each further queue pair."""
    ack_timeout: int = 14
    """4.096 µs times two to the power of this: 67 ms, so that loss shows within a test."""
    retry_count: int = 7
    rnr_retry_count: int = 7
    """7: without end."""
    min_rnr_timer: int = 12
    """0.64 ms; 0 would be 655 ms."""
    queue_pairs: int = 1
    signal_every: int | None = None
    """Messages for each completion asked for; a quarter of the window where nobody says."""
    post_list: int = 1
    """Messages handed to the NIC with one call."""
    inline_bytes: int = 220
    """Messages up to this size are copied into the request, as far as the device allows."""

    @property
    def longest_retry_ns(self) -> int:
        """How long a device may try to get a message through before it says that it failed."""
        return (self.retry_count + 1) * SLOWEST_TIMER * (ACK_UNIT_NS << self.ack_timeout)


@dataclass(frozen=True, slots=True, kw_only=True)
class RdmaEndpoint:
    """The port and the address that a rank uses."""

    rank: int
    device: str
    port: int
    link_layer: str | None
    gid_index: int
    gid: str
    """As the kernel writes it: eight groups of four hexadecimal digits."""
    gid_kind: str | None
    netdev: str | None
    rate_gbps: float | None
    why: str = ""
    """Why this one of several, in a few words."""

    @property
    def name(self) -> str:
        """``mlx5_0``, with the port's number where it is not the first: ``mlx5_0/2``."""
        return self.device if self.port == 1 else f"{self.device}/{self.port}"


class FailurePhase(StrEnum):
    """How far a pair came before it failed: never worked, or worked for a while."""

    SET_UP = "set-up"  # opening, registering, or bringing the queue pairs up
    FIRST_MESSAGE = "first message"
    LATER = "later"


@dataclass(frozen=True, slots=True, kw_only=True)
class Breakdown:
    """What ended the work of two ranks with each other, as the one tells it who noticed."""

    rank: int
    """Which of the two noticed."""
    phase: FailurePhase
    call: str
    """``ibv_modify_qp to RTR``, ``ibv_poll_cq``."""
    status: str | None = None
    """Of the completion, without its prefix: ``RETRY_EXC_ERR``; None where there was none."""
    vendor_error: int | None = None
    error: str | None = None
    """What the system said of a call that failed, as in ``Connection timed out``."""
    after_messages: int = 0
    """How many had gone well over these queue pairs."""
    waited_ns: int = 0
    """Without any completion, where that was what ended it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PairFailure:
    """Two ranks could not go on with each other over RDMA; the others did."""

    stage: str
    probe: str
    round_index: int
    src: int
    dst: int
    size_bytes: int | None
    """None: before the first size."""
    cause: Breakdown
