"""Intel E810 and E830: ``hw_counters`` of irdma and ``ethtool -S`` of ice, where a suffix ``.nic`` means the port.

irdma tells of no loss at all on RoCE, and ice of no times of pause: only frames.
"""

from functools import partial
from typing import Final

from netprobe.catalogue.counter import Counter, Table, Weight, by_priority
from netprobe.model.meaning import Meaning

SOURCE: Final = "Linux drivers/infiniband/hw/irdma/verbs.c (names; 32 bits in hardware, summed up by the driver)"
_row = partial(Counter, source=SOURCE)


def _of_both(pattern: str, counter: Counter) -> dict[str, Counter]:
    """Return a row for IPv4 and one for IPv6."""
    return {pattern.format(version): counter for version in (4, 6)}


def _in_both(name: str, counter: Counter) -> dict[str, Counter]:
    """Return a row for the kernel's name, and one for that of older and newer releases."""
    return {prefix + name: counter for prefix in ("iw", "")}


RDMA: Final[Table] = {
    "RxECNMrkd": _row(meaning=Meaning.ECN_MARKED, title="packets that a switch marked", weight=Weight.NOTE),
    "cnpSent": _row(meaning=Meaning.CNP_SENT, title="congestion notifications sent", weight=Weight.NOTE),
    "cnpHandled": _row(meaning=Meaning.CNP_HANDLED, title="congestion notifications acted on", weight=Weight.NOTE),
    "cnpIgnored": _row(meaning=Meaning.CNP_IGNORED, title="congestion notifications ignored", weight=Weight.WARN),
    "tcpRetransSegs": _row(meaning=Meaning.RETRANSMITTED, title="iWARP segments sent again", weight=Weight.WARN),
    "RetransSegs": _row(meaning=Meaning.RETRANSMITTED, title="segments sent again", weight=Weight.WARN),
    **_of_both("ip{}InDiscards", _row(
        meaning=Meaning.PORT_DISCARD, title="packets received and dropped", weight=Weight.WARN
    )),
    **_of_both("ip{}InTruncatedPkts", _row(
        meaning=Meaning.LENGTH_ERROR, title="packets shorter than they say", weight=Weight.FAIL
    )),
    **_of_both("ip{}OutNoRoutes", _row(title="packets without a route", weight=Weight.WARN)),
    **_of_both("ip{}OutOctets", _row(meaning=Meaning.RDMA_SENT_BYTES, title="RDMA bytes sent", unit="bytes")),
    **_of_both("ip{}InOctets", _row(meaning=Meaning.RDMA_RECEIVED_BYTES, title="RDMA bytes received", unit="bytes")),
    **_of_both("ip{}OutPkts", _row(meaning=Meaning.RDMA_SENT_PACKETS, title="RDMA packets sent")),
    **_of_both("ip{}InPkts", _row(meaning=Meaning.RDMA_RECEIVED_PACKETS, title="RDMA packets received")),
    **_of_both("ip{}OutMcastOctets", _row(title="multicast bytes sent", unit="bytes")),
    **_of_both("ip{}InMcastOctets", _row(title="multicast bytes received", unit="bytes")),
    **_of_both("ip{}OutMcastPkts", _row(title="multicast packets sent")),
    **_of_both("ip{}InMcastPkts", _row(title="multicast packets received")),
    **_of_both("ip{}OutSegRqd", _row(title="packets that had to be cut up")),
    **_of_both("ip{}InReasmRqd", _row(title="fragments received")),
    **_in_both("InRdmaReads", _row(title="reads received", unit="requests")),
    **_in_both("InRdmaSends", _row(title="sends received", unit="requests")),
    **_in_both("InRdmaWrites", _row(title="writes received", unit="requests")),
    **_in_both("OutRdmaReads", _row(title="reads sent", unit="requests")),
    **_in_both("OutRdmaSends", _row(title="sends sent", unit="requests")),
    **_in_both("OutRdmaWrites", _row(title="writes sent", unit="requests")),
    **_in_both("RdmaBnd", _row(title="memory windows bound", unit="events")),
    **_in_both("RdmaInv", _row(title="keys invalidated", unit="events")),
    **{
        prefix + name: _row(title=title, weight=weight)
        for prefix in ("tcp", "")
        for name, title, weight in (
            ("InOptErrors", "packets with wrong options", Weight.NOTE),
            ("InProtoErrors", "packets that break the protocol", Weight.WARN),
            ("InSegs", "iWARP segments received", Weight.INFO),
            ("OutSegs", "iWARP segments sent", Weight.INFO),
        )
    },
    "RxUDP": _row(title="UDP packets received"),
    "TxUDP": _row(title="UDP packets sent"),
    "rxVlanErrors": _row(title="packets with a wrong VLAN tag", weight=Weight.WARN),
}  # fmt: skip

ICE: Final = "Linux drivers/net/ethernet/intel/ice/ice_ethtool.c"
_port = partial(Counter, source=ICE)
_frames = partial(Counter, unit="frames", source=ICE)
_events = partial(Counter, unit="events", source=ICE)
_length = partial(Counter, meaning=Meaning.LENGTH_ERROR, weight=Weight.FAIL, source=ICE)

ETHTOOL: Final[Table] = {
    "link_xoff_rx.nic": _frames(
        meaning=Meaning.PAUSE_RECEIVED, title="frames that told this port to stop", weight=Weight.NOTE
    ),
    "link_xoff_tx.nic": _frames(
        meaning=Meaning.PAUSE_SENT, title="frames that told the other end to stop", weight=Weight.WARN
    ),
    **by_priority("rx_priority_{}_xoff.nic", _frames(
        meaning=Meaning.PAUSE_RECEIVED, title="frames that told priority {} to stop", weight=Weight.NOTE
    )),
    **by_priority("tx_priority_{}_xoff.nic", _frames(
        meaning=Meaning.PAUSE_SENT, title="frames that told the other end to stop priority {}", weight=Weight.WARN
    )),
    # Pause ends by itself too: frames that end it are fewer than its ends, so they do not stand for transitions.
    "link_xon_rx.nic": _frames(title="frames that told this port to go on"),
    "link_xon_tx.nic": _frames(title="frames that told the other end to go on"),
    **by_priority("rx_priority_{}_xon.nic", _frames(title="frames that told priority {} to go on")),
    **by_priority("tx_priority_{}_xon.nic", _frames(title="frames that told the other end to go on in priority {}")),
    "rx_dropped.nic": _port(
        meaning=Meaning.PORT_DISCARD, title="packets dropped: the port's buffer was full", weight=Weight.WARN
    ),
    "tx_dropped_link_down.nic": _port(
        meaning=Meaning.SEND_DISCARD, title="packets dropped since the link was down", weight=Weight.WARN
    ),
    "rx_crc_errors.nic": _port(
        meaning=Meaning.CRC_ERROR, title="packets with a bad checksum", weight=Weight.FAIL
    ),
    "illegal_bytes.nic": _port(
        meaning=Meaning.SYMBOL_ERROR, title="symbols that should not be", unit="symbols", weight=Weight.FAIL
    ),
    "mac_local_faults.nic": _events(title="faults of the link, seen at this end", weight=Weight.WARN),
    "mac_remote_faults.nic": _events(title="faults of the link, told by the other end", weight=Weight.WARN),
    "rx_length_errors.nic": _length(title="packets whose length is not what they say"),
    "rx_oversize.nic": _length(title="packets longer than allowed"),
    "rx_undersize.nic": _length(title="packets shorter than 64 bytes"),
    "rx_fragments.nic": _length(title="fragments with a bad checksum"),
    "rx_jabber.nic": _length(title="packets too long and with a bad checksum"),
    "tx_errors.nic": _port(title="packets not sent for an error", weight=Weight.NOTE),
    "tx_timeout.nic": _events(title="times sending hung until the kernel noticed", weight=Weight.WARN),
    "rx_bytes.nic": _port(meaning=Meaning.WIRE_RECEIVED_BYTES, title="bytes received by the port", unit="bytes"),
    "tx_bytes.nic": _port(meaning=Meaning.WIRE_SENT_BYTES, title="bytes sent by the port", unit="bytes"),
    # The port's packets are the sum of these.
    **{
        f"{way}_{cast}.nic": _port(meaning=meaning, title=f"{cast} packets {done} by the port")
        for cast in ("unicast", "multicast", "broadcast")
        for way, done, meaning in (
            ("rx", "received", Meaning.WIRE_RECEIVED_PACKETS),
            ("tx", "sent", Meaning.WIRE_SENT_PACKETS),
        )
    },
}  # fmt: skip
