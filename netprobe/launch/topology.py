"""Which leaf switch each host is on, as Slurm's topology.conf says it: a leaf is a switch with nodes.

Does not handle: topology.yaml, blocks, and how switches are joined; all that is asked is which hosts share a leaf.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from netprobe.errors import PlanError
from netprobe.launch.hosts import expanded, folded, text_of
from netprobe.plan.task import Leaf

_LOOKS_LIKE: Final = "lines such as 'SwitchName=leaf1 Nodes=node[01-16]', as in Slurm's topology.conf"
_SETTING: Final = re.compile(r"""([A-Za-z0-9_.]+)\s*=\s*(?:"([^"]*)"|([^\s"]+))(?:\s+|$)""")


def read_topology(path: Path) -> tuple[Leaf, ...]:
    """Return the leaves of a file; raise PlanError when it cannot be read or holds a typo."""
    return parse_topology(text_of("--topology", path, _LOOKS_LIKE), str(path))


def parse_topology(text: str, name: str) -> tuple[Leaf, ...]:
    """Return the leaves of a file's text, in order; ``name`` is the file's, for PlanError."""
    leaf_of: dict[str, str] = {}
    for number, line in _lines(text):
        where = f"--topology {name}, line {number}"
        settings = _settings(line, where)
        switch, nodes = settings.get("switchname"), settings.get("nodes")
        if switch is None and (nodes is not None or "switches" in settings):
            raise PlanError(f"{where}: it names no switch", remedy=_LOOKS_LIKE)
        if switch is None or nodes is None:
            continue
        for host in expanded(nodes, f"{where}: {nodes!r}"):
            if leaf_of.setdefault(host, switch) != switch:
                raise PlanError(
                    f"{where}: {host} is on {switch}, and before that it was on {leaf_of[host]}",
                    remedy="one leaf for each host",
                )
    if not leaf_of:
        raise PlanError(f"--topology {name} names no switch with nodes", remedy=_LOOKS_LIKE)
    hosts_on: dict[str, list[str]] = {}
    for host, switch in leaf_of.items():
        hosts_on.setdefault(switch, []).append(host)
    return tuple(Leaf(switch=switch, hosts=folded(hosts)) for switch, hosts in hosts_on.items())


def _lines(text: str) -> Iterator[tuple[int, str]]:
    """Yield lines without comments, those that end in a backslash joined with the next, by number of the first."""
    begun: list[str] = []
    first = 1
    for number, line in enumerate(text.splitlines(), start=1):
        first = first if begun else number
        bare = line.partition("#")[0].rstrip()
        begun.append(bare.removesuffix("\\"))
        if not bare.endswith("\\"):
            yield first, " ".join(begun).strip()
            begun = []
    if begun:
        yield first, " ".join(begun).strip()


def _settings(line: str, where: str) -> dict[str, str]:
    """Return the values of a line by their keys, which are the same in any case."""
    settings: dict[str, str] = {}
    end = 0
    while end < len(line):
        match = _SETTING.match(line, end)
        key = match[1].lower() if match else ""
        if match is None or key in settings:
            word = line[end:].split()[0]
            raise PlanError(f"{where}: {word!r} is not understood", remedy=_LOOKS_LIKE)
        settings[key] = match[2] if match[2] is not None else match[3]
        end = match.end()
    return settings
