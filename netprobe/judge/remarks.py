"""What totals tell beside their history: what cannot be judged from them, and what they are to be held against.

Remarks, never findings: all of it may be long ago.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, islice
from typing import Final

from netprobe.catalogue.counter import Counter
from netprobe.catalogue.growth import is_saturated
from netprobe.catalogue.keys import Origin, key_of
from netprobe.catalogue.lookup import counter_of
from netprobe.judge.benchmarks import Note
from netprobe.model.inventory import HostInventory
from netprobe.model.meaning import Meaning
from netprobe.model.snapshot import Reading
from netprobe.units import format_count

RDMA_TRAFFIC: Final = frozenset({
    Meaning.RDMA_SENT_BYTES, Meaning.RDMA_RECEIVED_BYTES, Meaning.RDMA_SENT_PACKETS, Meaning.RDMA_RECEIVED_PACKETS,
})  # fmt: skip
PAUSES: Final = frozenset({
    Meaning.PAUSE_SENT, Meaning.PAUSE_SENT_TIME, Meaning.PAUSE_RECEIVED, Meaning.PAUSE_RECEIVED_TIME,
})  # fmt: skip
DISCARDS: Final = (Meaning.RING_DISCARD, Meaning.PORT_DISCARD)
FEWEST_OF_DRIVER: Final = 20
"""Counters that make a list a whole one: of a few that somebody chose nothing is missing."""
ALIKE_RATIO: Final = 0.8
FEWEST_ALIKE: Final = 8
"""Counters that are not 0."""
MOST_COMPARED: Final = 64
"""Ports of a host: each is held against each."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Shown:
    """A counter and what it shows."""

    name: str
    counter: Counter
    value: int

    def __str__(self) -> str:
        return f"{self.name} {format_count(self.value * self.counter.scale, self.counter.unit)}"


def remarks(inventory: HostInventory, readings: Sequence[Reading]) -> Iterator[Note]:
    """Yield what the last reading of each port of a host tells, and what links say of themselves."""
    yield from _states(inventory)
    ports = _ports(readings[-1]) if readings else {}
    for (origin, name), shown in ports.items():
        for text in _of_port(origin, shown):
            yield Note(subject=f"{inventory.host} {name}", text=text)
    yield from _alike(inventory.host, ports)


def all_active(inventory: HostInventory) -> bool:
    """Return whether a host's RDMA ports tell their state, and all are up."""
    return bool(inventory.rdma_ports) and all(port.is_active for port in inventory.rdma_ports)


def _states(inventory: HostInventory) -> Iterator[Note]:
    told = [port for port in inventory.rdma_ports if port.state is not None]
    down = [f"{port.name} {port.state}" for port in told if not port.is_active]
    if down:
        yield Note(subject=inventory.host, text=f"{len(down)} of {len(told)} RDMA ports are not ACTIVE: {_few(down)}")
    elif told:
        yield Note(subject=inventory.host, text=f"RDMA ports: {_few([port.name for port in told])}: all ACTIVE")


def _ports(reading: Reading) -> dict[tuple[Origin, str], list[_Shown]]:
    found: dict[tuple[Origin, str], list[_Shown]] = {}
    for text, value in reading.values.items():
        key = key_of(text)
        counter = None if key is None else counter_of(key.origin, key.name)
        if key is not None and counter is not None:
            found.setdefault((key.origin, key.place), []).append(_Shown(name=key.name, counter=counter, value=value))
    return found


def _of_port(origin: Origin, shown: Sequence[_Shown]) -> Iterator[str]:
    traffic = _of(shown, *RDMA_TRAFFIC)
    if traffic and not any(each.value for each in traffic):
        yield f"no RDMA traffic: {traffic[0].name} and its like are 0"
    by_priority = any(each.counter.meaning in PAUSES and each.counter.priority is not None for each in shown)
    if origin is Origin.ETHTOOL and len(shown) >= FEWEST_OF_DRIVER and not by_priority:
        yield "PFC cannot be judged: no counter of pauses by priority is among them, which does not mean that it is off"
    yield from _discards(shown)
    yield from _flushed(shown)
    yield from _congested(shown)
    full = [each.name for each in shown if is_saturated(each.counter, each.value)]
    if full:
        yield f"reset needed: {_few(full)} at the largest value that can be shown (perfquery -R, or a new start)"


def _discards(shown: Sequence[_Shown]) -> Iterator[str]:
    """Yield the most that was discarded as a share of what was received."""
    discarded = max(_of(shown, *DISCARDS), key=lambda each: each.value, default=None)
    received = max(_of(shown, Meaning.WIRE_RECEIVED_PACKETS), key=lambda each: each.value, default=None)
    if discarded is not None and discarded.value and received is not None and received.value:
        share = 100 * discarded.value / received.value
        yield f"{discarded} is {share:.2g} % of the frames received ({received})"


def _flushed(shown: Sequence[_Shown]) -> Iterator[str]:
    """Yield how many completions with errors were flushed: what follows from an error, or from an orderly end."""
    flushes = {each.name.partition("_")[0]: each for each in _of(shown, Meaning.COMPLETION_FLUSHED)}
    for each in _of(shown, Meaning.COMPLETION_ERROR):
        flushed = flushes.get(each.name.partition("_")[0])
        if each.value and flushed is not None:
            yield f"{each}, of which {flushed.value:,} were flushed ({flushed.name})"


def _congested(shown: Sequence[_Shown]) -> Iterator[str]:
    discarded, waited = _most(shown, Meaning.SEND_DISCARD), _most(shown, Meaning.SEND_WAIT)
    if discarded is not None and waited is not None:
        yield f"congestion at some time: {discarded} with {waited}"


def _alike(host: str, ports: Mapping[tuple[Origin, str], Sequence[_Shown]]) -> Iterator[Note]:
    """Note ports that show the same values, as no two ports do: a file with copies, or one port with several names."""
    values = {
        place: {each.name: each.value for each in shown if each.value}
        for place, shown in islice(ports.items(), MOST_COMPARED)
    }
    alike: dict[str, None] = {}
    for one, other in combinations(values, 2):
        common = values[one].items() & values[other].items()
        most = max(len(values[one]), len(values[other]))
        if one[0] is other[0] and len(common) >= max(FEWEST_ALIKE, ALIKE_RATIO * most):
            alike |= {one[1]: None, other[1]: None}
    if alike:
        yield Note(
            subject=host,
            text=f"suspicious: {_few(list(alike))} show the same values; they may be copies, or one port",
        )


def _of(shown: Sequence[_Shown], *meanings: Meaning) -> list[_Shown]:
    return [each for each in shown if each.counter.meaning in meanings]


def _most(shown: Sequence[_Shown], meaning: Meaning) -> _Shown | None:
    return max((each for each in _of(shown, meaning) if each.value), key=lambda each: each.value, default=None)


def _few(names: Sequence[str], most: int = 6) -> str:
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")
