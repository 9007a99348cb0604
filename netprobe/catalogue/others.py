"""Soft RoCE (rxe), mlx4, Omni-Path (hfi1), HiSilicon (hns). siw and qedr have no counters of their own.

Their meanings are less documented than those of newer devices, hence their sources.
"""

from functools import partial
from typing import Final

from netprobe.catalogue.counter import COMMON_KNOWLEDGE, Counter, Table, Weight
from netprobe.model.meaning import Meaning

_rxe = partial(Counter, source="Linux drivers/infiniband/sw/rxe/rxe_hw_counters.c")
RXE: Final[Table] = {
    "sent_pkts": _rxe(meaning=Meaning.RDMA_SENT_PACKETS, title="RDMA packets sent"),
    "rcvd_pkts": _rxe(meaning=Meaning.RDMA_RECEIVED_PACKETS, title="RDMA packets received"),
    "out_of_seq_request": _rxe(
        meaning=Meaning.OUT_OF_SEQUENCE, title="packets that came out of sequence", weight=Weight.WARN
    ),
    "rcvd_seq_err": _rxe(
        meaning=Meaning.SEQUENCE_NAK, title="times the peer said that a packet is missing", weight=Weight.WARN
    ),
    "rcvd_rnr_err": _rxe(
        meaning=Meaning.RNR_NAK, title="times the peer had no buffer posted", unit="events", weight=Weight.WARN
    ),
    "send_rnr_err": _rxe(
        meaning=Meaning.NO_RECEIVE_BUFFER, title="times the peer was told that no buffer is posted", unit="events",
        weight=Weight.WARN,
    ),
    "retry_exceeded_err": _rxe(
        meaning=Meaning.RETRIES_EXCEEDED, title="queue pairs that gave up", unit="events", weight=Weight.FAIL
    ),
    "retry_rnr_exceeded_err": _rxe(
        meaning=Meaning.RNR_RETRIES_EXCEEDED, title="queue pairs that gave up waiting for a buffer", unit="events",
        weight=Weight.FAIL,
    ),
    "completer_retry_err": _rxe(title="times requests were started again", unit="events", weight=Weight.NOTE),
    "send_err": _rxe(title="packets that could not be sent", weight=Weight.WARN),
    "ack_deferred": _rxe(title="answers that were handled later", unit="events"),
    "rdma_sends": _rxe(title="messages sent", unit="requests"),
    "rdma_recvs": _rxe(title="messages received", unit="requests"),
}  # fmt: skip

_mlx4 = partial(
    Counter, unit="events", width_bits=32,
    source=f"Linux drivers/infiniband/hw/mlx4/main.c (names); meaning: {COMMON_KNOWLEDGE}",
)  # fmt: skip
_access = partial(_mlx4, meaning=Meaning.ACCESS_ERROR, weight=Weight.FAIL)
MLX4: Final[Table] = {
    "rq_num_oos": _mlx4(
        meaning=Meaning.OUT_OF_SEQUENCE, title="packets that came out of sequence", weight=Weight.WARN
    ),
    "sq_num_oos": _mlx4(
        meaning=Meaning.SEQUENCE_NAK, title="times the peer said that a packet is missing", weight=Weight.WARN
    ),
    "sq_num_to": _mlx4(
        meaning=Meaning.ACK_TIMEOUT, title="times no acknowledgement came in time", weight=Weight.WARN
    ),
    "rq_num_dup": _mlx4(
        meaning=Meaning.DUPLICATE_REQUEST, title="requests that the peer sent again", weight=Weight.NOTE
    ),
    "sq_num_tree": _mlx4(
        meaning=Meaning.RETRIES_EXCEEDED, title="queue pairs that gave up", weight=Weight.FAIL
    ),
    "sq_num_rree": _mlx4(
        meaning=Meaning.RNR_RETRIES_EXCEEDED, title="queue pairs that gave up waiting for a buffer",
        weight=Weight.FAIL,
    ),
    "sq_num_rnr": _mlx4(
        meaning=Meaning.RNR_NAK, title="times the peer had no buffer posted", weight=Weight.WARN
    ),
    "rq_num_rnr": _mlx4(
        meaning=Meaning.NO_RECEIVE_BUFFER, title="times the peer was told that no buffer is posted",
        weight=Weight.WARN,
    ),
    "rq_num_lle": _access(title="messages longer than their buffer"),
    "sq_num_lle": _access(title="answers longer than their buffer"),
    "rq_num_lqpoe": _access(title="receives that this side found invalid"),
    "sq_num_lqpoe": _access(title="work requests that this side found invalid"),
    "rq_num_lpe": _access(title="receives into memory that is not registered"),
    "sq_num_lpe": _access(title="work requests to memory that is not registered"),
    "sq_num_mwbe": _access(title="memory windows that could not be bound"),
    "sq_num_bre": _access(title="responses that make no sense"),
    "sq_num_rire": _access(title="requests that the peer found invalid"),
    "rq_num_rire": _access(title="invalid requests of the peer"),
    "sq_num_rae": _access(title="accesses that the peer refused"),
    "rq_num_rae": _access(title="accesses refused to the peer"),
    "sq_num_roe": _access(title="requests that the peer could not carry out"),
    "rq_num_wrfe": _mlx4(meaning=Meaning.COMPLETION_FLUSHED, title="receives flushed"),
    "sq_num_wrfe": _mlx4(meaning=Meaning.COMPLETION_FLUSHED, title="requests flushed"),
    "rq_num_udsdprd": _mlx4(title="datagrams dropped: no buffer was posted", weight=Weight.NOTE),
    "num_cqovf": _mlx4(title="completion queues that overflowed", weight=Weight.WARN),
}  # fmt: skip

_hfi1 = partial(Counter, source=f"Linux drivers/infiniband/hw/hfi1 (names); meaning: {COMMON_KNOWLEDGE}")
HFI1: Final[Table] = {
    "RcSeqNak": _hfi1(
        meaning=Meaning.SEQUENCE_NAK, title="times the peer said that a packet is missing", weight=Weight.WARN
    ),
    "RcTimeOut": _hfi1(
        meaning=Meaning.ACK_TIMEOUT, title="times no acknowledgement came in time", unit="events", weight=Weight.WARN
    ),
    "RcResend": _hfi1(meaning=Meaning.RETRANSMITTED, title="packets sent again", weight=Weight.WARN),
    "RcDupRew": _hfi1(
        meaning=Meaning.DUPLICATE_REQUEST, title="requests that the peer sent again", weight=Weight.NOTE
    ),
    "RcAcks": _hfi1(title="acknowledgements"),
    "PktDrop": _hfi1(title="packets that no queue pair took", weight=Weight.NOTE),
    "DmaWait": _hfi1(title="times sending waited for a descriptor", unit="events"),
    "LoopPkts": _hfi1(title="packets to this host itself"),
    "TxPkt": _hfi1(title="packets sent"),
    "RxPkt": _hfi1(title="packets received"),
    "UnknownFrame": _hfi1(title="frames of an unknown kind", weight=Weight.NOTE),
    "SwLinkUp": _hfi1(title="times the driver saw the link come up", unit="events"),
    "SwLinkDown": _hfi1(
        meaning=Meaning.LINK_DOWN, title="times the driver saw the link go down", unit="events", weight=Weight.FAIL,
        preference=2,
    ),
    "TxLinkdownErr": _hfi1(title="errors of sending while the link was down", unit="events", weight=Weight.NOTE),
    **{
        name: _hfi1(title=f"errors inside the device: {what}", unit="events", weight=weight)
        for name, what, weight in (
            ("TxSbHdrUncErr", "a header beyond repair", Weight.WARN),
            ("PioCsrParityErr", "parity of a register", Weight.WARN),
            ("RxRbufDescPart2CorErr", "a descriptor that was repaired", Weight.NOTE),
        )
    },
}  # fmt: skip

_hns = partial(Counter, source=f"Linux drivers/infiniband/hw/hns/hns_roce_main.c (names); meaning: {COMMON_KNOWLEDGE}")
HNS: Final[Table] = {
    "tx_pkt": _hns(meaning=Meaning.RDMA_SENT_PACKETS, title="RDMA packets sent"),
    "rx_pkt": _hns(meaning=Meaning.RDMA_RECEIVED_PACKETS, title="RDMA packets received"),
    "tx_cnp_pkt": _hns(meaning=Meaning.CNP_SENT, title="congestion notifications sent", weight=Weight.NOTE),
    "rx_cnp_pkt": _hns(meaning=Meaning.CNP_HANDLED, title="congestion notifications received", weight=Weight.NOTE),
    "rx_err_pkt": _hns(meaning=Meaning.RECEIVE_ERROR, title="packets received with an error", weight=Weight.WARN),
    "tx_err_pkt": _hns(title="packets not sent for an error", weight=Weight.WARN),
}

RDMA: Final[Table] = {**RXE, **MLX4, **HFI1, **HNS}
