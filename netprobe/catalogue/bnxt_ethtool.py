"""Broadcom, Ethernet side: ``ethtool -S`` of bnxt_en. All have 64 bits, and are refreshed about once a second."""

from functools import partial
from typing import Final

from netprobe.catalogue.counter import Counter, Table, Weight, by_priority
from netprobe.model.meaning import Meaning

SOURCE: Final = "Linux drivers/net/ethernet/broadcom/bnxt: bnxt_ethtool.c, bnxt_hsi.h"
_row = partial(Counter, source=SOURCE)
_frames = partial(Counter, unit="frames", source=SOURCE)
_events = partial(Counter, unit="events", source=SOURCE)
_microseconds = partial(Counter, unit="ns", scale=1000, source=SOURCE)

PAUSE: Final[Table] = {
    # The two kinds are counted apart: their sum is the total.
    "rx_pause_frames": _frames(
        meaning=Meaning.PAUSE_RECEIVED, title="frames that told this port to stop", weight=Weight.NOTE
    ),
    "rx_pfc_frames": _frames(
        meaning=Meaning.PAUSE_RECEIVED, title="frames that told some priority to stop", weight=Weight.NOTE
    ),
    "tx_pause_frames": _frames(
        meaning=Meaning.PAUSE_SENT, title="frames that told the other end to stop", weight=Weight.WARN
    ),
    "tx_pfc_frames": _frames(
        meaning=Meaning.PAUSE_SENT, title="frames that told the other end to stop some priority", weight=Weight.WARN
    ),
    **by_priority("rx_pfc_ena_frames_pri{}", _frames(
        meaning=Meaning.PAUSE_RECEIVED, title="frames that told priority {} to stop", weight=Weight.NOTE
    )),
    **by_priority("tx_pfc_ena_frames_pri{}", _frames(
        meaning=Meaning.PAUSE_SENT, title="frames that told the other end to stop priority {}", weight=Weight.WARN
    )),
    **by_priority("pfc_pri{}_rx_duration_us", _microseconds(
        meaning=Meaning.PAUSE_RECEIVED_TIME, title="time for which priority {} was stopped", weight=Weight.NOTE
    )),
    **by_priority("pfc_pri{}_tx_duration_us", _microseconds(
        meaning=Meaning.PAUSE_SENT_TIME, title="time for which the other end was to stop priority {}",
        weight=Weight.WARN,
    )),
    **by_priority("pfc_pri{}_rx_transitions", _events(
        meaning=Meaning.PAUSE_TRANSITIONS, title="times priority {} was stopped or went on", weight=Weight.NOTE
    )),
    **by_priority("pfc_pri{}_tx_transitions", _events(
        title="times the other end was told to stop priority {} or go on", weight=Weight.NOTE
    )),
    "continuous_pause_events": _events(
        meaning=Meaning.PAUSE_STORM_WARNING, title="times pause went on for long", weight=Weight.WARN
    ),
    "continuous_roce_pause_events": _events(
        meaning=Meaning.PAUSE_STORM_WARNING, title="times pause of RoCE went on for long", weight=Weight.WARN
    ),
    "resume_pause_events": _events(title="times such pause ended", weight=Weight.NOTE),
    "resume_roce_pause_events": _events(title="times such pause of RoCE ended", weight=Weight.NOTE),
}  # fmt: skip

DISCARDS: Final[Table] = {
    "rx_stat_discard": _row(
        meaning=Meaning.PORT_DISCARD, title="packets received and dropped", weight=Weight.WARN
    ),
    # By queue of the NIC: the priority of that number where the mapping was left alone.
    **by_priority("rx_discard_packets_cos{}", _row(
        meaning=Meaning.PORT_DISCARD, title="packets of class {} dropped for lack of buffer", weight=Weight.WARN
    )),
    **by_priority("rx_discard_bytes_cos{}", _row(
        title="bytes of class {} dropped for lack of buffer", unit="bytes", weight=Weight.WARN
    )),
    "tx_stat_discard": _row(
        meaning=Meaning.SEND_DISCARD, title="packets dropped on the way out", weight=Weight.WARN
    ),
    "rx_total_ring_discards": _row(
        meaning=Meaning.RING_DISCARD, title="packets dropped for lack of a descriptor: Ethernet, not RDMA",
        weight=Weight.NOTE,
    ),
    "rx_total_oom_discards": _row(title="packets that the driver had no memory for", weight=Weight.NOTE),
    "rx_total_netpoll_discards": _row(title="packets dropped while the kernel's console took the interface"),
    "tx_total_ring_discards": _row(title="packets that the driver could not send", weight=Weight.NOTE),
    "rx_buffer_passed_threshold": _events(
        meaning=Meaning.BUFFER_HIGH, title="times the port's buffer was nearly full", weight=Weight.NOTE
    ),
    "rx_filter_miss": _row(title="packets that no filter took", weight=Weight.NOTE),
    **{
        f"lpbk_{way}_{what}": _row(title=f"{what} of packets looped back, {way}", weight=Weight.NOTE)
        for way in ("rx", "tx")
        for what in ("discards", "errors")
    },
    "hw_db_recov_dbs_dropped": _events(
        meaning=Meaning.FATAL_ERROR, title="doorbells that the device dropped", weight=Weight.FAIL
    ),
    "hw_db_recov_oo_drop_count": _events(title="doorbells dropped as out of order", weight=Weight.WARN),
}  # fmt: skip

LINK: Final[Table] = {
    "rx_fcs_err_frames": _frames(
        meaning=Meaning.CRC_ERROR, title="frames with a bad checksum", weight=Weight.FAIL
    ),
    "rx_pcs_symbol_err": _row(
        meaning=Meaning.SYMBOL_ERROR, title="symbols that error correction did not repair", unit="symbols",
        weight=Weight.FAIL,
    ),
    "rx_corrected_bits": _row(
        meaning=Meaning.FEC_CORRECTED, title="bits that error correction repaired", unit="bits", weight=Weight.NOTE
    ),
    "rx_bits": _row(meaning=Meaning.RAW_BITS, title="bits that could have been received", unit="bits"),
    "rx_fec_corrected_blocks": _row(
        meaning=Meaning.FEC_CORRECTED, title="blocks that error correction repaired", unit="blocks",
        weight=Weight.NOTE, preference=1,
    ),
    "rx_fec_uncorrectable_blocks": _row(
        meaning=Meaning.FEC_UNCORRECTABLE, title="blocks beyond repair", unit="blocks", weight=Weight.FAIL
    ),
    "link_down_events": _events(
        meaning=Meaning.LINK_DOWN, title="times the link went down", weight=Weight.FAIL
    ),
    "rx_align_err_frames": _frames(
        meaning=Meaning.RECEIVE_ERROR, title="frames that are not whole bytes", weight=Weight.WARN
    ),
    "rx_stat_err": _row(meaning=Meaning.RECEIVE_ERROR, title="packets received with an error", weight=Weight.WARN),
    "tx_fcs_err_frames": _frames(title="frames sent with a bad checksum", weight=Weight.WARN),
    "tx_err": _frames(title="frames sent with an error", weight=Weight.WARN),
    "tx_stat_error": _row(title="packets not sent for an error", weight=Weight.WARN),
    "tx_fifo_underruns": _events(title="times the host was too slow while a frame was sent", weight=Weight.WARN),
}  # fmt: skip

_length = partial(Counter, meaning=Meaning.LENGTH_ERROR, unit="frames", weight=Weight.FAIL, source=SOURCE)
LENGTHS: Final[Table] = {
    "rx_mtu_err_frames": _length(title="frames longer than this port's MTU"),
    "rx_ovrsz_frames": _length(title="frames longer than allowed"),
    "rx_jbr_frames": _length(title="frames too long and with a bad checksum"),
    "rx_undrsz_frames": _length(title="frames shorter than 64 bytes"),
    "rx_runt_frames": _length(title="fragments of frames"),
    "tx_jabber_frames": _length(title="frames sent that are too long"),
}

TRAFFIC: Final[Table] = {
    "rx_total_frames": _frames(meaning=Meaning.WIRE_RECEIVED_PACKETS, title="frames received by the port"),
    "tx_total_frames": _frames(meaning=Meaning.WIRE_SENT_PACKETS, title="frames sent by the port"),
    **by_priority("rx_bytes_pri{}", _row(
        meaning=Meaning.WIRE_RECEIVED_BYTES, title="bytes received in priority {}", unit="bytes"
    )),
    **by_priority("tx_bytes_pri{}", _row(
        meaning=Meaning.WIRE_SENT_BYTES, title="bytes sent in priority {}", unit="bytes"
    )),
    **by_priority("rx_packets_pri{}", _row(
        meaning=Meaning.WIRE_RECEIVED_PACKETS, title="packets received in priority {}"
    )),
    **by_priority("tx_packets_pri{}", _row(meaning=Meaning.WIRE_SENT_PACKETS, title="packets sent in priority {}")),
}  # fmt: skip

ETHTOOL: Final[Table] = {**PAUSE, **DISCARDS, **LINK, **LENGTHS, **TRAFFIC}
