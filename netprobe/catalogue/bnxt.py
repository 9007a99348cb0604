"""Broadcom Thor: ``hw_counters`` of bnxt_re, in the kernel's naming and in that of Broadcom's own releases, and
``ethtool -S`` of bnxt_en, which is refreshed about once a second.

Broadcom's releases took over mlx5's names for most of the transport's counters (see mlx5_rdma); what is here is the
rest. On an error the kernel's driver stops asking the device: values stand still from then on.
"""

from functools import partial
from typing import Final

from netprobe.catalogue.counter import Behaviour, Counter, Table, Weight
from netprobe.model.meaning import Meaning

SOURCE: Final = "Linux drivers/infiniband/hw/bnxt_re/hw_counters.c"
RELEASED: Final = "Broadcom bnxt_re releases, hw_counters.c"
_row = partial(Counter, source=SOURCE)
_events = partial(Counter, unit="events", source=SOURCE)
_released = partial(Counter, source=RELEASED)
_access = partial(Counter, meaning=Meaning.ACCESS_ERROR, unit="events", weight=Weight.FAIL, source=SOURCE)
_level = partial(Counter, unit="objects", behaviour=Behaviour.GAUGE, source=SOURCE)

LOSS: Final[Table] = {
    "oos_drop_count": _row(
        meaning=Meaning.OUT_OF_SEQUENCE, title="packets dropped since they came out of sequence", weight=Weight.WARN
    ),
    "res_oos_drop_count": _released(
        meaning=Meaning.OUT_OF_SEQUENCE, title="packets dropped since they came out of sequence", weight=Weight.WARN
    ),
    "seq_err_naks_rcvd": _row(
        meaning=Meaning.SEQUENCE_NAK, title="times the peer said that a packet is missing", weight=Weight.WARN
    ),
    "missing_resp": _row(
        meaning=Meaning.IMPLIED_NAK, title="responses of the peer that were lost", weight=Weight.WARN
    ),
    "to_retransmits": _events(
        meaning=Meaning.ACK_TIMEOUT, title="times no acknowledgement came in time", weight=Weight.WARN
    ),
    "dup_req": _row(
        meaning=Meaning.DUPLICATE_REQUEST, title="requests that the peer sent again", weight=Weight.NOTE
    ),
    "dup_reqs": _released(
        meaning=Meaning.DUPLICATE_REQUEST, title="requests that the peer sent again", weight=Weight.NOTE
    ),
    "max_retry_exceeded": _events(
        meaning=Meaning.RETRIES_EXCEEDED, title="queue pairs that gave up", weight=Weight.FAIL
    ),
    "rnr_naks_rcvd": _events(
        meaning=Meaning.RNR_NAK, title="times the peer had no buffer posted", weight=Weight.WARN
    ),
    "rx_out_of_buffer": _row(
        meaning=Meaning.NO_RECEIVE_BUFFER, title="packets that met no posted buffer", weight=Weight.WARN
    ),
    **{
        name: _row(meaning=Meaning.PORT_DISCARD, title="RoCE packets received and dropped", weight=Weight.WARN)
        for name in ("rx_roce_discards", "rx_roce_discard_pkts")
    },
    **{
        name: _row(meaning=Meaning.RECEIVE_ERROR, title="RoCE packets received with an error", weight=Weight.WARN)
        for name in ("rx_roce_errors", "rx_roce_error_pkts")
    },
    "tx_roce_discards": _released(
        meaning=Meaning.SEND_DISCARD, title="RoCE packets dropped on the way out", weight=Weight.WARN
    ),
    "tx_roce_errors": _released(title="RoCE packets not sent for an error", weight=Weight.WARN),
}  # fmt: skip

ERRORS: Final[Table] = {
    "unrecoverable_err": _events(
        meaning=Meaning.FATAL_ERROR, title="errors that the device cannot recover from", weight=Weight.FAIL
    ),
    **{
        name: _events(meaning=Meaning.FATAL_ERROR, title="errors of the device's memory", weight=Weight.FAIL)
        for name in ("res_mem_err", "res_mem_error64")
    },
    "res_tx_pci_err": _events(
        meaning=Meaning.PCIE_ERROR, title="PCIe errors while reading the host's memory", weight=Weight.FAIL
    ),
    "res_rx_pci_err": _events(
        meaning=Meaning.PCIE_ERROR, title="PCIe errors while writing to the host's memory", weight=Weight.FAIL
    ),
    "bad_resp_err": _access(title="responses that make no sense"),
    "local_qp_op_err": _access(title="work requests that this side found invalid"),
    "local_protection_err": _access(title="work requests to memory that is not registered"),
    "mem_mgmt_op_err": _access(title="memory operations that failed"),
    "remote_invalid_req_err": _access(title="requests that the peer found invalid"),
    "remote_access_err": _access(title="accesses that the peer refused"),
    "remote_op_err": _access(title="requests that the peer could not carry out"),
    "res_exceed_max": _access(title="requests of the peer that exceed a limit"),
    "res_length_mismatch": _access(title="requests of the peer whose length is wrong"),
    "res_exceeds_wqe": _access(title="messages longer than their buffer"),
    "res_opcode_err": _access(title="requests of the peer with a wrong operation"),
    "res_rx_invalid_rkey": _access(title="writes of the peer with an unknown key"),
    "res_rx_domain_err": _access(title="writes of the peer from another protection domain"),
    "res_rx_no_perm": _access(title="writes of the peer without permission"),
    "res_rx_range_err": _access(title="writes of the peer beyond a region"),
    "res_tx_invalid_rkey": _access(title="reads of the peer with an unknown key"),
    "res_tx_domain_err": _access(title="reads of the peer from another protection domain"),
    "res_tx_no_perm": _access(title="reads of the peer without permission"),
    "res_tx_range_err": _access(title="reads of the peer beyond a region"),
    "res_irrq_oflow": _access(title="more reads of the peer than agreed"),
    "res_unsup_opcode": _access(title="requests of the peer with an operation not supported"),
    "res_unaligned_atomic": _access(title="atomics of the peer that are not aligned"),
    "res_rem_inv_err": _access(title="invalidations of the peer that failed"),
    "res_invalid_dup_rkey": _access(title="repeated reads of the peer with an unknown key"),
    "res_srq_err": _events(title="errors of a shared receive queue", weight=Weight.WARN),
    "res_cmp_err": _events(title="completions that could not be written", weight=Weight.WARN),
    "res_wqe_format_err": _events(title="receive work requests with a wrong format", weight=Weight.WARN),
    "res_cq_load_err": _events(title="completion queues that could not be loaded", weight=Weight.WARN),
    "res_srq_load_err": _events(title="shared receive queues that could not be loaded", weight=Weight.WARN),
}

CONGESTION: Final[Table] = {
    "rx_ecn_marked_pkts": _released(
        meaning=Meaning.ECN_MARKED, title="RoCE packets that a switch marked", weight=Weight.NOTE
    ),
    **{
        name: _released(meaning=Meaning.CNP_SENT, title="congestion notifications sent", weight=Weight.NOTE)
        for name in ("tx_cnp_pkts", "np_cnp_pkts")
    },
    "rx_cnp_pkts": _released(
        meaning=Meaning.CNP_HANDLED, title="congestion notifications received", weight=Weight.NOTE
    ),
    "pacing_reschedule": _released(title="times doorbell pacing was put off", unit="events"),
    "pacing_complete": _released(title="times doorbell pacing ended", unit="events"),
    "pacing_alerts": _released(title="times doorbell pacing began", unit="events", weight=Weight.NOTE),
    "db_fifo_register": _released(title="filling of the doorbell queue", unit="", behaviour=Behaviour.GAUGE),
}

_objects = ("pds", "ahs", "qps", "rc_qps", "ud_qps", "srqs", "cqs", "mrs", "mws")
TRAFFIC_AND_LEVELS: Final[Table] = {
    **{f"active_{name}": _level(title=f"{name} in use") for name in _objects},
    **{f"watermark_{name}": _level(title=f"most {name} in use so far", source=RELEASED) for name in _objects},
    # tx_bytes holds these and congestion notifications as well.
    "tx_roce_only_bytes": _released(
        meaning=Meaning.RDMA_SENT_BYTES, title="RoCE bytes sent", unit="bytes", preference=4
    ),
    "rx_roce_only_bytes": _released(
        meaning=Meaning.RDMA_RECEIVED_BYTES, title="RoCE bytes received", unit="bytes", preference=4
    ),
    "tx_roce_only_pkts": _released(meaning=Meaning.RDMA_SENT_PACKETS, title="RoCE packets sent", preference=4),
    "rx_roce_only_pkts": _released(meaning=Meaning.RDMA_RECEIVED_PACKETS, title="RoCE packets received", preference=4),
    **{name: _row(title="good RoCE packets received") for name in ("rx_roce_good_pkts", "rx_good_pkts")},
    **{name: _row(title="good RoCE bytes received", unit="bytes") for name in ("rx_roce_good_bytes", "rx_good_bytes")},
    **{
        f"{way}_{kind}": _row(title=f"{kind.replace('_', ' ')} {done}", unit="messages")
        for way, done in (("tx", "sent"), ("rx", "received"))
        for kind in ("atomic_req", "read_req", "read_resp", "write_req", "send_req")
    },
    "resize_cq_cnt": _released(title="times a completion queue was resized", unit="events"),
    # Its name promises errors, but the kernel's driver fills it with broadcast packets sent.
    "recoverable_errors": _row(title="broadcast packets sent, despite its name"),
}

RDMA: Final[Table] = {**LOSS, **ERRORS, **CONGESTION, **TRAFFIC_AND_LEVELS}
