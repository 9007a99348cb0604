"""What counters of NICs are evidence of, whatever their driver calls them.

"Receiver" and "requester" are the two ends of a transfer: the requester posts it, the receiver (or responder) takes it.
"""

from enum import StrEnum


class Meaning(StrEnum):
    """What growth tells. Times are ns, data are bytes, all else is counted."""

    # Loss and what follows from it, as RDMA transports see it.
    OUT_OF_SEQUENCE = "out-of-sequence"  # receiver: a packet is missing, or overtook
    SEQUENCE_NAK = "sequence-nak"  # requester: the peer told so
    IMPLIED_NAK = "implied-nak"  # requester: a response of the peer was lost
    ACK_TIMEOUT = "ack-timeout"  # requester: nothing came back in time
    DUPLICATE_REQUEST = "duplicate-request"  # receiver: the peer sent again what had arrived
    RETRANSMITTED = "retransmitted"  # requester: packets sent again
    ADAPTIVE_RETRANSMIT = "adaptive-retransmit"
    SLOW_RESTART = "slow-restart"
    RETRIES_EXCEEDED = "retries-exceeded"  # requester: the queue pair gave up
    RNR_NAK = "rnr-nak"  # requester: the peer had no buffer posted
    RNR_RETRIES_EXCEEDED = "rnr-retries-exceeded"
    NO_RECEIVE_BUFFER = "no-receive-buffer"  # receiver: the same, seen here
    COMPLETION_ERROR = "completion-error"  # with those that are flushed
    COMPLETION_FLUSHED = "completion-flushed"  # the consequence of an error, or of an orderly end
    ACCESS_ERROR = "access-error"  # keys, lengths, protection: software
    FATAL_ERROR = "fatal-error"  # the device says that it cannot go on

    # Congestion control.
    ECN_MARKED = "ecn-marked"  # receiver: packets that a switch marked
    NIC_ECN_MARKED = "nic-ecn-marked"  # packets that this NIC marked itself: the host is slow
    CNP_SENT = "cnp-sent"  # receiver
    CNP_HANDLED = "cnp-handled"  # sender: it slowed down
    CNP_IGNORED = "cnp-ignored"

    # Flow control. "Received" means that this host was told to stop.
    PAUSE_RECEIVED = "pause-received"  # frames
    PAUSE_RECEIVED_TIME = "pause-received-time"  # ns that sending stood still
    PAUSE_SENT = "pause-sent"
    PAUSE_SENT_TIME = "pause-sent-time"  # ns that others were asked to stand still
    PAUSE_TRANSITIONS = "pause-transitions"  # stop followed by go; none while pause grows: stuck
    PAUSE_STORM_WARNING = "pause-storm-warning"
    PAUSE_STORM = "pause-storm"  # the watchdog turned pause off: drops follow
    UNKNOWN_CONTROL_FRAME = "unknown-control-frame"  # such as PFC at a port that does not do PFC

    # Drops in the NIC.
    PORT_DISCARD = "port-discard"  # received and dropped: the port's buffer was full
    SEND_DISCARD = "send-discard"
    RING_DISCARD = "ring-discard"  # no receive descriptor: Ethernet, not RoCE
    BUFFER_HIGH = "buffer-high"  # the port's buffer was nearly full

    # The cable, the optic, the port.
    CRC_ERROR = "crc-error"
    SYMBOL_ERROR = "symbol-error"  # that nothing corrected
    ICRC_ERROR = "icrc-error"  # damaged beyond the link's own check: a switch's or NIC's memory
    FEC_CORRECTED = "fec-corrected"  # bits or blocks; normal on fast links
    FEC_UNCORRECTABLE = "fec-uncorrectable"
    RAW_BITS = "raw-bits"  # what FEC_CORRECTED is a share of
    RECEIVE_ERROR = "receive-error"
    REMOTE_PHYSICAL_ERROR = "remote-physical-error"  # marked as bad further up: the fault is elsewhere
    LINK_INTEGRITY_ERROR = "link-integrity-error"
    BUFFER_OVERRUN = "buffer-overrun"
    LINK_RECOVERED = "link-recovered"  # retrained, without going down
    LINK_DOWN = "link-down"
    MODULE_FAULT = "module-fault"
    MODULE_HOT = "module-hot"
    LENGTH_ERROR = "length-error"  # frames of a size that should not be: MTUs differ
    CONSTRAINT_ERROR = "constraint-error"  # partition keys and filters

    # The host behind the NIC.
    PCIE_STALLED = "pcie-stalled"  # seconds in which the bus held the NIC up
    PCIE_OVERFLOW = "pcie-overflow"  # packets dropped since the bus was slower than the wire
    PCIE_ERROR = "pcie-error"  # signal integrity of the slot
    SEND_WAIT = "send-wait"  # data and no credit to send it; proves nothing alone

    # Traffic.
    RDMA_SENT_BYTES = "rdma-sent-bytes"
    RDMA_RECEIVED_BYTES = "rdma-received-bytes"
    RDMA_SENT_PACKETS = "rdma-sent-packets"
    RDMA_RECEIVED_PACKETS = "rdma-received-packets"
    WIRE_SENT_BYTES = "wire-sent-bytes"  # of the port, all traffic; by priority where drivers tell
    WIRE_RECEIVED_BYTES = "wire-received-bytes"
    WIRE_SENT_PACKETS = "wire-sent-packets"
    WIRE_RECEIVED_PACKETS = "wire-received-packets"

    @property
    def unit(self) -> str:
        """``ns``, ``bytes``, or nothing where it is simply a number of something."""
        if self.endswith("-time"):
            return "ns"
        return "bytes" if self.endswith("-bytes") else ""
