"""What files for other programs need of host names: which of them such a file can hold, and comments on the others."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Final

from netprobe.locate.fitness import Fitness, fitness_of
from netprobe.model.report import Report
from netprobe.reporters._wording import fold, short_name, visible

LONGEST_HOST: Final = 253
"""What DNS allows."""
EVERY_NODE: Final = "all"
"""Slurm takes this name for all nodes, in whatever case."""

_HOST: Final = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9_.-]*[A-Za-z0-9])?")


def is_host(name: str) -> bool:
    """Whether every program takes a name for one host: no list, no range, no option, no keyword."""
    return len(name) <= LONGEST_HOST and _HOST.fullmatch(name) is not None and name.lower() != EVERY_NODE


def healthy_hosts(report: Report) -> tuple[str, ...]:
    """Return the healthy hosts that a file can hold."""
    return tuple(host for host in fitness_of(report).healthy if is_host(host))


def hostfile(report: Report, line: str) -> str:
    """Return a hostfile; ``line`` is what stands for a host, of its name and its ``slots``, the ranks of this run."""
    slots = Counter(report.rank_hosts)
    hosts = healthy_hosts(report)
    lines = (line.format(host=host, slots=slots[host]) if slots[host] else host for host in hosts)
    return "".join(f"{each}\n" for each in (*_head(report, hosts), *lines))


def _head(report: Report, hosts: tuple[str, ...]) -> Iterator[str]:
    fitness = fitness_of(report)
    yield f"# healthy hosts of netprobe run {short_name(report.run_id)}, {visible(report.started)}: {report.verdict}"
    yield from (f"# {line}" for line in others(fitness))
    unnamed = tuple(host for host in fitness.healthy if not is_host(host))
    if unnamed:
        yield f"# left out, since no hostfile can hold the name: {listed(unnamed)}"
    if not hosts:
        yield "# no host is healthy"


def others(fitness: Fitness) -> Iterator[str]:
    """Yield a line on each kind of hosts that are neither healthy nor blocked."""
    told = (
        ("usable, with findings", fitness.with_findings),
        ("victims of others' faults", fitness.victims),
        ("to be left out, though nothing blocks", fitness.degraded),
        ("not tested, or without a verdict: neither healthy nor to blame", fitness.untold),
    )
    return (f"{what}: {listed(hosts)}" for what, hosts in told if hosts)


def listed(hosts: Iterable[str]) -> str:
    """Return hosts on one line, folded, and without anything that could end it."""
    return visible(fold(hosts))
