"""Bytes, drops and errors of network interfaces: /proc/net/dev, and how often the link went up or down.

Does not handle: what RDMA moves; it passes by these counters on most NICs.
"""

from collections.abc import Mapping
from typing import Final

from netprobe.contracts import Source, System
from netprobe.system.files import count_of, text_of

FIELDS: Final = (
    "rx_bytes", "rx_packets", "rx_errors", "rx_dropped", "rx_fifo", "rx_frame", None, None,
    "tx_bytes", "tx_packets", "tx_errors", "tx_dropped", "tx_fifo", None, "tx_carrier", None,
)  # fmt: skip
"""The columns of /proc/net/dev, names as in ethtool; None: compressed, multicast and collisions tell nothing here."""
MOST_INTERFACES: Final = 8  # container hosts have hundreds of virtual ones, and every round stores all counters
LONGEST_NAME: Final = 15  # the kernel's IFNAMSIZ without its zero byte


def read(system: System) -> Mapping[str, int]:
    """Return the counters of the busiest interfaces; those that never carried a packet, and loopback, are out."""
    told = parse(text_of(system.root / "proc/net/dev"))
    known = {name: counts for name, counts in told.items() if name not in system.excluded}
    used = [name for name, counts in known.items() if counts["rx_packets"] + counts["tx_packets"]]
    busiest = sorted(used, key=lambda name: -(known[name]["rx_bytes"] + known[name]["tx_bytes"]))[:MOST_INTERFACES]
    counters = {f"{name}/{field}": count for name in busiest for field, count in known[name].items()}
    for name in busiest:
        changes = count_of(text_of(system.root / "sys/class/net" / name / "carrier_changes").strip())
        if changes is not None:
            counters[f"{name}/carrier_changes"] = changes
    return counters


def parse(text: str) -> dict[str, dict[str, int]]:
    """Return the counts of each interface but loopback by field; lines that are not as they should be are left out."""
    lines = (line.rpartition(":") for line in text.splitlines())
    parsed = {name.strip(): _counts(rest.split()) for name, colon, rest in lines if colon}
    return {name: counts for name, counts in parsed.items() if counts and _is_name(name)}


def _is_name(name: str) -> bool:
    return name not in ("", "lo", ".", "..") and len(name) <= LONGEST_NAME and name.isprintable() and "/" not in name


def _counts(values: list[str]) -> dict[str, int]:
    """Return the counts of one line by field; nothing when it is torn."""
    counts = [count_of(value) for value in values[: len(FIELDS)]]
    known = {field: count for field, count in zip(FIELDS, counts, strict=False) if field and count is not None}
    return known if len(known) == sum(field is not None for field in FIELDS) else {}


SOURCE = Source(id="interfaces", title="traffic, drops and errors of interfaces", is_per_host=True, read=read)
