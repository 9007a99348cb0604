"""Which figure of the table of expectations fits a measurement, or what the table lacks for it.

Entries are taken away trait by trait; the first trait that leaves none is what is told as missing. Of several that
fit, a site's own goes first, then the one for more queue pairs, then the one that says most of the system.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final

from netprobe.model.expectation import Expectation, Kind
from netprobe.model.plan import Memory, Path
from netprobe.units import format_size

MEMORY_WORDS: Final = {memory: f"{memory.label} memory" for memory in Memory}
OTHER_CARDS: Final = frozenset({"PCIE", "NVL", "MIG"})
"""Words of a name that make another product of it, with other links: ``H100`` does not mean ``H100 PCIe``."""
SAME_RATE_RATIO: Final = 0.01  # drivers round rates
ANY_NUMBER: Final = 1 << 30
OWN_ENTRY: Final = "an entry of your own in --expectations FILE (docs/expectations.md)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Traits:
    """What was measured, on what; None where that is not known, or not the same for all who took part."""

    probe: str
    path: Path
    memory: Memory | None
    size_bytes: int
    gpu: str | None = None
    gpus: int | None = None
    hosts: int | None = None
    nics: int | None = None
    link_gbps: float | None = None
    link_layer: str | None = None
    queue_pairs: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Lack:
    """Why the table has no figure for a measurement."""

    what: str
    """Completes: the table of expectations has no figure for …"""
    remedy: str


def expectation_for(traits: Traits, table: Sequence[Expectation]) -> Expectation | Lack:
    """Return the entry that fits best, or what the table lacks."""
    left = [each for each in table if each.probe == traits.probe and each.path is traits.path]
    if not left:
        return Lack(what=f"{traits.probe} over {traits.path}", remedy=OWN_ENTRY)
    for fits, lacking in CHECKS:
        kept = [each for each in left if fits(each, traits)]
        if not kept:
            return lacking(traits, left)
        left = kept
    return max(left, key=_nearness)


def better_with_more(traits: Traits, table: Sequence[Expectation], chosen: Expectation) -> Expectation | None:
    """Return the figure that would count with more queue pairs; None where that is the same."""
    found = expectation_for(replace(traits, queue_pairs=ANY_NUMBER), table)
    return found if isinstance(found, Expectation) and found.queue_pairs > chosen.queue_pairs else None


def key_words(entry: Expectation) -> str:
    """Return the key of an entry as a reader would say it: ``GPU memory, H100, 400 Gb/s, from 8M``."""
    told = (
        MEMORY_WORDS[entry.memory],
        entry.gpu,
        _counted(entry.hosts, "host"),
        entry.gpus and f"{entry.gpus} GPUs a host",
        entry.nics and f"{entry.nics} NICs a host",
        entry.link_gbps and f"{entry.link_gbps:g} Gb/s",
        entry.link_layer,
        entry.queue_pairs > 1 and f"from {entry.queue_pairs} queue pairs",
        f"{'up to' if entry.latency_ns else 'from'} {format_size(entry.payload_bytes)}",
    )
    return ", ".join(word for word in told if word)


def cited(entry: Expectation) -> str:
    """Return what an entry was published as, and where."""
    return f"{entry.kind} of {'this site: ' if entry.is_site else ''}{entry.source}"


def is_gpu(key: str, name: str) -> bool:
    """Return whether a GPU's name has all words of a key, and none that makes another product of it."""
    wanted, words = _words(key), _words(name)
    return wanted <= words and not (words & OTHER_CARDS) - wanted


def _words(name: str) -> frozenset[str]:
    return frozenset(re.findall(r"[A-Z0-9]+", name.upper()))


def _nearness(entry: Expectation) -> tuple[bool, int, int, int, bool]:
    return entry.is_site, entry.queue_pairs, entry.words, entry.payload_bytes, entry.kind is Kind.GATE


def _counted(count: int | None, noun: str) -> str | None:
    return None if count is None else f"{count} {noun}{'' if count == 1 else 's'}"


def _on_each(count: int | None, noun: str) -> str | None:
    return None if count is None else f"{_counted(count, noun)} on each host"


def _fits_gpu(entry: Expectation, traits: Traits) -> bool:
    return entry.gpu is None or (traits.gpu is not None and is_gpu(entry.gpu, traits.gpu))


def _fits_link(entry: Expectation, traits: Traits) -> bool:
    if entry.link_gbps is None:
        return True
    return traits.link_gbps is not None and abs(traits.link_gbps / entry.link_gbps - 1) <= SAME_RATE_RATIO


def _fits_layer(entry: Expectation, traits: Traits) -> bool:
    return entry.link_layer is None or entry.link_layer == traits.link_layer


def _fits_size(entry: Expectation, traits: Traits) -> bool:
    if entry.latency_ns is not None:
        return traits.size_bytes <= entry.payload_bytes
    return traits.size_bytes >= entry.payload_bytes


def _lacks(known: Callable[[Traits], str | None], unknown: str) -> Callable[[Traits, Sequence[Expectation]], Lack]:
    def lacking(traits: Traits, _left: Sequence[Expectation]) -> Lack:
        return Lack(what=known(traits) or unknown, remedy=OWN_ENTRY)

    return lacking


def _lacks_queue_pairs(traits: Traits, left: Sequence[Expectation]) -> Lack:
    fewest = min(each.queue_pairs for each in left)
    return Lack(
        what=f"{counted_queue_pairs(traits.queue_pairs)} (its figures hold from {fewest})",
        remedy=with_queue_pairs(traits.probe, fewest, traits.memory),
    )


def counted_queue_pairs(count: int) -> str:
    """Return ``one queue pair``, ``8 queue pairs``."""
    return "one queue pair" if count == 1 else f"{count} queue pairs"


def with_queue_pairs(probe: str, count: int, memory: Memory | None) -> str:
    """Return how to measure with so many queue pairs, from the same memory."""
    return f"{_command(probe, Path.VERBS, memory)} -q {count} -b 8M -e 8M"


def _command(probe: str, path: Path, memory: Memory | None) -> str:
    where = f" --memory {memory.value}" if memory is not None and memory.needs_gpu and path is not Path.NCCL else ""
    return f"netprobe run {probe} --transport {path.value}{where}"


def _lacks_size(traits: Traits, left: Sequence[Expectation]) -> Lack:
    nearest = min if left[0].latency_ns is None else max
    size = format_size(nearest(each.payload_bytes for each in left))
    bound = "from" if left[0].latency_ns is None else "up to"
    return Lack(
        what=f"{format_size(traits.size_bytes)} of {traits.probe} (its figures hold {bound} {size})",
        remedy=f"{_command(traits.probe, traits.path, traits.memory)} -b {size} -e {size}",
    )


def _told_memory(traits: Traits) -> str | None:
    return None if traits.memory is None else f"{traits.probe} of {MEMORY_WORDS[traits.memory]} over {traits.path}"


Check = tuple[Callable[[Expectation, Traits], bool], Callable[[Traits, Sequence[Expectation]], Lack]]
CHECKS: Final[tuple[Check, ...]] = (
    (lambda entry, traits: entry.memory is traits.memory, _lacks(_told_memory, "two ends with memory of two kinds")),
    (_fits_gpu, _lacks(lambda traits: traits.gpu, "GPUs whose names are not known, or not the same")),
    (
        lambda entry, traits: entry.hosts in (None, traits.hosts),
        _lacks(lambda traits: _counted(traits.hosts, "host"), "hosts of which it is not known who took part"),
    ),
    (
        lambda entry, traits: entry.gpus in (None, traits.gpus),
        _lacks(lambda traits: _on_each(traits.gpus, "GPU"), "hosts whose GPUs are not known, or not as many"),
    ),
    (
        lambda entry, traits: entry.nics in (None, traits.nics),
        _lacks(lambda traits: _on_each(traits.nics, "NIC"), "hosts whose NICs are not known, or not as many"),
    ),
    (
        _fits_link,
        _lacks(
            lambda traits: None if traits.link_gbps is None else f"ports of {traits.link_gbps:g} Gb/s",
            "ports whose rate is not known, or not the same",
        ),
    ),
    (_fits_layer, _lacks(lambda traits: traits.link_layer, "ports whose link layer is not known, or not the same")),
    (lambda entry, traits: traits.queue_pairs >= entry.queue_pairs, _lacks_queue_pairs),
    (_fits_size, _lacks_size),
)
"""What an entry asks for, in the order in which it is told as missing, and how."""
