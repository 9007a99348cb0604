"""AMD Pensando (Pollara): ``hw_counters`` of ionic_rdma, whose names come from the firmware, and ``ethtool -S``.

A value that the driver cannot decode reads as 2^64-1 (counter.UNREADABLE). The device delivers out of order where
several paths are used: a packet out of sequence need not be a lost one.
"""

from functools import partial
from typing import Final

from netprobe.catalogue.counter import COMMON_KNOWLEDGE, Counter, Table, Weight, by_priority
from netprobe.model.meaning import Meaning

FIRMWARE: Final = "amd/node-scraper; ROCm RCCL telemetry; AMD AINIC firmware"
_row = partial(Counter, source=FIRMWARE)
_events = partial(Counter, unit="events", source=FIRMWARE)
_access = partial(Counter, meaning=Meaning.ACCESS_ERROR, unit="events", weight=Weight.FAIL, source=FIRMWARE)
_collective = partial(Counter, source=f"{FIRMWARE} (control messages of collectives, by firmware)")

RDMA: Final[Table] = {
    "resp_rx_outouf_seq": _row(  # as the firmware spells it
        meaning=Meaning.OUT_OF_SEQUENCE, title="packets that came out of sequence", weight=Weight.NOTE
    ),
    "resp_tx_pkt_seq_err": _row(
        meaning=Meaning.OUT_OF_SEQUENCE, title="times the peer was told that a packet is missing",
        weight=Weight.WARN, preference=1,
    ),
    "req_rx_pkt_seq_err": _row(
        meaning=Meaning.SEQUENCE_NAK, title="times the peer said that a packet is missing", weight=Weight.WARN
    ),
    "req_rx_impl_nak_seq_err": _row(
        meaning=Meaning.IMPLIED_NAK, title="responses of the peer that were lost", weight=Weight.WARN
    ),
    "tx_rdma_ack_timeout": _events(
        meaning=Meaning.ACK_TIMEOUT, title="times no acknowledgement came in time", weight=Weight.WARN
    ),
    "tx_rdma_retx_pkts": _row(meaning=Meaning.RETRANSMITTED, title="packets sent again", weight=Weight.WARN),
    "tx_rdma_retx_bytes": _row(title="bytes sent again", unit="bytes", weight=Weight.WARN),
    "resp_rx_dup_request": _row(
        meaning=Meaning.DUPLICATE_REQUEST, title="requests that the peer sent again", weight=Weight.NOTE
    ),
    "req_rx_dup_response": _row(title="responses that the peer sent again", weight=Weight.NOTE),
    "req_tx_retry_excd_err": _events(
        meaning=Meaning.RETRIES_EXCEEDED, title="queue pairs that gave up", weight=Weight.FAIL
    ),
    "req_rx_rnr_retry_err": _events(
        meaning=Meaning.RNR_NAK, title="times the peer had no buffer posted", weight=Weight.WARN
    ),
    "resp_rx_outof_buf": _row(
        meaning=Meaning.NO_RECEIVE_BUFFER, title="packets that met no posted buffer", weight=Weight.WARN
    ),
    "resp_tx_rnr_retry_err": _events(
        meaning=Meaning.NO_RECEIVE_BUFFER, title="times the peer was told that no buffer is posted",
        weight=Weight.WARN, preference=1,
    ),
    "resp_rx_outof_atomic": _events(title="more atomics and reads of the peer than agreed", weight=Weight.WARN),
    "rx_rdma_mtu_discard_pkts": _row(
        meaning=Meaning.LENGTH_ERROR, title="packets dropped as longer than the MTU", weight=Weight.FAIL
    ),
    "req_rx_cqe_err": _events(
        meaning=Meaning.COMPLETION_ERROR, title="requests completed with an error", weight=Weight.WARN
    ),
    "resp_rx_cqe_err": _events(
        meaning=Meaning.COMPLETION_ERROR, title="receives completed with an error", weight=Weight.WARN
    ),
    "req_rx_cqe_flush": _events(meaning=Meaning.COMPLETION_FLUSHED, title="requests flushed"),
    "resp_rx_cqe_flush": _events(meaning=Meaning.COMPLETION_FLUSHED, title="receives flushed"),
    "req_rx_rmt_acc_err": _access(title="accesses that the peer refused"),
    "req_rx_rmt_req_err": _access(title="requests that the peer found invalid"),
    "req_rx_oper_err": _access(title="requests that the peer could not carry out"),
    "req_tx_loc_acc_err": _access(title="work requests to memory that is not registered"),
    "req_tx_loc_oper_err": _access(title="work requests that this side found invalid"),
    "req_tx_mem_mgmt_err": _access(title="memory operations that failed"),
    "req_tx_loc_sgl_inv_err": _access(title="work requests with a wrong list of buffers"),
    "resp_rx_loc_len_err": _access(title="messages longer than their buffer"),
    "resp_rx_inval_request": _access(title="invalid requests of the peer"),
    "resp_rx_loc_oper_err": _access(title="requests of the peer that this side could not carry out"),
    "resp_tx_rmt_inval_req_err": _access(title="times the peer was told that its request is invalid"),
    "resp_tx_rmt_acc_err": _access(title="accesses refused to the peer"),
    "resp_tx_rmt_oper_err": _access(title="times the peer was told that its request failed"),
    "resp_tx_loc_sgl_inv_err": _access(title="receives with a wrong list of buffers"),
    "req_rx_inval_pkts": _row(title="responses that make no sense", weight=Weight.WARN),
    "resp_rx_s0_table_err": _events(title="errors of the device's tables", weight=Weight.WARN),
    "rx_rdma_ecn_pkts": _row(
        meaning=Meaning.ECN_MARKED, title="RDMA packets that a switch marked", weight=Weight.NOTE
    ),
    "tx_rdma_cnp_pkts": _row(meaning=Meaning.CNP_SENT, title="congestion notifications sent", weight=Weight.NOTE),
    "rx_rdma_cnp_pkts": _row(
        meaning=Meaning.CNP_HANDLED, title="congestion notifications received", weight=Weight.NOTE
    ),
    **{
        f"{way}_rdma_{cast}_{short}": _row(meaning=meaning, title=f"RDMA {unit} {done}, {name}", unit=unit)
        for cast, name in (("ucast", "unicast"), ("mcast", "multicast"))
        for way, done, short, unit, meaning in (
            ("tx", "sent", "bytes", "bytes", Meaning.RDMA_SENT_BYTES),
            ("rx", "received", "bytes", "bytes", Meaning.RDMA_RECEIVED_BYTES),
            ("tx", "sent", "pkts", "packets", Meaning.RDMA_SENT_PACKETS),
            ("rx", "received", "pkts", "packets", Meaning.RDMA_RECEIVED_PACKETS),
        )
    },
    "tx_rdma_ccl_cts_bytes": _collective(title="bytes of clear-to-send sent", unit="bytes"),
    "rx_rdma_ccl_cts_bytes": _collective(title="bytes of clear-to-send received", unit="bytes"),
    "tx_rdma_ccl_cts_pkts": _collective(title="clear-to-send packets sent"),
    "rx_rdma_ccl_cts_pkts": _collective(title="clear-to-send packets received"),
    "resp_rx_ccl_cts_outouf_seq": _collective(title="clear-to-send packets out of sequence", weight=Weight.NOTE),
    "tx_rdma_ccl_cts_ack_timeout": _collective(
        title="times no acknowledgement of clear-to-send came", unit="events", weight=Weight.NOTE
    ),
    "tx_rdma_ccl_cts_retx_bytes": _collective(
        title="bytes of clear-to-send sent again", unit="bytes", weight=Weight.NOTE
    ),
    "tx_rdma_ccl_cts_retx_pkts": _collective(title="clear-to-send packets sent again", weight=Weight.NOTE),
}  # fmt: skip

DOCUMENT: Final = "Linux Documentation/networking/device_drivers/ethernet/pensando/ionic.rst (names)"
_frames = partial(Counter, unit="frames", source=f"{DOCUMENT}; {COMMON_KNOWLEDGE}")
_microseconds = partial(Counter, unit="ns", scale=1000, source=f"{DOCUMENT}; amd/node-scraper")
_length = partial(_frames, meaning=Meaning.LENGTH_ERROR, weight=Weight.FAIL)

ETHTOOL: Final[Table] = {
    # The two kinds of pause are counted apart: their sum is the total.
    "frames_rx_pause": _frames(
        meaning=Meaning.PAUSE_RECEIVED, title="frames that told this port to stop", weight=Weight.NOTE
    ),
    "frames_rx_pripause": _frames(
        meaning=Meaning.PAUSE_RECEIVED, title="frames that told some priority to stop", weight=Weight.NOTE
    ),
    "frames_tx_pause": _frames(
        meaning=Meaning.PAUSE_SENT, title="frames that told the other end to stop", weight=Weight.WARN
    ),
    "frames_tx_pripause": _frames(
        meaning=Meaning.PAUSE_SENT, title="frames that told the other end to stop some priority", weight=Weight.WARN
    ),
    "rx_pause_1us_count": _microseconds(
        meaning=Meaning.PAUSE_RECEIVED_TIME, title="time for which sending was stopped", weight=Weight.NOTE
    ),
    **by_priority("rx_pripause_{}_1us_count", _microseconds(
        meaning=Meaning.PAUSE_RECEIVED_TIME, title="time for which priority {} was stopped", weight=Weight.NOTE
    )),
    **by_priority("tx_pripause_{}_1us_count", _microseconds(
        meaning=Meaning.PAUSE_SENT_TIME, title="time for which the other end was to stop priority {}",
        weight=Weight.WARN,
    )),
    # No document tells whether these are frames of a priority or pause frames for it.
    **by_priority("frames_rx_pri_{}", _frames(title="frames received of priority {}, or pause for it")),
    **by_priority("frames_tx_pri_{}", _frames(title="frames sent of priority {}, or pause for it")),
    "frames_rx_bad_fcs": _frames(meaning=Meaning.CRC_ERROR, title="frames with a bad checksum", weight=Weight.FAIL),
    "frames_rx_stomped_crc": _frames(
        meaning=Meaning.REMOTE_PHYSICAL_ERROR, title="frames marked as bad further up", weight=Weight.NOTE
    ),
    "frames_rx_dropped": _frames(
        meaning=Meaning.PORT_DISCARD, title="frames received and dropped", weight=Weight.WARN
    ),
    "hw_rx_dropped": _frames(
        meaning=Meaning.RING_DISCARD, title="packets that the interface's filters or queues dropped",
        weight=Weight.NOTE,
    ),
    "hw_rx_over_errors": _frames(
        meaning=Meaning.RING_DISCARD, title="packets dropped for lack of a descriptor", weight=Weight.NOTE
    ),
    "hw_rx_missed_errors": _frames(title="packets that a receive queue could not take", weight=Weight.WARN),
    "hw_tx_dropped": _frames(meaning=Meaning.SEND_DISCARD, title="packets not sent", weight=Weight.WARN),
    "hw_tx_aborted_errors": _frames(title="packets whose sending was given up", weight=Weight.WARN),
    "frames_rx_bad_length": _length(title="frames whose length is not what they say"),
    "frames_rx_undersized": _length(title="frames shorter than 64 bytes"),
    "frames_rx_oversized": _length(title="frames longer than allowed"),
    "frames_rx_too_long": _length(title="frames longer than this port's MTU"),
    "frames_rx_fragments": _length(title="fragments of frames"),
    "frames_rx_jabber": _length(title="frames too long and with a bad checksum"),
    "frames_tx_bad": _frames(title="frames sent with an error", weight=Weight.WARN),
    "frames_tx_truncated": _frames(title="frames cut short while being sent", weight=Weight.WARN),
    "octets_tx_ok": _frames(meaning=Meaning.WIRE_SENT_BYTES, title="bytes sent by the port", unit="bytes"),
    "octets_rx_ok": _frames(meaning=Meaning.WIRE_RECEIVED_BYTES, title="bytes received by the port", unit="bytes"),
    "frames_tx_ok": _frames(meaning=Meaning.WIRE_SENT_PACKETS, title="frames sent by the port"),
    "frames_rx_ok": _frames(meaning=Meaning.WIRE_RECEIVED_PACKETS, title="frames received by the port"),
}  # fmt: skip
