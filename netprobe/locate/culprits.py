"""Which hosts explain a set of bad pairs? Fewest culprits first, and nobody who only met one.

For faults that pairs have or have not (a fat tail, a wrong byte); for how slow they are see locate.effects.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

HostPair = tuple[str, str]
FEWEST_PARTNERS: Final = 2  # one bad pair names two hosts; only a second partner can tell which


@dataclass(frozen=True, slots=True, kw_only=True)
class Blame:
    """Hosts that explain bad pairs, with the partners that witnessed it; and the pairs that no host explains."""

    hosts: dict[str, tuple[str, ...]]
    pairs: tuple[HostPair, ...]


def blame_most_of_its_pairs(
    bad: Iterable[HostPair], measured: Iterable[HostPair], leaf_of: Mapping[str, str] | None = None
) -> Blame:
    """Blame a host when more than half of its pairs are bad, at least two; its pairs then excuse their other ends.

    ``leaf_of`` are the leaves of hosts that are on one: who does well with all partners there is not why it does badly
    with those behind other leaves, nor who does badly with these alone where all of its leaf do.
    """
    bad_with, met = _neighbours(bad), _neighbours(measured)
    blamed: dict[str, tuple[str, ...]] = {}
    while True:
        suspects = [
            host
            for host, partners in bad_with.items()
            if len(partners) >= FEWEST_PARTNERS
            and 2 * len(partners) > len(met[host] - blamed.keys())
            and not (leaf_of and _does_well_within(host, partners, met[host] - blamed.keys(), leaf_of))
            and not (leaf_of and _is_behind_a_bad_way(host, bad_with, met, blamed, leaf_of))
        ]
        if not suspects:
            return Blame(hosts=blamed, pairs=_left(bad_with))
        worst = max(sorted(suspects), key=lambda host: len(bad_with[host]))
        blamed[worst] = tuple(sorted(bad_with[worst]))
        _excuse_partners(bad_with, worst)


def blame_common_ends(bad: Iterable[HostPair]) -> Blame:
    """Blame a host that is the common end of bad pairs with at least two partners, and more so than any partner is."""
    bad_with = _neighbours(bad)
    blamed: dict[str, tuple[str, ...]] = {}
    while True:
        suspects = [
            host
            for host, partners in bad_with.items()
            if len(partners) >= FEWEST_PARTNERS and all(len(bad_with[each]) < len(partners) for each in partners)
        ]
        if not suspects:
            return Blame(hosts=blamed, pairs=_left(bad_with))
        worst = max(sorted(suspects), key=lambda host: len(bad_with[host]))
        blamed[worst] = tuple(sorted(bad_with[worst]))
        _excuse_partners(bad_with, worst)


def blame_witnessed(bad: Iterable[HostPair], measured: Iterable[HostPair]) -> Blame:
    """Blame a host when more than half of its pairs are bad, and two of their other ends do well with others.

    For faults that may be anybody's: where nobody does well, nobody is blamed.
    """
    bad_with, met = _neighbours(bad), _neighbours(measured)
    blamed: dict[str, tuple[str, ...]] = {}
    while True:
        witnesses = {
            host: [each for each in sorted(partners) if _does_well_without(each, host, bad_with, met, blamed)]
            for host, partners in bad_with.items()
            if 2 * len(partners) > len(met[host] - blamed.keys())
        }
        suspects = [host for host, told in sorted(witnesses.items()) if len(told) >= FEWEST_PARTNERS]
        if not suspects:
            return Blame(hosts=blamed, pairs=_left(bad_with))
        worst = max(suspects, key=lambda host: len(bad_with[host]))
        blamed[worst] = tuple(witnesses[worst])
        _excuse_partners(bad_with, worst)


def _does_well_within(host: str, bad_with: set[str], met: set[str], leaf_of: Mapping[str, str]) -> bool:
    leaf = leaf_of.get(host)
    near = {partner for partner in met if leaf is not None and leaf_of.get(partner) == leaf}
    return bool(near) and not near & bad_with


def _is_behind_a_bad_way(
    host: str,
    bad_with: Mapping[str, set[str]],
    met: Mapping[str, set[str]],
    blamed: Mapping[str, object],
    leaf_of: Mapping[str, str],
) -> bool:
    """Return whether a host is only bad with partners behind other leaves, and so is every other one of its leaf."""
    leaf = leaf_of.get(host)
    if leaf is None or any(leaf_of.get(partner, leaf) == leaf for partner in bad_with[host]):
        return False
    beside = [other for other in met if other != host and other not in blamed and leaf_of.get(other) == leaf]
    far = [(other, each) for other in beside for each in met[other] - blamed.keys() if leaf_of.get(each, leaf) != leaf]
    return bool(far) and all(each in bad_with.get(other, ()) for other, each in far)


def _does_well_without(
    partner: str, host: str, bad_with: dict[str, set[str]], met: dict[str, set[str]], blamed: Iterable[str]
) -> bool:
    others = met[partner] - {host, *blamed}
    return bool(others) and 2 * len(bad_with.get(partner, set()) & others) < len(others)


def _neighbours(pairs: Iterable[HostPair]) -> dict[str, set[str]]:
    neighbours: dict[str, set[str]] = {}
    for a, b in pairs:
        neighbours.setdefault(a, set()).add(b)
        neighbours.setdefault(b, set()).add(a)
    return neighbours


def _excuse_partners(bad_with: dict[str, set[str]], culprit: str) -> None:
    for partner in bad_with.pop(culprit):
        bad_with[partner].discard(culprit)


def _left(bad_with: dict[str, set[str]]) -> tuple[HostPair, ...]:
    return tuple(sorted({(min(a, b), max(a, b)) for a, partners in bad_with.items() for b in partners}))
