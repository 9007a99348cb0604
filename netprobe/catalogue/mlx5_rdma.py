"""NVIDIA ConnectX and BlueField, RDMA side: ``hw_counters`` of mlx5_ib.

Those of a queue counter set are 32 bits wide and wrap; those of congestion control and of the port have 64. Broadcom's
driver from outside the kernel and others took over many of these names: there they are wider, and never wrap.
"""

from functools import partial
from typing import Final

from netprobe.catalogue.counter import Counter, Table, Weight
from netprobe.model.meaning import Meaning

SOURCE: Final = "Linux drivers/infiniband/hw/mlx5/counters.c; NVIDIA: understanding mlx5 counters"
_queue = partial(Counter, width_bits=32, source=SOURCE)
_port = partial(Counter, source=SOURCE)
_optional = partial(Counter, source=f"{SOURCE} (off until rdma statistic turns it on)")

LOSS: Final[Table] = {
    "out_of_sequence": _queue(
        meaning=Meaning.OUT_OF_SEQUENCE, title="packets that came out of sequence", weight=Weight.WARN
    ),
    "packet_seq_err": _queue(
        meaning=Meaning.SEQUENCE_NAK, title="times the peer said that a packet is missing", weight=Weight.WARN
    ),
    "implied_nak_seq_err": _queue(
        meaning=Meaning.IMPLIED_NAK, title="responses of the peer that were lost", weight=Weight.WARN
    ),
    "local_ack_timeout_err": _queue(
        meaning=Meaning.ACK_TIMEOUT, title="times no acknowledgement came in time", unit="events", weight=Weight.WARN
    ),
    "duplicate_request": _queue(
        meaning=Meaning.DUPLICATE_REQUEST, title="requests that the peer sent again", weight=Weight.NOTE
    ),
    "roce_adp_retrans": _queue(
        meaning=Meaning.ADAPTIVE_RETRANSMIT, title="adaptive retransmissions", unit="events", weight=Weight.WARN
    ),
    "roce_adp_retrans_to": _queue(
        # Part of what roce_adp_retrans counts.
        meaning=Meaning.ADAPTIVE_RETRANSMIT, title="adaptive retransmissions that timed out", unit="events",
        weight=Weight.WARN, preference=1,
    ),
    "roce_slow_restart": _queue(
        meaning=Meaning.SLOW_RESTART, title="times slow restart was used", unit="events", weight=Weight.NOTE
    ),
    "roce_slow_restart_cnps": _queue(title="congestion notifications of slow restart", weight=Weight.NOTE),
    "roce_slow_restart_trans": _queue(title="changes of slow restart's state", unit="events", weight=Weight.NOTE),
    "req_transport_retries_exceeded": _queue(
        meaning=Meaning.RETRIES_EXCEEDED, title="queue pairs that gave up", unit="events", weight=Weight.FAIL
    ),
}  # fmt: skip

RECEIVER: Final[Table] = {
    "rnr_nak_retry_err": _queue(
        meaning=Meaning.RNR_NAK, title="times the peer had no buffer posted", unit="events", weight=Weight.WARN
    ),
    "out_of_buffer": _queue(
        meaning=Meaning.NO_RECEIVE_BUFFER, title="packets that met no posted buffer", weight=Weight.WARN
    ),
    "req_rnr_retries_exceeded": _queue(
        meaning=Meaning.RNR_RETRIES_EXCEEDED, title="queue pairs that gave up waiting for a buffer", unit="events",
        weight=Weight.FAIL,
    ),
}  # fmt: skip

COMPLETIONS: Final[Table] = {
    "req_cqe_error": _queue(
        meaning=Meaning.COMPLETION_ERROR, title="requests completed with an error", unit="events", weight=Weight.WARN
    ),
    "resp_cqe_error": _queue(
        meaning=Meaning.COMPLETION_ERROR, title="receives completed with an error", unit="events", weight=Weight.WARN
    ),
    "req_cqe_flush_error": _queue(meaning=Meaning.COMPLETION_FLUSHED, title="requests flushed", unit="events"),
    "resp_cqe_flush_error": _queue(meaning=Meaning.COMPLETION_FLUSHED, title="receives flushed", unit="events"),
    "req_remote_access_errors": _queue(
        meaning=Meaning.ACCESS_ERROR, title="accesses that the peer refused", unit="events", weight=Weight.FAIL
    ),
    "resp_remote_access_errors": _queue(
        meaning=Meaning.ACCESS_ERROR, title="accesses refused to the peer", unit="events", weight=Weight.FAIL
    ),
    "req_remote_invalid_request": _queue(
        meaning=Meaning.ACCESS_ERROR, title="requests that the peer found invalid", unit="events", weight=Weight.FAIL
    ),
    "resp_local_length_error": _queue(
        meaning=Meaning.ACCESS_ERROR, title="messages longer than their buffer", unit="events", weight=Weight.FAIL
    ),
}

CONGESTION: Final[Table] = {
    "np_ecn_marked_roce_packets": _port(
        meaning=Meaning.ECN_MARKED, title="RoCE packets that a switch marked", weight=Weight.NOTE
    ),
    "np_cnp_sent": _port(meaning=Meaning.CNP_SENT, title="congestion notifications sent", weight=Weight.NOTE),
    "rp_cnp_handled": _port(meaning=Meaning.CNP_HANDLED, title="congestion notifications acted on", weight=Weight.NOTE),
    "rp_cnp_ignored": _port(meaning=Meaning.CNP_IGNORED, title="congestion notifications ignored", weight=Weight.WARN),
    "rx_icrc_encapsulated": _port(
        meaning=Meaning.ICRC_ERROR, title="RoCE packets damaged beyond the link's check", weight=Weight.FAIL
    ),
    # Preferred to nothing else: who turns them on still has those above.
    "cc_rx_ce_pkts": _optional(
        meaning=Meaning.ECN_MARKED, title="packets that a switch marked", weight=Weight.NOTE, preference=1
    ),
    "cc_tx_cnp_pkts": _optional(
        meaning=Meaning.CNP_SENT, title="congestion notifications sent", weight=Weight.NOTE, preference=1
    ),
    "cc_rx_cnp_pkts": _optional(
        meaning=Meaning.CNP_HANDLED, title="congestion notifications received", weight=Weight.NOTE, preference=1
    ),
}

TRAFFIC: Final[Table] = {
    "rx_write_requests": _queue(title="RDMA writes received", unit="requests"),
    "rx_read_requests": _queue(title="RDMA reads received", unit="requests"),
    "rx_atomic_requests": _queue(title="RDMA atomics received", unit="requests"),
    "rx_dct_connect": _queue(title="connections of dynamic transports received", unit="requests"),
    "rdma_tx_packets": _optional(meaning=Meaning.RDMA_SENT_PACKETS, title="RDMA packets sent", preference=3),
    "rdma_rx_packets": _optional(meaning=Meaning.RDMA_RECEIVED_PACKETS, title="RDMA packets received", preference=3),
    "rdma_tx_bytes": _optional(meaning=Meaning.RDMA_SENT_BYTES, title="RDMA bytes sent", unit="bytes", preference=3),
    "rdma_rx_bytes": _optional(
        meaning=Meaning.RDMA_RECEIVED_BYTES, title="RDMA bytes received", unit="bytes", preference=3
    ),
}

# Of virtual functions behind a representor; on the uplink they exist and stay 0, which would pass for "no loss".
OF_REPRESENTORS: Final[Table] = {
    f"vport_{name}": _queue(title=f"of a virtual function: {row.title}", unit=row.unit)
    for table in (LOSS, RECEIVER, COMPLETIONS)
    for name, row in table.items()
} | {
    f"vport_{name}": _queue(title=f"of a virtual function: {row.title}", unit=row.unit)
    for name, row in TRAFFIC.items()
    if name.endswith(("_requests", "_connect"))
}

RDMA: Final[Table] = {**LOSS, **RECEIVER, **COMPLETIONS, **CONGESTION, **TRAFFIC, **OF_REPRESENTORS}
