"""Put together what several files say of the same hosts: their settings, and what their ports counted, twice or more.

What a text does not say is assumed, and told: samples without a host are of one host, those without a device of one.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import pairwise
from typing import Final

from netprobe.catalogue.keys import CounterKey, Origin
from netprobe.ingest.host_facts import UNNAMED_DEVICE, inventories_of
from netprobe.ingest.recognise import ReadFile
from netprobe.ingest.run_of import HostEvidence
from netprobe.ingest.switch_growth import switch_growth
from netprobe.ingest.told import Sample
from netprobe.inventory.lldp import with_neighbours
from netprobe.model.counters import BETWEEN_READINGS
from netprobe.model.finding import Gap
from netprobe.model.inventory import HostInventory
from netprobe.model.nccl import NcclFacts
from netprobe.model.snapshot import Reading, Snapshot
from netprobe.model.switches import SwitchPortCounts
from netprobe.units import NS_PER_S

UNNAMED_HOST: Final = "unnamed"
MOST_DECREASES_RATIO: Final = 0.05
"""Counters of one port that went back: more are of another port, or were reset."""
FEWEST_DECREASES: Final = 3

Port = tuple[Origin, str, int]
"""(origin, device, port)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Gathered:
    """What is known of hosts."""

    hosts: tuple[HostEvidence, ...]
    gaps: tuple[Gap, ...]
    assumed: frozenset[str] = frozenset()
    """Hosts whose readings were only taken to be of one host, or of one port."""
    switches: tuple[SwitchPortCounts, ...] = ()
    """Growth between two snapshots of a switch."""
    nccl: tuple[NcclFacts, ...] = ()
    """What NCCL's log says, its hosts called what the others are called."""


def together(
    files: Sequence[ReadFile], owners: Sequence[str | None], snapshots: Sequence[Snapshot], elapsed_ns: int | None
) -> Gathered:
    """Return hosts with their readings in order; ``owners`` are the hosts that the files were said to be of."""
    owned = [(file, owner or UNNAMED_HOST) for file, owner in zip(files, owners, strict=True)]
    by_host, inventories = _samples(owned), inventories_of(owned)
    taken = tuple(_of_snapshots(snapshots, inventories))
    evidence = tuple(
        HostEvidence(
            inventory=inventories.get(host) or HostInventory(host=host),
            readings=tuple(_readings(by_host.get(host, {}), elapsed_ns)),
            span=BETWEEN_READINGS,
            moments_ns=_moments_ns(by_host.get(host, {}), elapsed_ns),
        )
        for host in dict.fromkeys([*by_host, *inventories])
        if host in by_host or host not in {each.inventory.host for each in taken}
    )
    hosts, pairings = (*evidence, *taken), tuple(_pairings(by_host))
    switches = switch_growth(files, owners, [each.inventory for each in hosts])
    gaps = (
        *(gap for file in files for gap in (*file.gaps, *_unjudged(file))),
        *(gap for host, ports in by_host.items() for port, samples in ports.items()
          for gap in _suspicious(host, port, samples)),
        *(gap for _, gap in pairings),
        *_untimed(evidence),
        *switches.gaps,
    )  # fmt: skip
    return Gathered(
        hosts=hosts,
        gaps=gaps,
        assumed=frozenset(host for host, _ in pairings),
        switches=switches.counts,
        nccl=tuple(_of_nccl(files, owners, [each.inventory.host for each in hosts])),
    )


def _of_nccl(files: Sequence[ReadFile], owners: Sequence[str | None], known: Sequence[str]) -> Iterator[NcclFacts]:
    """Yield what NCCL says, by the names that hosts have here: NCCL cuts them at the first dot.

    A log of one host is of whom it was said to be; one of several names them itself.
    """
    whole = {name.partition(".")[0]: name for name in known}
    for file, owner in zip(files, owners, strict=True):
        is_of_one = len({each.host for each in file.nccl}) == 1
        for each in file.nccl:
            own = owner if owner is not None and is_of_one else None
            yield replace(each, host=own or whole.get(each.host, each.host) or UNNAMED_HOST)


def _samples(owned: Iterable[tuple[ReadFile, str]]) -> dict[str, dict[Port, list[Sample]]]:
    """Return the samples of each host's ports, in order; one that a tool printed again, with its time, is no other."""
    by_host: dict[str, dict[Port, list[Sample]]] = {}
    seen: set[tuple[str, Port, int, frozenset[tuple[str, int]]]] = set()
    for file, owner in owned:
        for sample, device in _with_devices(file.samples):
            host, port = sample.host or owner, (sample.origin, device, sample.port)
            if sample.at_ns is not None:
                mark = (host, port, sample.at_ns, frozenset(sample.values.items()))
                if mark in seen:
                    continue
                seen.add(mark)
            by_host.setdefault(host, {}).setdefault(port, []).append(sample)
    return by_host


def _with_devices(samples: Sequence[Sample]) -> Iterator[tuple[Sample, str]]:
    """Yield each sample of a file with its device; several that name none are of several ports: nic#1, nic#2, …"""
    unnamed = Counter((each.host, each.origin) for each in samples if _is_unnamed(each))
    seen: Counter[tuple[str | None, Origin]] = Counter()
    for sample in samples:
        place = (sample.host, sample.origin)
        if not _is_unnamed(sample):
            yield sample, sample.device or UNNAMED_DEVICE
        elif unnamed[place] == 1:
            yield sample, UNNAMED_DEVICE
        else:
            seen[place] += 1
            yield sample, f"{UNNAMED_DEVICE}#{seen[place]}"


def _is_unnamed(sample: Sample) -> bool:
    """Return whether nothing says of which port a sample is: times tell that several are of one."""
    return sample.device is None and sample.at_ns is None


def _of_snapshots(snapshots: Iterable[Snapshot], told: Mapping[str, HostInventory]) -> Iterator[HostEvidence]:
    """Yield each host: idle between the two readings of one snapshot, or whatever ran from one to the next."""
    by_host: dict[str, list[Snapshot]] = {}
    for snapshot in sorted(snapshots, key=lambda each: each.taken):
        by_host.setdefault(snapshot.inventory.host, []).append(snapshot)
    for own in by_host.values():
        host = own[-1].inventory.host
        devices = () if host not in told else told[host].net_devices
        cables = {each.name: each.neighbour for each in devices if each.neighbour is not None}
        inventory, last = (
            with_neighbours(own[-1].inventory, cables),
            [each.readings[-1] for each in own if each.readings],
        )
        if len(own) == 1:
            yield HostEvidence(inventory=inventory, readings=own[0].readings, moments_ns=_within(own[0]))
        else:
            told_ns = [_taken_ns(each) for each in own if each.readings]
            yield HostEvidence(
                inventory=inventory,
                readings=tuple(_forward(last)),
                span=BETWEEN_READINGS,
                moments_ns=() if None in told_ns else tuple(each for each in told_ns if each is not None),
            )


def _within(snapshot: Snapshot) -> tuple[int, ...]:
    """Return when each reading of one snapshot was made, as far as its own time tells."""
    taken_ns = _taken_ns(snapshot)
    if taken_ns is None:
        return ()
    return tuple(taken_ns + each.at_ns - snapshot.readings[0].at_ns for each in snapshot.readings)


def _taken_ns(snapshot: Snapshot) -> int | None:
    try:
        moment = datetime.fromisoformat(snapshot.taken)
    except ValueError:
        return None
    return None if moment.tzinfo is None else int(moment.timestamp()) * NS_PER_S


def _forward(readings: Iterable[Reading]) -> Iterator[Reading]:
    """Yield readings whose times do not go back, as they do when a host was started again in between."""
    at_ns = 0
    for reading in readings:
        at_ns = max(at_ns, reading.at_ns)
        yield replace(reading, at_ns=at_ns)


def _moments_ns(own: Mapping[Port, Sequence[Sample]], elapsed_ns: int | None) -> tuple[int, ...]:
    """Return the wall-clock times of a host's readings, where every sample tells its own."""
    if any(sample.at_ns is None for samples in own.values() for sample in samples):
        return ()
    return tuple(each.at_ns for each in _readings(own, elapsed_ns))


def _readings(own: Mapping[Port, Sequence[Sample]], elapsed_ns: int | None) -> Iterator[Reading]:
    """Yield the readings of a host: the n-th of each port together."""
    count = max(map(len, own.values()), default=0)
    at_ns = 0
    for index in range(count):
        values: dict[str, int] = {}
        times = []
        for (origin, device, number), samples in own.items():
            # A port of which there are fewer samples has the last ones: who adds a port adds it later.
            place = index - (count - len(samples))
            if place < 0:
                continue
            sample = samples[place]
            if sample.at_ns is not None:
                times.append(sample.at_ns)
            for name, value in sample.values.items():
                values[str(CounterKey(origin=origin, device=device, port=number, name=name))] = value
        at_ns = max(at_ns, *times) if times else at_ns + (elapsed_ns or 0) * bool(index)
        yield Reading(at_ns=at_ns, values=values)


def _unjudged(file: ReadFile) -> Iterator[Gap]:
    lines: Counter[tuple[str, str]] = Counter()
    for each in file.unjudged:
        lines[each.what, each.remedy] += each.lines
    for (what, remedy), count in lines.items():
        reason = f"{file.name} has {count} {what}, of which nothing is judged here"
        yield Gap(topic="ingest", reason=reason, remedy=remedy)


def _pairings(by_host: Mapping[str, Mapping[Port, Sequence[Sample]]]) -> Iterator[tuple[str, Gap]]:
    """Yield hosts with several files' readings that only their order put together, and say so."""
    for host, ports in by_host.items():
        for (_, device, _), samples in ports.items():
            is_host_told = host != UNNAMED_HOST or samples[0].host is not None
            is_port_told = samples[0].device is not None or device == UNNAMED_DEVICE
            files = _files(samples)
            if len(files) > 1 and not (is_host_told and is_port_told):
                yield host, _pairing(files, "port" if is_host_told else "host")
                break


def _pairing(files: Sequence[str], what: str) -> Gap:
    return Gap(
        topic="counters",
        reason=f"{', '.join(files)} do not say which {what} they are of, and were taken for readings of one, in this "
        "order",
        remedy="HOST=FILE, as in node17=before.txt node17=after.txt"
        if what == "host"
        else "the names of interfaces before their counters, as in ethtool -S eth0",
    )


def _files(samples: Iterable[Sample]) -> tuple[str, ...]:
    """Return the files that samples are from."""
    return tuple(dict.fromkeys(each.source.rpartition(" line ")[0] for each in samples))


def _suspicious(host: str, port: Port, samples: Sequence[Sample]) -> Iterator[Gap]:
    """Say where so many counters went back that the second reading is hardly a later one of the same port."""
    for before, after in pairwise(samples):
        common = [name for name in before.values if name in after.values]
        back = sum(after.values[name] < before.values[name] for name in common)
        if back >= max(FEWEST_DECREASES, MOST_DECREASES_RATIO * len(common)):
            yield Gap(
                topic="counters",
                reason=f"{back} of {len(common)} counters of {host} {port[1]} went back from {before.source} to "
                f"{after.source}: they were reset, or these are two ports or hosts, or in the wrong order",
                remedy="HOST=FILE for each file, the earlier one first",
                undermines=True,
            )


def _untimed(hosts: Iterable[HostEvidence]) -> Iterator[Gap]:
    untimed = [
        each.inventory.host
        for each in hosts
        if any(after.at_ns <= before.at_ns for before, after in pairwise(each.readings))
    ]
    if untimed:
        yield Gap(
            topic="counters",
            reason="how long lay between two readings is not told, so what counts in time (pauses) was not judged: "
            + ", ".join(untimed),
            remedy="--elapsed 60s, if that is how far they are apart",
        )
