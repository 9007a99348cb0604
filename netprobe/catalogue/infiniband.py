"""The classic counters of a port: the folder ``counters`` of every driver, and the same as ``perfquery`` names them.

Error counters stay at their largest value (4, 8 or 16 bits) until somebody resets them. Those of traffic have 64 bits
on any port of this century; on an older one they have 32 and stay at their largest value too. On RoCE ports most errors
are 0 or not supported, and traffic is that of RDMA alone.
"""

from functools import partial
from typing import Final

from netprobe.catalogue.counter import Behaviour, Counter, Table, Weight
from netprobe.model.meaning import Meaning

SOURCE: Final = "Linux Documentation/ABI/stable/sysfs-class-infiniband; drivers/infiniband/core/sysfs.c (widths)"
_bits4 = partial(Counter, width_bits=4, behaviour=Behaviour.SATURATES, unit="events", source=SOURCE)
_bits8 = partial(Counter, width_bits=8, behaviour=Behaviour.SATURATES, unit="events", source=SOURCE)
_bits16 = partial(Counter, width_bits=16, behaviour=Behaviour.SATURATES, source=SOURCE)
_bits32 = partial(Counter, width_bits=32, behaviour=Behaviour.SATURATES, source=SOURCE)
_wide = partial(Counter, source=SOURCE)

ERRORS: Final[Table] = {
    "symbol_error": _bits16(
        meaning=Meaning.SYMBOL_ERROR, title="minor errors of the link", unit="events", weight=Weight.WARN, preference=2
    ),
    "link_error_recovery": _bits8(
        meaning=Meaning.LINK_RECOVERED, title="times the link trained again and came back", weight=Weight.WARN
    ),
    "link_downed": _bits8(
        meaning=Meaning.LINK_DOWN, title="times the link went down", weight=Weight.FAIL, preference=1
    ),
    "port_rcv_errors": _bits16(
        meaning=Meaning.RECEIVE_ERROR, title="packets received with an error", weight=Weight.WARN
    ),
    "port_rcv_remote_physical_errors": _bits16(
        meaning=Meaning.REMOTE_PHYSICAL_ERROR, title="packets marked as bad further up", weight=Weight.NOTE
    ),
    "port_rcv_switch_relay_errors": _bits16(title="packets that a switch could not forward"),
    "port_xmit_discards": _bits16(
        meaning=Meaning.SEND_DISCARD, title="packets not sent: port down or congested", weight=Weight.WARN,
        preference=1,
    ),
    "port_xmit_constraint_errors": _bits8(
        meaning=Meaning.CONSTRAINT_ERROR, title="packets not sent for their partition key", weight=Weight.NOTE
    ),
    "port_rcv_constraint_errors": _bits8(
        meaning=Meaning.CONSTRAINT_ERROR, title="packets refused for their partition key", weight=Weight.NOTE
    ),
    "local_link_integrity_errors": _bits4(
        meaning=Meaning.LINK_INTEGRITY_ERROR, title="times the link's errors passed their limit", weight=Weight.WARN
    ),
    "excessive_buffer_overrun_errors": _bits4(
        meaning=Meaning.BUFFER_OVERRUN, title="times the port's buffer was overrun again and again",
        weight=Weight.WARN,
    ),
    "VL15_dropped": _bits16(title="management packets dropped"),
    "port_xmit_wait": _bits32(
        meaning=Meaning.SEND_WAIT, title="ticks with data to send and no credit", unit="ticks", weight=Weight.NOTE
    ),
}  # fmt: skip

TRAFFIC: Final[Table] = {
    "port_xmit_data": _bits32(meaning=Meaning.RDMA_SENT_BYTES, title="bytes sent", unit="bytes", scale=4, preference=1),
    "port_rcv_data": _bits32(
        meaning=Meaning.RDMA_RECEIVED_BYTES, title="bytes received", unit="bytes", scale=4, preference=1
    ),
    "port_xmit_packets": _bits32(meaning=Meaning.RDMA_SENT_PACKETS, title="packets sent", preference=1),
    "port_rcv_packets": _bits32(meaning=Meaning.RDMA_RECEIVED_PACKETS, title="packets received", preference=1),
    "unicast_xmit_packets": _wide(title="unicast packets sent"),
    "unicast_rcv_packets": _wide(title="unicast packets received"),
    "multicast_xmit_packets": _wide(title="multicast packets sent"),
    "multicast_rcv_packets": _wide(title="multicast packets received"),
}

RDMA: Final[Table] = {**ERRORS, **TRAFFIC}

PERFQUERY_NAMES: Final = {
    "SymbolErrorCounter": "symbol_error",
    "LinkErrorRecoveryCounter": "link_error_recovery",
    "LinkDownedCounter": "link_downed",
    "PortRcvErrors": "port_rcv_errors",
    "PortRcvRemotePhysicalErrors": "port_rcv_remote_physical_errors",
    "PortRcvSwitchRelayErrors": "port_rcv_switch_relay_errors",
    "PortXmitDiscards": "port_xmit_discards",
    "PortXmitConstraintErrors": "port_xmit_constraint_errors",
    "PortRcvConstraintErrors": "port_rcv_constraint_errors",
    "LocalLinkIntegrityErrors": "local_link_integrity_errors",
    "ExcessiveBufferOverrunErrors": "excessive_buffer_overrun_errors",
    "VL15Dropped": "VL15_dropped",
    "PortXmitWait": "port_xmit_wait",
    "PortXmitData": "port_xmit_data",
    "PortRcvData": "port_rcv_data",
    "PortXmitPkts": "port_xmit_packets",
    "PortRcvPkts": "port_rcv_packets",
    "PortUnicastXmitPkts": "unicast_xmit_packets",
    "PortUnicastRcvPkts": "unicast_rcv_packets",
    "PortMulticastXmitPkts": "multicast_xmit_packets",
    "PortMulticastRcvPkts": "multicast_rcv_packets",
}
"""The same counters, as the port's own protocol names them."""

# What PortRcvErrors is made of: of no meaning of their own, or they would count twice.
_part = partial(Counter, width_bits=16, behaviour=Behaviour.SATURATES, weight=Weight.NOTE, source="perfquery -E")
RECEIVE_ERROR_DETAILS: Final[Table] = {
    "PortLocalPhysicalErrors": _part(title="packets received damaged"),
    "PortMalformedPktErrors": _part(title="malformed packets received"),
    "PortBufferOverrunErrors": _part(title="packets received into a full buffer"),
    "PortDLIDMappingErrors": _part(title="packets to an address that is not mapped"),
    "PortVLMappingErrors": _part(title="packets in a lane that is not mapped"),
    "PortLoopingErrors": _part(title="packets that would have gone back where they came from"),
}
PERFQUERY: Final[Table] = {
    **{name: RDMA[same] for name, same in PERFQUERY_NAMES.items()},
    **RECEIVE_ERROR_DETAILS,
    "QP1Dropped": _part(title="management packets dropped", weight=Weight.INFO),
}
