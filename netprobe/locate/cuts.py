"""Who is outside the largest set of hosts that all reach each other, and when that is most of them: then it is nobody.

Packets that vanish for most hosts of a network are the fault of what they share: its switches.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from netprobe.locate.silence import Silence, lost_large, silent_both_ways, silent_networks
from netprobe.model.standing import PathAnswer


@dataclass(frozen=True, slots=True, kw_only=True)
class Cut:
    """What does not pass on a network, and for whom."""

    network: str
    silence: Silence
    outside: tuple[str, ...]
    """The hosts outside the largest set whose members all reach each other."""
    groups: tuple[tuple[str, ...], ...]
    """All hosts, by whom they reach at least by way of others."""
    lost: int
    """Paths, each one way, on which it does not pass."""
    tried: int
    mtu_bytes: int
    """The largest that a sender of a lost packet has; 0 where none is lost."""

    @property
    def is_widespread(self) -> bool:
        """Whether most hosts are outside: then none of them is to blame."""
        return 2 * len(self.outside) > sum(len(group) for group in self.groups)

    @property
    def example(self) -> tuple[str, str]:
        """Two hosts between which it does not pass, where there are groups; else two that lose much."""
        first, second = (group[0] for group in self.groups[:2]) if len(self.groups) > 1 else self.outside[:2]
        return first, second

    @property
    def words(self) -> str:
        """What was lost, and on how many paths."""
        share = f"{self.lost} of {self.tried} paths of {self.network}"
        if self.silence is Silence.LARGE:
            return f"packets of {self.mtu_bytes} bytes vanish on {share}, small ones pass"
        return f"{share} give no answer"


def cuts(paths: Iterable[PathAnswer]) -> tuple[Cut, ...]:
    """Return the cut of each network that has one, in order of their paths; nothing at all outranks large packets."""
    found = []
    for network, own in silent_networks(paths).items():
        for silence in (Silence.NOTHING, Silence.LARGE):
            cut = _cut(network, own, silence)
            if cut.outside:
                found.append(cut)
                break
    return tuple(found)


def widespread(paths: Iterable[PathAnswer]) -> tuple[Cut, ...]:
    """Return the cuts with most hosts outside."""
    return tuple(cut for cut in cuts(paths) if cut.is_widespread)


def elsewhere(paths: Iterable[PathAnswer], common: Iterable[Cut]) -> tuple[PathAnswer, ...]:
    """Return the paths of other networks than those of the cuts."""
    networks = {cut.network for cut in common}
    return tuple(path for path in paths if path.network not in networks)


def _cut(network: str, paths: Sequence[PathAnswer], silence: Silence) -> Cut:
    is_full = silence is Silence.LARGE
    tried = [path for path in paths if path.small and path.full is not None] if is_full else paths
    lost = [path for path in tried if not (path.full if is_full else path.small)]
    silent = lost_large(paths) if is_full else silent_both_ways(paths)
    hosts = tuple(dict.fromkeys(host for path in paths for host in (path.src, path.dst)))
    links = {frozenset((path.src, path.dst)) for path in paths} - {frozenset(pair) for pair in silent}
    groups = _groups(hosts, links)
    return Cut(
        network=network,
        silence=silence,
        outside=_outside(hosts, silent, groups),
        groups=groups,
        lost=len(lost),
        tried=len(tried),
        mtu_bytes=max((path.mtu_bytes for path in lost), default=0),
    )


def _outside(hosts: Sequence[str], silent: set[tuple[str, str]], groups: Sequence[tuple[str, ...]]) -> tuple[str, ...]:
    """Return the hosts that do not belong to the largest group between whose members packets pass both ways.

    Greedy: the host with most silent paths goes first, until no silent path is left between those that stay. Where two
    halves are cut apart, the half with the first host stays.
    """
    if not silent:
        return ()
    largest = max(groups, key=len)
    if len(largest) == 1 and len(hosts) > 2:  # it passes nowhere
        return tuple(hosts)
    split = tuple(host for host in hosts if host not in largest)
    return split if split and len(largest) > 1 else _most_silent(hosts, silent)


def _groups(hosts: Sequence[str], links: Iterable[frozenset[str]]) -> tuple[tuple[str, ...], ...]:
    order = {host: index for index, host in enumerate(hosts)}
    group = {host: [host] for host in hosts}
    for link in links:
        first, second = (group[host] for host in sorted(link, key=order.__getitem__))
        if first is not second:
            first.extend(second)
            for host in second:
                group[host] = first
    distinct = {id(members): members for members in (group[host] for host in hosts)}
    return tuple(tuple(sorted(members, key=order.__getitem__)) for members in distinct.values())


def _most_silent(hosts: Sequence[str], silent: set[tuple[str, str]]) -> tuple[str, ...]:
    """Return hosts that are silent with at least two others; a single silent pair is a path, and nobody's fault."""
    out: list[str] = []
    left = {frozenset(pair) for pair in silent}
    while left:
        counts = Counter(host for pair in left for host in pair)
        worst = max(hosts, key=lambda host: counts[host])
        if counts[worst] < 2:
            break
        out.append(worst)
        left = {pair for pair in left if worst not in pair}
    return tuple(out)
