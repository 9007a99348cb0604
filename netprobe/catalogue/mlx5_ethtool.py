"""NVIDIA ConnectX and BlueField, Ethernet side: ``ethtool -S`` of mlx5_core. All have 64 bits.

Pause by priority exists for priorities with flow control alone, global pause only where that is on: an absent name was
not measured. The frames of both kinds are in ``*_pause_ctrl_phy``, which therefore is the total.
"""

from functools import partial
from typing import Final

from netprobe.catalogue.counter import Behaviour, Counter, Table, Weight, by_priority
from netprobe.model.meaning import Meaning

SOURCE: Final = "Linux Documentation/networking/device_drivers/ethernet/mellanox/mlx5/counters.rst"
_row = partial(Counter, source=SOURCE)
_frames = partial(Counter, unit="frames", source=SOURCE)
_events = partial(Counter, unit="events", source=SOURCE)
_microseconds = partial(Counter, unit="ns", scale=1000, source=SOURCE)
_percent = partial(Counter, unit="percent", behaviour=Behaviour.GAUGE, source=SOURCE)

PAUSE: Final[Table] = {
    "rx_pause_ctrl_phy": _frames(
        meaning=Meaning.PAUSE_RECEIVED, title="frames that told this port to stop, of any kind", weight=Weight.NOTE
    ),
    "tx_pause_ctrl_phy": _frames(
        meaning=Meaning.PAUSE_SENT, title="frames that told the other end to stop, of any kind", weight=Weight.WARN
    ),
    "rx_global_pause": _frames(
        meaning=Meaning.PAUSE_RECEIVED, title="frames that told this port to stop", weight=Weight.NOTE, preference=1
    ),
    "tx_global_pause": _frames(
        meaning=Meaning.PAUSE_SENT, title="frames that told the other end to stop", weight=Weight.WARN, preference=1
    ),
    "rx_global_pause_duration": _microseconds(
        meaning=Meaning.PAUSE_RECEIVED_TIME, title="time for which sending was stopped", weight=Weight.NOTE
    ),
    "tx_global_pause_duration": _microseconds(
        meaning=Meaning.PAUSE_SENT_TIME, title="time for which the other end was to stop", weight=Weight.WARN
    ),
    "rx_global_pause_transition": _events(
        meaning=Meaning.PAUSE_TRANSITIONS, title="times sending was stopped and went on", weight=Weight.NOTE
    ),
    "tx_pause_storm_warning_events": _events(
        meaning=Meaning.PAUSE_STORM_WARNING, title="times the port sent pause for long", weight=Weight.WARN
    ),
    "tx_pause_storm_error_events": _events(
        meaning=Meaning.PAUSE_STORM, title="times the port sent pause for so long that it was turned off",
        weight=Weight.FAIL,
    ),
    "rx_unsupported_op_phy": _frames(
        meaning=Meaning.UNKNOWN_CONTROL_FRAME, title="control frames of an unknown kind", weight=Weight.WARN
    ),
    **by_priority("rx_prio{}_pause", _frames(
        meaning=Meaning.PAUSE_RECEIVED, title="frames that told priority {} to stop", weight=Weight.NOTE
    )),
    **by_priority("tx_prio{}_pause", _frames(
        meaning=Meaning.PAUSE_SENT, title="frames that told the other end to stop priority {}", weight=Weight.WARN
    )),
    **by_priority("rx_prio{}_pause_duration", _microseconds(
        meaning=Meaning.PAUSE_RECEIVED_TIME, title="time for which priority {} was stopped", weight=Weight.NOTE
    )),
    **by_priority("tx_prio{}_pause_duration", _microseconds(
        meaning=Meaning.PAUSE_SENT_TIME, title="time for which the other end was to stop priority {}",
        weight=Weight.WARN,
    )),
    **by_priority("rx_prio{}_pause_transition", _events(
        meaning=Meaning.PAUSE_TRANSITIONS, title="times priority {} was stopped and went on", weight=Weight.NOTE
    )),
}  # fmt: skip

DISCARDS: Final[Table] = {
    "rx_discards_phy": _row(
        meaning=Meaning.PORT_DISCARD, title="packets dropped: the port's buffer was full", weight=Weight.WARN
    ),
    **by_priority("rx_prio{}_discards", _row(
        meaning=Meaning.PORT_DISCARD, title="packets of priority {} dropped for lack of buffer", weight=Weight.WARN
    )),
    # Two more reasons to drop, counted apart from the one above.
    **by_priority("rx_prio{}_buf_discard", _row(
        meaning=Meaning.PORT_DISCARD, title="packets of priority {} dropped for lack of this host's buffer",
        weight=Weight.WARN,
    )),
    **by_priority("rx_prio{}_cong_discard", _row(
        meaning=Meaning.PORT_DISCARD, title="packets of priority {} dropped since this host is congested",
        weight=Weight.WARN,
    )),
    **by_priority("rx_prio{}_marked", _row(
        meaning=Meaning.NIC_ECN_MARKED, title="packets of priority {} marked since this host is congested",
        weight=Weight.NOTE,
    )),
    "tx_discards_phy": _row(
        meaning=Meaning.SEND_DISCARD, title="packets dropped on the way out", weight=Weight.WARN
    ),
    "rx_buffer_passed_thres_phy": _events(
        meaning=Meaning.BUFFER_HIGH, title="times the port's buffer was over 85 % full", weight=Weight.NOTE
    ),
    "rx_out_of_buffer": _events(
        meaning=Meaning.RING_DISCARD, title="times a receive queue had no buffer: Ethernet, not RDMA",
        weight=Weight.NOTE,
    ),
    "dev_out_of_buffer": _events(title="times a queue of the device had no buffer", weight=Weight.WARN),
    "dev_internal_queue_oob": _row(
        title="packets dropped: an internal queue of the device had no buffer", weight=Weight.WARN
    ),
    "rx_steer_missed_packets": _row(title="packets that no flow rule took", weight=Weight.NOTE),
    "rx_if_down_packets": _row(title="packets received while the interface was down", weight=Weight.NOTE),
}  # fmt: skip

LINK: Final[Table] = {
    "rx_crc_errors_phy": _row(
        meaning=Meaning.CRC_ERROR, title="packets dropped for a bad checksum", weight=Weight.FAIL
    ),
    "rx_symbol_err_phy": _row(
        meaning=Meaning.SYMBOL_ERROR, title="packets dropped for coding errors", weight=Weight.FAIL, preference=1
    ),
    "rx_pcs_symbol_err_phy": _row(
        meaning=Meaning.SYMBOL_ERROR, title="symbols that error correction did not repair", unit="symbols",
        weight=Weight.FAIL,
    ),
    "rx_corrected_bits_phy": _row(
        meaning=Meaning.FEC_CORRECTED, title="bits that error correction repaired", unit="bits", weight=Weight.NOTE
    ),
    "rx_bits_phy": _row(meaning=Meaning.RAW_BITS, title="bits that could have been received", unit="bits"),
    **{
        f"rx_err_lane_{lane}_phy": _events(title=f"raw errors of lane {lane}", weight=Weight.NOTE) for lane in range(8)
    },
    "link_down_events_phy": _events(
        meaning=Meaning.LINK_DOWN, title="times the link went down", weight=Weight.FAIL
    ),
    "module_bus_stuck": _events(
        meaning=Meaning.MODULE_FAULT, title="times the optic's bus was stuck", weight=Weight.FAIL
    ),
    "module_bad_shorted": _events(
        meaning=Meaning.MODULE_FAULT, title="times the cable was shorted", weight=Weight.FAIL
    ),
    "module_high_temp": _events(
        meaning=Meaning.MODULE_HOT, title="times the optic was too hot", weight=Weight.FAIL
    ),
    "module_unplug": _events(title="times the optic was pulled out", weight=Weight.NOTE),
}  # fmt: skip

_length = partial(Counter, meaning=Meaning.LENGTH_ERROR, weight=Weight.FAIL, source=SOURCE)
LENGTHS: Final[Table] = {
    "rx_in_range_len_errors_phy": _length(title="packets whose length is not what they say"),
    "rx_out_of_range_len_phy": _length(title="packets longer than allowed"),
    "rx_oversize_pkts_phy": _length(title="packets longer than this port's MTU"),
    "rx_undersize_pkts_phy": _length(title="packets shorter than 64 bytes"),
    "rx_fragments_phy": _length(title="fragments with a bad checksum"),
    "rx_jabbers_phy": _length(title="packets too long and with a bad checksum"),
    "tx_errors_phy": _length(title="packets not sent: longer than the port's MTU"),
    "rx_oversize_pkts_buffer": _length(title="packets longer than the driver's buffer", weight=Weight.WARN),
}

HOST: Final[Table] = {
    "outbound_pci_stalled_rd": _percent(title="share of the last second in which reads of memory stood still"),
    "outbound_pci_stalled_wr": _percent(title="share of the last second in which writes to memory stood still"),
    "outbound_pci_stalled_rd_events": _row(
        meaning=Meaning.PCIE_STALLED, title="seconds with reads of memory held up over 30 %", unit="seconds",
        weight=Weight.WARN,
    ),
    "outbound_pci_stalled_wr_events": _row(
        meaning=Meaning.PCIE_STALLED, title="seconds with writes to memory held up over 30 %", unit="seconds",
        weight=Weight.WARN,
    ),
    "outbound_pci_buffer_overflow": _row(
        meaning=Meaning.PCIE_OVERFLOW, title="packets dropped: PCIe was slower than the wire", weight=Weight.FAIL
    ),
    "rx_pci_signal_integrity": _events(
        meaning=Meaning.PCIE_ERROR, title="errors of the PCIe link, seen by the NIC", weight=Weight.WARN
    ),
    "tx_pci_signal_integrity": _events(
        meaning=Meaning.PCIE_ERROR, title="errors of the PCIe link, seen by the host", weight=Weight.WARN
    ),
    "rx_oversize_pkts_sw_drop": _row(title="packets that the driver dropped as too long", weight=Weight.WARN),
    "rx_wqe_err": _events(title="receive descriptors that the NIC refused", weight=Weight.WARN),
    "tx_cqe_err": _events(title="send completions with an error", weight=Weight.WARN),
    "rx_recover": _events(title="times a receive queue was restarted", weight=Weight.WARN),
    "tx_recover": _events(title="times a send queue was restarted", weight=Weight.WARN),
    "tx_queue_dropped": _row(title="packets that the driver could not map for sending", weight=Weight.NOTE),
    "rx_buff_alloc_err": _events(title="receive buffers that could not be allocated", weight=Weight.NOTE),
}  # fmt: skip

# Behind the RDMA counters, which are fresher: those of the port manager (1) and these (2) are the same packets.
_rdma = partial(Counter, preference=2, source=SOURCE)
TRAFFIC: Final[Table] = {
    **{
        f"{way}_vport_rdma_{cast}_{unit}": _rdma(meaning=meaning, title=f"RDMA {unit} {done}, {cast}", unit=unit)
        for cast in ("unicast", "multicast")
        for way, done, unit, meaning in (
            ("tx", "sent", "bytes", Meaning.RDMA_SENT_BYTES),
            ("rx", "received", "bytes", Meaning.RDMA_RECEIVED_BYTES),
            ("tx", "sent", "packets", Meaning.RDMA_SENT_PACKETS),
            ("rx", "received", "packets", Meaning.RDMA_RECEIVED_PACKETS),
        )
    },
    "tx_bytes_phy": _row(meaning=Meaning.WIRE_SENT_BYTES, title="bytes sent by the port", unit="bytes"),
    "rx_bytes_phy": _row(meaning=Meaning.WIRE_RECEIVED_BYTES, title="bytes received by the port", unit="bytes"),
    "tx_packets_phy": _row(meaning=Meaning.WIRE_SENT_PACKETS, title="packets sent by the port"),
    "rx_packets_phy": _row(meaning=Meaning.WIRE_RECEIVED_PACKETS, title="packets received by the port"),
    **by_priority("tx_prio{}_bytes", _row(
        meaning=Meaning.WIRE_SENT_BYTES, title="bytes sent in priority {}", unit="bytes"
    )),
    **by_priority("rx_prio{}_bytes", _row(
        meaning=Meaning.WIRE_RECEIVED_BYTES, title="bytes received in priority {}", unit="bytes"
    )),
    **by_priority("tx_prio{}_packets", _row(meaning=Meaning.WIRE_SENT_PACKETS, title="packets sent in priority {}")),
    **by_priority("rx_prio{}_packets", _row(
        meaning=Meaning.WIRE_RECEIVED_PACKETS, title="packets received in priority {}"
    )),
}  # fmt: skip

ETHTOOL: Final[Table] = {**PAUSE, **DISCARDS, **LINK, **LENGTHS, **HOST, **TRAFFIC}
