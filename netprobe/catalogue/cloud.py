"""Networks of clouds: AWS (EFA, ENA), Azure (mana), Alibaba (erdma).

EFA's transport (SRD) loses packets and delivers out of order by design, over many paths and without flow control: what
would be alarming on RoCE is normal there, so that few of its counters have a meaning that RoCE has too.
"""

from functools import partial
from typing import Final

from netprobe.catalogue.counter import Behaviour, Counter, Table, Weight
from netprobe.model.meaning import Meaning

_efa = partial(Counter, source="amzn-drivers, efa_verbs.c")
EFA: Final[Table] = {
    "rx_drops": _efa(
        meaning=Meaning.NO_RECEIVE_BUFFER, title="packets dropped: no buffer was posted", weight=Weight.WARN
    ),
    "retrans_pkts": _efa(
        meaning=Meaning.RETRANSMITTED, title="packets sent again: a few are normal", weight=Weight.NOTE
    ),
    "retrans_bytes": _efa(title="bytes sent again: a few are normal", unit="bytes", weight=Weight.NOTE),
    "retrans_timeout_events": _efa(
        title="times packets were sent again for lack of an answer", unit="events", weight=Weight.NOTE
    ),
    "unresponsive_remote_events": _efa(
        title="times the other end did not answer", unit="events", weight=Weight.WARN
    ),
    "impaired_remote_conn_events": _efa(
        title="connections slowed down for their losses", unit="events", weight=Weight.WARN
    ),
    "rdma_read_wr_err": _efa(title="reads that failed", unit="requests", weight=Weight.WARN),
    "rdma_write_wr_err": _efa(title="writes that failed", unit="requests", weight=Weight.WARN),
    **{
        f"{name}_bytes": _efa(title=f"bytes of {title}", unit="bytes")
        for name, title in (
            ("send", "sends"), ("recv", "receives"), ("rdma_read", "reads"), ("rdma_read_resp", "reads answered"),
            ("rdma_write", "writes"), ("rdma_write_recv", "writes received"),
        )
    },
    **{
        f"{name}_wrs": _efa(title=title, unit="requests")
        for name, title in (
            ("send", "sends"), ("recv", "receives"), ("rdma_read", "reads"), ("rdma_write", "writes"),
        )
    },
    "cmds_err": _efa(title="commands to the device that failed", unit="events", weight=Weight.WARN),
    "no_completion_cmds": _efa(
        title="commands that the device did not answer", unit="events", weight=Weight.WARN
    ),
}  # fmt: skip

_mana = partial(Counter, source="Linux drivers/infiniband/hw/mana/counters.c")
_access = partial(_mana, meaning=Meaning.ACCESS_ERROR, unit="events", weight=Weight.FAIL)
MANA: Final[Table] = {
    "responder_oos": _mana(
        meaning=Meaning.OUT_OF_SEQUENCE, title="packets that came out of sequence", weight=Weight.WARN
    ),
    "requester_oos_nak": _mana(
        meaning=Meaning.SEQUENCE_NAK, title="times the peer said that a packet is missing", weight=Weight.WARN
    ),
    "requester_implicit_nak": _mana(
        meaning=Meaning.IMPLIED_NAK, title="responses of the peer that were lost", weight=Weight.WARN
    ),
    "requester_timeout": _mana(
        meaning=Meaning.ACK_TIMEOUT, title="times no acknowledgement came in time", unit="events", weight=Weight.WARN
    ),
    "requester_readresp_psn_mismatch": _mana(title="answers to reads out of sequence", weight=Weight.WARN),
    "responder_dup_request": _mana(
        meaning=Meaning.DUPLICATE_REQUEST, title="requests that the peer sent again", weight=Weight.NOTE
    ),
    "dup_rx_requests": _mana(
        meaning=Meaning.DUPLICATE_REQUEST, title="requests received twice", weight=Weight.NOTE, preference=1
    ),
    "requester_retries_exceeded": _mana(
        meaning=Meaning.RETRIES_EXCEEDED, title="queue pairs that gave up", unit="events", weight=Weight.FAIL
    ),
    "requester_rnr_nak": _mana(
        meaning=Meaning.RNR_NAK, title="times the peer had no buffer posted", unit="events", weight=Weight.WARN
    ),
    "requester_rnr_nak_retries_exceeded": _mana(
        meaning=Meaning.RNR_RETRIES_EXCEEDED, title="queue pairs that gave up waiting for a buffer", unit="events",
        weight=Weight.FAIL,
    ),
    "responder_rnr_nak": _mana(
        meaning=Meaning.NO_RECEIVE_BUFFER, title="times the peer was told that no buffer is posted", unit="events",
        weight=Weight.WARN,
    ),
    "total_fatal_error": _mana(
        meaning=Meaning.FATAL_ERROR, title="errors that ended a queue pair", unit="events", weight=Weight.FAIL
    ),
    "general_hw_error": _mana(
        meaning=Meaning.FATAL_ERROR, title="errors of the device", unit="events", weight=Weight.FAIL
    ),
    "nak_inv_req": _access(title="requests refused as invalid"),
    "nak_access_error": _access(title="requests refused for lack of access"),
    "nak_opp_error": _access(title="requests refused since they failed"),
    "nak_inv_read": _access(title="reads refused as invalid"),
    "responder_local_len_error": _access(title="messages longer than their buffer"),
    "requestor_local_prot_error": _access(title="work requests to memory that is not registered"),
    "responder_rem_access_error": _access(title="accesses refused to the peer"),
    "responder_local_qp_error": _access(title="receives that this side found invalid"),
    "responder_malformed_wqe": _access(title="receives with a wrong format"),
    "received_ecns": _mana(meaning=Meaning.ECN_MARKED, title="packets that a switch marked", weight=Weight.NOTE),
    "sent_cnps": _mana(meaning=Meaning.CNP_SENT, title="congestion notifications sent", weight=Weight.NOTE),
    "received_cnps": _mana(
        meaning=Meaning.CNP_HANDLED, title="congestion notifications received", weight=Weight.NOTE
    ),
    "received_cnp_count": _mana(
        meaning=Meaning.CNP_HANDLED, title="congestion notifications received by the device", weight=Weight.NOTE,
        preference=1,
    ),
    "num_qps_congested": _mana(title="times a queue pair was slowed down", unit="events", weight=Weight.NOTE),
    "num_qps_recovered": _mana(title="times a queue pair was fast again", unit="events"),
    "qp_congested_events": _mana(title="times a queue pair was slowed down", unit="events", weight=Weight.NOTE),
    "qp_recovered_events": _mana(title="times a queue pair was fast again", unit="events"),
    "rate_inc_events": _mana(title="times a queue pair was made faster", unit="events"),
    "current_rate": _mana(title="rate at which queue pairs may send", unit="", behaviour=Behaviour.GAUGE),
    "rx_send_requests": _mana(title="sends received", unit="requests"),
}  # fmt: skip

_erdma = partial(Counter, source="Linux drivers/infiniband/hw/erdma/erdma_verbs.c; before, with a prefix hw_")
_NAMES: Final[Table] = {
    "tx_packets_cnt": _erdma(meaning=Meaning.RDMA_SENT_PACKETS, title="RDMA packets sent"),
    "rx_packets_cnt": _erdma(meaning=Meaning.RDMA_RECEIVED_PACKETS, title="RDMA packets received"),
    "tx_bytes_cnt": _erdma(meaning=Meaning.RDMA_SENT_BYTES, title="RDMA bytes sent", unit="bytes"),
    "rx_bytes_cnt": _erdma(meaning=Meaning.RDMA_RECEIVED_BYTES, title="RDMA bytes received", unit="bytes"),
    "tx_reqs_cnt": _erdma(title="requests sent", unit="requests"),
    **{
        f"{name}_drop_cnt": _erdma(title=f"packets dropped: {why}", weight=weight)
        for way in ("tx_", "rx_", "")
        for name, why, weight in (
            (f"{way}bps_limit", "more bytes than the instance may send or receive", Weight.WARN),
            (f"{way}pps_limit", "more packets than the instance may send or receive", Weight.WARN),
            (f"{way}disable", "the port was off", Weight.NOTE),
        )
    },
}
ERDMA: Final[Table] = {**_NAMES, **{f"hw_{name}": row for name, row in _NAMES.items()}}

RDMA: Final[Table] = {**EFA, **MANA, **ERDMA}

_ena = partial(Counter, weight=Weight.WARN, source="amzn-drivers, ena_ethtool.c; AWS: monitor network performance")
ETHTOOL: Final[Table] = {
    "bw_in_allowance_exceeded": _ena(title="packets held or dropped: more received than the instance may"),
    "bw_out_allowance_exceeded": _ena(title="packets held or dropped: more sent than the instance may"),
    "pps_allowance_exceeded": _ena(title="packets held or dropped: more packets than the instance may"),
    "conntrack_allowance_exceeded": _ena(title="packets dropped: more connections than the instance may have"),
    "linklocal_allowance_exceeded": _ena(title="packets dropped: too many to services of the cloud itself"),
}
