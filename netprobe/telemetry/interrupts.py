"""Interrupts of the CPUs that a rank may use, by kind: /proc/interrupts.

Read around the probe of host noise alone: the file has a column for each CPU and a line for each queue of each NIC.
https://docs.kernel.org/filesystems/proc.html (1.2 Kernel data)
"""

from collections.abc import Mapping
from typing import Final

from netprobe.contracts import Source, System
from netprobe.model.plan import HOST_NOISE
from netprobe.system.files import count_of, text_of

KINDS: Final = {
    "LOC": "timer",
    "RES": "rescheduling",
    "CAL": "function_calls",
    "TLB": "function_calls",
    "NMI": "nmi",
    "MCE": "machine_checks",
    "THR": "machine_checks",
}
"""The kernel's own; lines that begin with a number are of devices."""
DEVICES: Final = "devices"
ALLOWED: Final = "Cpus_allowed_list:"
MOST_CPUS: Final = 1 << 14


def read(system: System) -> Mapping[str, int]:
    """Return the interrupts of this thread's CPUs."""
    allowed = parse_allowed(text_of(system.root / "proc/thread-self/status"))
    return parse(text_of(system.root / "proc/interrupts"), allowed) if allowed else {}


def parse_allowed(text: str) -> frozenset[int]:
    """Return the CPUs that a thread may use, by its status (``0-3,8``); none where it does not say."""
    _, _, rest = text.partition(ALLOWED)
    cpus: set[int] = set()
    for part in rest.partition("\n")[0].strip().split(","):
        first, _, last = part.partition("-")
        ends = count_of(first), count_of(last or first)
        if ends[0] is None or ends[1] is None or ends[1] >= MOST_CPUS:
            return frozenset()
        cpus.update(range(ends[0], ends[1] + 1))
    return frozenset(cpus)


def parse(text: str, cpus: frozenset[int]) -> dict[str, int]:
    """Return the interrupts of these CPUs, by kind."""
    header, _, rest = text.partition("\n")
    numbers = [count_of(word.removeprefix("CPU")) for word in header.split()]
    columns = [place for place, cpu in enumerate(numbers) if cpu in cpus]
    counts: dict[str, int] = {}
    for line in rest.splitlines():
        name, colon, fields = line.partition(":")
        kind = DEVICES if name.strip().isdigit() else KINDS.get(name.strip())
        words = fields.split(maxsplit=len(numbers))[: len(numbers)]
        told = [count_of(words[column]) for column in columns if column < len(words)]
        known = [count for count in told if count is not None]
        if colon and kind is not None and known:
            counts[f"interrupts/{kind}"] = counts.get(f"interrupts/{kind}", 0) + sum(known)
    return counts


SOURCE = Source(
    id="interrupts",
    title="interrupts of the CPUs that a rank may use",
    is_per_host=False,
    read=read,
    probes=frozenset({HOST_NOISE}),
)
