"""Leaves from Slurm's topology.conf: a leaf is a switch with nodes, and its spines are the switches right above it.

https://slurm.schedmd.com/topology.conf.html
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from netprobe.errors import PlanError
from netprobe.launch.hosts import expanded, folded
from netprobe.model.topology import Leaf

LOOKS_LIKE: Final = "lines such as 'SwitchName=leaf1 Nodes=node[01-16]', as in Slurm's topology.conf"
_SETTING: Final = re.compile(r"""([A-Za-z0-9_.]+)\s*=\s*(?:"([^"]*)"|([^\s"]+))(?:\s+|$)""")


@dataclass(slots=True, kw_only=True)
class _Told:
    """What the lines said so far."""

    leaf_of: dict[str, str] = field(default_factory=dict)
    below: dict[str, dict[str, str]] = field(default_factory=dict)
    """Of each switch that has any: the switches right below it, with the line that says so."""
    known: set[str] = field(default_factory=set)


def parse_slurm(text: str, name: str) -> tuple[Leaf, ...]:
    """Return the leaves of a file's text, in order; PlanError, which begins with ``name``, names the line."""
    told = _Told()
    for number, line in _lines(text):
        where = f"{name}, line {number}"
        settings = _settings(line, where)
        switch = settings.get("switchname")
        if switch is not None:
            told.known.add(switch)
            _note(told, switch, settings, where)
        elif "nodes" in settings or "switches" in settings:
            raise PlanError(f"{where}: it names no switch", remedy=LOOKS_LIKE)
    if not told.leaf_of:
        raise PlanError(f"{name} names no switch with nodes", remedy=LOOKS_LIKE)
    _refuse_circles(told.below)
    _refuse_unknown(told)
    return _leaves(told)


def _note(told: _Told, switch: str, settings: Mapping[str, str], where: str) -> None:
    nodes, switches = settings.get("nodes"), settings.get("switches")
    for host in () if nodes is None else expanded(nodes, f"{where}: {nodes!r}"):
        if told.leaf_of.setdefault(host, switch) != switch:
            raise PlanError(
                f"{where}: {host} is on {switch}, and before that it was on {told.leaf_of[host]}",
                remedy="one leaf for each host",
            )
    for low in () if switches is None else expanded(switches, f"{where}: {switches!r}"):
        told.below.setdefault(switch, {})[low] = where


def _refuse_circles(below: Mapping[str, Mapping[str, str]]) -> None:
    """Raise PlanError where a switch is above itself; in rounds without recursion, for a chain may be long."""
    left = {switch: set(lower) & below.keys() for switch, lower in below.items()}
    while left:
        done = {switch for switch, lower in left.items() if not lower}
        if not done:
            switch = _on_circle(left)
            where = below[switch][min(left[switch])]
            raise PlanError(f"{where}: {switch} is above itself", remedy="switches in layers, each above the next")
        left = {switch: lower - done for switch, lower in left.items() if switch not in done}


def _on_circle(lower: Mapping[str, set[str]]) -> str:
    """Return a switch that is above itself; each of these has one of these below, so that every way down ends there."""
    seen: set[str] = set()
    switch = min(lower)
    while switch not in seen:
        seen.add(switch)
        switch = min(lower[switch])
    return switch


def _refuse_unknown(told: _Told) -> None:
    for lower in told.below.values():
        for switch, where in lower.items():
            if switch not in told.known:
                raise PlanError(f"{where}: {switch} is no switch of this file", remedy=f"SwitchName={switch} Nodes=…")


def _leaves(told: _Told) -> tuple[Leaf, ...]:
    hosts_on: dict[str, list[str]] = {}
    for host, switch in told.leaf_of.items():
        hosts_on.setdefault(switch, []).append(host)
    above: dict[str, list[str]] = {}
    for spine, lower in told.below.items():
        for switch in lower:
            above.setdefault(switch, []).append(spine)
    return tuple(
        Leaf(switch=switch, hosts=folded(hosts), spines=tuple(above.get(switch, ())))
        for switch, hosts in hosts_on.items()
    )


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
            raise PlanError(f"{where}: {word!r} is not understood", remedy=LOOKS_LIKE)
        settings[key] = match[2] if match[2] is not None else match[3]
        end = match.end()
    return settings
