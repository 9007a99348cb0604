"""Phrases that several detectors share, so that the same thing reads the same everywhere."""

import shlex
from collections.abc import Iterable, Sequence
from itertools import product
from typing import Final

import numpy as np

from netprobe.locate.paths import is_latency
from netprobe.locate.placement import Placement
from netprobe.model.evidence import Evidence, PairTable, Sweep
from netprobe.model.finding import Gap
from netprobe.model.plan import Memory, Path, Scope, memory_title
from netprobe.units import format_duration, format_gbps, format_size, gbps

MOST_FACTS: Final = 8  # what a ticket can hold; the run directory has all of them
_GPUS_PART: Final = tuple(memory_title(*ends) for ends in product(Memory, repeat=2) if Memory.DEVICE in ends)
"""How titles tell that GPUs had a part in what was measured."""
MOST_NAMES: Final = 4  # of ranks or partners in one sentence
COMMON_RATIO: Final = 0.1  # what every tenth one shows is how the fabric is built or loaded, not one part's fault
COMMON_COUNT: Final = 2


def percent(ratio: float) -> str:
    """Return ``38 %``; a decimal below ten, where it matters."""
    value = 100 * ratio
    return f"{value:.0f} %" if abs(value) >= 10 else f"{value:.1f} %"


def times(ratio: float) -> str:
    """Return ``4.2 times``."""
    return f"{ratio:.1f} times" if ratio < 100 else f"{ratio:.0f} times"


def size_title(size_bytes: int) -> str:
    """Return ``8M`` or ``8 B``: a bare 8 would not be seen to be a size."""
    text = format_size(size_bytes)
    return f"{text} B" if text.isdigit() else text


def table_title(table: PairTable) -> str:
    """Return ``bandwidth 8M`` or ``RDMA bandwidth 8M``, with scope and memory where they are not the usual ones."""
    scope = "" if table.scope is Scope.BETWEEN_HOSTS else " within the host"
    memory = "" if table.is_of_host else f", {memory_title(table.send_memory, table.receive_memory)}"
    return f"{probe_title(table.probe, table.path)} {size_title(table.size_bytes)}{scope}{memory}"


def tells_of_gpu(title: str) -> bool:
    """Return whether a title is of something measured in memory of a GPU, at one end at least."""
    return any(part in title for part in _GPUS_PART)


def probe_title(probe: str, path: Path) -> str:
    """Return ``bandwidth``, or ``RDMA bandwidth`` where verbs moved the data, ``NCCL bandwidth`` where NCCL did."""
    return f"{path.prefix}{probe}"


def rate(table: PairTable, sample_ns: float) -> str:
    """Return a sample as readers think of it: half of a round trip, or Gb/s."""
    if is_latency(table):
        return format_duration(sample_ns / 2)
    if table.bytes_per_iteration == 0:
        return format_duration(sample_ns)
    return format_gbps(gbps(table.bytes_per_iteration, max(sample_ns, 1.0)))


def rate_at(table: PairTable, log_speed: float) -> str:
    """Return the rate at a log speed (stats.rates)."""
    return rate(table, float(np.exp(-log_speed)))


def listed(names: Iterable[str], most: int = MOST_NAMES) -> str:
    """Return ``a, b, c`` or ``a, b, c, d and 5 more``."""
    names = list(names)
    rest = len(names) - most
    return ", ".join(names) if rest <= 0 else f"{', '.join(names[:most])} and {rest} more"


def on_hosts(command: str, hosts: Iterable[str]) -> str:
    """Return a command for these hosts, to be pasted into a shell."""
    return f"{command} --hosts {shlex.quote(','.join(hosts))}"


def is_common(count: int, total: int) -> bool:
    """Return whether so many of all have a trait that it belongs to the topology or the load, and to nobody."""
    return count > max(COMMON_COUNT, COMMON_RATIO * total)


def largest_sizes(pairs: Iterable[PairTable]) -> dict[Sweep, int]:
    """Return the largest size of each sweep, where bandwidth and not the CPU sets the pace."""
    sizes: dict[Sweep, int] = {}
    for table in pairs:
        sizes[table.sweep] = max(sizes.get(table.sweep, 0), table.size_bytes)
    return sizes


def typical_gbps(table: PairTable) -> float:
    """Return what half of the rows of a table exceed."""
    return gbps(table.bytes_per_iteration, max(float(np.median(table.p50_ns)), 1.0))


def between_hosts(evidence: Evidence) -> tuple[PairTable, ...]:
    """Return the tables of pairs that crossed the fabric."""
    return tuple(table for table in evidence.pairs if table.scope is Scope.BETWEEN_HOSTS and len(table.src))


def no_peers(detector: str, evidence: Evidence, placement: Placement) -> Gap | None:
    """Return why hosts cannot be compared with each other in this run; None when they can."""
    if not evidence.ranks or not (evidence.pairs or evidence.has_collectives):
        return Gap(topic=detector, reason="nothing was measured", remedy="netprobe check")
    if len(placement.hosts) == 1:
        return Gap(
            topic=detector,
            reason="all ranks ran on one host, so no fabric was crossed and there are no peers",
            remedy="netprobe check --hosts with three hosts or more",
        )
    if not between_hosts(evidence):
        return Gap(
            topic=detector,
            reason="no pair of hosts was measured one to one",
            remedy="netprobe check, or netprobe run bandwidth",
        )
    if len(placement.hosts) == 2:
        return Gap(
            topic=detector,
            reason="two hosts cannot outvote each other: a slow pair blames neither end",
            remedy="add a third host that is known to be good",
        )
    return None


def retest(table: PairTable, hosts: Sequence[str], placement: Placement) -> str:
    """Return the command that measures these hosts again, every pair of them, at this table's size."""
    ranks = max(len(placement.ranks_on(host)) for host in hosts)
    size = format_size(table.size_bytes)
    sizes = ["-b", size, "-e", size, "--all-pairs"]
    carrier = [] if table.path is Path.MPI else ["--transport", table.path.value]
    memory = table.send_memory if table.send_memory.needs_gpu else table.receive_memory
    where = ["--memory", memory.value] if memory.needs_gpu and table.path is not Path.NCCL else []
    command = ["netprobe", "run", table.probe, *carrier, *where]
    if len(placement.hosts) == 1:
        return shlex.join([*command, *sizes, "--ranks", str(ranks)])
    command += ["--hosts", ",".join(hosts), *sizes]
    return shlex.join(command + (["--ranks-per-host", str(ranks)] if ranks > 1 else []))
