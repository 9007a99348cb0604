"""Counters of known trouble that no other detector owns: what growth means, how bad it is, and what to do about it.

How bad follows what the field says of each: what may never grow degrades, what a device cannot recover from blocks.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from netprobe.model.finding import Confidence, Severity
from netprobe.model.meaning import Meaning


@dataclass(frozen=True, slots=True, kw_only=True)
class Trouble:
    """What growth of one meaning under load says."""

    severity: Severity
    says: str
    """Of the port."""
    next_action: str
    """What to do; ``{port}`` and ``{host}`` are those that counted, ``{device}`` is the interface."""
    confidence: Confidence = Confidence.HIGH
    is_its_own: bool = False
    """Whether the host that counts it is the one to leave out."""
    from_first: bool = False
    """Whether one is enough: a job does not survive it, or a device is broken."""


TROUBLES: Final[Mapping[Meaning, Trouble]] = MappingProxyType(
    {
        Meaning.FATAL_ERROR: Trouble(
            severity=Severity.BLOCKS,
            says="the device ran into errors that it cannot recover from",
            next_action="read dmesg of {host} for what the driver says of {port}; reset or replace the NIC",
            is_its_own=True,
            from_first=True,
        ),
        Meaning.PCIE_OVERFLOW: Trouble(
            severity=Severity.DEGRADES,
            says="it drops packets since its PCIe link is slower than the wire",
            next_action="netprobe config: lanes and speed of the PCIe link of {port}, its read request size, the IOMMU",
            is_its_own=True,
        ),
        Meaning.MODULE_FAULT: Trouble(
            severity=Severity.DEGRADES,
            says="its optic or cable reports a fault",
            next_action="ethtool -m {device} on {host}; reseat, then replace the optic or cable",
            is_its_own=True,
            from_first=True,
        ),
        Meaning.MODULE_HOT: Trouble(
            severity=Severity.DEGRADES,
            says="its optic is too hot",
            next_action="ethtool -m {device} on {host}; look at fans, airflow and what sits beside the optic",
            is_its_own=True,
            from_first=True,
        ),
        Meaning.RETRIES_EXCEEDED: Trouble(
            severity=Severity.DEGRADES,
            says="queue pairs gave up on a peer that never acknowledged",
            next_action="look for a path, a GID, an MTU or a peer that does not answer {port}: netprobe check with "
            "fewer hosts, netprobe config",
            confidence=Confidence.MEDIUM,
            from_first=True,
        ),
        Meaning.RNR_RETRIES_EXCEEDED: Trouble(
            severity=Severity.DEGRADES,
            says="queue pairs gave up on a peer that posted no buffers",
            next_action="look for a peer of {host} whose process does not post buffers, and at the RNR retry count (7 "
            "is without end)",
            confidence=Confidence.MEDIUM,
            from_first=True,
        ),
        Meaning.ACCESS_ERROR: Trouble(
            severity=Severity.DEGRADES,
            says="requests were refused for their keys, lengths or protection: software at either end",
            next_action="look at the communication library and the GPU's mapping (GPUDirect, IOMMU) on {host} and on "
            "its peers",
            confidence=Confidence.MEDIUM,
            from_first=True,
        ),
        Meaning.LENGTH_ERROR: Trouble(
            severity=Severity.DEGRADES,
            says="frames arrive in sizes that it does not take: MTUs differ",
            next_action="compare the MTU of {device} on {host} with that of its switch port and of its peers",
            confidence=Confidence.MEDIUM,
        ),
        Meaning.COMPLETION_ERROR: Trouble(
            severity=Severity.WARNS,
            says="requests ended with an error, and not because their queue pair was taken down",
            next_action="the first error of the communication library on {host} has the status and the peer",
            confidence=Confidence.MEDIUM,
        ),
        Meaning.PCIE_ERROR: Trouble(
            severity=Severity.WARNS,
            says="its PCIe link has errors: slot, riser or seating",
            next_action="dmesg and the AER counters of {port} on {host}; reseat the NIC, then try another slot",
        ),
        Meaning.UNKNOWN_CONTROL_FRAME: Trouble(
            severity=Severity.WARNS,
            says="control frames arrive that it does not know, such as PFC where it does not do PFC",
            next_action="compare flow control of {device} on {host} with that of its switch port",
        ),
        Meaning.SEND_DISCARD: Trouble(
            severity=Severity.WARNS,
            says="packets are dropped on the way out: the link was down, or stood still for too long",
            next_action="ethtool -S {device} on {host}, and what its switch port asks it to wait for",
        ),
        Meaning.CONSTRAINT_ERROR: Trouble(
            severity=Severity.WARNS,
            says="packets are refused for their partition key or by a filter",
            next_action="compare the partition keys of {port} with those of its peers, at the subnet manager",
        ),
        Meaning.BUFFER_OVERRUN: Trouble(
            severity=Severity.WARNS,
            says="its receive buffer was overrun again and again: credits are set wrongly, or the signal is bad",
            next_action="read errors of both ends of the link of {port}; then its settings at the subnet manager",
        ),
    }
)
"""The worst first."""
