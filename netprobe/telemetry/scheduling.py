"""How much CPU a rank wanted and got: its thread's scheduling statistics, and throttling of its control groups.

The thread that reads is the one that measures, so /proc/thread-self and not /proc/self, which is a process' first one.
https://docs.kernel.org/scheduler/sched-stats.html, https://docs.kernel.org/admin-guide/cgroup-v2.html#cpu
"""

from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Final

from netprobe.contracts import Source, System
from netprobe.system.files import count_of, counts_by_key, text_of

NS_PER_US: Final = 1_000
THREAD: Final = "proc/thread-self"
GROUPS: Final = "sys/fs/cgroup"
MOST_LEVELS: Final = 8  # Kubernetes and Slurm nest four or five deep
SWITCHES: Final = {
    "voluntary_ctxt_switches": "voluntary_switches",
    "nonvoluntary_ctxt_switches": "involuntary_switches",
}
CONTROLLERS_V1: Final = ("cpu", "cpu,cpuacct", "cpuacct,cpu")


def read(system: System) -> Mapping[str, int]:
    """Return what the scheduler counted for this thread and for its groups."""
    return {
        **parse_schedstat(text_of(system.root / THREAD / "schedstat")),
        **parse_status(text_of(system.root / THREAD / "status")),
        **_throttling(system.root),
    }


def parse_schedstat(text: str) -> dict[str, int]:
    """Return the time on a CPU and the time spent waiting for one; the third field counts time slices."""
    names = ("process/run_ns", "process/run_delay_ns")
    counts = zip(names, (count_of(field) for field in text.split()), strict=False)
    return {name: count for name, count in counts if count is not None}


def parse_status(text: str) -> dict[str, int]:
    """Return how often the thread gave its CPU up, by itself and made to."""
    fields = (line.partition(":") for line in text.splitlines())
    told = {SWITCHES[name]: count_of(rest.strip()) for name, _, rest in fields if name in SWITCHES}
    return {f"process/{name}": count for name, count in told.items() if count is not None}


def parse_groups(text: str) -> Iterator[tuple[PurePosixPath, PurePosixPath]]:
    """Yield where the CPU controller may be mounted (below /sys/fs/cgroup), and the group of this process in it."""
    for line in text.splitlines():
        number, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        group = PurePosixPath(path.lstrip("/"))
        if ".." in group.parts:  # outside of this control group namespace: not visible from here
            group = PurePosixPath()
        if number == "0" and not controllers:
            yield PurePosixPath(), group
            yield PurePosixPath("unified"), group
        elif "cpu" in controllers.split(","):
            yield from ((PurePosixPath(mount), group) for mount in CONTROLLERS_V1)


def parse_throttling(text: str) -> dict[str, int]:
    """Return the throttled time and count of one cpu.stat: ns in version 1, µs in version 2."""
    counts = counts_by_key(text)
    throttled_ns = counts.get("throttled_time")
    if throttled_ns is None and "throttled_usec" in counts:
        throttled_ns = counts["throttled_usec"] * NS_PER_US
    known = {"cgroup/throttled_ns": throttled_ns, "cgroup/nr_throttled": counts.get("nr_throttled")}
    return {name: count for name, count in known.items() if count is not None}


def _throttling(root: Path) -> dict[str, int]:
    """Return the sum over the group and those around it: a limit anywhere above stops the rank as well."""
    total: dict[str, int] = {}
    for mount, group in parse_groups(text_of(root / "proc/self/cgroup")):
        for level in (group, *group.parents)[:MOST_LEVELS]:
            # In a container the path may be the outer system's: then only the top of the mount is there.
            for name, count in parse_throttling(text_of(root / GROUPS / mount / level / "cpu.stat")).items():
                total[name] = total.get(name, 0) + count
        if total:
            break
    return total


SOURCE = Source(id="scheduling", title="CPU time that a rank got and waited for", is_per_host=False, read=read)
