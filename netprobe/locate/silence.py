"""What the answers of the path check say about a pair of hosts, and how they divide hosts into sides."""

from collections.abc import Collection, Iterable, Sequence
from enum import Enum, auto

from netprobe.model.standing import PathAnswer


class Silence(Enum):
    """What does not pass between two hosts."""

    NOTHING = auto()
    LARGE = auto()  # packets of a whole MTU vanish, small ones are answered


def answering(paths: Iterable[PathAnswer]) -> tuple[PathAnswer, ...]:
    """Return the paths of networks on which anything is answered: one that filters everything says nothing."""
    paths = tuple(paths)
    heard = {path.network for path in paths if path.small}
    return tuple(path for path in paths if path.network in heard)


def silent_both_ways(paths: Iterable[PathAnswer]) -> set[tuple[str, str]]:
    """Return the pairs of which both ends asked and neither got an answer from the other; of paths of one network.

    Whatever is lost on the way, in either direction, silences both: each needs the way there and back. Silence in one
    direction alone is a host that does not answer such packets, and a direction that nobody tried says nothing.
    """
    heard: dict[tuple[str, str], bool] = {}
    for path in paths:
        heard[path.src, path.dst] = path.small or heard.get((path.src, path.dst), False)
    return {pair for pair, is_heard in heard.items() if not is_heard and heard.get((pair[1], pair[0])) is False}


def lost_large(paths: Iterable[PathAnswer]) -> set[tuple[str, str]]:
    """Return the pairs, from source to destination, on whose way packets of a whole MTU vanish and small ones pass."""
    return {(path.src, path.dst) for path in paths if path.small and path.full is False}


def lone_silences(paths: Iterable[PathAnswer], explained: Collection[str]) -> dict[tuple[str, str], Silence]:
    """Return the pairs between which something does not pass, though no host of ``explained`` is one of their ends."""
    found: dict[tuple[str, str], Silence] = {}
    networks = silent_networks(paths).values()
    for silence, silent in ((Silence.LARGE, lost_large), (Silence.NOTHING, silent_both_ways)):
        for src, dst in (pair for own in networks for pair in silent(own)):
            if src not in explained and dst not in explained:
                found[min(src, dst), max(src, dst)] = silence
    return found


def silence_of(paths: Iterable[PathAnswer], hosts: tuple[str, str]) -> Silence | None:
    """Return what does not pass between two hosts in one direction or both; None when all that was tried does."""
    return lone_silences(paths, ()).get((min(hosts), max(hosts)))


def silent_networks(paths: Iterable[PathAnswer]) -> dict[str, tuple[PathAnswer, ...]]:
    """Return the paths of each network on which some packets, but not all, were lost."""
    by_network: dict[str, list[PathAnswer]] = {}
    for path in answering(paths):
        by_network.setdefault(path.network, []).append(path)
    return {
        network: tuple(own)
        for network, own in by_network.items()
        if any(not path.small or path.full is False for path in own)
    }


def sides(paths: Sequence[PathAnswer], out: Collection[str]) -> tuple[int, int]:
    """Return how many paths between hosts that are out and the others gave no answer, and how many there are."""
    across = [path for path in paths if (path.src in out) != (path.dst in out)]
    return sum(not path.small for path in across), len(across)
