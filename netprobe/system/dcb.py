"""Data centre bridging as the kernel tells it: one request and one reply of rtnetlink, as bytes.

Which priorities are lossless (PFC), into which class each goes (ETS), and what a packet's priority is taken from (APP).
Message layout: include/uapi/linux/dcbnl.h, in this machine's byte order.
"""

import struct
from collections.abc import Iterator
from typing import Final

from netprobe.errors import FormatError
from netprobe.model.inventory import PRIORITIES, QosSettings

GET: Final = 78
"""RTM_GETDCB, of the request and of its reply."""
IEEE_GET: Final = 21
"""DCB_CMD_IEEE_GET: what is in effect, not what the peer offers."""
REQUEST: Final = 1
ERROR: Final = 2
HEADER: Final = struct.Struct("=IHHII")  # length, type, flags, sequence, port
FAMILY: Final = struct.Struct("=BBH")  # struct dcbmsg: family, command, padding
ATTRIBUTE: Final = struct.Struct("=HH")  # length with these four bytes, type
TYPE_BITS: Final = 0x3FFF  # the upper two say "nested" and "network byte order"
ALIGNMENT: Final = 4
SOURCE: Final = "the kernel's reply about DCB"

IFNAME: Final = 1
IEEE: Final = 13
ETS: Final = 1
PFC: Final = 2
APP_TABLE: Final = 3
BUFFER: Final = 10
TRUST_TABLE: Final = 11
DSCP_SELECTOR: Final = 5
ALGORITHMS: Final = {0: "strict", 1: "cbs", 2: "ets", 255: "vendor"}

PFC_ENABLED: Final = struct.Struct("=xB")  # the rest of struct ieee_pfc: whether the peer agrees, and pause counts
ETS_NOW: Final = struct.Struct("=3x8B8x8B8B")  # bandwidth to send, algorithm, class of each priority
BUFFERS: Final = struct.Struct("=8B8I")
APP: Final = struct.Struct("=BBH")  # selector, priority, protocol
LARGEST_DSCP: Final = 63


def request_of(netdev: str) -> bytes:
    """Return the question for everything about an interface."""
    name = netdev.encode() + b"\0"
    attribute = ATTRIBUTE.pack(ATTRIBUTE.size + len(name), IFNAME) + name
    body = FAMILY.pack(0, IEEE_GET, 0) + attribute + bytes(-len(attribute) % ALIGNMENT)
    return HEADER.pack(HEADER.size + len(body), GET, REQUEST, 0, 0) + body


def settings_of(reply: bytes) -> QosSettings | None:
    """Return what a reply tells; None when it is an error or tells nothing.

    Raises FormatError when it is no reply to this request, or breaks off.
    """
    if len(reply) < HEADER.size:
        raise FormatError(f"{SOURCE} breaks off after {len(reply)} bytes")
    length, kind, *_ = HEADER.unpack_from(reply)
    if kind == ERROR:
        return None
    start = HEADER.size + FAMILY.size
    if kind != GET or not start <= length <= len(reply):
        raise FormatError(f"{SOURCE} is a message of type {kind} with {length} of {len(reply)} bytes")
    ieee = dict(_attributes(reply[start:length])).get(IEEE)
    return None if ieee is None else _settings(dict(_attributes(ieee)))


def _attributes(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield type and payload of each attribute."""
    start = 0
    while start < len(data):
        if len(data) - start < ATTRIBUTE.size:
            raise FormatError(f"{SOURCE} ends in {len(data) - start} bytes that are no attribute")
        length, kind = ATTRIBUTE.unpack_from(data, start)
        if not ATTRIBUTE.size <= length <= len(data) - start:
            raise FormatError(f"{SOURCE} has an attribute of {length} bytes where {len(data) - start} are left")
        yield kind & TYPE_BITS, data[start + ATTRIBUTE.size : start + length]
        start += length + -length % ALIGNMENT


def _settings(told: dict[int, bytes]) -> QosSettings | None:
    pfc, ets, buffers = (_fields(told, *each) for each in ((PFC, PFC_ENABLED), (ETS, ETS_NOW), (BUFFER, BUFFERS)))
    mapping = _dscp_to_priority(told.get(APP_TABLE, b""))
    if pfc is None and ets is None and buffers is None and not mapping:
        return None  # a driver that knows of DCB and supports none of it: an empty table of applications says nothing
    return QosSettings(
        pfc_enabled=None if pfc is None else tuple(bool(pfc[0] >> priority & 1) for priority in range(PRIORITIES)),
        trust=_trust(told, has_dscp=bool(mapping)),
        dscp_to_priority=mapping,
        priority_to_class=None if ets is None else ets[16:],
        class_bandwidth_percent=None if ets is None else ets[:8],
        class_algorithm=None if ets is None else tuple(ALGORITHMS.get(each, str(each)) for each in ets[8:16]),
        priority_to_buffer=None if buffers is None else buffers[:8],
        buffer_bytes=None if buffers is None else buffers[8:],
    )


def _fields(told: dict[int, bytes], kind: int, layout: struct.Struct) -> tuple[int, ...] | None:
    """Return the fields of a structure; newer kernels may have appended some."""
    data = told.get(kind)
    if data is None:
        return None
    if len(data) < layout.size:
        raise FormatError(f"{SOURCE} has {len(data)} bytes in attribute {kind}, which has {layout.size} or more")
    return layout.unpack_from(data)


def _dscp_to_priority(table: bytes) -> tuple[tuple[int, int], ...]:
    found: dict[int, int] = {}
    for _, data in _attributes(table):
        if len(data) < APP.size:
            raise FormatError(f"{SOURCE} has an application of {len(data)} bytes")
        selector, priority, protocol = APP.unpack_from(data)
        if selector == DSCP_SELECTOR and protocol <= LARGEST_DSCP and priority < PRIORITIES:
            found[protocol] = max(priority, found.get(protocol, 0))  # of several the kernel takes the highest
    return tuple(sorted(found.items()))


def _trust(told: dict[int, bytes], *, has_dscp: bool) -> str | None:
    """Return what the priority is taken from; a table of trust outranks what follows from entries for DSCPs."""
    trusted = [data[:1] for _, data in _attributes(told.get(TRUST_TABLE, b""))]
    if trusted:
        return "dscp" if bytes([DSCP_SELECTOR]) in trusted else "pcp"
    if has_dscp:
        return "dscp"
    return "pcp" if APP_TABLE in told else None
