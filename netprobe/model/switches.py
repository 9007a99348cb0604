"""What switches counted, at the ports where hosts are attached."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class SwitchPortCounts:
    """Counters of a switch port in one priority; or their growth between two snapshots. None: not told.

    "Received" is what came from the attached NIC or the next switch: the mirror image of what a host counts.
    """

    switch: str
    port: str
    priority: int | None
    """None for what is counted for the whole port."""
    rx_pfc: int | None = None
    """Pause frames received: whatever is attached asks this switch to stop. For a whole port: global pause."""
    tx_pfc: int | None = None
    """Pause frames sent: this switch asks whatever is attached to stop."""
    rx_pause_ns: int | None = None
    """How long sending stood still."""
    ecn_marked: int | None = None
    """Packets."""
    drops: int | None = None
    """Packets."""
    wred_drops: int | None = None
    """Packets dropped early, before the queue was full."""
    rx_damaged: int | None = None
    """Frames received whose checksum was wrong (CRC, FCS)."""
    rx_errors: int | None = None
    """Frames received with an error of any kind; those whose checksum was wrong are among them."""
    tx_errors: int | None = None
    """Frames that could not be sent."""
    fec_uncorrectable: int | None = None
    """Frames or blocks."""
    pfc_watchdog_storms: int | None = None
    """How often the watchdog took a queue for stuck."""
