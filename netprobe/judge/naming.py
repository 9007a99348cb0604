"""Whom a finding names: hosts, ports, paths between hosts."""

from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Final

from netprobe.model.finding import Finding

Mark = str | frozenset[str]
LEAF: Final = "leaf "
"""How the subject of a finding about a switch begins; the hosts behind it are those that it asks to leave out."""

SPINES: Final = "spines"
ARROWS: Final = (" <-> ", " -> ")


@dataclass(frozen=True, slots=True, kw_only=True)
class Path:
    """Two hosts, and the direction where there is one."""

    src: str
    dst: str
    directed: bool

    def is_of(self, cause: "Path") -> bool:
        """Return whether both join the same hosts, and in the same direction where both have one."""
        if {self.src, self.dst} != {cause.src, cause.dst}:
            return False
        return self.src == cause.src or not (self.directed and cause.directed)


@dataclass(frozen=True, slots=True, kw_only=True)
class Named:
    """Whom a finding names."""

    hosts: frozenset[str]
    ports: frozenset[str]
    """Of these hosts, where single ports are named."""
    paths: tuple[Path, ...]


def named(finding: Finding, known: AbstractSet[str]) -> Named | None:
    """Return whom a finding names; None when it is not about certain hosts or paths."""
    hosts, ports, paths = set(finding.hosts), set(), []
    for subject in finding.subjects:
        path = _path(subject, known)
        host = host_of(subject, known)
        if path is not None:
            paths.append(path)
        elif host is not None:
            hosts.add(host)
            ports |= {subject} if subject == f"{host} {subject.partition(' ')[2]}" else set()
        elif not subject.startswith(LEAF):
            return None
    if not hosts and not paths:
        return None
    return Named(hosts=frozenset(hosts), ports=frozenset(ports), paths=tuple(paths))


def marks_of(finding: Finding, whom: Named | None) -> frozenset[Mark]:
    """Return by what a finding can be found: its subjects, hosts and leaves, and both ends of its paths together."""
    if whom is None:
        return frozenset(finding.subjects).union(*map(switch_marks, finding.subjects))
    ends = (frozenset((path.src, path.dst)) for path in whom.paths)
    return frozenset((*finding.subjects, *whom.hosts)) | frozenset(ends)


def sought_of(whom: Named) -> Iterator[Mark]:
    """Yield marks of which every finding that covers all that is named has at least one."""
    if whom.hosts:
        yield next(iter(whom.hosts))
    else:
        path = whom.paths[0]
        yield from (path.src, path.dst, frozenset((path.src, path.dst)))


def switch_marks(subject: str) -> frozenset[str]:
    """Return by what findings about a way between two leaves go: either leaf, and the way in each of its notations.

    Of a way between a leaf and the spines, that leaf. Empty for what is no such way: a leaf alone may be slow for
    reasons of its own.
    """
    for arrow in ARROWS:
        ends = subject.split(arrow)
        if len(ends) == 2 and all(end.startswith(LEAF) for end in ends):
            ways = {f"{one}{between}{other}" for one, other in (ends, ends[::-1]) for between in ARROWS}
            return frozenset(ways.union(ends))
        if len(ends) == 2 and SPINES in ends:
            return frozenset(end for end in ends if end.startswith(LEAF))
    return frozenset()


def _path(subject: str, known: AbstractSet[str]) -> Path | None:
    for arrow in ARROWS:
        ends = [host_of(end, known) for end in subject.split(arrow)]
        if len(ends) == 2 and ends[0] is not None and ends[1] is not None:
            return Path(src=ends[0], dst=ends[1], directed=arrow == " -> ")
    return None


def host_of(subject: str, known: AbstractSet[str]) -> str | None:
    """Return the host of ``host``, ``host:rank`` or ``host port``."""
    if subject in known:
        return subject
    host, _, rank = subject.rpartition(":")
    if host in known and rank.isdigit():
        return host
    host, _, port = subject.partition(" ")
    return host if host in known and port and " " not in port else None
