"""Which hosts are meant: NodeSet text as operators write it, and the hostfiles of both MPI families.

Does not ask whether the hosts exist (reach does).
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from netprobe.errors import PlanError

MOST_HOSTS: Final = 65_536  # larger than any machine; a slip such as [1-100000000] would fill the memory

# No leading dash: a host name must never be read as an option by ssh. No "@": group sources run shell commands.
_HOST_NAME: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")
_NODE_SET: Final = re.compile(r"[A-Za-z0-9_.,\[\]/!^& -]+")
_RANGE: Final = re.compile(r"(\d+)-(\d+)")
_LINE_LOOKS_LIKE: Final = "a line such as 'node01 slots=4' (Open MPI), 'node01:4' (MPICH) or 'node01'"
_SLOT_KEYS: Final = ("slots", "max_slots", "max-slots")


@dataclass(frozen=True, slots=True, kw_only=True)
class HostSlots:
    """A host, and how many ranks may run there; None when nothing was said."""

    host: str
    slots: int | None = None


def parse_hosts(text: str) -> tuple[HostSlots, ...]:
    """Return the hosts of NodeSet text such as ``node[01-64]`` or ``a,b``; raise PlanError when it is none."""
    hosts = tuple(HostSlots(host=host) for host in expanded(text, f"--hosts {text!r}"))
    if not hosts:
        raise PlanError(f"--hosts {text!r} names no host", remedy="--hosts node[01-64]")
    return hosts


def read_hostfile(path: Path) -> tuple[HostSlots, ...]:
    """Return the hosts of a hostfile; raise PlanError when it cannot be read or holds a typo."""
    return parse_hostfile(text_of("--hostfile", path, _LINE_LOOKS_LIKE), str(path))


def parse_hostfile(text: str, name: str) -> tuple[HostSlots, ...]:
    """Return the hosts of a hostfile's text, in order; lines that name a host again add to its slots.

    ``name`` is the file's, for PlanError.
    """
    found: dict[str, HostSlots] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        words = line.partition("#")[0].split()
        for each in _hosts_of_line(words, f"{name}, line {number}") if words else ():
            known = found.get(each.host)
            found[each.host] = each if known is None else replace(known, slots=_added(known.slots, each.slots))
    if not found:
        raise PlanError(f"--hostfile {name} names no host", remedy=_LINE_LOOKS_LIKE)
    return tuple(found.values())


def text_of(option: str, path: Path, line_looks_like: str) -> str:
    """Return the text of a file that an option names; raise PlanError when it cannot be read."""
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise PlanError(f"{option} {path}: it is not a text file", remedy=line_looks_like) from error
    except OSError as error:
        raise PlanError(f"{option} {path}: {error.strerror}", remedy="the path of a file that lists hosts") from error


def expanded(text: str, what: str) -> tuple[str, ...]:
    """Return the hosts of NodeSet text; raise PlanError, which begins with ``what``, when it names none."""
    from ClusterShell.NodeSet import RESOLVER_NOGROUP, NodeSet, NodeSetException

    remedy = "host names and ranges, as in node[01-64],gpu7"
    if not _NODE_SET.fullmatch(text):
        raise PlanError(f"{what} does not name hosts", remedy=remedy)
    if any(len(end) > 9 or int(end) - int(start) >= MOST_HOSTS for start, end in _RANGE.findall(text)):
        raise PlanError(f"{what} names more than {MOST_HOSTS} hosts", remedy="a shorter range")
    try:
        nodes = NodeSet(text, resolver=RESOLVER_NOGROUP)
    except NodeSetException as error:
        raise PlanError(f"{what} does not name hosts: {error}", remedy=remedy) from error
    if len(nodes) > MOST_HOSTS:
        raise PlanError(f"{what} names {len(nodes)} hosts", remedy="a shorter range")
    names = tuple(nodes)
    odd = next((host for host in names if not _HOST_NAME.fullmatch(host)), None)
    if odd is not None:
        raise PlanError(f"{what}: {odd!r} is not a host name", remedy=remedy)
    return names


def folded(hosts: Iterable[str]) -> str:
    """Return host names in one short word, as in ``node[01-64]``."""
    from ClusterShell.NodeSet import RESOLVER_NOGROUP, NodeSet

    return str(NodeSet.fromlist(list(hosts), resolver=RESOLVER_NOGROUP))


def _hosts_of_line(words: list[str], where: str) -> list[HostSlots]:
    head, *settings = words
    names, colon, count = head.partition(":")
    slots = _count(count, head, where) if colon else None
    limit = None
    for setting in settings:
        key, equals, value = setting.partition("=")
        if not equals or key not in _SLOT_KEYS or (key == "slots" and slots is not None):
            raise PlanError(f"--hostfile {where}: {setting!r} is not understood", remedy=_LINE_LOOKS_LIKE)
        if key == "slots":
            slots = _count(value, setting, where)
        else:
            limit = _count(value, setting, where)
    if limit is not None and slots is not None:
        slots = min(slots, limit)
    return [HostSlots(host=host, slots=slots) for host in expanded(names, f"--hostfile {where}: {names!r}")]


def _count(text: str, word: str, where: str) -> int:
    if not (text.isascii() and text.isdigit()) or not 0 < len(text) < 7 or int(text) == 0:
        raise PlanError(f"--hostfile {where}: {word!r} does not give a number of ranks", remedy=_LINE_LOOKS_LIKE)
    return int(text)


def _added(first: int | None, second: int | None) -> int | None:
    """Return the slots of two lines together: a line without a number counts one when the other has one."""
    if first is None and second is None:
        return 2
    return (first or 1) + (second or 1)
