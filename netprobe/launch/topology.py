"""Which leaf switch each host is on, from a file: its own format, Slurm's topology.conf, cables, or an inventory.

A file is told by its name's end (.toml, .json, .csv), and where that says nothing, by how it begins. Does not handle:
Slurm's topology.yaml and blocks.
"""

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from netprobe.errors import PlanError
from netprobe.launch.hosts import expanded, text_of
from netprobe.launch.topology_cables import parse_cables, parse_inventory
from netprobe.launch.topology_slurm import LOOKS_LIKE, parse_slurm
from netprobe.launch.topology_tables import parse_json, parse_toml
from netprobe.model.topology import Leaf

PARSERS: Final = {"toml": parse_toml, "json": parse_json, "csv": parse_cables, "inventory": parse_inventory}
_TOML: Final = re.compile(r"^\s*\[\[\s*leaf\s*\]\]", re.MULTILINE)
_CABLE: Final = re.compile(r"^[^=,\s#][^=,]*(,[^=,]+){3}\s*$", re.MULTILINE)
_INVENTORY: Final = re.compile(r'"net_devices"\s*:')


def read_topology(path: Path) -> tuple[Leaf, ...]:
    """Return the leaves of a file; raise PlanError when it cannot be read or holds a typo."""
    return parse_topology(text_of("--topology", path, LOOKS_LIKE), str(path))


def parse_topology(text: str, name: str) -> tuple[Leaf, ...]:
    """Return the leaves of a file's text, in order; ``name`` is the file's, for its kind and for PlanError."""
    where = f"--topology {name}"
    leaves = PARSERS.get(_kind(text, name), parse_slurm)(text, where)
    refuse_twice(leaves, where)
    return leaves


def refuse_twice(leaves: Iterable[Leaf], where: str) -> None:
    """Raise PlanError for a host with two leaves: of one rail, or of one rail and of all."""
    switches: dict[str, dict[int | None, str]] = {}
    for leaf in leaves:
        for host in expanded(leaf.hosts, f"{where}: {leaf.hosts!r}"):
            known = switches.setdefault(host, {})
            if leaf.rail in known:
                rail = "" if leaf.rail is None else f" with rail {leaf.rail}"
                raise PlanError(
                    f"{where}: {host} is on {leaf.switch}{rail}, and before that it was on {known[leaf.rail]}",
                    remedy="one leaf for each host, or for each rail of it",
                )
            if known and None in {leaf.rail, *known}:
                raise PlanError(
                    f"{where}: {host} is on {leaf.switch} and on {next(iter(known.values()))}, with a rail on one of "
                    "them and with all of its NICs on the other",
                    remedy="a rail for each of its leaves",
                )
            known[leaf.rail] = leaf.switch


def _kind(text: str, name: str) -> str:
    """Return which parser a file is for; ``slurm`` where nothing tells otherwise."""
    end = Path(name).suffix.removeprefix(".").lower()
    if end == "json" or (end not in PARSERS and text.lstrip().startswith("{")):
        return "inventory" if _INVENTORY.search(text) else "json"
    if end in PARSERS:
        return end
    if _TOML.search(text):
        return "toml"
    return "csv" if _CABLE.search(text) else "slurm"
