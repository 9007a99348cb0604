"""What the hypervisor took away from the whole host, and what it did beside its processes: /proc/stat.

https://docs.kernel.org/filesystems/proc.html (Miscellaneous kernel statistics)
"""

import os
from collections.abc import Mapping
from typing import Final

from netprobe.contracts import Source, System
from netprobe.system.files import count_of, text_of
from netprobe.units import NS_PER_S

FIELDS: Final = ("user", "nice", "system", "idle", "iowait", "irq", "softirq", "steal")
TOTALS: Final = {"intr": "interrupts", "softirq": "softirqs", "ctxt": "context_switches"}
BUSY: Final = ("user", "nice", "system", "irq", "softirq")


def read(system: System) -> Mapping[str, int]:
    """Return the stolen and the busy time of all CPUs together."""
    return parse(text_of(system.root / "proc/stat"), NS_PER_S // os.sysconf("SC_CLK_TCK"))


def parse(text: str, tick_ns: int) -> dict[str, int]:
    """Return times from the line of all CPUs; nothing when it has no steal (Linux before 2.6.11)."""
    words = text.partition("\n")[0].split()
    counts = [count_of(word) for word in words[1 : len(FIELDS) + 1]]
    known = {field: count for field, count in zip(FIELDS, counts, strict=False) if count is not None}
    if words[:1] != ["cpu"] or len(known) < len(FIELDS):
        return {}
    return {
        "cpu/steal_ns": known["steal"] * tick_ns,
        "cpu/busy_ns": sum(known[field] for field in BUSY) * tick_ns,
        "cpu/interrupt_ns": (known["irq"] + known["softirq"]) * tick_ns,
        **_totals(text),
    }


def _totals(text: str) -> dict[str, int]:
    """Return how often the whole host was interrupted and switched; lines begin with a name and a total."""
    lines = (line.split(maxsplit=2) for line in text.splitlines())
    first = {words[0]: count_of(words[1]) for words in lines if len(words) > 1 and words[0] in TOTALS}
    return {f"cpu/{TOTALS[name]}": count for name, count in first.items() if count is not None}


SOURCE = Source(
    id="processor",
    title="CPU time that the hypervisor took, interrupts and switches of the host",
    is_per_host=True,
    read=read,
)
