"""What it means that a verb failed: by the status of its completion, what the system said, and the NIC's own code.

A completion with an error tells its status, the vendor's code and the queue pair; opcode and length in it are junk. The
first one that was not flushed is the cause. When a status comes matters as much as which: at the first message the two
never reached each other, later they once did.
"""

from dataclasses import dataclass
from typing import Final

from netprobe.model.rdma import Breakdown, FailurePhase


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What a failure means, what usually makes it, and what to look at."""

    meaning: str
    causes: str
    check: str


RETRIES: Final = {
    FailurePhase.FIRST_MESSAGE: Reading(
        meaning="no acknowledgement ever came",
        causes="a filter or ACL (UDP 4791), a VLAN that is not the same, a path that works one way only, or addresses "
        "(GIDs) of which one end cannot reach the other's",
        check="ping between the two interfaces with their own source (ping -I), then ip neigh, show_gids at both ends, "
        "and filters on the way for UDP port 4791",
    ),
    FailurePhase.LATER: Reading(
        meaning="acknowledgements stopped coming",
        causes="packets that are lost, a link that went down, a peer that died, or traffic that stands still (PFC)",
        check="errors, discards and pauses of both NICs and of the ports between them, and the kernel's log for links "
        "that went down",
    ),
}  # fmt: skip
"""RETRY_EXC_ERR: the one status that means different things at different times."""

STATUSES: Final = {
    "LOC_LEN_ERR": Reading(
        meaning="a message was longer than the buffer that was posted for it",
        causes="ends that do not agree on sizes, or a message above the largest that the port allows",
        check="that both ends run the same version of netprobe with the same plan",
    ),
    "LOC_QP_OP_ERR": Reading(
        meaning="the NIC refused a request before sending anything",
        causes="a request that the device or this kind of queue pair does not support",
        check="firmware and driver of the NIC, and whether the operation is among what ibv_devinfo -v lists",
    ),
    "LOC_PROT_ERR": Reading(
        meaning="the NIC may not reach the memory that it was told to send from or receive into",
        causes="memory that is no longer registered, a mapping of a GPU's memory that fails, or PCIe access control "
        "(ACS) in the way",
        check="the kernel's log for the IOMMU and the driver; without GPU memory it should work",
    ),
    "LOC_ACCESS_ERR": Reading(
        meaning="local memory was registered without the right to do this",
        causes="a registration without local writing",
        check="the versions of rdma-core and of the driver",
    ),
    "WR_FLUSH_ERR": Reading(
        meaning="the queue pair was in error already: a consequence, and not the cause",
        causes="what failed before, at this end or the other",
        check="the log of the other end: its first completion with another status is the cause",
    ),
    "BAD_RESP_ERR": Reading(
        meaning="an answer came that does not fit the request",
        causes="a damaged packet with a right checksum, or a fault of firmware",
        check="firmware of both NICs; it should be the same",
    ),
    "REM_INV_REQ_ERR": Reading(
        meaning="the other end calls the request invalid",
        causes="an operation that its queue pair does not allow, or more reads at once than it answers",
        check="what ibv_devinfo -v says of both devices (max_qp_rd_atom), and their firmware",
    ),
    "REM_ACCESS_ERR": Reading(
        meaning="the other end does not let this key reach that memory",
        causes="memory that was freed or registered anew, or the wrong key",
        check="whether the process at the other end still ran; then versions of driver and firmware",
    ),
    "REM_OP_ERR": Reading(
        meaning="the other end could not do it",
        causes="a fault of its memory, of its PCIe or of its NIC",
        check="the kernel's log of the other end",
    ),
    "RNR_RETRY_EXC_ERR": Reading(
        meaning="the other end never had a buffer ready",
        causes="a receiver that stands still: its process is stopped, or its CPU is taken",
        check="what the receiver's CPU does, and rnr_nak_retry_err of the sender's NIC",
    ),
    "REM_ABORT_ERR": Reading(
        meaning="the other end gave up",
        causes="a reset of its queue pair or of its NIC",
        check="the kernel's log of the other end",
    ),
    "FATAL_ERR": Reading(
        meaning="the NIC reports a fault of its own",
        causes="firmware that crashed, or a device that fell off the bus",
        check="the kernel's log (dmesg) for resets of the device and errors of PCIe",
    ),
    "RESP_TIMEOUT_ERR": Reading(
        meaning="no answer came",
        causes="what makes acknowledgements stay away: path, address, filter",
        check="ping between the two interfaces, and the tables of addresses at both ends",
    ),
    "GENERAL_ERR": Reading(
        meaning="the NIC names no reason",
        causes="mostly firmware",
        check="the kernel's log, and the vendor's code in the facts",
    ),
}  # fmt: skip

OUT_OF_MEMORY: Final = Reading(
    meaning="memory could not be locked or queues could not be made",
    causes="a limit of locked memory (ulimit -l), of a container, or of the device",
    check="ulimit -l for the job, and netprobe doctor there",
)
CALLS: Final = {
    "Invalid argument": Reading(
        meaning="the kernel or the NIC refuses the other end's address",
        causes="an address (GID) of another kind or of a VLAN that is gone, a wrong index, or an MTU above the port's",
        check="show_gids at both ends: the same version and family; and the MTU of both interfaces",
    ),
    "Network is unreachable": Reading(
        meaning="there is no route to the other end's address",
        causes="addresses in different subnets without a router, or a route that is missing",
        check="ip route get ADDRESS oif INTERFACE at both ends",
    ),
    "No route to host": Reading(
        meaning="nobody answers for the other end's address (ARP)",
        causes="another VLAN, a link that is down, or an address that nobody has",
        check="ip neigh at both ends, and ping -I between the two interfaces",
    ),
    "Connection timed out": Reading(
        meaning="nobody answered for the other end's address in time (ARP)",
        causes="another VLAN, a filter, a link that is down, or an address that nobody has",
        check="ip neigh at both ends, and ping -I between the two interfaces",
    ),
    "Cannot allocate memory": OUT_OF_MEMORY,
    "Operation not permitted": Reading(
        meaning="the system does not let this user do it",
        causes="rights on /dev/infiniband, a container without the device, or a limit of locked memory",
        check="the rights of /dev/infiniband/uverbs*, and ulimit -l",
    ),
    "No such device": Reading(
        meaning="the device is gone",
        causes="a reset of the NIC, or its driver was unloaded",
        check="the kernel's log (dmesg) for resets of the device",
    ),
}  # fmt: skip
"""By what the system said of a call that failed."""

SILENCE: Final = Reading(
    meaning="nothing was completed, with or without an error",
    causes="a NIC that stands still (PFC), or a peer that does not run",
    check="pauses of both NICs, and whether the process at the other end runs",
)
UNKNOWN: Final = Reading(
    meaning="a failure that netprobe does not know",
    causes="unknown",
    check="the kernel's log at both ends",
)

VENDOR_CODES: Final = {
    ("mlx5_core", 0x51): "key or mapping of memory",
    ("mlx5_core", 0x81): "no acknowledgement",
    ("efa", 9): "no such queue pair at the other end",
    ("efa", 10): "no buffer at the receiver",
    ("efa", 13): "the other end does not respond",
    ("efa", 15): "the other end cannot be reached",
}
"""By driver and code: what the NIC adds to the status."""


def reading_of(cause: Breakdown) -> Reading:
    """Return what a failure means, given how far the two had come."""
    if cause.status == "RETRY_EXC_ERR":
        return RETRIES[FailurePhase.LATER if cause.phase is FailurePhase.LATER else FailurePhase.FIRST_MESSAGE]
    if cause.status is not None:
        return STATUSES.get(cause.status, UNKNOWN)
    if cause.error is not None:
        return CALLS.get(cause.error, UNKNOWN)
    return SILENCE if cause.waited_ns else UNKNOWN


def vendor_words(driver: str | None, code: int | None) -> str:
    """Return ``vendor error 0x81 (no acknowledgement)``; empty where there is none."""
    if not code:
        return ""
    words = VENDOR_CODES.get((driver or "", code))
    return f"vendor error {code:#x}" + (f" ({words})" if words else "")
